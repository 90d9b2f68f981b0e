/* From a source argument to a table, a view or a SELECT, and its columns: see source.h. */
#include "source.h"

#include <string.h>

#include "../base/edit_distance.h"
#include "../base/memory.h"
#include "name.h"

void source_free(Source *source) {
  memory_free(source->schema);
  memory_free(source->name);
  memory_free(source->text);
  *source = (Source){0};
}

/* ---- a query or a name? ------------------------------------------------------------------------------------------ */

static int is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         (unsigned char)c >= 0x80;
}

/* Whether text begins with a SELECT's keyword and goes on after it: a table may be called "values". */
static int is_query(const char *text) {
  static const char *const keywords[] = {"SELECT", "WITH", "VALUES"};
  const char *start = name_skip_blanks(text);
  while (*start == '(') start = name_skip_blanks(start + 1);
  for (size_t k = 0; k < sizeof keywords / sizeof *keywords; k++) {
    int length = (int)strlen(keywords[k]);
    if (sqlite3_strnicmp(start, keywords[k], length) == 0 && start[length] && !is_name_character(start[length]))
      return 1;
  }
  return 0;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Runs one SELECT (freed here; NULL: memory ran out) and hands each row to `row` until it returns another code than
 * SQLITE_OK. A step, as all that have to do with names: see base/error.h. */
static void each_row(sqlite3 *db, char *sql, int (*row)(void *context, sqlite3_stmt *statement), void *context,
                     const char *caller, Error *error) {
  sqlite3_stmt *statement = NULL;
  int code = SQLITE_OK, taken = SQLITE_OK;
  if (!sql) error_no_memory(error);
  if (!error->code) {
    code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    while (code == SQLITE_OK && taken == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
      taken = row(context, statement);
      code = SQLITE_OK;
    }
    if (code != SQLITE_OK && code != SQLITE_DONE) error_from_database(error, db, code, caller);
    error_from_code(error, taken);
  }
  sqlite3_finalize(statement);
  sqlite3_free(sql);
}

/* The schemas in the order in which SQLite searches them: temp, main, attached ones. */
typedef struct Schemas {
  char **names;
  int count;
} Schemas;

static int add_schema(void *context, sqlite3_stmt *statement) {
  Schemas *schemas = context;
  const char *name = (const char *)sqlite3_column_text(statement, 1);
  if (!name) return SQLITE_NOMEM;
  char **names = memory_resize(schemas->names, (size_t)schemas->count + 1, sizeof *names);
  if (!names) return SQLITE_NOMEM;
  schemas->names = names;
  char *copy = sqlite3_mprintf("%s", name);
  if (!copy) return SQLITE_NOMEM;
  int place = sqlite3_stricmp(name, "temp") == 0 ? 0 : schemas->count;
  memmove(names + place + 1, names + place, (size_t)(schemas->count - place) * sizeof *names);
  names[place] = copy;
  schemas->count++;
  return SQLITE_OK;
}

static void schemas_free(Schemas *schemas) {
  for (int s = 0; s < schemas->count; s++) sqlite3_free(schemas->names[s]);
  memory_free(schemas->names);
}

static const char *find_schema(const Schemas *schemas, const char *name) {
  for (int s = 0; s < schemas->count; s++)
    if (sqlite3_stricmp(schemas->names[s], name) == 0) return schemas->names[s];
  return NULL;
}

static int copy_text(void *context, sqlite3_stmt *statement) {
  char **copy = context;
  const char *text = (const char *)sqlite3_column_text(statement, 0);
  if (text && !*copy) *copy = sqlite3_mprintf("%s", text);
  return *copy ? SQLITE_OK : SQLITE_NOMEM;
}

/* Looks a table or view up in one schema, or in all of them (NULL), in any case of letters, unless source->name is
 * known already. Leaves it NULL where there is none. */
static void look_up(sqlite3 *db, const Schemas *schemas, const char *schema, const char *name, const char *caller,
                    Source *source, Error *error) {
  for (int s = 0; s < schemas->count && !error->code && !source->name; s++) {
    const char *here = schemas->names[s];
    if (schema && schema != here) continue;
    char *sql = sqlite3_mprintf(
        "SELECT name FROM \"%w\".sqlite_schema WHERE type IN ('table', 'view') AND name = %Q COLLATE NOCASE", here,
        name);
    each_row(db, sql, copy_text, &source->name, caller, error);
    if (source->name && !(source->schema = sqlite3_mprintf("%s", here))) error_no_memory(error);
  }
}

/* ---- what it might have meant ------------------------------------------------------------------------------------ */

typedef struct Nearest {
  const char *wanted;
  int distance; /* of the best so far; only nearer ones are taken */
  char *name;
} Nearest;

static int compare_name(void *context, sqlite3_stmt *statement) {
  Nearest *nearest = context;
  const char *name = (const char *)sqlite3_column_text(statement, 0);
  if (!name) return SQLITE_NOMEM;
  int distance = nearest_distance(nearest->wanted, name);
  if (distance >= nearest->distance) return SQLITE_OK;
  nearest->distance = distance;
  sqlite3_free(nearest->name);
  nearest->name = sqlite3_mprintf("%s", name);
  return nearest->name ? SQLITE_OK : SQLITE_NOMEM;
}

/* The error for a name that is not there, with the nearest that is. */
static void not_found(sqlite3 *db, const Schemas *schemas, const char *schema, const char *name, const char *caller,
                      Error *error) {
  Nearest nearest = {.wanted = name, .distance = nearest_limit(name) + 1};
  const char *nearest_schema = NULL;
  for (int s = 0; s < schemas->count && !error->code; s++) {
    if (schema && schema != schemas->names[s]) continue;
    int before = nearest.distance;
    each_row(
        db, sqlite3_mprintf("SELECT name FROM \"%w\".sqlite_schema WHERE type IN ('table', 'view')", schemas->names[s]),
        compare_name, &nearest, caller, error);
    if (nearest.distance < before) nearest_schema = schemas->names[s];
  }
  const char *dot = nearest_schema && !schema && sqlite3_stricmp(nearest_schema, "main") != 0 ? "." : "";
  char *hint = nearest.name ? sqlite3_mprintf("did you mean \"%s%s%s\"?", *dot ? nearest_schema : "", dot, nearest.name)
                            : sqlite3_mprintf("give the name of one, or a SELECT in quotes");
  if (!hint)
    error_no_memory(error);
  else if (schema)
    error_set(error, SQLITE_ERROR, "%s: there is no table or view \"%s\" in the schema \"%s\": %s", caller, name,
              schema, hint);
  else
    error_set(error, SQLITE_ERROR, "%s: there is no table or view \"%s\": %s", caller, name, hint);
  sqlite3_free(hint);
  sqlite3_free(nearest.name);
}

/* By the whole text as a name first, then as a schema's and a name. */
static void resolve_name(sqlite3 *db, const char *text, const char *caller, Source *source, Error *error) {
  Schemas schemas = {0};
  const char *schema = NULL, *name = text;
  char *first = memory_alloc(strlen(text) + 1, 1), *second = memory_alloc(strlen(text) + 1, 1);
  if (!first || !second) error_no_memory(error);
  each_row(db, sqlite3_mprintf("PRAGMA database_list"), add_schema, &schemas, caller, error);
  look_up(db, &schemas, NULL, text, caller, source, error);
  if (!error->code && first && second && name_split(text, first, second)) {
    schema = *first ? find_schema(&schemas, first) : NULL;
    if (schema || !*first) name = second;
  }
  if (name != text) look_up(db, &schemas, schema, name, caller, source, error);
  if (!error->code && !source->name) not_found(db, &schemas, schema, name, caller, error);
  schemas_free(&schemas);
  memory_free(first);
  memory_free(second);
}

int source_resolve(sqlite3 *db, const char *text, const char *caller, Source *source, Error *error) {
  *source = (Source){0};
  if (!text || !*name_skip_blanks(text))
    return error_set(error, SQLITE_ERROR, "%s: the source is empty: give a table, a view or a SELECT in quotes",
                     caller);
  source->is_query = is_query(text);
  source->text = sqlite3_mprintf("%s", text);
  if (!source->text) error_no_memory(error);
  if (!source->is_query) resolve_name(db, text, caller, source, error);
  if (error->code) source_free(source);
  return error->code;
}

/* ---- columns ----------------------------------------------------------------------------------------------------- */

void source_columns_free(SourceColumns *columns) {
  for (int c = 0; columns->names && c < columns->count; c++) memory_free(columns->names[c]);
  memory_free(columns->names);
  memory_free(columns->affinities);
  memory_free(columns->with);
  *columns = (SourceColumns){0};
}

static int copy_columns(sqlite3_stmt *statement, SourceColumns *columns) {
  columns->count = sqlite3_column_count(statement);
  columns->names = memory_alloc_zero((size_t)columns->count, sizeof *columns->names);
  columns->affinities = memory_alloc((size_t)columns->count, sizeof *columns->affinities);
  if (!columns->names || !columns->affinities) return SQLITE_NOMEM;
  for (int c = 0; c < columns->count; c++) {
    const char *name = sqlite3_column_name(statement, c);
    columns->names[c] = name ? sqlite3_mprintf("%s", name) : NULL;
    if (!columns->names[c]) return SQLITE_NOMEM;
    columns->affinities[c] = id_affinity_of(sqlite3_column_decltype(statement, c));
  }
  return SQLITE_OK;
}

/* `sql` without the semicolon. The newline ends a comment that may be last. */
static char *with_clause(int count, const char *sql, int length) {
  while (length > 0 && name_is_blank(sql[length - 1])) length--;
  if (length > 0 && sql[length - 1] == ';') length--;
  sqlite3_str *text = sqlite3_str_new(NULL);
  sqlite3_str_appendall(text, "WITH \"recommend(rows)\"(");
  for (int c = 1; c <= count; c++) sqlite3_str_appendf(text, c > 1 ? ", c%d" : "c%d", c);
  sqlite3_str_appendall(text, ") AS (");
  sqlite3_str_append(text, sql, length);
  sqlite3_str_appendall(text, "\n)");
  return sqlite3_str_finish(text);
}

/* SQLITE_OK where nothing but blanks, comments and semicolons follow the first statement. */
static int check_tail(const char *tail, const char *caller, Error *error) {
  for (;;) {
    tail = name_skip_blanks(tail);
    if (*tail != ';') break;
    tail++;
  }
  if (!*tail) return SQLITE_OK;
  return error_set(error, SQLITE_ERROR, "%s: the source must be one SELECT, but after it comes \"%.40s\"", caller,
                   tail);
}

static int check_query(sqlite3_stmt *statement, const char *caller, Error *error) {
  if (!sqlite3_stmt_readonly(statement) || sqlite3_column_count(statement) == 0)
    return error_set(error, SQLITE_ERROR, "%s: the source must be a SELECT, which only reads", caller);
  if (sqlite3_bind_parameter_count(statement) > 0)
    return error_set(error, SQLITE_ERROR,
                     "%s: the source's SELECT has parameters, which can't be bound here: write the values into it",
                     caller);
  return SQLITE_OK;
}

/* The SELECT that stands for a source. NOT INDEXED keeps SQLite from reading a covering index instead of the table:
 * its order would decide which of two ratings of a pair is the last. */
static char *source_select(const Source *source) {
  if (!source->is_query)
    return sqlite3_mprintf("SELECT * FROM \"%w\".\"%w\" NOT INDEXED", source->schema, source->name);
  /* A statement can't begin with a parenthesis, a subquery does. */
  return sqlite3_mprintf("%s%s", *name_skip_blanks(source->text) == '(' ? "SELECT * FROM " : "", source->text);
}

int source_columns(sqlite3 *db, const Source *source, const char *caller, SourceColumns *columns, Error *error) {
  *columns = (SourceColumns){0};
  sqlite3_stmt *statement = NULL;
  const char *tail = NULL;
  char *sql = source_select(source);
  int code = sql ? sqlite3_prepare_v2(db, sql, -1, &statement, &tail) : SQLITE_NOMEM;
  if (code != SQLITE_OK) {
    error_from_database(error, db, code, caller);
    goto done;
  }
  code = check_query(statement, caller, error);
  if (code == SQLITE_OK) code = check_tail(tail, caller, error);
  if (code != SQLITE_OK) goto done;
  code = copy_columns(statement, columns);
  if (code == SQLITE_OK) columns->with = with_clause(columns->count, sql, (int)(tail - sql));
  if (!columns->with) code = error_no_memory(error);
done:
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  if (code != SQLITE_OK) source_columns_free(columns);
  return code;
}

int source_column(const SourceColumns *columns, const char *name, const char *option, const char *caller,
                  Error *error) {
  for (int c = 0; c < columns->count; c++)
    if (sqlite3_stricmp(columns->names[c], name) == 0) return c;
  sqlite3_str *list = sqlite3_str_new(NULL);
  for (int c = 0; c < columns->count; c++) sqlite3_str_appendf(list, c ? ", \"%s\"" : "\"%s\"", columns->names[c]);
  char *names = sqlite3_str_finish(list);
  if (names)
    error_set(error, SQLITE_ERROR, "%s: option \"%s\" names the column \"%s\", but the source's columns are %s", caller,
              option, name, names);
  else
    error_no_memory(error);
  sqlite3_free(names);
  return -1;
}
