/* The arguments of a user's CREATE VIRTUAL TABLE taste USING recommender(train=mf, source=ratings, size=32,
 * options='{"epochs": 20}'), each in quotes, in parentheses or as it is. */
#ifndef RECOMMEND_API_MODULE_ARGUMENTS_H
#define RECOMMEND_API_MODULE_ARGUMENTS_H

#include "../train/training.h"

/* The texts behind the keys, owned; NULL: not given. */
typedef struct ModuleArguments {
  char *train, *source, *size, *options;
} ModuleArguments;

/* Reads xCreate's arguments, and makes a request of them, which borrows from `given`: trainer, source, size and
 * options. A step: see base/error.h. `given` is to be freed in either case. */
void module_arguments_read(sqlite3 *db, int count, const char *const *arguments, ModuleArguments *given,
                           TrainRequest *request, Error *error);

void module_arguments_free(ModuleArguments *given);

#endif
