/* svd_centered.h against the dense centred matrix, written out; the published toy matrix; and prediction_bounds.h
 * against all cells. */
#include "base/simd.h"
#include "factorizing.h"
#include "learn/prediction_bounds.h"
#include "learn/svd.h"
#include "learn/svd_centered.h"

static SvdCenteredOptions options = {.rank = 6, .tolerance = 1e-7, .iterations = 60, .seed = 3};

static int create(Factorizer *factorizer, const Data *data, int threads, int rank, const Cancel *cancel, Error *error) {
  SvdCenteredOptions now = options;
  now.threads = threads;
  now.rank = rank;
  return svd_centered_create(factorizer, &data->by_user, &data->by_item, &now, cancel, error);
}

static const Method method = {.create = create, .least_polls = 5};

/* ---- the matrix, written out ------------------------------------------------------------------------------------- */

typedef struct Dense {
  size_t users, items;
  double *value, *center; /* users × items */
  char *there;
} Dense;

/* The mean over one line of cells, of all of them or of those that are there; `otherwise` where there are none. */
static double mean_of(const Dense *dense, size_t user, size_t item, double otherwise) {
  double sum = 0, count = 0;
  for (size_t u = 0; u < dense->users; u++)
    for (size_t i = 0; i < dense->items; i++) {
      if ((user != SIZE_MAX && u != user) || (item != SIZE_MAX && i != item)) continue;
      if (options.missing == SVD_MISSING_MEAN && !dense->there[u * dense->items + i]) continue;
      sum += dense->value[u * dense->items + i];
      count++;
    }
  return count > 0 ? sum / count : otherwise;
}

static Dense dense_of(const Data *data) {
  Dense dense = {.users = data->by_user.rows, .items = data->by_user.columns};
  size_t cells = dense.users * dense.items + 1;
  dense.value = calloc(cells, sizeof(double));
  dense.center = calloc(cells, sizeof(double));
  dense.there = calloc(cells, 1);
  for (size_t u = 0; u < dense.users; u++)
    for (size_t e = data->by_user.start[u]; e < data->by_user.start[u + 1]; e++) {
      dense.value[u * dense.items + data->by_user.index[e]] = entry_value(&data->by_user, e);
      dense.there[u * dense.items + data->by_user.index[e]] = 1;
    }
  double all = mean_of(&dense, SIZE_MAX, SIZE_MAX, 0);
  for (size_t u = 0; u < dense.users; u++)
    for (size_t i = 0; i < dense.items; i++)
      dense.center[u * dense.items + i] = options.center == SVD_CENTER_USER     ? mean_of(&dense, u, SIZE_MAX, all)
                                          : options.center == SVD_CENTER_ITEM   ? mean_of(&dense, SIZE_MAX, i, all)
                                          : options.center == SVD_CENTER_GLOBAL ? all
                                                                                : 0;
  return dense;
}

static void dense_free(Dense *dense) {
  free(dense->value);
  free(dense->center);
  free(dense->there);
}

/* The nearest matrix of the rank, by svd.h from every cell. */
static SvdResult decompose(const Dense *dense, double *loss) {
  float *values = calloc(dense->users * dense->items + 1, sizeof *values);
  for (size_t c = 0; c < dense->users * dense->items; c++) {
    double cell = dense->there[c] || options.missing == SVD_MISSING_ZERO ? dense->value[c] - dense->center[c] : 0;
    values[c] = (float)cell;
  }
  DenseMatrix matrix = {values, dense->users, dense->items, dense->items};
  SvdMatrix whole;
  SvdOptions inner = {options.rank, options.tolerance, options.iterations, 99, 1};
  Svd *svd = NULL;
  SvdReport report = {0};
  SvdResult result;
  Error error = {0};
  CHECK(svd_dense(&whole, &matrix, 1, NULL) == SQLITE_OK);
  CHECK(svd_create(&svd, &whole, &inner, &error) == SQLITE_OK);
  while (!report.done) CHECK(svd_iterate(svd, &report, NULL, &error) == SQLITE_OK);
  CHECK(svd_finish(svd, &result, NULL, &error) == SQLITE_OK);
  *loss = report.loss;
  svd_destroy(svd);
  free(values);
  return result;
}

static void check_written_out(const Data *data) {
  Dense dense = dense_of(data);
  FactorizerReport report;
  Factors factors = fitted(&method, data, 2, options.rank, 100, &report);
  double loss, worst = 0, squared = 0;
  SvdResult result = decompose(&dense, &loss);
  for (size_t u = 0; u < dense.users; u++)
    for (size_t i = 0; i < dense.items; i++) {
      double expected = dense.center[u * dense.items + i];
      for (size_t f = 0; f < (size_t)options.rank; f++)
        expected += (double)(result.left[u * (size_t)result.stride + f] * result.right[i * (size_t)result.stride + f]);
      worst = fmax(worst, fabs(expected - (double)factors_predict(&factors, u, i)));
      if (dense.there[u * dense.items + i]) squared += pow(dense.value[u * dense.items + i] - expected, 2);
    }
  CHECK_NEAR(worst, 0, 2e-3);
  CHECK_NEAR(report.loss / (loss + 1e-9), 1, 1e-4);
  CHECK_NEAR(report.train_rmse, sqrt(squared / fmax((double)data->by_user.start[dense.users], 1)), 1e-3);
  CHECK((factors.user_bias != NULL) == (options.center == SVD_CENTER_USER || options.center == SVD_CENTER_ITEM));
  svd_result_free(&result);
  factors_free(&factors);
  dense_free(&dense);
}

