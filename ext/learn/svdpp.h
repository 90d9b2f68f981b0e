/* SVD++: matrix factorization with biases in which a user is also described by the items they rated, whatever the
 * rating. The method and its sources are at the top of svdpp.c.
 *
 *     ŷ = mean + b_u + b_i + q_i · (p_u + |N(u)|^-½ Σ_{j ∈ N(u)} y_j)
 *
 * The result is plain Factors: a user's vector is the sum in parentheses. */
#ifndef RECOMMEND_LEARN_SVDPP_H
#define RECOMMEND_LEARN_SVDPP_H

#include "descent.h"

typedef struct SvdppOptions {
  DescentStart start;     /* rank, seed, threads, how factors begin: the y_j like the others */
  DescentPenalty penalty; /* of each rating: λ (‖p_u‖² + ‖q_i‖² + Σ_j ‖y_j‖²) + λ_b (b_u² + b_i²) */
  double learning_rate;   /* > 0 */
  double bias_rate;       /* > 0: that of biases */
  double decay;           /* what the learning rate is multiplied by after each epoch */
} SvdppOptions;

/* Starts a training. The matrix (values NULL: all 1) must outlive it. CODE_NOMEM. Memory: twice the factors'. Users
 * are visited one after the other, by one thread: an epoch takes as long with any number of them. */
int svdpp_create(Factorizer *factorizer, const SparseMatrix *by_user, const SvdppOptions *options, const Cancel *cancel,
                 Error *error);

#endif
