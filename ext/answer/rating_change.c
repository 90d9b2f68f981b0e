/* Ratings that come and go: see rating_change.h.
 *
 * A rating changes only the row of its user: that row is solved again with the items as they are, which is what a
 * half-step of a training would do. So the items drift from what a training would make of them, until the model is
 * trained again. A new item is solved for once, from the rating that brought it; where items have neighbours or
 * weights, a new one has none until the model is trained again. In a model of user neighbours the neighbours of this
 * user are searched again, and those of no other user.
 *
 * A value that can't be used is SQLITE_CONSTRAINT, and so is a pair that is there already where the statement's
 * conflict clause says so: found before anything is written, so that SQLite can skip the row (OR IGNORE), keep the
 * rows before it (OR FAIL), or give up the statement or the transaction.
 *
 * Everything is computed first; then one nested statement, INSERT INTO m(m, _payload) SELECT 'fold', ?, writes it,
 * which SQLite rolls back as a whole where it fails: the user's own INSERT … VALUES has no statement journal. */
#include "rating_change.h"

#include <math.h>

#include "../base/memory.h"
#include "../data/interrupt.h"
#include "../model/kinds/neighborhood.h"
#include "../model/replacement.h"
#include "../model/store.h"
#include "fold_in.h"

/* One change in the making. */
typedef struct Change {
  Connection *connection;
  ModelName name;
  Model *model; /* begun while items is not NULL */
  ModelItems *items;
  Interrupt interrupt;
  LiveBatch batch;
  uint32_t user, item;
  Id user_id, item_id; /* borrowed from values */
  int user_is_new, item_is_new;
  int updates;      /* it is an UPDATE of a cell, and not a new row */
  ModelUser before; /* the user as they were */
  History history;
} Change;

static int change_begin(Change *change, Connection *connection, ModelName name, Error *error) {
  *change = (Change){.connection = connection, .name = name};
  connection_interrupt(connection, &change->interrupt);
  int code = connection_open(connection, name, &change->model, error);
  if (code == SQLITE_OK) code = model_begin(change->model, &change->items, error);
  if (code == SQLITE_OK) code = model_require(change->model, change->items, ABILITY_LIVE, NULL, error);
  return code;
}

/* Writes what there is to write, where nothing has failed. */
static int change_end(Change *change, int code, Error *error) {
  if (code == SQLITE_OK && change->batch.count) code = live_stamp(change->model, change->items, &change->batch, error);
  if (change->items) model_end(change->model);
  if (code == SQLITE_OK && change->batch.count)
    code = model_store_payload(change->connection, change->name, "fold", &change->batch, LIVE_TYPE, error);
  live_free(&change->batch);
  user_free(&change->before);
  history_free(&change->history);
  items_release(change->items);
  interrupt_end(&change->interrupt);
  return code;
}

/* ---- where ------------------------------------------------------------------------------------------------------- */

static int take_rated_id(Change *change, sqlite3_value *value, IdAffinity affinity, const char *what, Id *id,
                         Error *error) {
  int there = id_from_value_as(value, affinity, id);
  if (there < 0) return error_no_memory(error);
  return there ? SQLITE_OK
               : error_set(error, SQLITE_CONSTRAINT, "model \"%s\": the %s of a rating can't be NULL",
                           change->name.name, what);
}

/* Reads the user and the history, if they are known. */
static int find_user(Change *change, Error *error) {
  int found = 0;
  int code =
      model_user(change->model, change->items, &change->user_id, &change->before, &change->history, &found, error);
  change->user_is_new = !found;
  change->user = found ? change->before.index : (uint32_t)model_user_count(change->model);
  return code;
}

static int find_cell(Change *change, sqlite3_value *user, sqlite3_value *item, Error *error) {
  const ModelItems *items = change->items;
  int code = take_rated_id(change, user, items->user_affinity, "user", &change->user_id, error);
  if (code == SQLITE_OK) code = take_rated_id(change, item, items->item_affinity, "item", &change->item_id, error);
  if (code == SQLITE_OK) code = find_user(change, error);
  if (code != SQLITE_OK) return code;
  change->item = dictionary_find(&items->ids, &change->item_id);
  change->item_is_new = change->item == DICTIONARY_NONE;
  if (!change->item_is_new) return SQLITE_OK;
  char text[ID_FORMAT_SIZE];
  change->item = (uint32_t)items->ids.count;
  if (!items->shape.kind->of_content) return SQLITE_OK;
  return error_set(error, SQLITE_CONSTRAINT, "model \"%s\" does not know the content of item %s: train it again",
                   change->name.name, id_format(&change->item_id, text));
}

static int find_rowid(Change *change, int64_t rowid, int *found, Error *error) {
  int64_t user = rowid >> 32, item = rowid & UINT32_MAX;
  *found = rowid >= 0 && user < model_user_count(change->model) && item < (int64_t)change->items->ids.count &&
           !items_is_forgotten(change->items, (size_t)item);
  if (!*found) return SQLITE_OK;
  change->user = (uint32_t)user;
  change->item = (uint32_t)item;
  return model_user_at(change->model, change->items, change->user, &change->before, &change->history, error);
}

