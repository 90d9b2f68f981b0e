/* What the tests of factorizers share: ratings, an allocator that counts and fails when told, and the promises that all
 * of them make about bytes, memory and cancelling. Included by one file of a program. */
#ifndef RECOMMEND_TESTS_FACTORIZER_CHECK_H
#define RECOMMEND_TESTS_FACTORIZER_CHECK_H

#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/sparse.h"
#include "base/sqlite.h"
#include "check.h"
#include "learn/factorizer.h"

/* ---- an allocator that counts, and fails when told --------------------------------------------------------------- */

static sqlite3_mem_methods real_memory;
static long outstanding, fail_after = -1; /* allocations until one fails; -1: never */

static int refuse(void) { return fail_after >= 0 && fail_after-- == 0; }

static void *test_malloc(int size) {
  void *block = refuse() ? NULL : real_memory.xMalloc(size);
  __atomic_add_fetch(&outstanding, block != NULL, __ATOMIC_RELAXED);
  return block;
}

static void test_free(void *block) {
  __atomic_sub_fetch(&outstanding, block != NULL, __ATOMIC_RELAXED);
  real_memory.xFree(block);
}

static inline void install_memory(void) {
  sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
  sqlite3_mem_methods methods = real_memory;
  methods.xMalloc = test_malloc;
  methods.xFree = test_free;
  sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
  sqlite3_initialize();
}

/* ---- data -------------------------------------------------------------------------------------------------------- */

typedef struct Data {
  SparseMatrix by_user, by_item;
} Data;

/* Ratings 1 … 5 of a share of all cells; every seventh user and fifth item has none, item 1 has one of all others. */
static inline Data make_data(size_t users, size_t items, double share, int with_values) {
  Data data = {0};
  size_t entries = 0;
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1) CHECK(sparse_alloc(&data.by_user, users, items, entries, with_values) == SQLITE_OK);
    entries = 0;
    for (size_t user = 0; user < users; user++) {
      for (size_t item = 0; item < items; item++) {
        if (users > 1 && (user % 7 == 3 || item % 5 == 2)) continue;
        if (item != 1 && random_uniform(5, user * items + item) >= share) continue;
        if (pass == 1) {
          data.by_user.index[entries] = (uint32_t)item;
          double taste = 3 + cos((double)user) * sin((double)item) * 2 + random_normal(6, user * items + item) * .5;
          if (with_values) data.by_user.value[entries] = (float)fmin(5, fmax(1, round(taste)));
        }
        entries++;
      }
      if (pass == 1) data.by_user.start[user + 1] = entries;
    }
  }
  CHECK(sparse_transpose(&data.by_user, &data.by_item, 2, NULL) == SQLITE_OK);
  return data;
}

static inline void free_data(Data *data) {
  sparse_free(&data->by_user);
  sparse_free(&data->by_item);
}

static inline double value_of(const SparseMatrix *matrix, size_t e) {
  return matrix->value ? (double)matrix->value[e] : 1;
}

static inline int has(const SparseMatrix *matrix, size_t row, size_t column) {
  for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++)
    if (matrix->index[e] == column) return 1;
  return 0;
}

/* ---- trainings --------------------------------------------------------------------------------------------------- */

/* Creates what is tested, with so many threads. */
typedef int Create(Factorizer *factorizer, const Data *data, int threads, const Cancel *cancel, Error *error);

static inline int whole_training(Create *create, const Data *data, int threads, int epochs, const Cancel *cancel,
                                 FactorizerReport *report, Factors *factors) {
  Factorizer fit = {0};
  Error error = {0};
  int code = create(&fit, data, threads, cancel, &error), done = 0;
  if (code != SQLITE_OK) CHECK(fit.method == NULL);
  for (int epoch = 0; epoch < epochs && code == SQLITE_OK && !done; epoch++)
    code = fit.method->epoch(fit.state, report, &done, cancel, &error);
  if (code == SQLITE_OK && fit.method->finish) code = fit.method->finish(fit.state, report, cancel, &error);
  if (code == SQLITE_OK && factors) fit.method->take(fit.state, factors);
  CHECK(code == error.code);
  if (fit.method) fit.method->destroy(fit.state);
  error_clear(&error);
  return code;
}

