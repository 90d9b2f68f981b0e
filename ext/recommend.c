/* The entry point: what the extension registers. */
#include "recommend.h"

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1

#if defined(_WIN32)
__declspec(dllexport)
#else
__attribute__((visibility("default")))
#endif
int sqlite3_recommend_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  SQLITE_EXTENSION_INIT2(api);
  (void)db;
  (void)message;
  return SQLITE_OK;
}
