/* The shadow tables of a model: see shadow.h. */
#include "shadow.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#define SHADOW_TABLES (sizeof shadow_tables / sizeof *shadow_tables)

static const struct {
  const char *suffix;
  const char *columns;
} shadow_tables[] = {
    {"config", "key TEXT PRIMARY KEY, value"},
    {"user", "idx INTEGER PRIMARY KEY, id UNIQUE, n INTEGER, history BLOB"},
    {"item", "idx INTEGER PRIMARY KEY, id UNIQUE, n INTEGER, liked INTEGER"},
    {"userfactor", "chunk INTEGER PRIMARY KEY, n INTEGER, data BLOB"},
    {"itemfactor", "chunk INTEGER PRIMARY KEY, n INTEGER, data BLOB"},
    {"neighbor", "idx INTEGER PRIMARY KEY, n INTEGER, data BLOB"},
    {"term", "idx INTEGER PRIMARY KEY, term TEXT UNIQUE, df INTEGER, idf REAL"},
    {"weight", "name TEXT PRIMARY KEY, shape TEXT, data BLOB"},
};

int shadow_execute(sqlite3 *db, Error *error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *sql = sqlite3_vmprintf(format, arguments);
  va_end(arguments);
  if (!sql) return error_no_memory(error);
  int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
  if (code != SQLITE_OK) error_from_database(error, db, code, NULL);
  sqlite3_free(sql);
  return code;
}

int shadow_damaged(Error *error, ModelName model, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *what = sqlite3_vmprintf(format, arguments);
  va_end(arguments);
  if (!what) return error_no_memory(error);
  int code = error_set(error, SQLITE_CORRUPT_VTAB,
                       "model \"%s\" is damaged: %s (train it again, or restore the database from a backup)",
                       model.name, what);
  sqlite3_free(what);
  return code;
}

/* Does a table lack one of these columns, or is it missing? -1 where memory ran out. SQLite's limits on statements
 * don't matter here. */
static int lacks_columns(sqlite3 *db, ModelName model, const char *table, const char *columns) {
  char column[32];
  for (const char *at = columns; *at;) {
    size_t length = strcspn(at, " ,");
    sqlite3_snprintf((int)sizeof column, column, "%.*s", (int)length, at);
    int code = sqlite3_table_column_metadata(db, model.schema, table, column, NULL, NULL, NULL, NULL, NULL);
    if (code != SQLITE_OK) return code == SQLITE_NOMEM ? -1 : 1;
    at += strcspn(at, ",");
    at += strspn(at, ", ");
  }
  return 0;
}

/* Is one of the tables that `sql` names missing, or one of its columns? -1 where memory ran out. */
static int lacks_something(sqlite3 *db, ModelName model, const char *sql) {
  int lacks = 0;
  for (size_t i = 0; i < SHADOW_TABLES && lacks == 0; i++) {
    char *table = sqlite3_mprintf("%s_%s", model.name, shadow_tables[i].suffix);
    char *quoted = sqlite3_mprintf("\"%w\"", table);
    if (!table || !quoted)
      lacks = -1;
    else if (strstr(sql, quoted))
      lacks = lacks_columns(db, model, table, shadow_tables[i].columns);
    sqlite3_free(table);
    sqlite3_free(quoted);
  }
  return lacks;
}

int shadow_failed(sqlite3 *db, ModelName model, const char *sql, int code, Error *error) {
  if (code != SQLITE_ERROR) return error_from_database(error, db, code, NULL);
  char *said = sqlite3_mprintf("%s", sqlite3_errmsg(db));
  int lacks = said ? lacks_something(db, model, sql) : -1;
  if (lacks < 0)
    code = error_no_memory(error);
  else if (lacks)
    code = shadow_damaged(error, model, "%s", said);
  else
    code = error_set(error, code, "%s", said);
  sqlite3_free(said);
  return code;
}

int shadow_prepare(sqlite3 *db, ModelName model, sqlite3_stmt **statement, Error *error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *sql = sqlite3_vmprintf(format, arguments);
  va_end(arguments);
  if (!sql) return error_no_memory(error);
  int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
  if (code != SQLITE_OK) code = shadow_failed(db, model, sql, code, error);
  sqlite3_free(sql);
  return code;
}

int shadow_is_suffix(const char *suffix) {
  for (size_t i = 0; i < SHADOW_TABLES; i++)
    if (sqlite3_stricmp(suffix, shadow_tables[i].suffix) == 0) return 1;
  return 0;
}

/* Is there anything called <model>_<suffix> in the model's schema? */
static int name_is_taken(sqlite3 *db, ModelName model, const char *suffix, int *taken, Error *error) {
  char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".sqlite_schema WHERE name = '%q_%q' COLLATE NOCASE", model.schema,
                              model.name, suffix);
  if (!sql) return error_no_memory(error);
  sqlite3_stmt *statement = NULL;
  int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
  sqlite3_free(sql);
  if (code == SQLITE_OK) *taken = sqlite3_step(statement) == SQLITE_ROW;
  int finalized = sqlite3_finalize(statement);
  if (code == SQLITE_OK) code = finalized;
  return code == SQLITE_OK ? SQLITE_OK : error_from_database(error, db, code, NULL);
}

int shadow_create(sqlite3 *db, ModelName model, Error *error) {
  int code = SQLITE_OK;
  for (size_t i = 0; i < SHADOW_TABLES && code == SQLITE_OK; i++) {
    int taken = 0;
    code = name_is_taken(db, model, shadow_tables[i].suffix, &taken, error);
    if (code == SQLITE_OK && taken)
      code = error_set(error, SQLITE_ERROR,
                       "model \"%s\" needs the name \"%s_%s\" for its own data, but there is a table of that name: "
                       "choose another name with the option \"model\"",
                       model.name, model.name, shadow_tables[i].suffix);
  }
  for (size_t i = 0; i < SHADOW_TABLES && code == SQLITE_OK; i++)
    code = shadow_execute(db, error, "CREATE TABLE \"%w\".\"%w_%s\"(%s)", model.schema, model.name,
                          shadow_tables[i].suffix, shadow_tables[i].columns);
  return code;
}

int shadow_clear(sqlite3 *db, ModelName model, Error *error) {
  int code = SQLITE_OK;
  for (size_t i = 0; i < SHADOW_TABLES && code == SQLITE_OK; i++)
    code = shadow_execute(db, error, "DELETE FROM \"%w\".\"%w_%s\"", model.schema, model.name, shadow_tables[i].suffix);
  return code;
}

int shadow_drop(sqlite3 *db, ModelName model, Error *error) {
  int code = SQLITE_OK;
  for (size_t i = 0; i < SHADOW_TABLES && code == SQLITE_OK; i++)
    code = shadow_execute(db, error, "DROP TABLE IF EXISTS \"%w\".\"%w_%s\"", model.schema, model.name,
                          shadow_tables[i].suffix);
  return code;
}

int shadow_rename(sqlite3 *db, ModelName model, const char *new_name, Error *error) {
  int code = SQLITE_OK;
  for (size_t i = 0; i < SHADOW_TABLES && code == SQLITE_OK; i++)
    code = shadow_execute(db, error, "ALTER TABLE \"%w\".\"%w_%s\" RENAME TO \"%w_%s\"", model.schema, model.name,
                          shadow_tables[i].suffix, new_name, shadow_tables[i].suffix);
  return code;
}
