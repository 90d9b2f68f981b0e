/* One row of alternating least squares in double, for where floats do not do: a penalty so small beside what is summed
 * up that rounding would drown it. Slow, and rarely needed. The equations are those of als_row.c. */
#ifndef RECOMMEND_LEARN_ALS_EXACT_H
#define RECOMMEND_LEARN_ALS_EXACT_H

#include "als_row.h"

/* Is λ' of any row of the side below what a float of w₀ G can tell apart from 0? `largest` is of G's diagonal, by w₀.
 */
int als_exact_is_needed(const AlsSide *side, double largest);

/* Solves for one row, on worker `worker`: its factors, and its bias where it has one. CODE_OK, CODE_NOMEM or the
 * code of the cancellation. */
int als_exact_solve(const AlsSide *side, size_t row, int worker, float *x, float *bias);

/* The matrix of the row's equations, the bias eliminated, rank × rank and whole, and s/d, rank numbers, 0 without
 * biases; both overwritten. Codes as above. */
int als_exact_matrix(const AlsSide *side, size_t row, double *a, double *level);

/* xᵀ A x. */
double als_exact_form(const double *a, const float *x, size_t n);

#endif
