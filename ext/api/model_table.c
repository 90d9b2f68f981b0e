/* The module `recommender`: CREATE VIRTUAL TABLE taste USING recommender(train=mf, source=ratings, size=32,
 * options='{}').
 *
 * The table has a row for every user and item; SELECT computes those that are asked for:
 *
 *     user, item      ids, of the source's affinity
 *     score           what ranks the items of a user
 *     prediction      the rating expected, on the scale of the ratings; NULL where there is none
 *     rating, seen    what the user did: the rating or NULL, 1 or 0
 *     timestamp       hidden, since most models keep none; when, where histories are timed, or NULL
 *     <model>, _payload  hidden; INSERT INTO taste(taste) VALUES('retrain') is a command
 *
 * INSERT of a user, an item and a rating, UPDATE of a rating or its timestamp and DELETE change what is known: see
 * rating_change.c.
 *
 * rowid = user index << 32 | item index. */
#include "model_table.h"

#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../model/guarded_write.h"
#include "../model/replacement.h"
#include "../model/store.h"
#include "../train/training.h"
#include "model_module.h"
#include "vtab.h"

/* ---- connecting -------------------------------------------------------------------------------------------------- */

/* The affinities of the id columns, for the declaration. A damaged model must still connect, or it could not be
 * dropped. */
static int read_affinities(sqlite3 *db, ModelName name, IdAffinity *user, IdAffinity *item, Error *error) {
  sqlite3_stmt *statement = NULL;
  *user = *item = ID_AFFINITY_BLOB;
  int code =
      shadow_prepare(db, name, &statement, error,
                     "SELECT key, value FROM \"%w\".\"%w_config\" WHERE key IN ('user_affinity', 'item_affinity')",
                     name.schema, name.name);
  if (code == SQLITE_OK) {
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
      const char *key = (const char *)sqlite3_column_text(statement, 0);
      IdAffinity affinity = id_affinity_of((const char *)sqlite3_column_text(statement, 1));
      if (key) *(*key == 'u' ? user : item) = affinity;
    }
    code = code == SQLITE_DONE ? SQLITE_OK : shadow_failed(db, name, sqlite3_sql(statement), code, error);
  }
  sqlite3_finalize(statement);
  if ((code & 0xff) != SQLITE_CORRUPT) return code;
  error_clear(error);
  return SQLITE_OK;
}

static int declare(sqlite3 *db, ModelName name, IdAffinity user, IdAffinity item, Error *error) {
  char *sql = sqlite3_mprintf(
      "CREATE TABLE x(user %s, item %s, score REAL, prediction REAL, rating REAL, seen INTEGER, "
      "timestamp INTEGER HIDDEN, \"%w\" HIDDEN, _payload HIDDEN)",
      id_affinity_name(user), id_affinity_name(item), name.name);
  if (!sql) return error_no_memory(error);
  int code = sqlite3_declare_vtab(db, sql);
  sqlite3_free(sql);
  if (code == SQLITE_OK) code = sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
  /* INSERT OR IGNORE and the like: SQLITE_CONSTRAINT comes before anything is written, see rating_change.c. */
  if (code == SQLITE_OK) code = sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
  return code == SQLITE_OK ? SQLITE_OK : error_from_database(error, db, code, NULL);
}

static void table_free(ModelTable *table) {
  if (!table) return;
  sqlite3_free(table->base.zErrMsg); /* nobody asks for it where xDestroy fails */
  connection_release(table->connection);
  sqlite3_free(table->schema);
  sqlite3_free(table->name);
  memory_free(table);
}

static int table_new(Connection *connection, const char *const *arguments, ModelTable **created, Error *error) {
  ModelTable *table = memory_alloc_zero(1, sizeof *table);
  *created = table;
  if (!table) return error_no_memory(error);
  table->connection = connection;
  connection_retain(connection);
  table->schema = sqlite3_mprintf("%s", arguments[1]);
  table->name = sqlite3_mprintf("%s", arguments[2]);
  return table->schema && table->name ? SQLITE_OK : error_no_memory(error);
}

static int finish_connect(ModelTable *table, int code, Error *error, sqlite3_vtab **vtab, char **message) {
  if (code == SQLITE_OK) {
    *vtab = &table->base;
  } else {
    *message = error->message;
    error->message = NULL;
    table_free(table);
  }
  error_clear(error);
  return code;
}

static int table_connect(sqlite3 *db, void *context, int count, const char *const *arguments, sqlite3_vtab **vtab,
                         char **message) {
  (void)count;
  ModelTable *table = NULL;
  Error error = {0};
  IdAffinity user = ID_AFFINITY_BLOB, item = ID_AFFINITY_BLOB;
  int code = table_new(context, arguments, &table, &error);
  if (code == SQLITE_OK) code = read_affinities(db, table_name(table), &user, &item, &error);
  if (code == SQLITE_OK) code = declare(db, table_name(table), user, item, &error);
  return finish_connect(table, code, &error, vtab, message);
}

/* ---- CREATE VIRTUAL TABLE ---------------------------------------------------------------------------------------- */

