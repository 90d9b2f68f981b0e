/* predict(user, item [, model]): the rating to be expected, on the scale of the ratings. NULL for an unknown user or
 * item, unless the model was trained with "cold_start": "estimate", and for a model of implicit feedback, which has no
 * such scale. */
#include <math.h>

#include "../answer/predictor.h"
#include "arguments.h"
#include "register.h"

/* What is known: the user, the item, both or neither. */
typedef struct PredictedCell {
  ModelUser user;
  History history;
  int has_user;
  uint32_t item; /* DICTIONARY_NONE: it is not known */
} PredictedCell;

/* The rating that is expected of a user whom the model knows; a step, as all here: see base/error.h. */
static double predict_known(Connection *connection, Model *model, const ModelItems *items, const PredictedCell *cell,
                            Error *error) {
  const PredictorUser who = predictor_user_of(items, &cell->user, &cell->history);
  Predictor predictor = {0};
  Interrupt interrupt;
  double prediction = NAN;
  connection_interrupt(connection, &interrupt);
  int code = predictor_begin(&predictor, model, items, &interrupt.cancel, error);
  interrupt_end(&interrupt);
  if (code == SQLITE_OK) code = predictor_user(&predictor, model, &who, error);
  if (code == SQLITE_OK) predictor_rate(&predictor, cell->item, &prediction, error);
  predictor_end(&predictor);
  return prediction;
}

/* NaN: there is no prediction. */
static double predict_cell(Connection *connection, Model *model, const ModelItems *items, sqlite3_value **values,
                           Error *error) {
  PredictedCell cell = {0};
  Id id;
  double prediction = NAN;
  int head = items->shape.prediction_head, user_given = value_user(values[0], items, &id, error);
  cell.item = value_item(values[1], items, error);
  int estimates = items->shape.estimate && user_given && sqlite3_value_type(values[1]) != SQLITE_NULL;
  int known = cell.item != DICTIONARY_NONE;
  if (!error->code && head >= 0 && user_given && (known || estimates))
    model_user(model, items, &id, &cell.user, items->shape.kind->by_history ? &cell.history : NULL, &cell.has_user,
               error);
  if (!error->code && estimates && !(cell.has_user && known))
    prediction = predictor_estimate(items, cell.has_user ? cell.user.offset[head] : NAN, cell.item);
  else if (!error->code && cell.has_user)
    prediction = predict_known(connection, model, items, &cell, error);
  user_free(&cell.user);
  history_free(&cell.history);
  return prediction;
}

static void predict_scalar(sqlite3_context *context, int count, sqlite3_value **values) {
  Connection *connection = sqlite3_user_data(context);
  Error error = {0};
  ModelItems *items = NULL;
  Model *model = value_model(connection, "predict", ABILITY_PREDICT, count > 2 ? values[2] : NULL, &items, &error);
  if (model) {
    double prediction = NAN;
    if (model_require(model, items, ABILITY_RECOMMEND, "predict", &error) == SQLITE_OK)
      prediction = predict_cell(connection, model, items, values, &error);
    if (!isnan(prediction)) sqlite3_result_double(context, prediction);
    model_end(model);
    items_release(items);
  }
  if (error.code) scalar_report(context, &error);
}

int predict_register(Connection *connection) {
  int code = SQLITE_OK;
  for (int arguments = 2; arguments <= 3 && code == SQLITE_OK; arguments++) {
    connection_retain(connection);
    code = sqlite3_create_function_v2(connection->db, "predict", arguments, SQLITE_UTF8, connection, predict_scalar,
                                      NULL, NULL, connection_release);
  }
  return code;
}
