/* nmf.h against its update rule in double precision, element by element. */
#include "factorizing.h"
#include "learn/nmf.h"

static NmfOptions options = {.rank = 7, .regularization = .06, .init_scale = 1.4, .seed = 5};

static int create(Factorizer *factorizer, const Data *data, int threads, int rank, const Cancel *cancel, Error *error) {
  NmfOptions now = options;
  now.threads = threads;
  now.rank = rank;
  return nmf_create(factorizer, &data->by_user, &data->by_item, &now, cancel, error);
}

static const Method method = {.create = create, .least_polls = 5, .empty_are_zero = 1};

/* x · Σ y other / (Σ ŷ other + n λ x), for every element of one side. */
static void literal_side(const SparseMatrix *matrix, const double *x, const double *other, double *next) {
  size_t rank = (size_t)options.rank;
  for (size_t row = 0; row < matrix->rows; row++)
    for (size_t f = 0; f < rank; f++) {
      double n = (double)sparse_row_length(matrix, row), above = 0,
             below = n * options.regularization * x[row * rank + f];
      for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++) {
        double predicted = 0;
        for (size_t g = 0; g < rank; g++) predicted += x[row * rank + g] * other[matrix->index[e] * rank + g];
        above += entry_value(matrix, e) * other[matrix->index[e] * rank + f];
        below += predicted * other[matrix->index[e] * rank + f];
      }
      next[row * rank + f] = below > 0 ? x[row * rank + f] * above / below : x[row * rank + f];
    }
}

static double *rows_of(const float *from, size_t rows, size_t stride) {
  double *to = calloc(rows * (size_t)options.rank + 1, sizeof *to);
  for (size_t row = 0; row < rows; row++)
    for (size_t f = 0; f < (size_t)options.rank; f++)
      to[row * (size_t)options.rank + f] = (double)from[row * stride + f];
  return to;
}

static double worst_of(const float *got, const double *expected, size_t rows, size_t stride) {
  double worst = 0;
  for (size_t row = 0; row < rows; row++)
    for (size_t f = 0; f < (size_t)options.rank; f++) {
      CHECK(got[row * stride + f] >= 0);
      worst = fmax(worst, fabs((double)got[row * stride + f] - expected[row * (size_t)options.rank + f]));
    }
  return worst;
}

static void check_report_of(const Data *data, const Factors *factors, const FactorizerReport *report) {
  double squared = 0, penalty = 0;
  const SparseMatrix *by_user = &data->by_user;
  for (size_t user = 0; user < by_user->rows; user++)
    for (size_t e = by_user->start[user]; e < by_user->start[user + 1]; e++) {
      size_t item = by_user->index[e];
      squared += pow(entry_value(by_user, e) - (double)factors_predict(factors, user, item), 2);
      for (size_t f = 0; f < (size_t)factors->rank; f++)
        penalty += options.regularization * (pow((double)factors->user[user * (size_t)factors->stride + f], 2) +
                                             pow((double)factors->item[item * (size_t)factors->stride + f], 2));
    }
  CHECK_NEAR(report->loss, squared + penalty, 1e-5 * (squared + penalty));
  CHECK_NEAR(report->train_rmse, sqrt(squared / (double)by_user->start[by_user->rows]), 1e-5);
}

static void check_literally(const Data *data, int epochs) {
  Factorizer fit;
  Error error = {0};
  FactorizerReport report;
  int done;
  CHECK(create(&fit, data, 2, options.rank, NULL, &error) == SQLITE_OK);
  const Factors *factors = fit.method->factors(fit.state);
  size_t users = factors->users, items = factors->items, stride = (size_t)factors->stride;
  double *side[2] = {rows_of(factors->user, users, stride), rows_of(factors->item, items, stride)};
  double *next[2] = {rows_of(factors->user, users, stride), rows_of(factors->item, items, stride)};
  double least = INFINITY, most = 0;
  for (size_t i = 0; i < users * (size_t)options.rank; i++)
    if (side[0][i] > 0) least = fmin(least, side[0][i]), most = fmax(most, side[0][i]);
  CHECK(least < .1 && most > .8 * options.init_scale * sqrt(3 / (double)options.rank));
  CHECK(most < options.init_scale * sqrt(3 / (double)options.rank));
  for (int epoch = 0; epoch < epochs; epoch++) {
    CHECK(fit.method->epoch(fit.state, &report, &done, NULL, &error) == SQLITE_OK && !done);
    literal_side(&data->by_user, side[0], side[1], next[0]);
    literal_side(&data->by_item, side[1], side[0], next[1]);
    for (int s = 0; s < 2; s++) memcpy(side[s], next[s], (s ? items : users) * (size_t)options.rank * sizeof **side);
  }
  CHECK_NEAR(worst_of(factors->user, side[0], users, stride), 0, 2e-5);
  CHECK_NEAR(worst_of(factors->item, side[1], items, stride), 0, 2e-5);
  check_report_of(data, factors, &report);
  for (int s = 0; s < 2; s++) {
    free(side[s]);
    free(next[s]);
  }
  fit.method->destroy(fit.state);
  error_clear(&error);
}

static void test_literally(void) {
  Data data = make_data(40, 31, .3, 1), ones = make_data(20, 12, .5, 0);
  check_literally(&data, 1);
  check_literally(&data, 8);
  check_literally(&ones, 4);
  /* Ratings of zero only: there is nothing to divide by but what regularization leaves. */
  for (size_t e = 0; e < data.by_user.start[40]; e++) data.by_user.value[e] = data.by_item.value[e] = 0;
  check_literally(&data, 3);
  free_data(&data);
  free_data(&ones);
}

static void test_not_finite(void) {
  Data data = make_data(40, 31, .3, 1);
  Error error = {0};
  FactorizerReport report;
  Factorizer fit;
  int done;
  for (size_t e = 0; e < data.by_user.start[40]; e++) data.by_user.value[e] = data.by_item.value[e] = 3e38F;
  assert_int_equal(create(&fit, &data, 1, options.rank, NULL, &error), SQLITE_OK);
  int code = fit.method->epoch(fit.state, &report, &done, NULL, &error);
  assert_int_equal(code, SQLITE_ERROR);
  assert_true(error.message);
  assert_true(strstr(error.message, "no longer finite after epoch 1"));
  fit.method->destroy(fit.state);
  error_clear(&error);
  free_data(&data);
}

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_literally),
      TEST(test_not_finite),
      TEST_OF(check_finite_shapes, method),
      TEST_OF(check_levels, method),
      TEST_OF(check_memory, method),
      TEST_OF(check_cancel, method),
      TEST_OF(check_not_finite, method),
      TEST_OF(check_threads, method),
      TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
