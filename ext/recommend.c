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
  static int (*const of_connection[])(Connection * connection) = {
      model_table_register,              /* the module recommender */
      train_functions_register,          /* mf_train, tfidf_train … */
      recommend_trainers_register,       /* recommend_trainers */
      recommend_options_register,        /* recommend_options */
      recommend_retrain_register,        /* recommend_retrain */
      recommend_user_register,           /* recommend */
      recommend_all_register,            /* recommend_all */
      recommend_for_register,            /* recommend_for */
      recommend_users_register,          /* recommend_users */
      item_similar_register,             /* item_similar */
      item_similar_all_register,         /* item_similar_all */
      user_similar_register,             /* user_similar */
      recommend_neighbors_register,      /* recommend_neighbors */
      recommend_forget_register,         /* recommend_forget */
      recommend_explain_register,        /* recommend_explain */
      recommend_history_register,        /* recommend_history */
      predict_register,                  /* predict */
      recommend_models_register,         /* recommend_models */
      recommend_factors_register,        /* recommend_factors */
      tfidf_cosine_register,             /* tfidf_cosine */
      tfidf_vector_register,             /* tfidf_vector */
      tfidf_search_register,             /* tfidf_search */
      recommend_clusters_register,       /* recommend_clusters */
      recommend_describe_register,       /* recommend_describe */
      recommend_evaluate_register,       /* recommend_evaluate */
      recommend_cross_validate_register, /* recommend_cross_validate */
      recommend_grid_search_register,    /* recommend_grid_search */
  };
  Connection *connection = NULL;
  /* First functions: amid a statement SQLite refuses to replace one, and then nothing has been replaced. */
  int code = source_register(db); /* how sources are read */
  if (code == SQLITE_OK) code = connection_create(db, &connection);
  if (code == SQLITE_OK) code = recommend_split_register(db);  /* recommend_split */
  if (code == SQLITE_OK) code = recommend_vector_register(db); /* recommend_vector, recommend_dot … */
  for (size_t i = 0; i < sizeof of_connection / sizeof *of_connection && code == SQLITE_OK; i++)
    code = of_connection[i](connection);
  /* Last: recommend_version() says that all of it is there. */
  if (code == SQLITE_OK) code = recommend_version_register(db); /* recommend_debug, recommend_version */
  if (connection) connection_release(connection);
  return code;
}

/* Why loading failed: SQLite itself would give an empty message. */
static char *why_loading_failed(sqlite3 *db, int code) {
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
    if (code != SQLITE_OK && !why) why = why_loading_failed(db, code);
  }
  if (message)
    *message = why;
  else
    sqlite3_free(why);
  return code;
}
