/* als.h against its own definition, evaluated over every cell in double precision: reported losses, vanishing
 * gradients, monotony, and the promises about bytes, memory and cancelling. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/simd.h"
#include "base/sqlite.h"
#include "cancelling.h"
#include "check.h"
#include "failing_memory.h"
#include "learn/als.h"
#include "ratings.h"

/* ---- the definition ---------------------------------------------------------------------------------------------- */

/* Adds what one cell costs and, where `gradient` is not NULL, half its derivative by ŷ times `multiplier`'s lanes. */
typedef struct Cell {
  double loss, half_slope;
} Cell;

static Cell cell_of(const AlsOptions *options, int observed, double value, double prediction) {
  if (!options->ranking) {
    double error = observed ? prediction - value : 0;
    return (Cell){error * error, error};
  }
  double c = observed ? options->confidence + options->confidence_slope * value : 0;
  double w = observed && !options->weigh_all_cells ? 0 : options->missing_weight;
  double error = prediction - (options->target + options->target_slope * value);
  return (Cell){c * error * error + w * prediction * prediction, c * error + w * prediction};
}

static double penalty_of(const AlsOptions *options, const SparseMatrix *matrix, size_t row) {
  double n = (double)sparse_row_length(matrix, row);
  if (options->ranking) n += options->missing_weight * (double)matrix->columns;
  return options->regularization * pow(n, options->nu);
}

static double bias_share_of(const AlsOptions *options) {
  return options->bias_regularization > 0 ? options->bias_regularization / options->regularization : 1;
}

typedef struct View { /* one side's rows against the other's */
  const SparseMatrix *matrix;
  const float *rows, *row_bias, *columns, *column_bias;
  size_t stride;
  double mean;
} View;

static View view_of(const Data *data, const Factors *f, int items) {
  View users = {&data->by_user, f->user, f->user_bias, f->item, f->item_bias, (size_t)f->stride, f->mean};
  View turned = {&data->by_item, f->item, f->item_bias, f->user, f->user_bias, (size_t)f->stride, f->mean};
  return items ? turned : users;
}

static double penalty_sum(const View *view, const AlsOptions *options) {
  double sum = 0;
  for (size_t row = 0; row < view->matrix->rows; row++) {
    double size = view->row_bias ? bias_share_of(options) * pow((double)view->row_bias[row], 2) : 0;
    for (size_t i = 0; i < view->stride; i++) size += pow((double)view->rows[row * view->stride + i], 2);
    sum += penalty_of(options, view->matrix, row) * size;
  }
  return sum;
}

/* Loss over the cells of a row; gradient (stride + 1, the bias last) gets half the derivative, penalty included. */
static double row_loss(const View *view, const AlsOptions *options, size_t row, double *gradient, double *squared) {
  const SparseMatrix *matrix = view->matrix;
  const float *x = view->rows + row * view->stride;
  double loss = 0, penalty = penalty_of(options, matrix, row), bias = view->row_bias ? (double)view->row_bias[row] : 0;
  for (size_t i = 0; i < view->stride; i++) gradient[i] = penalty * (double)x[i];
  gradient[view->stride] = penalty * bias_share_of(options) * bias;
  size_t e = matrix->start[row];
  for (size_t column = 0; column < matrix->columns; column++) {
    const float *q = view->columns + column * view->stride;
    int observed = e < matrix->start[row + 1] && matrix->index[e] == column;
    if (!observed && (!options->ranking || options->missing_weight == 0)) continue;
    double value = observed ? matrix->value ? (double)matrix->value[e] : 1 : 0;
    double prediction = view->mean + bias + (view->column_bias ? (double)view->column_bias[column] : 0);
    for (size_t i = 0; i < view->stride; i++) prediction += (double)x[i] * (double)q[i];
    Cell cell = cell_of(options, observed, value, prediction);
    loss += cell.loss;
    for (size_t i = 0; i < view->stride; i++) gradient[i] += cell.half_slope * (double)q[i];
    gradient[view->stride] += cell.half_slope;
    if (observed) {
      double target = options->ranking ? options->target + options->target_slope * value : value;
      *squared += (prediction - target) * (prediction - target);
      e++;
    }
  }
  return loss;
}

typedef struct Truth {
  double loss, rmse;
  double gradient; /* the largest of the side looked at, by coordinates that are free to move, over n + 1 */
} Truth;

