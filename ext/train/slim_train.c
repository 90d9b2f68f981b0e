/* The trainer slim: sparse weights between items (Ning & Karypis, ICDM 2011). See learn/slim.c. A model keeps for each
 * item the list of items that it has a weight on, as models of item neighbours do; users are their histories. */
#include "../learn/slim.h"
#include "link_holdout.h"

typedef struct SlimTraining {
  TrainOptions common;
  double l2, tolerance;
  int nonnegative, iterations;
  int values; /* 1: the ratings are X, else 1 for each */
  int max_memory;
} SlimTraining;

#define HERE(member) .offset = offsetof(SlimTraining, member)

static const Option slim_options[] = {
    {.name = "l2",
     .type = OPTION_NUMBER,
     HERE(l2),
     .maximum = 1e12,
     .otherwise = "150",
     .meaning = "half the weight of the weights' squares: spreads them over items that are alike"},
    {.name = "nonnegative",
     .type = OPTION_BOOLEAN,
     HERE(nonnegative),
     .otherwise = "true",
     .meaning = "weights ≥ 0: no item speaks against another"},
    {.name = "iterations",
     .type = OPTION_INTEGER,
     HERE(iterations),
     .minimum = 1,
     .maximum = 100000,
     .otherwise = "100",
     .meaning = "rounds over the weights of an item, at most"},
    {.name = "tolerance",
     .type = OPTION_NUMBER,
     HERE(tolerance),
     .maximum = 1,
     .otherwise = "0.001",
     .meaning = "an item is done when a round changes no weight by more"},
    {.name = "values",
     .type = OPTION_CHOICE,
     HERE(values),
     .choices = "binary|ratings",
     .otherwise = "\"binary\"",
     .meaning = "what an entry of a history weighs: 1, or its rating"},
    {.name = "max_memory",
     .type = OPTION_INTEGER,
     HERE(max_memory),
     .minimum = 1,
     .maximum = 1e9,
     .otherwise = "4096",
     .meaning = "MB that the training may take: more is an error before it begins"},
};

static ValuesRead slim_values(const TrainOptions *common) {
  return ((const SlimTraining *)common)->values ? VALUES_RATINGS : VALUES_LIKES;
}

static int slim_start(Training *training, Error *error) {
  const SlimTraining *options = (const SlimTraining *)training->options;
  TrainedModel *trained = &training->trained;
  if (!options->common.history)
    return error_set(error, SQLITE_ERROR,
                     "slim_train: the model can't answer without what users did: leave \"history\": false out");
  trained->algorithm = "slim";
  trained->shape = item_links_shape(&training->data, &kind_item_neighbors, LINK_ITEM_NEIGHBORS, options->values);
  return SQLITE_OK;
}

static int slim_step(Training *training, FitRow *row, int *done, Error *error) {
  enum { MEGABYTE = 1 << 20 };
  const SlimTraining *options = (const SlimTraining *)training->options;
  const SparseMatrix *likes = &training->data.by_user;
  NeighborLists *weights = &training->trained.neighbors;
  const SlimOptions fit = {
      .l1 = training->size,
      .l2 = options->l2,
      .nonnegative = options->nonnegative,
      .iterations = options->iterations,
      .tolerance = options->tolerance,
      .most = (uint64_t)options->max_memory * MEGABYTE,
      .threads = training->threads,
      .share = &training->interrupt.progress.share,
  };
  *done = 1;
  row->head = HEAD_RANKING;
  int code = options->values ? SQLITE_OK : training_likes(training, &likes, error);
  SparseMatrix x = *likes;
  if (!options->values) x.value = NULL;
  if (code == SQLITE_OK) code = slim_fit(weights, &x, &fit, &row->loss, &training->interrupt.cancel, error);
  const Links links = {
      .items = x.columns, .start = weights->start, .index = weights->neighbor, .weight = weights->similarity};
  if (code == SQLITE_OK) code = links_test(training, &links, options->values, &row->test, error);
  return code;
}

static const Algorithm slim_algorithm = {.name = "slim",
                                         .learns_from = "ratings or likes",
                                         .kind = &kind_item_neighbors,
                                         .lacks = ABLE(ABILITY_PREDICT),
                                         .meaning = "sparse linear weights between items, by coordinate descent"};
static const Algorithm *const slim_algorithms[] = {&slim_algorithm, NULL};

const Trainer slim_trainer = {
    TRAINER_CALL("slim", " [, l1]", "_l1 HIDDEN, "),
    .reads_ratings = 1,
    .values = slim_values,
    .size = "penalty l1",
    .size_minimum = 0,
    .size_maximum = 1e12,
    .size_default = 1, /* and l2 150: see ext/learn/README.md */
    .size_is_real = 1,
    .size_names = {"l1"},
    .size_meaning = "the weight of the weights' sizes, in users: the higher, the fewer weights",
    .algorithms = slim_algorithms,
    .options = slim_options,
    .option_count = sizeof slim_options / sizeof *slim_options,
    .options_size = sizeof(SlimTraining),
    .start = slim_start,
    .step = slim_step,
};
