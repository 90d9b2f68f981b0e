/* The entry point: the table of contents. */
#if defined(__APPLE__)
#include <dlfcn.h>
#endif

#include "recommend.h"

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1

#include "api/register.h"
#include "data/interactions.h"

#define OLDEST_SQLITE 3038000 /* sqlite3_vtab_in(), LIMIT in xBestIndex, JSON built in */

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* Keeps the library where it is until the process ends. SQLite unmaps an extension whose loading fails, but keeps the
 * functions and modules that it had registered until then, and would call into nothing. On Linux the linker's
 * `-z nodelete` does this. */
static int pin_library(void) {
#if defined(__APPLE__) && !defined(SQLITE_CORE)
  static const char here = 0;
  Dl_info library;
  return dladdr(&here, &library) && dlopen(library.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
#else
  return 1;
#endif
}

static int register_everything(sqlite3 *db) {
  Connection *connection = NULL;
  /* First functions: amid a statement SQLite refuses to replace one, and then nothing has been replaced. */
  int code = source_register(db); /* how sources are read */
  if (code == SQLITE_OK) code = connection_create(db, &connection);
  if (code == SQLITE_OK) code = recommend_split_register(db);           /* recommend_split */
  if (code == SQLITE_OK) code = recommend_vector_register(db);          /* recommend_vector, recommend_dot … */
  if (code == SQLITE_OK) code = model_table_register(connection);       /* the module recommender */
  if (code == SQLITE_OK) code = train_functions_register(connection);   /* mf_train, tfidf_train */
  if (code == SQLITE_OK) code = recommend_retrain_register(connection); /* recommend_retrain */
  if (code == SQLITE_OK) code = recommend_user_register(connection);    /* recommend, recommend_all */
  if (code == SQLITE_OK) code = recommend_for_register(connection);     /* recommend_for */
  if (code == SQLITE_OK) code = item_similar_register(connection); /* item_similar, user_similar, recommend_users */
  if (code == SQLITE_OK) code = recommend_neighbors_register(connection);      /* recommend_neighbors */
  if (code == SQLITE_OK) code = recommend_forget_register(connection);         /* recommend_forget */
  if (code == SQLITE_OK) code = recommend_explain_register(connection);        /* recommend_explain */
  if (code == SQLITE_OK) code = recommend_history_register(connection);        /* recommend_history */
  if (code == SQLITE_OK) code = item_similar_all_register(connection);         /* item_similar_all */
  if (code == SQLITE_OK) code = predict_register(connection);                  /* predict */
  if (code == SQLITE_OK) code = recommend_models_register(connection);         /* recommend_models, recommend_factors */
  if (code == SQLITE_OK) code = tfidf_cosine_register(connection);             /* tfidf_cosine, tfidf_vector */
  if (code == SQLITE_OK) code = tfidf_search_register(connection);             /* tfidf_search */
  if (code == SQLITE_OK) code = recommend_clusters_register(connection);       /* recommend_clusters */
  if (code == SQLITE_OK) code = recommend_describe_register(connection);       /* recommend_describe */
  if (code == SQLITE_OK) code = recommend_evaluate_register(connection);       /* recommend_evaluate */
  if (code == SQLITE_OK) code = recommend_cross_validate_register(connection); /* recommend_cross_validate */
  if (code == SQLITE_OK) code = recommend_grid_search_register(connection);    /* recommend_grid_search */
  /* Last: recommend_version() says that all of it is there. */
  if (code == SQLITE_OK) code = recommend_version_register(db); /* recommend_debug, recommend_version */
  if (connection) connection_release(connection);
  return code;
}

/* Why loading failed: SQLite itself would give an empty message. */
static char *reason(sqlite3 *db, int code) {
  if (code == SQLITE_NOMEM) return sqlite3_mprintf("%s", sqlite3_errstr(code));
  if (code != SQLITE_BUSY) return sqlite3_mprintf("%s", sqlite3_errmsg(db));
  return sqlite3_mprintf(
      "recommend can't be loaded while a statement runs on a connection that has functions of the same names already: "
      "load it first, or open the connection anew");
}

EXPORT int sqlite3_recommend_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  SQLITE_EXTENSION_INIT2(api);
  char *why = NULL;
  int code = SQLITE_ERROR, loaded = 0;
  if (!pin_library()) {
    why = sqlite3_mprintf("recommend can't find out where it was loaded from");
  } else if (sqlite3_libversion_number() < OLDEST_SQLITE) {
    why = sqlite3_mprintf("recommend needs SQLite 3.38.0 or newer, and this is %s", sqlite3_libversion());
  } else {
    code = recommend_version_loaded(db, &loaded, &why);
    if (code == SQLITE_OK && !loaded) code = register_everything(db);
    if (code != SQLITE_OK && !why) why = reason(db, code);
  }
  if (message)
    *message = why;
  else
    sqlite3_free(why);
  return code;
}
