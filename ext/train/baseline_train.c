/* The trainer baseline: what any recommender must beat. Ratings are predicted by means or by damped biases (Koren,
 * "Factor in the neighbors", TKDD 2010); items are ranked by how many like or have them, or by their predicted ratings.
 */
#include "baseline_train.h"

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
    COLD_START_OPTION,
    {.name = "method",
     .type = OPTION_CHOICE,
     .offset = offsetof(BaselineTraining, method),
     .choices = METHODS,
     .rule = "\"bias\" of ratings, else \"popularity\"",
     .meaning = "how ratings are predicted: by damped biases or one of the means; or, by popularity, not at all"},
    {.name = "score",
     .type = OPTION_CHOICE,
     .offset = offsetof(BaselineTraining, score),
     .choices = SCORES,
     .rule = "\"liked\" of ratings, else \"popularity\"",
     .meaning = "what items are ranked by: how many rated them at or above the mean, how many have them, or the rating "
                "expected"},
    {.name = "user_regularization",
     .type = OPTION_NUMBER,
     .offset = offsetof(BaselineTraining, user_regularization),
     .maximum = 1e9,
     .otherwise = "15",
     .meaning = "damping of users' biases, with \"method\": \"bias\""},
    {.name = "item_regularization",
     .type = OPTION_NUMBER,
     .offset = offsetof(BaselineTraining, item_regularization),
     .maximum = 1e9,
     .otherwise = "10",
     .meaning = "damping of items' biases, with \"method\": \"bias\""},
    {.name = "epochs",
     .type = OPTION_INTEGER,
     .offset = offsetof(BaselineTraining, epochs),
     .minimum = 1,
     .maximum = 100000,
     .otherwise = "10",
     .meaning = "rounds over items and users, with \"method\": \"bias\""},
};

static const Algorithm bias_method = {.name = "bias",
                                      .learns_from = "ratings",
                                      .kind = &kind_baseline,
                                      .meaning = "mean and damped biases of users and items"};
static const Algorithm global_method = {
    .name = "global", .learns_from = "ratings", .kind = &kind_baseline, .meaning = "the mean of all ratings"};
static const Algorithm user_method = {
    .name = "user", .learns_from = "ratings", .kind = &kind_baseline, .meaning = "the mean of the user's ratings"};
static const Algorithm item_method = {
    .name = "item", .learns_from = "ratings", .kind = &kind_baseline, .meaning = "the mean of the item's ratings"};
static const Algorithm popularity_method = {.name = "popularity",
                                            .learns_from = "ratings or likes",
                                            .kind = &kind_baseline,
                                            .lacks = ABLE(ABILITY_PREDICT),
                                            .meaning = "how many have an item"};
/* In the order of METHODS. */
static const Algorithm *const baseline_algorithms[] = {&bias_method, &global_method,     &user_method,
                                                       &item_method, &popularity_method, NULL};

static int baseline_start(Training *training, Error *error) {
  BaselineTraining *options = (BaselineTraining *)training->options;
  int rated = training->data.explicit_ratings;
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
  trained->algorithm = baseline_algorithms[options->method]->name;
  return SQLITE_OK;
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
  TrainedModel *trained = &training->trained;
  const Cancel *cancel = &training->interrupt.cancel;
  Factors *counts = &trained->heads[HEAD_RANKING];
  int predicts = options->method != METHOD_POPULARITY;
  *done = 1;
  row->head = predicts ? HEAD_RATING : HEAD_RANKING;
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
  return code;
}

const Trainer baseline_trainer = {
    TRAINER_CALL("baseline", "", ""),
    .reads_ratings = 1,
    .algorithms = baseline_algorithms,
    .options = baseline_options,
    .option_count = sizeof baseline_options / sizeof *baseline_options,
    .options_size = sizeof(BaselineTraining),
    .start = baseline_start,
    .step = baseline_step,
};
