/* learn/baseline.h against the formulas evaluated cell by cell, and against published errors on MovieLens 100K where
 * that is at hand (RECOMMEND_DATA). */
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/sqlite.h"
#include "cancelling.h"
#include "check.h"
#include "failing_memory.h"
#include "learn/baseline.h"

/* ---- data -------------------------------------------------------------------------------------------------------- */

typedef struct Data {
  SparseMatrix by_user, by_item;
} Data;

/* Ratings 1 … 5 of a share of all cells; every seventh user and fifth item has none. */
static Data make_data(size_t users, size_t items, double share, int with_values) {
  Data data = {0};
  CHECK(sparse_alloc(&data.by_user, users, items, users * items, with_values) == SQLITE_OK);
  size_t entries = 0;
  for (size_t user = 0; user < users; user++) {
    for (size_t item = 0; item < items; item++) {
      size_t cell = user * items + item;
      if (users > 1 && (user % 7 == 3 || item % 5 == 2)) continue;
      if (random_uniform(5, cell) >= share) continue;
      if (with_values) data.by_user.value[entries] = (float)(1 + random_bits(6, cell) % 5);
      data.by_user.index[entries++] = (uint32_t)item;
    }
    data.by_user.start[user + 1] = entries;
  }
  CHECK(sparse_transpose(&data.by_user, &data.by_item, 1, NULL) == SQLITE_OK);
  return data;
}

static void free_data(Data *data) {
  sparse_free(&data->by_user);
  sparse_free(&data->by_item);
}

static BaselineOptions options_of(BaselineMethod method) {
  return (BaselineOptions){
      .method = method, .user_regularization = 15, .item_regularization = 10, .epochs = 10, .threads = 2};
}

/* ---- by the book ------------------------------------------------------------------------------------------------- */

static double mean_of(const SparseMatrix *matrix, size_t from, size_t to, double otherwise) {
  double sum = 0, n = (double)(matrix->start[to] - matrix->start[from]);
  for (size_t e = matrix->start[from]; e < matrix->start[to]; e++) sum += matrix->value ? (double)matrix->value[e] : 1;
  return n > 0 ? sum / n : otherwise;
}

static void damp(const SparseMatrix *matrix, double mean, const double *other, double regularization, double *bias) {
  for (size_t row = 0; row < matrix->rows; row++) {
    double sum = 0;
    for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++)
      sum += (matrix->value ? (double)matrix->value[e] : 1) - mean - other[matrix->index[e]];
    bias[row] = sum / (regularization + (double)sparse_row_length(matrix, row));
  }
}

static void check_method(const Data *data, BaselineMethod method) {
  size_t users = data->by_user.rows, items = data->by_item.rows;
  BaselineOptions options = options_of(method);
  Factors factors;
  Error error = {0};
  double rmse = -1, *user = calloc(users + 1, sizeof *user), *item = calloc(items + 1, sizeof *item);
  double mean = mean_of(&data->by_user, 0, users, 0), square = 0;
  CHECK(baseline_fit(&data->by_user, &data->by_item, &options, &factors, &rmse, NULL, &error) == SQLITE_OK);
  for (int round = 0; method == BASELINE_BIAS && round < 10; round++) {
    damp(&data->by_item, mean, user, 10, item);
    damp(&data->by_user, mean, item, 15, user);
  }
  for (size_t u = 0; method == BASELINE_USER_MEAN && u < users; u++)
    user[u] = mean_of(&data->by_user, u, u + 1, mean) - mean;
  for (size_t i = 0; method == BASELINE_ITEM_MEAN && i < items; i++)
    item[i] = mean_of(&data->by_item, i, i + 1, mean) - mean;
  CHECK(factors.rank == 0 && factors.users == users && factors.items == items);
  CHECK_NEAR(factors.mean, mean, 1e-12);
  for (size_t u = 0; u < users; u++) CHECK_NEAR(factors.user_bias[u], user[u], 1e-6);
  for (size_t i = 0; i < items; i++) CHECK_NEAR(factors.item_bias[i], item[i], 1e-6);
  for (size_t u = 0; u < users; u++)
    for (size_t e = data->by_user.start[u]; e < data->by_user.start[u + 1]; e++) {
      double value = data->by_user.value ? (double)data->by_user.value[e] : 1;
      square += pow(value - mean - user[u] - item[data->by_user.index[e]], 2);
    }
  size_t entries = data->by_user.start[users];
  CHECK_NEAR(rmse, entries > 0 ? sqrt(square / (double)entries) : 0, 1e-9);
  factors_free(&factors);
  CHECK(baseline_fit(&data->by_user, &data->by_item, &options, &factors, NULL, NULL, &error) == SQLITE_OK);
  factors_free(&factors);
  free(user);
  free(item);
}

