/* A model on a connection: its statements, its stamps, and when its cache is valid. See model.h.
 *
 * The stamps are read on every query (half a microsecond with a prepared statement): neither data_version nor a counter
 * would notice all of a rollback, another connection's training and a change within this transaction. */
#include "model.h"

#include "../base/memory.h"
#include "observed.h"
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
  items_release(model->items);
  memory_free(model);
}

ModelName model_name(const Model *model) { return model->reader.name; }

/* ---- validity ---------------------------------------------------------------------------------------------------- */

int model_begin(Model *model, ModelItems **items, Error *error) {
  sqlite3_stmt *statement = NULL;
  int64_t stamp = 0;
  *items = NULL;
  int code = reader_statement(&model->reader, STATEMENT_STAMPS, &statement, error);
  if (code != SQLITE_OK) return code;
  /* Somebody has put a view in the place of a shadow table, and it calls us. */
  if (sqlite3_stmt_busy(statement)) return shadow_damaged(error, model_name(model), "reading it asks for itself");
  code = reader_step(&model->reader, statement, error);
  if (code == SQLITE_DONE) code = shadow_damaged(error, model_name(model), "its stamps are missing");
  if (code == SQLITE_ROW) code = SQLITE_OK;
  if (code == SQLITE_OK)
    code = reader_integer(&model->reader, statement, 0, INT64_MIN, INT64_MAX, "the item stamp", &stamp, error);
  if (code == SQLITE_OK)
    code =
        reader_integer(&model->reader, statement, 1, INT64_MIN, INT64_MAX, "the user stamp", &model->user_stamp, error);
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

int64_t model_user_stamp(const Model *model) { return model->user_stamp; }
