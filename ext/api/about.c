/* recommend_version() and recommend_debug(): what this is, and what it runs on. */
#include <cjson/cJSON.h>

#include "../base/blas.h"
#include "../base/parallel.h"
#include "../base/simd.h"
#include "../recommend.h"
#include "register.h"

static void version(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  (void)values;
  sqlite3_result_text(context, RECOMMEND_VERSION, -1, SQLITE_STATIC);
}

static void debug(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  (void)values;
  char *text =
      sqlite3_mprintf("recommend %s\nSQLite %s (compiled against %s)\nBLAS %s, core %s\nSIMD %s\nthreads %d\ncJSON %s",
                      RECOMMEND_VERSION, sqlite3_libversion(), SQLITE_VERSION, blas_description(), blas_core(),
                      simd_level_name(), parallel_threads(0), cJSON_Version());
  if (text)
    sqlite3_result_text(context, text, -1, sqlite3_free);
  else
    sqlite3_result_error_nomem(context);
}

int about_register(sqlite3 *db) {
  int flags = SQLITE_UTF8 | SQLITE_INNOCUOUS;
  int code = sqlite3_create_function_v2(db, "recommend_version", 0, flags | SQLITE_DETERMINISTIC, NULL, version, NULL,
                                        NULL, NULL);
  if (code == SQLITE_OK)
    code = sqlite3_create_function_v2(db, "recommend_debug", 0, flags, NULL, debug, NULL, NULL, NULL);
  return code;
}
