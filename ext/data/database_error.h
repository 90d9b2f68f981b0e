/* SQLite's own errors, as an Error. */
#ifndef RECOMMEND_DATA_DATABASE_ERROR_H
#define RECOMMEND_DATA_DATABASE_ERROR_H

#include "../base/error.h"
#include "../base/sqlite.h"

/* Records what the connection says of its last failure, prefixed with "what: " where what is not NULL. */
int error_from_database(Error *error, sqlite3 *db, int code, const char *what);

#endif
