/* The family baseline: popularity, means and damped biases. */
#ifndef RECOMMEND_API_BASELINE_H
#define RECOMMEND_API_BASELINE_H

#include "train.h"

extern const Family baseline_family;

/* How a history makes its user's bias in a head without factors, where the biases were fitted by such a method. */
FoldIn baseline_fold_in(int method, double user_regularization);

#endif
