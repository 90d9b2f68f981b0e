/* recommend_models: the models there are. A damaged one is listed too, with what can be read of it. */
#include "../base/memory.h"
#include "../model/origin.h"
#include "register.h"
#include "table_function.h"

enum { MODEL_ITEMS = 3, MODEL_SOURCE = 7 };
/* The keys of m_config behind the columns from MODEL_TEXTS_FROM on; the source takes several: see origin.h. */
static const char *const model_keys[] = {"family",     "algorithm",           "users",   "items", "resolved", "metrics",
                                         "trained_at", [MODEL_SOURCE] = NULL, "options", "kind",  "answers"};
enum { MODEL_KEYS = sizeof model_keys / sizeof *model_keys };
enum { MODEL_NAME, MODEL_SCHEMA, MODEL_TEXTS_FROM, MODEL_COLUMNS = MODEL_TEXTS_FROM + MODEL_KEYS };

typedef struct ModelRow {
  char *name, *schema, *source;
  sqlite3_value *value[MODEL_KEYS];
} ModelRow;

typedef struct ModelList {
  Connection *connection;
  ModelRow *rows;
  size_t count;
} ModelList;

/* One of the model's texts by a statement that may want its key. */
static int read_value(sqlite3 *db, sqlite3_stmt *statement, int i, ModelRow *row, Error *error) {
  int code = SQLITE_OK;
  if (model_keys[i]) sqlite3_bind_text(statement, 1, model_keys[i], -1, SQLITE_STATIC);
  int stepped = sqlite3_step(statement);
  if (stepped == SQLITE_ROW && !(row->value[i] = sqlite3_value_dup(sqlite3_column_value(statement, 0))))
    code = error_no_memory(error);
  int reset = sqlite3_reset(statement);
  return code == SQLITE_OK && reset != SQLITE_OK ? error_from_database(error, db, reset, NULL) : code;
}

/* How many items there are: m_config counts the places, of which those of items that were forgotten have no id. */
static int count_items(sqlite3 *db, ModelName name, ModelRow *row, Error *error) {
  sqlite3_stmt *statement = NULL;
  int code = shadow_prepare(db, name, &statement, error,
                            "SELECT CASE WHEN typeof(value) = 'integer' THEN value - (SELECT count(*) FROM "
                            "\"%w\".\"%w_item\" WHERE id IS NULL) ELSE value END FROM \"%w\".\"%w_config\" "
                            "WHERE key = 'items'",
                            name.schema, name.name, name.schema, name.name);
  if (code == SQLITE_OK) {
    sqlite3_value_free(row->value[MODEL_ITEMS]);
    row->value[MODEL_ITEMS] = NULL;
    code = read_value(db, statement, MODEL_ITEMS, row, error);
  }
  sqlite3_finalize(statement);
  return code;
}

static int read_config(sqlite3 *db, ModelName name, ModelRow *row, Error *error) {
  sqlite3_stmt *statement = NULL;
  int code = shadow_prepare(db, name, &statement, error, "SELECT value FROM \"%w\".\"%w_config\" WHERE key = ?1",
                            name.schema, name.name);
  for (int i = 0; i < MODEL_KEYS && code == SQLITE_OK; i++)
    if (model_keys[i]) code = read_value(db, statement, i, row, error);
  sqlite3_finalize(statement);
  return code;
}

/* As a training function takes it: with its schema, where that is not main. */
static int read_model_source(sqlite3 *db, ModelName name, ModelRow *row, Error *error) {
  Origin origin;
  int code = origin_read(db, name, &origin, error);
  int elsewhere = !origin.is_query && origin.schema && sqlite3_stricmp(origin.schema, "main") != 0;
  if (origin.source) {
    row->source = sqlite3_mprintf("%s%s%s", elsewhere ? origin.schema : "", elsewhere ? "." : "", origin.source);
    if (!row->source) code = error_no_memory(error);
  }
  origin_free(&origin);
  return code;
}

static int add_model(void *context, ModelName name, Error *error) {
  ModelList *list = context;
  ModelRow *grown = memory_grow(list->rows, list->count, sizeof *grown);
  if (!grown) return error_no_memory(error);
  list->rows = grown;
  ModelRow *row = &list->rows[list->count++];
  *row = (ModelRow){.name = sqlite3_mprintf("%s", name.name), .schema = sqlite3_mprintf("%s", name.schema)};
  if (!row->name || !row->schema) return error_no_memory(error);
  int code = read_config(list->connection->db, name, row, error);
  if (code == SQLITE_OK) code = count_items(list->connection->db, name, row, error);
  if (code == SQLITE_OK) code = read_model_source(list->connection->db, name, row, error);
  if ((code & 0xff) != SQLITE_CORRUPT) return code;
  error_clear(error); /* a damaged model is listed too, with what can be read of it */
  return SQLITE_OK;
}

static int models_start(TableCall *call, Error *error) {
  ModelList *list = call->state;
  list->connection = call->connection;
  int code = connection_models(call->connection, add_model, list, error);
  call->rows = (int64_t)list->count;
  return code;
}

static void models_column(const TableCall *call, sqlite3_context *context, int column) {
  const ModelList *list = call->state;
  const ModelRow *row = &list->rows[call->row];
  if (column == MODEL_NAME)
    sqlite3_result_text(context, row->name, -1, SQLITE_TRANSIENT);
  else if (column == MODEL_SCHEMA)
    sqlite3_result_text(context, row->schema, -1, SQLITE_TRANSIENT);
  else if (column == MODEL_TEXTS_FROM + MODEL_SOURCE)
    sqlite3_result_text(context, row->source, -1, SQLITE_TRANSIENT); /* NULL gives NULL */
  else if (row->value[column - MODEL_TEXTS_FROM])
    sqlite3_result_value(context, row->value[column - MODEL_TEXTS_FROM]);
}

static void models_end(TableCall *call) {
  ModelList *list = call->state;
  for (size_t i = 0; i < list->count; i++) {
    sqlite3_free(list->rows[i].name);
    sqlite3_free(list->rows[i].schema);
    sqlite3_free(list->rows[i].source);
    for (int key = 0; key < MODEL_KEYS; key++) sqlite3_value_free(list->rows[i].value[key]);
  }
  memory_free(list->rows);
  *list = (ModelList){0};
}

static const TableFunction models_function = {
    .name = "recommend_models",
    .schema =
        "CREATE TABLE x(name TEXT, schema TEXT, family TEXT, algorithm TEXT, users INTEGER, items INTEGER, "
        "options TEXT, metrics TEXT, trained_at TEXT, source TEXT, given TEXT, kind TEXT, answers TEXT)",
    .usage = "recommend_models",
    .outputs = MODEL_COLUMNS,
    .rows = 5,
    .cost = 10,
    .state_size = sizeof(ModelList),
    .start = models_start,
    .column = models_column,
    .end = models_end,
};

int recommend_models_register(Connection *connection) { return table_function_register(connection, &models_function); }
