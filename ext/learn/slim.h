/* SLIM: sparse linear weights between items, each item a sum of others that the same users have.
 *
 *     score(u, i) = Σ_j x_uj W[j][i],      W minimises ½ ‖X − X W‖² + l1 ‖W‖₁ + ½ l2 ‖W‖²,   W[i][i] = 0
 *
 * with W ≥ 0 unless it is told otherwise. The formulas and their source are at the top of slim.c. */
#ifndef RECOMMEND_LEARN_SLIM_H
#define RECOMMEND_LEARN_SLIM_H

#include <stdint.h>

#include "../base/cancel.h"
#include "../base/error.h"
#include "../base/sparse.h"
#include "../score/item_links.h"

typedef struct SlimOptions {
  double l1, l2;    /* ≥ 0; in the units of XᵀX, which of ones are users */
  int nonnegative;  /* W ≥ 0 */
  int iterations;   /* rounds over the weights of an item at most */
  double tolerance; /* an item is done when a round changes no weight by more */
  uint64_t most;    /* bytes of memory that may be taken beside `by_user` */
  int threads;      /* already resolved: ≥ 1 */
  double *share;    /* how much of the work is done, 0 … 1, whenever cancel is polled; NULL: nobody asks */
} SlimOptions;

/* Fits. `by_user` is X, users × items (value NULL: ones). Row j of `weights` has the items i with W[j][i] ≠ 0, the
 * largest weight first (ties: the lower item), and as support how many users have both; to be freed by
 * neighbor_lists_free. Items that no user has together have no weight. *loss (NULL: not asked for) is what was
 * minimised. The same bytes for any number of threads.
 *
 * CODE_NOMEM, what cancel says, or CODE_ERROR with a message where XᵀX takes more memory than `most`, or its values are
 * too large: nothing is kept then. */
int slim_fit(NeighborLists *weights, const SparseMatrix *by_user, const SlimOptions *options, double *loss,
             const Cancel *cancel, Error *error);

#endif
