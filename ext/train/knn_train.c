/* The trainer knn: memory-based collaborative filtering, by items (Sarwar et al., WWW 2001; Deshpande & Karypis, TOIS
 * 2004) or by users (Resnick et al., CSCW 1994). A model keeps the nearest of each item or user; what users did is
 * their histories. */
#include "../learn/baseline.h"
#include "../learn/neighbor_predict.h"
#include "../learn/neighbors.h"
#include "../model/kinds/neighborhood.h"
#include "baseline_train.h"
#include "link_holdout.h"

#define SIDES "item|user"
#define SIMILARITY_NAMES "cosine|adjusted_cosine|pearson|jaccard|msd"
#define WEIGHTING_NAMES "none|tfidf|bm25"
#define CENTERING_NAMES "none|mean|zscore|bias"
#define VOTERS "stored|raters"
#define RANGES "clip|none"

typedef struct KnnOptions {
  TrainOptions common;
  int by, similarity, weighting, center, neighbors, range; /* which of the choices above; center -1: by the data */
  double threshold, shrinkage, bm25_k1, bm25_b;
  int min_support, max_interactions, max_memory;
  double user_regularization, item_regularization;
} KnnOptions;

static const Option knn_options[] = {
    COLD_START_OPTION,
    {.name = "by",
     .type = OPTION_CHOICE,
     .offset = offsetof(KnnOptions, by),
     .choices = SIDES,
     .otherwise = "\"item\"",
     .meaning = "whose neighbours: each item's nearest items, or each user's nearest users"},
    {.name = "similarity",
     .type = OPTION_CHOICE,
     .offset = offsetof(KnnOptions, similarity),
     .choices = SIMILARITY_NAMES,
     .otherwise = "\"cosine\"",
     .meaning =
         "over all cells; Pearson's and msd over the common ones, adjusted_cosine of ratings less their user's mean"},
    {.name = "weighting",
     .type = OPTION_CHOICE,
     .offset = offsetof(KnnOptions, weighting),
     .choices = WEIGHTING_NAMES,
     .otherwise = "\"none\"",
     .meaning = "of the values before the cosine"},
    {.name = "center",
     .type = OPTION_CHOICE,
     .offset = offsetof(KnnOptions, center),
     .choices = CENTERING_NAMES,
     .rule = "\"bias\" of ratings, else \"none\"",
     .meaning = "what predictions start from: damped biases, the row's mean, its mean and deviation, or 0"},
    {.name = "neighbors",
     .type = OPTION_CHOICE,
     .offset = offsetof(KnnOptions, neighbors),
     .choices = VOTERS,
     .otherwise = "\"stored\"",
     .meaning = "who is asked for a rating: the k that are stored, or the k nearest of those that rated the item"},
    {.name = "threshold",
     .type = OPTION_NUMBER,
     .offset = offsetof(KnnOptions, threshold),
     .minimum = -1,
     .maximum = 1,
     .otherwise = "0",
     .meaning = "only similarities above it; -1 keeps all"},
    {.name = "shrinkage",
     .type = OPTION_NUMBER,
     .offset = offsetof(KnnOptions, shrinkage),
     .maximum = 1e9,
     .otherwise = "0",
     .meaning = "a similarity s becomes s n / (n + shrinkage), n the common raters"},
    {.name = "min_support",
     .type = OPTION_INTEGER,
     .offset = offsetof(KnnOptions, min_support),
     .minimum = 1,
     .maximum = 1e9,
     .otherwise = "1",
     .meaning = "common raters at least"},
    {.name = "max_interactions",
     .type = OPTION_INTEGER,
     .offset = offsetof(KnnOptions, max_interactions),
     .maximum = 1e9,
     .otherwise = "0",
     .meaning = "of a longer row so many entries are drawn to be compared; 0: all"},
    {.name = "max_memory",
     .type = OPTION_INTEGER,
     .offset = offsetof(KnnOptions, max_memory),
     .minimum = 1,
     .maximum = 1e9,
     .otherwise = "4096",
     .meaning = "MB that all neighbours may take where k is 0"},
    {.name = "bm25_k1",
     .type = OPTION_NUMBER,
     .offset = offsetof(KnnOptions, bm25_k1),
     .maximum = 1e6,
     .otherwise = "1.2",
     .meaning = "of \"weighting\": \"bm25\""},
    {.name = "bm25_b",
     .type = OPTION_NUMBER,
     .offset = offsetof(KnnOptions, bm25_b),
     .maximum = 1,
     .otherwise = "0.75",
     .meaning = "of \"weighting\": \"bm25\""},
    {.name = "user_regularization",
     .type = OPTION_NUMBER,
     .offset = offsetof(KnnOptions, user_regularization),
     .maximum = 1e9,
     .otherwise = "15",
     .meaning = "damping of users' biases, with \"center\": \"bias\""},
    {.name = "item_regularization",
     .type = OPTION_NUMBER,
     .offset = offsetof(KnnOptions, item_regularization),
     .maximum = 1e9,
     .otherwise = "10",
     .meaning = "damping of items' biases, with \"center\": \"bias\""},
    {.name = "range",
     .type = OPTION_CHOICE,
     .offset = offsetof(KnnOptions, range),
     .choices = RANGES,
     .otherwise = "\"clip\"",
     .meaning = "predictions are clipped to the range of the ratings, or not"},
};

