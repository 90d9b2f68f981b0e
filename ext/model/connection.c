/* The models of a connection: see connection.h. */
#include "connection.h"

#include <string.h>

#include "../base/memory.h"
#include "../data/name.h"
#include "guarded_write.h"

typedef struct OpenModel {
  struct OpenModel *next;
  Model *model;
} OpenModel;

typedef struct SchemaList {
  struct SchemaList *next;
  char *schema;
  sqlite3_stmt *statement;
} SchemaList;

/* ---- recommend_connection, which ends the statements ------------------------------------------------------------- */

typedef struct Anchor {
  sqlite3_vtab base;
  Connection *connection;
} Anchor;

static void close_everything(Connection *connection) {
  while (connection->models) {
    OpenModel *open = connection->models;
    connection->models = open->next;
    model_destroy(open->model);
    memory_free(open);
  }
  while (connection->lists) {
    SchemaList *list = connection->lists;
    connection->lists = list->next;
    sqlite3_finalize(list->statement);
    sqlite3_free(list->schema);
    memory_free(list);
  }
  sqlite3_finalize(connection->databases);
  connection->databases = NULL;
  tick_end(&connection->tick);
  connection->anchored = connection->tick.kept = 0;
}

static int anchor_connect(sqlite3 *db, void *context, int count, const char *const *arguments, sqlite3_vtab **table,
                          char **message) {
  (void)count;
  (void)arguments;
  (void)message;
  Anchor *anchor = memory_alloc_zero(1, sizeof *anchor);
  int code = anchor ? sqlite3_declare_vtab(db, "CREATE TABLE x(unused)") : SQLITE_NOMEM;
  if (code == SQLITE_OK) {
    anchor->connection = context;
    anchor->connection->anchored = anchor->connection->tick.kept = 1;
    connection_retain(anchor->connection); /* loading the extension again ends the module before its table */
    *table = &anchor->base;
  } else {
    memory_free(anchor);
  }
  return code;
}

static int anchor_disconnect(sqlite3_vtab *table) {
  Connection *connection = ((Anchor *)table)->connection;
  close_everything(connection);
  connection_release(connection);
  memory_free(table);
  return SQLITE_OK;
}

/* An empty table: it exists only to be connected. */
static int anchor_best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
  (void)table;
  info->estimatedCost = 1;
  info->estimatedRows = 1;
  return SQLITE_OK;
}

static int anchor_open(sqlite3_vtab *table, sqlite3_vtab_cursor **cursor) {
  (void)table;
  *cursor = memory_alloc_zero(1, sizeof **cursor);
  return *cursor ? SQLITE_OK : SQLITE_NOMEM;
}

static int anchor_close(sqlite3_vtab_cursor *cursor) {
  memory_free(cursor);
  return SQLITE_OK;
}

static int anchor_filter(sqlite3_vtab_cursor *cursor, int plan, const char *text, int count, sqlite3_value **values) {
  (void)cursor, (void)plan, (void)text, (void)count, (void)values;
  return SQLITE_OK;
}

static int anchor_next(sqlite3_vtab_cursor *cursor) {
  (void)cursor;
  return SQLITE_OK;
}

static int anchor_eof(sqlite3_vtab_cursor *cursor) {
  (void)cursor;
  return 1;
}

static int anchor_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column) {
  (void)cursor, (void)context, (void)column;
  return SQLITE_OK;
}

static int anchor_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
  (void)cursor;
  *rowid = 0;
  return SQLITE_OK;
}

static const sqlite3_module anchor_module = {
    .xConnect = anchor_connect,
    .xBestIndex = anchor_best_index,
    .xDisconnect = anchor_disconnect,
    .xOpen = anchor_open,
    .xClose = anchor_close,
    .xFilter = anchor_filter,
    .xNext = anchor_next,
    .xEof = anchor_eof,
    .xColumn = anchor_column,
    .xRowid = anchor_rowid,
};

