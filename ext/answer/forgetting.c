/* Forgetting a user or an item: see forgetting.h.
 *
 * A user's row and history are deleted, and the last user takes the place. An item keeps its place, since histories,
 * neighbours and the rows of the model table are numbered by places: the place has no id any more and zeros for
 * factors, weights and words. Nothing finds or recommends it, and the same id coming back is a new item. The item's
 * users are folded in again, as if they had never had it:
 *
 *   - of factors, the users' rows are solved for, with the other items as they are; bpr and logistic can't do that, so
 *     the users' factors stay there, as the items' factors do where a user is forgotten;
 *   - of a baseline, the user's bias is computed again;
 *   - of neighbours and weights, the history changes; of user neighbours, the user's neighbours are searched again;
 *   - of content, a user is the sum of the items that are left. Where items are sparse vectors, the words that no other
 *     item has are forgotten too; dense vectors do not tell which words they were made of, so their vocabulary stays.
 *
 * Clusters can't forget: a centroid is the mean of its members.
 *
 * A user who had the item only as an entry that was held out from training keeps their row, which knew nothing of the
 * item. As in rating_change.c, everything is computed first, and one nested statement writes it. */
#include "forgetting.h"

#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../data/interrupt.h"
#include "../model/kinds/neighborhood.h"
#include "../model/replacement.h"
#include "../model/row_changes.h"
#include "../model/store.h"
#include "fold_in.h"
#include "rating_change.h"

const char *const forget_sides[2] = {[FORGET_USER] = "user", [FORGET_ITEM] = "item"};

enum { BLOCK = 16 * STORE_CHUNK }; /* users at a time */

typedef struct Forgetting {
  Connection *connection;
  ModelName name;
  Model *model; /* begun while items is not NULL */
  ModelItems *items;
  Interrupt interrupt;
  LiveBatch batch;
  /* of a user */
  sqlite3_value *last; /* the id of the user who moves */
  /* of an item */
  uint32_t item;
  int64_t trained;    /* entries of the item that were trained on */
  ModelItems without; /* the items without it, if users are folded in */
  float *rows;        /* a chunk of users' rows, likewise; NULL: they keep theirs */
  Neighborhood *neighborhood;
} Forgetting;

/* SQLITE_ERROR, and what to do, where the model can't forget anybody. */
static int check_can(const Forgetting *forgetting, ForgetSide side, const Id *id, Error *error) {
  const ModelShape *shape = &forgetting->items->shape;
  char text[ID_FORMAT_SIZE];
  if (shape_can(shape, ABILITY_FORGET)) return SQLITE_OK;
  return error_set(error, SQLITE_ERROR, "model \"%s\" %s; take %s %s out of its source and train it again",
                   forgetting->name.name, kind_reason(shape, ABILITY_FORGET), forget_sides[side], id_format(id, text));
}

static int take_forgotten_id(const Forgetting *forgetting, ForgetSide side, sqlite3_value *value, Id *id,
                             Error *error) {
  const ModelItems *items = forgetting->items;
  int there = id_from_value_as(value, side == FORGET_USER ? items->user_affinity : items->item_affinity, id);
  if (there < 0) return error_no_memory(error);
  return there ? SQLITE_OK
               : error_set(error, SQLITE_CONSTRAINT, "model \"%s\": the %s to be forgotten can't be NULL",
                           forgetting->name.name, forget_sides[side]);
}

/* ---- a user ------------------------------------------------------------------------------------------------------ */

static int forget_user(Forgetting *forgetting, uint32_t user, Error *error) {
  History history;
  int code = model_history(forgetting->model, forgetting->items, user, &history, error);
  if (code == SQLITE_OK)
    code =
        live_forget(forgetting->model, forgetting->items, user, &history, &forgetting->last, &forgetting->batch, error);
  history_free(&history);
  return code;
}

/* ---- an item ----------------------------------------------------------------------------------------------------- */

/* Takes the item out of the histories of a block of users. changed[user]: the user was trained on it. */
static int reduce_histories(Forgetting *forgetting, const ModelUsers *users, size_t first, uint8_t *changed,
                            Error *error) {
  int code = SQLITE_OK;
  for (size_t user = 0; user < users->count && code == SQLITE_OK; user++) {
    const History *history = &users->history[user];
    size_t place = history_place(history, forgetting->item);
    History reduced = {0};
    changed[user] = place < history->count && !history_is_held_out(history, place);
    forgetting->trained += changed[user];
    if (place == history->count) continue;
    code = history_without(history, forgetting->item, &reduced) == SQLITE_OK
               ? live_reduce_user((uint32_t)(first + user), &reduced, &forgetting->batch, error)
               : error_no_memory(error);
    history_free(&reduced);
  }
  return code;
}

/* Of ratings near the end of what a float can hold the equations can't be solved: that must not get into the model. */
static int check_row(const Forgetting *forgetting, const float *row, Error *error) {
  size_t floats = store_row_floats(&forgetting->items->shape);
  for (size_t i = 0; i < floats; i++)
    if (!isfinite(row[i]))
      return error_set(error, SQLITE_ERROR,
                       "model \"%s\" has ratings that are too large for the users of this item to be folded in without "
                       "it: take it out of the source and train again",
                       forgetting->name.name);
  return SQLITE_OK;
}

