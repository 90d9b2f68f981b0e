/* What "bpr" and "logistic" have in common: rankings learnt from what users have and a sample of what they have not.
 *
 * The defaults were chosen on validation splits (MovieLens 100K, 1M and latest-small, ratings of 4 and more). The more
 * entries a row has, the less each sample is penalised: with n likes of I users × J items, a row has n̄ = n / √(I J)
 * of them on average, and λ = c / n̄, but never more than MOST_REGULARIZATION. */
#include <math.h>

#include "mf_sampled.h"

#define MOST_REGULARIZATION 0.03

static double regularization_of(const Interactions *data, double numerator) {
  const SparseMatrix *cells = &data->by_user;
  double entries = (double)cells->start[cells->rows];
  for (size_t e = 0; data->minimum < 0 && e < cells->start[cells->rows]; e++) entries -= sparse_value(cells, e) < 0;
  double row = entries / sqrt(fmax((double)data->by_user.rows * (double)data->by_user.columns, 1));
  return fmin(numerator / fmax(row, 1), MOST_REGULARIZATION);
}

void mf_plan_sampled(const Training *training, const MfOptions *options, double c, MfPlan *plan) {
  SampledOptions *sampled = &plan->method.sampled;
  *sampled = (SampledOptions){
      .start = {.rank = (int)training->size,
                .biases = options->biases,
                .uniform = options->init == 1,
                .init_scale = options->init_scale,
                .seed = options->common.seed,
                .threads = training->threads},
      .learning_rate = options->learning_rate,
      .decay = options->decay,
      .negatives = options->negatives,
      .alpha = options->alpha,
  };
  sampled->penalty.factors = given_or(options->regularization[HEAD_RANKING], regularization_of(&training->data, c));
  sampled->penalty.biases = options->bias_regularization;
  mf_brake(plan, sampled->learning_rate);
  plan->biases = sampled->start.biases;
  plan->init_scale = sampled->start.init_scale;
}

void mf_describe_sampled(const MfPlan *plan, sqlite3_str *json) {
  const SampledOptions *sampled = &plan->method.sampled;
  sqlite3_str_appendf(json, "\"regularization\":%!.15g,\"bias_regularization\":%!.15g,\"learning_rate\":%!.15g",
                      sampled->penalty.factors, sampled->penalty.biases, sampled->learning_rate);
  sqlite3_str_appendf(json, ",\"decay\":%!.15g,\"negatives\":%d,\"init\":\"%s\",\"biases\":%s", sampled->decay,
                      sampled->negatives, sampled->start.uniform ? "uniform" : "normal",
                      sampled->start.biases ? "true" : "false");
}