/* ---- what -------------------------------------------------------------------------------------------------------- */

static int take_rating(const Change *change, sqlite3_value *value, float *rating, Error *error) {
  const ModelShape *shape = &change->items->shape;
  int type = sqlite3_value_numeric_type(value);
  double number = sqlite3_value_double(value);
  *rating = 1;
  if (type == SQLITE_NULL && !shape_is_explicit(shape)) return SQLITE_OK;
  if (type == SQLITE_NULL)
    return error_set(error, SQLITE_CONSTRAINT, "model \"%s\" was trained on ratings: the rating can't be NULL",
                     change->name.name);
  if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) {
    Id shown;
    char text[ID_FORMAT_SIZE];
    if (id_from_value(value, &shown) < 0) return error_no_memory(error);
    return error_set(error, SQLITE_CONSTRAINT, "model \"%s\": a rating must be a number, not %s", change->name.name,
                     id_format(&shown, text));
  }
  if (!(fabs(number) < 1e30) || (shape->kind->largest_rating > 0 && fabs(number) > shape->kind->largest_rating))
    return error_set(error, SQLITE_CONSTRAINT, "model \"%s\": the rating %s is too large a number", change->name.name,
                     sqlite3_value_text(value));
  *rating = (float)number;
  return SQLITE_OK;
}

/* The time of a rating; `value` NULL: it stays as it is. So does the place of an entry that is updated to its own time.
 */
static int take_time(const Change *change, sqlite3_value *value, HistoryEntry *entry, Error *error) {
  const History *history = &change->history;
  entry->timed = change->items->shape.history == HISTORY_TIMED;
  entry->keeps = value == NULL;
  entry->time = NO_TIME;
  int given = value && sqlite3_value_type(value) != SQLITE_NULL;
  if (given && !entry->timed)
    return error_set(error, SQLITE_ERROR,
                     "model \"%s\" keeps no times: leave the timestamp out, or train it with \"history\": \"timed\"",
                     change->name.name);
  if (given && !(value_is_whole(value, &entry->time) && entry->time != NO_TIME)) {
    Id shown;
    char text[ID_FORMAT_SIZE];
    if (id_from_value(value, &shown) < 0) return error_no_memory(error);
    return error_set(error, SQLITE_CONSTRAINT,
                     "model \"%s\": a timestamp must be a whole number, as unixepoch() gives it, not %s",
                     change->name.name, id_format(&shown, text));
  }
  size_t place = history_place(history, entry->item);
  if (change->updates && place < history->count && history->time && history->time[place] == entry->time)
    entry->keeps = 1;
  return SQLITE_OK;
}

static int is_seen(const Change *change) { return history_find(&change->history, change->item, NULL); }

/* INSERT of a pair that is there, for those who mind. Where SQLite is to IGNORE the row, it wants to be told so. */
static int check_conflict(const Change *change, int conflict, Error *error) {
  if (conflict == SQLITE_ABORT || conflict == SQLITE_REPLACE || !is_seen(change)) return SQLITE_OK;
  char user[ID_FORMAT_SIZE], item[ID_FORMAT_SIZE];
  return error_set(error, SQLITE_CONSTRAINT,
                   "model \"%s\" has a rating by user %s of item %s already: INSERT OR REPLACE replaces it",
                   change->name.name, id_format(&change->user_id, user), id_format(&change->item_id, item));
}

/* Does the history like the item that changes? */
static int likes(const Change *change, const History *history) {
  size_t place = history_place(history, change->item);
  return place < history->count && shape_likes(&change->items->shape, history_rating(history, place));
}

static int is_held_out(const Change *change) {
  size_t place = history_place(&change->history, change->item);
  return place < change->history.count && history_is_held_out(&change->history, place);
}

/* A rating that is far from all others may lead out of what a float can hold: that must not get into the model. */
static int check_row(const Change *change, const float *row, Error *error) {
  size_t floats = store_row_floats(&change->items->shape);
  for (size_t i = 0; i < floats; i++)
    if (!isfinite(row[i]))
      return error_set(error, SQLITE_CONSTRAINT, "model \"%s\" can't take in a rating as large as that",
                       change->name.name);
  return SQLITE_OK;
}

/* 1 where the item counts as had by somebody with this history: where it is no dislike. */
static int is_counted(const Change *change, const History *history) {
  size_t place = history_place(history, change->item);
  return place < history->count && (!shape_is_feedback(&change->items->shape) || history_rating(history, place) > 0);
}

