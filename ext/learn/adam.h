/* Matrix factorization with biases by Adam on batches of ratings: see adam.c. */
#ifndef RECOMMEND_LEARN_ADAM_H
#define RECOMMEND_LEARN_ADAM_H

#include "descent.h"

#define ADAM_BETA1 0.9
#define ADAM_BETA2 0.999
#define ADAM_EPSILON 1e-8

typedef struct AdamOptions {
  DescentStart start; /* rank, seed, threads, how factors begin */
  DescentPenalty penalty;
  double learning_rate; /* > 0: about as far as an unknown moves in a step */
  double decay;         /* what the learning rate is multiplied by after each epoch */
  int batch_size;       /* ratings, ≥ 1 */
} AdamOptions;

/* Starts a training. The matrix (values NULL: all 1) must outlive it. Memory: three times the factors, 4 bytes a rating
 * and a row for each rating of a batch. CODE_NOMEM. */
int adam_create(Factorizer *factorizer, const SparseMatrix *by_user, const AdamOptions *options, const Cancel *cancel,
                Error *error);

#endif
