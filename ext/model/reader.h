/* Reading the shadow tables of one model with care; the bytes of blobs are read in blobs.c. The files of model/ are
 * built on it; nobody else includes it. */
#ifndef RECOMMEND_MODEL_READER_H
#define RECOMMEND_MODEL_READER_H

#include "shadow.h"
#include "trained.h"

typedef enum ReaderStatement {
  STATEMENT_STAMPS,
  STATEMENT_FORMAT,
  STATEMENT_CONFIG,
  STATEMENT_ITEMS,
  STATEMENT_COUNTS,
  STATEMENT_ITEM_CHUNKS,
  STATEMENT_USER_BY_ID,
  STATEMENT_USERS,
  STATEMENT_USER_CHUNKS,
  STATEMENT_OPTIONS,
  STATEMENT_TERMS,
  STATEMENT_WEIGHT,
  STATEMENT_NEIGHBORS,
  STATEMENTS
} ReaderStatement;

typedef struct Reader {
  sqlite3 *db;
  ModelName name;                       /* its texts are owned */
  sqlite3_stmt *statements[STATEMENTS]; /* prepared when first needed */
} Reader;

/* Copies the name. SQLITE_NOMEM leaves a reader that may be ended. */
int reader_begin(Reader *reader, sqlite3 *db, ModelName name, Error *error);
void reader_reset(Reader *reader); /* ends what the statements read */
void reader_end(Reader *reader);   /* finalizes them; cleared is fine */

/* The statement, prepared and reset, without parameters. */
int reader_statement(Reader *reader, ReaderStatement which, sqlite3_stmt **statement, Error *error);

/* Steps: SQLITE_ROW, SQLITE_DONE, or the code of an error that has been recorded. */
int reader_step(Reader *reader, sqlite3_stmt *statement, Error *error);

/* Damage in the row that one of the reader's statements has stepped to, whose first column is its key. It names the
 * table, the row and the column, and goes on with what is wrong there: */
int reader_damaged(Reader *reader, sqlite3_stmt *row, int column, Error *error, const char *format, ...);

/* … "expected <format>, found <what the column holds>". */
int reader_expected(Reader *reader, sqlite3_stmt *row, int column, Error *error, const char *format, ...);

/* Damage: a shadow table has no row of this key, or `found` rows where there should be `expected`. */
int reader_no_row(Reader *reader, const char *suffix, int64_t key, Error *error);
int reader_wrong_count(Reader *reader, const char *suffix, int64_t expected, int64_t found, Error *error);

/* An INTEGER column within limits, else damage. */
int reader_integer(Reader *reader, sqlite3_stmt *row, int column, int64_t minimum, int64_t maximum, int64_t *value,
                   Error *error);

/* A BLOB column of exactly `size` bytes, whose checksum must be right. Borrowed from the statement. */
int reader_blob(Reader *reader, sqlite3_stmt *row, int column, size_t size, const void **blob, Error *error);

/* The row "<kind>/<number>" of m_weight, as STATEMENT_WEIGHT gives it (name, data), and its blob of `size` bytes,
 * borrowed until the next; damage where there is none. */
int reader_weight(Reader *reader, const char *kind, size_t number, size_t size, sqlite3_stmt **row, const void **blob,
                  Error *error);

/* Damage unless a shadow table has `count` rows. */
int reader_count(Reader *reader, const char *suffix, int64_t count, Error *error);

/* Damage unless the blobs in the column `data` of a shadow table have `size` bytes together. It reads none of them:
 * before memory is asked for by what m_config says, so much must be there. */
int reader_bytes(Reader *reader, const char *suffix, size_t size, Error *error);

/* The first columns of a chunk statement (chunk, n, data): must be chunk `chunk` with `n` vectors. */
int reader_chunk_head(Reader *reader, sqlite3_stmt *statement, int64_t chunk, size_t n, Error *error);

/* The same, and its factors. */
int reader_chunk(Reader *reader, sqlite3_stmt *statement, const ModelShape *shape, int64_t chunk, size_t n,
                 const char **data, Error *error);

#endif