static int make_anchored(Connection *connection, Error *error) {
  if (connection->anchored) return SQLITE_OK;
  sqlite3_stmt *statement = NULL;
  int code = sqlite3_prepare_v2(connection->db, "SELECT 1 FROM recommend_connection", -1, &statement, NULL);
  sqlite3_finalize(statement);
  if (code != SQLITE_OK) return error_from_database(error, connection->db, code, NULL);
  if (connection->anchored) return SQLITE_OK;
  return error_set(error, SQLITE_ERROR,
                   "a table called recommend_connection hides the one that this extension needs: rename it; or, if the "
                   "extension was loaded twice, open the database again");
}

/* Without the anchor the statement lasts as long as the interrupt. */
void connection_interrupt(Connection *connection, Interrupt *interrupt) {
  Error ignored = {0};
  make_anchored(connection, &ignored);
  error_clear(&ignored);
  interrupt_begin(interrupt, &connection->tick);
}

/* ---- the state itself -------------------------------------------------------------------------------------------- */

int connection_create(sqlite3 *db, Connection **created) {
  Connection *connection = memory_alloc_zero(1, sizeof *connection);
  *created = connection;
  if (!connection) return SQLITE_NOMEM;
  connection->db = db;
  connection->tick = (Tick){.db = db};
  connection->references = 2; /* the caller's and the module's, which is released even where registering fails */
  return sqlite3_create_module_v2(db, "recommend_connection", &anchor_module, connection, connection_release);
}

void connection_retain(Connection *connection) { connection->references++; }

void connection_release(void *context) {
  Connection *connection = context;
  if (--connection->references > 0) return;
  close_everything(connection);
  writing_forget(connection);
  memory_free(connection);
}

/* ---- which models there are -------------------------------------------------------------------------------------- */

/* Behind a name, quoted or not. */
static const char *skip_name(const char *sql) {
  char close = *sql == '[' ? ']' : *sql == '"' || *sql == '`' || *sql == '\'' ? *sql : 0;
  if (!close) {
    while (*sql && !strchr(" \t\n\v\f\r(/-;", *sql)) sql++;
    return sql;
  }
  for (sql++; *sql; sql++) {
    if (*sql != close) continue;
    if (close == ']' || sql[1] != close) return sql + 1;
    sql++;
  }
  return sql;
}

/* Is this CREATE VIRTUAL TABLE name USING recommender…? SQLite keeps the text in this form, whatever was typed before
 * the name. */
static int creates_a_model(const char *sql) {
  static const char create[] = "CREATE VIRTUAL TABLE", module[] = "recommender";
  if (!sql || sqlite3_strnicmp(sql, create, sizeof create - 1) != 0) return 0;
  sql = name_skip_blanks(skip_name(name_skip_blanks(sql + sizeof create - 1)));
  if (sqlite3_strnicmp(sql, "USING", 5) != 0) return 0;
  sql = name_skip_blanks(sql + 5);
  const char *end = skip_name(sql);
  if (*sql == '"' || *sql == '[' || *sql == '`' || *sql == '\'') {
    sql++;
    end--;
  }
  return end - sql == sizeof module - 1 && sqlite3_strnicmp(sql, module, sizeof module - 1) == 0;
}

static int schema_list(Connection *connection, const char *schema, sqlite3_stmt **statement, Error *error) {
  for (SchemaList *list = connection->lists; list; list = list->next)
    if (strcmp(list->schema, schema) == 0) {
      *statement = list->statement;
      return SQLITE_OK;
    }
  SchemaList *list = memory_alloc_zero(1, sizeof *list);
  char *sql = sqlite3_mprintf(
      "SELECT name, sql FROM \"%w\".sqlite_schema "
      "WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%%' ORDER BY name",
      schema);
  int code = list && sql && (list->schema = sqlite3_mprintf("%s", schema)) ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK) {
    code = sqlite3_prepare_v3(connection->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &list->statement, NULL);
    if (code != SQLITE_OK) error_from_database(error, connection->db, code, NULL);
  }
  sqlite3_free(sql);
  if (list && code == SQLITE_OK) {
    list->next = connection->lists;
    connection->lists = list;
    *statement = list->statement;
  } else if (list) {
    sqlite3_free(list->schema);
    memory_free(list);
  }
  return code;
}

