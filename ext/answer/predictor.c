/* Predicted ratings: see predictor.h. */
#include "predictor.h"

#include <math.h>

int predictor_begin(Predictor *predictor, Model *model, const ModelItems *items, const Cancel *cancel, Error *error) {
  const ModelKind *kind = items->shape.kind;
  *predictor = (Predictor){.items = items};
  return kind->predict_begin ? kind->predict_begin(predictor, model, cancel, error) : SQLITE_OK;
}

void predictor_end(Predictor *predictor) {
  if (predictor->items && predictor->items->shape.kind->predict_end)
    predictor->items->shape.kind->predict_end(predictor);
  *predictor = (Predictor){0};
}

PredictorUser predictor_user_of(const ModelItems *items, const ModelUser *user, const History *history) {
  int head = items->shape.prediction_head;
  return (PredictorUser){.index = user->index,
                         .query = user->query.each,
                         .vector = user->vector[head],
                         .offset = user->offset[head],
                         .history = history};
}

int predictor_user(Predictor *predictor, Model *model, const PredictorUser *user, Error *error) {
  const ModelKind *kind = predictor->items->shape.kind;
  predictor->user = *user;
  return kind->predict_user ? kind->predict_user(predictor, model, error) : SQLITE_OK;
}

int predictor_rate(Predictor *predictor, uint32_t item, double *prediction, Error *error) {
  const ModelShape *shape = &predictor->items->shape;
  double rating = 0;
  int code = shape->kind->predict(predictor, item, &rating, error);
  *prediction = shape_prediction(shape, rating);
  return code;
}

double predictor_estimate(const ModelItems *items, double user_offset, uint32_t item) {
  const ModelShape *shape = &items->shape;
  int head = shape->prediction_head;
  const FoldIn *fold = &shape->fold[head];
  if (!shape->biases[head]) return shape->average; /* a rating */
  /* The biases of a projection are the means themselves. */
  if (fold->method == FOLD_PROJECTION && (fold->user_mean ? isnan(user_offset) : item == DICTIONARY_NONE))
    return shape->average;
  double sum = isnan(user_offset) ? shape->mean[head] : user_offset;
  if (item != DICTIONARY_NONE) sum += (double)items->panel[head].bias[item];
  return shape_prediction(shape, sum);
}
