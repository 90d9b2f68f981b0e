/* The family mf: which algorithm fits which head from which data, and with what defaults.
 *
 * From ratings (als) two heads: the rating head minimises the squared error of the ratings there are; the ranking head
 * is fitted to all cells, the missing ones weakly pulled towards `unobserved_rating` (Steck, "Training and testing of
 * recommender systems on data missing not at random", KDD 2010). From implicit feedback (ials) one head (Hu, Koren &
 * Volinsky, ICDM 2008; `"unobserved": "all"` as Rendle et al., "Revisiting the performance of iALS", 2021). */
#include "mf.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../learn/als.h"
#include "../learn/metrics.h"
#include "holdout.h"
#include "init.h"

typedef enum MfAlgorithm { MF_ALS, MF_IALS } MfAlgorithm;
typedef enum MfObjective { OBJECTIVE_BOTH, OBJECTIVE_RATING, OBJECTIVE_RANKING } MfObjective;

#define ALGORITHMS "als|ials"
#define OBJECTIVES "both|rating|ranking"
#define SOLVERS "cg|cholesky"
#define UNOBSERVED "missing|all"
#define RANGES "clip|none"

typedef struct MfOptions {
  TrainOptions common;
  int algorithm;                           /* -1: by the data */
  int objective;                           /* -1: both, or what the algorithm can */
  double regularization[HEADS], nu[HEADS]; /* NaN: the default */
  int epochs;
  int solver;
  int nonnegative;
  int biases;
  double alpha, unobserved_weight, unobserved_rating; /* NaN: the default */
  int unobserved;
  double init_scale; /* NaN: the default */
  double tolerance;
  int range;
  char *item_init, *user_init; /* content models, or NULL */
} MfOptions;

static const Option mf_options[] = {
    TRAIN_OPTIONS(MfOptions),
    {.name = "algorithm", .type = OPTION_CHOICE, .offset = offsetof(MfOptions, algorithm), .choices = ALGORITHMS},
    {.name = "objective", .type = OPTION_CHOICE, .offset = offsetof(MfOptions, objective), .choices = OBJECTIVES},
    {.name = "regularization",
     .type = OPTION_BY_HEAD,
     .offset = offsetof(MfOptions, regularization),
     .minimum = 1e-6,
     .maximum = 1e9},
    {.name = "nu", .type = OPTION_BY_HEAD, .offset = offsetof(MfOptions, nu), .maximum = 1},
    {.name = "epochs", .type = OPTION_INTEGER, .offset = offsetof(MfOptions, epochs), .minimum = 1, .maximum = 100000},
    {.name = "solver", .type = OPTION_CHOICE, .offset = offsetof(MfOptions, solver), .choices = SOLVERS},
    {.name = "nonnegative", .type = OPTION_BOOLEAN, .offset = offsetof(MfOptions, nonnegative)},
    {.name = "biases", .type = OPTION_BOOLEAN, .offset = offsetof(MfOptions, biases)},
    {.name = "alpha", .type = OPTION_NUMBER, .offset = offsetof(MfOptions, alpha), .maximum = 1e9},
    {.name = "unobserved_weight",
     .type = OPTION_NUMBER,
     .offset = offsetof(MfOptions, unobserved_weight),
     .maximum = 1e6},
    {.name = "unobserved_rating",
     .type = OPTION_NUMBER,
     .offset = offsetof(MfOptions, unobserved_rating),
     .minimum = -1e9,
     .maximum = 1e9},
    {.name = "unobserved", .type = OPTION_CHOICE, .offset = offsetof(MfOptions, unobserved), .choices = UNOBSERVED},
    {.name = "init_scale",
     .type = OPTION_NUMBER,
     .offset = offsetof(MfOptions, init_scale),
     .minimum = 1e-6,
     .maximum = 1000},
    {.name = "tolerance", .type = OPTION_NUMBER, .offset = offsetof(MfOptions, tolerance), .maximum = 1},
    {.name = "item_init", .type = OPTION_TEXT, .offset = offsetof(MfOptions, item_init)},
    {.name = "user_init", .type = OPTION_TEXT, .offset = offsetof(MfOptions, user_init)},
    {.name = "range", .type = OPTION_CHOICE, .offset = offsetof(MfOptions, range), .choices = RANGES},
};

