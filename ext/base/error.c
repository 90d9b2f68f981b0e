/* The error idiom: see error.h. */
#include "error.h"

#include <stdarg.h>
#include <stddef.h>

int error_set(Error *error, int code, const char *format, ...) {
  if (error->code != SQLITE_OK) return error->code;
  va_list arguments;
  va_start(arguments, format);
  error->code = code;
  /* SQLite's own word, alone: hosts that set a limit of time compare it. */
  error->message =
      (code & 0xff) == SQLITE_INTERRUPT ? sqlite3_mprintf("interrupted") : sqlite3_vmprintf(format, arguments);
  va_end(arguments);
  return code;
}

int error_from_database(Error *error, sqlite3 *db, int code, const char *what) {
  if (code == SQLITE_NOMEM) return error_no_memory(error);
  /* A misused or already cleared connection may say "not an error": the code's own text is better then. */
  const char *said = (sqlite3_errcode(db) & 0xff) == (code & 0xff) ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  return what ? error_set(error, code, "%s: %s", what, said) : error_set(error, code, "%s", said);
}

void error_prefix(Error *error, const char *who) {
  if (!error->message || (error->code & 0xff) == SQLITE_INTERRUPT) return;
  char *longer = sqlite3_mprintf("%s: %s", who, error->message);
  sqlite3_free(error->message);
  error->message = longer;
}

void error_clear(Error *error) {
  sqlite3_free(error->message);
  error->message = NULL;
  error->code = SQLITE_OK;
}
