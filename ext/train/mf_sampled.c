/* "bpr" and "logistic": rankings learnt from the items that users have and a sample of those that they don't have.
 *
 * The defaults were chosen on validation splits (MovieLens 100K, 1M and latest-small, ratings of 4 and more). The more
 * entries a row has, the less each sample is penalised: with n likes of I users × J items, a row has n̄ = n / √(I J)
 * of them on average, and λ = c / n̄, but never more than MOST_REGULARIZATION. */
#include <math.h>

#include "mf_learners.h"

#define MOST_REGULARIZATION 0.03

static double regularization_of(const Interactions *data, double numerator) {
  const SparseMatrix *cells = &data->by_user;
  double entries = (double)cells->start[cells->rows];
  for (size_t e = 0; data->minimum < 0 && e < cells->start[cells->rows]; e++) entries -= sparse_value(cells, e) < 0;
  double row = entries / sqrt(fmax((double)data->by_user.rows * (double)data->by_user.columns, 1));
  return fmin(numerator / fmax(row, 1), MOST_REGULARIZATION);
}

/* The penalty of factors in `otherwise` is c. */
static void plan_sampled(const Training *training, const MfOptions *options, const SampledOptions *otherwise,
                         MfPlan *plan) {
  SampledOptions *sampled = &plan->method.sampled;
  *sampled = (SampledOptions){
      .start = {.rank = (int)training->size,
                .biases = options->biases,
                .uniform = options->init == 1,
                .init_scale = given_or(options->init_scale, otherwise->start.init_scale),
                .seed = options->common.seed,
                .threads = training->threads},
      .learning_rate = given_or(options->learning_rate, otherwise->learning_rate),
      .decay = given_or(options->decay, 1),
      .negatives = options->negatives > 0 ? options->negatives : otherwise->negatives,
      .alpha = given_or(options->alpha, otherwise->alpha),
  };
  sampled->penalty.factors =
      given_or(options->regularization[HEAD_RANKING], regularization_of(&training->data, otherwise->penalty.factors));
  sampled->penalty.biases = given_or(options->bias_regularization, otherwise->penalty.biases);
  mf_brake(plan, sampled->learning_rate);
  plan->biases = sampled->start.biases;
  plan->init_scale = sampled->start.init_scale;
}

static void describe_sampled(const MfPlan *plan, sqlite3_str *json) {
  const SampledOptions *sampled = &plan->method.sampled;
  sqlite3_str_appendf(json, "\"regularization\":%!.15g,\"bias_regularization\":%!.15g,\"learning_rate\":%!.15g",
                      sampled->penalty.factors, sampled->penalty.biases, sampled->learning_rate);
  sqlite3_str_appendf(json, ",\"decay\":%!.15g,\"negatives\":%d,\"init\":\"%s\",\"biases\":%s", sampled->decay,
                      sampled->negatives, sampled->start.uniform ? "uniform" : "normal",
                      sampled->start.biases ? "true" : "false");
}

void mf_plan_bpr(const Training *training, const MfOptions *options, MfPlan *plan) {
  static const SampledOptions otherwise = {
      .start.init_scale = 0.1, .penalty = {.factors = 0.8, .biases = 0.01}, .learning_rate = 0.1, .negatives = 3};
  plan_sampled(training, options, &otherwise, plan);
}

/* What users have is what they like. A dislike is drawn like anything else that they have not. */
int mf_create_bpr(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  const SparseMatrix *likes;
  int code = training_likes(training, &likes, error);
  return code == SQLITE_OK ? bpr_create(factorizer, likes, &plan->method.sampled, &training->interrupt.cancel, error)
                           : code;
}

void mf_describe_bpr(const MfPlan *plan, sqlite3_str *json) { describe_sampled(plan, json); }

void mf_plan_logistic(const Training *training, const MfOptions *options, MfPlan *plan) {
  static const SampledOptions otherwise = {.start.init_scale = 0.1,
                                           .penalty = {.factors = 1, .biases = 0.01},
                                           .learning_rate = 0.1,
                                           .negatives = 10,
                                           .alpha = 2};
  plan_sampled(training, options, &otherwise, plan);
}

int mf_create_logistic(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  const SparseMatrix *likes;
  int code = training_likes(training, &likes, error);
  return code == SQLITE_OK
             ? logistic_create(factorizer, likes, &plan->method.sampled, &training->interrupt.cancel, error)
             : code;
}

void mf_describe_logistic(const MfPlan *plan, sqlite3_str *json) {
  describe_sampled(plan, json);
  sqlite3_str_appendf(json, ",\"alpha\":%!.15g", plan->method.sampled.alpha);
}
