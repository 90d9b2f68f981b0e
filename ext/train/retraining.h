/* Training a model again, from the source and with the options that it keeps: see retraining.c. */
#ifndef RECOMMEND_TRAIN_RETRAINING_H
#define RECOMMEND_TRAIN_RETRAINING_H

#include "training.h"

/* Reads what the model was trained from and begins to train it so again. `more`, options that go before those it was
 * given, may be NULL. `caller` is who asks, for messages. *training must be ended in either case. */
int retrain_begin(Connection *connection, const char *caller, ModelName name, const char *more, Training **training,
                  Error *error);

/* The command 'retrain': all of it. */
int retrain_command(Connection *connection, ModelName name, Error *error);

#endif
