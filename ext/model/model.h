/* A model as it is read back: the item side cached, the user side read by key.
 *
 * A Model belongs to one connection. Reading happens between model_begin and model_end, under one snapshot:
 *
 *     code = model_begin(model, &items, error);       the cache is valid now; a read statement stays stepped
 *     … model_user, model_history, model_users …
 *     model_end(model);
 *
 * `items` is counted and may be kept (and read by threads) after model_end, until items_release. */
#ifndef RECOMMEND_MODEL_MODEL_H
#define RECOMMEND_MODEL_MODEL_H

#include "../base/cancel.h"
#include "../score/postings.h"
#include "items.h"
#include "kind.h"

/* What a user did, items ascending. In order of time it is item[order[0]], item[order[1]], … */
typedef struct History {
  size_t count;
  uint32_t *item;    /* owned */
  float *rating;     /* owned; NULL: all 1 */
  uint8_t *held_out; /* owned; the entry was not trained on; NULL: all were */
  int64_t *time;     /* owned; when the entry came, or NO_TIME; NULL: the history is not timed */
  uint32_t *order;   /* owned; the places of the entries, oldest first; those without a time last. NULL likewise */
} History;

/* One user, read by key. Vectors are stride floats, aligned, zero beyond the rank. */
typedef struct ModelUser {
  uint32_t index;
  float *vector[HEADS]; /* owned; NULL for unfitted heads */
  double offset[HEADS]; /* what a head's score is beyond the panel's: mean + user bias */
  Queries query;        /* one, for items_scorer */
  void *own;            /* what it points to beside the vector; owned */
  int blank;            /* nothing was learned of this user: there is nothing to score items with */
} ModelUser;

/* A run of consecutive users. */
typedef struct ModelUsers {
  size_t first, count;
  float *vector[HEADS]; /* count × stride of each fitted head, aligned */
  float *offset[HEADS]; /* count; the head's mean + user bias */
  uint8_t *blank;       /* count; nothing was learned of this user: see ModelUser */
  Profile profile;      /* how queries that are sums weigh items: the model's, unless the caller has another */
  Queries queries;      /* count, for items_scorer; each is NULL where they were not asked for */
  void *own;            /* what queries point to beside the vectors; owned */
  Dictionary ids;       /* filled where asked for: ids.count == count */
  History *history;     /* count, where asked for, else NULL */
} ModelUsers;

/* Its members are private to model/. */
typedef struct Model {
  Reader reader;
  ModelItems *items;             /* the cache; NULL until the first model_begin */
  struct ModelWords *words;      /* those of the items with its stamp; NULL until asked for */
  struct Popularity *popularity; /* as of its stamp; NULL until asked for */
  struct Observed *observed;     /* that of the users with its stamp; NULL until asked for */
  int64_t user_stamp;
  int64_t users, users_counted;       /* as m_config has it; how many rows there were when they were counted last */
  int locked;                         /* its tables are being written */
  const struct TrainedModel *trained; /* it is not stored: see in_memory.h; else NULL */
} Model;

/* Names a model of this connection. Touches nothing in the database: whether there is such a model shows at begin. */
int model_create(Model **model, sqlite3 *db, ModelName name, Error *error);
void model_destroy(Model *model); /* finalizes the statements; NULL is fine */
ModelName model_name(const Model *model);

/* While its tables are being written a model is locked: neither read, since it is half changed, nor written, which only
 * a trigger on one of these tables can ask for. model_lock and model_check_unlocked: SQLITE_ERROR where it is. */
int model_lock(Model *model, Error *error);
void model_unlock(Model *model);
int model_check_unlocked(const Model *model, Error *error);

/* SQLITE_CORRUPT_VTAB with a message for damage, a format version that is not ours, or missing shadow tables. */
int model_begin(Model *model, ModelItems **items, Error *error);
void model_end(Model *model);

/* SQLITE_ERROR and why, where the model lacks an ability; `caller`, who asks, goes before it. */
int model_require(const Model *model, const ModelItems *items, Ability ability, const char *caller, Error *error);

