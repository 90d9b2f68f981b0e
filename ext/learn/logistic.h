/* Logistic matrix factorization: how likely is it that a user has an item? The method and its source are at the top of
 * logistic.c. */
#ifndef RECOMMEND_LEARN_LOGISTIC_H
#define RECOMMEND_LEARN_LOGISTIC_H

#include "sampled.h"

/* Starts a training: see sampled_create. options->pairs is not read. Values (NULL: all 1) are not negative. */
int logistic_create(Factorizer *factorizer, const SparseMatrix *by_user, const SampledOptions *options,
                    const Cancel *cancel, Error *error);

#endif