/* The defaults follow from the data, by rules whose constants were chosen on validation splits (tests/bench/defaults.py
 * makes the table). With n entries of I users × J items, n̄ = n / √(I J) of them a row, s = n̄ / (n̄ + 8) near 1 unless
 * rows are short, and a rating unit u, a quarter of the ratings' range:
 *   rating head    λ = 3.5 u, ν = 0.3
 *   missing cells  weigh w = s √(n / (I J)) of an observed one: all of them together s √n √(I J), between the weight of
 *                  what was observed and that of the whole matrix. They count as the
 *                  lowest rating less u: of one to five stars, as none.
 *   ranking heads  λ = 0.38 t √(c / s), ν = 0.5, t and c the mean target and confidence: entries without any structure
 *                  have singular values in proportion to c t, and λ is what shrinks those away.
 *                  Implicit feedback: 0.4, and n̄ / (n̄ + 5).
 * Each scales with the ratings as it must for the model to be the same on another scale: u and t like them, w not. */
#define DEFAULT_EPOCHS 15
#define DEFAULT_INIT_SCALE 0.5 /* times √u */
#define RATING_REGULARIZATION 3.5
/* By ratings, and by implicit feedback, whose entries are fewer and surer. */
static const double ranking_regularization[2] = {0.38, 0.4}, short_row[2] = {8, 5};
static const double default_nu[HEADS] = {0.3, 0.5};

static void set_defaults(TrainOptions *common) {
  MfOptions *options = (MfOptions *)common;
  options->algorithm = options->objective = -1;
  for (int head = 0; head < HEADS; head++) options->regularization[head] = options->nu[head] = NAN;
  options->epochs = DEFAULT_EPOCHS;
  options->biases = 1;
  options->alpha = options->unobserved_weight = options->unobserved_rating = options->init_scale = NAN;
}

/* ---- from options to a plan -------------------------------------------------------------------------------------- */

typedef struct MfState {
  Head heads[HEADS]; /* to be fitted, in this order */
  int head_count, current;
  AlsOptions plan[HEADS];
  float *start[2]; /* where users and items begin, or NULL */
  Als *als;        /* the current head's */
  int epoch;
  double previous_loss;
  struct timespec began;
} MfState;

static int check(const Training *training, Error *error) {
  const MfOptions *options = (const MfOptions *)training->options;
  if (options->algorithm == MF_IALS && options->objective == OBJECTIVE_RATING)
    return error_set(error, SQLITE_ERROR,
                     "mf_train: \"ials\" ranks and does not predict ratings: use \"als\" for the objective \"rating\"");
  return SQLITE_OK;
}

static int choose_algorithm(const Training *training, MfOptions *options, Error *error) {
  const Interactions *data = &training->data;
  if (options->algorithm < 0) options->algorithm = data->explicit_ratings ? MF_ALS : MF_IALS;
  if (options->algorithm == MF_ALS && !data->explicit_ratings)
    return error_set(error, SQLITE_ERROR,
                     "mf_train: \"als\" needs ratings, and the source has none: name the column with the option "
                     "\"rating\", or leave \"algorithm\" out to train on implicit feedback");
  if (options->algorithm == MF_IALS && options->objective == OBJECTIVE_RATING) return check(training, error);
  if (!data->explicit_ratings && options->objective == OBJECTIVE_RATING)
    return error_set(error, SQLITE_ERROR, "mf_train: the objective \"rating\" needs ratings, and the source has none");
  if (options->algorithm == MF_IALS && data->minimum < 0)
    return error_set(error, SQLITE_ERROR,
                     "mf_train: \"ials\" takes ratings as confidence, so they must not be negative, but the least is "
                     "%g: use \"als\", or leave the rating out with the option \"rating\": null",
                     data->minimum);
  if (options->algorithm == MF_IALS) options->objective = OBJECTIVE_RANKING;
  if (options->objective < 0) options->objective = OBJECTIVE_BOTH;
  return SQLITE_OK;
}

static double given_or(double given, double otherwise) { return isnan(given) ? otherwise : given; }

/* What the default rules read: see above. */
typedef struct Shape {
  double entries, side, row; /* n, √(I J), n̄ */
  double trust;              /* s */
  double weight;             /* w */
  double unit;               /* u */
} Shape;

