/* The trainer kmeans: see kmeans_train.h. How the clusters are found is at the top of learn/kmeans.c.
 *
 * From ratings a cluster has a mean for each item (or each user, where items are in clusters):
 *
 *     score(u, i) = mean of the ratings of item i by the users of u's cluster,
 *
 * which is one factor for each cluster: u's vector is 1 in their own cluster and 0 in the others. Where fewer than
 * `min_support` users of the cluster have rated the item, the score is the mean of all ratings of the item, with
 * `min_support` more at the mean of all ratings, so that one enthusiast does not put an item on top. Without ratings
 * the score is the share of the cluster's users who have the item. */
#include "kmeans_train.h"

#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "ranking_holdout.h"

#define SIDES "user|item"
#define CENTERS "none|mean"

static const Option kmeans_options[] = {
    COLD_START_OPTION,
    {.name = "by",
     .type = OPTION_CHOICE,
     .offset = offsetof(KmeansTraining, by),
     .choices = SIDES,
     .otherwise = "\"user\"",
     .meaning = "whether users or items are grouped, by their ratings"},
    {.name = "factors",
     .type = OPTION_TEXT,
     .offset = offsetof(KmeansTraining, factors),
     .meaning = "the model whose factors are put into clusters, in place of the rows of ratings"},
    {.name = "id",
     .type = OPTION_COLUMN,
     .offset = offsetof(KmeansTraining, id),
     .meaning = "of any table of numbers: its column of ids; null: rows are numbered"},
    {.name = "columns",
     .type = OPTION_TEXTS,
     .offset = offsetof(KmeansTraining, columns),
     .meaning = "of any table of numbers: its columns of numbers"},
    {.name = "center",
     .type = OPTION_CHOICE,
     .offset = offsetof(KmeansTraining, center),
     .choices = CENTERS,
     .otherwise = "\"none\"",
     .meaning = "\"mean\": ratings less the mean of their row"},
    {.name = "scale",
     .type = OPTION_BOOLEAN,
     .offset = offsetof(KmeansTraining, scale),
     .otherwise = "false",
     .meaning = "columns, or factors, divided by their standard deviations"},
    {.name = "starts",
     .type = OPTION_INTEGER,
     .offset = offsetof(KmeansTraining, starts),
     .minimum = 1,
     .maximum = 10000,
     .otherwise = "3",
     .meaning = "how many starts; the best result is kept"},
    {.name = "iterations",
     .type = OPTION_INTEGER,
     .offset = offsetof(KmeansTraining, iterations),
     .minimum = 1,
     .maximum = 100000,
     .otherwise = "100",
     .meaning = "at most, of each start"},
    {.name = "tolerance",
     .type = OPTION_NUMBER,
     .offset = offsetof(KmeansTraining, tolerance),
     .maximum = 1,
     .otherwise = "0.0001",
     .meaning = "a start ends when its inertia falls by less than this share"},
    {.name = "batch_size",
     .type = OPTION_INTEGER,
     .offset = offsetof(KmeansTraining, batch_size),
     .maximum = 1e9,
     .otherwise = "0",
     .meaning = "mini-batches of so many rows; 0: all rows each time"},
    {.name = "min_support",
     .type = OPTION_INTEGER,
     .offset = offsetof(KmeansTraining, min_support),
     .minimum = 1,
     .maximum = 1e9,
     .otherwise = "3",
     .meaning = "a cluster's mean of an item counts from so many ratings; else the item's own, damped"},
};

static const Algorithm lloyd = {.name = "lloyd",
                                .learns_from = "ratings or likes",
                                .kind = &kind_clusters,
                                .meaning = "Lloyd's iterations, from k-means++"};
static const Algorithm minibatch = {.name = "minibatch",
                                    .learns_from = "ratings or likes",
                                    .kind = &kind_clusters,
                                    .meaning = "k-means by mini-batches, with \"batch_size\""};
static const Algorithm *const kmeans_algorithms[] = {&lloyd, &minibatch, NULL};

static void free_options(TrainOptions *common) {
  KmeansTraining *options = (KmeansTraining *)common;
  sqlite3_free(options->factors);
  sqlite3_free(options->id.name);
  option_texts_free(&options->columns);
}

