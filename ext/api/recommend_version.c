/* recommend_version() and recommend_debug(): what this is, and what it runs on. */
#include <cjson/cJSON.h>
#include <string.h>

#include "../base/blas.h"
#include "../base/parallel.h"
#include "../base/simd.h"
#include "../base/version.h"
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

/* recommend_version() is last: where it is missing, loading did not come to its end. */
int recommend_version_register(sqlite3 *db) {
  int flags = SQLITE_UTF8 | SQLITE_INNOCUOUS;
  int code = sqlite3_create_function_v2(db, "recommend_debug", 0, flags, NULL, debug, NULL, NULL, NULL);
  if (code == SQLITE_OK)
    code = sqlite3_create_function_v2(db, "recommend_version", 0, flags | SQLITE_DETERMINISTIC, NULL, version, NULL,
                                      NULL, NULL);
  return code;
}

/* Is there a table function called so? Asked by the pragma, which can't fail: what asks for a function that is not
 * there writes a line to the application's error log. */
static int module_is_there(sqlite3 *db, const char *name, int *there) {
  sqlite3_stmt *modules = NULL;
  int code = sqlite3_prepare_v2(db, "PRAGMA module_list", -1, &modules, NULL);
  *there = 0;
  while (code == SQLITE_OK && !*there && (code = sqlite3_step(modules)) == SQLITE_ROW) {
    const char *module = (const char *)sqlite3_column_text(modules, 0);
    if (!module) return sqlite3_finalize(modules), SQLITE_NOMEM;
    *there = strcmp(module, name) == 0;
    code = SQLITE_OK;
  }
  int finalized = sqlite3_finalize(modules);
  return code == SQLITE_DONE ? finalized : code;
}

int recommend_version_loaded(sqlite3 *db, int *loaded, char **why) {
  sqlite3_stmt *statement = NULL;
  int code = module_is_there(db, "recommend_connection", loaded), asked = code & 0xff;
  /* Where an authorizer hides the list, say, loading goes on as if nothing were there; running no statement at all
   * takes the error off the connection again. */
  if (asked != SQLITE_OK && asked != SQLITE_NOMEM && asked != SQLITE_INTERRUPT)
    return sqlite3_exec(db, "", NULL, NULL, NULL);
  if (code != SQLITE_OK || !*loaded) return code;
  code = sqlite3_prepare_v2(db, "SELECT recommend_version()", -1, &statement, NULL);
  if (code == SQLITE_ERROR)
    *why = sqlite3_mprintf(
        "recommend was loaded on this connection before, and that failed half way: open the connection anew");
  if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
    const char *there = (const char *)sqlite3_column_text(statement, 0);
    if (!there || strcmp(there, RECOMMEND_VERSION) != 0) {
      code = SQLITE_ERROR;
      *why = sqlite3_mprintf(
          "recommend %s can't be loaded, because this connection has recommend %s already: open another connection",
          RECOMMEND_VERSION, there ? there : "of an unknown version");
    }
  }
  int finalized = sqlite3_finalize(statement);
  return code == SQLITE_OK ? finalized : code;
}
