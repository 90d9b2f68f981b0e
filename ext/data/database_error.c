/* SQLite's own errors: see database_error.h. */
#include "database_error.h"

int error_from_database(Error *error, sqlite3 *db, int code, const char *what) {
  if (code == SQLITE_NOMEM) return error_no_memory(error);
  /* A misused or already cleared connection may say "not an error": the code's own text is better then. */
  const char *said = (sqlite3_errcode(db) & 0xff) == (code & 0xff) ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  return what ? error_set(error, code, "%s: %s", what, said) : error_set(error, code, "%s", said);
}
