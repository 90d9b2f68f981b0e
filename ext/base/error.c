/* The error idiom: see error.h. */
#include "error.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>

#include "sqlite.h"

static_assert(CODE_OK == SQLITE_OK && CODE_ERROR == SQLITE_ERROR && CODE_NOMEM == SQLITE_NOMEM &&
                  CODE_INTERRUPT == SQLITE_INTERRUPT && CODE_TOOBIG == SQLITE_TOOBIG,
              "the codes are SQLite's");

int error_set(Error *error, int code, const char *format, ...) {
  if (error->code != CODE_OK) return error->code;
  va_list arguments;
  va_start(arguments, format);
  error->code = code;
  /* SQLite's own word, alone: hosts that set a limit of time compare it. */
  error->message =
      (code & 0xff) == CODE_INTERRUPT ? sqlite3_mprintf("interrupted") : sqlite3_vmprintf(format, arguments);
  va_end(arguments);
  return code;
}

int error_from_code(Error *error, int code) {
  if (code == CODE_OK) return error->code;
  return code == CODE_NOMEM ? error_no_memory(error) : error_set(error, code, "%s", sqlite3_errstr(code));
}

void error_prefix(Error *error, const char *who) {
  if (!error->message || (error->code & 0xff) == CODE_INTERRUPT) return;
  char *longer = sqlite3_mprintf("%s: %s", who, error->message);
  sqlite3_free(error->message);
  error->message = longer;
}

void error_clear(Error *error) {
  sqlite3_free(error->message);
  error->message = NULL;
  error->code = CODE_OK;
}
