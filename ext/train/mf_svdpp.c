/* "svdpp": SVD++ (Koren, KDD 2008). See learn/svdpp.c. With u a quarter of the ratings' range, the defaults make the
 * same model of ratings on another scale; they were chosen on validation splits. */
#include "mf_descent.h"

#include <math.h>

static const Option svdpp_options[] = {
    MF_EPOCHS("25"),   MF_REGULARIZATION(MF_BY("0.03 u")),   MF_BIAS_REGULARIZATION(MF_BY("regularization / u")),
    MF_BIASES,         MF_LEARNING_RATE(MF_BY("0.007 / u")), MF_DECAY(MF_IS("1")),
    MF_INIT,           MF_INIT_SCALE(MF_BY("0.2 √u")),       MF_RANGE,
    COLD_START_OPTION,
};

static void plan_svdpp(const Training *training, const MfOptions *options, MfPlan *plan) {
  SvdppOptions *svdpp = &plan->method.svdpp;
  double unit = mf_rating_unit(&training->data);
  svdpp->start = (DescentStart){
      .rank = (int)training->size,
      .biases = options->biases,
      .uniform = options->init == 1,
      .mean = options->biases ? training->data.mean : 0,
      .init_scale = given_or(options->init_scale, 0.2 * sqrt(unit)),
      .seed = options->common.seed,
      .threads = training->threads,
  };
  svdpp->penalty.factors = given_or(options->regularization[HEAD_RATING], 0.03 * unit);
  svdpp->penalty.biases = given_or(options->bias_regularization, svdpp->penalty.factors / unit);
  /* Factors grow with the square root of the ratings, biases with them: so must their steps. */
  svdpp->learning_rate = given_or(options->learning_rate, 0.007 / unit);
  svdpp->bias_rate = svdpp->learning_rate * unit;
  svdpp->decay = options->decay;
  plan->mean = svdpp->start.mean;
  plan->biases = svdpp->start.biases;
  plan->init_scale = svdpp->start.init_scale;
  plan->fold = (FoldIn){.method = FOLD_RATING,
                        .regularization = fmax(svdpp->penalty.factors, 1e-6),
                        .bias_regularization = fmax(svdpp->penalty.biases, 1e-6),
                        .nu = 1};
  mf_brake(plan, svdpp->learning_rate);
}

static int create_svdpp(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  return svdpp_create(factorizer, &training->data.by_user, &plan->method.svdpp, &training->interrupt.cancel, error);
}

static void describe_svdpp(const MfPlan *plan, sqlite3_str *json) {
  const SvdppOptions *svdpp = &plan->method.svdpp;
  sqlite3_str_appendf(json, "\"regularization\":%!.15g,\"bias_regularization\":%!.15g,\"learning_rate\":%!.15g",
                      svdpp->penalty.factors, svdpp->penalty.biases, svdpp->learning_rate);
  sqlite3_str_appendf(json, ",\"decay\":%!.15g,\"init\":\"%s\",\"biases\":%s", svdpp->decay,
                      svdpp->start.uniform ? "uniform" : "normal", svdpp->start.biases ? "true" : "false");
}

const MfLearner mf_svdpp = {
    .algorithm = {.name = "svdpp",
                  .learns_from = "ratings",
                  .kind = &kind_factors,
                  .meaning = "SVD++: users are also what they rated",
                  MF_OPTION_TABLE(svdpp_options)},
    MF_PREDICTS,
    .user_rows = 1,
    .plan = plan_svdpp,
    .create = create_svdpp,
    .describe = describe_svdpp,
};
