/* Storing a trained model: see replacement.h. */
#include "replacement.h"

static int is_column(const char *name) {
  static const char *const columns[] = {"user", "item",      "score",    "prediction", "rating",
                                        "seen", "timestamp", "_payload", "rowid"};
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
    if (sqlite3_stricmp(name, columns[i]) == 0) return 1;
  return 0;
}

int model_check_name(sqlite3 *db, const char *name, Error *error) {
  if (!*name) return error_set(error, SQLITE_ERROR, "a model needs a name");
  if (is_column(name))
    return error_set(error, SQLITE_ERROR, "a model can't be called \"%s\", which is a column of every model", name);
  sqlite3_stmt *statement = NULL;
  int is_module = 0;
  int code =
      sqlite3_prepare_v2(db, "SELECT 1 FROM pragma_module_list WHERE name = ?1 COLLATE NOCASE", -1, &statement, NULL);
  if (code == SQLITE_OK) code = sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
  if (code == SQLITE_OK) is_module = sqlite3_step(statement) == SQLITE_ROW;
  int finalized = sqlite3_finalize(statement);
  if (code == SQLITE_OK) code = finalized;
  if (code != SQLITE_OK) return error_from_database(error, db, code, NULL);
  return is_module ? error_set(error, SQLITE_ERROR,
                               "a model can't be called \"%s\": it would hide the function of that name", name)
                   : SQLITE_OK;
}

static int run_with_payload(sqlite3 *db, const char *sql, const void *payload, const char *type, Error *error) {
  sqlite3_stmt *statement = NULL;
  int code = sql ? sqlite3_prepare_v2(db, sql, -1, &statement, NULL) : SQLITE_NOMEM;
  if (code == SQLITE_OK && sqlite3_bind_parameter_count(statement))
    code = sqlite3_bind_pointer(statement, 1, (void *)(uintptr_t)payload, type, NULL);
  if (code == SQLITE_OK) sqlite3_step(statement);
  int finalized = sqlite3_finalize(statement);
  if (code == SQLITE_OK) code = finalized;
  return code == SQLITE_OK ? SQLITE_OK : error_from_database(error, db, code, NULL);
}

/* A row that the model's own tables refuse is no conflict of the user's statement, which INSERT OR IGNORE would skip in
 * silence: somebody has put a trigger or an index on them, or rows are there that should not be. */
static int refused_by_tables(ModelName name, Error *error) {
  Error refused = *error;
  *error = (Error){0};
  int code = error_set(error, SQLITE_CORRUPT_VTAB,
                       "model \"%s\" is damaged, or a trigger or an index was put on its tables: %s (drop that, or "
                       "train it again, or restore the database from a backup)",
                       name.name, refused.message);
  error_clear(&refused);
  return code;
}

int model_store_payload(Connection *connection, ModelName name, const char *command, const void *payload,
                        const char *type, Error *error) {
  char *sql = sqlite3_mprintf("INSERT INTO \"%w\".\"%w\"(\"%w\", _payload) SELECT %Q, ?1", name.schema, name.name,
                              name.name, command);
  int code = run_with_payload(connection->db, sql, payload, type, error);
  sqlite3_free(sql);
  return (code & 0xff) == SQLITE_CONSTRAINT ? refused_by_tables(name, error) : code;
}

int model_store(Connection *connection, ModelName name, const Replacement *replacement, int replaces, Error *error) {
  const TrainedModel *trained = replacement->trained;
  if (replaces) return model_store_payload(connection, name, "store", replacement, PAYLOAD_TYPE, error);
  char size[32] = ""; /* a family without a size has 0 */
  if (trained->sized) sqlite3_snprintf(sizeof size, size, "size=%.15g, ", trained->size);
  char *sql = sqlite3_mprintf(
      "CREATE VIRTUAL TABLE \"%w\".\"%w\" USING recommender(train=%s, source=%Q, "
      "%soptions=%Q)",
      name.schema, name.name, trained->family, trained->source, size, trained->options);
  connection->storing = trained;
  int code = run_with_payload(connection->db, sql, NULL, PAYLOAD_TYPE, error);
  connection->storing = NULL;
  sqlite3_free(sql);
  return code;
}
