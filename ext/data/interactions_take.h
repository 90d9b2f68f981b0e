/* A part of what was read, as if only that had been in the source: for validation. */
#ifndef RECOMMEND_DATA_INTERACTIONS_TAKE_H
#define RECOMMEND_DATA_INTERACTIONS_TAKE_H

#include "interactions.h"

/* The entries e of all->by_user for which wanted[e] is `mark`. Users and items that have none of them are left out, the
 * others stay in order; what all->held_out has is not looked at. SQLITE_OK, SQLITE_NOMEM or what cancel says; to be
 * freed by interactions_free in any case. */
int interactions_take(const Interactions *all, const uint8_t *wanted, uint8_t mark, Interactions *taken,
                      const Cancel *cancel);

#endif
