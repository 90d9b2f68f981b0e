/* The trainer baseline: what any recommender must beat. Ratings are predicted by means or by damped biases (Koren,
 * "Factor in the neighbors", TKDD 2010); items are ranked by how many like or have them, or by their predicted ratings.
 */
#include "baseline_train.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "../base/memory.h"
#include "../learn/baseline.h"
#include "ranking_holdout.h"

#define METHODS "bias|global|user|item|popularity"
#define SCORES "liked|popularity|prediction"
enum { SCORE_LIKED, SCORE_POPULARITY, SCORE_PREDICTION };
enum { METHOD_POPULARITY = BASELINE_METHODS };

typedef struct BaselineTraining {
  TrainOptions common;
  int method;
  int score; /* which of SCORES items are ranked by, or -1 */
  double user_regularization, item_regularization;
  int epochs;
} BaselineTraining;

static const Option baseline_options[] = {
    TRAIN_OPTIONS(BaselineTraining),
    COLD_START_OPTION(BaselineTraining),
    {.name = "method", .type = OPTION_CHOICE, .offset = offsetof(BaselineTraining, method), .choices = METHODS},
    {.name = "score", .type = OPTION_CHOICE, .offset = offsetof(BaselineTraining, score), .choices = SCORES},
    {.name = "user_regularization",
     .type = OPTION_NUMBER,
     .offset = offsetof(BaselineTraining, user_regularization),
     .maximum = 1e9},
    {.name = "item_regularization",
     .type = OPTION_NUMBER,
     .offset = offsetof(BaselineTraining, item_regularization),
     .maximum = 1e9},
    {.name = "epochs",
     .type = OPTION_INTEGER,
     .offset = offsetof(BaselineTraining, epochs),
     .minimum = 1,
     .maximum = 100000},
};

typedef struct BaselineState {
  struct timespec began;
} BaselineState;

static void baseline_set_defaults(TrainOptions *common) {
  BaselineTraining *options = (BaselineTraining *)common;
  options->method = options->score = -1;
  options->user_regularization = 15;
  options->item_regularization = 10;
  options->epochs = 10;
}

static int baseline_start(Training *training, Error *error) {
  BaselineTraining *options = (BaselineTraining *)training->options;
  BaselineState *state = training->state;
  int rated = training->data.explicit_ratings;
  clock_gettime(CLOCK_MONOTONIC, &state->began);
  if (options->method < 0) options->method = rated ? BASELINE_BIAS : METHOD_POPULARITY;
  if (!rated && options->method != METHOD_POPULARITY)
    return error_set(error, SQLITE_ERROR,
                     "baseline_train: the source has no ratings to take means of: name their column with the option "
                     "\"rating\", or leave \"method\" out to rank by popularity");
  if (options->score == SCORE_LIKED && !rated)
    return error_set(
        error, SQLITE_ERROR,
        "baseline_train: the source has no ratings to tell who liked an item: leave \"score\" out, or name "
        "their column with the option \"rating\"");
  if (options->method == METHOD_POPULARITY && options->score == SCORE_PREDICTION)
    return error_set(error, SQLITE_ERROR,
                     "baseline_train: \"popularity\" predicts no ratings for the option \"score\" to rank by");
  const OptionUse use = {"user_regularization|item_regularization|epochs", options->method == BASELINE_BIAS,
                         "with \"method\": \"bias\""};
  int code = training_check_uses(training, &use, 1, error);
  if (code != SQLITE_OK) return code;
  int predicts = options->method != METHOD_POPULARITY;
  if (options->score < 0) options->score = predicts ? SCORE_LIKED : SCORE_POPULARITY;
  TrainedModel *trained = &training->trained;
  char *method = options_choice(METHODS, options->method), *score = options_choice(SCORES, options->score);
  trained->shape = (ModelShape){
      .kind = &kind_baseline,
      .biases = {predicts, 1},
      .score_head = options->score == SCORE_PREDICTION ? HEAD_RATING : HEAD_RANKING,
      .prediction_head = predicts ? HEAD_RATING : -1,
      .range = RANGE_CLIP,
      .minimum = training->data.minimum,
      .maximum = training->data.maximum,
      .average = training->data.mean,
      .profile = rated ? PROFILE_RATING : PROFILE_MEAN,
      .rated = rated && options->score != SCORE_POPULARITY,
      .fold = {baseline_fold_in(options->method, options->user_regularization)},
  };
  static const char *const algorithms[] = {"bias", "global", "user", "item", "popularity"};
  trained->algorithm = algorithms[options->method];
  trained->resolved = sqlite3_mprintf(
      "{\"method\":\"%s\",\"score\":\"%s\",\"user_regularization\":%!.15g,\"item_regularization\":%!.15g,"
      "\"epochs\":%d,\"test\":%!.15g,\"seed\":%llu}",
      method, score, options->user_regularization, options->item_regularization, options->epochs, options->common.test,
      options->common.seed);
  int complete = method && score && trained->resolved;
  sqlite3_free(method);
  sqlite3_free(score);
  return complete ? SQLITE_OK : error_no_memory(error);
}

