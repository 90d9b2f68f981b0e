/* A model on a connection: its statements, its stamps, and when its cache is valid. See model.h.
 *
 * The stamps are read on every query (half a microsecond with a prepared statement): neither data_version nor a counter
 * would notice all of a rollback, another connection's training and a change within this transaction. */
#include "model.h"

#include "../base/memory.h"
#include "all_histories.h"
#include "store.h"
#include "words.h"

/* ---- making and ending ------------------------------------------------------------------------------------------- */

int model_create(Model **created, sqlite3 *db, ModelName name, Error *error) {
  Model *model = memory_alloc_zero(1, sizeof *model);
  int code = model ? reader_begin(&model->reader, db, name, error) : error_no_memory(error);
  if (code != SQLITE_OK) {
    model_destroy(model);
    model = NULL;
  }
  *created = model;
  return code;
}

void model_destroy(Model *model) {
  if (!model) return;
  reader_end(&model->reader);
  words_release(model->words);
  observed_release(model->observed);
  popularity_release(model->popularity);
  items_release(model->items);
  memory_free(model);
}

ModelName model_name(const Model *model) { return model->reader.name; }

/* ---- locking ----------------------------------------------------------------------------------------------------- */

int model_check_unlocked(const Model *model, Error *error) {
  if (!model->locked) return SQLITE_OK;
  return error_set(
      error, SQLITE_ERROR,
      "model \"%s\" is being written, and a trigger on one of its own tables can neither read nor change it: "
      "drop the trigger",
      model_name(model).name);
}

int model_lock(Model *model, Error *error) {
  int code = model_check_unlocked(model, error);
  if (code == SQLITE_OK) model->locked = 1;
  return code;
}

void model_unlock(Model *model) { model->locked = 0; }

/* ---- validity ---------------------------------------------------------------------------------------------------- */

int model_begin(Model *model, ModelItems **items, Error *error) {
  sqlite3_stmt *statement = NULL;
  int64_t stamp = 0;
  *items = NULL;
  if (model->trained) {
    *items = model->items;
    model->items->references++;
    return SQLITE_OK;
  }
  int code = model_check_unlocked(model, error);
  if (code == SQLITE_OK) code = reader_statement(&model->reader, STATEMENT_STAMPS, &statement, error);
  if (code != SQLITE_OK) return code;
  /* Somebody has put a view in the place of a shadow table, and it calls us. */
  if (sqlite3_stmt_busy(statement)) return shadow_damaged(error, model_name(model), "reading it asks for itself");
  code = reader_step(&model->reader, statement, error);
  if (code == SQLITE_DONE) code = shadow_damaged(error, model_name(model), "its stamps are missing");
  if (code == SQLITE_ROW) code = SQLITE_OK;
  if (code == SQLITE_OK) code = reader_integer(&model->reader, statement, 0, INT64_MIN, INT64_MAX, &stamp, error);
  if (code == SQLITE_OK)
    code = reader_integer(&model->reader, statement, 1, INT64_MIN, INT64_MAX, &model->user_stamp, error);
  if (code == SQLITE_OK) code = reader_integer(&model->reader, statement, 2, 0, STORE_MOST_USERS, &model->users, error);
  if (code == SQLITE_OK && (!model->items || model->items->stamp != stamp)) {
    items_release(model->items);
    model->items = NULL;
    code = items_load(&model->reader, stamp, &model->items, error);
  }
  if (code == SQLITE_OK) {
    *items = model->items;
    model->items->references++;
  } else {
    model_end(model);
  }
  return code;
}

int model_words(Model *model, const ModelItems *items, ModelWords **words, Error *error) {
  int code = SQLITE_OK;
  if (model->words && model->words->stamp != items->stamp) {
    words_release(model->words);
    model->words = NULL;
  }
  if (!model->words) code = words_load(&model->reader, items, &model->words, error);
  *words = model->words;
  if (code == SQLITE_OK) model->words->references++;
  return code;
}

void model_end(Model *model) { reader_reset(&model->reader); }

Scorer items_scorer(const ModelItems *items) {
  Scorer scorer = items->shape.kind->scorer(items);
  scorer.gone = items_forgotten(items);
  return scorer;
}