static Truth truth_of(const Data *data, const Factors *factors, const AlsOptions *options, int items) {
  View view = view_of(data, factors, items), other = view_of(data, factors, !items);
  double *gradient = malloc((view.stride + 1) * sizeof *gradient), squared = 0;
  Truth truth = {penalty_sum(&view, options) + penalty_sum(&other, options), 0, 0};
  for (size_t row = 0; row < view.matrix->rows; row++) {
    truth.loss += row_loss(&view, options, row, gradient, &squared);
    double n = (double)sparse_row_length(view.matrix, row);
    if (n == 0) continue; /* such a row is zero by decree; its gradient is zero but for the ranking loss's b = 0 too */
    for (size_t i = 0; i < (size_t)factors->rank + (view.row_bias != NULL); i++) {
      size_t lane = i < (size_t)factors->rank ? i : view.stride;
      int pinned = options->nonnegative && lane < view.stride && view.rows[row * view.stride + lane] == 0;
      double slope = pinned ? fmin(gradient[lane], 0) : gradient[lane];
      truth.gradient = fmax(truth.gradient, fabs(slope) / (n + 1));
    }
  }
  size_t entries = view.matrix->start[view.matrix->rows];
  truth.rmse = entries ? sqrt(squared / (double)entries) : 0;
  free(gradient);
  return truth;
}

