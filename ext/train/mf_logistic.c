/* "logistic": logistic matrix factorization (Johnson, 2014) with sampled negatives. See learn/logistic.c. */
#include "mf_sampled.h"

static const Option logistic_options[] = {
    MF_EPOCHS("20"),
    MF_REGULARIZATION(MF_BY("1 / n̄, at most 0.03")),
    MF_NEGATIVES("10"),
    {.name = "alpha",
     .type = OPTION_NUMBER,
     MF_AT(alpha),
     .maximum = 1e9,
     MF_IS("2"),
     .meaning = "what the user has weighs 1 + alpha · rating"},
    MF_SAMPLED_OPTIONS,
};

static void plan_logistic(const Training *training, const MfOptions *options, MfPlan *plan) {
  mf_plan_sampled(training, options, 1, plan);
}

static int create_logistic(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  const SparseMatrix *likes;
  int code = training_likes(training, &likes, error);
  return code == SQLITE_OK
             ? logistic_create(factorizer, likes, &plan->method.sampled, &training->interrupt.cancel, error)
             : code;
}

static void describe_logistic(const MfPlan *plan, sqlite3_str *json) {
  mf_describe_sampled(plan, json);
  sqlite3_str_appendf(json, ",\"alpha\":%!.15g", plan->method.sampled.alpha);
}

const MfLearner mf_logistic = {
    .algorithm = {.name = "logistic",
                  .learns_from = "ratings or likes",
                  .kind = &kind_factors,
                  .lacks = ABLE(ABILITY_PREDICT) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE),
                  .meaning = "logistic matrix factorization with sampled negatives; a value is a confidence",
                  MF_OPTION_TABLE(logistic_options)},
    .feedback = FEEDBACK_COUNTS,
    .fits = {[HEAD_RANKING] = 1},
    .user_rows = 1,
    .plan = plan_logistic,
    .create = create_logistic,
    .describe = describe_logistic,
};
