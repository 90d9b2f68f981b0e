/* Learning from the items that users have and from randomly drawn items that they don't have: what bpr.c and
 * logistic.c share. The method is at the top of sampled.c. */
#ifndef RECOMMEND_LEARN_SAMPLED_H
#define RECOMMEND_LEARN_SAMPLED_H

#include "descent.h"
#include "sampled_kernels.h"

typedef struct SampledOptions {
  DescentStart start;     /* rank, seed, threads, biases, how factors begin */
  DescentPenalty penalty; /* λ / 2 and λ_b / 2 of each sample's rows */
  double learning_rate;   /* > 0: of a row's first step; divided by √(1 + Σ of its squared gradients before) */
  double decay;           /* what the learning rate is multiplied by after each epoch */
  int negatives;          /* ≥ 1: items that a user does not have, for each one that they have */
  int pairs;              /* a sample is a pair of items, of which the user has the first; else a cell, and each one
                             that the user has is a sample too */
  double alpha;           /* cells: one that the user has weighs 1 + alpha · value, any other 1 */
} SampledOptions;

/* Starts a training by one of the kernels. The matrix (values NULL: all 1) must outlive it. CODE_NOMEM. Rows without
 * entries begin at zero. The loss is the mean over the samples of an epoch, each before its step, with the penalty as
 * it is after the last. */
int sampled_create(Factorizer *factorizer, const SparseMatrix *by_user, SampledLearn *learn,
                   const SampledOptions *options, const Cancel *cancel, Error *error);

#endif