/* Rows without entries and lanes beyond the rank are zero; with nonnegative nothing is below zero. */
static int tidy(const Data *data, const Factors *factors, const AlsOptions *options) {
  int good = 1;
  for (int items = 0; items < 2; items++) {
    View view = view_of(data, factors, items);
    for (size_t row = 0; row < view.matrix->rows; row++) {
      int empty = sparse_row_length(view.matrix, row) == 0;
      for (size_t i = 0; i < view.stride; i++) {
        float x = view.rows[row * view.stride + i];
        if ((empty || i >= (size_t)factors->rank) && x != 0) good = 0;
        if (options->nonnegative && x < 0) good = 0;
      }
      if (empty && view.row_bias && view.row_bias[row] != 0) good = 0;
    }
  }
  return good;
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

static AlsOptions rating_options(int rank) {
  return (AlsOptions){.rank = rank,
                      .regularization = .1,
                      .nu = 1,
                      .biases = 1,
                      .bias_regularization = .25, /* not λ, so that the two can't be mixed up unseen */
                      .solver = ALS_CHOLESKY,
                      .mean = 3,
                      .init_scale = 1,
                      .seed = 42,
                      .threads = 2};
}

static AlsOptions ranking_options(int rank) {
  return (AlsOptions){.rank = rank,
                      .regularization = 1,
                      .nu = .5,
                      .solver = ALS_CHOLESKY,
                      .ranking = 1,
                      .confidence = 1,
                      .confidence_slope = .7,
                      .target = 1,
                      .missing_weight = .3,
                      .init_scale = 1,
                      .seed = 42,
                      .threads = 2};
}

static Als *create(const Data *data, const AlsOptions *options) {
  Als *als;
  Error error = {0};
  CHECK(als_create(&als, &data->by_user, &data->by_item, options, &error) == SQLITE_OK);
  return als;
}

/* Trains some epochs and checks whatever is checkable: reports against the definition, monotony, gradients. */
static void check_training(const Data *data, const AlsOptions *options, int epochs) {
  Als *als = create(data, options);
  Error error = {0};
  AlsReport report;
  double last = INFINITY;
  int exact = options->solver == ALS_CHOLESKY || options->nonnegative;
  float *old_items = NULL;
  const Factors *factors = als_factors(als);
  size_t bytes = factors->items * (size_t)factors->stride * sizeof(float);
  for (int epoch = 0; epoch < epochs; epoch++) {
    CHECK(als_epoch(als, &report, NULL, &error) == SQLITE_OK);
    CHECK(report.loss_after_users <= last * (1 + 1e-6));
    CHECK(report.loss_after_items <= report.loss_after_users * (1 + 1e-6));
    last = report.loss_after_items;
  }
  Truth truth = truth_of(data, factors, options, 1);
  CHECK_NEAR(report.loss_after_items / truth.loss, 1, 1e-6);
  CHECK_NEAR(report.train_rmse, truth.rmse, 1e-5);
  if (exact) CHECK_NEAR(truth.gradient, 0, 2e-5);
  CHECK(tidy(data, factors, options));
  /* After one more user half-step, whose loss both als_epoch and als_finish report. */
  CHECK(als_finish(als, &report, NULL, &error) == SQLITE_OK);
  truth = truth_of(data, factors, options, 0);
  CHECK_NEAR(report.loss_after_users / truth.loss, 1, 1e-6);
  CHECK_NEAR(report.train_rmse, truth.rmse, 1e-5);
  CHECK_NEAR(truth.gradient, 0, 2e-5);
  CHECK(report.loss_after_users <= last * (1 + 1e-6));
  CHECK(tidy(data, factors, options));
  /* An epoch's first half, taken apart: the new users with the items from before it. */
  old_items = malloc(bytes + 1);
  memcpy(old_items, factors->item, bytes);
  float *old_bias = malloc((factors->items + 1) * sizeof(float));
  if (factors->item_bias) memcpy(old_bias, factors->item_bias, factors->items * sizeof(float));
  CHECK(als_epoch(als, &report, NULL, &error) == SQLITE_OK);
  Factors half = *factors;
  half.item = old_items;
  if (half.item_bias) half.item_bias = old_bias;
  truth = truth_of(data, &half, options, 0);
  CHECK_NEAR(report.loss_after_users / truth.loss, 1, 1e-6);
  free(old_items);
  free(old_bias);
  als_destroy(als);
  error_clear(&error);
}

static void test_losses(void) {
  Data data = make_data(75, 43, .2, 1), ones = make_data(75, 43, .2, 0);
  const int ranks[] = {1, 3, 16, 17, 50, 64, 100, 200};
  for (size_t r = 0; r < sizeof ranks / sizeof *ranks - SANITIZED; r++) {
    for (int solver = 0; solver < 3; solver++) {
      AlsOptions rating = rating_options(ranks[r]), ranking = ranking_options(ranks[r]);
      rating.solver = ranking.solver = solver == 0 ? ALS_CONJUGATE_GRADIENT : ALS_CHOLESKY;
      rating.nonnegative = ranking.nonnegative = solver == 2;
      check_training(&data, &rating, 4);
      check_training(&data, &ranking, 4);
      check_training(&ones, &ranking, 4);
      rating.biases = 0, rating.nu = .5, rating.regularization = 1;
      ranking.weigh_all_cells = 1, ranking.confidence_slope = 0, ranking.nu = 1, ranking.regularization = .05;
      check_training(&data, &rating, 4);
      check_training(&data, &ranking, 4);
      ranking.weigh_all_cells = 0, ranking.target = -2, ranking.target_slope = 1; /* AllRank */
      check_training(&data, &ranking, 4);
      ranking.missing_weight = 0;
      check_training(&data, &ranking, 4);
      ranking.confidence = ranking.missing_weight = 1; /* c − w₀ = 0 */
      check_training(&data, &ranking, 4);
    }
  }
  free_data(&data);
  free_data(&ones);
}

static void test_shapes(void) {
  const size_t shapes[][2] = {{1, 1}, {1, 30}, {30, 1}, {0, 0}, {0, 4}, {4, 0}, {7, 6}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    Data data = make_data(shapes[s][0], shapes[s][1], .5, 1);
    AlsOptions rating = rating_options(8), ranking = ranking_options(8);
    for (int solver = 0; solver < 2; solver++) {
      rating.solver = ranking.solver = (AlsSolver)solver;
      if (data.by_user.start[data.by_user.rows] > 0) {
        check_training(&data, &rating, 3);
        check_training(&data, &ranking, 3);
        continue;
      }
      for (int which = 0; which < 2; which++) {
        Als *als = create(&data, which ? &ranking : &rating);
        AlsReport report;
        Error error = {0};
        CHECK(als_epoch(als, &report, NULL, &error) == SQLITE_OK);
        CHECK(report.loss_after_items == 0 && report.train_rmse == 0);
        CHECK(als_finish(als, NULL, NULL, &error) == SQLITE_OK);
        als_destroy(als);
      }
    }
    free_data(&data);
  }
}

/* A few steps of conjugate gradient a half-step end where exact half-steps end. */
static void test_gradient_converges(void) {
  Data data = make_data(75, 43, .2, 1);
  for (int ranking = 0; ranking < 2; ranking++) {
    double loss[2];
    for (int solver = 0; solver < 2; solver++) {
      AlsOptions options = ranking ? ranking_options(2) : rating_options(2);
      options.solver = (AlsSolver)solver;
      Als *als = create(&data, &options);
      AlsReport report = {0};
      Error error = {0};
      for (int epoch = 0; epoch < 300; epoch++) als_epoch(als, &report, NULL, &error);
      loss[solver] = report.loss_after_items;
      als_destroy(als);
    }
    CHECK_NEAR(loss[0] / loss[1], 1, 1e-5);
  }
  free_data(&data);
}

/* ---- the same bytes ---------------------------------------------------------------------------------------------- */

static Factors train(const Data *data, AlsOptions options, int epochs) {
  Als *als = create(data, &options);
  AlsReport report;
  Error error = {0};
  Factors factors;
  for (int epoch = 0; epoch < epochs; epoch++) CHECK(als_epoch(als, &report, NULL, &error) == SQLITE_OK);
  CHECK(als_finish(als, NULL, NULL, &error) == SQLITE_OK);
  als_take(als, &factors);
  als_destroy(als);
  return factors;
}

static int same_factors(const Factors *a, const Factors *b) {
  size_t row = (size_t)a->stride * sizeof(float);
  if (memcmp(a->user, b->user, a->users * row) || memcmp(a->item, b->item, a->items * row)) return 0;
  if (!a->user_bias) return !b->user_bias;
  return memcmp(a->user_bias, b->user_bias, a->users * sizeof(float)) == 0 &&
         memcmp(a->item_bias, b->item_bias, a->items * sizeof(float)) == 0;
}

static void check_threads(const Data *data, AlsOptions options) {
  const int threads[] = {2, 3, 7};
  options.threads = 1;
  Factors one = train(data, options, 2);
  for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
    options.threads = threads[t];
    Factors many = train(data, options, 2);
    CHECK(same_factors(&one, &many));
    factors_free(&many);
  }
  factors_free(&one);
}

