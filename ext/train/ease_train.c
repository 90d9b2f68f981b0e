/* The trainer ease: weights between all items, in closed form (Steck, WWW 2019). See learn/ease.c. */
#include "../base/memory.h"
#include "../learn/ease.h"
#include "link_holdout.h"

#define VALUES "binary|ratings"
#define MOST_BYTES INT64_C(2147483391) /* of sqlite3_malloc64 */

typedef struct EaseTraining {
  TrainOptions common;
  int values; /* 1: the ratings are X, else 1 for each */
  int max_memory;
  double max_seconds; /* 0: as long as it takes */
} EaseTraining;

static const Option ease_options[] = {
    {.name = "values",
     .type = OPTION_CHOICE,
     .offset = offsetof(EaseTraining, values),
     .choices = VALUES,
     .otherwise = "\"binary\"",
     .meaning = "what an entry of a history weighs: 1, or its rating"},
    {.name = "max_memory",
     .type = OPTION_INTEGER,
     .offset = offsetof(EaseTraining, max_memory),
     .minimum = 1,
     .maximum = 1e9,
     .otherwise = "4096",
     .meaning = "MB that the training may take: more is an error before it begins"},
    {.name = "max_seconds",
     .type = OPTION_NUMBER,
     .offset = offsetof(EaseTraining, max_seconds),
     .minimum = 0,
     .maximum = 1e9,
     .otherwise = "0",
     .meaning = "how long it may take: more is an error before it begins; 0: as long as it takes"},
};

static ValuesRead values_read(const TrainOptions *common) {
  return ((const EaseTraining *)common)->values ? VALUES_RATINGS : VALUES_LIKES;
}

/* "42 s", "7 minutes": as exact as it can be known. */
static const char *format_seconds(double seconds, char *text, int size) {
  if (seconds < 100)
    sqlite3_snprintf(size, text, "%.*f s", seconds < 10 ? 1 : 0, seconds);
  else if (seconds < 6000)
    sqlite3_snprintf(size, text, "%.0f minutes", seconds / 60);
  else
    sqlite3_snprintf(size, text, "%.1f hours", seconds / 3600);
  return text;
}

/* What can be known before anything is computed: whether the memory is enough, and how long it will take. */
static int check_costs(Training *training, Error *error) {
  const EaseTraining *options = (const EaseTraining *)training->options;
  const SparseMatrix *by_user = &training->data.by_user;
  enum { MEGABYTE = 1 << 20 };
  uint64_t items = by_user->columns, stored = items * items * sizeof(float);
  uint64_t bytes = ease_bytes(items, by_user->start[by_user->rows], by_user->value != NULL);
  bytes = bytes > UINT64_MAX - stored ? UINT64_MAX : bytes + stored;
  int too_large = bytes / MEGABYTE >= (uint64_t)options->max_memory, in_one_piece = stored > (uint64_t)MOST_BYTES;
  char took[40];
  double seconds = 0;
  if (!too_large && !in_one_piece && options->max_seconds <= 0) return SQLITE_OK;
  int code = error_from_code(error, ease_seconds(items, training->threads, &seconds, &training->interrupt.cancel));
  if (code != SQLITE_OK) return code;
  format_seconds(seconds, took, sizeof took);
  if (too_large)
    return error_set(error, SQLITE_ERROR,
                     "ease_train: weights between %lld items take %lld MB of memory to compute, more than "
                     "\"max_memory\" allows (%d MB), and about %s: raise it, train on fewer items, or use knn_train",
                     (int64_t)items, (int64_t)(bytes / MEGABYTE) + 1, options->max_memory, took);
  if (in_one_piece)
    return error_set(
        error, SQLITE_ERROR,
        "ease_train: weights between %lld items would be %lld MB in one piece, and SQLite allocates no more "
        "than %lld MB at once: train on fewer items, or use knn_train",
        (int64_t)items, (int64_t)(stored / MEGABYTE) + 1, MOST_BYTES / MEGABYTE);
  if (seconds <= options->max_seconds) return SQLITE_OK;
  return error_set(error, SQLITE_ERROR,
                   "ease_train: weights between %lld items take about %s and %lld MB of memory to compute, longer than "
                   "\"max_seconds\" allows (%!.3g s): raise it, train on fewer items, or use knn_train",
                   (int64_t)items, took, (int64_t)(bytes / MEGABYTE) + 1, options->max_seconds);
}