static int visit_schema(Connection *connection, const char *schema, ModelVisit visit, void *context, Error *error) {
  sqlite3_stmt *statement = NULL;
  int code = schema_list(connection, schema, &statement, error);
  if (code != SQLITE_OK) return code;
  /* A view in the place of a shadow table, which a visit reads, could call us again. */
  if (sqlite3_stmt_busy(statement))
    return error_set(error, SQLITE_CORRUPT_VTAB, "the tables of a model have been replaced by views that read a model");
  while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(statement, 0);
    const char *sql = (const char *)sqlite3_column_text(statement, 1);
    code = SQLITE_OK;
    if (!name || !sql)
      code = error_no_memory(error);
    else if (creates_a_model(sql))
      code = visit(context, (ModelName){schema, name}, error);
  }
  if (code != SQLITE_DONE && error->code == SQLITE_OK) error_from_database(error, connection->db, code, NULL);
  sqlite3_reset(statement);
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

enum { MOST_SCHEMAS = 128 }; /* SQLite allows 125 attached ones */

/* The names of the attached databases: main, temp, then the rest. */
static int list_schemas(Connection *connection, char *schemas[MOST_SCHEMAS], int *count, Error *error) {
  int code = make_anchored(connection, error);
  *count = 0;
  if (code == SQLITE_OK && !connection->databases) {
    code = sqlite3_prepare_v3(connection->db, "PRAGMA database_list", -1, SQLITE_PREPARE_PERSISTENT,
                              &connection->databases, NULL);
    if (code != SQLITE_OK) error_from_database(error, connection->db, code, NULL);
  }
  if (code != SQLITE_OK) return code;
  while (*count < MOST_SCHEMAS && (code = sqlite3_step(connection->databases)) == SQLITE_ROW) {
    char *schema = sqlite3_mprintf("%s", sqlite3_column_text(connection->databases, 1));
    if (!schema) {
      code = error_no_memory(error);
      break;
    }
    schemas[(*count)++] = schema;
  }
  if (code != SQLITE_ROW && code != SQLITE_DONE) error_from_database(error, connection->db, code, NULL);
  sqlite3_reset(connection->databases);
  return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static void free_schemas(char *schemas[MOST_SCHEMAS], int count) {
  for (int i = 0; i < count; i++) sqlite3_free(schemas[i]);
}

int connection_models(Connection *connection, ModelVisit visit, void *context, Error *error) {
  char *schemas[MOST_SCHEMAS];
  int count = 0;
  int code = list_schemas(connection, schemas, &count, error);
  for (int i = 0; i < count && code == SQLITE_OK; i++)
    code = visit_schema(connection, schemas[i], visit, context, error);
  free_schemas(schemas, count);
  return code;
}

/* ---- finding one ------------------------------------------------------------------------------------------------- */

int connection_open(Connection *connection, ModelName name, Model **model, Error *error) {
  for (OpenModel *open = connection->models; open; open = open->next) {
    ModelName known = model_name(open->model);
    if (strcmp(known.schema, name.schema) == 0 && strcmp(known.name, name.name) == 0) {
      *model = open->model;
      return SQLITE_OK;
    }
  }
  int code = make_anchored(connection, error);
  if (code != SQLITE_OK) return code;
  OpenModel *open = memory_alloc_zero(1, sizeof *open);
  if (!open) return error_no_memory(error);
  code = model_create(&open->model, connection->db, name, error);
  if (code == SQLITE_OK) {
    open->next = connection->models;
    connection->models = open;
    *model = open->model;
  } else {
    memory_free(open);
  }
  return code;
}

void connection_forget(Connection *connection, ModelName name) {
  for (OpenModel **place = &connection->models; *place; place = &(*place)->next) {
    OpenModel *open = *place;
    ModelName known = model_name(open->model);
    if (strcmp(known.schema, name.schema) != 0 || strcmp(known.name, name.name) != 0) continue;
    *place = open->next;
    model_destroy(open->model);
    memory_free(open);
    return;
  }
}

/* Collects the models that fit what the argument says. */
typedef struct Search {
  sqlite3 *db;
  Ability need;       /* looked at where a model is not named */
  const char *name;   /* NULL: any */
  const char *schema; /* NULL: any, or the name has it before a dot */
  int qualified;      /* the name is schema.name */
  int found;
  char *found_schema, *found_name; /* of the first */
  sqlite3_str *others;             /* all of them, for the message */
} Search;

/* Both parts may have dots of their own, so they are compared and not cut. */
static int fits(const Search *search, ModelName model) {
  if (!search->name) return 1;
  if (search->schema && sqlite3_stricmp(search->schema, model.schema) != 0) return 0;
  if (!search->qualified) return sqlite3_stricmp(search->name, model.name) == 0;
  size_t length = strlen(model.schema);
  return sqlite3_strnicmp(search->name, model.schema, (int)length) == 0 && search->name[length] == '.' &&
         sqlite3_stricmp(search->name + length + 1, model.name) == 0;
}

/* Can the model answer? A damaged one is taken to: the answer then says what is wrong with it. */
static int can_answer(const Search *search, ModelName model, int *can, Error *error) {
  *can = 1;
  if (search->need == ABILITY_ANY || search->name) return SQLITE_OK;
  sqlite3_stmt *statement = NULL;
  int of_users = ability_is_of_users(search->need); /* then there must be users */
  int code = shadow_prepare(search->db, model, &statement, error,
                            "SELECT count(*) FROM \"%w\".\"%w_config\" WHERE key = 'answers' AND "
                            "instr(', ' || value || ',', ', %q,') > 0 OR %d AND key = 'users' AND value > 0",
                            model.schema, model.name, ability_words[search->need], of_users);
  if (code == SQLITE_OK) {
    if (sqlite3_step(statement) == SQLITE_ROW) *can = sqlite3_column_int64(statement, 0) == 1 + of_users;
  }
  int finalized = sqlite3_finalize(statement);
  if (code == SQLITE_OK && finalized != SQLITE_OK) code = error_from_database(error, search->db, finalized, NULL);
  if ((code & 0xff) != SQLITE_CORRUPT) return code;
  error_clear(error);
  return SQLITE_OK;
}

static int consider(void *context, ModelName model, Error *error) {
  Search *search = context;
  if (!fits(search, model)) return SQLITE_OK;
  int can = 1;
  int code = can_answer(search, model, &can, error);
  if (code != SQLITE_OK || !can) return code;
  if (search->others)
    sqlite3_str_appendf(search->others, "%s%s.%s", search->found ? ", " : "", model.schema, model.name);
  if (search->found++) return SQLITE_OK;
  search->found_schema = sqlite3_mprintf("%s", model.schema);
  search->found_name = sqlite3_mprintf("%s", model.name);
  return search->found_schema && search->found_name ? SQLITE_OK : error_no_memory(error);
}

static void search_free(Search *search) {
  sqlite3_free(search->found_schema);
  sqlite3_free(search->found_name);
}

/* The message where a name fits no model, or none is named and there is not exactly one. */
static int refuse_search(Connection *connection, const char *caller, Ability need, const char *name, Error *error) {
  static const struct {
    const char *what, *training;
  } lacks[ABILITIES] = {
      [ABILITY_ANY] = {"", "SELECT mf_train('ratings', 32)"},
      [ABILITY_RECOMMEND] = {" that has users", "SELECT mf_train('ratings', 32)"},
      [ABILITY_PREDICT] = {" that predicts ratings", "SELECT mf_train('ratings', 32)"},
      [ABILITY_FOLD_IN] = {" that takes in histories", "SELECT mf_train('ratings', 32)"},
      [ABILITY_SIMILAR_ITEMS] = {" that items can be compared by", "SELECT mf_train('ratings', 32)"},
      [ABILITY_SIMILAR_USERS] = {" that users can be compared by", "SELECT mf_train('ratings', 32)"},
      [ABILITY_EXPLAIN] = {" that explains its scores", "SELECT mf_train('ratings', 32)"},
      [ABILITY_LIVE] = {" that takes in ratings", "SELECT mf_train('ratings', 32)"},
      [ABILITY_FORGET] = {" that can forget", "SELECT mf_train('ratings', 32)"},
      [ABILITY_NEIGHBORS] = {" of neighbours", "SELECT knn_train('ratings', 50)"},
      [ABILITY_CLUSTERS] = {" of clusters", "SELECT kmeans_train('ratings', 10)"},
      [ABILITY_TEXT] = {" of content", "SELECT tfidf_train('products')"},
  };
  Search all = {.db = connection->db, .need = name ? ABILITY_ANY : need, .others = sqlite3_str_new(connection->db)};
  int code = connection_models(connection, consider, &all, error);
  char *names = sqlite3_str_finish(all.others);
  if (code == SQLITE_OK && all.found == 0)
    code = error_set(error, SQLITE_ERROR, "%s: there is no model yet%s: train one first, as in %s", caller,
                     lacks[need].what, lacks[need].training);
  else if (code == SQLITE_OK && !names)
    code = error_no_memory(error);
  else if (code == SQLITE_OK && name)
    code = error_set(error, SQLITE_ERROR, "%s: there is no model \"%s\"; there are %s", caller, name, names);
  else if (code == SQLITE_OK)
    code = error_set(error, SQLITE_ERROR, "%s: %d models can answer: name one of %s as the last argument", caller,
                     all.found, names);
  sqlite3_free(names);
  search_free(&all);
  return code;
}

static void search_again(Search *search) {
  search_free(search);
  search->found_schema = search->found_name = NULL;
  search->found = 0;
}

int connection_model(Connection *connection, const char *caller, Ability need, sqlite3_value *argument, Model **model,
                     Error *error) {
  const char *name = NULL;
  if (argument && sqlite3_value_type(argument) != SQLITE_NULL) {
    name = (const char *)sqlite3_value_text(argument);
    if (!name) return error_no_memory(error);
  }
  return connection_find(connection, caller, need, name, model, error);
}

/* Nothing is called as the argument has it: perhaps there are quotes in it. `parts` receives what is to be freed. */
static int search_unquoted(Connection *connection, Search *search, char **parts, Error *error) {
  size_t room = strlen(search->name) + 1;
  char *schema = *parts = memory_alloc(2, room), *name = schema ? schema + room : NULL;
  if (!schema) return error_no_memory(error);
  if (!strpbrk(search->name, "\"`[") || !name_split(search->name, schema, name)) return SQLITE_OK;
  search->qualified = 0;
  search->schema = *schema ? schema : NULL;
  search->name = name;
  return connection_models(connection, consider, search, error);
}

int connection_find(Connection *connection, const char *caller, Ability need, const char *name, Model **model,
                    Error *error) {
  Search search = {.db = connection->db, .name = name};
  char *parts = NULL;
  int code = connection_models(connection, consider, &search, error);
  if (code == SQLITE_OK && search.found == 0 && name) { /* schema.name, unless a model is called just that */
    search.qualified = 1;
    code = connection_models(connection, consider, &search, error);
  }
  if (code == SQLITE_OK && search.found == 0 && name) code = search_unquoted(connection, &search, &parts, error);
  if (code == SQLITE_OK && search.found > 1 && !name && need != ABILITY_ANY) { /* which of them can? */
    search_again(&search);
    search.need = need;
    code = connection_models(connection, consider, &search, error);
  }
  /* A name that occurs in several schemas means the first: main, temp, then the attached ones. */
  int decided = search.found_schema && search.found_name && (name || search.found == 1);
  if (code == SQLITE_OK && !decided)
    code = refuse_search(connection, caller, need, name, error);
  else if (code == SQLITE_OK)
    code = connection_open(connection, (ModelName){search.found_schema, search.found_name}, model, error);
  search_free(&search);
  memory_free(parts);
  return code;
}

int connection_name_exists(Connection *connection, ModelName name, int *is_model, int *is_there, Error *error) {
  sqlite3_stmt *statement = NULL;
  *is_model = *is_there = 0;
  char *sql =
      sqlite3_mprintf("SELECT sql FROM \"%w\".sqlite_schema WHERE name = %Q COLLATE NOCASE", name.schema, name.name);
  if (!sql) return error_no_memory(error);
  int code = sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL);
  sqlite3_free(sql);
  if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
    *is_there = 1;
    *is_model = creates_a_model((const char *)sqlite3_column_text(statement, 0));
  }
  int finalized = sqlite3_finalize(statement);
  if (code == SQLITE_OK) code = finalized;
  return code == SQLITE_OK ? SQLITE_OK : error_from_database(error, connection->db, code, NULL);
}
