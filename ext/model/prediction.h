/* What a kind of model predicts ratings with: see ModelKind, and answer/predictor.h for who asks. */
#ifndef RECOMMEND_MODEL_PREDICTION_H
#define RECOMMEND_MODEL_PREDICTION_H

#include "model.h"

/* A user, as ModelUser or ModelUsers have them. All borrowed. */
typedef struct PredictorUser {
  uint32_t index;
  const void *query;      /* for items_scorer; NULL where it was not made */
  const float *vector;    /* of the prediction head; NULL: it has none */
  double offset;          /* likewise */
  const History *history; /* needed where queries are made of histories */
} PredictorUser;

typedef struct Predictor {
  const ModelItems *items;
  PredictorUser user; /* of whom ratings are predicted */
  int searches;       /* every prediction takes a search among all users or items: cancel is to be asked each time */
  void *state;        /* the kind's */
} Predictor;

#endif
