/* sqlite-recommend: a recommender system inside SQLite.
 *
 * Loaded with `.load recommend` or sqlite3_load_extension(), or linked into a program compiled with -DSQLITE_CORE and
 * registered by sqlite3_auto_extension((void (*)(void))sqlite3_recommend_init). */
#ifndef SQLITE_RECOMMEND_H
#define SQLITE_RECOMMEND_H

struct sqlite3;
struct sqlite3_api_routines;

int sqlite3_recommend_init(struct sqlite3 *db, char **message, const struct sqlite3_api_routines *api);

#endif
