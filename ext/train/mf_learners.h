/* The algorithms of mf_train: what each needs and fits, and how options and data become its plan. One row in the table
 * in mf_learners.c, one name in mf_options.h, and the functions below in mf_X.c make another. */
#ifndef RECOMMEND_TRAIN_MF_LEARNERS_H
#define RECOMMEND_TRAIN_MF_LEARNERS_H

#include "../learn/adam.h"
#include "../learn/als.h"
#include "../learn/bpr.h"
#include "../learn/factorizer.h"
#include "../learn/gradient.h"
#include "../learn/logistic.h"
#include "../learn/nmf.h"
#include "../learn/sgd.h"
#include "../learn/svd_centered.h"
#include "../learn/svdpp.h"
#include "mf_options.h"

/* How one head is to be fitted. */
typedef struct MfPlan {
  Head head;
  double mean;           /* what a prediction begins with: μ, or what a missing cell counts as */
  int biases;            /* the factors come with biases */
  double init_scale;     /* how long rows are when they begin */
  FoldIn fold;           /* how a history is folded in; cleared: it can't be */
  const char *brake;     /* what keeps the training from diverging: "raise \"regularization\"" … */
  double brake_value;    /* … and what it is; NULL: no option does */
  const float *start[2]; /* where users and items begin, or NULL; set once the plan is made */
  union {
    AlsOptions als;
    SgdOptions sgd;
    AdamOptions adam;
    GradientOptions gradient;
    SvdppOptions svdpp;
    NmfOptions nmf;
    SvdCenteredOptions svd;
    SampledOptions sampled;
  } method;
} MfPlan;

typedef enum MfFeedback {
  FEEDBACK_ANY,
  FEEDBACK_RATINGS,             /* the source must have ratings */
  FEEDBACK_NONNEGATIVE_RATINGS, /* … and none is negative */
  FEEDBACK_COUNTS               /* ratings, where there are any, are VALUES_COUNTS */
} MfFeedback;

typedef struct MfLearner {
  const char *name;
  MfFeedback feedback;
  int fits[HEADS]; /* which heads */
  int either;      /* one of them: the rating head where there are ratings, else the ranking head */
  int predicts;    /* what it predicts are ratings */
  double least_regularization;
  int epochs;    /* unless they are given */
  int user_rows; /* reads training->data.by_user only, so that training->by_item need not be made */
  void (*plan)(const Training *training, const MfOptions *options, MfPlan *plan); /* plan->head is set */
  int (*create)(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error);
  /* Appends the head's resolved options, as members of a JSON object, the first without a comma before it. */
  void (*describe)(const MfPlan *plan, sqlite3_str *json);
  /* … and those that all heads share, each with a comma before it; NULL: there are none. */
  void (*describe_all)(const MfOptions *options, sqlite3_str *json);
} MfLearner;

const MfLearner *mf_learner(int algorithm);

/* How the options' algorithm reads the values of the source. (Of none that is given they are ratings, or there are
 * none.) */
ValuesRead mf_values(const TrainOptions *options);

/* Of descents it is the learning rate. */
static inline void mf_brake(MfPlan *plan, double learning_rate) {
  plan->brake = "lower \"learning_rate\"";
  plan->brake_value = learning_rate;
}

/* A quarter of the ratings' range, by which defaults scale; 1 where there is none. */
double mf_rating_unit(const Interactions *data);

/* Decides options->algorithm and options->objective, and checks the options against them. Before the source is read
 * (data NULL) only what was given can be. */
int mf_choose(const Training *training, MfOptions *options, const Interactions *data, Error *error);

/* The learners' own functions, for the table. */
void mf_plan_als(const Training *training, const MfOptions *options, MfPlan *plan);
int mf_create_als(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error);
void mf_describe_als(const MfPlan *plan, sqlite3_str *json);
void mf_describe_all_als(const MfOptions *options, sqlite3_str *json);

void mf_plan_sgd(const Training *training, const MfOptions *options, MfPlan *plan);
int mf_create_sgd(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error);
void mf_describe_sgd(const MfPlan *plan, sqlite3_str *json);

void mf_plan_adam(const Training *training, const MfOptions *options, MfPlan *plan);
int mf_create_adam(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error);
void mf_describe_adam(const MfPlan *plan, sqlite3_str *json);

void mf_plan_gradient(const Training *training, const MfOptions *options, MfPlan *plan);
int mf_create_gradient(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error);
void mf_describe_gradient(const MfPlan *plan, sqlite3_str *json);

void mf_plan_svdpp(const Training *training, const MfOptions *options, MfPlan *plan);
int mf_create_svdpp(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error);
void mf_describe_svdpp(const MfPlan *plan, sqlite3_str *json);

void mf_plan_nmf(const Training *training, const MfOptions *options, MfPlan *plan);
int mf_create_nmf(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error);
void mf_describe_nmf(const MfPlan *plan, sqlite3_str *json);

void mf_plan_svd(const Training *training, const MfOptions *options, MfPlan *plan);
int mf_create_svd(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error);
void mf_describe_svd(const MfPlan *plan, sqlite3_str *json);

void mf_plan_bpr(const Training *training, const MfOptions *options, MfPlan *plan);
int mf_create_bpr(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error);
void mf_describe_bpr(const MfPlan *plan, sqlite3_str *json);

void mf_plan_logistic(const Training *training, const MfOptions *options, MfPlan *plan);
int mf_create_logistic(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error);
void mf_describe_logistic(const MfPlan *plan, sqlite3_str *json);

#endif
