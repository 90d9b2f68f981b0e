/* What the algorithms that learn rankings from samples have in common: see mf_sampled.c. */
#ifndef RECOMMEND_TRAIN_MF_SAMPLED_H
#define RECOMMEND_TRAIN_MF_SAMPLED_H

#include "mf_learners.h"

/* The plan; `c` is what the penalty of factors follows from. */
void mf_plan_sampled(const Training *training, const MfOptions *options, double c, MfPlan *plan);

/* The members that both resolve. */
void mf_describe_sampled(const MfPlan *plan, sqlite3_str *json);

/* Rows of both tables of options. */
#define MF_SAMPLED_OPTIONS                                                                                         \
  MF_BIAS_REGULARIZATION(MF_IS("0.01")), MF_BIASES, MF_LEARNING_RATE(MF_IS("0.1")), MF_DECAY(MF_IS("1")), MF_INIT, \
      MF_INIT_SCALE(MF_IS("0.1"))
#define MF_NEGATIVES(json)                                                                                           \
  {                                                                                                                  \
    .name = "negatives", .type = OPTION_INTEGER, MF_AT(negatives), .minimum = 1, .maximum = 1000, .otherwise = json, \
    .meaning = "items drawn for each that the user has, anew each epoch, never one that the user likes"              \
  }

#endif
