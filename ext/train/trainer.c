/* The list of trainers, and what follows from a trainer's row: see trainer.h. */
#include "trainer.h"

#include <math.h>
#include <string.h>

#include "../data/option_objects.h"

#define TRAINER_POINTER(called) &called##_trainer,
const Trainer *const trainers[] = {TRAINERS(TRAINER_POINTER) NULL};
#undef TRAINER_POINTER

const Trainer *trainer_named(const char *name) {
  for (int i = 0; trainers[i]; i++)
    if (sqlite3_stricmp(name, trainers[i]->name) == 0) return trainers[i];
  return NULL;
}

char *trainer_names(int of_ratings) {
  sqlite3_str *names = sqlite3_str_new(NULL);
  for (int i = 0; trainers[i]; i++)
    if (trainers[i]->reads_ratings || !of_ratings)
      sqlite3_str_appendf(names, "%s'%s'", sqlite3_str_length(names) ? ", " : "", trainers[i]->function);
  return sqlite3_str_finish(names);
}

int trainer_check_size(const Trainer *trainer, double size, Error *error) {
  if (size >= trainer->size_minimum && size <= trainer->size_maximum && (trainer->size_is_real || size == floor(size)))
    return SQLITE_OK;
  return error_set(error, SQLITE_ERROR, "%s: the %s must be a %s from %.15g to %.15g: call it as %s", trainer->function,
                   trainer->size, trainer->size_is_real ? "number" : "whole number", trainer->size_minimum,
                   trainer->size_maximum, trainer->usage);
}

int trainer_take_size(const Trainer *trainer, const char *caller, char **options, double *size, int *found,
                      Error *error) {
  const char *name = NULL;
  int code = SQLITE_OK;
  for (size_t i = 0; i < trainer->option_count && code == SQLITE_OK; i++) {
    int here = 0;
    if (!option_is_size(&trainer->options[i])) continue;
    code = options_take_number(caller, options, trainer->options[i].name, size, &here, error);
    if (code == SQLITE_OK && here && name)
      code = error_set(error, SQLITE_ERROR, "%s: \"%s\" and \"%s\" are the same: leave one out", caller, name,
                       trainer->options[i].name);
    if (here) name = trainer->options[i].name;
  }
  if (found) *found = name != NULL;
  return code;
}

void train_options_free(TrainOptions *options) {
  sqlite3_free(options->model);
  sqlite3_free(options->user.name);
  sqlite3_free(options->item.name);
  sqlite3_free(options->rating.name);
  sqlite3_free(options->timestamp.name);
}
