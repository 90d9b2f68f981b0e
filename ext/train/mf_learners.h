/* The algorithms of mf_train, one a file: what each needs and fits, which options it reads, and how options and data
 * become its plan. Another is a file mf_X.c with its row, and its name in MF_LEARNERS. */
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
  Algorithm algorithm; /* its row: name, options with their defaults, what it makes */
  MfFeedback feedback;
  int fits[HEADS]; /* which heads */
  int either;      /* one of them: the rating head where there are ratings, else the ranking head */
  int predicts;    /* what it predicts are ratings */
  double least_regularization;
  int user_rows; /* reads training->data.by_user only, so that training->by_item need not be made */
  void (*plan)(const Training *training, const MfOptions *options, MfPlan *plan); /* plan->head is set */
  int (*create)(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error);
  /* Appends the head's resolved options, as members of a JSON object, the first without a comma before it. */
  void (*describe)(const MfPlan *plan, sqlite3_str *json);
  /* … and those that all heads share, each with a comma before it; NULL: there are none. */
  void (*describe_all)(const MfOptions *options, sqlite3_str *json);
} MfLearner;

/* Every algorithm, in the order in which they are named: mf_als is in mf_als.c, and so on. */
#define MF_LEARNERS(EACH) \
  EACH(als) EACH(ials) EACH(sgd) EACH(adam) EACH(gradient) EACH(svdpp) EACH(nmf) EACH(svd) EACH(bpr) EACH(logistic)

#define MF_LEARNER_DECLARED(called) extern const MfLearner mf_##called;
MF_LEARNERS(MF_LEARNER_DECLARED)
#undef MF_LEARNER_DECLARED

/* "als|ials|…", the choices of the option "algorithm". */
#define MF_LEARNER_CHOICE(called) "|" #called
#define MF_ALGORITHMS (&(MF_LEARNERS(MF_LEARNER_CHOICE))[1])

const MfLearner *mf_learner(int algorithm);    /* of the option `algorithm` */
extern const Algorithm *const mf_algorithms[]; /* their rows, NULL at the end */

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

#endif
