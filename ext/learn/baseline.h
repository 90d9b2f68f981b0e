/* Baselines: means, and biases damped towards 0. Formulas and sources are at the top of baseline.c.
 *
 *     ŷ(u, i) = mean + user_bias[u] + item_bias[i] */
#ifndef RECOMMEND_LEARN_BASELINE_H
#define RECOMMEND_LEARN_BASELINE_H

#include "../base/cancel.h"
#include "../base/error.h"
#include "../base/factors.h"
#include "../base/sparse.h"

typedef enum BaselineMethod {
  BASELINE_BIAS,        /* μ + b_u + b_i, damped, by alternating least squares */
  BASELINE_GLOBAL_MEAN, /* μ */
  BASELINE_USER_MEAN,   /* the user's mean; of a user without ratings μ */
  BASELINE_ITEM_MEAN,   /* the item's mean, likewise */
  BASELINE_METHODS
} BaselineMethod;

typedef struct BaselineOptions {
  BaselineMethod method;
  double user_regularization, item_regularization; /* damped biases: 15 and 10 */
  int epochs;                                      /* rounds, items first: 10 */
  int threads;                                     /* already resolved: ≥ 1 */
} BaselineOptions;

/* Fits `factors` (rank 0, with biases; to be freed by factors_free). Means are kept as biases: for USER_MEAN mean is μ
 * and user_bias the user's mean less μ. *rmse, which may be NULL, is that over the entries. CODE_NOMEM or what cancel
 * says. */
int baseline_fit(const SparseMatrix *by_user, const SparseMatrix *by_item, const BaselineOptions *options,
                 Factors *factors, double *rmse, const Cancel *cancel, Error *error);

#endif
