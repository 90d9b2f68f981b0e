/* "svdpp", "nmf" and "svd": the other factorizations that predict ratings; svd also ranks implicit feedback.
 *
 * The defaults were chosen on validation splits; with u a quarter of the ratings' range, those of svdpp and nmf make
 * the same model of ratings on another scale. */
#include <math.h>

#include "mf_learners.h"

/* ---- svdpp ------------------------------------------------------------------------------------------------------- */

void mf_plan_svdpp(const Training *training, const MfOptions *options, MfPlan *plan) {
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
  svdpp->decay = given_or(options->decay, 1);
  plan->mean = svdpp->start.mean;
  plan->biases = svdpp->start.biases;
  plan->init_scale = svdpp->start.init_scale;
  plan->fold = (FoldIn){.method = FOLD_RATING,
                        .regularization = fmax(svdpp->penalty.factors, 1e-6),
                        .bias_regularization = fmax(svdpp->penalty.biases, 1e-6),
                        .nu = 1};
  mf_brake(plan, svdpp->learning_rate);
}

int mf_create_svdpp(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  return svdpp_create(factorizer, &training->data.by_user, &plan->method.svdpp, &training->interrupt.cancel, error);
}

void mf_describe_svdpp(const MfPlan *plan, sqlite3_str *json) {
  const SvdppOptions *svdpp = &plan->method.svdpp;
  sqlite3_str_appendf(json, "\"regularization\":%!.15g,\"bias_regularization\":%!.15g,\"learning_rate\":%!.15g",
                      svdpp->penalty.factors, svdpp->penalty.biases, svdpp->learning_rate);
  sqlite3_str_appendf(json, ",\"decay\":%!.15g,\"init\":\"%s\",\"biases\":%s", svdpp->decay,
                      svdpp->start.uniform ? "uniform" : "normal", svdpp->start.biases ? "true" : "false");
}

/* ---- nmf --------------------------------------------------------------------------------------------------------- */

void mf_plan_nmf(const Training *training, const MfOptions *options, MfPlan *plan) {
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

int mf_create_nmf(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  return nmf_create(factorizer, &training->data.by_user, &training->by_item, &plan->method.nmf,
                    &training->interrupt.cancel, error);
}

void mf_describe_nmf(const MfPlan *plan, sqlite3_str *json) {
  sqlite3_str_appendf(json, "\"regularization\":%!.15g", plan->method.nmf.regularization);
}

/* ---- svd --------------------------------------------------------------------------------------------------------- */

#define SVD_TOLERANCE 1e-6 /* of singular values */

void mf_plan_svd(const Training *training, const MfOptions *options, MfPlan *plan) {
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

int mf_create_svd(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  return svd_centered_create(factorizer, &training->data.by_user, &training->by_item, &plan->method.svd,
                             &training->interrupt.cancel, error);
}

void mf_describe_svd(const MfPlan *plan, sqlite3_str *json) {
  static const char *const centers[] = {"user", "item", "global", "none"};
  const SvdCenteredOptions *svd = &plan->method.svd;
  sqlite3_str_appendf(json, "\"center\":\"%s\",\"missing\":\"%s\"", centers[svd->center],
                      svd->missing == SVD_MISSING_ZERO ? "zero" : "mean");
}
