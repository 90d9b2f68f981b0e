/* A model on a connection: its statements, its stamps, and when its cache is valid. See model.h.
 *
 * The stamps are read on every query (half a microsecond with a prepared statement): neither data_version nor a counter
 * would notice all of a rollback, another connection's training and a change within this transaction. */
#include "model.h"

#include <math.h>

#include "../base/bytes.h"
#include "../base/memory.h"
#include "reader.h"
#include "store.h"

static const char *const statement_texts[STATEMENTS] = {
    [STATEMENT_STAMPS] = "SELECT i.value, u.value FROM \"%w\".\"%w_config\" i, \"%w\".\"%w_config\" u "
                         "WHERE i.key = 'item_stamp' AND u.key = 'user_stamp'",
    [STATEMENT_CONFIG] = "SELECT key, value FROM \"%w\".\"%w_config\"",
    [STATEMENT_ITEMS] = "SELECT idx, id, n FROM \"%w\".\"%w_item\" ORDER BY idx",
    [STATEMENT_ITEM_CHUNKS] = "SELECT chunk, n, data FROM \"%w\".\"%w_item_factor\" ORDER BY chunk",
    [STATEMENT_USER_BY_ID] = "SELECT idx FROM \"%w\".\"%w_user\" WHERE id = ?1",
    [STATEMENT_USERS] = "SELECT idx, id, n, history FROM \"%w\".\"%w_user\" WHERE idx BETWEEN ?1 AND ?2 ORDER BY idx",
    [STATEMENT_USER_CHUNKS] = "SELECT chunk, n, data FROM \"%w\".\"%w_user_factor\" "
                              "WHERE chunk BETWEEN ?1 AND ?2 ORDER BY chunk",
};

/* ---- making and ending ------------------------------------------------------------------------------------------- */

int model_create(Model **created, sqlite3 *db, ModelName name, Error *error) {
  Model *model = memory_alloc_zero(1, sizeof *model);
  if (model) {
    model->db = db;
    model->schema = sqlite3_mprintf("%s", name.schema);
    model->name = sqlite3_mprintf("%s", name.name);
  }
  int code = model && model->schema && model->name ? SQLITE_OK : error_no_memory(error);
  if (code != SQLITE_OK) {
    model_destroy(model);
    model = NULL;
  }
  *created = model;
  return code;
}

void model_destroy(Model *model) {
  if (!model) return;
  for (int i = 0; i < STATEMENTS; i++) sqlite3_finalize(model->statements[i]);
  items_release(model->items);
  sqlite3_free(model->schema);
  sqlite3_free(model->name);
  memory_free(model);
}

ModelName model_name(const Model *model) { return (ModelName){model->schema, model->name}; }

/* ---- reading with care ------------------------------------------------------------------------------------------- */

int reader_statement(Model *model, ModelStatement which, sqlite3_stmt **statement, Error *error) {
  int code = SQLITE_OK;
  sqlite3_stmt **cached = &model->statements[which];
  if (!*cached)
    code = shadow_prepare(model->db, model_name(model), cached, error, statement_texts[which], model->schema,
                          model->name, model->schema, model->name);
  *statement = *cached;
  return code;
}

int reader_step(Model *model, sqlite3_stmt *statement, Error *error) {
  int code = sqlite3_step(statement);
  if (code == SQLITE_ROW || code == SQLITE_DONE) return code;
  if (code == SQLITE_ERROR) return shadow_damaged(error, model_name(model), "%s", sqlite3_errmsg(model->db));
  return error_from_database(error, model->db, code, NULL);
}

int reader_integer(Model *model, sqlite3_stmt *statement, int column, int64_t minimum, int64_t maximum,
                   const char *what, int64_t *value, Error *error) {
  *value = sqlite3_column_int64(statement, column);
  if (sqlite3_column_type(statement, column) == SQLITE_INTEGER && *value >= minimum && *value <= maximum)
    return SQLITE_OK;
  return shadow_damaged(error, model_name(model), "%s must be an integer from %lld to %lld", what, minimum, maximum);
}

int reader_blob(Model *model, sqlite3_stmt *statement, int column, size_t size, const char *what, const void **blob,
                Error *error) {
  *blob = sqlite3_column_blob(statement, column);
  size_t found = (size_t)sqlite3_column_bytes(statement, column);
  if (sqlite3_column_type(statement, column) != SQLITE_BLOB)
    return shadow_damaged(error, model_name(model), "%s is not a blob", what);
  if (!*blob) return error_no_memory(error);
  if (found != size + STORE_CHECKSUM)
    return shadow_damaged(error, model_name(model), "%s has %lld bytes, not %lld", what, (sqlite3_int64)found,
                          (sqlite3_int64)size + STORE_CHECKSUM);
  if (bytes_load64((const char *)*blob + size) != bytes_hash(0, *blob, size))
    return shadow_damaged(error, model_name(model), "%s does not match its checksum", what);
  return SQLITE_OK;
}

int reader_floats(Model *model, const char *from, size_t n, const char *what, float *to, Error *error) {
  bytes_copy_words(to, from, n);
  int finite = 1;
  for (size_t i = 0; i < n; i++) finite &= isfinite(to[i]) != 0;
  return finite ? SQLITE_OK : shadow_damaged(error, model_name(model), "%s is not finite", what);
}

int reader_chunk(Model *model, sqlite3_stmt *statement, const ModelShape *shape, int64_t chunk, size_t n,
                 const char **data, Error *error) {
  int64_t value;
  const void *blob = NULL;
  int code = reader_integer(model, statement, 0, chunk, chunk, "the number of a chunk of factors", &value, error);
  if (code == SQLITE_OK)
    code = reader_integer(model, statement, 1, (int64_t)n, (int64_t)n, "the vectors in a chunk of factors", &value,
                          error);
  if (code == SQLITE_OK)
    code = reader_blob(model, statement, 2, n * store_row_floats(shape) * sizeof(float), "a chunk of factors", &blob,
                       error);
  *data = blob;
  return code;
}

/* ---- validity ----------------------------------------------------------------------------------------------------- */

int model_begin(Model *model, ModelItems **items, Error *error) {
  sqlite3_stmt *statement = NULL;
  int64_t stamp = 0;
  int code = reader_statement(model, STATEMENT_STAMPS, &statement, error);
  if (code == SQLITE_OK) {
    code = reader_step(model, statement, error);
    if (code == SQLITE_DONE) code = shadow_damaged(error, model_name(model), "its stamps are missing");
    if (code == SQLITE_ROW) code = SQLITE_OK;
  }
  if (code == SQLITE_OK)
    code = reader_integer(model, statement, 0, INT64_MIN, INT64_MAX, "the item stamp", &stamp, error);
  if (code == SQLITE_OK)
    code = reader_integer(model, statement, 1, INT64_MIN, INT64_MAX, "the user stamp", &model->user_stamp, error);
  if (code == SQLITE_OK && (!model->items || model->items->stamp != stamp)) {
    items_release(model->items);
    model->items = NULL;
    code = items_load(model, stamp, &model->items, error);
  }
  if (code == SQLITE_OK) {
    *items = model->items;
    model->items->references++;
  } else {
    *items = NULL;
    model_end(model);
  }
  return code;
}

void model_end(Model *model) {
  for (int i = 0; i < STATEMENTS; i++) sqlite3_reset(model->statements[i]);
}

int64_t model_user_stamp(const Model *model) { return model->user_stamp; }

double shape_clip(const ModelShape *shape, double prediction) {
  if (!shape->clip) return prediction;
  return prediction < shape->minimum ? shape->minimum : prediction > shape->maximum ? shape->maximum : prediction;
}