static inline Factors train(Create *create, const Data *data, int threads, int epochs, FactorizerReport *report) {
  Factors factors = {0};
  CHECK(whole_training(create, data, threads, epochs, NULL, report, &factors) == SQLITE_OK);
  return factors;
}

static inline int same_bytes(const float *a, const float *b, size_t count) {
  return a && b ? memcmp(a, b, count * sizeof *a) == 0 : a == b;
}

static inline int same_factors(const Factors *a, const Factors *b) {
  size_t stride = (size_t)a->stride;
  return same_bytes(a->user, b->user, a->users * stride) && same_bytes(a->item, b->item, a->items * stride) &&
         same_bytes(a->user_bias, b->user_bias, a->users) && same_bytes(a->item_bias, b->item_bias, a->items) &&
         a->mean == b->mean;
}

/* The same bytes and losses for any number of threads. */
static inline void check_threads(Create *create, const Data *data) {
  FactorizerReport one, many;
  Factors expected = train(create, data, 1, 3, &one);
  for (int threads = 2; threads <= 5; threads += 1 + (threads == 3)) {
    Factors got = train(create, data, threads, 3, &many);
    CHECK(same_factors(&expected, &got));
    CHECK(one.loss == many.loss);
    factors_free(&got);
  }
  factors_free(&expected);
}

/* Every allocation fails once: that is SQLITE_NOMEM, and nothing is kept. */
static inline void check_memory(Create *create, const Data *data) {
  int code = SQLITE_NOMEM;
  long before = outstanding, n = 0;
  for (; code != SQLITE_OK && n < 1000; n++) {
    FactorizerReport report;
    fail_after = n;
    code = whole_training(create, data, 2, 2, NULL, &report, NULL);
    fail_after = -1;
    CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
    CHECK(outstanding == before);
  }
  CHECK(code == SQLITE_OK && n > 5);
}

static int count_down(void *context) {
  long *left = context;
  return (*left)-- <= 0 ? SQLITE_INTERRUPT : SQLITE_OK;
}

/* Cancelled at any poll it says so and keeps nothing; polls at least `least` times. */
static inline void check_cancel(Create *create, const Data *data, long least) {
  long polls = 0, before = outstanding;
  int code = SQLITE_INTERRUPT;
  for (; code == SQLITE_INTERRUPT && polls < 100000; polls += 1 + polls / 4) {
    long left = polls;
    Cancel cancel = {count_down, &left};
    FactorizerReport report;
    code = whole_training(create, data, 2, 2, &cancel, &report, NULL);
    CHECK(code == SQLITE_OK || code == SQLITE_INTERRUPT);
    CHECK(outstanding == before);
  }
  CHECK(code == SQLITE_OK && polls > least);
}

/* Matrices that have nothing, or next to nothing, in them: finite factors, zero where there is nothing (if `blank`). */
static inline void check_shapes(Create *create, int blank) {
  const size_t shapes[][2] = {{1, 1}, {1, 30}, {30, 1}, {0, 0}, {0, 4}, {4, 0}, {7, 6}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    Data data = make_data(shapes[s][0], shapes[s][1], .5, 1);
    FactorizerReport report;
    Factors factors = train(create, &data, 2, 3, &report);
    CHECK(isfinite(report.loss));
    CHECK(factors.users == shapes[s][0] && factors.items == shapes[s][1]);
    for (size_t user = 0; user < factors.users; user++)
      for (size_t lane = 0; lane < (size_t)factors.stride; lane++) {
        float x = factors.user[user * (size_t)factors.stride + lane];
        int empty = (blank && sparse_row_length(&data.by_user, user) == 0) || lane >= (size_t)factors.rank;
        CHECK(isfinite(x) && (!empty || x == 0));
      }
    factors_free(&factors);
    free_data(&data);
  }
}

#endif
