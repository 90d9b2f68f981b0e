/* Reading the shadow tables with care: every value is checked for type, range, length, checksum and finiteness, and
 * what is wrong is named. See reader.h. */
#include "reader.h"

#include <stdarg.h>

#include "blobs.h"
#include "store.h"

/* The first column is the row's key, for messages; %w stands for schema and name in turn. */
static const char *const statement_texts[STATEMENTS] = {
    [STATEMENT_STAMPS] = ("SELECT i.value AS item_stamp, u.value AS user_stamp, n.value AS users FROM "
                          "\"%w\".\"%w_config\" i, \"%w\".\"%w_config\" u, "
                          "\"%w\".\"%w_config\" n "
                          "WHERE i.key = 'item_stamp' AND u.key = 'user_stamp' AND n.key = 'users'"),
    [STATEMENT_FORMAT] = "SELECT key, value FROM \"%w\".\"%w_config\" WHERE key = 'format'",
    [STATEMENT_CONFIG] = "SELECT key, value FROM \"%w\".\"%w_config\"",
    [STATEMENT_ITEMS] = "SELECT idx, id FROM \"%w\".\"%w_item\" ORDER BY idx",
    [STATEMENT_COUNTS] = "SELECT idx, n, liked FROM \"%w\".\"%w_item\" ORDER BY idx",
    [STATEMENT_ITEM_CHUNKS] = "SELECT chunk, n, data FROM \"%w\".\"%w_itemfactor\" ORDER BY chunk",
    [STATEMENT_USER_BY_ID] = "SELECT idx FROM \"%w\".\"%w_user\" WHERE id = ?1",
    [STATEMENT_USERS] = "SELECT idx, id, n, history FROM \"%w\".\"%w_user\" WHERE idx BETWEEN ?1 AND ?2 ORDER BY idx",
    [STATEMENT_USER_CHUNKS] = ("SELECT chunk, n, data FROM \"%w\".\"%w_userfactor\" "
                               "WHERE chunk BETWEEN ?1 AND ?2 ORDER BY chunk"),
    [STATEMENT_OPTIONS] = "SELECT key, value FROM \"%w\".\"%w_config\" WHERE key = 'options'",
    [STATEMENT_TERMS] = "SELECT idx, term, df, idf FROM \"%w\".\"%w_term\" ORDER BY idx",
    [STATEMENT_NEIGHBORS] = "SELECT idx, n, data FROM \"%w\".\"%w_neighbor\" WHERE idx BETWEEN ?1 AND ?2 ORDER BY idx",
    [STATEMENT_WEIGHT] = "SELECT name, data FROM \"%w\".\"%w_weight\" WHERE name = ?1",
};

/* The tables that they read, where a row may be damaged. */
static const char *const statement_tables[STATEMENTS] = {
    [STATEMENT_STAMPS] = "config",          [STATEMENT_FORMAT] = "config", [STATEMENT_CONFIG] = "config",
    [STATEMENT_OPTIONS] = "config",         [STATEMENT_ITEMS] = "item",    [STATEMENT_COUNTS] = "item",
    [STATEMENT_USER_BY_ID] = "user",        [STATEMENT_USERS] = "user",    [STATEMENT_ITEM_CHUNKS] = "itemfactor",
    [STATEMENT_USER_CHUNKS] = "userfactor", [STATEMENT_TERMS] = "term",    [STATEMENT_WEIGHT] = "weight",
    [STATEMENT_NEIGHBORS] = "neighbor",
};

int reader_begin(Reader *reader, sqlite3 *db, ModelName name, Error *error) {
  *reader = (Reader){.db = db};
  reader->name.schema = sqlite3_mprintf("%s", name.schema);
  reader->name.name = sqlite3_mprintf("%s", name.name);
  return reader->name.schema && reader->name.name ? SQLITE_OK : error_no_memory(error);
}

void reader_reset(Reader *reader) {
  for (int i = 0; i < STATEMENTS; i++) sqlite3_reset(reader->statements[i]);
}

