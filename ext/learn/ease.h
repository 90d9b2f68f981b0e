/* EASE: a linear model of items by items, without an item's own weight on itself, in closed form.
 *
 *     score(u, i) = Σ_j x_uj B[j][i],        B minimises ‖X − X B‖² + λ ‖B‖²,  B[i][i] = 0
 *
 * The formula and its source are at the top of ease.c. */
#ifndef RECOMMEND_LEARN_EASE_H
#define RECOMMEND_LEARN_EASE_H

#include "../base/cancel.h"
#include "../base/error.h"
#include "../base/inverse.h"
#include "../base/sparse.h"

typedef struct EaseOptions {
  double lambda; /* λ > 0 */
  int threads;   /* already resolved: ≥ 1 */
  double *share; /* how much of the work is done, 0 … 1, whenever cancel is polled; NULL: nobody asks */
} EaseOptions;

typedef struct Ease {
  size_t items;
  SymmetricMatrix inverse; /* (XᵀX + λI)⁻¹ */
  double *diagonal;        /* of it: items numbers, all positive */
} Ease;

/* The bytes that ease_fit takes at most, all told but for what `by_user` holds, for so many items and entries:
 * to be asked before anything is allocated. UINT64_MAX where they are more than that. 4 items² stay. */
uint64_t ease_bytes(size_t items, size_t entries, int with_values);

/* About how many seconds ease_fit takes here and now, on so many items. CODE_OK, CODE_NOMEM or what cancel says. */
int ease_seconds(size_t items, int threads, double *seconds, const Cancel *cancel);

/* Fits. `by_user` is X, users × items (value NULL: ones). CODE_ERROR with a message where λ is too small for the
 * matrix to be positive definite in double precision, CODE_NOMEM, or what cancel says: nothing is kept then. The same
 * bytes for any number of threads. items³ / 2 multiply-adds, and Σ_u n_u² / 2 before. */
int ease_fit(Ease *ease, const SparseMatrix *by_user, const EaseOptions *options, const Cancel *cancel, Error *error);

/* Rows first … first + count − 1 of B, `items` floats each, into weights: what those items say of all items. */
void ease_rows(const Ease *ease, size_t first, size_t count, float *weights);

void ease_free(Ease *ease); /* a cleared one is fine; leaves it cleared */

#endif