static Shape shape_of(const Interactions *data, int implicit) {
  Shape shape = {.entries = fmax((double)data->by_user.start[data->by_user.rows], 1), .unit = 1};
  shape.side = sqrt(fmax((double)data->by_user.rows * (double)data->by_user.columns, 1));
  shape.row = shape.entries / shape.side;
  shape.trust = shape.row / (shape.row + short_row[implicit]);
  shape.weight = shape.trust * sqrt(shape.entries) / shape.side;
  if (data->maximum > data->minimum) shape.unit = (data->maximum - data->minimum) / 4;
  return shape;
}

/* Another ν than the rule's: λ such that a row of usual length is penalised as before. */
static double regularization_of(double otherwise, double length, double default_exponent, double nu) {
  return otherwise * pow(length, default_exponent - nu);
}

static void plan_rating(const Interactions *data, const MfOptions *options, const Shape *shape, AlsOptions *plan) {
  plan->biases = options->biases;
  plan->mean = options->biases ? data->mean : 0;
  plan->regularization =
      given_or(options->regularization[HEAD_RATING],
               regularization_of(RATING_REGULARIZATION * shape->unit, shape->row, default_nu[HEAD_RATING], plan->nu));
  /* ‖factors‖² grows with the scale of ratings and bias² with its square. */
  plan->bias_regularization = plan->regularization / shape->unit;
}

static void plan_ranking(const Interactions *data, const MfOptions *options, const Shape *shape, AlsOptions *plan) {
  int implicit = options->algorithm == MF_IALS, missing = implicit && !options->unobserved;
  double target = 1, confidence = 1;
  plan->weigh_all_cells = options->unobserved;
  plan->confidence = 1;
  /* Missing cells weigh 1 by convention where confidence can be raised instead: 1 + α mean = 1 / w. */
  plan->missing_weight = given_or(options->unobserved_weight, missing ? 1 : shape->weight);
  if (missing) {
    double mean = data->mean > 0 ? data->mean : 1;
    plan->confidence_slope = given_or(options->alpha, (1 / shape->weight - 1) / mean);
    confidence += plan->confidence_slope * mean;
  }
  if (implicit) {
    plan->target = 1;
  } else {
    plan->target = -given_or(options->unobserved_rating, data->minimum - shape->unit);
    plan->target_slope = 1;
    target = fmax(fabs(data->mean + plan->target), shape->unit);
  }
  double regularization = ranking_regularization[implicit] * target * sqrt(confidence / shape->trust);
  plan->regularization = given_or(options->regularization[HEAD_RANKING],
                                  regularization_of(regularization, shape->row + plan->missing_weight * shape->side,
                                                    default_nu[HEAD_RANKING], plan->nu));
}

static void plan_head(const Training *training, const MfOptions *options, Head head, AlsOptions *plan) {
  int implicit = options->algorithm == MF_IALS;
  Shape shape = shape_of(&training->data, implicit);
  double start = DEFAULT_INIT_SCALE * (implicit ? 1 : sqrt(shape.unit));
  *plan = (AlsOptions){
      .rank = (int)training->size,
      .nu = given_or(options->nu[head], default_nu[head]),
      .nonnegative = options->nonnegative,
      .solver = options->solver ? ALS_CHOLESKY : ALS_CONJUGATE_GRADIENT,
      .init_scale = given_or(options->init_scale, start),
      .seed = options->common.seed,
      .threads = training->threads,
      .ranking = head == HEAD_RANKING,
  };
  if (head == HEAD_RATING)
    plan_rating(&training->data, options, &shape, plan);
  else
    plan_ranking(&training->data, options, &shape, plan);
}

/* How a history is folded into a head that was fitted by this plan. */
static FoldIn fold_in_of(const AlsOptions *plan) {
  return (FoldIn){.method = plan->ranking ? FOLD_RANKING : FOLD_RATING,
                  .regularization = plan->regularization,
                  .bias_regularization = plan->bias_regularization,
                  .nu = plan->nu,
                  .confidence = plan->confidence,
                  .confidence_slope = plan->confidence_slope,
                  .target = plan->target,
                  .target_slope = plan->target_slope,
                  .missing_weight = plan->missing_weight,
                  .weigh_all_cells = plan->weigh_all_cells,
                  .nonnegative = plan->nonnegative};
}

