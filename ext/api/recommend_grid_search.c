/* recommend_grid_search(trainer, source, grid [, options]): a row for each combination of the grid's values, with its
 * metrics on what was held out: a part of the source ("validation"), or the mean over "folds".
 *
 * With "best_first" the rows come in that order, all being computed before the first. With "model" the best combination
 * is trained on everything and stored under that name as the last one has been computed, and with "stream": false that
 * is before the first row. Options that are not this function's own are the trainer's, and the same in all
 * combinations unless the grid varies them. */
#include <math.h>

#include "../base/memory.h"
#include "../data/option_objects.h"
#include "../train/experiment.h"
#include "arguments.h"
#include "register.h"

#define METRIC_CHOICES "rmse|mae|accuracy|precision|recall|map|ndcg|mrr|hit_rate|auc"

typedef struct GridOptions {
  ExperimentOptions experiment;
  double validation;
  int folds;      /* 0: a validation part */
  int metric;     /* -1: rmse where all have one, else ndcg */
  int best_first; /* rows come in order of the metric */
  int stream;     /* a row is handed out as it is computed */
  char *model;
} GridOptions;

static const Option grid_options[] = {
    EXPERIMENT_OPTIONS(GridOptions),
    {.name = "validation",
     .type = OPTION_NUMBER,
     .offset = offsetof(GridOptions, validation),
     .minimum = 0.001,
     .maximum = 0.999},
    {.name = "folds",
     .type = OPTION_INTEGER,
     .offset = offsetof(GridOptions, folds),
     .minimum = 2,
     .maximum = EXPERIMENT_MOST_FOLDS},
    {.name = "metric", .type = OPTION_CHOICE, .offset = offsetof(GridOptions, metric), .choices = METRIC_CHOICES},
    {.name = "best_first", .type = OPTION_BOOLEAN, .offset = offsetof(GridOptions, best_first)},
    {.name = "stream", .type = OPTION_BOOLEAN, .offset = offsetof(GridOptions, stream)},
    {.name = "model", .type = OPTION_TEXT, .offset = offsetof(GridOptions, model)},
};
#define GRID_OPTIONS (sizeof grid_options / sizeof *grid_options)

enum { GRID_COMBINATION, GRID_COLD, GRID_METRICS };
enum { GRID_SECONDS = GRID_METRICS + EXPERIMENT_METRICS };
enum { ARGUMENT_GRID = 2, ARGUMENT_OPTIONS };

typedef struct GridRow {
  size_t combination;
  ExperimentResult result; /* means over the folds; seconds and cold are sums */
} GridRow;

typedef struct GridState {
  GridOptions options;
  Experiment experiment;
  OptionGrid grid;
  char *trainer_options;
  GridRow *rows; /* a combination each */
  int64_t done;
} GridState;

/* ---- trying ------------------------------------------------------------------------------------------------------ */

/* The metric that decides, once all have been tried. */
static int metric_of(const GridState *state) {
  if (state->options.metric >= 0) return state->options.metric;
  for (size_t i = 0; i < state->grid.count; i++)
    if (isnan(state->rows[i].result.metric[EXPERIMENT_RMSE])) return EXPERIMENT_NDCG;
  return EXPERIMENT_RMSE;
}

/* Less is better; NaN is worst. */
static double badness(int metric, const ExperimentResult *result) {
  double value = result->metric[metric];
  if (isnan(value)) return INFINITY;
  return metric == EXPERIMENT_RMSE || metric == EXPERIMENT_MAE ? value : -value;
}

/* The trainer's options in a combination. NULL where memory ran out. */
static char *options_of(const GridState *state, size_t combination) {
  return options_merge(state->trainer_options, state->grid.combination[combination]);
}

/* Adds to an error which combination it was. */
static int blame(const GridState *state, size_t combination, int code, Error *error) {
  char *message = NULL;
  if (code != SQLITE_OK && (code & 0xff) != SQLITE_INTERRUPT && error->message)
    message = sqlite3_mprintf("%s (with %s)", error->message, state->grid.combination[combination]);
  if (message) {
    sqlite3_free(error->message);
    error->message = message;
  }
  return code;
}