/* The value of "key=value", without quotes or parentheses, if the key is this one. NULL in *value where it is not;
 * SQLITE_NOMEM. */
static int module_argument(const char *argument, const char *key, char **value) {
  size_t length = strlen(key);
  while (*argument == ' ' || (*argument >= '\t' && *argument <= '\r')) argument++;
  if (sqlite3_strnicmp(argument, key, (int)length) != 0) return SQLITE_OK;
  argument += length;
  while (*argument == ' ' || (*argument >= '\t' && *argument <= '\r')) argument++;
  if (*argument != '=') return SQLITE_OK;
  argument++;
  while (*argument == ' ' || (*argument >= '\t' && *argument <= '\r')) argument++;
  size_t end = strlen(argument);
  while (end && (argument[end - 1] == ' ' || (argument[end - 1] >= '\t' && argument[end - 1] <= '\r'))) end--;
  char open = *argument, close = open == '['                                  ? ']'
                                 : open == '('                                ? ')'
                                 : open == '\'' || open == '"' || open == '`' ? open
                                                                              : 0;
  sqlite3_free(*value);
  char *text = *value = sqlite3_mprintf("%.*s", (int)end, argument);
  if (!text) return SQLITE_NOMEM;
  if (!close || end < 2 || text[end - 1] != close) return SQLITE_OK;
  size_t to = 0;
  for (size_t from = 1; from < end - 1; from++) {
    text[to++] = text[from];
    if (open == close && text[from] == open) from++; /* a doubled quote is one */
  }
  text[to] = 0;
  return SQLITE_OK;
}

typedef struct ModuleArguments {
  char *train, *source, *size, *options;
} ModuleArguments;

static void module_arguments_free(ModuleArguments *given) {
  sqlite3_free(given->train);
  sqlite3_free(given->source);
  sqlite3_free(given->size);
  sqlite3_free(given->options);
}

static const char module_usage[] = "recommender(train=mf, source=ratings, size=32, options='{\"epochs\": 20}')";

/* What is between the parentheses; a step, as the next three: see base/error.h. */
static void read_module_arguments(int count, const char *const *arguments, ModuleArguments *given, Error *error) {
  const struct {
    const char *key;
    char **value;
  } known[] = {
      {"train", &given->train}, {"source", &given->source}, {"size", &given->size}, {"options", &given->options}};
  for (int i = 3; i < count && !error->code; i++) {
    int taken = 0;
    for (size_t k = 0; k < sizeof known / sizeof *known && !error->code; k++) {
      char *value = NULL;
      error_from_code(error, module_argument(arguments[i], known[k].key, &value));
      if (!value) continue;
      sqlite3_free(*known[k].value);
      *known[k].value = value;
      taken = 1;
    }
    if (!taken)
      error_set(error, SQLITE_ERROR, "recommender: argument \"%s\" is unknown: write %s", arguments[i], module_usage);
  }
  if (!given->train || !given->source)
    error_set(error, SQLITE_ERROR, "recommender: \"train\" and \"source\" are needed: write %s", module_usage);
}

static const Trainer *find_trainer(const ModuleArguments *given, Error *error) {
  const Trainer *trainer = error->code ? NULL : trainer_named(given->train);
  if (trainer || error->code) return trainer;
  char *names = trainer_names(0);
  if (names)
    error_set(error, SQLITE_ERROR,
              "recommender: there is no trainer \"%s\" for train=…: there are %s, without \"_train\"", given->train,
              names);
  else
    error_no_memory(error);
  sqlite3_free(names);
  return NULL;
}

/* As SQLite reads numbers, whatever the locale's decimal point is. */
static double parse_size(sqlite3 *db, const char *text, Error *error) {
  sqlite3_stmt *statement = NULL;
  sqlite3_value *value = NULL;
  int code = sqlite3_prepare_v2(db, "SELECT ?1", -1, &statement, NULL);
  if (code == SQLITE_OK) code = sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
  if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
    value = sqlite3_value_dup(sqlite3_column_value(statement, 0));
    code = value ? SQLITE_OK : SQLITE_NOMEM;
  }
  int type = value ? sqlite3_value_numeric_type(value) : SQLITE_NULL;
  double size = value ? sqlite3_value_double(value) : 0;
  if (code != SQLITE_OK)
    error_from_database(error, db, code, "recommender");
  else if (type != SQLITE_INTEGER && type != SQLITE_FLOAT)
    error_set(error, SQLITE_ERROR, "recommender: size must be a number, not \"%s\"", text);
  sqlite3_value_free(value);
  sqlite3_finalize(statement);
  return size;
}

/* The size that the trainer's training function takes as its second argument, if it takes one; NaN: left out. */
static double given_size(sqlite3 *db, const Trainer *trainer, const ModuleArguments *given, Error *error) {
  if (error->code || !given->size) return NAN;
  if (trainer->size) return parse_size(db, given->size, error);
  error_set(error, SQLITE_ERROR, "recommender: leave the size out: \"%s\" has none", trainer->name);
  return NAN;
}

