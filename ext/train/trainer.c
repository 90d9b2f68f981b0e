/* The list of trainers, and what follows from a trainer's row: see trainer.h. */
#include "trainer.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../data/option_objects.h"

#define TRAINER_POINTER(called) &called##_trainer,
const Trainer *const trainers[] = {TRAINERS(TRAINER_POINTER) NULL};
#undef TRAINER_POINTER

/* ---- options ----------------------------------------------------------------------------------------------------- */

#define HERE(member) .offset = offsetof(TrainOptions, member)

static const Option common_options[] = {
    {.name = "model",
     .type = OPTION_TEXT,
     HERE(model),
     .rule = "<source>_<trainer>",
     .meaning = "the model's name, as in \"taste\" or \"temp.taste\""},
    {.name = "user",
     .type = OPTION_COLUMN,
     HERE(user),
     .rule = "by name, else position",
     .meaning = "the source's column of users"},
    {.name = "item",
     .type = OPTION_COLUMN,
     HERE(item),
     .rule = "by name, else position",
     .meaning = "the source's column of items"},
    {.name = "rating",
     .type = OPTION_COLUMN,
     HERE(rating),
     .rule = "by name, else position",
     .meaning = "the source's column of ratings; null: there are none, and every row is a like"},
    {.name = "timestamp",
     .type = OPTION_COLUMN,
     HERE(timestamp),
     .rule = "by name, else position",
     .meaning = "the source's column of times, by which a pair that occurs twice is decided; null: there is none"},
    {.name = "duplicates",
     .type = OPTION_CHOICE,
     HERE(duplicates),
     .choices = "last|sum|mean|error",
     .rule = "\"last\" of ratings, \"sum\" of counts",
     .meaning = "what a pair of user and item counts that occurs twice"},
    {.name = "test",
     .type = OPTION_NUMBER,
     HERE(test),
     .maximum = 0.99,
     .otherwise = "0",
     .meaning = "the share of ratings that is held out to test on"},
    {.name = "history",
     .type = OPTION_CHOICE,
     HERE(history),
     .choices = "false|true|timed",
     .otherwise = "true",
     .meaning = "keep what users have seen, to leave it out of recommendations; \"timed\": and when"},
    {.name = "seed", .type = OPTION_SEED, HERE(seed), .otherwise = "42", .meaning = "decides all that is random"},
    {.name = "threads",
     .type = OPTION_INTEGER,
     HERE(threads),
     .maximum = 256,
     .otherwise = "0",
     .meaning = "0 is all cores; the result does not depend on it"},
    {.name = "stream",
     .type = OPTION_BOOLEAN,
     HERE(stream),
     .otherwise = "true",
     .meaning = "the table form hands out each epoch as it is computed; false: it trains and stores first"},
};
enum { COMMON_OPTIONS = sizeof common_options / sizeof *common_options };

/* A name that the size has among the options. */
static Option size_option(const char *name) {
  return (Option){.name = name, .type = OPTION_NUMBER, HERE(size), .minimum = -1e300, .maximum = 1e300, .rule = ""};
}

