/* recommend_models: the models there are. recommend_factors(model, side [, head]): a model's vectors, as little-endian
 * float32 blobs, the format that vector extensions read. */
#include <string.h>

#include "../base/bytes.h"
#include "../base/memory.h"
#include "../model/resumable_read.h"
#include "../model/store.h"
#include "register.h"
#include "table_function.h"

/* ---- recommend_models -------------------------------------------------------------------------------------------- */

enum { MODEL_ITEMS = 3, MODEL_SOURCE = 7 };
/* The keys of m_config behind the columns from MODEL_TEXTS_FROM on; the source takes several. */
static const char *const model_keys[] = {"family",     "algorithm",           "users",  "items", "resolved", "metrics",
                                         "trained_at", [MODEL_SOURCE] = NULL, "options"};
enum { MODEL_KEYS = sizeof model_keys / sizeof *model_keys };
enum { MODEL_NAME, MODEL_SCHEMA, MODEL_TEXTS_FROM, MODEL_COLUMNS = MODEL_TEXTS_FROM + MODEL_KEYS };

typedef struct ModelRow {
  char *name, *schema;
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
static int read_source(sqlite3 *db, ModelName name, ModelRow *row, Error *error) {
  sqlite3_stmt *statement = NULL;
  int code =
      shadow_prepare(db, name, &statement, error,
                     "WITH origin(source, is_query, schema) AS (SELECT max(value) FILTER (WHERE key = 'source'), "
                     "max(value) FILTER (WHERE key = 'source_is_query'), "
                     "coalesce(nullif(max(value) FILTER (WHERE key = 'source_schema'), ''), %Q) "
                     "FROM \"%w\".\"%w_config\") "
                     "SELECT CASE WHEN is_query OR schema = 'main' THEN '' ELSE schema || '.' END || source "
                     "FROM origin",
                     name.schema, name.schema, name.name);
  if (code == SQLITE_OK) code = read_value(db, statement, MODEL_SOURCE, row, error);
  sqlite3_finalize(statement);
  return code;
}

static int add_model(void *context, ModelName name, Error *error) {
  ModelList *list = context;
  ModelRow *grown = memory_grow(list->rows, list->count, sizeof *grown);
  if (!grown) return error_no_memory(error);
  list->rows = grown;
  ModelRow *row = &list->rows[list->count++];
  *row = (ModelRow){sqlite3_mprintf("%s", name.name), sqlite3_mprintf("%s", name.schema), {0}};
  if (!row->name || !row->schema) return error_no_memory(error);
  int code = read_config(list->connection->db, name, row, error);
  if (code == SQLITE_OK) code = count_items(list->connection->db, name, row, error);
  if (code == SQLITE_OK) code = read_source(list->connection->db, name, row, error);
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
  else if (row->value[column - MODEL_TEXTS_FROM])
    sqlite3_result_value(context, row->value[column - MODEL_TEXTS_FROM]);
}

static void models_end(TableCall *call) {
  ModelList *list = call->state;
  for (size_t i = 0; i < list->count; i++) {
    sqlite3_free(list->rows[i].name);
    sqlite3_free(list->rows[i].schema);
    for (int key = 0; key < MODEL_KEYS; key++) sqlite3_value_free(list->rows[i].value[key]);
  }
  memory_free(list->rows);
  *list = (ModelList){0};
}

static const TableFunction models_function = {
    .name = "recommend_models",
    .schema =
        "CREATE TABLE x(name TEXT, schema TEXT, family TEXT, algorithm TEXT, users INTEGER, items INTEGER, "
        "options TEXT, metrics TEXT, trained_at TEXT, source TEXT, given TEXT)",
    .usage = "recommend_models",
    .outputs = MODEL_COLUMNS,
    .rows = 5,
    .cost = 10,
    .state_size = sizeof(ModelList),
    .start = models_start,
    .column = models_column,
    .end = models_end,
};

/* ---- recommend_factors ------------------------------------------------------------------------------------------- */

enum { FACTOR_ID, FACTOR_BIAS, FACTOR_COUNT, FACTOR_VECTOR };

typedef struct FactorList {
  Reading reading;
  int of_users, head;
  size_t item; /* the current one, of items */
  /* the current row of users; items are in the cache */
  ModelUser user;
  sqlite3_value *id;
  int64_t n;
  Popularity *popularity; /* of items */
  float *vector;          /* scratch */
} FactorList;

/* To the item of the current row, which is the next: places of items that were forgotten have none. */
static void find_item(TableCall *call) {
  FactorList *list = call->state;
  list->item = call->row ? list->item + 1 : 0;
  while (call->row < call->rows && items_is_forgotten(list->reading.items, list->item)) list->item++;
}

/* What is needed of the current row. */
static int read_row(TableCall *call, Error *error) {
  FactorList *list = call->state;
  Model *model = NULL;
  if (!list->of_users) find_item(call);
  user_free(&list->user);
  sqlite3_value_free(list->id);
  list->id = NULL;
  if (!list->of_users || call->row >= call->rows) return SQLITE_OK;
  int code = reading_resume(&list->reading, &model, error);
  if (code != SQLITE_OK) return code;
  uint32_t user = (uint32_t)call->row;
  code = model_user_at(model, list->reading.items, user, &list->user, NULL, error);
  if (code == SQLITE_OK) code = model_user_row(model, user, &list->id, &list->n, error);
  model_end(model);
  return code;
}

static int choose_side(const char *side, const char *head, FactorList *list, Error *error) {
  if (side && sqlite3_stricmp(side, "user") == 0)
    list->of_users = 1;
  else if (!side || sqlite3_stricmp(side, "item") != 0)
    return error_set(error, SQLITE_ERROR, "recommend_factors: the side must be 'user' or 'item', not '%s'",
                     side ? side : "NULL");
  const ModelShape *shape = &list->reading.items->shape;
  if (shape->sparse)
    return error_set(error, SQLITE_ERROR,
                     "recommend_factors: model \"%s\" consists of words and has no factors: tfidf_vector() gives the "
                     "weights of a text, and tfidf_train's option \"lsa\" makes factors",
                     list->reading.name);
  list->head = shape->score_head;
  if (shape->links && (!head || !shape_has_user_rows(shape)))
    return error_set(error, SQLITE_ERROR, "recommend_factors: model \"%s\" has no factors: %s%s", list->reading.name,
                     shape->links == LINK_ITEM_WEIGHTS ? "item_similar_all() gives the weights between its items"
                                                       : "recommend_neighbors() gives its neighbours",
                     shape_has_user_rows(shape) ? ", and the head 'rating' the biases of its predictions" : "");
  if (!head) return SQLITE_OK;
  for (list->head = 0; list->head < HEADS && sqlite3_stricmp(head, head_names[list->head]) != 0;) list->head++;
  if (list->head < HEADS && shape_has_panel(shape, list->head)) return SQLITE_OK;
  return error_set(error, SQLITE_ERROR, "recommend_factors: the model has no head '%s'; it has '%s'%s", head,
                   head_names[shape->score_head],
                   shape_has_panel(shape, HEAD_RATING) && shape_has_panel(shape, HEAD_RANKING) ? " and 'rating'" : "");
}

static int factors_start(TableCall *call, Error *error) {
  FactorList *list = call->state;
  Model *model = NULL;
  const char *side = NULL, *head = NULL;
  int code = connection_model(call->connection, call->function->name, ABILITY_ANY, call->argument[0], &model, error);
  if (code == SQLITE_OK) code = argument_text(call, 1, &side, error);
  if (code == SQLITE_OK) code = argument_text(call, 2, &head, error);
  if (code == SQLITE_OK) code = reading_start(&list->reading, call->connection, model, error);
  if (code != SQLITE_OK) return code;
  code = choose_side(side, head, list, error);
  if (code == SQLITE_OK && !list->of_users)
    code = model_popularity(model, list->reading.items, &list->popularity, error);
  model_end(model);
  if (code != SQLITE_OK) return code;
  const ModelItems *items = list->reading.items;
  list->vector = memory_alloc_aligned((size_t)shape_stride(&items->shape, list->head), sizeof(float));
  if (!list->vector) return error_no_memory(error);
  call->rows = list->of_users ? list->reading.users : (int64_t)items_known(items);
  return read_row(call, error);
}

static void result_vector(const TableCall *call, sqlite3_context *context) {
  const FactorList *list = call->state;
  int rank = list->reading.items->shape.rank[list->head];
  if (!rank) return; /* biases alone: NULL */
  if (list->of_users)
    memcpy(list->vector, list->user.vector[list->head], (size_t)rank * sizeof(float));
  else
    score_panel_get(&list->reading.items->panel[list->head], list->item, list->vector);
  bytes_to_little_endian(list->vector, (size_t)rank);
  sqlite3_result_blob(context, list->vector, rank * (int)sizeof(float), SQLITE_TRANSIENT);
}

static void factors_column(const TableCall *call, sqlite3_context *context, int column) {
  const FactorList *list = call->state;
  const ModelShape *shape = &list->reading.items->shape;
  switch (column) {
    case FACTOR_ID:
      if (list->of_users) {
        sqlite3_result_value(context, list->id);
      } else {
        Id id = dictionary_id(&list->reading.items->ids, list->item);
        id_result(context, &id);
      }
      break;
    case FACTOR_BIAS:
      if (!shape->biases[list->head]) break;
      sqlite3_result_double(context, list->of_users ? list->user.offset[list->head] - shape->mean[list->head]
                                                    : (double)list->reading.items->panel[list->head].bias[list->item]);
      break;
    case FACTOR_COUNT:
      sqlite3_result_int64(context, list->of_users ? list->n : (int64_t)list->popularity->count[list->item]);
      break;
    case FACTOR_VECTOR: result_vector(call, context); break;
  }
}

static void factors_end(TableCall *call) {
  FactorList *list = call->state;
  user_free(&list->user);
  sqlite3_value_free(list->id);
  popularity_release(list->popularity);
  reading_end(&list->reading);
  memory_free_aligned(list->vector);
  *list = (FactorList){0};
}

static const TableFunction factors_function = {
    .name = "recommend_factors",
    .schema = "CREATE TABLE x(id, bias REAL, count INTEGER, vector BLOB, _model HIDDEN, _side HIDDEN, _head HIDDEN)",
    .usage = "recommend_factors(model, side [, head])",
    .outputs = 4,
    .arguments = 3,
    .required = 2,
    .rows = 5000,
    .cost = 5000,
    .state_size = sizeof(FactorList),
    .start = factors_start,
    .rewind = read_row,
    .next = read_row,
    .column = factors_column,
    .end = factors_end,
};

int recommend_models_register(Connection *connection) {
  int code = table_function_register(connection, &models_function);
  return code == SQLITE_OK ? table_function_register(connection, &factors_function) : code;
}
