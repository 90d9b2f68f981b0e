/* predict(user, item [, model]): the rating to be expected, on the scale of the ratings. NULL for an unknown user or
 * item, unless the model was trained with "cold_start": "estimate", and for a model of implicit feedback, which has no
 * such scale. */
#include <math.h>

#include "../answer/predictor.h"
#include "../data/interrupt.h"
#include "register.h"
#include "vtab.h"

static int predict(Connection *connection, int count, sqlite3_value **values, double *prediction, int *known,
                   Error *error) {
  Model *model = NULL;
  ModelItems *items = NULL;
  ModelUser user = {0};
  History history = {0};
  Predictor predictor = {0};
  Interrupt interrupt;
  Id user_id, item_id;
  int found = 0;
  *known = 0;
  int code = connection_model(connection, "predict", ABILITY_PREDICT, count > 2 ? values[2] : NULL, &model, error);
  if (code == SQLITE_OK) code = model_begin(model, &items, error);
  if (code != SQLITE_OK) return code;
  code = model_require(model, items, ABILITY_RECOMMEND, "predict", error);
  int head = items->shape.prediction_head;
  int user_there = id_from_value_as(values[0], items->user_affinity, &user_id);
  int item_there = id_from_value_as(values[1], items->item_affinity, &item_id);
  if (user_there < 0 || item_there < 0) code = error_no_memory(error);
  uint32_t item = item_there > 0 ? dictionary_find(&items->ids, &item_id) : DICTIONARY_NONE;
  int estimate = items->shape.estimate && user_there && item_there;
  if (code == SQLITE_OK && head >= 0 && user_there && (item != DICTIONARY_NONE || estimate))
    code = model_user(model, items, &user_id, &user, items->shape.links ? &history : NULL, &found, error);
  if (code == SQLITE_OK && estimate && (!found || item == DICTIONARY_NONE)) {
    *prediction = predictor_estimate(items, found ? user.offset[head] : NAN, item);
    *known = 1;
  } else if (code == SQLITE_OK && found) {
    const PredictorUser who = {.single = &user, .history = &history};
    connection_interrupt(connection, &interrupt);
    code = predictor_begin(&predictor, model, items, &interrupt.cancel, error);
    interrupt_end(&interrupt);
    if (code == SQLITE_OK) code = predictor_user(&predictor, model, &who, error);
    if (code == SQLITE_OK) code = predictor_rate(&predictor, item, prediction, error);
    *known = code == SQLITE_OK;
  }
  predictor_end(&predictor);
  user_free(&user);
  history_free(&history);
  model_end(model);
  items_release(items);
  return code;
}

static void predict_scalar(sqlite3_context *context, int count, sqlite3_value **values) {
  Error error = {0};
  double prediction = 0;
  int known = 0;
  int code = predict(sqlite3_user_data(context), count, values, &prediction, &known, &error);
  if (code != SQLITE_OK)
    scalar_report(context, &error);
  else if (known)
    sqlite3_result_double(context, prediction);
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
