/* The options of mf_train: see mf_options.h. Each names the algorithms that read it. */
#include "mf_options.h"

#include <math.h>

#define BIT(algorithm) (1U << (algorithm))
enum {
  ALTERNATING = BIT(MF_ALS) | BIT(MF_IALS),
  DESCENT = BIT(MF_SGD) | BIT(MF_ADAM) | BIT(MF_GRADIENT) | BIT(MF_SVDPP),
  SAMPLED = BIT(MF_BPR) | BIT(MF_LOGISTIC),
  PREDICTING = BIT(MF_ALS) | DESCENT | BIT(MF_NMF) | BIT(MF_SVD),
  ITERATIVE = ALTERNATING | DESCENT | SAMPLED | BIT(MF_NMF),
};

#define HERE(member) .offset = offsetof(MfOptions, member)

const Option mf_options[] = {
    TRAIN_OPTIONS(MfOptions),
    SIZE_OPTION(MfOptions, "rank"),
    SIZE_OPTION(MfOptions, "size"),
    {.name = "algorithm", .type = OPTION_CHOICE, HERE(algorithm), .choices = MF_ALGORITHMS},
    {.name = "objective", .type = OPTION_CHOICE, HERE(objective), .choices = MF_OBJECTIVES},
    {.name = "epochs", .type = OPTION_INTEGER, HERE(epochs), .minimum = 1, .maximum = 100000},
    {.name = "tolerance", .type = OPTION_NUMBER, HERE(tolerance), .maximum = 1},
    {.name = "range", .type = OPTION_CHOICE, HERE(range), .choices = MF_RANGES, .readers = PREDICTING},
    {.name = "cold_start",
     .type = OPTION_CHOICE,
     HERE(common.cold_start),
     .choices = "null|estimate",
     .readers = PREDICTING},
    {.name = "regularization", .type = OPTION_BY_HEAD, HERE(regularization), .maximum = 1e9, .readers = ITERATIVE},
    {.name = "init_scale",
     .type = OPTION_NUMBER,
     HERE(init_scale),
     .minimum = 1e-6,
     .maximum = 1000,
     .readers = ITERATIVE},
    {.name = "biases", .type = OPTION_BOOLEAN, HERE(biases), .readers = BIT(MF_ALS) | DESCENT | SAMPLED},
    {.name = "nu", .type = OPTION_BY_HEAD, HERE(nu), .maximum = 1, .readers = ALTERNATING},
    {.name = "solver", .type = OPTION_CHOICE, HERE(solver), .choices = MF_SOLVERS, .readers = ALTERNATING},
    {.name = "nonnegative", .type = OPTION_BOOLEAN, HERE(nonnegative), .readers = ALTERNATING},
    {.name = "alpha", .type = OPTION_NUMBER, HERE(alpha), .maximum = 1e9, .readers = BIT(MF_IALS) | BIT(MF_LOGISTIC)},
    {.name = "unobserved_weight",
     .type = OPTION_NUMBER,
     HERE(unobserved_weight),
     .maximum = 1e6,
     .readers = ALTERNATING},
    {.name = "unobserved_rating",
     .type = OPTION_NUMBER,
     HERE(unobserved_rating),
     .minimum = -1e9,
     .maximum = 1e9,
     .readers = BIT(MF_ALS)},
    {.name = "unobserved", .type = OPTION_CHOICE, HERE(unobserved), .choices = MF_UNOBSERVED, .readers = ALTERNATING},
    {.name = "item_init", .type = OPTION_TEXT, HERE(item_init), .readers = ALTERNATING},
    {.name = "user_init", .type = OPTION_TEXT, HERE(user_init), .readers = ALTERNATING},
    {.name = "init", .type = OPTION_CHOICE, HERE(init), .choices = MF_INITS, .readers = DESCENT | SAMPLED},
    {.name = "learning_rate",
     .type = OPTION_NUMBER,
     HERE(learning_rate),
     .minimum = 1e-9,
     .maximum = 1000,
     .readers = DESCENT | SAMPLED},
    {.name = "bias_regularization",
     .type = OPTION_NUMBER,
     HERE(bias_regularization),
     .maximum = 1e9,
     .readers = DESCENT | SAMPLED},
    {.name = "schedule", .type = OPTION_CHOICE, HERE(schedule), .choices = MF_SCHEDULES, .readers = BIT(MF_SGD)},
    {.name = "decay", .type = OPTION_NUMBER, HERE(decay), .minimum = 0.01, .maximum = 1, .readers = DESCENT | SAMPLED},
    {.name = "batch_size",
     .type = OPTION_INTEGER,
     HERE(batch_size),
     .minimum = 1,
     .maximum = 1 << 24,
     .readers = BIT(MF_ADAM)},
    {.name = "momentum", .type = OPTION_NUMBER, HERE(momentum), .maximum = 0.999, .readers = BIT(MF_GRADIENT)},
    {.name = "negatives", .type = OPTION_INTEGER, HERE(negatives), .minimum = 1, .maximum = 1000, .readers = SAMPLED},
    {.name = "center", .type = OPTION_CHOICE, HERE(center), .choices = MF_CENTERS, .readers = BIT(MF_SVD)},
    {.name = "missing", .type = OPTION_CHOICE, HERE(missing), .choices = MF_MISSING, .readers = BIT(MF_SVD)},
};
_Static_assert(sizeof mf_options / sizeof *mf_options == MF_OPTION_COUNT, "count them in mf_options.h");

void mf_set_defaults(TrainOptions *common) {
  MfOptions *options = (MfOptions *)common;
  options->algorithm = options->objective = options->epochs = -1;
  options->init = options->schedule = options->batch_size = options->center = options->missing = -1;
  for (int head = 0; head < HEADS; head++) options->regularization[head] = options->nu[head] = NAN;
  options->biases = 1;
  options->range = RANGE_CLIP;
  options->alpha = options->unobserved_weight = options->unobserved_rating = options->init_scale = NAN;
  options->learning_rate = options->decay = options->momentum = options->bias_regularization = NAN;
}

void mf_free_options(TrainOptions *common) {
  MfOptions *options = (MfOptions *)common;
  sqlite3_free(options->item_init);
  sqlite3_free(options->user_init);
}

double given_or(double given, double otherwise) { return isnan(given) ? otherwise : given; }