static int create_shadows(ModelTable *table, const TrainedModel *trained, Error *error) {
  sqlite3 *db = table->connection->db;
  Writing writing;
  int code = writing_begin(&writing, table->connection, table_name(table), 0, error);
  if (code == SQLITE_OK) code = shadow_create(db, table_name(table), error);
  if (code == SQLITE_OK) code = store_write(db, table_name(table), trained, error);
  code = writing_end(&writing, code, error);
  if (code == SQLITE_OK) code = declare(db, table_name(table), trained->user_affinity, trained->item_affinity, error);
  return code;
}

/* A user's own CREATE VIRTUAL TABLE: train now. */
static void create_by_training(ModelTable *table, int count, const char *const *arguments, Error *error) {
  ModuleArguments given = {0};
  ModelName name = table_name(table);
  Training *training = NULL;
  read_module_arguments(count, arguments, &given, error);
  const Trainer *trainer = find_trainer(&given, error);
  const TrainRequest request = {.model = &name,
                                .trainer = trainer,
                                .source = given.source,
                                .size = given_size(table->connection->db, trainer, &given, error),
                                .options = given.options};
  if (!error->code && training_begin(table->connection, &request, &training, error) == SQLITE_OK &&
      training_run(training, error) == SQLITE_OK)
    create_shadows(table, &training->trained, error);
  training_end(training);
  module_arguments_free(&given);
}

static int table_create(sqlite3 *db, void *context, int count, const char *const *arguments, sqlite3_vtab **vtab,
                        char **message) {
  Connection *connection = context;
  const TrainedModel *storing = connection->storing;
  connection->storing = NULL; /* meant for this one table */
  ModelTable *table = NULL;
  Error error = {0};
  int code = table_new(connection, arguments, &table, &error);
  if (code == SQLITE_OK) code = model_check_name(db, table->name, &error);
  if (code == SQLITE_OK && storing) create_shadows(table, storing, &error);
  if (code == SQLITE_OK && !storing) create_by_training(table, count, arguments, &error);
  if (error.code == SQLITE_OK) connection_forget(connection, table_name(table));
  return finish_connect(table, error.code, &error, vtab, message);
}

static int table_disconnect(sqlite3_vtab *vtab) {
  table_free((ModelTable *)vtab);
  return SQLITE_OK;
}

static int table_destroy(sqlite3_vtab *vtab) {
  ModelTable *table = (ModelTable *)vtab;
  Error error = {0};
  Writing writing;
  int code = writing_begin(&writing, table->connection, table_name(table), 0, &error);
  if (code == SQLITE_OK) code = shadow_drop(table->connection->db, table_name(table), &error);
  code = writing_end(&writing, code, &error);
  if (code != SQLITE_OK) return vtab_report(vtab, &error);
  connection_forget(table->connection, table_name(table));
  table_free(table);
  return SQLITE_OK;
}

static int table_rename(sqlite3_vtab *vtab, const char *new_name) {
  ModelTable *table = (ModelTable *)vtab;
  Error error = {0};
  Writing writing;
  int code = writing_begin(&writing, table->connection, table_name(table), 0, &error);
  if (code == SQLITE_OK) code = model_check_name(table->connection->db, new_name, &error);
  if (code == SQLITE_OK) code = shadow_rename(table->connection->db, table_name(table), new_name, &error);
  code = writing_end(&writing, code, &error);
  if (code != SQLITE_OK) return vtab_report(vtab, &error);
  connection_forget(table->connection, table_name(table));
  return SQLITE_OK;
}

static int table_shadow_name(const char *suffix) { return shadow_is_suffix(suffix); }

#if SQLITE_VERSION_NUMBER >= 3044000
/* PRAGMA integrity_check. Damage is a finding, in *message; anything else is an error. */
static int table_integrity(sqlite3_vtab *vtab, const char *schema, const char *name, int flags, char **message) {
  (void)schema, (void)name, (void)flags;
  Error error = {0};
  int code = model_integrity((ModelTable *)vtab, &error);
  if ((code & 0xff) == SQLITE_CORRUPT) {
    *message = error.message;
    error.message = NULL;
    code = SQLITE_OK;
  }
  error_clear(&error);
  return code;
}
#endif

static const sqlite3_module model_module = {
#if SQLITE_VERSION_NUMBER >= 3044000
    .iVersion = 4,
    .xIntegrity = table_integrity,
#else
    .iVersion = 3,
#endif
    .xCreate = table_create,
    .xConnect = table_connect,
    .xBestIndex = model_best_index,
    .xDisconnect = table_disconnect,
    .xDestroy = table_destroy,
    .xOpen = model_cursor_open,
    .xClose = model_cursor_close,
    .xFilter = model_cursor_filter,
    .xNext = model_cursor_next,
    .xEof = model_cursor_eof,
    .xColumn = model_cursor_column,
    .xRowid = model_cursor_rowid,
    .xUpdate = model_update,
    .xRename = table_rename,
    .xShadowName = table_shadow_name,
};

int model_table_register(Connection *connection) {
  connection_retain(connection);
  return sqlite3_create_module_v2(connection->db, "recommender", &model_module, connection, connection_release);
}