static void test_threads(void) {
  Data data = make_data(700, 300, .1, 1);
  for (int solver = 0; solver < 3; solver++) {
    AlsOptions rating = rating_options(40), ranking = ranking_options(40);
    rating.solver = ranking.solver = solver == 0 ? ALS_CONJUGATE_GRADIENT : ALS_CHOLESKY;
    rating.nonnegative = ranking.nonnegative = solver == 2;
    check_threads(&data, rating);
    check_threads(&data, ranking);
  }
  free_data(&data);
}

/* Rows that do not fit a panel, and one so long that it is shared among threads. */
static void test_long_rows(void) {
  Data data = make_data(4000, 4, .3, 1);
  AlsOptions options = rating_options(64);
  check_training(&data, &options, 2);
  options.solver = ALS_CONJUGATE_GRADIENT;
  check_training(&data, &options, 2);
  options = ranking_options(64);
  check_training(&data, &options, 2);
  free_data(&data);
  data = make_data(80000, 3, .02, 1);
  for (int solver = 0; solver < 3; solver += 1 + SANITIZED) {
    options = rating_options(30);
    options.solver = solver == 0 ? ALS_CONJUGATE_GRADIENT : ALS_CHOLESKY;
    options.nonnegative = solver == 2;
    check_training(&data, &options, 1);
    if (solver == 0) check_threads(&data, options);
    if (solver == 1) {
      options = ranking_options(30);
      options.solver = ALS_CONJUGATE_GRADIENT;
      check_training(&data, &options, 1);
    }
  }
  free_data(&data);
}

static void test_levels(void) {
  Data data = make_data(75, 43, .2, 1);
  const char *levels[] = {"generic", "avx2", "avx512"};
  for (int solver = 0; solver < 2; solver++) {
    for (int ranking = 0; ranking < 2; ranking++) {
      AlsOptions options = ranking ? ranking_options(20) : rating_options(20);
      options.solver = (AlsSolver)solver;
      Factors first = {0};
      for (size_t level = 0; level < sizeof levels / sizeof *levels; level += 1 + SANITIZED) {
        setenv("RECOMMEND_SIMD", levels[level], 1);
        Factors factors = train(&data, options, 3);
        if (level == 0) first = factors;
        double worst = 0;
        for (size_t u = 0; u < factors.users; u++)
          for (size_t i = 0; i < factors.items; i++)
            worst = fmax(worst, fabs((double)factors_predict(&factors, u, i) - (double)factors_predict(&first, u, i)));
        CHECK_NEAR(worst, 0, 1e-4);
        if (level > 0) factors_free(&factors);
      }
      factors_free(&first);
    }
  }
  unsetenv("RECOMMEND_SIMD");
  free_data(&data);
}

/* ---- when things go wrong ---------------------------------------------------------------------------------------- */

