/* The trainer mf: matrix factorization, epoch by epoch, one head after the other. Which algorithm fits which head from
 * which data, and with what defaults: mf_learners.h. */
#include <math.h>
#include <time.h>

#include "../base/memory.h"
#include "../learn/prediction_bounds.h"
#include "mf_learners.h"
#include "ranking_holdout.h"
#include "start_values.h"

#define FAR 10        /* times the loss of a model that knows nothing */
#define LOST 1e6      /* times it, amid the training: there are starts that overshoot */
#define ROUNDING 1e-6 /* of it */

typedef struct MfState {
  const MfLearner *learner;
  MfPlan plans[HEADS]; /* to be carried out, in this order */
  int plan_count, current;
  float *start[2];       /* where users and items begin, or NULL */
  Factorizer factorizer; /* the current plan's */
  int epoch;
  double previous_loss;
  struct timespec began;
} MfState;

static const Option mf_options[] = {
    {.name = "algorithm",
     .type = OPTION_CHOICE,
     MF_AT(algorithm),
     .choices = MF_ALGORITHMS,
     .rule = "\"als\" of ratings, else \"ials\"",
     .meaning = "how the factors are fitted: recommend_trainers has them all"},
    {.name = "objective",
     .type = OPTION_CHOICE,
     MF_AT(objective),
     .choices = MF_OBJECTIVES,
     .rule = "\"both\", or what the algorithm can",
     .meaning = "which heads are fitted: to predict ratings, or to rank"},
    {.name = "tolerance",
     .type = OPTION_NUMBER,
     MF_AT(tolerance),
     .maximum = 1,
     .otherwise = "0",
     .meaning = "it ends when an epoch lowers the loss by less than this share"},
};

static int mf_check(const Training *training, Error *error) {
  return mf_choose(training, (MfOptions *)training->options, NULL, error);
}

static void mf_shape(const Training *training, const MfOptions *options, const MfState *state, ModelShape *shape) {
  *shape = (ModelShape){.kind = &kind_factors,
                        .prediction_head = -1,
                        .range = (PredictionRange)options->range,
                        .minimum = training->data.minimum,
                        .maximum = training->data.maximum,
                        .average = training->data.mean};
  for (int i = 0; i < state->plan_count; i++) {
    const MfPlan *plan = &state->plans[i];
    shape->rank[plan->head] = (int)training->size;
    shape->biases[plan->head] = plan->biases;
    shape->mean[plan->head] = plan->mean;
    shape->fold[plan->head] = plan->fold;
  }
  shape->score_head = options->objective == OBJECTIVE_RATING ? HEAD_RATING : HEAD_RANKING;
  shape->rated = state->learner->predicts && training->data.explicit_ratings;
  if (shape->rated) shape->prediction_head = options->objective == OBJECTIVE_RANKING ? HEAD_RANKING : HEAD_RATING;
}

/* The options as they were resolved, a JSON object. */
static int describe_options(const Training *training, const MfOptions *options, const MfState *state, char **json,
                            Error *error) {
  sqlite3_str *text = sqlite3_str_new(NULL);
  const MfLearner *learner = state->learner;
  char *objective = options_choice(MF_OBJECTIVES, options->objective);
  char *range = options_choice(MF_RANGES, options->range);
  sqlite3_str_appendf(text, "{\"rank\":%lld,\"algorithm\":\"%s\",\"objective\":\"%s\",\"epochs\":%d",
                      (int64_t)training->size, learner->algorithm.name, objective, options->epochs);
  for (int i = 0; i < state->plan_count; i++) {
    sqlite3_str_appendf(text, ",\"%s\":{", head_names[state->plans[i].head]);
    learner->describe(&state->plans[i], text);
    sqlite3_str_appendall(text, "}");
  }
  if (learner->describe_all) learner->describe_all(options, text);
  if (state->plans[0].init_scale > 0) sqlite3_str_appendf(text, ",\"init_scale\":%!.15g", state->plans[0].init_scale);
  sqlite3_str_appendf(text, ",\"range\":\"%s\",\"tolerance\":%!.15g,\"test\":%!.15g,\"seed\":%llu}", range,
                      options->tolerance, options->common.test, options->common.seed);
  sqlite3_free(objective);
  sqlite3_free(range);
  *json = sqlite3_str_finish(text);
  return *json && objective && range ? SQLITE_OK : error_no_memory(error);
}

