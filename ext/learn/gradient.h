/* Matrix factorization with biases by gradient descent over all observed cells at once: see gradient.c. */
#ifndef RECOMMEND_LEARN_GRADIENT_H
#define RECOMMEND_LEARN_GRADIENT_H

#include "descent.h"

typedef struct GradientOptions {
  DescentStart start; /* rank, seed, threads, how factors begin */
  DescentPenalty penalty;
  double learning_rate; /* > 0; what can be too large depends on the longest row: see gradient_default_rate() */
  double momentum;      /* 0 … below 1: how much of the step before is added to each */
  double decay;         /* what the learning rate is multiplied by after each epoch */
} GradientOptions;

/* Starts a training. The two matrices are each other's transpose (values NULL: all 1) and must outlive it. */
int gradient_create(Factorizer *factorizer, const SparseMatrix *by_user, const SparseMatrix *by_item,
                    const GradientOptions *options, const Cancel *cancel, Error *error);

/* A learning rate that is small enough, for ratings of this unit: 1 / (2 · the longest row's length · max(unit, 1)):
 * the loss bends by that row's length along its bias, and by that times the other side's factors along its own. */
double gradient_default_rate(const SparseMatrix *by_user, const SparseMatrix *by_item, double unit);

#endif
