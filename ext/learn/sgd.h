/* Matrix factorization with biases by stochastic gradient descent. The method and its sources are at the top of sgd.c.
 *
 *     ŷ = mean + b_u + b_i + p·q,    Σ_observed (y − ŷ)² + λ (‖p‖² + ‖q‖²) + λ_b (b_u² + b_i²)
 */
#ifndef RECOMMEND_LEARN_SGD_H
#define RECOMMEND_LEARN_SGD_H

#include <stdint.h>

#include "../base/sparse.h"
#include "factorizer.h"

typedef struct SgdOptions {
  int rank;                                   /* 1 … 4096 */
  double mean;                                /* μ */
  int biases;                                 /* else b_u and b_i are left out */
  double regularization, bias_regularization; /* λ and λ_b ≥ 0, of each rating */
  double learning_rate;                       /* > 0 */
  int adaptive;                               /* a rate for each row, falling as it learns; else one for all */
  double unit; /* adaptive: what ratings are measured in. Multiplied with them, it leaves the rates' effect as it was */
  double decay;      /* what the learning rate is multiplied by after each epoch */
  int uniform;       /* factors begin uniformly distributed around 0, else normally */
  double init_scale; /* their standard deviation times sqrt(rank) */
  uint64_t seed;
  int threads; /* already resolved: ≥ 1 */
} SgdOptions;

/* Starts a training. The matrix (values NULL: all 1) must outlive it. SQLITE_NOMEM. Rows without entries get zero
 * factors and bias. */
int sgd_create(Factorizer *factorizer, const SparseMatrix *by_user, const SgdOptions *options, Error *error);

#endif
