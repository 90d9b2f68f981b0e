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

#include "../base/memory.h"
#include "../model/guarded_write.h"
#include "../model/replacement.h"
#include "../model/store.h"
#include "../train/training.h"
#include "model_module.h"
#include "module_arguments.h"
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
  TrainRequest request = {.model = &name};
  module_arguments_read(table->connection->db, count, arguments, &given, &request, error);
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