static void test_written_out(void) {
  Data data = make_data(90, 61, .3, 1), ones = make_data(50, 80, .2, 0);
  for (options.center = SVD_CENTER_USER; options.center <= SVD_CENTER_NONE; options.center++)
    for (options.missing = SVD_MISSING_ZERO; options.missing <= SVD_MISSING_MEAN; options.missing++) {
      check_written_out(&data);
      if (options.missing == SVD_MISSING_ZERO) check_written_out(&ones); /* else there is nothing left of them */
      check_finite_shapes(&method);
    }
  free_data(&data);
  free_data(&ones);
}

/* Five people and what they bought: rank 2, less users' means. */
static void test_toy(void) {
  static const float expected[5][5] = {{1.026F, 1.130F, .514F, .267F, .062F},
                                       {.260F, .568F, .569F, .773F, -.171F},
                                       {.959F, .965F, .233F, -.136F, -.020F},
                                       {-.109F, .206F, .684F, 1.136F, .083F},
                                       {.150F, -.171F, .083F, 0, .938F}};
  size_t start[] = {0, 3, 5, 7, 9, 10};
  uint32_t index[] = {0, 1, 2, 1, 3, 0, 1, 2, 3, 4};
  Data data = {.by_user = {5, 5, start, index, NULL}};
  assert_int_equal(sparse_transpose(&data.by_user, &data.by_item, 1, NULL), SQLITE_OK);
  options.rank = 2, options.center = SVD_CENTER_USER, options.missing = SVD_MISSING_ZERO;
  FactorizerReport report;
  Factors factors = fitted(&method, &data, 1, options.rank, 100, &report);
  for (size_t u = 0; u < 5; u++)
    for (size_t i = 0; i < 5; i++) CHECK_NEAR(factors_predict(&factors, u, i), expected[u][i], .0006);
  factors_free(&factors);
  sparse_free(&data.by_item);
}

/* There are no factors before the end, and a loss that does not rise. */
static void test_before_the_end(void) {
  Data data = make_data(90, 61, .3, 1);
  Factorizer fit;
  Error error = {0};
  FactorizerReport report;
  double last = INFINITY;
  options.center = SVD_CENTER_ITEM;
  assert_int_equal(create(&fit, &data, 1, options.rank, NULL, &error), SQLITE_OK);
  for (int done = 0; !done;) {
    CHECK(fit.method->epoch(fit.state, &report, &done, NULL, &error) == SQLITE_OK);
    CHECK(fit.method->factors(fit.state) == NULL);
    CHECK(report.loss <= last * (1 + 1e-6) && isnan(report.train_rmse));
    last = report.loss;
  }
  assert_int_equal(fit.method->finish(fit.state, &report, NULL, &error), SQLITE_OK);
  assert_non_null(fit.method->factors(fit.state));
  assert_true(report.train_rmse > 0);
  assert_true(report.loss == last);
  fit.method->destroy(fit.state);
  free_data(&data);
}

/* ---- the lowest and the highest prediction ----------------------------------------------------------------------- */

static void test_extent(void) {
  const size_t shapes[][2] = {{1, 1}, {9000, 3}, {37, 500}, {5, 1}};
  for (size_t s = 0; s < 4; s++)
    for (int biases = 0; biases < 2; biases++) {
      Factors f;
      double low = INFINITY, high = -INFINITY, got[2], again[2];
      CHECK(factors_alloc(&f, shapes[s][0], shapes[s][1], 5, biases) == SQLITE_OK);
      f.mean = 2;
      for (size_t k = 0; k < f.users * (size_t)f.stride; k++)
        if (k % (size_t)f.stride < 5) f.user[k] = (float)random_normal(1, k);
      for (size_t k = 0; k < f.items * (size_t)f.stride; k++)
        if (k % (size_t)f.stride < 5) f.item[k] = (float)random_normal(2, k);
      for (size_t u = 0; u < f.users && biases; u++) f.user_bias[u] = (float)random_normal(3, u);
      for (size_t i = 0; i < f.items && biases; i++) f.item_bias[i] = (float)random_normal(4, i);
      for (size_t u = 0; u < f.users; u++)
        for (size_t i = 0; i < f.items; i++) {
          low = fmin(low, (double)factors_predict(&f, u, i));
          high = fmax(high, (double)factors_predict(&f, u, i));
        }
      CHECK(factors_extent(&f, &got[0], &got[1], 1, NULL) == SQLITE_OK);
      CHECK(factors_extent(&f, &again[0], &again[1], 4, NULL) == SQLITE_OK);
      CHECK_NEAR(got[0], low, 1e-5);
      CHECK_NEAR(got[1], high, 1e-5);
      CHECK(got[0] == again[0] && got[1] == again[1]);
      int code = SQLITE_NOMEM;
      for (long n = 0; code != SQLITE_OK && n < 100; n++) {
        fail_after = n;
        code = factors_extent(&f, &again[0], &again[1], 1, NULL);
        fail_after = -1;
        CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
      }
      long left = 0;
      Cancel cancel = {count_down, &left};
      CHECK(factors_extent(&f, &again[0], &again[1], 1, &cancel) == SQLITE_INTERRUPT);
      factors_free(&f);
    }
  Factors none = {0};
  double low, high;
  assert_int_equal(factors_extent(&none, &low, &high, 1, NULL), SQLITE_OK);
  assert_true(low == 0);
  assert_true(high == 0);
}

static void test_promises(void) {
  Data data = make_data(700, 300, .1, 1);
  for (options.missing = SVD_MISSING_ZERO; options.missing <= SVD_MISSING_MEAN; options.missing++) {
    check_threads_on(&method, &data, 20);
    check_memory(&method);
    check_cancel(&method);
  }
  free_data(&data);
}

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_written_out), TEST(test_toy),      TEST(test_before_the_end),
      TEST(test_extent),      TEST(test_promises), TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
