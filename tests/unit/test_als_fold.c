/* als_fold.h: the rows of an exact half-step one by one, and shares that are derivatives. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/sqlite.h"
#include "cancelling.h"
#include "check.h"
#include "failing_memory.h"
#include "learn/als_fold.h"

/* ---- a trained model, and the entries of its users --------------------------------------------------------------- */

typedef struct Trained {
  SparseMatrix by_user, by_item;
  AlsOptions options;
  Factors factors;
  double *gram; /* NULL with the rating loss */
} Trained;

enum { USERS = 60, ITEMS = 40, LONG_USER = 5 };

/* Ratings 1 … 5 of a third of all cells; every seventh user has none, one has all. */
static void make_data(Trained *trained, int with_values) {
  SparseMatrix *by_user = &trained->by_user;
  CHECK(sparse_alloc(by_user, USERS, ITEMS, (size_t)USERS * ITEMS, with_values) == SQLITE_OK);
  size_t entries = 0;
  for (size_t user = 0; user < USERS; user++) {
    for (size_t item = 0; item < ITEMS; item++) {
      if (user != LONG_USER && (user % 7 == 3 || random_uniform(5, user * ITEMS + item) > .33)) continue;
      by_user->index[entries] = (uint32_t)item;
      double taste = 3 + cos((double)user) * sin((double)item) * 2 + random_normal(6, user * ITEMS + item) * .5;
      if (with_values) by_user->value[entries] = (float)fmin(5, fmax(1, round(taste)));
      entries++;
    }
    by_user->start[user + 1] = entries;
  }
  CHECK(sparse_transpose(by_user, &trained->by_item, 1, NULL) == SQLITE_OK);
}

static double *gram_of(const AlsOptions *options, float *rows, size_t count) {
  AlsGram gram;
  size_t stride = (size_t)factors_stride(options->rank);
  CHECK(als_gram_begin(&gram, options->rank) == SQLITE_OK);
  for (size_t first = 0; first < count; first += 16)
    CHECK(als_gram_add(&gram, rows + first * stride, count - first < 16 ? count - first : 16, NULL) == SQLITE_OK);
  double *taken = als_gram_take(&gram, options->missing_weight);
  CHECK(taken != NULL);
  als_gram_end(&gram);
  return taken;
}

static Trained train(AlsOptions options, int with_values) {
  Trained trained = {.options = options};
  Als *als = NULL;
  Error error = {0};
  AlsReport report;
  make_data(&trained, with_values);
  CHECK(als_create(&als, &trained.by_user, &trained.by_item, &options, &error) == SQLITE_OK);
  for (int epoch = 0; epoch < 3; epoch++) CHECK(als_epoch(als, &report, NULL, &error) == SQLITE_OK);
  CHECK(als_finish(als, &report, NULL, &error) == SQLITE_OK);
  als_take(als, &trained.factors);
  als_destroy(als);
  if (options.ranking && options.missing_weight > 0) trained.gram = gram_of(&options, trained.factors.item, ITEMS);
  return trained;
}

static void trained_end(Trained *trained) {
  sparse_free(&trained->by_user);
  sparse_free(&trained->by_item);
  factors_free(&trained->factors);
  memory_free(trained->gram);
}

typedef struct Gathered {
  AlsEntries entries;
  float *factors, *bias, *value;
} Gathered;

static Gathered gather(const Trained *trained, size_t user) {
  const SparseMatrix *by_user = &trained->by_user;
  size_t first = by_user->start[user], n = sparse_row_length(by_user, user), stride = (size_t)trained->factors.stride;
  Gathered gathered = {.factors = memory_alloc_aligned(n + 1, stride * sizeof(float))};
  if (trained->factors.item_bias) gathered.bias = memory_alloc(n + 1, sizeof(float));
  if (by_user->value) gathered.value = memory_alloc(n + 1, sizeof(float));
  for (size_t j = 0; j < n; j++) {
    uint32_t item = by_user->index[first + j];
    memcpy(gathered.factors + j * stride, trained->factors.item + item * stride, stride * sizeof(float));
    if (gathered.bias) gathered.bias[j] = trained->factors.item_bias[item];
    if (gathered.value) gathered.value[j] = by_user->value[first + j];
  }
  gathered.entries = (AlsEntries){.count = n,
                                  .factors = gathered.factors,
                                  .bias = gathered.bias,
                                  .value = gathered.value,
                                  .others = ITEMS,
                                  .gram = trained->gram};
  return gathered;
}

