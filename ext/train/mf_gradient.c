/* "gradient": gradient descent on all ratings at once, with momentum. See learn/gradient.c. */
#include "mf_descent.h"

static const Option gradient_options[] = {
    MF_EPOCHS("60"),
    MF_REGULARIZATION(MF_BY("0.05 u")),
    MF_BIAS_REGULARIZATION(MF_BY("regularization / u")),
    MF_BIASES,
    MF_LEARNING_RATE(MF_BY("1 / (2 · the longest row · max(u, 1))")),
    MF_DECAY(MF_IS("1")),
    {.name = "momentum",
     .type = OPTION_NUMBER,
     MF_AT(momentum),
     .maximum = 0.999,
     MF_IS("0.9"),
     .meaning = "the share of the last step that the next one keeps"},
    MF_INIT,
    MF_INIT_SCALE(MF_BY("0.1 √u")),
    MF_RANGE,
    COLD_START_OPTION,
};

static void plan_gradient(const Training *training, const MfOptions *options, MfPlan *plan) {
  GradientOptions *gradient = &plan->method.gradient;
  double unit = mf_rating_unit(&training->data);
  mf_plan_descent(training, options, 0.05, 0.1, plan, &gradient->start, &gradient->penalty);
  gradient->learning_rate =
      given_or(options->learning_rate, gradient_default_rate(&training->data.by_user, &training->by_item, unit));
  gradient->momentum = options->momentum;
  gradient->decay = options->decay;
  mf_brake(plan, gradient->learning_rate);
}

static int create_gradient(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  return gradient_create(factorizer, &training->data.by_user, &training->by_item, &plan->method.gradient,
                         &training->interrupt.cancel, error);
}

static void describe_gradient(const MfPlan *plan, sqlite3_str *json) {
  const GradientOptions *gradient = &plan->method.gradient;
  mf_describe_descent(&gradient->start, &gradient->penalty, gradient->learning_rate, gradient->decay, json);
  sqlite3_str_appendf(json, ",\"momentum\":%!.15g", gradient->momentum);
}

const MfLearner mf_gradient = {
    .algorithm = {.name = "gradient",
                  .learns_from = "ratings",
                  .kind = &kind_factors,
                  .meaning = "the loss of sgd by gradient descent on all ratings at once",
                  MF_OPTION_TABLE(gradient_options)},
    MF_PREDICTS,
    .plan = plan_gradient,
    .create = create_gradient,
    .describe = describe_gradient,
};
