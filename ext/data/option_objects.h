/* JSON objects of options as a whole: taken apart, put together, multiplied out. All texts are from sqlite3_malloc. */
#ifndef RECOMMEND_DATA_OPTION_OBJECTS_H
#define RECOMMEND_DATA_OPTION_OBJECTS_H

#include "options.h"

/* Parts the members of `json` (NULL or '': none) into those that `options` name and the others; members that are named
 * in `both` ("seed|threads") go into both. SQLITE_ERROR with a message where it is not an object, or has a name twice.
 */
int options_part(const char *caller, const char *json, const Option *options, size_t count, const char *both,
                 char **named, char **others, Error *error);

/* Whether the object, which must be valid, has the member; -1 where memory ran out. */
int options_have(const char *json, const char *key);

/* {"key": "text"}. NULL where memory ran out. */
char *options_object(const char *key, const char *text);

/* The members of `base`, and those of `more` in their place or behind them. NULL where memory ran out. */
char *options_merge(const char *base, const char *more);

/* Takes the member `key` out: its number into *value, and *found = 1; SQLITE_ERROR where it is not a number. *json is
 * replaced. */
int options_take_number(const char *caller, char **json, const char *key, double *value, int *found, Error *error);

/* All combinations of the values of an object whose members are arrays of values (or single ones), the last member
 * changing fastest: an object each. Without members there is one combination, {}. */
typedef struct OptionGrid {
  size_t count;
  char **combination;
} OptionGrid;

int option_grid_parse(const char *caller, const char *json, OptionGrid *grid, Error *error);
void option_grid_free(OptionGrid *grid); /* leaves it cleared */

#endif
