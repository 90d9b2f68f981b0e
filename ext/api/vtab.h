/* What functions and virtual tables need of SQLite again and again: handing over an Error, reading an IN list. */
#ifndef RECOMMEND_API_VTAB_H
#define RECOMMEND_API_VTAB_H

#include <stddef.h>
#include <stdint.h>

#include "../data/database_error.h"
#include "../data/dictionary.h"

/* Hands an error over, first the message, then the code, and clears it. From a virtual table's method, which returns
 * the code: */
int vtab_report(sqlite3_vtab *vtab, Error *error);

/* A flag for scalar functions that give a subtype: SQLite 3.45 and newer want to be told. Older ones ignore it, and
 * their headers lack it. */
enum { FUNCTION_RESULT_SUBTYPE = 0x1000000 };

/* From a scalar function: */
void scalar_report(sqlite3_context *context, Error *error);

/* One of a dictionary's ids as the result. */
void result_id(sqlite3_context *context, const Dictionary *ids, size_t index);

/* Copies of values, for longer than a call of SQLite's lasts. */
typedef struct ValueList {
  sqlite3_value **values;
  size_t count;
} ValueList;

int value_list_add(ValueList *list, sqlite3_value *value);       /* SQLITE_OK or SQLITE_NOMEM */
int value_list_add_all(ValueList *list, sqlite3_value *in_list); /* of x IN (…): see sqlite3_vtab_in() */
void value_list_free(ValueList *list);                           /* cleared is fine; leaves it cleared */

#endif