static void describe_shape(const Training *training, const MfOptions *options, const MfState *state,
                           ModelShape *shape) {
  *shape = (ModelShape){.prediction_head = -1,
                        .clip = options->range == 0,
                        .minimum = training->data.minimum,
                        .maximum = training->data.maximum,
                        .average = training->data.mean};
  for (int i = 0; i < state->head_count; i++) {
    Head head = state->heads[i];
    const AlsOptions *plan = &state->plan[head];
    shape->rank[head] = plan->rank;
    shape->biases[head] = plan->biases;
    shape->fold[head] = fold_in_of(plan);
    shape->mean[head] = head == HEAD_RATING ? plan->mean : plan->target_slope != 0 ? -plan->target : 0;
  }
  shape->score_head = options->objective == OBJECTIVE_RATING ? HEAD_RATING : HEAD_RANKING;
  if (options->algorithm == MF_ALS)
    shape->prediction_head = options->objective == OBJECTIVE_RANKING ? HEAD_RANKING : HEAD_RATING;
}

/* The options as they were resolved, a JSON object. */
static int describe_options(const Training *training, const MfOptions *options, const MfState *state, char **json,
                            Error *error) {
  sqlite3_str *text = sqlite3_str_new(NULL);
  char *algorithm = options_choice(ALGORITHMS, options->algorithm);
  char *objective = options_choice(OBJECTIVES, options->objective);
  sqlite3_str_appendf(text, "{\"rank\":%lld,\"algorithm\":\"%s\",\"objective\":\"%s\",\"epochs\":%d,\"solver\":\"%s\"",
                      (int64_t)training->size, algorithm, objective, options->epochs,
                      options->solver ? "cholesky" : "cg");
  for (int i = 0; i < state->head_count; i++) {
    const AlsOptions *plan = &state->plan[state->heads[i]];
    sqlite3_str_appendf(text, ",\"%s\":{\"regularization\":%!.15g,\"nu\":%!.15g", head_names[state->heads[i]],
                        plan->regularization, plan->nu);
    if (plan->ranking)
      sqlite3_str_appendf(text, ",\"unobserved_weight\":%!.15g,\"unobserved\":\"%s\"", plan->missing_weight,
                          plan->weigh_all_cells ? "all" : "missing");
    if (plan->ranking && plan->target_slope != 0)
      sqlite3_str_appendf(text, ",\"unobserved_rating\":%!.15g", -plan->target);
    if (plan->ranking && plan->target_slope == 0)
      sqlite3_str_appendf(text, ",\"alpha\":%!.15g", plan->confidence_slope);
    if (!plan->ranking) sqlite3_str_appendf(text, ",\"biases\":%s", plan->biases ? "true" : "false");
    sqlite3_str_appendall(text, "}");
  }
  sqlite3_str_appendf(text,
                      ",\"nonnegative\":%s,\"init_scale\":%!.15g,\"tolerance\":%!.15g,\"test\":%!.15g,\"seed\":%llu}",
                      options->nonnegative ? "true" : "false", state->plan[state->heads[0]].init_scale,
                      options->tolerance, options->common.test, options->common.seed);
  sqlite3_free(algorithm);
  sqlite3_free(objective);
  *json = sqlite3_str_finish(text);
  return *json && algorithm && objective ? SQLITE_OK : error_no_memory(error);
}

/* ---- the test metric --------------------------------------------------------------------------------------------- */

static int test_head(Training *training, Head head, const Factors *factors, double *test, Error *error) {
  *test = NAN;
  if (!training->data.held_out.start) return SQLITE_OK;
  if (head == HEAD_RANKING) return holdout_test_factors(training, factors, test, error);
  RatingErrors errors =
      rating_errors_of(factors, &training->data.held_out, training->data.minimum, training->data.maximum);
  *test = rating_rmse(&errors);
  return SQLITE_OK;
}

/* ---- fitting ----------------------------------------------------------------------------------------------------- */

static int start_head(Training *training, MfState *state, Error *error) {
  Head head = state->heads[state->current];
  state->epoch = 0;
  state->previous_loss = INFINITY;
  clock_gettime(CLOCK_MONOTONIC, &state->began);
  state->plan[head].user_start = state->start[0];
  state->plan[head].item_start = state->start[1];
  return als_create(&state->als, &training->data.by_user, &training->by_item, &state->plan[head], error);
}

