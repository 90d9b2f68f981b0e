/* "ials": alternating least squares from implicit feedback, over all cells (Hu, Koren & Volinsky, ICDM 2008;
 * `"unobserved": "all"` as Rendle et al., "Revisiting the performance of iALS", 2021). See mf_alternating.c. */
#include "mf_alternating.h"

static const Option ials_options[] = {
    MF_EPOCHS("15"),
    MF_REGULARIZATION(MF_BY("from the data")),
    MF_NU("0.5"),
    {.name = "alpha",
     .type = OPTION_NUMBER,
     MF_AT(alpha),
     .maximum = 1e9,
     .rule = "from the data",
     .meaning = "the confidence of an observed cell is 1 + alpha · |value|"},
    MF_UNOBSERVED_WEIGHT("1; from the data with \"unobserved\": \"all\""),
    MF_ALTERNATING_OPTIONS,
    MF_INIT_SCALE(MF_BY("0.5")),
};

static void plan_ials(const Training *training, const MfOptions *options, MfPlan *plan) {
  mf_plan_alternating(training, options, 1, plan);
}

const MfLearner mf_ials = {
    .algorithm = {.name = "ials",
                  .learns_from = "ratings or likes",
                  .kind = &kind_factors,
                  .lacks = ABLE(ABILITY_PREDICT),
                  .meaning = "alternating least squares over all cells; a value is how often",
                  MF_OPTION_TABLE(ials_options)},
    .feedback = FEEDBACK_COUNTS,
    .fits = {[HEAD_RANKING] = 1},
    .least_regularization = 1e-6,
    .plan = plan_ials,
    .create = mf_create_alternating,
    .describe = mf_describe_alternating,
    .describe_all = mf_describe_all_alternating,
};
