/* Ratings as a row's neighbours, items or users, expect them: ModelKind's methods of models of neighbours. */
#ifndef RECOMMEND_MODEL_KINDS_NEIGHBOR_VOTES_H
#define RECOMMEND_MODEL_KINDS_NEIGHBOR_VOTES_H

#include "../prediction.h"

/* May read and sort all that users did. */
int neighbor_votes_begin(Predictor *predictor, Model *model, const Cancel *cancel, Error *error);
int neighbor_votes_user(Predictor *predictor, Model *model, Error *error);
int neighbor_votes_rate(Predictor *predictor, uint32_t item, double *rating, Error *error);
void neighbor_votes_end(Predictor *predictor);

#endif
