/* What INSERT INTO model(model) VALUES('…') can do: see model_table.c for the module. */
#include "../base/memory.h"
#include "../data/interrupt.h"
#include "../model/store.h"
#include "model_module.h"
#include "model_store.h"
#include "train.h"
#include "vtab.h"

/* What a model was trained from, as m_config has it. */
typedef struct Origin {
  char *family, *source, *source_schema, *options;
  double size;
  int is_query;
} Origin;

static void origin_free(Origin *origin) {
  sqlite3_free(origin->family);
  sqlite3_free(origin->source);
  sqlite3_free(origin->source_schema);
  sqlite3_free(origin->options);
}

static int copy_text(ModelTable *table, sqlite3_stmt *statement, int column, char **copy, Error *error) {
  const char *text = (const char *)sqlite3_column_text(statement, column);
  if (!text) return shadow_damaged(error, table_name(table), "it does not say what it was trained from");
  *copy = sqlite3_mprintf("%s", text);
  return *copy ? SQLITE_OK : error_no_memory(error);
}

static int read_origin(ModelTable *table, Origin *origin, Error *error) {
  sqlite3 *db = table->connection->db;
  sqlite3_stmt *statement = NULL;
  int code =
      shadow_prepare(db, table_name(table), &statement, error,
                     "SELECT max(value) FILTER (WHERE key = 'family'), max(value) FILTER (WHERE key = 'source'), "
                     "max(value) FILTER (WHERE key = 'source_schema'), "
                     "max(value) FILTER (WHERE key = 'options'), max(value) FILTER (WHERE key = 'size'), "
                     "max(value) FILTER (WHERE key = 'source_is_query') FROM \"%w\".\"%w_config\"",
                     table->schema, table->name);
  if (code != SQLITE_OK) return code;
  code = sqlite3_step(statement);
  if (code == SQLITE_ROW) {
    code = copy_text(table, statement, 0, &origin->family, error);
    if (code == SQLITE_OK) code = copy_text(table, statement, 1, &origin->source, error);
    if (code == SQLITE_OK) code = copy_text(table, statement, 2, &origin->source_schema, error);
    if (code == SQLITE_OK) code = copy_text(table, statement, 3, &origin->options, error);
    origin->size = sqlite3_column_double(statement, 4);
    origin->is_query = sqlite3_column_int(statement, 5) != 0;
  } else {
    error_from_database(error, db, code, NULL);
  }
  sqlite3_finalize(statement);
  return code;
}

/* Nothing that is stored in the file is ever run as SQL: only the name of a table or view is used. */
static int command_retrain(ModelTable *table, Error *error) {
  Origin origin = {0};
  ModelName name = table_name(table);
  Training *training = NULL;
  char *source = NULL;
  TrainRequest request = {.model = &name, .from_file = 1};
  int code = read_origin(table, &origin, error);
  if (code == SQLITE_OK && origin.is_query)
    code = error_set(error, SQLITE_ERROR,
                     "retrain: model \"%s\" was trained from a SELECT, which is not run again: make it a view, and "
                     "train from the view",
                     table->name);
  if (code == SQLITE_OK && !(request.family = family_named(origin.family)))
    code = shadow_damaged(error, name, "it is of the unknown family \"%s\"", origin.family);
  int elsewhere = origin.source_schema && *origin.source_schema;
  if (code == SQLITE_OK &&
      !(source = sqlite3_mprintf("\"%w\".\"%w\"", elsewhere ? origin.source_schema : table->schema, origin.source)))
    code = error_no_memory(error);
  if (code == SQLITE_OK) {
    request.source = source;
    request.size = origin.size;
    request.options = origin.options;
    code = training_begin(table->connection, &request, &training, error);
  }
  if (code == SQLITE_OK) code = training_run(training, error);
  if (code == SQLITE_OK) {
    training->replaces = 1;
    code = training_store(training, error);
  }
  training_end(training);
  sqlite3_free(source);
  origin_free(&origin);
  return code;
}

int model_integrity(ModelTable *table, Error *error) {
  Model *model = NULL;
  Interrupt interrupt;
  interrupt_begin(&interrupt, table->connection->db);
  int code = connection_open(table->connection, table_name(table), &model, error);
  if (code == SQLITE_OK) code = model_check(model, &interrupt.cancel, error);
  interrupt_end(&interrupt);
  return code;
}

static int run_command(ModelTable *table, const char *command, sqlite3_value *payload, Error *error) {
  if (sqlite3_stricmp(command, "store") == 0) {
    const TrainedModel *trained = sqlite3_value_pointer(payload, PAYLOAD_TYPE);
    if (trained) return store_write(table->connection->db, table_name(table), trained, error);
  }
  if (sqlite3_stricmp(command, "retrain") == 0) return command_retrain(table, error);
  if (sqlite3_stricmp(command, "integrity-check") == 0) return model_integrity(table, error);
  return error_set(error, SQLITE_ERROR,
                   "model \"%s\": there is no command '%s'; there are 'retrain' and 'integrity-check'", table->name,
                   command);
}

int model_update(sqlite3_vtab *vtab, int count, sqlite3_value **values, sqlite3_int64 *rowid) {
  ModelTable *table = (ModelTable *)vtab;
  Error error = {0};
  int code;
  *rowid = sqlite3_last_insert_rowid(table->connection->db); /* what SQLite will set it to: unchanged */
  int inserts = count > 1 && sqlite3_value_type(values[0]) == SQLITE_NULL;
  sqlite3_value *command = inserts ? values[2 + COLUMN_COMMAND] : NULL;
  if (command && sqlite3_value_type(command) == SQLITE_TEXT) {
    const char *text = (const char *)sqlite3_value_text(command);
    code = text ? run_command(table, text, values[2 + COLUMN_PAYLOAD], &error) : error_no_memory(&error);
  } else {
    code = error_set(&error, SQLITE_ERROR,
                     "model \"%s\" is computed from its ratings: change those in the table it was trained from, then "
                     "INSERT INTO \"%w\"(\"%w\") VALUES('retrain')",
                     table->name, table->name, table->name);
  }
  return code == SQLITE_OK ? SQLITE_OK : vtab_report(vtab, &error);
}