/* What is only of use to a table and what only to ratings. */
static int kmeans_check(const Training *training, Error *error) {
  const KmeansTraining *options = (const KmeansTraining *)training->options;
  const char *function = training->trainer->function;
  if (kmeans_is_table(options) && training->given)
    return error_set(error, SQLITE_ERROR, "%s: a table of numbers has no ratings to be judged by", function);
  if (kmeans_is_table(options) && (options->factors || options->by || options->center || options->common.test > 0))
    return error_set(error, SQLITE_ERROR,
                     "%s: \"id\" and \"columns\" are for tables of numbers: \"factors\", \"by\", \"center\" and "
                     "\"test\" are for ratings",
                     function);
  if (options->scale && !options->factors && !kmeans_is_table(options))
    return error_set(error, SQLITE_ERROR,
                     "%s: \"scale\" is for factors and tables of numbers: rows of ratings are on one scale (there is "
                     "\"center\" for them)",
                     function);
  if (options->factors && options->center)
    return error_set(error, SQLITE_ERROR, "%s: \"center\" is for rows of ratings, not for \"factors\"", function);
  int table = kmeans_is_table(options);
  const OptionUse uses[] = {
      {"factors|by|center|test|user|item|rating|timestamp|duplicates|min_support|history", !table,
       "of ratings, not of a table of numbers"},
      {"center", !options->factors, "of rows of ratings, not with \"factors\""},
      {"scale", table || options->factors, "with \"factors\", or of a table of numbers"},
  };
  return training_check_uses(training, uses, sizeof uses / sizeof *uses, error);
}

static int kmeans_read(Training *training, Error *error) {
  if (kmeans_is_table((const KmeansTraining *)training->options)) return kmeans_read_table(training, error);
  int code = training_read_ratings(training, &training->source, ID_AFFINITY_BLOB, error);
  if (code != SQLITE_OK) return code;
  return error_from_code(error, sparse_transpose(&training->data.by_user, &training->by_item, training->threads,
                                                 &training->interrupt.cancel));
}

static void kmeans_shape(Training *training) {
  const KmeansTraining *options = (const KmeansTraining *)training->options;
  TrainedModel *trained = &training->trained;
  int k = (int)training->size, explicit_ratings = training->data.explicit_ratings;
  int head = explicit_ratings || kmeans_is_table(options) ? HEAD_RATING : HEAD_RANKING;
  trained->algorithm = kmeans_algorithms[options->batch_size > 0]->name;
  trained->shape = (ModelShape){
      .kind = &kind_clusters,
      .score_head = head,
      .prediction_head = explicit_ratings ? HEAD_RATING : -1,
      .range = RANGE_CLIP,
      .minimum = training->data.minimum,
      .maximum = training->data.maximum,
      .average = training->data.mean,
      .rated = explicit_ratings,
      .clusters = k,
      .cluster_side = kmeans_is_table(options) ? CLUSTER_ROWS
                      : options->by            ? CLUSTER_ITEMS
                                               : CLUSTER_USERS,
  };
  trained->shape.rank[head] = k;
}

static int kmeans_start(Training *training, Error *error) {
  const KmeansTraining *options = (const KmeansTraining *)training->options;
  KmeansState *state = training->state;
  const OptionUse use = {"min_support", training->data.explicit_ratings, "where there are ratings to take means of"};
  int code = training_check_uses(training, &use, 1, error);
  if (code == SQLITE_OK) kmeans_shape(training);
  if (code == SQLITE_OK) code = kmeans_points(training, error);
  if (code != SQLITE_OK) return code;
  const KmeansOptions fit = {
      .k = (size_t)training->size,
      .starts = options->starts,
      .iterations = options->iterations,
      .tolerance = options->tolerance,
      .batch_size = (size_t)options->batch_size,
      .seed = options->common.seed,
      .threads = training->threads,
  };
  code = kmeans_create(&state->kmeans, &state->rows, &fit, &training->interrupt.cancel, error);
  if (code != SQLITE_OK) error_prefix(error, training->trainer->function);
  return code;
}

/* ---- the means of clusters --------------------------------------------------------------------------------------- */

/* The mean of each cluster's ratings in a row of `rows`, whose columns are the members; see the top. */
static void cluster_means(const Training *training, const KmeansResult *result, const SparseMatrix *rows, size_t row,
                          double *sum, double *support, float *vector) {
  const KmeansTraining *options = (const KmeansTraining *)training->options;
  double all = 0, n = (double)sparse_row_length(rows, row), damping = options->min_support;
  memset(sum, 0, result->k * sizeof *sum);
  memset(support, 0, result->k * sizeof *support);
  for (size_t e = rows->start[row]; e < rows->start[row + 1]; e++) {
    uint32_t cluster = result->cluster[rows->index[e]];
    double value = (double)sparse_value(rows, e);
    sum[cluster] += value;
    support[cluster]++;
    all += value;
  }
  double mean = (all + damping * training->data.mean) / (n + damping);
  for (size_t c = 0; c < result->k; c++) {
    if (!training->data.explicit_ratings)
      vector[c] = result->count[c] ? (float)(support[c] / (double)result->count[c]) : 0;
    else
      vector[c] = (float)(support[c] >= damping ? sum[c] / support[c] : mean);
  }
}

