/* What a source argument means: a table, a view or a SELECT, and the columns it has.
 *
 * Reading its rows is interactions.h, or any statement that begins with SourceColumns.with. */
#ifndef RECOMMEND_DATA_SOURCE_H
#define RECOMMEND_DATA_SOURCE_H

#include "database_error.h"
#include "id.h"

typedef struct Source {
  int is_query;
  char *schema; /* of the table or view; NULL for a query. Owned, like the rest. */
  char *name;   /* NULL for a query */
  char *text;   /* as the user gave it */
} Source;

/* Resolves `text` on this connection. A text that begins with SELECT, WITH or VALUES (after blanks, comments and
 * parentheses) is a query. Any other is a name, searched for in temp, main and the attached schemas, or in the one it
 * carries (aux.ratings); names may be quoted ("…", […], `…`); a table that really has a dot in its name comes first.
 * SQLITE_ERROR with a message that says what to do. `caller` is the function's name, for messages: "mf_train". */
int source_resolve(sqlite3 *db, const char *text, const char *caller, Source *source, Error *error);

/* Cleared memory is fine; leaves it cleared. */
void source_free(Source *source);

typedef struct SourceColumns {
  int count;
  char **names;
  IdAffinity *affinities; /* as declared; an expression has none (ID_AFFINITY_BLOB) */
  char *with; /* WITH "recommend(rows)"(c1, c2, …) AS (…): what a statement that reads FROM "recommend(rows)" begins
                 with. Rows come in the source's order: that of the query, or of the table, not of one of its indexes */
} SourceColumns;

/* Prepares the source and says what columns it has. A query must be one statement that only reads and has no
 * parameters: otherwise SQLITE_ERROR and a message. What SQLite says of a wrong one is passed on. */
int source_columns(sqlite3 *db, const Source *source, const char *caller, SourceColumns *columns, Error *error);
void source_columns_free(SourceColumns *columns);

/* The index of a column by name, in any case of letters; -1 with a message that lists those there are. `option` is
 * what named it, for the message: "rating". */
int source_column(const SourceColumns *columns, const char *name, const char *option, const char *caller, Error *error);

#endif
