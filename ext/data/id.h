/* The id of a user or an item: any SQLite value but NULL, compared as SQLite compares with BINARY collation
 * (numbers before text before blobs; 1 and 1.0 are the same id, and kept as the integer). */
#ifndef RECOMMEND_DATA_ID_H
#define RECOMMEND_DATA_ID_H

#include <stddef.h>
#include <stdint.h>

#include "../base/sqlite.h"

typedef enum IdKind {
  ID_INTEGER,
  ID_REAL,
  ID_TEXT,
  ID_BLOB,
  ID_NONE /* no id: the place of an item that was forgotten, equal to no id that is looked for; NULL in SQL */
} IdKind;

/* A view of a value: text and blobs are borrowed. */
typedef struct Id {
  IdKind kind;
  uint32_t size; /* bytes of text or blob */
  union {
    int64_t integer;
    double real; /* never a whole number of 64 bits, which is an ID_INTEGER */
    const void *bytes;
  } as;
} Id;

/* Column affinities, as SQLite determines them from a declared type (https://sqlite.org/datatype3.html §3.1). */
typedef enum IdAffinity {
  ID_AFFINITY_BLOB,
  ID_AFFINITY_TEXT,
  ID_AFFINITY_NUMERIC,
  ID_AFFINITY_INTEGER,
  ID_AFFINITY_REAL
} IdAffinity;

IdAffinity id_affinity_of(const char *declared_type); /* NULL (an expression) gives ID_AFFINITY_BLOB */
const char *id_affinity_name(IdAffinity affinity);    /* a type name that has it: "INTEGER", "", … */

/* 1 and the view, which borrows from `value`; 0 for NULL. NaN can't occur. Text is taken as UTF-8. -1 where memory
 * ran out. */
int id_from_value(sqlite3_value *value, Id *id);

/* The same for a column of the current row; the view lives as long as that. */
int id_from_column(sqlite3_stmt *statement, int column, Id *id);

/* The same after giving the value a column's affinity: '42' becomes 42 for a numeric one, 42 becomes '42' for text. */
int id_from_value_as(sqlite3_value *value, IdAffinity affinity, Id *id);

/* Whether the number is a whole number of 64 bits; then it is put into `whole`. */
int real_is_whole(double real, int64_t *whole);

/* The same of a value, however it comes: 3, 3.0 (JavaScript and R bind every number as a REAL) or '3'. */
int value_is_whole(sqlite3_value *value, int64_t *whole);

int id_compare(const Id *a, const Id *b); /* < 0, 0, > 0 */
uint64_t id_hash(const Id *id);           /* equal ids have equal hashes, on every machine and in every version */

int id_bind(sqlite3_stmt *statement, int parameter, const Id *id); /* copies nothing: SQLITE_STATIC */
void id_result(sqlite3_context *context, const Id *id);            /* SQLITE_TRANSIENT */

/* The id as a message shows it: 42, 'tt0111161', x'00ff', long ones cut short. Returns `text`. */
#define ID_FORMAT_SIZE 96
char *id_format(const Id *id, char text[ID_FORMAT_SIZE]);

/* A uniform number in [0, 1) from a seed and a key of ids: the hash behind recommend_split and the option "test". The
 * same on every machine and in every version. */
double split_uniform(uint64_t seed, const Id *key, size_t length);

#endif
