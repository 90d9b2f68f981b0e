/* The summary as an answer: see training_answer.h. */
#include "training_answer.h"

void training_answer(sqlite3_context *context, Training *training, char *json, Error *error) {
  training_end(training);
  if (error->code == SQLITE_OK) {
    sqlite3_result_text(context, json, -1, sqlite3_free);
    sqlite3_result_subtype(context, 'J'); /* JSON, for the functions that care */
  } else {
    sqlite3_free(json);
    scalar_report(context, error);
  }
}
