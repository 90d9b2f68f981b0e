/* "svd": truncated SVD of the matrix less its means: from ratings a head that predicts them, from implicit feedback one
 * that ranks. See learn/svd_centered.c. */
#include "mf_learners.h"

#include <math.h>

#define SVD_TOLERANCE 1e-6 /* of singular values */

static const Option svd_options[] = {
    MF_EPOCHS("30"),
    {.name = "center",
     .type = OPTION_CHOICE,
     MF_AT(center),
     .choices = "user|item|global|none",
     MF_BY("\"user\" of ratings, else \"none\""),
     .meaning = "the means that are subtracted before and added back after"},
    {.name = "missing",
     .type = OPTION_CHOICE,
     MF_AT(missing),
     .choices = "zero|mean",
     MF_BY("\"mean\" of ratings, else \"zero\""),
     .meaning = "what a missing cell is: 0, or the mean of those rated"},
    MF_RANGE,
    COLD_START_OPTION,
};

static void plan_svd(const Training *training, const MfOptions *options, MfPlan *plan) {
  int ratings = training->data.explicit_ratings;
  SvdCenteredOptions *svd = &plan->method.svd;
  *svd = (SvdCenteredOptions){
      .rank = (int)training->size,
      .center = options->center >= 0 ? (SvdCenter)options->center
                : ratings            ? SVD_CENTER_USER
                                     : SVD_CENTER_NONE,
      .missing = options->missing >= 0 ? (SvdMissing)options->missing
                 : ratings             ? SVD_MISSING_MEAN
                                       : SVD_MISSING_ZERO,
      .tolerance = SVD_TOLERANCE,
      .iterations = options->epochs,
      .seed = options->common.seed,
      .threads = training->threads,
  };
  plan->biases = svd->center < SVD_CENTER_GLOBAL;
  plan->fold = (FoldIn){.method = FOLD_PROJECTION,
                        .weigh_all_cells = svd->missing == SVD_MISSING_ZERO,
                        .user_mean = svd->center == SVD_CENTER_USER};
  if (svd->center != SVD_CENTER_GLOBAL) return;
  const SparseMatrix *cells = &training->data.by_user;
  double all = (double)cells->rows * (double)cells->columns;
  plan->mean = training->data.mean;
  if (svd->missing == SVD_MISSING_ZERO) plan->mean *= (double)cells->start[cells->rows] / fmax(all, 1);
}

static int create_svd(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  return svd_centered_create(factorizer, &training->data.by_user, &training->by_item, &plan->method.svd,
                             &training->interrupt.cancel, error);
}

static void describe_svd(const MfPlan *plan, sqlite3_str *json) {
  static const char *const centers[] = {"user", "item", "global", "none"};
  const SvdCenteredOptions *svd = &plan->method.svd;
  sqlite3_str_appendf(json, "\"center\":\"%s\",\"missing\":\"%s\"", centers[svd->center],
                      svd->missing == SVD_MISSING_ZERO ? "zero" : "mean");
}

const MfLearner mf_svd = {
    .algorithm = {.name = "svd",
                  .learns_from = "ratings or likes",
                  .kind = &kind_factors,
                  .meaning = "truncated SVD of the matrix less its means",
                  MF_OPTION_TABLE(svd_options)},
    .feedback = FEEDBACK_ANY,
    .fits = {[HEAD_RATING] = 1, [HEAD_RANKING] = 1},
    .either = 1,
    .predicts = 1,
    .plan = plan_svd,
    .create = create_svd,
    .describe = describe_svd,
};
