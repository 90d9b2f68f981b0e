/* The expected ratings of a user, whatever the kind of model: a product of vectors, or a mean over neighbours.
 *
 *     code = predictor_begin(&predictor, model, items, cancel, error);   the model has begun
 *     code = predictor_user(&predictor, model, user, error);             for each user
 *     code = predictor_rate(&predictor, item, &prediction, error);       for each item
 *     predictor_end(&predictor);
 */
#ifndef RECOMMEND_ANSWER_PREDICTOR_H
#define RECOMMEND_ANSWER_PREDICTOR_H

#include "../learn/neighbor_predict.h"
#include "../learn/neighbors.h"
#include "../model/all_histories.h"

/* A user, from a ModelUser or ModelUsers. All borrowed. */
typedef struct PredictorUser {
  uint32_t index;
  const ModelUser *single; /* or: */
  const float *vector;     /* of the prediction head */
  double offset;           /* likewise */
  const History *history;  /* needed by models of links only */
} PredictorUser;

typedef struct Predictor {
  const ModelItems *items;
  PredictorUser user;
  PostingsVector spread_user; /* of a model of words: the user's query */
  /* Of models of neighbours: */
  int of_neighbors, by_user;
  Observed *observed;     /* NULL: not needed */
  NeighborSearch *search; /* of the nearest raters; kept with `observed`, like: */
  NeighborLists list;     /* a user's own neighbours */
  float least;            /* the lowest similarity that counts; 0 never does */
  float *similarity;      /* of the row searched last, one a row */
  uint32_t *support, searched;
  const float *spread; /* σ of every row, for zscore; NULL: none */
  NeighborVote *votes; /* room for a vote of every row */
} Predictor;

/* The model has a prediction_head. May read and sort all that users did. SQLITE_OK, SQLITE_NOMEM, what cancel says, or
 * damage. To be ended in either case. */
int predictor_begin(Predictor *predictor, Model *model, const ModelItems *items, const Cancel *cancel, Error *error);
int predictor_user(Predictor *predictor, Model *model, const PredictorUser *user, Error *error);

/* The prediction as users see it. */
int predictor_rate(Predictor *predictor, uint32_t item, double *prediction, Error *error);

/* The estimate where the user or the item is unknown: the mean and the bias that is known, or, of a model without
 * biases and where the one whose mean was taken away is unknown, the mean of all ratings. `user_offset` is that of the
 * prediction head, NaN: the user is unknown; `item` may be DICTIONARY_NONE. */
double predictor_estimate(const ModelItems *items, double user_offset, uint32_t item);

void predictor_end(Predictor *predictor); /* cleared is fine; leaves it cleared */

#endif