static int knn_check(const Training *training, Error *error) {
  const KnnOptions *options = (const KnnOptions *)training->options;
  if (options->weighting && options->similarity != SIMILARITY_COSINE)
    return error_set(error, SQLITE_ERROR, "knn_train: \"weighting\" goes with the similarity \"cosine\" only");
  const OptionUse use = {"bm25_k1|bm25_b", options->weighting == WEIGHTING_BM25, "with \"weighting\": \"bm25\""};
  return training_check_uses(training, &use, 1, error);
}

/* How what predictions start from is fitted. */
static BaselineMethod base_of(const KnnOptions *options) {
  if (options->center == CENTERING_BIAS) return BASELINE_BIAS;
  if (options->center == CENTERING_NONE) return BASELINE_GLOBAL_MEAN;
  return options->by ? BASELINE_USER_MEAN : BASELINE_ITEM_MEAN;
}

static int knn_start(Training *training, Error *error) {
  KnnOptions *options = (KnnOptions *)training->options;
  const Interactions *data = &training->data;
  TrainedModel *trained = &training->trained;
  if (!options->common.history)
    return error_set(error, SQLITE_ERROR,
                     "knn_train: neighbours can't answer without what users did: leave \"history\": false out");
  if (!data->explicit_ratings && options->center > CENTERING_NONE)
    return error_set(error, SQLITE_ERROR,
                     "knn_train: the source has no ratings to be centred: leave \"center\" out, or name the column of "
                     "ratings with the option \"rating\"");
  const OptionUse uses[] = {
      {"neighbors|range", data->explicit_ratings, "where there are ratings to be predicted"},
      {"user_regularization|item_regularization",
       data->explicit_ratings && (options->center < 0 || options->center == CENTERING_BIAS),
       "with \"center\": \"bias\", of ratings"},
  };
  int code = training_check_uses(training, uses, sizeof uses / sizeof *uses, error);
  if (code != SQLITE_OK) return code;
  if (options->center < 0) options->center = data->explicit_ratings ? CENTERING_BIAS : CENTERING_NONE;
  trained->algorithm = options->by ? "user" : "item";
  trained->shape = (ModelShape){
      .kind = options->by ? &kind_user_neighbors : &kind_item_neighbors,
      .biases = {data->explicit_ratings, 0},
      .score_head = HEAD_RANKING,
      .prediction_head = data->explicit_ratings ? HEAD_RATING : -1,
      .range = options->range ? RANGE_NONE : RANGE_CLIP,
      .minimum = data->minimum,
      .maximum = data->maximum,
      .average = data->mean,
      .rated = data->explicit_ratings,
      .fold = {data->explicit_ratings ? baseline_fold_in(base_of(options), options->user_regularization) : (FoldIn){0}},
      .links = options->by ? LINK_USER_NEIGHBORS : LINK_ITEM_NEIGHBORS,
      .neighbors = {.size = (int)training->size,
                    .centering = options->center,
                    .raters = options->neighbors,
                    .similarity = options->similarity,
                    .weighting = options->weighting,
                    .min_support = options->min_support,
                    .sample = options->max_interactions,
                    .seed = (int64_t)options->common.seed,
                    .shrinkage = options->shrinkage,
                    .threshold = options->threshold,
                    .bm25_k1 = options->bm25_k1,
                    .bm25_b = options->bm25_b},
  };
  return SQLITE_OK;
}

