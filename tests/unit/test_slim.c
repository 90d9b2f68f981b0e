/* learn/slim.h against the conditions of an optimum in dense matrices, and the promises about order, bytes, memory,
 * cancelling and threads. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "cancelling.h"
#include "check.h"
#include "failing_memory.h"
#include "learn/slim.h"

static const SlimOptions usual = {
    .l1 = 1, .l2 = 2, .nonnegative = 1, .iterations = 1000, .tolerance = 1e-7, .most = UINT64_MAX, .threads = 2};

/* Users × items; every seventh user, and the item 3, have nothing. `with_values`: ratings, negative ones among them. */
static SparseMatrix make_data(size_t users, size_t items, double share, int with_values) {
  SparseMatrix data = {0};
  size_t entries = 0;
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1) assert_int_equal(sparse_alloc(&data, users, items, entries, with_values), SQLITE_OK);
    entries = 0;
    for (size_t user = 0; user < users; user++) {
      for (size_t item = 0; item < items; item++) {
        /* tastes: of two halves of the users, each likes one half of the items */
        double chance = (user % 2 == 0) == (item < items / 2) ? share : share / 3;
        if (user % 7 == 3 || item == 3 || random_uniform(5, user * items + item) >= chance) continue;
        if (pass == 1) data.index[entries] = (uint32_t)item;
        if (pass == 1 && with_values) data.value[entries] = (float)(1 + random_normal(6, user * items + item));
        entries++;
      }
      if (pass == 1) data.start[user + 1] = entries;
    }
  }
  return data;
}

/* XᵀX, and how many users each pair of items has in common. */
static double *products(const SparseMatrix *data, uint32_t *common) {
  size_t n = data->columns;
  double *product = calloc(n * n + 1, sizeof *product);
  for (size_t user = 0; user < data->rows; user++)
    for (size_t e = data->start[user]; e < data->start[user + 1]; e++)
      for (size_t f = data->start[user]; f < data->start[user + 1]; f++) {
        product[data->index[e] * n + data->index[f]] += (double)sparse_value(data, e) * (double)sparse_value(data, f);
        common[data->index[e] * n + data->index[f]]++;
      }
  return product;
}

/* W, whose rows must have the largest weight first and its support, and never the item itself. */
static double *unpacked(const NeighborLists *lists, size_t n, const uint32_t *common) {
  double *weight = calloc(n * n + 1, sizeof *weight);
  CHECK(lists->rows == n && lists->start[0] == 0);
  for (size_t row = 0; row < n; row++)
    for (size_t e = lists->start[row]; e < lists->start[row + 1]; e++) {
      uint32_t item = lists->neighbor[e];
      if (e > lists->start[row])
        CHECK(lists->similarity[e - 1] > lists->similarity[e] ||
              (lists->similarity[e - 1] == lists->similarity[e] && lists->neighbor[e - 1] < item));
      CHECK(item < n && item != row && lists->similarity[e] != 0 && weight[row * n + item] == 0);
      CHECK(lists->support[e] == common[row * n + item]);
      weight[row * n + item] = (double)lists->similarity[e];
    }
  return weight;
}

/* With r = g − G w: r_j − l2 w_j is l1 where w_j is above 0, −l1 below it, and between the two where it is 0 (with
 * w ≥ 0 not above l1). There is no other optimum. */
static void check_optimum(const SparseMatrix *data, const SlimOptions *options) {
  size_t n = data->columns;
  NeighborLists lists;
  Error error = {0};
  double loss = 0, expected = 0;
  assert_int_equal(slim_fit(&lists, data, options, &loss, NULL, &error), SQLITE_OK);
  uint32_t *common = calloc(n * n + 1, sizeof *common);
  double *g = products(data, common), *w = unpacked(&lists, n, common);
  for (size_t i = 0; i < n; i++) {
    expected += g[i * n + i] / 2;
    for (size_t j = 0; j < n; j++) {
      double r = g[j * n + i], wj = w[j * n + i];
      for (size_t k = 0; k < n; k++) r -= g[j * n + k] * w[k * n + i];
      expected += wj * (options->l2 * wj - g[j * n + i] - r) / 2 + options->l1 * fabs(wj);
      if (j == i || common[j * n + i] == 0) continue; /* no weight by definition */
      double slope = r - options->l2 * wj, slack = 1e-4 * (1 + g[j * n + j]);
      if (wj > 0) CHECK_NEAR(slope, options->l1, slack);
      if (wj < 0) CHECK_NEAR(slope, -options->l1, slack);
      if (wj == 0) CHECK(slope <= options->l1 + slack && (options->nonnegative || slope >= -options->l1 - slack));
      if (options->nonnegative) CHECK(wj >= 0);
    }
  }
  CHECK_NEAR(loss, expected, 1e-6 * (1 + fabs(expected)));
  neighbor_lists_free(&lists);
  free(common);
  free(g);
  free(w);
}

static void test_optimum(void) {
  const size_t shapes[][2] = {{1, 1}, {30, 1}, {1, 20}, {60, 25}, {90, 70}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int with_values = 0; with_values < 2; with_values++) {
      SparseMatrix data = make_data(shapes[s][0], shapes[s][1], .5, with_values);
      SlimOptions options = usual;
      check_optimum(&data, &options);
      options.nonnegative = 0;
      check_optimum(&data, &options);
      options.l1 = 0;
      options.l2 = 30;
      check_optimum(&data, &options);
      options.l1 = 1e9; /* no weight at all */
      check_optimum(&data, &options);
      sparse_free(&data);
    }
}

