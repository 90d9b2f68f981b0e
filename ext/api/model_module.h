/* What the files of the module `recommender` share: model_table.c makes and ends the table, model_command.c changes it,
 * model_cursor.c reads it. Nobody else includes this. */
#ifndef RECOMMEND_API_MODEL_MODULE_H
#define RECOMMEND_API_MODEL_MODULE_H

#include "../model/connection.h"

/* The columns: see model_table.c. */
enum {
  COLUMN_USER,
  COLUMN_ITEM,
  COLUMN_SCORE,
  COLUMN_PREDICTION,
  COLUMN_RATING,
  COLUMN_SEEN,
  COLUMN_TIMESTAMP,
  COLUMN_COMMAND,
  COLUMN_PAYLOAD
};

typedef struct ModelTable {
  sqlite3_vtab base;
  Connection *connection;
  char *schema, *name;
} ModelTable;

static inline ModelName table_name(const ModelTable *table) { return (ModelName){table->schema, table->name}; }

/* model_command.c */
int model_update(sqlite3_vtab *vtab, int count, sqlite3_value **values, sqlite3_int64 *rowid);
int model_integrity(ModelTable *table, Error *error);

/* model_cursor.c */
int model_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info);
int model_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **base);
int model_cursor_close(sqlite3_vtab_cursor *base);
int model_cursor_filter(sqlite3_vtab_cursor *base, int plan, const char *letters, int count, sqlite3_value **values);
int model_cursor_next(sqlite3_vtab_cursor *base);
int model_cursor_eof(sqlite3_vtab_cursor *base);
int model_cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column);
int model_cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid);

#endif
