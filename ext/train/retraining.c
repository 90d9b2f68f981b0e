/* Training a model again from its source, with the options it was given, in two ways:
 *
 *     SELECT recommend_retrain('taste' [, options])       holds no lock while it learns: others go on writing
 *     INSERT INTO taste(taste) VALUES('retrain')          a plain write, which a trigger or a replicated host can make;
 *                                                         it has the database to itself from its first moment on
 *
 * m_config says what the model was trained from. Nothing that is stored in the file is ever run as SQL: of the source
 * only the name of a table or view is used. Options that the caller gives take the place of those that the model
 * keeps, which it then keeps in their stead. */
#include "retraining.h"

#include "../data/option_objects.h"
#include "../model/origin.h"

/* `more` before the options that the model keeps; the size stands among them too, under its own name or as "size". A
 * step, as the next: see base/error.h. */
static void merge_options(const char *caller, ModelName name, const char *more, TrainRequest *request, Origin *origin,
                          Error *error) {
  char *rest = NULL, *none = NULL, *kept = NULL, *nothing = NULL, *merged = NULL;
  if (error->code) return;
  int code = options_part(caller, more, NULL, 0, "", &none, &rest, error);
  if (code == SQLITE_OK) code = trainer_take_size(request->trainer, caller, &rest, &request->size, NULL, error);
  int renames = code == SQLITE_OK ? options_have(rest, "model") : 0;
  if (renames < 0) error_no_memory(error);
  if (renames > 0)
    error_set(error, SQLITE_ERROR,
              "%s: the model is \"%s\" and keeps its name: leave the option \"model\" out, or train another by %s",
              caller, name.name, request->trainer->usage);
  if (!error->code) options_part(caller, origin->options, NULL, 0, "", &nothing, &kept, error);
  if (!error->code && !(merged = options_merge(kept, rest))) error_no_memory(error);
  if (merged) {
    sqlite3_free(origin->options);
    origin->options = merged;
  }
  sqlite3_free(rest);
  sqlite3_free(none);
  sqlite3_free(kept);
  sqlite3_free(nothing);
}

/* What it was trained by, if it can be trained again. */
static const Trainer *trainer_again(const char *caller, ModelName name, const Origin *origin, Error *error) {
  const Trainer *trainer = error->code ? NULL : trainer_named(origin->family);
  if (error->code) return NULL;
  if (!trainer)
    shadow_damaged(error, name, "it is of the unknown family \"%s\"", origin->family);
  else if (origin->is_query)
    error_set(error, SQLITE_ERROR,
              "%s: model \"%s\" was trained from a SELECT, which is not run again, since it comes from the "
              "database file: make it a view, and train from the view once, as in CREATE VIEW \"%w_source\" AS "
              "SELECT …; SELECT %s('%q_source', %s'{\"model\": \"%s\"}')",
              caller, name.name, name.name, trainer->function, name.name, trainer->size ? "…, " : "", name.name);
  return trainer;
}

int retrain_begin(Connection *connection, const char *caller, ModelName name, const char *more, Training **training,
                  Error *error) {
  Origin origin;
  char *source = NULL;
  TrainRequest request = {.model = &name, .from_file = 1, .more = more};
  *training = NULL;
  origin_read(connection->db, name, &origin, error);
  request.trainer = trainer_again(caller, name, &origin, error);
  request.size = origin.size;
  if (more) merge_options(caller, name, more, &request, &origin, error);
  if (!error->code && !(source = sqlite3_mprintf("\"%w\".\"%w\"", origin.schema, origin.source)))
    error_no_memory(error);
  request.source = source;
  request.options = origin.options;
  if (!error->code && training_begin(connection, &request, training, error) == SQLITE_OK) (*training)->replaces = 1;
  sqlite3_free(source);
  origin_free(&origin);
  return error->code;
}

int retrain_command(Connection *connection, ModelName name, Error *error) {
  Training *training = NULL;
  int code = retrain_begin(connection, "retrain", name, NULL, &training, error);
  if (code == SQLITE_OK) code = training_run(training, error);
  if (code == SQLITE_OK) code = training_store(training, error);
  training_end(training);
  return code;
}