/* What scores the items of a model. */
Scorer items_scorer(const ModelItems *items);

int64_t model_user_stamp(const Model *model); /* as of the last model_begin, like the number of users below */

/* To be called before memory is sized by the number of users: damage where there are not so many rows. Counted once. */
int model_count_users(Model *model, Error *error);
int64_t model_user_count(const Model *model); /* how many users there are: 0 … of some models of content */

/* How many entries each item has, and how many of them like it (shape_likes), which is what is popular. Counted: kept
 * as long as wanted, though the model may change. */
typedef struct Popularity {
  int references;
  int64_t stamp;   /* the users', since every rating counts */
  size_t items;    /* the length of both: */
  uint32_t *liked; /* behind: */
  uint32_t count[];
} Popularity;

/* For model/: room for so many items; NULL where there is no memory. From memory_alloc. */
Popularity *popularity_alloc(size_t items);

/* That of a model that has begun: read where the cached one is not valid; to be released. */
int model_popularity(Model *model, const ModelItems *items, Popularity **popularity, Error *error);
void popularity_release(Popularity *popularity); /* NULL is fine */

/* *found = 0 where the id is unknown. `history`, which may be NULL, receives the user's. Both must be freed in either
 * case. */
int model_user(Model *model, const ModelItems *items, const Id *id, ModelUser *user, History *history, int *found,
               Error *error);
int model_user_at(Model *model, const ModelItems *items, uint32_t index, ModelUser *user, History *history,
                  Error *error);
int model_history(Model *model, const ModelItems *items, uint32_t user, History *history, Error *error);

/* The id of a user, as a copy to be freed by sqlite3_value_free, and (n may be NULL) the number of entries. */
int model_user_row(Model *model, uint32_t user, sqlite3_value **id, int64_t *n, Error *error);

/* Only the id's index. */
int model_user_index(Model *model, const Id *id, uint32_t *index, int *found, Error *error);

/* A user who is not stored: from a row as it would be (store_row_floats); and a user's query, of whom the vectors are
 * there, and the history if the kind asks for it. SQLITE_OK or an error; the user is to be freed in either case. */
int user_from_row(const ModelShape *shape, const float *row, ModelUser *user);
int user_make_query(Model *model, const ModelItems *items, Profile profile, History *history, ModelUser *user,
                    const Cancel *cancel, Error *error);

/* A user's nearest users, in a model of those: lists->rows is 1. To be freed by neighbor_lists_free in either case. */
int model_user_neighbors(Model *model, uint32_t user, NeighborLists *lists, Error *error);

/* The neighbours of users first … first + count - 1, likewise. */
int model_neighbors(Model *model, size_t first, size_t count, NeighborLists *lists, Error *error);

/* Users first … first + count - 1 (`first` a multiple of STORE_CHUNK; cut at the last user). */
enum {
  USERS_WITH_IDS = 1,
  USERS_WITH_HISTORIES = 2, /* those whose queries are made of histories come with them anyway */
  USERS_PLAIN = 4           /* without queries, and none is called blank */
};
int model_users(Model *model, const ModelItems *items, size_t first, size_t count, int what, ModelUsers *users,
                Error *error);

/* Reads everything and says what is wrong with the first thing that is: SQLITE_CORRUPT_VTAB. */
int model_check(Model *model, const Cancel *cancel, Error *error);

void user_free(ModelUser *user);
void history_free(History *history);
void users_free(ModelUsers *users);

static inline int history_is_held_out(const History *history, size_t place) {
  return history->held_out && history->held_out[place];
}

static inline float history_rating(const History *history, size_t place) {
  return history->rating ? history->rating[place] : 1;
}

/* Where an item stands in the history; history->count where it does not. */
size_t history_place(const History *history, uint32_t item);

/* Is the item in the history? Where `rating` is not NULL it receives the rating. */
int history_find(const History *history, uint32_t item, double *rating);

#endif
