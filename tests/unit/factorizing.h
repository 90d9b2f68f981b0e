/* What the tests of ways to factorize a matrix share: ratings, the loss of learn/descent.h by brute force, and the
 * promises that hold for each: the same bytes for any number of threads, memory, cancelling, any shape. Included by one
 * file of a program. */
#ifndef RECOMMEND_TESTS_FACTORIZING_H
#define RECOMMEND_TESTS_FACTORIZING_H

#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/sqlite.h"
#include "check.h"
#include "failing_memory.h"
#include "learn/descent.h"
#include "ratings.h"

static inline double entry_value(const SparseMatrix *matrix, size_t e) {
  return matrix->value ? (double)matrix->value[e] : 1;
}

static inline int has(const SparseMatrix *matrix, size_t row, size_t column) {
  for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++)
    if (matrix->index[e] == column) return 1;
  return 0;
}

/* ---- the loss ---------------------------------------------------------------------------------------------------- */

static inline double dot_of(const float *x, const float *y, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += (double)x[i] * (double)y[i];
  return sum;
}

static inline FactorizerReport loss_of(const Data *data, const Factors *f, const DescentPenalty *penalty) {
  double squared = 0, sum = 0;
  size_t stride = (size_t)f->stride, entries = data->by_user.start[f->users];
  for (size_t u = 0; u < f->users; u++) {
    const float *p = f->user + u * stride;
    for (size_t e = data->by_user.start[u]; e < data->by_user.start[u + 1]; e++) {
      size_t i = data->by_user.index[e];
      const float *q = f->item + i * stride;
      double bu = f->user_bias ? (double)f->user_bias[u] : 0, bi = f->item_bias ? (double)f->item_bias[i] : 0;
      double wrong = (data->by_user.value ? (double)data->by_user.value[e] : 1) - f->mean - bu - bi;
      wrong -= dot_of(p, q, f->rank);
      squared += wrong * wrong;
      sum += penalty->factors * (dot_of(p, p, f->rank) + dot_of(q, q, f->rank));
      sum += penalty->biases * (bu * bu + bi * bi);
    }
  }
  return (FactorizerReport){squared + sum, entries ? sqrt(squared / (double)entries) : 0};
}

/* Rows without entries and lanes beyond the rank are zero. */
static inline int tidy(const Data *data, const Factors *f) {
  int good = 1;
  for (int s = 0; s < 2; s++) {
    const SparseMatrix *matrix = s ? &data->by_item : &data->by_user;
    const float *rows = s ? f->item : f->user, *bias = s ? f->item_bias : f->user_bias;
    for (size_t row = 0; row < matrix->rows; row++) {
      int empty = sparse_row_length(matrix, row) == 0;
      for (int lane = empty ? 0 : f->rank; lane < f->stride; lane++)
        if (rows[row * (size_t)f->stride + (size_t)lane] != 0) good = 0;
      if (empty && bias && bias[row] != 0) good = 0;
    }
  }
  return good;
}

/* ---- what each test says of its method --------------------------------------------------------------------------- */

typedef struct Method {
  int (*create)(Factorizer *fit, const Data *data, int threads, int rank, const Cancel *cancel, Error *error);
  DescentPenalty penalty; /* of those it creates */
  long least_polls;       /* in an epoch on 700 × 300 */
  int empty_are_zero;     /* rows without ratings have no factors */
} Method;

/* Creates and makes some epochs and the finish. `factors` may be NULL. */
static inline int fit_with(const Method *method, const Data *data, int threads, int rank, int epochs,
                           const Cancel *cancel, FactorizerReport *report, Factors *factors) {
  Factorizer fit = {0};
  Error error = {0};
  int done = 0, code = method->create(&fit, data, threads, rank, cancel, &error);
  for (int epoch = 0; epoch < epochs && code == SQLITE_OK && !done; epoch++)
    code = fit.method->epoch(fit.state, report, &done, cancel, &error);
  if (code == SQLITE_OK && fit.method->finish) code = fit.method->finish(fit.state, report, cancel, &error);
  CHECK(code == error.code);
  if (code == SQLITE_ERROR) CHECK(error.message && strstr(error.message, "no longer finite after epoch 1"));
  if (code == SQLITE_OK && factors) fit.method->take(fit.state, factors);
  if (fit.method) fit.method->destroy(fit.state);
  error_clear(&error);
  return code;
}

static inline int same_factors(const Factors *a, const Factors *b) {
  size_t row = (size_t)a->stride * sizeof(float);
  if (memcmp(a->user, b->user, a->users * row) || memcmp(a->item, b->item, a->items * row)) return 0;
  if (!a->user_bias) return !b->user_bias;
  return memcmp(a->user_bias, b->user_bias, a->users * sizeof(float)) == 0 &&
         memcmp(a->item_bias, b->item_bias, a->items * sizeof(float)) == 0;
}

