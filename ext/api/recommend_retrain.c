/* recommend_retrain(model [, options]): trains a model again and returns the summary, as X_train does. No lock is held
 * while it learns: see train/retraining.c. */
#include <string.h>

#include "../model/known_ids.h"
#include "../train/retraining.h"
#include "register.h"
#include "training_answer.h"

/* Others could write while the model was learned; what they wrote to the model is lost with it. */
static int hint_at_changes(Training *training, Error *error) {
  int changed = 0, code = known_changed(training->connection->db, (ModelName){training->schema, training->name},
                                        &training->known, &changed, error);
  if (code != SQLITE_OK || !changed) return code;
  return training_hint(training, error,
                       "The model was written to while it was trained, and what came then is not in it: write those "
                       "rows again (where triggers keep it up to date, UPDATE them as they are).");
}

static int take_text(sqlite3_value *value, const char *what, const char **text, Error *error) {
  *text = NULL;
  if (sqlite3_value_type(value) == SQLITE_NULL) return SQLITE_OK;
  *text = (const char *)sqlite3_value_text(value);
  if (!*text) return error_no_memory(error);
  if (strlen(*text) == (size_t)sqlite3_value_bytes(value)) return SQLITE_OK;
  return error_set(error, SQLITE_ERROR, "recommend_retrain: the %s hold a NUL character", what);
}

static int retrain(Connection *connection, sqlite3_value *model, sqlite3_value *options, Training **training,
                   char **summary, Error *error) {
  static const char caller[] = "recommend_retrain";
  const char *name = NULL, *more = NULL;
  Model *found = NULL;
  int code = take_text(model, "letters of the model's name", &name, error);
  if (code == SQLITE_OK && !name)
    code = error_set(error, SQLITE_ERROR, "%s: name a model, as in SELECT recommend_retrain('ratings_mf')", caller);
  if (code == SQLITE_OK && options) code = take_text(options, "options", &more, error);
  if (code == SQLITE_OK) code = connection_find(connection, caller, ABILITY_ANY, name, &found, error);
  if (code != SQLITE_OK) return code;
  ModelName known = model_name(found);
  code = retrain_begin(connection, caller, known, more, training, error);
  if (code == SQLITE_OK) code = training_run(*training, error);
  if (code == SQLITE_OK) code = hint_at_changes(*training, error);
  return code == SQLITE_OK ? training_store_summary(*training, summary, error) : code;
}

static void retrain_function(sqlite3_context *context, int count, sqlite3_value **values) {
  Error error = {0};
  Training *training = NULL;
  char *summary = NULL;
  retrain(sqlite3_user_data(context), values[0], count > 1 ? values[1] : NULL, &training, &summary, &error);
  training_answer(context, training, summary, &error);
}

int recommend_retrain_register(Connection *connection) {
  int code = SQLITE_OK;
  for (int arguments = 1; arguments <= 2 && code == SQLITE_OK; arguments++) {
    connection_retain(connection);
    code = sqlite3_create_function_v2(connection->db, "recommend_retrain", arguments,
                                      SQLITE_UTF8 | SQLITE_DIRECTONLY | FUNCTION_RESULT_SUBTYPE, connection,
                                      retrain_function, NULL, NULL, connection_release);
  }
  return code;
}