static void gathered_free(Gathered *gathered) {
  memory_free_aligned(gathered->factors);
  memory_free(gathered->bias);
  memory_free(gathered->value);
}

/* ---- the tests --------------------------------------------------------------------------------------------------- */

/* Every user's row as the half-step that ended the training left it. */
static void check_half_step(const Trained *trained) {
  size_t stride = (size_t)trained->factors.stride;
  float *x = memory_alloc_aligned(1, stride * sizeof *x);
  for (size_t user = 0; user < USERS; user++) {
    Gathered gathered = gather(trained, user);
    float bias = 7;
    for (size_t lane = 0; lane < stride; lane++) x[lane] = 7; /* what is there does not matter */
    CHECK(als_fold(&trained->options, &gathered.entries, x, trained->factors.user_bias ? &bias : NULL, NULL) ==
          SQLITE_OK);
    for (size_t lane = 0; lane < stride; lane++) CHECK_NEAR(x[lane], trained->factors.user[user * stride + lane], 1e-5);
    if (trained->factors.user_bias) CHECK_NEAR(bias, trained->factors.user_bias[user], 1e-5);
    gathered_free(&gathered);
  }
  memory_free_aligned(x);
}

static double product(const float *a, const float *b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

/* They sum up to the product. And q · x is linear in the targets (as long as no lane comes to its bound), so that with
 * the rating loss, where the target is the value less mean and bias, each is its target times the derivative. */
static void check_shares(const Trained *trained, size_t user, size_t item) {
  size_t stride = (size_t)trained->factors.stride;
  Gathered gathered = gather(trained, user);
  const float *target = trained->factors.item + item * stride;
  float *x = trained->factors.user + user * stride, bias;
  double share[ITEMS], sum = 0;
  CHECK(als_fold_shares(&trained->options, &gathered.entries, x, target, share, NULL) == SQLITE_OK);
  for (size_t j = 0; j < gathered.entries.count; j++) sum += share[j];
  CHECK_NEAR(sum, product(target, x, stride), 2e-5);
  float *moved = memory_alloc_aligned(1, stride * sizeof *moved);
  for (size_t j = 0; j < gathered.entries.count && !trained->options.ranking && !trained->options.nonnegative; j++) {
    double aim = (double)gathered.value[j] - trained->options.mean - (gathered.bias ? (double)gathered.bias[j] : 0);
    gathered.value[j] += 1;
    CHECK(als_fold(&trained->options, &gathered.entries, moved, gathered.bias ? &bias : NULL, NULL) == SQLITE_OK);
    gathered.value[j] -= 1;
    CHECK_NEAR(share[j], aim * (product(target, moved, stride) - product(target, x, stride)), 5e-5);
  }
  memory_free_aligned(moved);
  gathered_free(&gathered);
}

static AlsOptions rating_options(int rank) {
  return (AlsOptions){.rank = rank,
                      .regularization = 1.5,
                      .bias_regularization = 2.5,
                      .nu = .5,
                      .biases = 1,
                      .solver = ALS_CHOLESKY,
                      .mean = 3.1,
                      .init_scale = 1,
                      .seed = 9,
                      .threads = 1};
}

static AlsOptions ranking_options(int rank) {
  AlsOptions options = rating_options(rank);
  options.ranking = 1;
  options.confidence = 1;
  options.confidence_slope = .3;
  options.target = -.5;
  options.target_slope = 1;
  options.missing_weight = .2;
  return options;
}

static void test_losses(void) {
  static const int ranks[] = {1, 5, 16, 33};
  for (size_t r = 0; r < sizeof ranks / sizeof *ranks; r++)
    for (int kind = 0; kind < 7; kind++) {
      AlsOptions options = kind < 3 ? rating_options(ranks[r]) : ranking_options(ranks[r]);
      if (kind == 1) options.biases = 0;
      if (kind == 2 || kind == 4) options.nonnegative = 1;
      if (kind == 5) options.weigh_all_cells = 1;
      if (kind == 6) options.missing_weight = 0;
      for (int with_values = kind < 3; with_values < 2; with_values++) {
        Trained trained = train(options, with_values);
        /* Coordinate descent ends near the minimum, and from elsewhere near it on another side. */
        if (!options.nonnegative) check_half_step(&trained);
        check_shares(&trained, 1, 0);
        check_shares(&trained, LONG_USER, 7);
        check_shares(&trained, 3, 7); /* who has no entries */
        trained_end(&trained);
      }
    }
}

/* Longer than the panel of the solver, so that it comes in pieces, and than what is solved at once. */
static void test_long_row(void) {
  enum { ROWS = 200000, RANK = 16 };
  AlsOptions options = rating_options(RANK);
  float *factors = memory_alloc_aligned(ROWS, RANK * sizeof *factors), *bias = memory_alloc_zero(ROWS, sizeof *bias);
  float *value = memory_alloc(ROWS, sizeof *value), *x = memory_alloc_aligned(2, RANK * sizeof *x), x_bias;
  double *share = memory_alloc(ROWS, sizeof *share), sum = 0;
  for (size_t i = 0; i < (size_t)ROWS * RANK; i++) factors[i] = (float)random_normal(1, i);
  for (size_t i = 0; i < ROWS; i++) value[i] = (float)(3 + random_normal(2, i) + (double)factors[i * RANK]);
  for (size_t i = 0; i < RANK; i++) x[RANK + i] = (float)random_normal(3, i);
  const AlsEntries entries = {.count = ROWS, .factors = factors, .bias = bias, .value = value, .others = ROWS};
  assert_int_equal(als_fold(&options, &entries, x, &x_bias, NULL), SQLITE_OK);
  CHECK_NEAR(x[0], 1, .01);
  assert_int_equal(als_fold_shares(&options, &entries, x, x + RANK, share, NULL), SQLITE_OK);
  for (size_t i = 0; i < ROWS; i++) sum += share[i];
  CHECK_NEAR(sum, product(x, x + RANK, RANK), 1e-4);
  for (int shares = 0; shares < 2; shares++) {
    int code = SQLITE_INTERRUPT;
    long polls = 0;
    for (; code == SQLITE_INTERRUPT; polls += 1 + polls / 2) {
      long left = polls;
      Cancel cancel = {count_down, &left};
      code = shares ? als_fold_shares(&options, &entries, x, x + RANK, share, &cancel)
                    : als_fold(&options, &entries, x, &x_bias, &cancel);
      CHECK(code == SQLITE_OK || code == SQLITE_INTERRUPT);
    }
    CHECK(polls > 10);
  }
  memory_free_aligned(factors);
  memory_free_aligned(x);
  memory_free(bias);
  memory_free(value);
  memory_free(share);
}

static void test_gram(void) {
  const AlsOptions options = ranking_options(5);
  float *rows = memory_alloc_aligned(100, 16 * sizeof *rows);
  for (size_t row = 0; row < 100; row++)
    for (size_t lane = 0; lane < 5; lane++) rows[row * 16 + lane] = (float)random_normal(4, row * 5 + lane);
  double *gram = gram_of(&options, rows, 100);
  for (size_t i = 0; i < 5; i++)
    for (size_t j = 0; j < 5; j++) {
      double sum = 0;
      for (size_t row = 0; row < 100; row++) sum += (double)rows[row * 16 + i] * (double)rows[row * 16 + j];
      CHECK_NEAR(gram[i * 5 + j], .2 * sum, 1e-5);
    }
  memory_free(gram);
  memory_free_aligned(rows);
}

static void test_memory(void) {
  Trained trained = train(ranking_options(20), 1);
  Gathered gathered = gather(&trained, LONG_USER);
  size_t stride = (size_t)trained.factors.stride;
  float *x = memory_alloc_aligned(1, stride * sizeof *x);
  double share[ITEMS];
  for (int what = 0; what < 3; what++) {
    int code = SQLITE_NOMEM;
    long before = outstanding, n = 0;
    for (; code != SQLITE_OK && n < 1000; n++) {
      AlsGram gram = {0};
      fail_after = n;
      if (what == 0) code = als_fold(&trained.options, &gathered.entries, x, NULL, NULL);
      if (what == 1) code = als_fold_shares(&trained.options, &gathered.entries, x, trained.factors.item, share, NULL);
      if (what == 2) {
        code = als_gram_begin(&gram, 20);
        if (code == SQLITE_OK) code = als_gram_add(&gram, trained.factors.item, ITEMS, NULL);
        double *taken = code == SQLITE_OK ? als_gram_take(&gram, 1) : NULL;
        if (code == SQLITE_OK && !taken) code = SQLITE_NOMEM;
        memory_free(taken);
        als_gram_end(&gram);
      }
      fail_after = -1;
      CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
      CHECK(outstanding == before);
    }
    CHECK(code == SQLITE_OK && n > 3);
  }
  memory_free_aligned(x);
  gathered_free(&gathered);
  trained_end(&trained);
}

static void test_nothing_is_lost(void) { assert_int_equal(outstanding, 0); }

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_losses), TEST(test_long_row), TEST(test_gram), TEST(test_memory), TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
