/* "sgd", "adam" and "gradient": descents along the gradient of one loss, the rating head's. */
#include <math.h>

#include "mf_learners.h"

void mf_plan_sgd(const Training *training, const MfOptions *options, MfPlan *plan) {
  SgdOptions *sgd = &plan->method.sgd;
  *sgd = (SgdOptions){
      .rank = (int)training->size,
      .mean = options->biases ? training->data.mean : 0,
      .biases = options->biases,
      .regularization = given_or(options->regularization[HEAD_RATING], 0.02),
      .learning_rate = given_or(options->learning_rate, 0.1),
      .adaptive = options->schedule != 1,
      .unit = 1,
      .decay = given_or(options->decay, 1),
      .uniform = options->init == 1,
      .init_scale = given_or(options->init_scale, 1),
      .seed = options->common.seed,
      .threads = training->threads,
  };
  sgd->bias_regularization = given_or(options->bias_regularization, sgd->regularization);
  plan->mean = sgd->mean;
  plan->biases = sgd->biases;
  plan->init_scale = sgd->init_scale;
}

int mf_create_sgd(Factorizer *factorizer, const Training *training, const MfPlan *plan, Error *error) {
  return sgd_create(factorizer, &training->data.by_user, &plan->method.sgd, error);
}

void mf_describe_sgd(const MfPlan *plan, sqlite3_str *json) {
  const SgdOptions *sgd = &plan->method.sgd;
  sqlite3_str_appendf(json, "\"regularization\":%!.15g,\"bias_regularization\":%!.15g,\"learning_rate\":%!.15g",
                      sgd->regularization, sgd->bias_regularization, sgd->learning_rate);
  sqlite3_str_appendf(json, ",\"decay\":%!.15g,\"init\":\"%s\",\"biases\":%s", sgd->decay,
                      sgd->uniform ? "uniform" : "normal", sgd->biases ? "true" : "false");
}
