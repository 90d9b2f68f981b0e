/* "sgd", "adam" and "gradient": descents along one loss, the rating head's.
 *
 * Their defaults are constants chosen on validation splits of training parts (MovieLens 100K, 1M and small, Amazon
 * musical instruments), times powers of u, a quarter of the ratings' range: λ grows with u, factors with √u. With sgd's
 * adaptive rates that makes the same model of ratings on another scale. The others give biases the same rate as
 * factors, as the books do, and so depend on the scale a little. */
#include <math.h>

#include "mf_learners.h"

/* Where the factors of adam and gradient begin, and their penalty. */
static void plan_common(const Training *training, const MfOptions *options, double regularization, double init_scale,
                        MfPlan *plan, DescentStart *start, DescentPenalty *penalty) {
  double unit = mf_rating_unit(&training->data);
  *start = (DescentStart){
      .rank = (int)training->size,
      .biases = options->biases,
      .uniform = options->init == 1,
      .mean = options->biases ? training->data.mean : 0,
      .init_scale = given_or(options->init_scale, init_scale * sqrt(unit)),
      .seed = options->common.seed,
      .threads = training->threads,
  };
  penalty->factors = given_or(options->regularization[HEAD_RATING], regularization * unit);
  penalty->biases = given_or(options->bias_regularization, penalty->factors / unit);
  plan->mean = start->mean;
  plan->biases = start->biases;
  plan->init_scale = start->init_scale;
  /* The penalty comes with every rating: of a row of n it is n λ. Nothing can be solved for without one. */
  plan->fold = (FoldIn){.method = FOLD_RATING,
                        .regularization = fmax(penalty->factors, 1e-6),
                        .bias_regularization = fmax(penalty->biases, 1e-6),
                        .nu = 1};
}

static void describe_common(const DescentStart *start, const DescentPenalty *penalty, double learning_rate,
                            double decay, sqlite3_str *json) {
  sqlite3_str_appendf(json, "\"regularization\":%!.15g,\"bias_regularization\":%!.15g,\"learning_rate\":%!.15g",
                      penalty->factors, penalty->biases, learning_rate);
  sqlite3_str_appendf(json, ",\"decay\":%!.15g,\"init\":\"%s\",\"biases\":%s", decay,
                      start->uniform ? "uniform" : "normal", start->biases ? "true" : "false");
}

#define SGD_RATE 0.095 /* adaptive; times n̄ / (n̄ + 8): where rows are short, large steps learn them by heart */
#define SHORT_ROW 8

/* ---- sgd --------------------------------------------------------------------------------------------------------- */

void mf_plan_sgd(const Training *training, const MfOptions *options, MfPlan *plan) {
  SgdOptions *sgd = &plan->method.sgd;
  double unit = mf_rating_unit(&training->data);
  int adaptive = options->schedule != 1;
  double row = (double)training->data.by_user.start[training->data.by_user.rows] /
               sqrt(fmax((double)training->data.by_user.rows * (double)training->data.by_user.columns, 1));
  plan_common(training, options, adaptive ? 0.033 : 0.02, adaptive ? 0.02 : 1, plan, &sgd->start, &sgd->penalty);
  sgd->adaptive = adaptive;
  sgd->unit = unit;
  sgd->learning_rate = given_or(options->learning_rate, adaptive ? SGD_RATE * row / (row + SHORT_ROW) : 0.005 / unit);
  sgd->decay = given_or(options->decay, adaptive ? 0.9 : 1);
  mf_brake(plan, sgd->learning_rate);
}

int mf_create_sgd(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  return sgd_create(factorizer, &training->data.by_user, &plan->method.sgd, &training->interrupt.cancel, error);
}

void mf_describe_sgd(const MfPlan *plan, sqlite3_str *json) {
  const SgdOptions *sgd = &plan->method.sgd;
  describe_common(&sgd->start, &sgd->penalty, sgd->learning_rate, sgd->decay, json);
  sqlite3_str_appendf(json, ",\"schedule\":\"%s\"", sgd->adaptive ? "adaptive" : "constant");
}

/* ---- adam -------------------------------------------------------------------------------------------------------- */

void mf_plan_adam(const Training *training, const MfOptions *options, MfPlan *plan) {
  AdamOptions *adam = &plan->method.adam;
  plan_common(training, options, 0.07, 0.1, plan, &adam->start, &adam->penalty);
  adam->learning_rate = given_or(options->learning_rate, 0.001 * sqrt(mf_rating_unit(&training->data)));
  adam->decay = given_or(options->decay, 1);
  adam->batch_size = options->batch_size < 0 ? 512 : options->batch_size;
  mf_brake(plan, adam->learning_rate);
}

int mf_create_adam(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  return adam_create(factorizer, &training->data.by_user, &plan->method.adam, &training->interrupt.cancel, error);
}

void mf_describe_adam(const MfPlan *plan, sqlite3_str *json) {
  const AdamOptions *adam = &plan->method.adam;
  describe_common(&adam->start, &adam->penalty, adam->learning_rate, adam->decay, json);
  sqlite3_str_appendf(json, ",\"batch_size\":%d", adam->batch_size);
}

/* ---- gradient ---------------------------------------------------------------------------------------------------- */

void mf_plan_gradient(const Training *training, const MfOptions *options, MfPlan *plan) {
  GradientOptions *gradient = &plan->method.gradient;
  double unit = mf_rating_unit(&training->data);
  plan_common(training, options, 0.05, 0.1, plan, &gradient->start, &gradient->penalty);
  gradient->learning_rate =
      given_or(options->learning_rate, gradient_default_rate(&training->data.by_user, &training->by_item, unit));
  gradient->momentum = given_or(options->momentum, 0.9);
  gradient->decay = given_or(options->decay, 1);
  mf_brake(plan, gradient->learning_rate);
}

int mf_create_gradient(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  return gradient_create(factorizer, &training->data.by_user, &training->by_item, &plan->method.gradient,
                         &training->interrupt.cancel, error);
}

void mf_describe_gradient(const MfPlan *plan, sqlite3_str *json) {
  const GradientOptions *gradient = &plan->method.gradient;
  describe_common(&gradient->start, &gradient->penalty, gradient->learning_rate, gradient->decay, json);
  sqlite3_str_appendf(json, ",\"momentum\":%!.15g", gradient->momentum);
}
