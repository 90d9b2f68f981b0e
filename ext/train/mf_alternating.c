/* What "als" and "ials" have in common: alternating least squares.
 *
 * From ratings (als) two heads: the rating head minimises the squared error of the ratings there are; the ranking head
 * is fitted to all cells, the missing ones weakly pulled towards `unobserved_rating` (Steck, "Training and testing of
 * recommender systems on data missing not at random", KDD 2010). From implicit feedback (ials) one head (Hu, Koren &
 * Volinsky, ICDM 2008; `"unobserved": "all"` as Rendle et al., "Revisiting the performance of iALS", 2021).
 *
 * The defaults follow from the data, by rules whose constants were chosen on validation splits (tests/bench/defaults.py
 * makes the table). With n entries of I users × J items, n̄ = n / √(I J) of them a row, s = n̄ / (n̄ + 8) near 1 unless
 * rows are short, and a rating unit u, a quarter of the ratings' range:
 *   rating head    λ = 3.5 u, ν = 0.3
 *   missing cells  weigh w = s √(n / (I J)) of an observed one: all of them together s √n √(I J), between the weight of
 *                  what was observed and that of the whole matrix. They count as the
 *                  lowest rating less u: of one to five stars, as none.
 *   ranking heads  λ = 0.38 t √(c / s), ν = 0.5, t and c the mean target and confidence: entries without any structure
 *                  have singular values in proportion to c t, and λ is what shrinks those away.
 *                  Implicit feedback: 0.4, and n̄ / (n̄ + 5).
 * Each scales with the ratings as it must for the model to be the same on another scale: u and t like them, w not. */
#include <math.h>

#include "mf_alternating.h"

#define DEFAULT_INIT_SCALE 0.5 /* times √u */
#define RATING_REGULARIZATION 3.5
/* By ratings, and by implicit feedback, whose entries are fewer and surer. */
static const double ranking_regularization[2] = {0.38, 0.4}, short_row[2] = {8, 5};
static const double rule_nu[HEADS] = {0.3, 0.5}; /* the ν that the rules are for, which is the default */

/* What the default rules read: see above. */
typedef struct Shape {
  double entries, side, row; /* n, √(I J), n̄ */
  double trust;              /* s */
  double weight;             /* w */
  double unit;               /* u */
} Shape;

static Shape shape_of(const Interactions *data, int implicit) {
  Shape shape = {.entries = fmax((double)data->by_user.start[data->by_user.rows], 1), .unit = mf_rating_unit(data)};
  shape.side = sqrt(fmax((double)data->by_user.rows * (double)data->by_user.columns, 1));
  shape.row = shape.entries / shape.side;
  shape.trust = shape.row / (shape.row + short_row[implicit]);
  shape.weight = shape.trust * sqrt(shape.entries) / shape.side;
  return shape;
}

/* Another ν than the rule's: λ such that a row of usual length is penalised as before. */
static double regularization_of(double otherwise, double length, double default_exponent, double nu) {
  return otherwise * pow(length, default_exponent - nu);
}

static void plan_rating(const Interactions *data, const MfOptions *options, const Shape *shape, AlsOptions *plan) {
  plan->biases = options->biases;
  plan->mean = options->biases ? data->mean : 0;
  plan->regularization =
      given_or(options->regularization[HEAD_RATING],
               regularization_of(RATING_REGULARIZATION * shape->unit, shape->row, rule_nu[HEAD_RATING], plan->nu));
  /* ‖factors‖² grows with the scale of ratings and bias² with its square. */
  plan->bias_regularization = plan->regularization / shape->unit;
}

/* The mean of |value|: a dislike is as sure as a like. */
static double mean_size(const Interactions *data) {
  const SparseMatrix *cells = &data->by_user;
  size_t entries = cells->start[cells->rows];
  double sum = 0;
  if (data->minimum >= 0) return data->mean > 0 ? data->mean : 1;
  for (size_t e = 0; e < entries; e++) sum += fabs((double)sparse_value(cells, e));
  return sum > 0 ? sum / (double)entries : 1;
}

