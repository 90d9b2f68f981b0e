/* A part of the interactions, as if the source had held nothing else: for validation, and where values are feedback. */
#ifndef RECOMMEND_DATA_INTERACTIONS_SUBSET_H
#define RECOMMEND_DATA_INTERACTIONS_SUBSET_H

#include "interactions.h"

/* The entries e of all->by_user for which wanted[e] is `mark`. Users and items that have none of them are left out, the
 * others stay in order; what all->held_out has is not looked at. SQLITE_OK, SQLITE_NOMEM or what cancel says; to be
 * freed by interactions_free in any case. */
int interactions_take(const Interactions *all, const uint8_t *wanted, uint8_t mark, Interactions *taken,
                      const Cancel *cancel);

/* Takes out the entries whose value is 0, trained and held out, with the users and items that have no other entry:
 * where values are feedback, a 0 says nothing. data->zeros counts them. Codes as above. */
int interactions_drop_zeros(Interactions *data, const Cancel *cancel);

/* The entries whose value is above 0, in as many rows and columns. SQLITE_OK, SQLITE_NOMEM or what
 * cancel says (nothing is kept). */
int interactions_likes(const SparseMatrix *matrix, SparseMatrix *likes, const Cancel *cancel);

#endif