static int same_text(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

/* Two algorithms' options of one name: are they described alike? */
static int same_for_people(const Option *a, const Option *b) {
  return same_text(a->otherwise, b->otherwise) && same_text(a->rule, b->rule) && same_text(a->meaning, b->meaning) &&
         same_text(a->choices, b->choices) && a->minimum == b->minimum && a->maximum == b->maximum;
}

/* Adds the options that algorithm number `algorithm` reads. To parse them, they have no default before it is known. */
static void add_readers(const Algorithm *algorithm, int number, int for_people, TrainerOptions *options) {
  for (size_t i = 0; i < algorithm->option_count; i++) {
    Option option = algorithm->options[i];
    size_t at = 0;
    for (; at < options->count; at++)
      if (strcmp(options->option[at].name, option.name) == 0 &&
          (!for_people || same_for_people(&options->option[at], &option)))
        break;
    if (at == options->count) {
      if (!for_people) option.otherwise = NULL, option.rule = option.type == OPTION_BY_HEAD ? "" : NULL;
      options->option[options->count++] = option;
    }
    assert(options->option[at].offset == option.offset && options->option[at].type == option.type);
    options->option[at].readers |= 1U << number;
  }
}

int trainer_options(const Trainer *trainer, int for_people, TrainerOptions *options, Error *error) {
  size_t most = COMMON_OPTIONS + 1 + sizeof trainer->size_names / sizeof *trainer->size_names + trainer->option_count;
  for (int i = 0; trainer->algorithms[i]; i++) most += trainer->algorithms[i]->option_count;
  *options = (TrainerOptions){.option = memory_alloc(most, sizeof *options->option)};
  if (!options->option) return error_no_memory(error);
  for (int i = 0; trainer->size && !for_people && trainer->size_names[i]; i++)
    options->option[options->count++] = size_option(trainer->size_names[i]);
  if (trainer->size && !for_people) options->option[options->count++] = size_option("size");
  for (size_t i = 0; i < trainer->option_count; i++) options->option[options->count++] = trainer->options[i];
  for (int i = 0; trainer->algorithms[i]; i++) add_readers(trainer->algorithms[i], i, for_people, options);
  for (size_t i = 0; i < COMMON_OPTIONS; i++) options->option[options->count++] = common_options[i];
  return SQLITE_OK;
}

void trainer_options_free(TrainerOptions *options) {
  memory_free(options->option);
  *options = (TrainerOptions){0};
}

int trainer_parse(const Trainer *trainer, const char *caller, const char *json, TrainOptions *target, Error *error) {
  TrainerOptions options;
  target->size = NAN;
  int code = trainer_options(trainer, 0, &options, error);
  if (code == SQLITE_OK) code = options_set_defaults(NULL, options.option, options.count, target, error);
  if (code == SQLITE_OK) code = options_parse(caller, json, options.option, options.count, target, error);
  trainer_options_free(&options);
  return code;
}

static void free_common(TrainOptions *options) {
  sqlite3_free(options->model);
  sqlite3_free(options->user.name);
  sqlite3_free(options->item.name);
  sqlite3_free(options->rating.name);
  sqlite3_free(options->timestamp.name);
}

void trainer_free_options(const Trainer *trainer, TrainOptions *target) {
  free_common(target);
  if (trainer->free_options) trainer->free_options(target);
}

char *trainer_describe(const Trainer *trainer, double size, const TrainOptions *options) {
  sqlite3_str *json = sqlite3_str_new(NULL);
  if (trainer->size) sqlite3_str_appendf(json, ",\"%s\":%!.15g", trainer->size_names[0], size);
  options_describe(trainer->options, trainer->option_count, options, json);
  sqlite3_str_appendf(json, ",\"test\":%!.15g,\"seed\":%llu}", options->test, options->seed);
  char *text = sqlite3_str_finish(json);
  if (text) *text = '{'; /* in place of the first comma */
  return text;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

const Trainer *trainer_named(const char *name) {
  for (int i = 0; trainers[i]; i++)
    if (sqlite3_stricmp(name, trainers[i]->name) == 0) return trainers[i];
  return NULL;
}

const Trainer *trainer_find(const char *name) {
  for (int i = 0; trainers[i]; i++)
    if (sqlite3_stricmp(name, trainers[i]->function) == 0) return trainers[i];
  return trainer_named(name);
}

const Algorithm *trainer_algorithm(const Trainer *trainer, const char *name) {
  int i = 0;
  while (trainer->algorithms[i] && strcmp(trainer->algorithms[i]->name, name) != 0) i++;
  return trainer->algorithms[i];
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
  enum { NAMES = sizeof trainer->size_names / sizeof *trainer->size_names };
  const char *names[NAMES + 2] = {NULL}, *name = NULL;
  int code = SQLITE_OK, count = 0;
  while (trainer->size && count < NAMES && trainer->size_names[count]) {
    names[count] = trainer->size_names[count];
    count++;
  }
  if (trainer->size) names[count] = "size";
  for (int i = 0; names[i] && code == SQLITE_OK; i++) {
    int here = 0;
    code = options_take_number(caller, options, names[i], size, &here, error);
    if (code == SQLITE_OK && here && name)
      code = error_set(error, SQLITE_ERROR, "%s: \"%s\" and \"%s\" give the same size twice: leave one out", caller,
                       name, names[i]);
    if (here) name = names[i];
  }
  if (found) *found = name != NULL;
  return code;
}
