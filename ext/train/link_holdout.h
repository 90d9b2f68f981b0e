/* What the trainers share whose models link items, by neighbours or by weights, so that users are their histories: what
 * such a model is, and how it is tested on what was held out. */
#ifndef RECOMMEND_TRAIN_LINK_HOLDOUT_H
#define RECOMMEND_TRAIN_LINK_HOLDOUT_H

#include "training.h"

/* NDCG@10 of the history's items' links over the cells held out; NaN where there are none. `weighted`: the history's
 * values are its weights, else 1. */
int links_test(Training *training, const Links *links, int weighted, double *test, Error *error);

/* What a model of weights between items is, EASE's or SLIM's, of one of the kinds that link items; `of_ratings`: they
 * were learned from ratings, and not from likes. */
ModelShape item_links_shape(const Interactions *data, const ModelKind *kind, LinkKind links, int of_ratings);

#endif
