/* How a scalar function that trains ends. */
#ifndef RECOMMEND_API_TRAINING_ANSWER_H
#define RECOMMEND_API_TRAINING_ANSWER_H

#include "../train/training.h"
#include "vtab.h"

/* Frees the training, and returns the summary, a text of JSON, which it takes over and which may be NULL where there is
 * an error, or reports that. The function is to be registered with FUNCTION_RESULT_SUBTYPE. */
void training_answer(sqlite3_context *context, Training *training, char *json, Error *error);

#endif