FoldIn baseline_fold_in(int method, double user_regularization) {
  if (method == BASELINE_USER_MEAN) return (FoldIn){.method = FOLD_RATING};
  if (method != BASELINE_BIAS) return (FoldIn){.method = FOLD_NONE};
  return (FoldIn){.method = FOLD_RATING, .bias_regularization = user_regularization};
}

/* Each item's number of entries, of those that like it where histories hold ratings, as its bias. */
static int count_items(const SparseMatrix *by_item, size_t users, const ModelShape *shape, Factors *factors) {
  if (factors_alloc(factors, users, by_item->rows, 0, 1) != SQLITE_OK) return SQLITE_NOMEM;
  for (size_t item = 0; item < by_item->rows; item++) {
    size_t count = 0;
    for (size_t e = by_item->start[item]; e < by_item->start[item + 1]; e++)
      count += (size_t)(!shape->rated || shape_likes(shape, sparse_value(by_item, e)));
    factors->item_bias[item] = (float)count;
  }
  return SQLITE_OK;
}

static int baseline_step(Training *training, FitRow *row, int *done, Error *error) {
  const BaselineTraining *options = (const BaselineTraining *)training->options;
  BaselineState *state = training->state;
  TrainedModel *trained = &training->trained;
  const Cancel *cancel = &training->interrupt.cancel;
  Factors *counts = &trained->heads[HEAD_RANKING];
  int predicts = options->method != METHOD_POPULARITY;
  *done = 1;
  *row = (FitRow){.epoch = 1, .head = predicts ? HEAD_RATING : HEAD_RANKING, .loss = NAN, .train = NAN, .test = NAN};
  int code = count_items(&training->by_item, training->data.by_user.rows, &trained->shape, counts) == SQLITE_OK
                 ? SQLITE_OK
                 : error_no_memory(error);
  if (code == SQLITE_OK && predicts) {
    const BaselineOptions fit = {.method = (BaselineMethod)options->method,
                                 .user_regularization = options->user_regularization,
                                 .item_regularization = options->item_regularization,
                                 .epochs = options->epochs,
                                 .threads = training->threads};
    row->epoch = options->method == BASELINE_BIAS ? options->epochs : 1;
    code = baseline_fit(&training->data.by_user, &training->by_item, &fit, &trained->heads[HEAD_RATING], &row->train,
                        cancel, error);
    if (code != SQLITE_OK) return error_from_code(error, code);
    trained->shape.mean[HEAD_RATING] = trained->heads[HEAD_RATING].mean;
    row->loss = row->train;
  }
  if (code == SQLITE_OK) code = holdout_test(training, row->head, &trained->heads[row->head], &row->test, error);
  row->seconds = seconds_since(&state->began);
  return code;
}

const Trainer baseline_trainer = {
    TRAINER_CALL("baseline", "", ""),
    .reads_ratings = 1,
    .options = baseline_options,
    .option_count = sizeof baseline_options / sizeof *baseline_options,
    .options_size = sizeof(BaselineTraining),
    .state_size = sizeof(BaselineState),
    .set_defaults = baseline_set_defaults,
    .start = baseline_start,
    .step = baseline_step,
};
