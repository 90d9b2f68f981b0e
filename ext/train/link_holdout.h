/* Testing, on what was held out, models whose users are their histories: of neighbours of items, or weights between
 * them. */
#ifndef RECOMMEND_TRAIN_LINK_HOLDOUT_H
#define RECOMMEND_TRAIN_LINK_HOLDOUT_H

#include "training.h"

/* NDCG@10 of the history's items' links over the cells held out; NaN where there are none. `weighted`: the history's
 * values are its weights, else 1. */
int links_test(Training *training, const Links *links, int weighted, double *test, Error *error);

#endif
