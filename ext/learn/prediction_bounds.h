/* The lowest and the highest prediction of a factorization over all users × items, without storing any of them. */
#ifndef RECOMMEND_LEARN_PREDICTION_BOUNDS_H
#define RECOMMEND_LEARN_PREDICTION_BOUNDS_H

#include "../base/cancel.h"
#include "../base/factors.h"

/* CODE_OK, CODE_NOMEM or what cancel says. The same for any number of threads. Both are 0 where there are no users
 * or no items. Memory: that of the items' factors, and of a few thousand users'. */
int factors_extent(const Factors *factors, double *low, double *high, int threads, const Cancel *cancel);

#endif
