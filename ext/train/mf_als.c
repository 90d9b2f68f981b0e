/* "als": alternating least squares from ratings, with two heads. The rating head minimises the squared error of the
 * ratings there are; the ranking head is fitted to all cells, the missing ones weakly pulled towards
 * `unobserved_rating`. See mf_alternating.c. */
#include "mf_alternating.h"

static const Option als_options[] = {
    MF_EPOCHS("15"),
    MF_REGULARIZATION(MF_BY("from the data")),
    MF_NU("{\"rating\": 0.3, \"ranking\": 0.5}"),
    MF_BIASES,
    MF_UNOBSERVED_WEIGHT("from the data"),
    {.name = "unobserved_rating",
     .type = OPTION_NUMBER,
     MF_AT(unobserved_rating),
     .minimum = -1e9,
     .maximum = 1e9,
     .rule = "a quarter of the range below the lowest",
     .meaning = "what a missing cell counts as in the ranking head"},
    MF_ALTERNATING_OPTIONS,
    MF_INIT_SCALE(MF_BY("0.5 √u")),
    MF_RANGE,
    COLD_START_OPTION,
};

static void plan_als(const Training *training, const MfOptions *options, MfPlan *plan) {
  mf_plan_alternating(training, options, 0, plan);
}

const MfLearner mf_als = {
    .algorithm = {.name = "als",
                  .learns_from = "ratings",
                  .kind = &kind_factors,
                  .meaning = "alternating least squares, with a head for ratings and one for ranking",
                  MF_OPTION_TABLE(als_options)},
    .feedback = FEEDBACK_RATINGS,
    .fits = {[HEAD_RATING] = 1, [HEAD_RANKING] = 1},
    .predicts = 1,
    .least_regularization = 1e-6,
    .plan = plan_als,
    .create = mf_create_alternating,
    .describe = mf_describe_alternating,
    .describe_all = mf_describe_all_alternating,
};