static int ease_start(Training *training, Error *error) {
  const EaseTraining *options = (const EaseTraining *)training->options;
  TrainedModel *trained = &training->trained;
  if (!options->common.history)
    return error_set(error, SQLITE_ERROR,
                     "ease_train: the model can't answer without what users did: leave \"history\": false out");
  int code = check_costs(training, error);
  if (code != SQLITE_OK) return code;
  trained->algorithm = "ease";
  trained->shape = item_links_shape(&training->data, &kind_item_weights, LINK_ITEM_WEIGHTS, options->values);
  return SQLITE_OK;
}

/* The weights, row by row out of the inverse. */
static int take_weights(Training *training, const Ease *ease, Error *error) {
  enum { ROWS = 64 };
  const Cancel *cancel = &training->interrupt.cancel;
  size_t items = ease->items;
  float *weights = training->trained.weights = memory_alloc(items, items * sizeof *weights);
  int code = weights ? SQLITE_OK : error_no_memory(error);
  for (size_t first = 0; first < items && code == SQLITE_OK; first += ROWS) {
    size_t count = items - first < ROWS ? items - first : ROWS;
    ease_rows(ease, first, count, weights + first * items);
    code = error_from_code(error, cancel_poll(cancel));
  }
  return code;
}

static int ease_step(Training *training, FitRow *row, int *done, Error *error) {
  const EaseTraining *options = (const EaseTraining *)training->options;
  const Cancel *cancel = &training->interrupt.cancel;
  const SparseMatrix *likes = &training->data.by_user;
  Ease ease = {0};
  const EaseOptions fit = {
      .lambda = training->size, .threads = training->threads, .share = &training->interrupt.progress.share};
  *done = 1;
  row->head = HEAD_RANKING;
  int code = options->values ? SQLITE_OK : training_likes(training, &likes, error);
  SparseMatrix x = *likes;
  if (!options->values) x.value = NULL;
  if (code == SQLITE_OK) code = ease_fit(&ease, &x, &fit, cancel, error);
  if (code == SQLITE_OK) code = take_weights(training, &ease, error);
  const Links links = {.items = ease.items, .dense = training->trained.weights, .linked = ease.items};
  ease_free(&ease);
  if (code == SQLITE_OK) code = links_test(training, &links, options->values, &row->test, error);
  return code;
}

static const Algorithm ease_algorithm = {.name = "ease",
                                         .learns_from = "ratings or likes",
                                         .kind = &kind_item_weights,
                                         .meaning = "the best linear weights between items, in closed form"};
static const Algorithm *const ease_algorithms[] = {&ease_algorithm, NULL};

const Trainer ease_trainer = {
    TRAINER_CALL("ease", " [, lambda]", "_lambda HIDDEN, "),
    .reads_ratings = 1,
    .values = values_read,
    .size = "regularization lambda",
    .size_minimum = 1e-6,
    .size_maximum = 1e12,
    .size_default = 500, /* as on MovieLens 20M in the paper; tests/bench/sizes.py shows others */
    .size_is_real = 1,
    .size_names = {"lambda"},
    .size_meaning = "λ, the weight of the weights' squares",
    .algorithms = ease_algorithms,
    .options = ease_options,
    .option_count = sizeof ease_options / sizeof *ease_options,
    .options_size = sizeof(EaseTraining),
    .start = ease_start,
    .step = ease_step,
};
