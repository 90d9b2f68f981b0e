/* Which of a source's columns is the user, the item, the rating and the timestamp.
 *
 * An option that names a column decides. Then, where both the user's and the item's column have unmistakable names
 * (column_names.h), names alone decide: where no column is named like a rating, there is none. A column of a SELECT
 * that is an expression without a name is taken by its position. Otherwise the columns are user, item, rating and
 * timestamp by position (but a timestamp that is named so may stand further behind), and what their names say against
 * that is an error, as is a column that is the table's primary key and would be the user or the item. Every error says
 * what to write. */
#ifndef RECOMMEND_DATA_CHOOSE_COLUMNS_H
#define RECOMMEND_DATA_CHOOSE_COLUMNS_H

#include "column_names.h"
#include "interactions.h"

typedef struct ChosenColumns {
  int column[COLUMN_ROLES]; /* indexes; -1: there is none */
  DuplicatesRule rule;      /* never DEFAULT */
  int reads_time;           /* the timestamp matters: it is wanted, or there are ratings and the rule is LAST */
  int ratings_missed;       /* names decided, and none is a rating's */
} ChosenColumns;

/* SQLITE_OK, or SQLITE_ERROR and a message; SQLITE_NOMEM. */
int choose_columns(sqlite3 *db, const Source *source, const SourceColumns *columns, const InteractionOptions *options,
                   ChosenColumns *chosen, Error *error);

/* {"user": "userId", "item": "movieId", "rating": "rating", "timestamp": null}: from sqlite3_malloc, NULL where memory
 * ran out. */
char *chosen_columns_json(const SourceColumns *columns, const ChosenColumns *chosen);

/* Lists the columns whose names don't tell what they hold: "quantity", "price". NULL where there are none. SQLITE_OK or
 * SQLITE_NOMEM.
 */
int columns_unread(const SourceColumns *columns, char **list);

/* Of a profile, rows of one person: the item and the rating (-1: none). A column that has an item's name is the item,
 * wherever it is; else the first. */
int choose_profile_columns(const SourceColumns *columns, const char *caller, int *item, int *rating, Error *error);

#endif