void reader_end(Reader *reader) {
  for (int i = 0; i < STATEMENTS; i++) sqlite3_finalize(reader->statements[i]);
  sqlite3_free((char *)(uintptr_t)reader->name.schema);
  sqlite3_free((char *)(uintptr_t)reader->name.name);
  *reader = (Reader){0};
}

int reader_statement(Reader *reader, ReaderStatement which, sqlite3_stmt **statement, Error *error) {
  int code = SQLITE_OK;
  sqlite3_stmt **cached = &reader->statements[which];
  if (!*cached)
    code = shadow_prepare(reader->db, reader->name, cached, error, statement_texts[which], reader->name.schema,
                          reader->name.name, reader->name.schema, reader->name.name, reader->name.schema,
                          reader->name.name);
  *statement = *cached;
  return code;
}

int reader_step(Reader *reader, sqlite3_stmt *statement, Error *error) {
  int code = sqlite3_step(statement);
  if (code == SQLITE_ROW || code == SQLITE_DONE) return code;
  return shadow_failed(reader->db, reader->name, sqlite3_sql(statement), code, error);
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

/* A value as a reader of messages should see it. */
static char *describe(sqlite3_stmt *row, int column) {
  switch (sqlite3_column_type(row, column)) {
    case SQLITE_NULL: return sqlite3_mprintf("NULL");
    case SQLITE_INTEGER: return sqlite3_mprintf("%lld", sqlite3_column_int64(row, column));
    case SQLITE_FLOAT: return sqlite3_mprintf("%!.15g", sqlite3_column_double(row, column));
    case SQLITE_TEXT: return sqlite3_mprintf("'%.40q'", sqlite3_column_text(row, column));
    default: return sqlite3_mprintf("a blob of %d bytes", sqlite3_column_bytes(row, column));
  }
}

static const char *table_of(const Reader *reader, const sqlite3_stmt *row) {
  for (int i = 0; i < STATEMENTS; i++)
    if (reader->statements[i] == row) return statement_tables[i];
  return NULL;
}

/* Takes the text over, which may be NULL. */
static int damaged_row(Reader *reader, sqlite3_stmt *row, int column, char *what, Error *error) {
  char *key = row == reader->statements[STATEMENT_STAMPS] ? sqlite3_mprintf("of this name") : describe(row, 0);
  const char *name = sqlite3_column_name(row, column);
  int code = what && key && name ? shadow_damaged(error, reader->name, "%s in row %s of %s_%s: %s", name, key,
                                                  reader->name.name, table_of(reader, row), what)
                                 : error_no_memory(error);
  sqlite3_free(key);
  sqlite3_free(what);
  return code;
}

int reader_damaged(Reader *reader, sqlite3_stmt *row, int column, Error *error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *what = sqlite3_vmprintf(format, arguments);
  va_end(arguments);
  return damaged_row(reader, row, column, what, error);
}

int reader_expected(Reader *reader, sqlite3_stmt *row, int column, Error *error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *expected = sqlite3_vmprintf(format, arguments), *found = describe(row, column);
  va_end(arguments);
  char *what = expected && found ? sqlite3_mprintf("expected %s, found %s", expected, found) : NULL;
  sqlite3_free(expected);
  sqlite3_free(found);
  return damaged_row(reader, row, column, what, error);
}

int reader_no_row(Reader *reader, const char *suffix, int64_t key, Error *error) {
  return shadow_damaged(error, reader->name, "%s_%s has no row %lld", reader->name.name, suffix, key);
}

int reader_wrong_count(Reader *reader, const char *suffix, int64_t expected, int64_t found, Error *error) {
  return shadow_damaged(error, reader->name, "%s_%s: expected %lld rows, found %lld", reader->name.name, suffix,
                        expected, found);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

int reader_integer(Reader *reader, sqlite3_stmt *statement, int column, int64_t minimum, int64_t maximum,
                   int64_t *value, Error *error) {
  *value = sqlite3_column_int64(statement, column);
  if (sqlite3_column_type(statement, column) == SQLITE_INTEGER && *value >= minimum && *value <= maximum)
    return SQLITE_OK;
  if (minimum == maximum) return reader_expected(reader, statement, column, error, "%lld", minimum);
  return reader_expected(reader, statement, column, error, "an integer from %lld to %lld", minimum, maximum);
}

int reader_blob(Reader *reader, sqlite3_stmt *row, int column, size_t size, const void **blob, Error *error) {
  *blob = sqlite3_column_blob(row, column);
  size_t found = (size_t)sqlite3_column_bytes(row, column);
  if (sqlite3_column_type(row, column) != SQLITE_BLOB || found != size)
    return reader_expected(reader, row, column, error, "a blob of %lld bytes", (sqlite3_int64)size);
  if (!*blob) return error_no_memory(error);
  if (blob_is_sealed(*blob, size)) return SQLITE_OK;
  return reader_damaged(reader, row, column, error, "its bytes do not match their checksum");
}

int reader_weight(Reader *reader, const char *kind, size_t number, size_t size, sqlite3_stmt **row, const void **blob,
                  Error *error) {
  char name[48];
  sqlite3_snprintf(sizeof name, name, "%s/%lld", kind, (sqlite3_int64)number);
  int code = reader_statement(reader, STATEMENT_WEIGHT, row, error);
  if (code != SQLITE_OK) return code;
  sqlite3_reset(*row);
  code = sqlite3_bind_text(*row, 1, name, -1, SQLITE_TRANSIENT);
  if (code != SQLITE_OK) return error_from_database(error, reader->db, code, NULL);
  code = reader_step(reader, *row, error);
  if (code == SQLITE_DONE)
    return shadow_damaged(error, reader->name, "%s_weight has no row '%s'", reader->name.name, name);
  return code == SQLITE_ROW ? reader_blob(reader, *row, 1, size, blob, error) : code;
}

/* The one number that a query of the shadow table <name>_<suffix> gives. */
static int query_number(Reader *reader, const char *format, const char *suffix, sqlite3_int64 *number, Error *error) {
  sqlite3_stmt *statement = NULL;
  int code = shadow_prepare(reader->db, reader->name, &statement, error, format, reader->name.schema, reader->name.name,
                            suffix);
  if (code == SQLITE_OK && (code = reader_step(reader, statement, error)) == SQLITE_ROW) {
    *number = sqlite3_column_int64(statement, 0);
    code = SQLITE_OK;
  }
  sqlite3_finalize(statement);
  return code;
}

int reader_count(Reader *reader, const char *suffix, int64_t count, Error *error) {
  sqlite3_int64 found = 0;
  int code = query_number(reader, "SELECT count(*) FROM \"%w\".\"%w_%s\"", suffix, &found, error);
  return code == SQLITE_OK && found != count ? reader_wrong_count(reader, suffix, count, found, error) : code;
}

int reader_bytes(Reader *reader, const char *suffix, size_t size, Error *error) {
  sqlite3_int64 found = 0;
  int code =
      query_number(reader, "SELECT coalesce(sum(length(data)), 0) FROM \"%w\".\"%w_%s\" WHERE typeof(data) = 'blob'",
                   suffix, &found, error);
  if (code == SQLITE_OK && (uint64_t)found != size)
    code = shadow_damaged(error, reader->name,
                          "data in all rows of %s_%s: expected blobs of %lld bytes together, found %lld",
                          reader->name.name, suffix, (sqlite3_int64)size, found);
  return code;
}

int reader_chunk_head(Reader *reader, sqlite3_stmt *statement, int64_t chunk, size_t n, Error *error) {
  int64_t value;
  int code = reader_integer(reader, statement, 0, chunk, chunk, &value, error);
  return code == SQLITE_OK ? reader_integer(reader, statement, 1, (int64_t)n, (int64_t)n, &value, error) : code;
}

int reader_chunk(Reader *reader, sqlite3_stmt *statement, const ModelShape *shape, int64_t chunk, size_t n,
                 const char **data, Error *error) {
  const void *blob = NULL;
  int code = reader_chunk_head(reader, statement, chunk, n, error);
  if (code == SQLITE_OK)
    code = reader_blob(reader, statement, 2, blob_floats_size(n * store_row_floats(shape)), &blob, error);
  *data = blob;
  return code;
}
