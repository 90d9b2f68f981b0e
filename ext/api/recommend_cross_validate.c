/* recommend_cross_validate(trainer, source, folds [, options]): a row for each fold that is held out in turn.
 *
 * `folds` is a number, the name of a column that says which fold a row is in (NULL: it is always trained on), or
 * 'leave-one-out' (one fold, of one entry of every user who has two). N rows are dealt out evenly, in order of
 * recommend_split(seed, user, item): the p-th from 0 is in fold floor(p · folds / N) + 1. With "split": "users" it is
 * the users that are dealt out so, by recommend_split(seed, user), each to be tested in one fold on a part of what they
 * did; users with nothing to hold out are in no fold. Options that are not this function's own are the trainer's. */
#include <math.h>

#include "../base/memory.h"
#include "../data/option_objects.h"
#include "../train/experiment.h"
#include "arguments.h"
#include "register.h"

typedef struct CrossOptions {
  ExperimentOptions experiment;
} CrossOptions;

static const Option cross_options[] = {EXPERIMENT_OPTIONS(CrossOptions)};
#define CROSS_OPTIONS (sizeof cross_options / sizeof *cross_options)

enum { CROSS_FOLD, CROSS_USERS, CROSS_ITEMS, CROSS_TRAINED, CROSS_TESTED, CROSS_COLD, CROSS_METRICS };
enum { CROSS_SECONDS = CROSS_METRICS + EXPERIMENT_METRICS };
enum { ARGUMENT_FOLDS = 2, ARGUMENT_OPTIONS };

typedef struct CrossState {
  CrossOptions options;
  Experiment experiment;
  char *trainer_options;
  ExperimentResult *results; /* a fold each */
  int64_t done;
} CrossState;

/* Folds as the third argument has them; a step: see base/error.h. */
static void deal_given_folds(TableCall *call, CrossState *state, Error *error) {
  sqlite3_value *folds = call->argument[ARGUMENT_FOLDS];
  const char *name = call->function->name;
  int64_t count = 0;
  const char *text = sqlite3_value_type(folds) == SQLITE_TEXT ? argument_text(call, ARGUMENT_FOLDS, error) : NULL;
  if (error->code) return;
  if (text && state->options.experiment.split == EXPERIMENT_BY_USERS)
    error_set(error, SQLITE_ERROR, "%s: the option \"split\" goes with a number of folds", name);
  else if (text && sqlite3_stricmp(text, "leave-one-out") == 0)
    experiment_leave_one_out(&state->experiment, error);
  else if (text)
    experiment_deal_by_column(&state->experiment, text, error);
  else if (value_is_whole(folds, &count) && count >= 2 && count <= EXPERIMENT_MOST_FOLDS)
    experiment_deal(&state->experiment, (int)count, 1, error);
  else
    error_set(error, SQLITE_ERROR, "%s: folds must be a number from 2 to %d, the name of a column, or 'leave-one-out'",
              name, EXPERIMENT_MOST_FOLDS);
}

/* The next fold, if it has not been tried yet. */
static int cross_validate_advance(TableCall *call, Error *error) {
  CrossState *state = call->state;
  if (call->row < state->done || call->row >= call->rows) return SQLITE_OK;
  int code =
      experiment_run(&state->experiment, (int)call->row, state->trainer_options, &state->results[call->row], error);
  if (code == SQLITE_OK) state->done++;
  return code;
}

static void cross_validate_clear(CrossState *state) {
  experiment_end(&state->experiment);
  experiment_options_free(&state->options.experiment);
  sqlite3_free(state->trainer_options);
  memory_free(state->results);
  *state = (CrossState){0};
}

static int cross_validate_start(TableCall *call, Error *error) {
  CrossState *state = call->state;
  Experiment *experiment = &state->experiment;
  const char *name = call->function->name;
  char *own = NULL;
  cross_validate_clear(state);
  experiment_set_defaults(&state->options.experiment);
  const char *json = argument_text(call, ARGUMENT_OPTIONS, error);
  if (!error->code)
    options_part(name, json, cross_options, CROSS_OPTIONS, EXPERIMENT_SHARED, &own, &state->trainer_options, error);
  if (!error->code) options_parse(name, own, cross_options, CROSS_OPTIONS, &state->options, error);
  experiment_check_uses(name, own, &state->options.experiment, error);
  sqlite3_free(own);
  experiment_begin(experiment, call->connection, name, call->argument[0], call->argument[1], &state->options.experiment,
                   error);
  experiment_check_names(experiment, state->trainer_options, cross_options, CROSS_OPTIONS, 0, error);
  experiment_check_options(experiment, state->trainer_options, error);
  experiment_read(experiment, error);
  deal_given_folds(call, state, error);
  if (error->code) return error->code;
  state->results = memory_alloc_zero((size_t)experiment->folds, sizeof *state->results);
  call->rows = experiment->wanted = experiment->folds;
  return state->results ? cross_validate_advance(call, error) : error_no_memory(error);
}

static void show_label(sqlite3_context *context, double label) {
  if (label == floor(label))
    sqlite3_result_int64(context, (sqlite3_int64)label);
  else
    sqlite3_result_double(context, label);
}

static void cross_validate_column(const TableCall *call, sqlite3_context *context, int which) {
  const CrossState *state = call->state;
  const ExperimentResult *result = &state->results[call->row];
  switch (which) {
    case CROSS_FOLD: show_label(context, state->experiment.label[call->row]); break;
    case CROSS_USERS: sqlite3_result_int64(context, result->users); break;
    case CROSS_ITEMS: sqlite3_result_int64(context, result->items); break;
    case CROSS_TRAINED: sqlite3_result_int64(context, result->trained); break;
    case CROSS_TESTED: sqlite3_result_int64(context, result->tested); break;
    case CROSS_COLD: sqlite3_result_int64(context, result->cold); break;
    case CROSS_SECONDS: sqlite3_result_double(context, result->seconds); break;
    default:
      if (isfinite(result->metric[which - CROSS_METRICS]))
        sqlite3_result_double(context, result->metric[which - CROSS_METRICS]);
  }
}

static void cross_validate_end(TableCall *call) { cross_validate_clear(call->state); }

static const TableFunction cross_validate_function = {
    .name = "recommend_cross_validate",
    .schema =
        "CREATE TABLE x(fold, users INTEGER, items INTEGER, trained INTEGER, tested INTEGER, "
        "cold INTEGER, " EXPERIMENT_METRIC_COLUMNS
        ", seconds REAL, _trainer HIDDEN, _source HIDDEN, _folds HIDDEN, "
        "_options HIDDEN)",
    .usage = "recommend_cross_validate(trainer, source, folds [, options])",
    .outputs = CROSS_SECONDS + 1,
    .arguments = 4,
    .required = 3,
    .rows = 5,
    .cost = 1e9,
    .flags = TABLE_FUNCTION_DIRECT_ONLY,
    .state_size = sizeof(CrossState),
    .start = cross_validate_start,
    .next = cross_validate_advance,
    .column = cross_validate_column,
    .end = cross_validate_end,
};

int recommend_cross_validate_register(Connection *connection) {
  return table_function_register(connection, &cross_validate_function);
}