/* ---- fitting ----------------------------------------------------------------------------------------------------- */

static void drop_factorizer(MfState *state) {
  if (state->factorizer.method) state->factorizer.method->destroy(state->factorizer.state);
  state->factorizer = (Factorizer){0};
}

static int start_head(Training *training, MfState *state, Error *error) {
  MfPlan *plan = &state->plans[state->current];
  state->epoch = 0;
  state->previous_loss = INFINITY;
  clock_gettime(CLOCK_MONOTONIC, &state->began);
  plan->start[0] = state->start[0];
  plan->start[1] = state->start[1];
  return state->learner->create(&state->factorizer, training, plan, error);
}

/* Only the ratings: whether they are needed by item, too, is known once there is an algorithm. */
static int mf_read(Training *training, Error *error) {
  return training_read_ratings(training, &training->source, ID_AFFINITY_BLOB, error);
}

static int mf_start(Training *training, Error *error) {
  MfOptions *options = (MfOptions *)training->options;
  MfState *state = training->state;
  int code = mf_choose(training, options, &training->data, error);
  if (code != SQLITE_OK) return code;
  state->learner = mf_learner(options->algorithm);
  if (!state->learner->user_rows)
    code = error_from_code(error, sparse_transpose(&training->data.by_user, &training->by_item, training->threads,
                                                   &training->interrupt.cancel));
  if (code != SQLITE_OK) return code;
  if (options->objective != OBJECTIVE_RANKING) state->plans[state->plan_count++].head = HEAD_RATING;
  if (options->objective != OBJECTIVE_RATING) state->plans[state->plan_count++].head = HEAD_RANKING;
  for (int i = 0; i < state->plan_count; i++) state->learner->plan(training, options, &state->plans[i]);
  training->trained.algorithm = state->learner->algorithm.name;
  mf_shape(training, options, state, &training->trained.shape);
  code = describe_options(training, options, state, &training->trained.resolved, error);
  /* As long as factors that are drawn. */
  const char *const init[2] = {options->user_init, options->item_init};
  for (int side = 0; side < 2 && code == SQLITE_OK; side++)
    if (init[side])
      code = init_vectors(training, init[side], side == 0, (int)training->size, state->plans[0].init_scale,
                          &state->start[side], error);
  return code == SQLITE_OK ? start_head(training, state, error) : code;
}

/* The head's factors go into the model, and the next head begins. */
static int end_head(Training *training, MfState *state, int *done, Error *error) {
  const MfPlan *plan = &state->plans[state->current];
  Factors *factors = &training->trained.heads[plan->head];
  state->factorizer.method->take(state->factorizer.state, factors);
  factors->mean = plan->mean;
  drop_factorizer(state);
  ModelShape *shape = &training->trained.shape;
  if (shape->range == RANGE_MINMAX && shape->prediction_head == (int)plan->head) {
    int code = factors_extent(factors, &shape->low, &shape->high, training->threads, &training->interrupt.cancel);
    if (code != SQLITE_OK) return error_from_code(error, code);
  }
  *done = ++state->current == state->plan_count;
  return *done ? SQLITE_OK : start_head(training, state, error);
}

/* Whether this was the last epoch: of those asked for, or that which lowered the loss too little. */
static int is_last(const MfOptions *options, const MfState *state, double loss) {
  if (state->epoch == options->epochs) return 1;
  return options->tolerance > 0 && state->previous_loss - loss < options->tolerance * state->previous_loss;
}

