/* Reading the shadow tables with care: every value is checked for type, range, length, checksum and finiteness, and
 * what is wrong is named. See reader.h. */
#include "reader.h"

#include <math.h>

#include "../base/bytes.h"
#include "store.h"

static const char *const statement_texts[STATEMENTS] = {
    [STATEMENT_STAMPS] = ("SELECT i.value, u.value, n.value FROM \"%w\".\"%w_config\" i, \"%w\".\"%w_config\" u, "
                          "\"%w\".\"%w_config\" n "
                          "WHERE i.key = 'item_stamp' AND u.key = 'user_stamp' AND n.key = 'users'"),
    [STATEMENT_CONFIG] = "SELECT key, value FROM \"%w\".\"%w_config\"",
    [STATEMENT_ITEMS] = "SELECT idx, id FROM \"%w\".\"%w_item\" ORDER BY idx",
    [STATEMENT_COUNTS] = "SELECT idx, n, liked FROM \"%w\".\"%w_item\" ORDER BY idx",
    [STATEMENT_ITEM_CHUNKS] = "SELECT chunk, n, data FROM \"%w\".\"%w_itemfactor\" ORDER BY chunk",
    [STATEMENT_USER_BY_ID] = "SELECT idx FROM \"%w\".\"%w_user\" WHERE id = ?1",
    [STATEMENT_USERS] = "SELECT idx, id, n, history FROM \"%w\".\"%w_user\" WHERE idx BETWEEN ?1 AND ?2 ORDER BY idx",
    [STATEMENT_USER_CHUNKS] = ("SELECT chunk, n, data FROM \"%w\".\"%w_userfactor\" "
                               "WHERE chunk BETWEEN ?1 AND ?2 ORDER BY chunk"),
    [STATEMENT_OPTIONS] = "SELECT value FROM \"%w\".\"%w_config\" WHERE key = 'options'",
    [STATEMENT_TERMS] = "SELECT idx, term, df, idf FROM \"%w\".\"%w_term\" ORDER BY idx",
    [STATEMENT_NEIGHBORS] = "SELECT idx, n, data FROM \"%w\".\"%w_neighbor\" WHERE idx BETWEEN ?1 AND ?2 ORDER BY idx",
    [STATEMENT_WEIGHT] = "SELECT data FROM \"%w\".\"%w_weight\" WHERE name = ?1",
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

int reader_integer(Reader *reader, sqlite3_stmt *statement, int column, int64_t minimum, int64_t maximum,
                   const char *what, int64_t *value, Error *error) {
  *value = sqlite3_column_int64(statement, column);
  if (sqlite3_column_type(statement, column) == SQLITE_INTEGER && *value >= minimum && *value <= maximum)
    return SQLITE_OK;
  return shadow_damaged(error, reader->name, "%s must be an integer from %lld to %lld", what, minimum, maximum);
}

int reader_blob(Reader *reader, sqlite3_stmt *statement, int column, size_t size, const char *what, const void **blob,
                Error *error) {
  *blob = sqlite3_column_blob(statement, column);
  size_t found = (size_t)sqlite3_column_bytes(statement, column);
  if (sqlite3_column_type(statement, column) != SQLITE_BLOB)
    return shadow_damaged(error, reader->name, "%s is not a blob", what);
  if (found != size + STORE_CHECKSUM)
    return shadow_damaged(error, reader->name, "%s has %lld bytes, not %lld", what, (sqlite3_int64)found,
                          (sqlite3_int64)size + STORE_CHECKSUM);
  if (!*blob) return error_no_memory(error); /* and not an empty blob, which has been told apart */
  if (bytes_load64((const char *)*blob + size) != bytes_hash(0, *blob, size))
    return shadow_damaged(error, reader->name, "%s does not match its checksum", what);
  return SQLITE_OK;
}

int reader_weight(Reader *reader, const char *name, size_t size, const char *missing, const char *what,
                  const void **blob, Error *error) {
  sqlite3_stmt *statement = NULL;
  int code = reader_statement(reader, STATEMENT_WEIGHT, &statement, error);
  if (code != SQLITE_OK) return code;
  sqlite3_reset(statement);
  code = sqlite3_bind_text(statement, 1, name, -1, SQLITE_TRANSIENT);
  if (code != SQLITE_OK) return error_from_database(error, reader->db, code, NULL);
  code = reader_step(reader, statement, error);
  if (code == SQLITE_DONE) return shadow_damaged(error, reader->name, "%s", missing);
  return code == SQLITE_ROW ? reader_blob(reader, statement, 0, size, what, blob, error) : code;
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

int reader_count(Reader *reader, const char *suffix, int64_t count, const char *what, Error *error) {
  sqlite3_int64 found = 0;
  int code = query_number(reader, "SELECT count(*) FROM \"%w\".\"%w_%s\"", suffix, &found, error);
  if (code == SQLITE_OK && found != count)
    code = shadow_damaged(error, reader->name, "it has %lld %s, not %lld", found, what, count);
  return code;
}

int reader_bytes(Reader *reader, const char *suffix, size_t size, const char *what, Error *error) {
  sqlite3_int64 found = 0;
  int code =
      query_number(reader, "SELECT coalesce(sum(length(data)), 0) FROM \"%w\".\"%w_%s\" WHERE typeof(data) = 'blob'",
                   suffix, &found, error);
  if (code == SQLITE_OK && (uint64_t)found != size)
    code = shadow_damaged(error, reader->name, "%s have %lld bytes, not %lld", what, found, (sqlite3_int64)size);
  return code;
}

int reader_floats(Reader *reader, const char *from, size_t n, const char *what, float *to, Error *error) {
  bytes_copy_words(to, from, n);
  int finite = 1;
  for (size_t i = 0; i < n; i++) finite &= isfinite(to[i]) != 0;
  return finite ? SQLITE_OK : shadow_damaged(error, reader->name, "%s is not finite", what);
}

int reader_chunk_head(Reader *reader, sqlite3_stmt *statement, int64_t chunk, size_t n, Error *error) {
  int64_t value;
  int code = reader_integer(reader, statement, 0, chunk, chunk, "the number of a chunk of factors", &value, error);
  if (code == SQLITE_OK)
    code = reader_integer(reader, statement, 1, (int64_t)n, (int64_t)n, "the vectors in a chunk of factors", &value,
                          error);
  return code;
}

int reader_chunk(Reader *reader, sqlite3_stmt *statement, const ModelShape *shape, int64_t chunk, size_t n,
                 const char **data, Error *error) {
  const void *blob = NULL;
  int code = reader_chunk_head(reader, statement, chunk, n, error);
  if (code == SQLITE_OK)
    code = reader_blob(reader, statement, 2, n * store_row_floats(shape) * sizeof(float), "a chunk of factors", &blob,
                       error);
  *data = blob;
  return code;
}
