/* The one place that includes SQLite, as a loadable extension or (with SQLITE_CORE) linked into a program. */
#ifndef RECOMMEND_BASE_SQLITE_H
#define RECOMMEND_BASE_SQLITE_H

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3

#endif