static int fill_factors(Training *training, const KmeansResult *result, Error *error) {
  const KmeansTraining *options = (const KmeansTraining *)training->options;
  TrainedModel *trained = &training->trained;
  Factors *factors = &trained->heads[trained->shape.score_head];
  const SparseMatrix *rows = options->by ? &training->data.by_user : &training->by_item;
  size_t users = training->data.users.count, items = training->data.items.count;
  double *sum = memory_alloc(result->k, sizeof *sum), *support = memory_alloc(result->k, sizeof *support);
  int code = sum && support && factors_alloc(factors, users, items, (int)result->k, 0) == SQLITE_OK
                 ? SQLITE_OK
                 : error_no_memory(error);
  size_t stride = (size_t)factors->stride, others = options->by ? users : items;
  float *of_members = options->by ? factors->item : factors->user,
        *of_others = options->by ? factors->user : factors->item;
  for (size_t member = 0; member < result->rows && code == SQLITE_OK; member++)
    of_members[member * stride + result->cluster[member]] = 1;
  for (size_t row = 0; row < others && code == SQLITE_OK; row++) {
    cluster_means(training, result, rows, row, sum, support, of_others + row * stride);
    if (row % 256 == 0) code = error_from_code(error, cancel_poll(&training->interrupt.cancel));
  }
  memory_free(sum);
  memory_free(support);
  return code;
}

/* Clusters, distances, and the centroids in the units of the source. */
static int take_clusters(Training *training, KmeansResult *result, Error *error) {
  const KmeansState *state = training->state;
  TrainedModel *trained = &training->trained;
  size_t columns = result->columns;
  trained->shape.cluster_columns = (int64_t)columns;
  trained->centroid = memory_alloc(result->k, columns * sizeof *trained->centroid);
  if (!trained->centroid) return error_no_memory(error);
  for (size_t i = 0; i < result->k * columns; i++) {
    double unit = state->unit ? state->unit[i % columns] : 1, middle = state->middle ? state->middle[i % columns] : 0;
    trained->centroid[i] = (float)(result->centroid[i] * unit + middle);
    if (!isfinite(trained->centroid[i]))
      return error_set(error, SQLITE_ERROR,
                       "a column holds numbers that are too large: the mean of a cluster overflows");
  }
  trained->cluster = result->cluster;
  trained->distance = result->distance;
  result->cluster = NULL;
  result->distance = NULL;
  return SQLITE_OK;
}

static int finish(Training *training, FitRow *row, Error *error) {
  KmeansState *state = training->state;
  KmeansResult result;
  int code = error_from_code(error, kmeans_finish(state->kmeans, &result, &training->interrupt.cancel, error));
  if (code != SQLITE_OK) return code;
  int64_t clusters = 0; /* which may be fewer than k, where points are the same */
  for (size_t c = 0; c < result.k; c++) clusters += result.count[c] > 0;
  code = fill_factors(training, &result, error);
  if (code == SQLITE_OK) code = take_clusters(training, &result, error);
  if (code == SQLITE_OK)
    code = holdout_test(training, row->head, &training->trained.heads[row->head], &row->test, error);
  sqlite3_free(training->counts);
  training->counts = sqlite3_mprintf("{\"clusters\":%lld,\"inertia\":%!.15g}", clusters, result.inertia);
  if (code == SQLITE_OK && !training->counts) code = error_no_memory(error);
  kmeans_result_free(&result);
  return code;
}

static int kmeans_step(Training *training, FitRow *row, int *done, Error *error) {
  KmeansState *state = training->state;
  KmeansReport report;
  row->head = training->trained.shape.score_head;
  int code = error_from_code(error, kmeans_iterate(state->kmeans, &report, &training->interrupt.cancel, error));
  if (code != SQLITE_OK) return code;
  row->loss = report.inertia;
  *done = report.done;
  if (*done) code = finish(training, row, error);
  return code;
}

static void kmeans_end(Training *training) {
  KmeansState *state = training->state;
  kmeans_destroy(state->kmeans);
  memory_free_aligned(state->dense);
  memory_free(state->sparse.value);
  memory_free(state->middle);
  memory_free(state->unit);
  memory_free(state->table);
}

const Trainer kmeans_trainer = {
    TRAINER_CALL("kmeans", ", k", "_k HIDDEN, "),
    .reads_ratings = 1,
    .advice = "a table of numbers is read by the options \"id\" and \"columns\"",
    .size = "number of clusters",
    .size_minimum = 1,
    .size_maximum = 4096,
    .size_default = NAN, /* how many groups there are is the user's question */
    .size_names = {"k", "clusters"},
    .size_meaning = "how many clusters",
    .algorithms = kmeans_algorithms,
    .options = kmeans_options,
    .option_count = sizeof kmeans_options / sizeof *kmeans_options,
    .options_size = sizeof(KmeansTraining),
    .state_size = sizeof(KmeansState),
    .check = kmeans_check,
    .read = kmeans_read,
    .start = kmeans_start,
    .step = kmeans_step,
    .end = kmeans_end,
    .free_options = free_options,
};
