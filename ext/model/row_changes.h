/* Changing a few rows of a stored model: a rating that comes or goes, a user who is forgotten. First the rows are
 * worked out (live_rate, live_forget, live_forget_item), with the model begun; then live_write writes them, at one
 * stroke.
 *
 * The stamps that they end with are hashes of the last ones and of all that is written: the same changes give the same
 * bytes, and a change of users' rows alone leaves the item stamp as it was. */
#ifndef RECOMMEND_MODEL_ROW_CHANGES_H
#define RECOMMEND_MODEL_ROW_CHANGES_H

#include "model.h"

typedef struct LiveRow LiveRow; /* private to row_changes.c */

/* The rows to be written, in order. Borrows the ids it was given. */
typedef struct LiveBatch {
  size_t count;
  LiveRow *rows;           /* owned */
  int secure;              /* what is deleted must be overwritten in the file */
  const ModelItems *items; /* borrowed: the weights that go … */
  uint32_t without;        /* … without this item */
} LiveBatch;

/* What is written to a history. */
typedef struct HistoryEntry {
  uint32_t item;
  float rating;
  int timed;    /* the model's histories are */
  int keeps;    /* an entry that is there keeps its time and its place among the others; a new one has no time */
  int64_t time; /* else it came then, after all others of that time; NO_TIME: after all others */
} HistoryEntry;

/* A history with one entry more, or with another rating; held-out entries stay what they are. `history` and the new
 * one, which is to be freed in either case, share nothing. *added: it is an entry more. SQLITE_OK or SQLITE_NOMEM. */
int history_with(const History *history, const HistoryEntry *entry, History *extended, int *added);

/* A history without one entry, which it has. */
int history_without(const History *history, uint32_t item, History *reduced);

/* What is to become of a user. */
typedef struct LiveUser {
  uint32_t index;                 /* model_user_count: a new one … */
  const Id *id;                   /* … who is called that; else not looked at */
  const History *history;         /* the new one */
  const float *row;               /* the factors as they are stored; NULL in a model whose users have none */
  const NeighborLists *neighbors; /* the new neighbours, one list, in a model of users' neighbours; else NULL */
  int trained;                    /* how many entries more, or fewer, that were not held out: -1 … 1 */
  uint32_t item;                  /* whose count … */
  int counted, liked;             /* … and likes change by this: -1 … 1 */
} LiveUser;

/* The user's rows and the counts. */
int live_rate(Model *model, const ModelItems *items, const LiveUser *user, LiveBatch *batch, Error *error);

/* A new item behind all others; before live_rate, whose item it is. */
int live_add_item(Model *model, const ModelItems *items, const Id *id, const float *row, LiveBatch *batch,
                  Error *error);

/* Removes a user; the last one takes the place. `last` receives the id of that one, which the batch borrows, for
 * sqlite3_value_free. */
int live_forget(Model *model, const ModelItems *items, uint32_t user, const History *history, sqlite3_value **last,
                LiveBatch *batch, Error *error);

/* Removes an item, which keeps its place: no id, zeros for its factors and weights, in nobody's list. `trained`: how
 * many of its entries were trained on. What becomes of its users comes before: */
int live_forget_item(Model *model, const ModelItems *items, uint32_t item, int64_t trained, LiveBatch *batch,
                     Error *error);

/* … their histories without it, which the batch does not keep; */
int live_reduce_user(uint32_t user, const History *history, LiveBatch *batch, Error *error);

/* … their new neighbours, one list; */
int live_new_list(uint32_t user, const NeighborLists *lists, LiveBatch *batch, Error *error);

/* … and their new rows, chunk by chunk: a row each, store_row_floats, looked at where `changed` says so. */
int live_new_rows(Model *model, const ModelItems *items, int64_t chunk, const uint8_t *changed, const float *rows,
                  LiveBatch *batch, Error *error);

/* ModelKind.forget_item: an item's list of neighbours becomes empty, and it is in nobody's; its vector of words goes,
 * and the words that no other item has; its weights to other items and theirs to it become 0. */
int live_forget_lists(Model *model, const ModelItems *items, uint32_t item, LiveBatch *batch, Error *error);
int live_forget_words(Model *model, const ModelItems *items, uint32_t item, LiveBatch *batch, Error *error);
int live_forget_weights(Model *model, const ModelItems *items, uint32_t item, LiveBatch *batch, Error *error);

/* The new stamps: last, with what is in the batch. */
int live_stamp(const Model *model, const ModelItems *items, LiveBatch *batch, Error *error);

/* Writes the rows. Must run inside a statement that SQLite rolls back as a whole where it fails: see store_write. */
int live_write(sqlite3 *db, ModelName name, const LiveBatch *batch, Error *error);

void live_free(LiveBatch *batch); /* cleared is fine; leaves it cleared */

#endif
