/* Handing an Error to SQLite: first the message, then the code. Both clear it. */
#ifndef RECOMMEND_API_REPORT_H
#define RECOMMEND_API_REPORT_H

#include "../base/error.h"

/* From a virtual table's method, which returns the code. */
static inline int vtab_report(sqlite3_vtab *vtab, Error *error) {
  int code = error->code;
  if (error->message) {
    sqlite3_free(vtab->zErrMsg);
    vtab->zErrMsg = error->message;
    error->message = NULL;
  }
  error_clear(error);
  return code;
}

/* From a scalar function. */
static inline void scalar_report(sqlite3_context *context, Error *error) {
  if (error->message) sqlite3_result_error(context, error->message, -1);
  sqlite3_result_error_code(context, error->code);
  error_clear(error);
}

#endif
