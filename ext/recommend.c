/* The entry point: the table of contents. */
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

EXPORT int sqlite3_recommend_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  SQLITE_EXTENSION_INIT2(api);
  if (sqlite3_libversion_number() < OLDEST_SQLITE) {
    *message = sqlite3_mprintf("recommend needs SQLite 3.38.0 or newer, and this is %s", sqlite3_libversion());
    return SQLITE_ERROR;
  }
  Connection *connection = NULL;
  /* First a function: loaded again amid a statement, SQLite refuses it, and nothing has been replaced yet. */
  int code = source_register(db); /* how sources are read */
  if (code == SQLITE_OK) code = connection_create(db, &connection);
  if (code == SQLITE_OK) code = about_register(db);                  /* recommend_version, recommend_debug */
  if (code == SQLITE_OK) code = split_register(db);                  /* recommend_split */
  if (code == SQLITE_OK) code = model_table_register(connection);    /* the module recommender */
  if (code == SQLITE_OK) code = train_register(connection);          /* mf_train, tfidf_train */
  if (code == SQLITE_OK) code = recommend_register(connection);      /* recommend, recommend_all */
  if (code == SQLITE_OK) code = recommend_for_register(connection);  /* recommend_for */
  if (code == SQLITE_OK) code = similar_register(connection);        /* item_similar, user_similar, recommend_users */
  if (code == SQLITE_OK) code = neighbors_register(connection);      /* recommend_neighbors */
  if (code == SQLITE_OK) code = explain_register(connection);        /* recommend_explain */
  if (code == SQLITE_OK) code = similar_all_register(connection);    /* item_similar_all */
  if (code == SQLITE_OK) code = predict_register(connection);        /* predict */
  if (code == SQLITE_OK) code = inspect_register(connection);        /* recommend_models, recommend_factors */
  if (code == SQLITE_OK) code = text_register(connection);           /* tfidf_cosine, tfidf_vector */
  if (code == SQLITE_OK) code = search_register(connection);         /* tfidf_search */
  if (code == SQLITE_OK) code = clusters_register(connection);       /* recommend_clusters */
  if (code == SQLITE_OK) code = describe_register(connection);       /* recommend_describe */
  if (code == SQLITE_OK) code = evaluate_register(connection);       /* recommend_evaluate */
  if (code == SQLITE_OK) code = cross_validate_register(connection); /* recommend_cross_validate */
  if (code == SQLITE_OK) code = grid_search_register(connection);    /* recommend_grid_search */
  if (connection) connection_release(connection);
  return code;
}
