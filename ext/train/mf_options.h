/* The options of mf_train, and the plan that they and the data make for one head. */
#ifndef RECOMMEND_TRAIN_MF_OPTIONS_H
#define RECOMMEND_TRAIN_MF_OPTIONS_H

#include "training.h"

/* In the order of the learners in mf_learners.c. */
typedef enum MfAlgorithm {
  MF_ALS,
  MF_IALS,
  MF_SGD,
  MF_ADAM,
  MF_GRADIENT,
  MF_SVDPP,
  MF_NMF,
  MF_SVD,
  MF_BPR,
  MF_LOGISTIC
} MfAlgorithm;
#define MF_ALGORITHMS "als|ials|sgd|adam|gradient|svdpp|nmf|svd|bpr|logistic"

typedef enum MfObjective { OBJECTIVE_BOTH, OBJECTIVE_RATING, OBJECTIVE_RANKING } MfObjective;
#define MF_OBJECTIVES "both|rating|ranking"
#define MF_SOLVERS "cg|cholesky"
#define MF_UNOBSERVED "missing|all"
#define MF_RANGES "none|clip|minmax" /* in the order of PredictionRange */
#define MF_INITS "normal|uniform"
#define MF_SCHEDULES "adaptive|constant"
#define MF_CENTERS "user|item|global|none"
#define MF_MISSING "zero|mean"

/* As they were given. Numbers that are NaN and integers below 0 were not: the plan has the default. */
typedef struct MfOptions {
  TrainOptions common;
  int algorithm;                           /* -1: by the data */
  int objective;                           /* -1: both, or what the algorithm can */
  double regularization[HEADS], nu[HEADS]; /* NaN: the default */
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
  int center, missing; /* -1: by the data */
  int negatives;       /* 0: the default */
} MfOptions;

enum { MF_OPTION_COUNT = 41 };
extern const Option mf_options[]; /* MF_OPTION_COUNT */

void mf_set_defaults(TrainOptions *options);
void mf_free_options(TrainOptions *options);

/* `given`, or where that is NaN `otherwise`. */
double given_or(double given, double otherwise);

#endif