/* The user with another history, of so many entries more. `new_item`: the row of the new item, or NULL. */
static int rate(Change *change, const float *new_item, const History *history, int entries, Error *error) {
  ModelItems *items = change->items;
  LiveUser user = {.index = change->user,
                   .id = &change->user_id,
                   .history = history,
                   .trained = is_held_out(change) ? 0 : entries,
                   .item = change->item,
                   .counted = is_counted(change, history) - is_counted(change, &change->history),
                   .liked = likes(change, history) - likes(change, &change->history)};
  float *row = NULL;
  NeighborLists neighbors = {0};
  int code = SQLITE_OK;
  if (items->shape.kind->neighbors_of_users) {
    user.neighbors = &neighbors;
    code = neighborhood_find(change->model, items, change->user, history, &neighbors, &change->interrupt.cancel, error);
  }
  if (code == SQLITE_OK && shape_has_user_rows(&items->shape)) {
    user.row = row = memory_alloc_zero(store_row_floats(&items->shape), sizeof *row);
    code =
        row ? fold_user_row(items, new_item, history, row, &change->interrupt.cancel, error) : error_no_memory(error);
    if (code == SQLITE_OK) code = check_row(change, row, error);
  }
  if (code == SQLITE_OK) code = live_rate(change->model, items, &user, &change->batch, error);
  neighbor_lists_free(&neighbors);
  memory_free(row);
  return code;
}

/* Takes the entry out of the cell that has been found, if there is one. */
static int take_out(Change *change, Error *error) {
  History history = {0};
  int code = SQLITE_OK;
  if (change->user_is_new || !is_seen(change)) return SQLITE_OK;
  if (history_without(&change->history, change->item, &history) != SQLITE_OK) code = error_no_memory(error);
  if (code == SQLITE_OK) code = rate(change, NULL, &history, -1, error);
  history_free(&history);
  return code;
}

/* The rating that stays as it is while its time changes. */
static int keep_rating(const Change *change, float *rating, Error *error) {
  size_t place = history_place(&change->history, change->item);
  if (place < change->history.count) {
    *rating = history_rating(&change->history, place);
    return SQLITE_OK;
  }
  return error_set(error, SQLITE_CONSTRAINT,
                   "model \"%s\" has no rating whose timestamp could be changed there: add AND seen = 1",
                   change->name.name);
}

/* Puts a rating into the cell that has been found. NULL pointers leave what is there. */
static int put(Change *change, sqlite3_value *value, sqlite3_value *time, Error *error) {
  ModelItems *items = change->items;
  History history = {0};
  HistoryEntry entry = {.item = change->item};
  float *new_item = NULL;
  int added = 0;
  int code = value ? take_rating(change, value, &entry.rating, error) : keep_rating(change, &entry.rating, error);
  if (code == SQLITE_OK) code = take_time(change, time, &entry, error);
  if (code == SQLITE_OK && entry.rating == 0 && shape_is_feedback(&items->shape)) return take_out(change, error);
  if (code == SQLITE_OK && history_with(&change->history, &entry, &history, &added) != SQLITE_OK)
    code = error_no_memory(error);
  if (code == SQLITE_OK && change->item_is_new) {
    new_item = memory_alloc_zero(store_row_floats(&items->shape), sizeof *new_item);
    code = new_item ? fold_item_row(change->model, items, change->user_is_new ? NULL : &change->before, entry.rating,
                                    new_item, &change->interrupt.cancel, error)
                    : error_no_memory(error);
    if (code == SQLITE_OK) code = check_row(change, new_item, error);
    if (code == SQLITE_OK)
      code = live_add_item(change->model, items, &change->item_id, new_item, &change->batch, error);
  }
  if (code == SQLITE_OK) code = rate(change, new_item, &history, added, error);
  memory_free(new_item);
  history_free(&history);
  return code;
}

/* ---- the statements ---------------------------------------------------------------------------------------------- */

int live_put(Connection *connection, ModelName name, sqlite3_value *user, sqlite3_value *item, sqlite3_value *rating,
             sqlite3_value *time, int conflict, Error *error) {
  Change change;
  int code = change_begin(&change, connection, name, error);
  if (code == SQLITE_OK) code = find_cell(&change, user, item, error);
  if (code == SQLITE_OK) code = check_conflict(&change, conflict, error);
  if (code == SQLITE_OK) code = put(&change, rating, time, error);
  return change_end(&change, code, error);
}

int live_put_at(Connection *connection, ModelName name, int64_t rowid, sqlite3_value *rating, sqlite3_value *time,
                Error *error) {
  Change change;
  int found = 0, code = change_begin(&change, connection, name, error);
  change.updates = 1;
  if (code == SQLITE_OK) code = find_rowid(&change, rowid, &found, error);
  if (code == SQLITE_OK && found) code = put(&change, rating, time, error);
  return change_end(&change, code, error);
}

int live_remove_at(Connection *connection, ModelName name, int64_t rowid, Error *error) {
  Change change;
  int found = 0, code = change_begin(&change, connection, name, error);
  if (code == SQLITE_OK) code = find_rowid(&change, rowid, &found, error);
  if (code == SQLITE_OK && found) code = take_out(&change, error);
  return change_end(&change, code, error);
}
