/* What the extension keeps for one database connection: its open models.
 *
 * Prepared statements must end before sqlite3_close() looks for unfinished ones. SQLite disconnects virtual tables
 * first, so everything with a statement hangs on an eponymous virtual table of our own, `recommend_connection`, which
 * is connected when the first model is opened. */
#ifndef RECOMMEND_MODEL_CONNECTION_H
#define RECOMMEND_MODEL_CONNECTION_H

#include "../data/interrupt.h"
#include "kind.h"
#include "model.h"

struct TrainedModel;

typedef struct Connection {
  sqlite3 *db;
  int references;                     /* functions and modules that were registered with it */
  int anchored;                       /* recommend_connection is connected */
  Tick tick;                          /* for all that takes long */
  struct OpenModel *models;           /* those read so far */
  sqlite3_stmt *databases;            /* PRAGMA database_list */
  struct SchemaList *lists;           /* the statement that lists the virtual tables of a schema */
  struct Secured *unrestored;         /* see guarded_write.c */
  const struct TrainedModel *storing; /* what a nested CREATE VIRTUAL TABLE is to store: see model_table.c */
} Connection;

/* Makes the connection's state and registers recommend_connection. Its first reference is the caller's. */
int connection_create(sqlite3 *db, Connection **connection);
void connection_retain(Connection *connection);
void connection_release(void *connection); /* a destructor for sqlite3_create_module_v2 and _function_v2 */

/* interrupt_begin() with the connection's tick. */
void connection_interrupt(Connection *connection, Interrupt *interrupt);

/* Finds the model that an argument names (taste, aux.taste, or with quotes as in aux."my taste"), or the only one that
 * can answer where it is absent (NULL or an SQL NULL). SQLITE_ERROR with a message that lists the candidates. `caller`
 * is the function's name. Whether a model that is named can answer is for model_require to say. The Model belongs to
 * the connection and lives until the model is dropped. */
int connection_model(Connection *connection, const char *caller, Ability need, sqlite3_value *argument, Model **model,
                     Error *error);

/* The same for a name as a text; NULL: it is absent. */
int connection_find(Connection *connection, const char *caller, Ability need, const char *name, Model **model,
                    Error *error);

/* The same for a schema and name that are known to be right. */
int connection_open(Connection *connection, ModelName name, Model **model, Error *error);

/* Forgets a model that is dropped or renamed. */
void connection_forget(Connection *connection, ModelName name);

/* Calls `visit` for every model, main first, then temp, then the attached schemas, each by name. */
typedef int (*ModelVisit)(void *context, ModelName name, Error *error);
int connection_models(Connection *connection, ModelVisit visit, void *context, Error *error);

/* Is there a model, or anything else, of this name? *is_model and *is_there receive the answer. */
int connection_name_exists(Connection *connection, ModelName name, int *is_model, int *is_there, Error *error);

#endif