static int try_combination(GridState *state, size_t which, GridRow *row, Error *error) {
  int folds = state->experiment.folds, code = SQLITE_OK;
  char *options = options_of(state, which);
  *row = (GridRow){.combination = which};
  if (!options) return error_no_memory(error);
  for (int fold = 0; fold < folds && code == SQLITE_OK; fold++) {
    ExperimentResult result;
    code = experiment_run(&state->experiment, fold, options, &result, error);
    row->result.cold += result.cold;
    row->result.seconds += result.seconds;
    for (int i = 0; i < EXPERIMENT_METRICS; i++) row->result.metric[i] += result.metric[i] / folds;
  }
  sqlite3_free(options);
  return blame(state, which, code, error);
}

/* All of them before the first is tried; a step, as the next two: see base/error.h. */
static void check_combinations(GridState *state, Error *error) {
  for (size_t i = 0; i < state->grid.count && !error->code; i++) {
    char *options = options_of(state, i);
    if (!options) error_no_memory(error);
    experiment_check_options(&state->experiment, options, error);
    sqlite3_free(options);
    blame(state, i, error->code, error);
  }
}

typedef void (*ModelCheck)(Experiment *experiment, const char *model, const char *options, Error *error);

/* experiment_know before the source is read; and experiment_check_model before any combination is tried, lest the name
 * turn out to be taken after hours. */
static void check_stored_model(GridState *state, ModelCheck check, Error *error) {
  if (error->code || !state->options.model) return;
  char *options = options_of(state, 0);
  if (!options) error_no_memory(error);
  check(&state->experiment, state->options.model, options, error);
  sqlite3_free(options);
  blame(state, 0, error->code, error);
}

static int store_best(GridState *state, Error *error) {
  size_t best = 0;
  int metric = metric_of(state);
  for (size_t i = 1; i < state->grid.count; i++)
    if (badness(metric, &state->rows[i].result) < badness(metric, &state->rows[best].result)) best = i;
  if (isnan(state->rows[best].result.metric[metric]))
    return error_set(error, SQLITE_ERROR,
                     "%s: the metric \"%s\" could not be computed, so that there is no best combination: choose "
                     "another with the option \"metric\"",
                     state->experiment.caller, experiment_metrics[metric]);
  char *options = options_of(state, best);
  int code =
      options ? experiment_store(&state->experiment, state->options.model, options, error) : error_no_memory(error);
  sqlite3_free(options);
  return blame(state, best, code, error);
}

/* Tries the next combination; with the last one the model is stored. */
static int try_next(TableCall *call, Error *error) {
  GridState *state = call->state;
  int code = try_combination(state, (size_t)state->done, &state->rows[state->done], error);
  if (code == SQLITE_OK && ++state->done == call->rows && state->options.model) code = store_best(state, error);
  return code;
}

static int grid_search_advance(TableCall *call, Error *error) {
  const GridState *state = call->state;
  return call->row < state->done || call->row >= call->rows ? SQLITE_OK : try_next(call, error);
}

/* Best first, by insertion: there are few. Of equals the earlier one. */
static void sort_rows(GridState *state) {
  int metric = metric_of(state);
  for (size_t i = 1; i < state->grid.count; i++) {
    GridRow row = state->rows[i];
    size_t to = i;
    for (; to > 0 && badness(metric, &row.result) < badness(metric, &state->rows[to - 1].result); to--)
      state->rows[to] = state->rows[to - 1];
    state->rows[to] = row;
  }
}

/* ---- the function ------------------------------------------------------------------------------------------------ */

static void grid_search_clear(GridState *state) {
  experiment_end(&state->experiment);
  experiment_options_free(&state->options.experiment);
  sqlite3_free(state->options.model);
  sqlite3_free(state->trainer_options);
  option_grid_free(&state->grid);
  memory_free(state->rows);
  *state = (GridState){0};
}