int model_require(const Model *model, const ModelItems *items, Ability ability, const char *caller, Error *error) {
  const char *without_users = items->shape.kind->without_users;
  int code = kind_check(&items->shape, model_name(model).name, ability, error);
  if (code == SQLITE_OK && without_users && model->users == 0 && ability_is_of_users(ability))
    code = error_set(error, SQLITE_ERROR, "model \"%s\" %s", model_name(model).name, without_users);
  if (code != SQLITE_OK && caller) error_prefix(error, caller);
  return code;
}

int64_t model_user_stamp(const Model *model) { return model->user_stamp; }
int64_t model_user_count(const Model *model) { return model->users; }

int model_count_users(Model *model, Error *error) {
  if (model->trained || model->users == model->users_counted) return SQLITE_OK;
  int code = reader_count(&model->reader, "user", model->users, error);
  if (code == SQLITE_OK) model->users_counted = model->users;
  return code;
}

/* ---- popularity -------------------------------------------------------------------------------------------------- */

Popularity *popularity_alloc(size_t items) {
  Popularity *popularity = memory_alloc(1, sizeof *popularity + 2 * items * sizeof *popularity->count);
  if (!popularity) return NULL;
  *popularity = (Popularity){.references = 1, .items = items};
  popularity->liked = popularity->count + items;
  return popularity;
}

static int load_popularity(Model *model, const ModelItems *items, Popularity **loaded, Error *error) {
  size_t items_count = items->ids.count, item = 0;
  sqlite3_stmt *statement = NULL;
  Popularity *popularity = popularity_alloc(items_count);
  int code =
      popularity ? reader_statement(&model->reader, STATEMENT_COUNTS, &statement, error) : error_no_memory(error);
  while (code == SQLITE_OK && (code = reader_step(&model->reader, statement, error)) == SQLITE_ROW) {
    int64_t index = 0, n = 0, liked = 0;
    code = reader_integer(&model->reader, statement, 0, (int64_t)item, (int64_t)items_count - 1, &index, error);
    if (code == SQLITE_OK && index != (int64_t)item) code = reader_no_row(&model->reader, "item", (int64_t)item, error);
    if (code == SQLITE_OK) code = reader_integer(&model->reader, statement, 1, 0, UINT32_MAX, &n, error);
    if (code == SQLITE_OK && n && items_is_forgotten(items, item))
      code = reader_expected(&model->reader, statement, 1, error, "0, since the item has no id and was forgotten");
    if (code == SQLITE_OK) code = reader_integer(&model->reader, statement, 2, 0, n, &liked, error);
    if (code != SQLITE_OK) break;
    popularity->liked[item] = (uint32_t)liked;
    popularity->count[item++] = (uint32_t)n;
  }
  if (statement) sqlite3_reset(statement);
  if (code == SQLITE_DONE)
    code = item == items_count ? SQLITE_OK
                               : reader_wrong_count(&model->reader, "item", (int64_t)items_count, (int64_t)item, error);
  if (code == SQLITE_OK && popularity) {
    popularity->stamp = model->user_stamp;
    *loaded = popularity;
  } else {
    memory_free(popularity);
  }
  return code;
}

/* As of what is observed, sizes must fit, whoever has written into the shadow tables. */
static int popularity_is_valid(const Model *model, const ModelItems *items) {
  const Popularity *popularity = model->popularity;
  return popularity->stamp == model->user_stamp && popularity->items == items->ids.count;
}

int model_popularity(Model *model, const ModelItems *items, Popularity **popularity, Error *error) {
  int code = SQLITE_OK;
  *popularity = NULL;
  if (model->popularity && !popularity_is_valid(model, items)) {
    popularity_release(model->popularity);
    model->popularity = NULL;
  }
  if (!model->popularity) code = load_popularity(model, items, &model->popularity, error);
  if (code != SQLITE_OK || !model->popularity) return code;
  *popularity = model->popularity;
  model->popularity->references++;
  return SQLITE_OK;
}

void popularity_release(Popularity *popularity) {
  if (popularity && --popularity->references == 0) memory_free(popularity);
}
