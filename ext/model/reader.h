/* What the files that read a model share; nobody else includes it. */
#ifndef RECOMMEND_MODEL_READER_H
#define RECOMMEND_MODEL_READER_H

#include "model.h"

typedef enum ModelStatement {
  STATEMENT_STAMPS,
  STATEMENT_CONFIG,
  STATEMENT_ITEMS,
  STATEMENT_ITEM_CHUNKS,
  STATEMENT_USER_BY_ID,
  STATEMENT_USERS,
  STATEMENT_USER_CHUNKS,
  STATEMENTS
} ModelStatement;

struct Model {
  sqlite3 *db;
  char *schema, *name;
  sqlite3_stmt *statements[STATEMENTS]; /* prepared when first needed */
  ModelItems *items;                    /* the cache; NULL until the first model_begin */
  int64_t user_stamp;
};

/* The statement, prepared and reset, without parameters. */
int reader_statement(Model *model, ModelStatement which, sqlite3_stmt **statement, Error *error);

/* Steps: SQLITE_ROW, SQLITE_DONE, or the code of an error that has been recorded. */
int reader_step(Model *model, sqlite3_stmt *statement, Error *error);

/* An INTEGER column within limits, else damage. `what` names it in the message. */
int reader_integer(Model *model, sqlite3_stmt *statement, int column, int64_t minimum, int64_t maximum,
                   const char *what, int64_t *value, Error *error);

/* A BLOB column of exactly `size` bytes before its checksum, which must be right. Borrowed from the statement. */
int reader_blob(Model *model, sqlite3_stmt *statement, int column, size_t size, const char *what, const void **blob,
                Error *error);

/* Copies n floats out of a blob; damage where one is not finite. */
int reader_floats(Model *model, const char *from, size_t n, const char *what, float *to, Error *error);

/* One row of a chunk statement (chunk, n, data): must be chunk `chunk` with `n` vectors. */
int reader_chunk(Model *model, sqlite3_stmt *statement, const ModelShape *shape, int64_t chunk, size_t n,
                 const char **data, Error *error);

/* Reads m_config and the item side afresh. */
int items_load(Model *model, int64_t stamp, ModelItems **items, Error *error);

#endif
