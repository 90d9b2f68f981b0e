/* The options of mf_train as they were given, and the rows of the table that several algorithms have in common: each
 * algorithm's file has its own table, of what it reads and with which defaults. */
#ifndef RECOMMEND_TRAIN_MF_OPTIONS_H
#define RECOMMEND_TRAIN_MF_OPTIONS_H

#include "training.h"

typedef enum MfObjective { OBJECTIVE_BOTH, OBJECTIVE_RATING, OBJECTIVE_RANKING } MfObjective;
#define MF_OBJECTIVES "both|rating|ranking"
#define MF_RANGES "none|clip|minmax" /* in the order of PredictionRange */

/* Numbers that are NaN, and integers that are OPTION_NOT_GIVEN, were not given. What the algorithm does not read is 0.
 */
typedef struct MfOptions {
  TrainOptions common;
  int algorithm; /* which of MF_LEARNERS; not given: by the data */
  int objective; /* not given: both, or what the algorithm can */
  double regularization[HEADS], nu[HEADS];
  int epochs;
  int solver;
  int nonnegative;
  int biases;
  double alpha, unobserved_weight, unobserved_rating;
  int unobserved;
  double init_scale;
  double tolerance;
  int range;
  char *item_init, *user_init; /* content models, or NULL */
  int init, schedule, batch_size;
  double learning_rate, decay, momentum, bias_regularization;
  int center, missing;
  int negatives;
} MfOptions;

/* `given`, or where that is NaN `otherwise`. */
double given_or(double given, double otherwise);

/* ---- rows for the algorithms' tables, each of which gives its own defaults --------------------------------------- */

#define MF_AT(member) .offset = offsetof(MfOptions, member)
/* The default: of `otherwise`, JSON, or of a rule, words. */
#define MF_IS(json) .otherwise = json
#define MF_BY(words) .rule = words

#define MF_OPTION_TABLE(table) .options = table, .option_count = sizeof table / sizeof *table

#define MF_EPOCHS(json)                                                                                          \
  {                                                                                                              \
    .name = "epochs", .type = OPTION_INTEGER, MF_AT(epochs), .minimum = 1, .maximum = 100000, .otherwise = json, \
    .meaning = "rounds over the data, at most"                                                                   \
  }
#define MF_RANGE                                                                                                  \
  {                                                                                                               \
    .name = "range", .type = OPTION_CHOICE, MF_AT(range), .choices = MF_RANGES, .otherwise = "\"clip\"",          \
    .meaning =                                                                                                    \
        "predictions are clipped to the range of the ratings, or mapped onto it from the lowest and the highest " \
        "of all; or neither"                                                                                      \
  }
#define MF_REGULARIZATION(...)                                                                            \
  {                                                                                                       \
    .name = "regularization", .type = OPTION_BY_HEAD, MF_AT(regularization), .maximum = 1e9, __VA_ARGS__, \
    .meaning = "λ, the weight of the factors' squares; by head: {\"rating\": 1, \"ranking\": 2}"         \
  }
#define MF_INIT_SCALE(...)                                                                                         \
  {                                                                                                                \
    .name = "init_scale", .type = OPTION_NUMBER, MF_AT(init_scale), .minimum = 1e-6, .maximum = 1000, __VA_ARGS__, \
    .meaning = "how large factors are when they begin: their standard deviation times √rank"                     \
  }
#define MF_BIASES                                                                 \
  {                                                                               \
    .name = "biases", .type = OPTION_BOOLEAN, MF_AT(biases), .otherwise = "true", \
    .meaning = "a mean, and biases of users and items"                            \
  }
#define MF_INIT                                                                                                 \
  {                                                                                                             \
    .name = "init", .type = OPTION_CHOICE, MF_AT(init), .choices = "normal|uniform", .otherwise = "\"normal\"", \
    .meaning = "how the first factors are distributed"                                                          \
  }
#define MF_LEARNING_RATE(...)                                                                               \
  {                                                                                                         \
    .name = "learning_rate", .type = OPTION_NUMBER, MF_AT(learning_rate), .minimum = 1e-9, .maximum = 1000, \
    __VA_ARGS__, .meaning = "how far a step goes"                                                           \
  }
#define MF_BIAS_REGULARIZATION(...)                                                                                \
  {                                                                                                                \
    .name = "bias_regularization", .type = OPTION_NUMBER, MF_AT(bias_regularization), .maximum = 1e9, __VA_ARGS__, \
    .meaning = "the weight of the biases' squares, with \"biases\""                                                \
  }
#define MF_DECAY(...)                                                                                 \
  {                                                                                                   \
    .name = "decay", .type = OPTION_NUMBER, MF_AT(decay), .minimum = 0.01, .maximum = 1, __VA_ARGS__, \
    .meaning = "the learning rate is multiplied by this after each epoch"                             \
  }

#endif