/* A stop by rounds or by tolerance is one. */
static void test_rounds(void) {
  SparseMatrix data = make_data(90, 60, .5, 0);
  double losses[4];
  for (int i = 0; i < 4; i++) {
    SlimOptions options = usual;
    options.iterations = i < 3 ? 1 << i : 1000;
    NeighborLists lists;
    Error error = {0};
    assert_int_equal(slim_fit(&lists, &data, &options, &losses[i], NULL, &error), SQLITE_OK);
    neighbor_lists_free(&lists);
    if (i) CHECK(losses[i] <= losses[i - 1]);
  }
  CHECK(losses[3] < losses[0]);
  sparse_free(&data);
}

static int same_lists(const NeighborLists *a, const NeighborLists *b) {
  size_t n = a->start[a->rows];
  return a->rows == b->rows && memcmp(a->start, b->start, (a->rows + 1) * sizeof *a->start) == 0 &&
         memcmp(a->neighbor, b->neighbor, n * sizeof *a->neighbor) == 0 &&
         memcmp(a->similarity, b->similarity, n * sizeof *a->similarity) == 0 &&
         memcmp(a->support, b->support, n * sizeof *a->support) == 0;
}

/* More items than are done in one turn. */
static void test_threads(void) {
  SparseMatrix data = make_data(200, 600, .1, 1);
  NeighborLists one = {0}, other;
  for (int threads = 1; threads <= 5; threads += 2) {
    SlimOptions options = usual;
    Error error = {0};
    double share = 0;
    options.threads = threads;
    options.share = &share;
    assert_int_equal(slim_fit(threads == 1 ? &one : &other, &data, &options, NULL, NULL, &error), SQLITE_OK);
    CHECK(share > 0 && share <= 1);
    if (threads > 1) CHECK(same_lists(&one, &other));
    if (threads > 1) neighbor_lists_free(&other);
  }
  CHECK(one.start[600] > 1000);
  neighbor_lists_free(&one);
  sparse_free(&data);
}

static int whole(const SparseMatrix *data, const Cancel *cancel) {
  NeighborLists lists;
  Error error = {0};
  int code = slim_fit(&lists, data, &usual, NULL, cancel, &error);
  CHECK(code == error.code);
  CHECK((code == SQLITE_OK) == (lists.start != NULL));
  neighbor_lists_free(&lists);
  error_clear(&error);
  return code;
}

static void test_memory(void) {
  SparseMatrix data = make_data(60, 300, .2, 1);
  long before = outstanding, n = 0;
  int code = SQLITE_NOMEM;
  for (; code != SQLITE_OK && n < 100; n++) {
    fail_after = n;
    code = whole(&data, NULL);
    fail_after = -1;
    CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
    CHECK(outstanding == before);
  }
  CHECK(code == SQLITE_OK && n > 10);
  sparse_free(&data);
}

/* What is told is enough, and one byte less is not. */
static void test_most(void) {
  SparseMatrix data = make_data(200, 300, .3, 1);
  SlimOptions options = usual;
  NeighborLists lists;
  Error error = {0};
  options.most = 1 << 20;
  assert_int_equal(slim_fit(&lists, &data, &options, NULL, NULL, &error), SQLITE_ERROR);
  CHECK(strstr(error.message, "max_memory") && strstr(error.message, "300 items") && !lists.start);
  long needed = strtol(strstr(error.message, "take ") + 5, NULL, 10);
  error_clear(&error);
  CHECK(needed > 1);
  options.most = (uint64_t)needed << 20;
  assert_int_equal(slim_fit(&lists, &data, &options, NULL, NULL, &error), SQLITE_OK);
  neighbor_lists_free(&lists);
  options.most = (uint64_t)(needed - 1) << 20;
  assert_int_equal(slim_fit(&lists, &data, &options, NULL, NULL, &error), SQLITE_ERROR);
  error_clear(&error);
  sparse_free(&data);
}

/* Sums of products that are no finite floats. */
static void test_large_values(void) {
  SparseMatrix data = make_data(20, 10, .8, 1);
  NeighborLists lists;
  Error error = {0};
  for (size_t e = 0; e < data.start[data.rows]; e++) data.value[e] = 1e30F;
  assert_int_equal(slim_fit(&lists, &data, &usual, NULL, NULL, &error), SQLITE_ERROR);
  CHECK(strstr(error.message, "too large") && !lists.start);
  error_clear(&error);
  sparse_free(&data);
}

static void test_cancel(void) {
  SparseMatrix data = make_data(60, 600, .1, 0);
  long polls = 0, before = outstanding;
  int code = SQLITE_INTERRUPT;
  for (; code == SQLITE_INTERRUPT && polls < 10000000; polls += 1 + polls / 10) {
    long left = polls;
    Cancel cancel = {count_down, &left};
    code = whole(&data, &cancel);
    CHECK(code == SQLITE_OK || code == SQLITE_INTERRUPT);
    CHECK(outstanding == before);
  }
  assert_int_equal(code, SQLITE_OK);
  assert_true(polls > 20);
  sparse_free(&data);
}

static void test_nothing_is_lost(void) { assert_int_equal(outstanding, 0); }

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_optimum), TEST(test_rounds), TEST(test_threads),      TEST(test_memory),
      TEST(test_most),    TEST(test_cancel), TEST(test_large_values), TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