/* The same, which must succeed. */
static inline Factors fitted(const Method *method, const Data *data, int threads, int rank, int epochs,
                             FactorizerReport *report) {
  Factors factors = {0};
  CHECK(fit_with(method, data, threads, rank, epochs, NULL, report, &factors) == SQLITE_OK);
  return factors;
}

/* ---- the promises ------------------------------------------------------------------------------------------------ */

static inline void check_reports(const void *object) {
  const Method *method = object;
  const int ranks[] = {1, 3, 16, 17, 50, 64, 100, 200};
  for (int with_values = 0; with_values < 2; with_values++) {
    Data data = make_data(75, 43, .2, with_values);
    for (size_t r = 0; r < sizeof ranks / sizeof *ranks; r++) {
      FactorizerReport report, truth;
      Factors factors;
      if (!CHECK(fit_with(method, &data, 2, ranks[r], 3, NULL, &report, &factors) == SQLITE_OK)) continue;
      truth = loss_of(&data, &factors, &method->penalty);
      CHECK_NEAR(report.loss / truth.loss, 1, 1e-5);
      CHECK_NEAR(report.train_rmse, truth.train_rmse, 1e-5);
      CHECK(tidy(&data, &factors));
      factors_free(&factors);
    }
    free_data(&data);
  }
}

static inline void check_shapes(const void *object) {
  const Method *method = object;
  const size_t shapes[][2] = {{1, 1}, {1, 30}, {30, 1}, {0, 0}, {0, 4}, {4, 0}, {7, 6}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    Data data = make_data(shapes[s][0], shapes[s][1], .5, 1);
    FactorizerReport report;
    Factors factors;
    if (CHECK(fit_with(method, &data, 2, 5, 3, NULL, &report, &factors) == SQLITE_OK)) {
      FactorizerReport truth = loss_of(&data, &factors, &method->penalty);
      CHECK_NEAR(report.loss, truth.loss, 1e-5 * (1 + truth.loss));
      CHECK(tidy(&data, &factors));
      factors_free(&factors);
    }
    free_data(&data);
  }
}

/* The same shapes, for methods with other losses: finite factors. */
static inline void check_finite_shapes(const void *object) {
  const Method *method = object;
  const size_t shapes[][2] = {{1, 1}, {1, 30}, {30, 1}, {0, 0}, {0, 4}, {4, 0}, {7, 6}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    Data data = make_data(shapes[s][0], shapes[s][1], .5, 1);
    FactorizerReport report;
    Factors factors = fitted(method, &data, 2, 5, 3, &report);
    CHECK(isfinite(report.loss));
    CHECK(factors.users == shapes[s][0] && factors.items == shapes[s][1]);
    CHECK(!method->empty_are_zero || tidy(&data, &factors));
    for (size_t k = 0; k < factors.users * (size_t)factors.stride; k++) CHECK(isfinite(factors.user[k]));
    for (size_t k = 0; k < factors.items * (size_t)factors.stride; k++) CHECK(isfinite(factors.item[k]));
    factors_free(&factors);
    free_data(&data);
  }
}

static inline void check_threads_on(const Method *method, const Data *data, int rank) {
  const int threads[] = {2, 3, 5};
  FactorizerReport report, other;
  Factors one, many;
  CHECK(fit_with(method, data, 1, rank, 2, NULL, &report, &one) == SQLITE_OK);
  for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
    CHECK(fit_with(method, data, threads[t], rank, 2, NULL, &other, &many) == SQLITE_OK);
    CHECK(same_factors(&one, &many));
    CHECK(report.loss == other.loss);
    CHECK(report.train_rmse == other.train_rmse || (isnan(report.train_rmse) && isnan(other.train_rmse)));
    factors_free(&many);
  }
  factors_free(&one);
}

static inline void check_threads(const void *method) {
  Data data = make_data(700, 300, .5, 1);
  check_threads_on(method, &data, 40);
  free_data(&data);
}

