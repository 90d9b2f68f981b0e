/* What "sgd", "adam" and "gradient" have in common: descents along one loss, the rating head's.
 *
 * Their defaults are constants chosen on validation splits of training parts (MovieLens 100K, 1M and small, Amazon
 * musical instruments), times powers of u, a quarter of the ratings' range: λ grows with u, factors with √u. With sgd's
 * adaptive rates that makes the same model of ratings on another scale. The others give biases the same rate as
 * factors, as the books do, and so depend on the scale a little. */
#include <math.h>

#include "mf_descent.h"

/* Where the factors of adam and gradient begin, and their penalty. */
void mf_plan_descent(const Training *training, const MfOptions *options, double regularization, double init_scale,
                     MfPlan *plan, DescentStart *start, DescentPenalty *penalty) {
  double unit = mf_rating_unit(&training->data);
  *start = (DescentStart){
      .rank = (int)training->size,
      .biases = options->biases,
      .uniform = options->init == 1,
      .mean = options->biases ? training->data.mean : 0,
      .init_scale = given_or(options->init_scale, init_scale * sqrt(unit)),
      .seed = options->common.seed,
      .threads = training->threads,
  };
  penalty->factors = given_or(options->regularization[HEAD_RATING], regularization * unit);
  penalty->biases = given_or(options->bias_regularization, penalty->factors / unit);
  plan->mean = start->mean;
  plan->biases = start->biases;
  plan->init_scale = start->init_scale;
  /* The penalty comes with every rating: of a row of n it is n λ. Nothing can be solved for without one. */
  plan->fold = (FoldIn){.method = FOLD_RATING,
                        .regularization = fmax(penalty->factors, 1e-6),
                        .bias_regularization = fmax(penalty->biases, 1e-6),
                        .nu = 1};
}

void mf_describe_descent(const DescentStart *start, const DescentPenalty *penalty, double learning_rate, double decay,
                         sqlite3_str *json) {
  sqlite3_str_appendf(json, "\"regularization\":%!.15g,\"bias_regularization\":%!.15g,\"learning_rate\":%!.15g",
                      penalty->factors, penalty->biases, learning_rate);
  sqlite3_str_appendf(json, ",\"decay\":%!.15g,\"init\":\"%s\",\"biases\":%s", decay,
                      start->uniform ? "uniform" : "normal", start->biases ? "true" : "false");
}
