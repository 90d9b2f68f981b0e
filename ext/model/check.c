/* The integrity check of a model: reads every row as queries would. See model.h. */
#include <string.h>

#include "all_histories.h"
#include "model.h"
#include "store.h"

/* The count of a user is the length of the history, where histories are kept: reading one has checked that. Here: that
 * there is exactly one row a user, and one vector. */
static int check_counts(Model *model, const ModelItems *items, Error *error) {
  const ModelShape *shape = &items->shape;
  const ModelName name = model_name(model);
  sqlite3_stmt *statement = NULL;
  int64_t users = 0, chunks = 0, lists = 0, weights = 0;
  int code =
      shadow_prepare(model->reader.db, model_name(model), &statement, error,
                     "SELECT (SELECT count(*) FROM \"%w\".\"%w_user\"), "
                     "(SELECT count(*) FROM \"%w\".\"%w_userfactor\"), "
                     "(SELECT count(*) FROM \"%w\".\"%w_neighbor\"), "
                     "(SELECT count(*) FROM \"%w\".\"%w_weight\" WHERE name LIKE 'link/%%')",
                     name.schema, name.name, name.schema, name.name, name.schema, name.name, name.schema, name.name);
  if (code == SQLITE_OK && (code = reader_step(&model->reader, statement, error)) == SQLITE_ROW) {
    users = sqlite3_column_int64(statement, 0);
    chunks = sqlite3_column_int64(statement, 1);
    lists = sqlite3_column_int64(statement, 2);
    weights = sqlite3_column_int64(statement, 3);
    code = SQLITE_OK;
  }
  sqlite3_finalize(statement);
  if (code != SQLITE_OK) return code;
  if (users != model->users) return reader_wrong_count(&model->reader, "user", model->users, users, error);
  int64_t expected = store_row_floats(&items->shape) == 0 ? 0 : (model->users + STORE_CHUNK - 1) / STORE_CHUNK;
  if (chunks != expected) return reader_wrong_count(&model->reader, "userfactor", expected, chunks, error);
  int of_weights = shape->links == LINK_ITEM_WEIGHTS;
  expected = of_weights ? (shape->linked + STORE_CHUNK - 1) / STORE_CHUNK : 0;
  if (weights != expected) return reader_wrong_count(&model->reader, "weight", expected, weights, error);
  if (lists != (of_weights ? 0 : shape->linked))
    return reader_wrong_count(&model->reader, "neighbor", of_weights ? 0 : shape->linked, lists, error);
  return SQLITE_OK;
}

/* A user must be found by the id that stands in its row: the UNIQUE index may be damaged apart from the table. */
static int check_lookups(Model *model, const ModelUsers *users, size_t first, Error *error) {
  int code = SQLITE_OK;
  for (size_t user = 0; user < users->count && code == SQLITE_OK; user++) {
    Id id = dictionary_id(&users->ids, user);
    uint32_t index = 0;
    int found = 0;
    code = model_user_index(model, &id, &index, &found, error);
    if (code == SQLITE_OK && (!found || index != first + user))
      code =
          shadow_damaged(error, model_name(model),
                         "row %lld of %s_user is not found by its id, so that the index of the table must be damaged",
                         (sqlite3_int64)first + (sqlite3_int64)user, model_name(model).name);
  }
  return code;
}

/* Adds the entries of some users up, by item; of feedback the likes. */
static void count_entries(const ModelShape *shape, const ModelUsers *users, Popularity *counted) {
  int feedback = shape_is_feedback(shape);
  for (size_t user = 0; user < users->count; user++) {
    const History *history = &users->history[user];
    for (size_t i = 0; i < history->count; i++) {
      float rating = history_rating(history, i);
      counted->count[history->item[i]] += !feedback || rating > 0;
      counted->liked[history->item[i]] += (uint32_t)shape_likes(shape, rating);
    }
  }
}

static int wrong_popularity(Model *model, const char *column, size_t item, uint32_t expected, uint32_t found,
                            Error *error) {
  return shadow_damaged(error, model_name(model),
                        "%s in row %lld of %s_item: expected %u, as the histories of users have it, found %u", column,
                        (sqlite3_int64)item, model_name(model).name, expected, found);
}

static int check_popularity(Model *model, const ModelItems *items, const Popularity *counted, Error *error) {
  Popularity *popularity = NULL;
  int code = model_popularity(model, items, &popularity, error);
  for (size_t item = 0; item < items->ids.count && code == SQLITE_OK && items->shape.history; item++) {
    if (popularity->count[item] != counted->count[item])
      code = wrong_popularity(model, "n", item, counted->count[item], popularity->count[item], error);
    else if (popularity->liked[item] != counted->liked[item])
      code = wrong_popularity(model, "liked", item, counted->liked[item], popularity->liked[item], error);
  }
  popularity_release(popularity);
  return code;
}

int model_check(Model *model, const Cancel *cancel, Error *error) {
  enum { BLOCK = 16 * STORE_CHUNK };
  ModelItems *items = NULL;
  /* What is cached was right when it was read; the check is of what is stored. */
  items_release(model->items);
  popularity_release(model->popularity);
  observed_release(model->observed);
  model->items = NULL;
  model->popularity = NULL;
  model->observed = NULL;
  int code = model_begin(model, &items, error);
  if (code != SQLITE_OK) return code;
  Popularity *counted = popularity_alloc(items->ids.count);
  if (counted) memset(counted->count, 0, 2 * items->ids.count * sizeof *counted->count);
  code = counted ? check_counts(model, items, error) : error_no_memory(error);
  for (size_t first = 0; code == SQLITE_OK && (int64_t)first < model->users; first += BLOCK) {
    ModelUsers users;
    code = model_users(model, items, first, BLOCK, USERS_WITH_IDS | USERS_WITH_HISTORIES, &users, error);
    if (code == SQLITE_OK) code = check_lookups(model, &users, first, error);
    if (code == SQLITE_OK) count_entries(&items->shape, &users, counted);
    users_free(&users);
    if (code == SQLITE_OK) code = error_from_code(error, cancel_poll(cancel));
  }
  if (code == SQLITE_OK) code = check_popularity(model, items, counted, error);
  popularity_release(counted);
  if (code == SQLITE_OK && items->shape.kind->check) code = items->shape.kind->check(model, items, error);
  model_end(model);
  items_release(items);
  return code;
}
