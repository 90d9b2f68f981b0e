/* Matrix factorization with biases by stochastic gradient descent: see sgd.c. The loss is descent.h's. */
#ifndef RECOMMEND_LEARN_SGD_H
#define RECOMMEND_LEARN_SGD_H

#include "descent.h"

typedef struct SgdOptions {
  DescentStart start; /* rank, seed, threads, how factors begin */
  DescentPenalty penalty;
  double learning_rate; /* > 0 */
  int adaptive;         /* a rate for each row, falling as it learns; else one for all */
  double unit; /* adaptive: what ratings are measured in. Multiplied with them, it leaves the rates' effect as it was */
  double decay; /* what the learning rate is multiplied by after each epoch */
} SgdOptions;

/* Starts a training. The matrix (values NULL: all 1) must outlive it. An epoch reports the errors before each step,
 * finish those of the factors as they are. Memory: 8 bytes a rating and the factors. CODE_NOMEM. Rows without entries
 * get zero factors and bias. */
int sgd_create(Factorizer *factorizer, const SparseMatrix *by_user, const SgdOptions *options, const Cancel *cancel,
               Error *error);

#endif
