/* Deals rows or users out into folds, in the order of their hashes: fold sizes differ by one at most, however few
 * there are. */
#ifndef RECOMMEND_DATA_DEAL_H
#define RECOMMEND_DATA_DEAL_H

#include <stddef.h>
#include <stdint.h>

#include "../base/cancel.h"

/* The fold of what is not dealt out. */
enum { DEAL_NONE = 255, DEAL_MOST_FOLDS = 254 };

/* What is dealt out: each thing has a number in [0, 1), or NaN if it is to be left alone, and gets a fold or DEAL_NONE.
 * Of equal numbers the earlier thing comes first: things are in order of id. */
typedef struct Deal {
  size_t count;
  double *number; /* owned, as fold is */
  uint8_t *fold;
} Deal;

/* SQLITE_OK or SQLITE_NOMEM; to be freed in either case. The numbers are the caller's to fill in, every fold DEAL_NONE.
 */
int deal_alloc(Deal *deal, size_t count);
void deal_free(Deal *deal);

/* How many have a number. */
size_t deal_count(const Deal *deal);

/* Deals all into folds 0 … folds - 1, of sizes that differ by one at most: the p-th of n in order of their numbers goes
 * to floor(p · folds / n). SQLITE_OK, SQLITE_NOMEM or what cancel says. */
int deal_folds(Deal *deal, int folds, const Cancel *cancel);

/* Those whose number is below `part` go to fold 0: at least one, and at most `most` ≥ 1, those of the least numbers. */
int deal_part(Deal *deal, double part, size_t most, const Cancel *cancel);

#endif
