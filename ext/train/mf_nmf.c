/* "nmf": non-negative factors, without biases (Luo et al. 2014). See learn/nmf.c. With u a quarter of the ratings'
 * range, the defaults make the same model of ratings on another scale; they were chosen on validation splits. */
#include "mf_learners.h"

#include <math.h>

static const Option nmf_options[] = {
    MF_EPOCHS("50"),
    MF_REGULARIZATION(MF_BY("0.1 u")),
    MF_INIT_SCALE(MF_BY("such that predictions begin at the mean rating")),
    MF_RANGE,
    COLD_START_OPTION,
};

static void plan_nmf(const Training *training, const MfOptions *options, MfPlan *plan) {
  NmfOptions *nmf = &plan->method.nmf;
  double unit = mf_rating_unit(&training->data);
  *nmf = (NmfOptions){
      .rank = (int)training->size,
      .regularization = given_or(options->regularization[HEAD_RATING], 0.1 * unit),
      /* Such that predictions begin at the mean rating, whatever the rank. */
      .init_scale = given_or(options->init_scale, 2 * sqrt(fmax(training->data.mean, 1e-6) / 3)),
      .seed = options->common.seed,
      .threads = training->threads,
  };
  plan->init_scale = nmf->init_scale;
  plan->fold =
      (FoldIn){.method = FOLD_RATING, .regularization = fmax(nmf->regularization, 1e-6), .nu = 1, .nonnegative = 1};
  plan->brake = "lower \"init_scale\", or raise \"regularization\"";
  plan->brake_value = nmf->regularization;
}

static int create_nmf(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  return nmf_create(factorizer, &training->data.by_user, &training->by_item, &plan->method.nmf,
                    &training->interrupt.cancel, error);
}

static void describe_nmf(const MfPlan *plan, sqlite3_str *json) {
  sqlite3_str_appendf(json, "\"regularization\":%!.15g", plan->method.nmf.regularization);
}

const MfLearner mf_nmf = {
    .algorithm = {.name = "nmf",
                  .learns_from = "ratings",
                  .kind = &kind_factors,
                  .meaning = "non-negative factors, without biases",
                  MF_OPTION_TABLE(nmf_options)},
    .feedback = FEEDBACK_NONNEGATIVE_RATINGS,
    .fits = {[HEAD_RATING] = 1},
    .predicts = 1,
    .plan = plan_nmf,
    .create = create_nmf,
    .describe = describe_nmf,
};
