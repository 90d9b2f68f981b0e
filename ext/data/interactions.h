/* From the rows of a source to arrays: (user, item[, rating[, timestamp]]).
 *
 * The source is read with one nested SELECT that is finalized before this returns; no lock, statement or transaction is
 * left. Ids become indexes (dictionaries sorted by id), pairs become one entry each, entries are sorted by
 * (user, item): the result does not depend on the order of rows but where `duplicates` is "last", and in what is timed.
 */
#ifndef RECOMMEND_DATA_INTERACTIONS_H
#define RECOMMEND_DATA_INTERACTIONS_H

#include "../base/cancel.h"
#include "../base/sparse.h"
#include "database_error.h"
#include "dictionary.h"
#include "entry_times.h"
#include "source.h"

typedef enum DuplicatesRule {
  DUPLICATES_DEFAULT, /* last with ratings, sum without, or where they are counts */
  DUPLICATES_LAST,    /* by timestamp where there is one (ties by row order), else by row order */
  DUPLICATES_SUM,
  DUPLICATES_MEAN,
  DUPLICATES_ERROR
} DuplicatesRule;

/* Which columns are user, item, rating and timestamp is in choose_columns.h. The timestamp is read only where there are
 * ratings and the rule is LAST, or where entries are to be timed. It is a number, or text that reads as one (NULL and
 * '' are older than any); a column that holds anything else is no timestamp and wholly ignored, but where the option
 * `timestamp` names it: an error. Times that are to be kept must be whole numbers: all else is an error. */
typedef struct InteractionOptions {
  const char *caller;                           /* the function's name, for messages: "mf_train" */
  const char *advice;                           /* what else a source without users may be meant for; or NULL */
  const char *user, *item, *rating, *timestamp; /* column names; NULL: by name or position */
  int implicit;                                 /* "rating": null, every row counts 1; two columns mean the same */
  DuplicatesRule duplicates;
  int no_timestamp;            /* "timestamp": null, there is no such column */
  int timed;                   /* the entries' times and order are wanted */
  int counts;                  /* ratings are how often: they add up, unless `duplicates` says otherwise */
  IdAffinity user_as, item_as; /* ids are taken as in a column of this affinity; ID_AFFINITY_BLOB: as they are */
  double test;   /* fraction held out, 0 ≤ test < 1: those with split_uniform(seed, {user, item}, 2) < test; but where
                  * test > 0 at least one is held out and at least one is not, and a single one is an error */
  uint64_t seed; /* of the split */
  int threads;   /* for sorting; already resolved; below 1 counts as 1. The result does not depend on it */
} InteractionOptions;

typedef struct Interactions {
  Dictionary users, items;
  IdAffinity user_affinity, item_affinity; /* of the source's columns */
  int user_column, item_column;            /* their indexes in the source */
  SparseMatrix by_user;          /* users × items, the entries to train on; value NULL where every entry is 1 */
  SparseMatrix held_out;         /* users × items, the entries kept for testing; start NULL where test is 0 */
  EntryTimes trained_times;      /* of by_user's entries, where they are timed: of several rows of a pair the latest */
  EntryTimes held_out_times;     /* of held_out's */
  int timestamps;                /* they come from a column of the source, and not from the order of its rows alone */
  int explicit_ratings;          /* the source has ratings */
  int64_t rows;                  /* rows read */
  int64_t left_out;              /* rows whose user, item or rating is NULL or '' */
  int64_t duplicates;            /* rows beyond the first of their pair */
  int64_t zeros;                 /* pairs that interactions_drop_zeros has dropped */
  int stars_added_up;            /* ratings were added up that look like stars */
  char *columns;                 /* which column was taken for what, a JSON object; NULL: these were not read */
  char *unread;                  /* the columns that might be a rating, where none is named like one; or NULL */
  int times_ignored;             /* the column of timestamps has something else in it: it was ignored */
  double minimum, maximum, mean; /* of the training entries' values; 0 where there are none */
} Interactions;

/* Registers recommend_collect, the aggregate function that interactions_read reads with: once a connection. */
int source_register(sqlite3 *db);

/* Reads a source. An empty one gives empty matrices and SQLITE_OK. SQLITE_MISMATCH for a rating that is not a number,
 * with a message that names the row, its user and its item; SQLITE_CONSTRAINT for a pair that occurs twice under
 * DUPLICATES_ERROR; SQLITE_TOOBIG for 2^31 ids, or 2^32 rows with timestamps. Other codes as SQLite gave them.
 * Memory: at most 20 bytes a row and the dictionaries, 28 with timestamps; 8 stay. Where entries are timed, 48, and 20
 * stay. On error nothing is kept. */
int interactions_read(sqlite3 *db, const Source *source, const InteractionOptions *options, Interactions *interactions,
                      const Cancel *cancel, Error *error);

void interactions_free(Interactions *interactions); /* cleared memory is fine; leaves it cleared */

#endif