static void test_methods(void) {
  const size_t shapes[][2] = {{1, 1}, {1, 9}, {9, 1}, {30, 20}, {400, 300}, {0, 0}, {0, 5}, {5, 0}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int with_values = 0; with_values < 2; with_values++) {
      Data data = make_data(shapes[s][0], shapes[s][1], .3, with_values);
      for (int method = 0; method < BASELINE_METHODS; method++) check_method(&data, (BaselineMethod)method);
      free_data(&data);
    }
}

/* Without damping and where every user has rated every item, one round is exact: means of rows and columns. */
static void test_undamped(void) {
  Data data = make_data(1, 6, 1, 1);
  BaselineOptions options = options_of(BASELINE_BIAS);
  Factors factors;
  Error error = {0};
  double rmse = -1;
  options.user_regularization = options.item_regularization = 0;
  assert_int_equal(baseline_fit(&data.by_user, &data.by_item, &options, &factors, &rmse, NULL, &error), SQLITE_OK);
  CHECK_NEAR(rmse, 0, 1e-12);
  factors_free(&factors);
  free_data(&data);
  data = make_data(20, 10, .5, 1); /* rows that are empty have nothing to divide by */
  assert_int_equal(baseline_fit(&data.by_user, &data.by_item, &options, &factors, &rmse, NULL, &error), SQLITE_OK);
  for (size_t user = 3; user < 20; user += 7) CHECK(factors.user_bias[user] == 0);
  factors_free(&factors);
  free_data(&data);
}

/* ---- MovieLens 100K, u1 ------------------------------------------------------------------------------------------ */

typedef struct Rating {
  unsigned user, item;
  double value;
} Rating;

enum { USERS = 943, ITEMS = 1682 };

/* The ratings of a file, sorted by user and item as they come; 0 where it can't be read. */
static size_t read_ratings(const char *folder, const char *name, Rating *ratings, size_t most) {
  char path[4096];
  snprintf(path, sizeof path, "%s/ml-100k/%s", folder, name);
  FILE *file = fopen(path, "r");
  size_t n = 0;
  if (!file) return 0;
  while (n < most && fscanf(file, "%u %u %lf %*u", &ratings[n].user, &ratings[n].item, &ratings[n].value) == 3) {
    ratings[n].user--, ratings[n].item--;
    n++;
  }
  fclose(file);
  return n;
}

static int by_cell(const void *a, const void *b) {
  const Rating *x = a, *y = b;
  return x->user != y->user ? (x->user > y->user) - (x->user < y->user) : (x->item > y->item) - (x->item < y->item);
}

static void check_u1(const Data *data, const Rating *test, size_t n, BaselineMethod method, double rmse, double mae) {
  BaselineOptions options = options_of(method);
  Factors factors;
  Error error = {0};
  double squares = 0, sum = 0;
  CHECK(baseline_fit(&data->by_user, &data->by_item, &options, &factors, NULL, NULL, &error) == SQLITE_OK);
  for (size_t i = 0; i < n; i++) {
    double prediction = (double)factors_predict(&factors, test[i].user, test[i].item); /* no ratings: a bias of 0 */
    double distance = fmin(5, fmax(1, prediction)) - test[i].value;
    squares += distance * distance;
    sum += fabs(distance);
  }
  CHECK_NEAR(sqrt(squares / (double)n), rmse, 1e-5);
  CHECK_NEAR(sum / (double)n, mae, 1e-5);
  factors_free(&factors);
}

