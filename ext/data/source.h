/* From a table, a view or a SELECT to arrays: reading (user, item[, rating[, timestamp]]) rows.
 *
 * The source is read with one nested SELECT that is finalized before this returns; no lock, statement or transaction is
 * left. Ids become indexes (dictionaries sorted by id), pairs become one entry each, entries are sorted by
 * (user, item): the result does not depend on the order of rows but where `duplicates` is "last". */
#ifndef RECOMMEND_DATA_SOURCE_H
#define RECOMMEND_DATA_SOURCE_H

#include "../base/cancel.h"
#include "../base/error.h"
#include "../base/sparse.h"
#include "dictionary.h"

/* What a source argument means: a SELECT (or WITH, VALUES) text, or a table or view and its schema. */
typedef struct Source {
  int is_query;
  char *schema; /* of the table or view; NULL for a query. Owned, like the rest. */
  char *name;   /* NULL for a query */
  char *text;   /* as the user gave it */
} Source;

/* Resolves `text` on this connection: a name is searched for in temp, main and the attached schemas, or in the one it
 * carries (aux.ratings); names may be quoted ("…", […], `…`). SQLITE_ERROR with a message that says what to do. */
int source_resolve(sqlite3 *db, const char *text, Source *source, Error *error);
void source_free(Source *source);

typedef enum DuplicatesRule { DUPLICATES_DEFAULT, DUPLICATES_LAST, DUPLICATES_SUM, DUPLICATES_MEAN, DUPLICATES_ERROR } DuplicatesRule;

typedef struct InteractionOptions {
  const char *caller;     /* the function's name, for messages: "mf_train" */
  const char *user, *item, *rating, *timestamp; /* column names; NULL: by position */
  int implicit;           /* "rating": null, every row counts 1; two columns mean the same */
  DuplicatesRule duplicates; /* DEFAULT: last with ratings, sum without. LAST goes by timestamp where there is one (ties
                                by row order), else by row order */
  double test;            /* fraction held out, 0 ≤ test < 1, by recommend_split's hash of (user, item, seed) */
  uint64_t seed;
} InteractionOptions;

typedef struct Interactions {
  Dictionary users, items;
  IdAffinity user_affinity, item_affinity; /* of the source's columns */
  SparseMatrix by_user;  /* users × items, the entries to train on; value NULL where every entry is 1 */
  SparseMatrix held_out; /* users × items, the entries kept for testing; start NULL where test is 0 */
  int explicit_ratings;  /* the source has ratings */
  int64_t rows;          /* rows read */
  int64_t left_out;      /* rows whose user, item or rating is NULL or '' */
  int64_t duplicates;    /* rows beyond the first of their pair */
  double minimum, maximum, mean; /* of the training entries' values; 0 where there are none */
} Interactions;

/* Reads a source. An empty one gives empty matrices and SQLITE_OK. SQLITE_MISMATCH for a rating that is not a number, with a message that
 * names the row by its user and item; SQLITE_CONSTRAINT for a pair that occurs twice under DUPLICATES_ERROR. Other
 * codes as SQLite gave them. Memory: at most 20 bytes a row and the dictionaries, 16 of them transient (28 with a
 * timestamp). On error nothing is kept. */
int interactions_read(sqlite3 *db, const Source *source, const InteractionOptions *options, Interactions *interactions,
                      const Cancel *cancel, Error *error);

void interactions_free(Interactions *interactions);

/* A uniform number in [0, 1) from a seed and a key of ids: the hash behind recommend_split and `test`. */
double split_uniform(uint64_t seed, const Id *key, size_t length);

#endif
