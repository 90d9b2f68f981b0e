/* Folding a history into heads that have biases and no factors: what baselines and models of neighbours share. */
#ifndef RECOMMEND_MODEL_KINDS_BIAS_FOLDING_H
#define RECOMMEND_MODEL_KINDS_BIAS_FOLDING_H

#include "../model.h"

/* ModelKind.fold_user. */
int fold_user_biases(ModelItems *items, Profile profile, const float *new_item, const History *history, float *row,
                     const Cancel *cancel);

#endif
