/* Non-negative matrix factorization of the observed cells, without biases. The method and its sources are at the top of
 * nmf.c.
 *
 *     ŷ = p·q,  p, q ≥ 0,    Σ_observed (y − ŷ)² + λ (‖p‖² + ‖q‖²)
 */
#ifndef RECOMMEND_LEARN_NMF_H
#define RECOMMEND_LEARN_NMF_H

#include "descent.h"

typedef struct NmfOptions {
  int rank;              /* 1 … 4096 */
  double regularization; /* λ ≥ 0, of each rating */
  double init_scale; /* how long rows are when they begin, on the average: lanes are uniform in 0 … √(3 / rank) of it */
  uint64_t seed;
  int threads; /* already resolved: ≥ 1 */
} NmfOptions;

/* Starts a training. The two matrices are each other's transpose (values NULL: all 1), hold no negative value, and must
 * outlive it. CODE_NOMEM. Rows without entries get zero factors. */
int nmf_create(Factorizer *factorizer, const SparseMatrix *by_user, const SparseMatrix *by_item,
               const NmfOptions *options, const Cancel *cancel, Error *error);

#endif
