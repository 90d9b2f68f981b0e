/* "bpr": Bayesian personalized ranking (Rendle et al., UAI 2009). See learn/bpr.c. */
#include "mf_sampled.h"

static const Option bpr_options[] = {
    MF_EPOCHS("30"),
    MF_REGULARIZATION(MF_BY("0.8 / n̄, at most 0.03")),
    MF_NEGATIVES("3"),
    MF_SAMPLED_OPTIONS,
};

static void plan_bpr(const Training *training, const MfOptions *options, MfPlan *plan) {
  mf_plan_sampled(training, options, 0.8, plan);
}

/* What users have is what they like. A dislike is drawn like anything else that they have not. */
static int create_bpr(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  const SparseMatrix *likes;
  int code = training_likes(training, &likes, error);
  return code == SQLITE_OK ? bpr_create(factorizer, likes, &plan->method.sampled, &training->interrupt.cancel, error)
                           : code;
}

static void describe_bpr(const MfPlan *plan, sqlite3_str *json) { mf_describe_sampled(plan, json); }

const MfLearner mf_bpr = {
    .algorithm = {.name = "bpr",
                  .learns_from = "ratings or likes",
                  .kind = &kind_factors,
                  .lacks = ABLE(ABILITY_PREDICT) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE),
                  .meaning = "Bayesian personalized ranking",
                  MF_OPTION_TABLE(bpr_options)},
    .feedback = FEEDBACK_COUNTS,
    .fits = {[HEAD_RANKING] = 1},
    .user_rows = 1,
    .plan = plan_bpr,
    .create = create_bpr,
    .describe = describe_bpr,
};