static void test_movielens(void) {
  const char *folder = getenv("RECOMMEND_DATA");
  Rating *ratings = malloc(200000 * sizeof *ratings), *test = ratings + 100000;
  size_t n = folder ? read_ratings(folder, "u1.base", ratings, 100000) : 0, m = 0;
  if (n > 0) m = read_ratings(folder, "u1.test", test, 100000);
  if (m > 0) {
    Data data = {0};
    assert_int_equal(n, 80000);
    assert_int_equal(m, 20000);
    qsort(ratings, n, sizeof *ratings, by_cell);
    assert_int_equal(sparse_alloc(&data.by_user, USERS, ITEMS, n, 1), SQLITE_OK);
    for (size_t i = 0; i < n; i++) {
      data.by_user.index[i] = ratings[i].item;
      data.by_user.value[i] = (float)ratings[i].value;
      data.by_user.start[ratings[i].user + 1] = i + 1;
    }
    for (size_t u = 0; u < USERS; u++)
      if (data.by_user.start[u + 1] == 0) data.by_user.start[u + 1] = data.by_user.start[u];
    assert_int_equal(sparse_transpose(&data.by_user, &data.by_item, 1, NULL), SQLITE_OK);
    check_u1(&data, test, m, BASELINE_BIAS, .95994, .76158);
    check_u1(&data, test, m, BASELINE_USER_MEAN, 1.06300, .85019);
    check_u1(&data, test, m, BASELINE_ITEM_MEAN, 1.03341, .82757);
    check_u1(&data, test, m, BASELINE_GLOBAL_MEAN, 1.15368, .96805);
    free_data(&data);
  }
  free(ratings);
}

/* ---- promises ---------------------------------------------------------------------------------------------------- */

static void test_threads(void) {
  Data data = make_data(1200, 500, .4, 1);
  const int threads[] = {1, 2, 5};
  for (int method = 0; method < BASELINE_METHODS; method++) {
    Factors first = {0}, factors;
    double first_rmse = 0, rmse;
    for (size_t t = 0; t < 3; t++) {
      BaselineOptions options = options_of((BaselineMethod)method);
      Error error = {0};
      options.threads = threads[t];
      CHECK(baseline_fit(&data.by_user, &data.by_item, &options, &factors, &rmse, NULL, &error) == SQLITE_OK);
      if (t == 0) {
        first = factors, first_rmse = rmse;
        continue;
      }
      CHECK(memcmp(first.user_bias, factors.user_bias, 1200 * sizeof(float)) == 0);
      CHECK(memcmp(first.item_bias, factors.item_bias, 500 * sizeof(float)) == 0);
      CHECK(first.mean == factors.mean && first_rmse == rmse);
      factors_free(&factors);
    }
    factors_free(&first);
  }
  free_data(&data);
}

static int whole(const Data *data, const Cancel *cancel) {
  BaselineOptions options = options_of(BASELINE_BIAS);
  Factors factors;
  Error error = {0};
  double rmse;
  int code = baseline_fit(&data->by_user, &data->by_item, &options, &factors, &rmse, cancel, &error);
  CHECK(code == error.code);
  factors_free(&factors);
  error_clear(&error);
  return code;
}

static void test_memory(void) {
  Data data = make_data(40, 30, .3, 1);
  int code = SQLITE_NOMEM;
  long before = outstanding, n = 0;
  for (; code != SQLITE_OK && n < 1000; n++) {
    fail_after = n;
    code = whole(&data, NULL);
    fail_after = -1;
    CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
    CHECK(outstanding == before);
  }
  assert_int_equal(code, SQLITE_OK);
  assert_true(n > 5);
  free_data(&data);
}

static void test_cancel(void) {
  Data data = make_data(300, 200, .2, 1);
  long polls = 0, before = outstanding;
  int code = SQLITE_INTERRUPT;
  for (; code == SQLITE_INTERRUPT && polls < 100000; polls += 1 + polls / 8) {
    long left = polls;
    Cancel cancel = {count_down, &left};
    code = whole(&data, &cancel);
    CHECK(code == SQLITE_OK || code == SQLITE_INTERRUPT);
    CHECK(outstanding == before);
  }
  assert_int_equal(code, SQLITE_OK);
  assert_true(polls > 10);
  free_data(&data);
}

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_methods), TEST(test_undamped), TEST(test_movielens),
      TEST(test_threads), TEST(test_memory),   TEST(test_cancel),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
