/* "sgd": stochastic gradient descent with biases (Funk 2006; Koren, Bell & Volinsky 2009) and adaptive rates (Chin,
 * Zhuang, Juan & Lin 2015). See learn/sgd.c. */
#include "mf_descent.h"

#include <math.h>

#define SGD_RATE 0.095 /* adaptive; times n̄ / (n̄ + 8): where rows are short, large steps learn them by heart */
#define SHORT_ROW 8

static const Option sgd_options[] = {
    MF_EPOCHS("15"),
    MF_REGULARIZATION(MF_BY("0.033 u; constant: 0.02 u")),
    MF_BIAS_REGULARIZATION(MF_BY("regularization / u")),
    MF_BIASES,
    MF_LEARNING_RATE(MF_BY("0.095 n̄ / (n̄ + 8); constant: 0.005 / u")),
    {.name = "schedule",
     .type = OPTION_CHOICE,
     MF_AT(schedule),
     .choices = "adaptive|constant",
     MF_IS("\"adaptive\""),
     .meaning = "each user and item has a rate of its own that falls as it learns, or all have one"},
    MF_DECAY(MF_BY("0.9; constant: 1")),
    MF_INIT,
    MF_INIT_SCALE(MF_BY("0.02 √u; constant: √u")),
    MF_RANGE,
    COLD_START_OPTION,
};

static void plan_sgd(const Training *training, const MfOptions *options, MfPlan *plan) {
  SgdOptions *sgd = &plan->method.sgd;
  double unit = mf_rating_unit(&training->data);
  int adaptive = options->schedule != 1;
  double row = (double)training->data.by_user.start[training->data.by_user.rows] /
               sqrt(fmax((double)training->data.by_user.rows * (double)training->data.by_user.columns, 1));
  mf_plan_descent(training, options, adaptive ? 0.033 : 0.02, adaptive ? 0.02 : 1, plan, &sgd->start, &sgd->penalty);
  sgd->adaptive = adaptive;
  sgd->unit = unit;
  sgd->learning_rate = given_or(options->learning_rate, adaptive ? SGD_RATE * row / (row + SHORT_ROW) : 0.005 / unit);
  sgd->decay = given_or(options->decay, adaptive ? 0.9 : 1);
  mf_brake(plan, sgd->learning_rate);
}

static int create_sgd(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  return sgd_create(factorizer, &training->data.by_user, &plan->method.sgd, &training->interrupt.cancel, error);
}

static void describe_sgd(const MfPlan *plan, sqlite3_str *json) {
  const SgdOptions *sgd = &plan->method.sgd;
  mf_describe_descent(&sgd->start, &sgd->penalty, sgd->learning_rate, sgd->decay, json);
  sqlite3_str_appendf(json, ",\"schedule\":\"%s\"", sgd->adaptive ? "adaptive" : "constant");
}

const MfLearner mf_sgd = {
    .algorithm = {.name = "sgd",
                  .learns_from = "ratings",
                  .kind = &kind_factors,
                  .meaning = "stochastic gradient descent with biases and adaptive rates",
                  MF_OPTION_TABLE(sgd_options)},
    MF_PREDICTS,
    .user_rows = 1,
    .plan = plan_sgd,
    .create = create_sgd,
    .describe = describe_sgd,
};