static void read_grid_options(TableCall *call, GridState *state, Error *error) {
  const char *name = call->function->name, *json = argument_text(call, ARGUMENT_OPTIONS, error),
             *grid = argument_text(call, ARGUMENT_GRID, error);
  char *own = NULL;
  experiment_set_defaults(&state->options.experiment);
  state->options.validation = NAN;
  state->options.metric = -1;
  state->options.stream = 1;
  if (!error->code && !grid)
    error_set(error, SQLITE_ERROR,
              "%s: the grid must be a JSON object of lists, as in '{\"rank\": [16, 32], \"regularization\": "
              "[1, 3]}'",
              name);
  if (!error->code)
    options_part(name, json, grid_options, GRID_OPTIONS, EXPERIMENT_SHARED, &own, &state->trainer_options, error);
  if (!error->code) options_parse(name, own, grid_options, GRID_OPTIONS, &state->options, error);
  const OptionUse use = {"metric", state->options.best_first || state->options.model,
                         "with \"best_first\" or \"model\""};
  if (!error->code) options_check_uses(name, own, &use, 1, error);
  experiment_check_uses(name, own, &state->options.experiment, error);
  sqlite3_free(own);
  if (state->options.folds && !isnan(state->options.validation))
    error_set(error, SQLITE_ERROR, "%s: choose between \"validation\" and \"folds\"", name);
  if (!error->code) option_grid_parse(name, grid, &state->grid, error);
}

static int grid_search_start(TableCall *call, Error *error) {
  GridState *state = call->state;
  Experiment *experiment = &state->experiment;
  const GridOptions *options = &state->options;
  grid_search_clear(state);
  read_grid_options(call, state, error);
  experiment_begin(experiment, call->connection, call->function->name, call->argument[0], call->argument[1],
                   &options->experiment, error);
  experiment_check_names(experiment, state->trainer_options, grid_options, GRID_OPTIONS, 0, error);
  if (!error->code)
    experiment_check_names(experiment, state->grid.combination[0], grid_options, GRID_OPTIONS, 1, error);
  check_combinations(state, error);
  check_stored_model(state, experiment_know, error);
  experiment_read(experiment, error);
  if (options->folds)
    experiment_deal(experiment, options->folds, 1, error);
  else
    experiment_deal(experiment, 1, isnan(options->validation) ? 0.2 : options->validation, error);
  check_stored_model(state, experiment_check_model, error);
  if (error->code) return error->code;
  state->rows = memory_alloc_zero(state->grid.count, sizeof *state->rows);
  if (!state->rows) return error_no_memory(error);
  call->rows = (int64_t)state->grid.count;
  experiment->wanted = call->rows * experiment->folds;
  do {
    if (try_next(call, error) != SQLITE_OK) return error->code;
  } while ((options->best_first || !options->stream) && state->done < call->rows);
  if (options->best_first) sort_rows(state);
  return SQLITE_OK;
}

static void grid_search_column(const TableCall *call, sqlite3_context *context, int which) {
  const GridState *state = call->state;
  const GridRow *row = &state->rows[call->row];
  switch (which) {
    case GRID_COMBINATION:
      sqlite3_result_text(context, state->grid.combination[row->combination], -1, SQLITE_TRANSIENT);
      sqlite3_result_subtype(context, 'J');
      break;
    case GRID_COLD: sqlite3_result_int64(context, row->result.cold); break;
    case GRID_SECONDS: sqlite3_result_double(context, row->result.seconds); break;
    default:
      if (isfinite(row->result.metric[which - GRID_METRICS]))
        sqlite3_result_double(context, row->result.metric[which - GRID_METRICS]);
  }
}

static void grid_search_end(TableCall *call) { grid_search_clear(call->state); }

static const TableFunction grid_search_function = {
    .name = "recommend_grid_search",
    .schema = "CREATE TABLE x(combination TEXT, cold INTEGER, " EXPERIMENT_METRIC_COLUMNS
              ", seconds REAL, _trainer HIDDEN, _source HIDDEN, _grid HIDDEN, _options HIDDEN)",
    .usage = "recommend_grid_search(trainer, source, grid [, options])",
    .outputs = GRID_SECONDS + 1,
    .arguments = 4,
    .required = 3,
    .rows = 10,
    .cost = 1e9,
    .flags = TABLE_FUNCTION_DIRECT_ONLY,
    .state_size = sizeof(GridState),
    .start = grid_search_start,
    .next = grid_search_advance,
    .column = grid_search_column,
    .end = grid_search_end,
};

int recommend_grid_search_register(Connection *connection) {
  return table_function_register(connection, &grid_search_function);
}
