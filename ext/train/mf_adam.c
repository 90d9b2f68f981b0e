/* "adam": the rating head's loss in mini-batches by Adam (Kingma & Ba, ICLR 2015). See learn/adam.c. */
#include "mf_descent.h"

#include <math.h>

static const Option adam_options[] = {
    MF_EPOCHS("20"),
    MF_REGULARIZATION(MF_BY("0.07 u")),
    MF_BIAS_REGULARIZATION(MF_BY("regularization / u")),
    MF_BIASES,
    MF_LEARNING_RATE(MF_BY("0.001 √u")),
    MF_DECAY(MF_IS("1")),
    {.name = "batch_size",
     .type = OPTION_INTEGER,
     MF_AT(batch_size),
     .minimum = 1,
     .maximum = 1 << 24,
     MF_IS("512"),
     .meaning = "ratings a step"},
    MF_INIT,
    MF_INIT_SCALE(MF_BY("0.1 √u")),
    MF_RANGE,
    COLD_START_OPTION,
};

static void plan_adam(const Training *training, const MfOptions *options, MfPlan *plan) {
  AdamOptions *adam = &plan->method.adam;
  mf_plan_descent(training, options, 0.07, 0.1, plan, &adam->start, &adam->penalty);
  adam->learning_rate = given_or(options->learning_rate, 0.001 * sqrt(mf_rating_unit(&training->data)));
  adam->decay = options->decay;
  adam->batch_size = options->batch_size;
  mf_brake(plan, adam->learning_rate);
}

static int create_adam(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  return adam_create(factorizer, &training->data.by_user, &plan->method.adam, &training->interrupt.cancel, error);
}

static void describe_adam(const MfPlan *plan, sqlite3_str *json) {
  const AdamOptions *adam = &plan->method.adam;
  mf_describe_descent(&adam->start, &adam->penalty, adam->learning_rate, adam->decay, json);
  sqlite3_str_appendf(json, ",\"batch_size\":%d", adam->batch_size);
}

const MfLearner mf_adam = {
    .algorithm = {.name = "adam",
                  .learns_from = "ratings",
                  .kind = &kind_factors,
                  .meaning = "the loss of sgd in mini-batches by Adam",
                  MF_OPTION_TABLE(adam_options)},
    MF_PREDICTS,
    .user_rows = 1,
    .plan = plan_adam,
    .create = create_adam,
    .describe = describe_adam,
};
