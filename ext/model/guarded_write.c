/* Writing into a model's own tables: see guarded_write.h.
 *
 * A PRAGMA does its work when it is prepared. Its text has no blanks and ends in a semicolon: SQLite's parser looks at
 * the interrupt flag wherever it meets a blank or the end of the text, and after Ctrl-C the old value could not be put
 * back. Where memory has run out it can't be either: then it is kept, and put back after the next write. */
#include "guarded_write.h"

#include "../base/memory.h"

enum { SECURE_OFF, SECURE_ON, SECURE_FAST };

typedef struct Secured {
  struct Secured *next; /* in connection->unrestored */
  char *schema;
  char *restore; /* the PRAGMA that puts the old value back */
} Secured;

static void secured_free(Secured *secured) {
  if (!secured) return;
  sqlite3_free(secured->schema);
  sqlite3_free(secured->restore);
  memory_free(secured);
}

void writing_forget(Connection *connection) {
  while (connection->unrestored) {
    Secured *secured = connection->unrestored;
    connection->unrestored = secured->next;
    secured_free(secured);
  }
}

/* What was not put back for this schema, taken out of the list; NULL: nothing. */
static Secured *take_unrestored(Connection *connection, const char *schema) {
  for (Secured **place = &connection->unrestored; *place; place = &(*place)->next)
    if (sqlite3_stricmp((*place)->schema, schema) == 0) {
      Secured *secured = *place;
      *place = secured->next;
      return secured;
    }
  return NULL;
}

/* The value of the PRAGMA; -1 where the authorizer keeps it from us. */
static int read_secure(sqlite3 *db, const char *schema, int *value, Error *error) {
  sqlite3_stmt *statement = NULL;
  *value = -1;
  char *sql = sqlite3_mprintf("PRAGMA\"%w\".secure_delete;", schema);
  if (!sql) return error_no_memory(error);
  int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
  sqlite3_free(sql);
  if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) *value = sqlite3_column_int(statement, 0);
  int finalized = sqlite3_finalize(statement);
  if (code == SQLITE_OK) code = finalized;
  return code == SQLITE_OK || code == SQLITE_AUTH ? SQLITE_OK : error_from_database(error, db, code, NULL);
}

static int run_pragma(sqlite3 *db, const char *sql) {
  sqlite3_stmt *statement = NULL;
  int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
  sqlite3_finalize(statement);
  return code;
}

/* Makes what puts the value back. */
static int remember(const char *schema, int value, Secured **made, Error *error) {
  static const char *const values[] = {[SECURE_OFF] = "off", [SECURE_ON] = "on", [SECURE_FAST] = "fast"};
  Secured *secured = *made = memory_alloc_zero(1, sizeof *secured);
  if (!secured) return error_no_memory(error);
  secured->schema = sqlite3_mprintf("%s", schema);
  secured->restore = sqlite3_mprintf("PRAGMA\"%w\".secure_delete=%s;", schema, values[value]);
  return secured->schema && secured->restore ? SQLITE_OK : error_no_memory(error);
}

/* Turns it on. */
static int secure(Writing *writing, const char *schema, int promised, Error *error) {
  sqlite3 *db = writing->connection->db;
  int was = 0, code = read_secure(db, schema, &was, error);
  if (code != SQLITE_OK) return code;
  if (was < 0 || was > SECURE_FAST)
    return promised ? error_set(error, SQLITE_AUTH,
                                "nothing can be forgotten where PRAGMA secure_delete is not authorized: what is "
                                "deleted would stay in the database file")
                    : SQLITE_OK;
  Secured *left = take_unrestored(writing->connection, schema);
  if (was == SECURE_ON) {
    writing->secured = left;
    return SQLITE_OK;
  }
  secured_free(left); /* somebody has set it since */
  code = remember(schema, was, &writing->secured, error);
  char *sql = code == SQLITE_OK ? sqlite3_mprintf("PRAGMA\"%w\".secure_delete=on;", schema) : NULL;
  if (code == SQLITE_OK && !sql) code = error_no_memory(error);
  if (code == SQLITE_OK && (code = run_pragma(db, sql)) != SQLITE_OK) error_from_database(error, db, code, NULL);
  sqlite3_free(sql);
  return code;
}

int writing_begin(Writing *writing, Connection *connection, ModelName name, int promised, Error *error) {
  Model *model = NULL;
  *writing = (Writing){.connection = connection};
  int code = connection_open(connection, name, &model, error);
  if (code == SQLITE_OK) code = model_lock(model, error);
  if (code == SQLITE_OK) writing->model = model;
  return code == SQLITE_OK ? secure(writing, name.schema, promised, error) : code;
}

int writing_end(Writing *writing, int code, Error *error) {
  Connection *connection = writing->connection;
  Secured *secured = writing->secured;
  if (writing->model) model_unlock(writing->model);
  writing->model = NULL;
  writing->secured = NULL;
  if (!secured) return code;
  int restored = secured->restore ? run_pragma(connection->db, secured->restore) : SQLITE_OK;
  if (restored == SQLITE_OK) {
    secured_free(secured);
    return code;
  }
  secured->next = connection->unrestored;
  connection->unrestored = secured;
  return code == SQLITE_OK ? error_from_database(error, connection->db, restored, NULL) : code;
}

int writing_check(Connection *connection, ModelName name, Error *error) {
  Model *model = NULL;
  int code = connection_open(connection, name, &model, error);
  return code == SQLITE_OK ? model_check_unlocked(model, error) : code;
}