static int whole_training(const Data *data, const AlsOptions *options, const Cancel *cancel) {
  Als *als = NULL;
  Error error = {0};
  AlsReport report;
  int code = als_create(&als, &data->by_user, &data->by_item, options, &error);
  if (code == SQLITE_OK) code = als_epoch(als, &report, cancel, &error);
  if (code == SQLITE_OK) code = als_finish(als, &report, cancel, &error);
  CHECK(code == error.code);
  als_destroy(als);
  error_clear(&error);
  return code;
}

static void check_memory(const Data *data, const AlsOptions *options) {
  int code = SQLITE_NOMEM;
  long before = outstanding, n = 0;
  for (; code != SQLITE_OK && n < 1000; n++) {
    fail_after = n;
    code = whole_training(data, options, NULL);
    fail_after = -1;
    CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
    CHECK(outstanding == before);
  }
  CHECK(code == SQLITE_OK && n > 10);
}

static void test_memory(void) {
  Data data = make_data(75, 43, .2, 1);
  AlsOptions options = rating_options(20);
  check_memory(&data, &options);
  options.solver = ALS_CONJUGATE_GRADIENT;
  check_memory(&data, &options);
  options = ranking_options(20);
  check_memory(&data, &options);
  free_data(&data);
  data = make_data(80000, 3, 0, 1);
  options = rating_options(30);
  options.solver = ALS_CONJUGATE_GRADIENT, options.threads = 1;
  check_memory(&data, &options);
  free_data(&data);
}

static void check_cancel(const Data *data, const AlsOptions *options, long least) {
  long polls = 0;
  int code = SQLITE_INTERRUPT;
  for (; code == SQLITE_INTERRUPT && polls < 100000; polls += 1 + polls) {
    long left = polls;
    Cancel cancel = {count_down, &left};
    code = whole_training(data, options, &cancel);
    CHECK(code == SQLITE_OK || code == SQLITE_INTERRUPT);
  }
  CHECK(code == SQLITE_OK && polls > least);
}

static void test_cancel(void) {
  Data data = make_data(700, 300, .1, 1);
  AlsOptions options = rating_options(40);
  check_cancel(&data, &options, 5);
  options = ranking_options(40);
  options.solver = ALS_CONJUGATE_GRADIENT;
  check_cancel(&data, &options, 5);
  free_data(&data);
  data = make_data(80000, 3, 0, 1); /* the long row alone is polled for often */
  options = rating_options(30);
  options.threads = 1;
  check_cancel(&data, &options, 200);
  free_data(&data);
}

static void test_not_finite(void) {
  Data data = make_data(30, 20, .5, 1);
  data.by_user.value[3] = 3e38f;
  sparse_free(&data.by_item);
  assert_int_equal(sparse_transpose(&data.by_user, &data.by_item, 2, NULL), SQLITE_OK);
  for (int solver = 0; solver < 2; solver++) {
    AlsOptions options = rating_options(5);
    options.solver = (AlsSolver)solver;
    Als *als = create(&data, &options);
    Error error = {0};
    AlsReport report;
    CHECK(als_epoch(als, &report, NULL, &error) == SQLITE_ERROR);
    CHECK(error.message && strstr(error.message, "no longer finite after epoch 1"));
    error_clear(&error);
    als_destroy(als);
  }
  free_data(&data);
}

/* Hardly any regularization: rounding may make the matrix singular, yet the loss must not rise. */
static void test_ill_conditioned(void) {
  Data data = make_data(75, 43, .2, 1);
  for (int solver = 0; solver < 3; solver++) {
    AlsOptions options = rating_options(40);
    options.regularization = 1e-7;
    options.solver = solver == 0 ? ALS_CONJUGATE_GRADIENT : ALS_CHOLESKY;
    options.nonnegative = solver == 2;
    Als *als = create(&data, &options);
    Error error = {0};
    AlsReport report;
    double last = INFINITY, start = 0;
    for (int epoch = 0; epoch < 8; epoch++) {
      CHECK(als_epoch(als, &report, NULL, &error) == SQLITE_OK);
      if (epoch == 0) start = report.loss_after_users;
      CHECK(report.loss_after_users <= last + 1e-6 * start);
      CHECK(report.loss_after_items <= report.loss_after_users + 1e-6 * start);
      last = report.loss_after_items;
    }
    als_destroy(als);
  }
  free_data(&data);
}

static void test_nothing_is_lost(void) { assert_int_equal(outstanding, 0); }

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_losses),          TEST(test_shapes),          TEST(test_gradient_converges),
      TEST(test_threads),         TEST(test_long_rows),       TEST(test_levels),
      TEST(test_memory),          TEST(test_cancel),          TEST(test_not_finite),
      TEST(test_ill_conditioned), TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