/* Folds the users of a chunk in again, if there are any who were trained on the item. */
static int fold_chunk(Forgetting *forgetting, const ModelUsers *users, size_t first, size_t start,
                      const uint8_t *changed, Error *error) {
  size_t floats = store_row_floats(&forgetting->items->shape), any = 0;
  int code = SQLITE_OK;
  for (size_t place = 0; place < STORE_CHUNK && start + place < users->count && code == SQLITE_OK; place++) {
    if (!changed[start + place]) continue;
    History reduced = {0};
    float *row = forgetting->rows + place * floats;
    any++;
    memset(row, 0, floats * sizeof *row); /* that of a chunk before */
    code = history_without(&users->history[start + place], forgetting->item, &reduced) == SQLITE_OK
               ? fold_user_row(&forgetting->without, NULL, &reduced, row, &forgetting->interrupt.cancel, error)
               : error_no_memory(error);
    if (code == SQLITE_OK) code = check_row(forgetting, row, error);
    history_free(&reduced);
  }
  if (code != SQLITE_OK || !any) return code;
  return live_new_rows(forgetting->model, forgetting->items, (int64_t)((first + start) / STORE_CHUNK), changed + start,
                       forgetting->rows, &forgetting->batch, error);
}

static int find_neighbors(Forgetting *forgetting, size_t first, size_t count, const uint8_t *changed, Error *error) {
  int code = SQLITE_OK;
  for (size_t user = 0; user < count && code == SQLITE_OK; user++) {
    NeighborLists lists;
    if (!changed[user]) continue;
    code = neighborhood_of(forgetting->neighborhood, (uint32_t)(first + user), &lists, error);
    if (code == SQLITE_OK) code = live_new_list((uint32_t)(first + user), &lists, &forgetting->batch, error);
    neighbor_lists_free(&lists);
    if (code == SQLITE_OK) code = error_from_code(error, cancel_poll(&forgetting->interrupt.cancel));
  }
  return code;
}

/* What the item's users become. */
static int change_users(Forgetting *forgetting, Error *error) {
  const ModelItems *items = forgetting->items;
  uint8_t changed[BLOCK];
  int code = SQLITE_OK;
  for (size_t first = 0; (int64_t)first < model_user_count(forgetting->model) && code == SQLITE_OK; first += BLOCK) {
    ModelUsers users;
    code = model_users(forgetting->model, items, first, BLOCK, USERS_WITH_HISTORIES | USERS_PLAIN, &users, error);
    if (code == SQLITE_OK) code = reduce_histories(forgetting, &users, first, changed, error);
    for (size_t start = 0; start < users.count && forgetting->rows && code == SQLITE_OK; start += STORE_CHUNK)
      code = fold_chunk(forgetting, &users, first, start, changed, error);
    if (code == SQLITE_OK && forgetting->neighborhood)
      code = find_neighbors(forgetting, first, users.count, changed, error);
    users_free(&users);
    if (code == SQLITE_OK) code = error_from_code(error, cancel_poll(&forgetting->interrupt.cancel));
  }
  return code;
}

static int forget_item(Forgetting *forgetting, Error *error) {
  const ModelItems *items = forgetting->items;
  size_t floats = store_row_floats(&items->shape);
  int code = SQLITE_OK;
  if (floats && shape_can(&items->shape, ABILITY_FOLD_IN)) { /* not into bpr and logistic */
    forgetting->rows = memory_alloc(STORE_CHUNK, floats * sizeof *forgetting->rows);
    code = forgetting->rows && items_without(items, forgetting->item, &forgetting->without) == SQLITE_OK
               ? SQLITE_OK
               : error_no_memory(error);
  }
  if (code == SQLITE_OK && items->shape.kind->neighbors_of_users)
    code = neighborhood_without(forgetting->model, items, forgetting->item, &forgetting->neighborhood,
                                &forgetting->interrupt.cancel, error);
  if (code == SQLITE_OK) code = change_users(forgetting, error);
  if (code == SQLITE_OK)
    code = live_forget_item(forgetting->model, items, forgetting->item, forgetting->trained, &forgetting->batch, error);
  return code;
}

/* ---- both -------------------------------------------------------------------------------------------------------- */

/* Works out what is to be written. */
static int prepare_forgetting(Forgetting *forgetting, ForgetSide side, sqlite3_value *value, int *known, Error *error) {
  Id id;
  uint32_t user = 0;
  int code = take_forgotten_id(forgetting, side, value, &id, error);
  if (code != SQLITE_OK) return code;
  if (side == FORGET_USER) {
    code = model_user_index(forgetting->model, &id, &user, known, error);
  } else {
    forgetting->item = dictionary_find(&forgetting->items->ids, &id);
    *known = forgetting->item != DICTIONARY_NONE;
  }
  if (code == SQLITE_OK && *known) code = check_can(forgetting, side, &id, error);
  if (code != SQLITE_OK || !*known) return code;
  code = side == FORGET_USER ? forget_user(forgetting, user, error) : forget_item(forgetting, error);
  return code == SQLITE_OK ? live_stamp(forgetting->model, forgetting->items, &forgetting->batch, error) : code;
}

int forget(Connection *connection, ModelName name, ForgetSide side, sqlite3_value *id, int *known, Error *error) {
  Forgetting forgetting = {.connection = connection, .name = name};
  *known = 0;
  connection_interrupt(connection, &forgetting.interrupt);
  int code = connection_open(connection, name, &forgetting.model, error);
  if (code == SQLITE_OK) code = model_begin(forgetting.model, &forgetting.items, error);
  if (code == SQLITE_OK) code = prepare_forgetting(&forgetting, side, id, known, error);
  if (forgetting.items) model_end(forgetting.model);
  if (code == SQLITE_OK && *known)
    code = model_store_payload(connection, name, "fold", &forgetting.batch, LIVE_TYPE, error);
  live_free(&forgetting.batch);
  neighborhood_end(forgetting.neighborhood);
  items_without_free(&forgetting.without);
  memory_free(forgetting.rows);
  items_release(forgetting.items);
  sqlite3_value_free(forgetting.last);
  interrupt_end(&forgetting.interrupt);
  return code;
}
