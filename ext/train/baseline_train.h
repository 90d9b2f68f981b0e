/* The trainer baseline: popularity, means and damped biases. */
#ifndef RECOMMEND_TRAIN_BASELINE_TRAIN_H
#define RECOMMEND_TRAIN_BASELINE_TRAIN_H

#include "training.h"

/* How a history makes its user's bias in a head without factors, where the biases were fitted by such a method. */
FoldIn baseline_fold_in(int method, double user_regularization);

#endif
