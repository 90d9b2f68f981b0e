/* The list of algorithms, and which of them may do what: see mf_learners.h. */
#include "mf_learners.h"

#include <math.h>

#define LEARNER(called) &mf_##called,
static const MfLearner *const learners[] = {MF_LEARNERS(LEARNER)};

#define ROW(called) &mf_##called.algorithm,
const Algorithm *const mf_algorithms[] = {MF_LEARNERS(ROW) NULL};

static int number_of(const MfLearner *learner) {
  int number = 0;
  while (learners[number] != learner) number++;
  return number;
}

double given_or(double given, double otherwise) { return isnan(given) ? otherwise : given; }

double mf_rating_unit(const Interactions *data) {
  return data->maximum > data->minimum ? (data->maximum - data->minimum) / 4 : 1;
}

const MfLearner *mf_learner(int algorithm) { return learners[algorithm]; }

ValuesRead mf_values(const TrainOptions *common) {
  int algorithm = ((const MfOptions *)common)->algorithm;
  return algorithm >= 0 && learners[algorithm]->feedback == FEEDBACK_COUNTS ? VALUES_COUNTS : VALUES_RATINGS;
}

/* ---- what goes together ------------------------------------------------------------------------------------------ */

static int check_objective(const MfLearner *learner, int objective, Error *error) {
  if (objective < 0) return SQLITE_OK;
  if (objective == OBJECTIVE_RATING && !learner->fits[HEAD_RATING])
    return error_set(error, SQLITE_ERROR,
                     "mf_train: \"%s\" ranks and does not predict ratings: use \"als\" for the objective \"rating\"",
                     learner->algorithm.name);
  if (objective != OBJECTIVE_RATING && !learner->fits[HEAD_RANKING])
    return error_set(error, SQLITE_ERROR,
                     "mf_train: \"%s\" predicts ratings and is not fitted to rank: leave the objective out, or use "
                     "\"als\" for the objective \"%s\"",
                     learner->algorithm.name, objective == OBJECTIVE_BOTH ? "both" : "ranking");
  return SQLITE_OK;
}

static int check_feedback(const MfLearner *learner, const Interactions *data, Error *error) {
  int needs_ratings = learner->feedback == FEEDBACK_RATINGS || learner->feedback == FEEDBACK_NONNEGATIVE_RATINGS;
  if (needs_ratings && !data->explicit_ratings)
    return error_set(error, SQLITE_ERROR,
                     "mf_train: \"%s\" needs ratings, and the source has none: name the column with the option "
                     "\"rating\", or leave \"algorithm\" out to train on implicit feedback",
                     learner->algorithm.name);
  if (learner->feedback == FEEDBACK_NONNEGATIVE_RATINGS && data->minimum < 0)
    return error_set(error, SQLITE_ERROR,
                     "mf_train: \"%s\" takes ratings that are not negative, but the least is %g: use \"als\"",
                     learner->algorithm.name, data->minimum);
  return SQLITE_OK;
}

/* What options->objective is, where it was not given; or whether it can be had from these data. */
static int choose_objective(const MfLearner *learner, const Interactions *data, int *objective, Error *error) {
  int head = data->explicit_ratings ? OBJECTIVE_RATING : OBJECTIVE_RANKING;
  if (!learner->either) {
    if (!learner->fits[HEAD_RATING] || !learner->fits[HEAD_RANKING])
      *objective = learner->fits[HEAD_RATING] ? OBJECTIVE_RATING : OBJECTIVE_RANKING;
    if (*objective < 0) *objective = OBJECTIVE_BOTH;
    return SQLITE_OK;
  }
  if (*objective >= 0 && *objective != head && data->explicit_ratings)
    return error_set(
        error, SQLITE_ERROR,
        "mf_train: \"%s\" fits one head from ratings, which predicts and ranks: leave the objective out, or "
        "the ratings, with the option \"rating\": null",
        learner->algorithm.name);
  if (*objective >= 0 && *objective != head)
    return error_set(error, SQLITE_ERROR, "mf_train: the objective \"rating\" needs ratings, and the source has none");
  *objective = head;
  return SQLITE_OK;
}

static int check_regularization(const MfLearner *learner, const MfOptions *options, Error *error) {
  for (int head = 0; head < HEADS; head++)
    if (options->regularization[head] < learner->least_regularization)
      return error_set(error, SQLITE_ERROR,
                       "mf_train: option \"regularization\" must be at least %g for \"%s\", not %g",
                       learner->least_regularization, learner->algorithm.name, options->regularization[head]);
  return SQLITE_OK;
}

/* Options that the algorithm reads, but not with these others. Before the source is read (data NULL) the objective is
 * as it was given. */
static int check_uses(const Training *training, const MfLearner *learner, const MfOptions *options,
                      const Interactions *data, Error *error) {
  int als = learner == &mf_als, rates = options->objective != OBJECTIVE_RANKING;
  int ranks = options->objective != OBJECTIVE_RATING;
  const OptionUse uses[] = {
      {"biases", !als || rates, "by the rating head, not with \"objective\": \"ranking\""},
      {"unobserved_weight|unobserved_rating|unobserved", !als || ranks,
       "by the ranking head, not with \"objective\": \"rating\""},
      {"alpha", learner != &mf_ials || !options->unobserved, "with \"unobserved\": \"missing\""},
      {"solver", !options->nonnegative, "without \"nonnegative\""},
      {"bias_regularization", options->biases, "with \"biases\""},
      {"range", !data || data->explicit_ratings, "where there are ratings to be predicted"},
  };
  int fitted[HEADS] = {learner->fits[HEAD_RATING] && rates, learner->fits[HEAD_RANKING] && ranks};
  int code = training_check_uses(training, uses, sizeof uses / sizeof *uses, error);
  if (code == SQLITE_OK)
    code = options_check_heads("mf_train", training->trained.options, "regularization", fitted, error);
  return code == SQLITE_OK ? options_check_heads("mf_train", training->trained.options, "nu", fitted, error) : code;
}

int mf_choose(const Training *training, MfOptions *options, const Interactions *data, Error *error) {
  int given = options->algorithm >= 0;
  if (!given && !data) return SQLITE_OK;
  if (!given && !data->explicit_ratings && options->objective == OBJECTIVE_RATING)
    return error_set(error, SQLITE_ERROR, "mf_train: the objective \"rating\" needs ratings, and the source has none");
  if (!given) options->algorithm = number_of(data->explicit_ratings ? &mf_als : &mf_ials);
  const MfLearner *learner = mf_learner(options->algorithm);
  int code = check_objective(learner, options->objective, error);
  if (code == SQLITE_OK) code = training_check_readers(training, options->algorithm, error);
  if (code == SQLITE_OK) code = training_set_defaults(training, options->algorithm, error);
  if (code == SQLITE_OK) code = check_uses(training, learner, options, data, error);
  if (code == SQLITE_OK) code = check_regularization(learner, options, error);
  if (code != SQLITE_OK || !data) return code;
  code = choose_objective(learner, data, &options->objective, error);
  return code == SQLITE_OK ? check_feedback(learner, data, error) : code;
}