/* Instruction sets differ by rounding only, and asking for the factors after an epoch changes nothing. */
static inline void check_levels(const void *object) {
  const Method *method = object;
  Data data = make_data(75, 43, .2, 1);
  const char *levels[] = {"generic", "avx2", "avx512"};
  Factors first = {0}, factors;
  FactorizerReport report;
  for (size_t level = 0; level < sizeof levels / sizeof *levels; level += 1 + SANITIZED) {
    setenv("RECOMMEND_SIMD", levels[level], 1);
    CHECK(fit_with(method, &data, 1, 20, 3, NULL, &report, &factors) == SQLITE_OK);
    if (level == 0) first = factors;
    double worst = 0;
    for (size_t u = 0; u < factors.users; u++)
      for (size_t i = 0; i < factors.items; i++)
        worst = fmax(worst, fabs((double)factors_predict(&factors, u, i) - (double)factors_predict(&first, u, i)));
    CHECK_NEAR(worst, 0, 1e-3);
    if (level > 0) factors_free(&factors);
  }
  unsetenv("RECOMMEND_SIMD");
  Factorizer fit;
  Error error = {0};
  int done;
  CHECK(method->create(&fit, &data, 2, 20, NULL, &error) == SQLITE_OK);
  for (int epoch = 0; epoch < 3; epoch++) {
    fit.method->factors(fit.state);
    CHECK(fit.method->epoch(fit.state, &report, &done, NULL, &error) == SQLITE_OK);
  }
  Factors taken = {0};
  CHECK(fit_with(method, &data, 2, 20, 3, NULL, &report, &taken) == SQLITE_OK);
  CHECK(same_factors(fit.method->factors(fit.state), &taken));
  fit.method->destroy(fit.state);
  factors_free(&taken);
  factors_free(&first);
  free_data(&data);
}

static inline void check_memory(const void *object) {
  const Method *method = object;
  Data data = make_data(75, 43, .2, 1);
  FactorizerReport report;
  long before = outstanding, n = 0;
  int code = SQLITE_NOMEM;
  for (; code != SQLITE_OK && n < 1000; n++) {
    fail_after = n;
    code = fit_with(method, &data, 1, 20, 2, NULL, &report, NULL);
    fail_after = -1;
    CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
    CHECK(outstanding == before);
  }
  CHECK(code == SQLITE_OK && n > 8);
  free_data(&data);
}

static inline int count_down(void *context) {
  long *left = context;
  return (*left)-- <= 0 ? SQLITE_INTERRUPT : SQLITE_OK;
}

static inline void check_cancel(const void *object) {
  const Method *method = object;
  Data data = make_data(700, 300, .4, 1);
  FactorizerReport report;
  long polls = 0, before = outstanding;
  int code = SQLITE_INTERRUPT;
  for (; code == SQLITE_INTERRUPT && polls < 100000; polls += 1 + polls) {
    long left = polls;
    Cancel cancel = {count_down, &left};
    code = fit_with(method, &data, 2, 40, 1, &cancel, &report, NULL);
    CHECK(code == SQLITE_OK || code == SQLITE_INTERRUPT);
    CHECK(outstanding == before);
  }
  CHECK(code == SQLITE_OK && polls > method->least_polls);
  free_data(&data);
}

/* Whoever has many factors drawn is asked, about every 65,536 numbers, whether to stop. */
static inline void check_drawing(const void *object) {
  const Method *method = object;
  Data data = make_data(700, 300, .01, 1);
  long polls = 0, before = outstanding;
  int code = SQLITE_INTERRUPT;
  for (; code == SQLITE_INTERRUPT && polls < 1000; polls++) {
    Factorizer fit = {0};
    Error error = {0};
    long left = polls;
    Cancel cancel = {count_down, &left};
    code = method->create(&fit, &data, 1, 640, &cancel, &error);
    CHECK(code == SQLITE_OK || code == SQLITE_INTERRUPT);
    if (fit.method) fit.method->destroy(fit.state);
    error_clear(&error);
    CHECK(outstanding == before);
  }
  CHECK(code == SQLITE_OK && polls > 640 * 1000 / 65536);
  free_data(&data);
}

static inline void check_not_finite(const void *object) {
  const Method *method = object;
  Data data = make_data(30, 20, .5, 1);
  FactorizerReport report;
  for (size_t e = 0; e < 9; e++) data.by_user.value[e] = 3e38f;
  sparse_free(&data.by_item);
  CHECK(sparse_transpose(&data.by_user, &data.by_item, 2, NULL) == SQLITE_OK);
  CHECK(fit_with(method, &data, 2, 5, 1, NULL, &report, NULL) == SQLITE_ERROR);
  free_data(&data);
}

/* The last test of a program. */
static inline void test_nothing_is_lost(void) { assert_int_equal(outstanding, 0); }

/* Rows of a table of tests: all promises of a method whose loss is that of learn/descent.h. */
#define PROMISES(method)                                                                            \
  TEST_OF(check_reports, method), TEST_OF(check_shapes, method), TEST_OF(check_levels, method),     \
      TEST_OF(check_memory, method), TEST_OF(check_cancel, method), TEST_OF(check_drawing, method), \
      TEST_OF(check_not_finite, method), TEST_OF(check_threads, method)

#endif