static void plan_ranking(const Interactions *data, const MfOptions *options, const Shape *shape, int implicit,
                         AlsOptions *plan) {
  int missing = implicit && !options->unobserved;
  double target = 1, confidence = 1;
  plan->weigh_all_cells = options->unobserved;
  plan->confidence = 1;
  /* Missing cells weigh 1 by convention where confidence can be raised instead: 1 + α mean = 1 / w. */
  plan->missing_weight = given_or(options->unobserved_weight, missing ? 1 : shape->weight);
  if (missing) {
    double mean = mean_size(data);
    plan->confidence_slope = given_or(options->alpha, (1 / shape->weight - 1) / mean);
    confidence += plan->confidence_slope * mean;
  }
  if (implicit) {
    plan->target = 1;
  } else {
    plan->target = -given_or(options->unobserved_rating, data->minimum - shape->unit);
    plan->target_slope = 1;
    target = fmax(fabs(data->mean + plan->target), shape->unit);
  }
  double regularization = ranking_regularization[implicit] * target * sqrt(confidence / shape->trust);
  plan->regularization = given_or(options->regularization[HEAD_RANKING],
                                  regularization_of(regularization, shape->row + plan->missing_weight * shape->side,
                                                    rule_nu[HEAD_RANKING], plan->nu));
}

/* How a history is folded into a head that was fitted by this plan: as its own half-step. */
static FoldIn fold_in_of(const AlsOptions *als) {
  return (FoldIn){.method = als->ranking ? FOLD_RANKING : FOLD_RATING,
                  .regularization = als->regularization,
                  .bias_regularization = als->bias_regularization,
                  .nu = als->nu,
                  .confidence = als->confidence,
                  .confidence_slope = als->confidence_slope,
                  .target = als->target,
                  .target_slope = als->target_slope,
                  .missing_weight = als->missing_weight,
                  .weigh_all_cells = als->weigh_all_cells,
                  .nonnegative = als->nonnegative};
}

void mf_plan_alternating(const Training *training, const MfOptions *options, int implicit, MfPlan *plan) {
  Shape shape = shape_of(&training->data, implicit);
  AlsOptions *als = &plan->method.als;
  *als = (AlsOptions){
      .rank = (int)training->size,
      .nu = options->nu[plan->head],
      .nonnegative = options->nonnegative,
      .solver = options->solver ? ALS_CHOLESKY : ALS_CONJUGATE_GRADIENT,
      .init_scale = given_or(options->init_scale, DEFAULT_INIT_SCALE * (implicit ? 1 : sqrt(shape.unit))),
      .seed = options->common.seed,
      .threads = training->threads,
      .ranking = plan->head == HEAD_RANKING,
  };
  if (plan->head == HEAD_RATING)
    plan_rating(&training->data, options, &shape, als);
  else
    plan_ranking(&training->data, options, &shape, implicit, als);
  plan->brake = "raise \"regularization\"";
  plan->brake_value = als->regularization;
  plan->init_scale = als->init_scale;
  plan->biases = als->biases;
  plan->fold = fold_in_of(als);
  plan->mean = plan->head == HEAD_RATING ? als->mean : als->target_slope != 0 ? -als->target : 0;
}

int mf_create_alternating(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error) {
  AlsOptions options = plan->method.als;
  options.user_start = plan->start[0];
  options.item_start = plan->start[1];
  return als_factorizer(factorizer, &training->data.by_user, &training->by_item, &options, error);
}

void mf_describe_alternating(const MfPlan *plan, sqlite3_str *json) {
  const AlsOptions *als = &plan->method.als;
  sqlite3_str_appendf(json, "\"regularization\":%!.15g,\"nu\":%!.15g", als->regularization, als->nu);
  if (als->ranking)
    sqlite3_str_appendf(json, ",\"unobserved_weight\":%!.15g,\"unobserved\":\"%s\"", als->missing_weight,
                        als->weigh_all_cells ? "all" : "missing");
  if (als->ranking && als->target_slope != 0) sqlite3_str_appendf(json, ",\"unobserved_rating\":%!.15g", -als->target);
  if (als->ranking && als->target_slope == 0) sqlite3_str_appendf(json, ",\"alpha\":%!.15g", als->confidence_slope);
  if (!als->ranking) sqlite3_str_appendf(json, ",\"biases\":%s", als->biases ? "true" : "false");
}

void mf_describe_all_alternating(const MfOptions *options, sqlite3_str *json) {
  sqlite3_str_appendf(json, ",\"solver\":\"%s\",\"nonnegative\":%s", options->solver ? "cholesky" : "cg",
                      options->nonnegative ? "true" : "false");
}
