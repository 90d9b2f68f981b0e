/* Bayesian personalized ranking: factors such that the items a user has score above those the user does not
 * have. The method and its source are at the top of bpr.c. */
#ifndef RECOMMEND_LEARN_BPR_H
#define RECOMMEND_LEARN_BPR_H

#include "sampled.h"

/* Starts a training: see sampled_create. options->pairs and alpha are not read. With start.biases items have biases
 * (users' would make no difference, and are 0). Values are not read: whatever is there, the user has. */
int bpr_create(Factorizer *factorizer, const SparseMatrix *by_user, const SampledOptions *options, const Cancel *cancel,
               Error *error);

#endif