static int start(Training *training, Error *error) {
  MfOptions *options = (MfOptions *)training->options;
  MfState *state = training->state;
  int code = choose_algorithm(training, options, error);
  if (code != SQLITE_OK) return code;
  if (options->objective != OBJECTIVE_RANKING) state->heads[state->head_count++] = HEAD_RATING;
  if (options->objective != OBJECTIVE_RATING) state->heads[state->head_count++] = HEAD_RANKING;
  for (int i = 0; i < state->head_count; i++)
    plan_head(training, options, state->heads[i], &state->plan[state->heads[i]]);
  training->trained.algorithm = options->algorithm == MF_ALS ? "als" : "ials";
  describe_shape(training, options, state, &training->trained.shape);
  code = describe_options(training, options, state, &training->trained.resolved, error);
  /* As long as factors that are drawn. */
  const char *const init[2] = {options->user_init, options->item_init};
  for (int side = 0; side < 2 && code == SQLITE_OK; side++)
    if (init[side])
      code = init_vectors(training, init[side], side == 0, (int)training->size, state->plan[state->heads[0]].init_scale,
                          &state->start[side], error);
  return code == SQLITE_OK ? start_head(training, state, error) : code;
}

/* The head's factors go into the model, and the next head begins. */
static int end_head(Training *training, MfState *state, int *done, Error *error) {
  Head head = state->heads[state->current];
  als_take(state->als, &training->trained.heads[head]);
  training->trained.heads[head].mean = training->trained.shape.mean[head];
  als_destroy(state->als);
  state->als = NULL;
  *done = ++state->current == state->head_count;
  return *done ? SQLITE_OK : start_head(training, state, error);
}

static int step(Training *training, FitRow *row, int *done, Error *error) {
  const MfOptions *options = (const MfOptions *)training->options;
  MfState *state = training->state;
  const Cancel *cancel = &training->interrupt.cancel;
  Head head = state->heads[state->current];
  AlsReport report;
  *done = 0;
  int code = als_epoch(state->als, &report, cancel, error);
  if (code != SQLITE_OK) return interrupt_error(error, code);
  double loss = report.loss_after_items;
  int last =
      ++state->epoch == options->epochs || state->previous_loss - loss < options->tolerance * state->previous_loss;
  if (options->tolerance == 0) last = state->epoch == options->epochs;
  state->previous_loss = loss;
  if (last) {
    AlsReport final;
    code = als_finish(state->als, &final, cancel, error);
    report.loss_after_items = final.loss_after_users;
    report.train_rmse = final.train_rmse;
  }
  if (code == SQLITE_OK) code = test_head(training, head, als_factors(state->als), &row->test, error);
  if (code != SQLITE_OK) return interrupt_error(error, code);
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  row->epoch = state->epoch;
  row->head = head;
  row->loss = report.loss_after_items;
  row->train = report.train_rmse;
  row->seconds = (double)(now.tv_sec - state->began.tv_sec) + 1e-9 * (double)(now.tv_nsec - state->began.tv_nsec);
  return last ? end_head(training, state, done, error) : SQLITE_OK;
}

static void end(Training *training) {
  MfState *state = training->state;
  als_destroy(state->als);
  state->als = NULL;
  for (int side = 0; side < 2; side++) memory_free_aligned(state->start[side]);
  state->start[0] = state->start[1] = NULL;
}

static void free_options(TrainOptions *common) {
  MfOptions *options = (MfOptions *)common;
  sqlite3_free(options->item_init);
  sqlite3_free(options->user_init);
}

const Family mf_family = {
    .name = "mf",
    .function = "mf_train",
    .usage = "mf_train(source, rank [, options])",
    .size = "rank",
    .size_minimum = 1,
    .size_maximum = 4096,
    .options = mf_options,
    .option_count = sizeof mf_options / sizeof *mf_options,
    .options_size = sizeof(MfOptions),
    .state_size = sizeof(MfState),
    .set_defaults = set_defaults,
    .check = check,
    .start = start,
    .step = step,
    .end = end,
    .free_options = free_options,
};
