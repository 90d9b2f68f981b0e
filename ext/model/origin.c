/* What a model was trained from: see origin.h. */
#include "origin.h"

#include <stddef.h>

/* A column's text as a copy; a step, see base/error.h. */
static char *copy_column(ModelName name, sqlite3_stmt *statement, int column, Error *error) {
  char *copy = NULL;
  if (error->code) return NULL;
  const char *text = (const char *)sqlite3_column_text(statement, column);
  if (text)
    copy = sqlite3_mprintf("%s", text);
  else if (sqlite3_column_type(statement, column) == SQLITE_NULL)
    shadow_damaged(error, name, "it does not say what it was trained from");
  if (!copy) error_no_memory(error);
  return copy;
}

int origin_read(sqlite3 *db, ModelName name, Origin *origin, Error *error) {
  sqlite3_stmt *statement = NULL;
  *origin = (Origin){0};
  int code =
      shadow_prepare(db, name, &statement, error,
                     "SELECT max(value) FILTER (WHERE key = 'source'), max(value) FILTER (WHERE key = 'family'), "
                     "coalesce(nullif(max(value) FILTER (WHERE key = 'source_schema'), ''), %Q), "
                     "max(value) FILTER (WHERE key = 'options'), max(value) FILTER (WHERE key = 'size'), "
                     "max(value) FILTER (WHERE key = 'source_is_query') FROM \"%w\".\"%w_config\"",
                     name.schema, name.schema, name.name);
  if (code != SQLITE_OK) return code;
  code = sqlite3_step(statement);
  if (code == SQLITE_ROW) {
    origin->is_query = sqlite3_column_int(statement, 5) != 0;
    origin->size = sqlite3_column_double(statement, 4);
    origin->source = copy_column(name, statement, 0, error);
    origin->schema = copy_column(name, statement, 2, error);
    origin->family = copy_column(name, statement, 1, error);
    origin->options = copy_column(name, statement, 3, error);
  } else {
    error_from_database(error, db, code, NULL);
  }
  sqlite3_finalize(statement);
  return error->code;
}

void origin_free(Origin *origin) {
  sqlite3_free(origin->family);
  sqlite3_free(origin->source);
  sqlite3_free(origin->schema);
  sqlite3_free(origin->options);
  *origin = (Origin){0};
}