/* What predictions start from, as biases. */
static int fit_bases(Training *training, const KnnOptions *options, const Cancel *cancel, Error *error) {
  TrainedModel *trained = &training->trained;
  Factors *bases = &trained->heads[HEAD_RATING];
  const BaselineOptions fit = {.method = base_of(options),
                               .user_regularization = options->user_regularization,
                               .item_regularization = options->item_regularization,
                               .epochs = 10,
                               .threads = training->threads};
  if (!training->data.explicit_ratings) return SQLITE_OK;
  int code = baseline_fit(&training->data.by_user, &training->by_item, &fit, bases, NULL, cancel, error);
  trained->shape.mean[HEAD_RATING] = bases->mean;
  return code;
}

/* All neighbours, and not so many of each row: where all that may be kept are kept, whether they fit is known before.
 */
static int limit_all(const Training *training, NeighborOptions *find, Error *error) {
  enum { MEGABYTE = 1 << 20, BYTES = 20 }; /* of a neighbour, while they are found and put together */
  const KnnOptions *options = (const KnnOptions *)training->options;
  const SparseMatrix *by_user = &training->data.by_user, *by_item = &training->by_item;
  if (training->size > 0) return SQLITE_OK;
  size_t bound = neighbors_bound(options->by ? by_user : by_item, options->by ? by_item : by_user);
  find->most = (size_t)options->max_memory * MEGABYTE / BYTES;
  if (bound <= find->most || options->threshold > 0) return SQLITE_OK;
  return error_set(
      error, SQLITE_ERROR,
      "all neighbours of %lld %s may take %lld MB of memory, more than \"max_memory\" allows (%d MB): raise "
      "it, give a number of neighbours above 0, or a \"threshold\"",
      (int64_t)(options->by ? by_user : by_item)->rows, options->by ? "users" : "items",
      (int64_t)(bound / MEGABYTE * BYTES + bound % MEGABYTE * BYTES / MEGABYTE + 1), options->max_memory);
}

static int knn_step(Training *training, FitRow *row, int *done, Error *error) {
  const KnnOptions *options = (const KnnOptions *)training->options;
  TrainedModel *trained = &training->trained;
  const Cancel *cancel = &training->interrupt.cancel;
  const SparseMatrix *by_user = &training->data.by_user, *by_item = &training->by_item;
  NeighborSearch *search = NULL;
  NeighborOptions find = neighbor_search_options(&trained->shape, training->threads);
  *done = 1;
  row->head = HEAD_RANKING;
  int code = limit_all(training, &find, error);
  if (code == SQLITE_OK) code = fit_bases(training, options, cancel, error);
  if (code == SQLITE_OK)
    code = neighbors_create(&search, options->by ? by_user : by_item, options->by ? by_item : by_user, &find, cancel,
                            error);
  if (code == SQLITE_OK) code = neighbors_all(search, &trained->neighbors, cancel, error);
  neighbors_destroy(search);
  if (code != SQLITE_OK) return error_from_code(error, code);
  const NeighborLists *lists = &trained->neighbors;
  const Links links = {
      .items = by_item->rows, .start = lists->start, .index = lists->neighbor, .weight = lists->similarity};
  if (!options->by) code = links_test(training, &links, 0, &row->test, error);
  return code;
}

static const Algorithm by_items = {.name = "item",
                                   .learns_from = "ratings or likes",
                                   .kind = &kind_item_neighbors,
                                   .meaning = "by the items that are nearest to an item"};
static const Algorithm by_users = {.name = "user",
                                   .learns_from = "ratings or likes",
                                   .kind = &kind_user_neighbors,
                                   .meaning = "by the users who are nearest to a user"};
static const Algorithm *const knn_algorithms[] = {&by_items, &by_users, NULL};

const Trainer knn_trainer = {
    TRAINER_CALL("knn", " [, k]", "_k HIDDEN, "),
    .reads_ratings = 1,
    .size = "number of neighbours",
    .size_minimum = 0,
    .size_maximum = 1000000,
    .size_default = 50, /* ratings would have more, rankings by items fewer: tests/bench/sizes.py */
    .size_names = {"k"},
    .size_meaning = "how many neighbours each item or user keeps; 0: all",
    .algorithms = knn_algorithms,
    .options = knn_options,
    .option_count = sizeof knn_options / sizeof *knn_options,
    .options_size = sizeof(KnnOptions),
    .check = knn_check,
    .start = knn_start,
    .step = knn_step,
};