/* A sum of squares below 0 by more than rounding; or a loss far above that of knowing nothing, when all is done, or so
 * far that nothing will bring it back. No such model is stored. */
static int check_loss(const MfState *state, double *loss, int last, Error *error) {
  const MfPlan *plan = &state->plans[state->current];
  double start = state->factorizer.start_loss, most = (last ? FAR : LOST) * start;
  int above = start > 0 && *loss > most;
  if (*loss >= 0 && !above) return SQLITE_OK;
  if (*loss < 0 && *loss > -ROUNDING * start) {
    *loss = 0;
    return SQLITE_OK;
  }
  char *advice = plan->brake ? sqlite3_mprintf("%s (it is %g)", plan->brake, plan->brake_value)
                             : sqlite3_mprintf("look for ratings that are far too large");
  int code = !advice ? error_no_memory(error)
             : above ? error_set(error, SQLITE_ERROR,
                                 "the training has diverged, and nothing is stored: after epoch %d the loss is %g, and "
                                 "a model that knows nothing has about %g: %s",
                                 state->epoch, *loss, start, advice)
                     : error_set(error, SQLITE_ERROR,
                                 "the training has diverged, and nothing is stored: after epoch %d the loss is %g, and "
                                 "a sum of squares can't be negative: %s",
                                 state->epoch, *loss, advice);
  sqlite3_free(advice);
  return code;
}

static int mf_step(Training *training, FitRow *row, int *done, Error *error) {
  const MfOptions *options = (const MfOptions *)training->options;
  MfState *state = training->state;
  const Cancel *cancel = &training->interrupt.cancel;
  const Factorizer *fit = &state->factorizer;
  Head head = state->plans[state->current].head;
  FactorizerReport report = {0};
  int last = 0;
  *done = 0;
  int code = fit->method->epoch(fit->state, &report, &last, cancel, error);
  if (code != SQLITE_OK) return error_from_code(error, code);
  state->epoch++;
  last = last || is_last(options, state, report.loss);
  state->previous_loss = report.loss;
  if (last && fit->method->finish) code = fit->method->finish(fit->state, &report, cancel, error);
  if (code == SQLITE_OK) code = check_loss(state, &report.loss, last, error);
  const Factors *factors = code == SQLITE_OK ? fit->method->factors(fit->state) : NULL;
  row->test = NAN;
  if (factors) code = holdout_test(training, head, factors, &row->test, error);
  if (code != SQLITE_OK) return error_from_code(error, code);
  row->epoch = state->epoch;
  row->head = head;
  row->loss = report.loss;
  row->train = report.train_rmse;
  row->seconds = seconds_since(&state->began);
  return last ? end_head(training, state, done, error) : SQLITE_OK;
}

static void mf_end(Training *training) {
  MfState *state = training->state;
  drop_factorizer(state);
  for (int side = 0; side < 2; side++) memory_free_aligned(state->start[side]);
  state->start[0] = state->start[1] = NULL;
}

static void mf_free_options(TrainOptions *common) {
  MfOptions *options = (MfOptions *)common;
  sqlite3_free(options->item_init);
  sqlite3_free(options->user_init);
}

const Trainer mf_trainer = {
    TRAINER_CALL("mf", " [, rank]", "_rank HIDDEN, "),
    .reads_ratings = 1,
    .values = mf_values,
    .size = "rank",
    .size_minimum = 1,
    .size_maximum = 4096,
    .size_default = 32,
    .size_names = {"rank"},
    .size_meaning = "how many factors each user and item has",
    .algorithms = mf_algorithms,
    .options = mf_options,
    .option_count = sizeof mf_options / sizeof *mf_options,
    .options_size = sizeof(MfOptions),
    .state_size = sizeof(MfState),
    .check = mf_check,
    .read = mf_read,
    .start = mf_start,
    .step = mf_step,
    .end = mf_end,
    .free_options = mf_free_options,
};
