/* learn/ease.h and base/inverse.h against elimination in long double, against published figures where MovieLens 100K
 * is, and the promises about bytes, memory, cancelling and threads. */
#include <pthread.h>
#include <stdlib.h>

#include "base/blas.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/sqlite.h"
#include "cancelling.h"
#include "check.h"
#include "learn/ease.h"

/* ---- an allocator that counts, and fails when told --------------------------------------------------------------- */

static sqlite3_mem_methods real_memory;
static long outstanding, bytes_taken, most_bytes, fail_after = -1; /* allocations until one fails; -1: never */

static int refuse(void) { return fail_after >= 0 && fail_after-- == 0; }

static void *counting_malloc(int size) {
  void *block = refuse() ? NULL : real_memory.xMalloc(size);
  __atomic_add_fetch(&outstanding, block != NULL, __ATOMIC_RELAXED);
  long now = __atomic_add_fetch(&bytes_taken, block ? real_memory.xSize(block) : 0, __ATOMIC_RELAXED);
  if (now > most_bytes) most_bytes = now;
  return block;
}

static void counting_free(void *block) {
  __atomic_sub_fetch(&outstanding, block != NULL, __ATOMIC_RELAXED);
  __atomic_sub_fetch(&bytes_taken, block ? real_memory.xSize(block) : 0, __ATOMIC_RELAXED);
  real_memory.xFree(block);
}

static void install_memory(void) {
  sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
  sqlite3_mem_methods methods = real_memory;
  methods.xMalloc = counting_malloc;
  methods.xFree = counting_free;
  sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
  sqlite3_initialize();
}

/* ---- inverses ---------------------------------------------------------------------------------------------------- */

/* A random positive definite matrix: a covariance of few samples and a diagonal. */
static SymmetricMatrix make_matrix(size_t n, double ridge) {
  SymmetricMatrix matrix;
  CHECK(symmetric_alloc(&matrix, n) == SQLITE_OK);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j <= i; j++) {
      double sum = i == j ? ridge : 0;
      for (size_t k = 0; k < 5; k++) sum += random_normal(k, i) * random_normal(k, j);
      symmetric_row(&matrix, i)[j] = sum;
    }
  return matrix;
}

static double element(const SymmetricMatrix *matrix, size_t i, size_t j) {
  return symmetric_row(matrix, i > j ? i : j)[i > j ? j : i];
}

/* A A⁻¹ = 1, in sizes around those of a panel and of a tile. */
static void test_inverse(void) {
  const size_t sizes[] = {1, 2, 17, 255, 256, 257, 600};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    size_t n = sizes[s];
    SymmetricMatrix a = make_matrix(n, 0.5), inverse = make_matrix(n, 0.5);
    CHECK(symmetric_invert(&inverse, 2, NULL, NULL) == SQLITE_OK);
    double worst = 0;
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < n; j += 1 + n / 40) {
        double sum = i == j ? -1 : 0;
        for (size_t k = 0; k < n; k++) sum += element(&a, i, k) * element(&inverse, k, j);
        worst = fmax(worst, fabs(sum));
      }
    CHECK_NEAR(worst, 0, 1e-10);
    symmetric_free(&a);
    symmetric_free(&inverse);
  }
}

/* Too large for one tile, and known in closed form: (λ + 11ᵀ)⁻¹ = 1/λ − 11ᵀ / (λ (λ + n)). */
static void test_large(void) {
  enum { N = 2400 };
  SymmetricMatrix a;
  assert_int_equal(symmetric_alloc(&a, N), SQLITE_OK);
  for (size_t i = 0; i < N; i++)
    for (size_t j = 0; j <= i; j++) symmetric_row(&a, i)[j] = 1 + (i == j ? 2 : 0);
  assert_int_equal(symmetric_invert(&a, 2, NULL, NULL), SQLITE_OK);
  double worst = 0;
  for (size_t i = 0; i < N; i++)
    for (size_t j = 0; j <= i; j++)
      worst = fmax(worst, fabs(symmetric_row(&a, i)[j] - ((i == j ? 0.5 : 0) - 1 / (2 * (2.0 + N)))));
  CHECK_NEAR(worst, 0, 1e-12);
  symmetric_free(&a);
}

static void test_not_definite(void) {
  SymmetricMatrix a = make_matrix(300, -1);
  assert_int_equal(symmetric_invert(&a, 2, NULL, NULL), SQLITE_ERROR);
  symmetric_free(&a);
  a = make_matrix(300, 0.5);
  symmetric_row(&a, 299)[0] = NAN;
  assert_int_equal(symmetric_invert(&a, 2, NULL, NULL), SQLITE_ERROR);
  symmetric_free(&a);
}

/* ---- models ------------------------------------------------------------------------------------------------------ */

/* Every seventh user and the item 3 have nothing. */
static SparseMatrix make_data(size_t users, size_t items, double share, int with_values) {
  SparseMatrix data = {0};
  size_t entries = 0;
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1) CHECK(sparse_alloc(&data, users, items, entries, with_values) == SQLITE_OK);
    entries = 0;
    for (size_t user = 0; user < users; user++) {
      for (size_t item = 0; item < items; item++) {
        if (user % 7 == 3 || item == 3 || random_uniform(5, user * items + item) >= share) continue;
        if (pass == 1) data.index[entries] = (uint32_t)item;
        if (pass == 1 && with_values) data.value[entries] = (float)random_normal(6, user * items + item);
        entries++;
      }
      if (pass == 1) data.start[user + 1] = entries;
    }
  }
  return data;
}

/* B by its definition. */
static double *exact_weights(const SparseMatrix *data, double lambda) {
  size_t n = data->columns, width = 2 * n;
  long double *a = calloc(n * width + 1, sizeof *a);
  double *b = calloc(n * n + 1, sizeof *b);
  for (size_t user = 0; user < data->rows; user++)
    for (size_t e = data->start[user]; e < data->start[user + 1]; e++)
      for (size_t f = data->start[user]; f < data->start[user + 1]; f++)
        a[data->index[e] * width + data->index[f]] +=
            data->value ? (long double)data->value[e] * (long double)data->value[f] : 1;
  for (size_t i = 0; i < n; i++) a[i * width + i] += (long double)lambda, a[i * width + n + i] = 1;
  for (size_t k = 0; k < n; k++) {
    long double pivot = a[k * width + k];
    for (size_t j = 0; j < width; j++) a[k * width + j] /= pivot;
    for (size_t i = 0; i < n; i++) {
      long double factor = i == k ? 0 : a[i * width + k];
      for (size_t j = 0; factor != 0 && j < width; j++) a[i * width + j] -= factor * a[k * width + j];
    }
  }
  for (size_t j = 0; j < n; j++)
    for (size_t i = 0; i < n; i++) b[j * n + i] = i == j ? 0 : (double)(-a[j * width + n + i] / a[i * width + n + i]);
  free(a);
  return b;
}

static float *all_weights(const Ease *ease, size_t rows_at_a_time) {
  float *weights = malloc(ease->items * ease->items * sizeof *weights + 1);
  for (size_t j = 0; j < ease->items; j += rows_at_a_time) {
    size_t count = ease->items - j < rows_at_a_time ? ease->items - j : rows_at_a_time;
    ease_rows(ease, j, count, weights + j * ease->items);
  }
  return weights;
}

static void test_weights(void) {
  const size_t shapes[][2] = {{1, 1}, {40, 1}, {1, 30}, {90, 60}, {400, 300}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int with_values = 0; with_values < 2; with_values++) {
      SparseMatrix data = make_data(shapes[s][0], shapes[s][1], .2, with_values);
      size_t n = data.columns;
      Ease ease;
      EaseOptions options = {.lambda = 3, .threads = 2};
      Error error = {0};
      CHECK(ease_fit(&ease, &data, &options, NULL, &error) == SQLITE_OK);
      float *weights = all_weights(&ease, 7), *at_once = all_weights(&ease, n);
      double *exact = exact_weights(&data, 3), worst = 0;
      for (size_t i = 0; i < n * n; i++) worst = fmax(worst, fabs((double)weights[i] - exact[i]));
      CHECK_NEAR(worst, 0, 1e-6);
      CHECK(memcmp(weights, at_once, n * n * sizeof *weights) == 0);
      free(weights);
      free(at_once);
      free(exact);
      ease_free(&ease);
      sparse_free(&data);
    }
}

static void test_nothing(void) {
  SparseMatrix data = make_data(0, 0, 1, 0);
  EaseOptions options = {.lambda = 1, .threads = 2};
  Ease ease;
  Error error = {0};
  assert_int_equal(ease_fit(&ease, &data, &options, NULL, &error), SQLITE_OK);
  assert_int_equal(ease.items, 0);
  ease_rows(&ease, 0, 0, NULL);
  ease_free(&ease);
  sparse_free(&data);
}

static void test_lambda(void) {
  SparseMatrix data = make_data(50, 80, .3, 1); /* fewer users than items: nothing but λ makes it definite */
  Ease ease;
  Error error = {0};
  for (int which = 0; which < 2; which++) {
    EaseOptions options = {.lambda = 1e-30, .threads = 1};
    if (which == 1) data.value[0] = INFINITY, options.lambda = 1;
    CHECK(ease_fit(&ease, &data, &options, NULL, &error) == SQLITE_ERROR);
    CHECK(error.message && strstr(error.message, "is too small"));
    error_clear(&error);
  }
  sparse_free(&data);
}

/* ---- MovieLens 100K ---------------------------------------------------------------------------------------------- */

enum { USERS = 943, ITEMS = 1682 };

/* Ratings of 4 and 5, in a table of users × items. 0 where the file isn't there. */
static int read_positives(const char *name, unsigned char *table) {
  char path[1000];
  const char *folder = getenv("RECOMMEND_DATA");
  snprintf(path, sizeof path, "%s/ml-100k/%s", folder ? folder : "", name);
  FILE *file = folder && *folder ? fopen(path, "r") : NULL;
  char line[200];
  while (file && fgets(line, sizeof line, file)) {
    char *rest;
    long user = strtol(line, &rest, 10), item = strtol(rest, &rest, 10), rating = strtol(rest, &rest, 10);
    if (user >= 1 && user <= USERS && item >= 1 && item <= ITEMS && rating >= 4)
      table[(user - 1) * ITEMS + item - 1] = 1;
  }
  if (file) fclose(file);
  return file != NULL;
}

static SparseMatrix sparse_of(const unsigned char *table) {
  SparseMatrix data;
  size_t entries = 0;
  for (size_t i = 0; i < (size_t)USERS * ITEMS; i++) entries += table[i];
  CHECK(sparse_alloc(&data, USERS, ITEMS, entries, 0) == SQLITE_OK);
  entries = 0;
  for (size_t user = 0; user < USERS; user++) {
    for (size_t item = 0; item < ITEMS; item++)
      if (table[user * ITEMS + item]) data.index[entries++] = (uint32_t)item;
    data.start[user + 1] = entries;
  }
  return data;
}

/* Precision and NDCG of one user's ten best. */
static void judge(const float *weights, const unsigned char *train, const unsigned char *test, double *precision,
                  double *ndcg) {
  static double score[ITEMS];
  double gain = 0, ideal = 0;
  int relevant = 0, hits = 0;
  memset(score, 0, sizeof score);
  for (size_t j = 0; j < ITEMS; j++) {
    relevant += test[j];
    for (size_t i = 0; train[j] && i < ITEMS; i++) score[i] += (double)weights[j * ITEMS + i];
  }
  for (int rank = 0; rank < 10; rank++) {
    size_t best = ITEMS;
    for (size_t i = 0; i < ITEMS; i++)
      if (!train[i] && (best == ITEMS || score[i] > score[best])) best = i;
    if (test[best]) hits++, gain += 1 / log2(rank + 2);
    if (rank < relevant) ideal += 1 / log2(rank + 2);
    score[best] = -INFINITY;
  }
  *precision += hits / 10.0;
  *ndcg += gain / ideal;
}

static void test_movielens(void) {
  unsigned char *train = calloc((size_t)USERS, ITEMS), *test = calloc((size_t)USERS, ITEMS);
  if (read_positives("u1.base", train) && read_positives("u1.test", test)) {
    SparseMatrix data = sparse_of(train);
    EaseOptions options = {.lambda = 200, .threads = 2};
    Ease ease;
    Error error = {0};
    assert_int_equal(ease_fit(&ease, &data, &options, NULL, &error), SQLITE_OK);
    float *weights = all_weights(&ease, 64);
    double precision = 0, ndcg = 0;
    int users = 0;
    for (size_t user = 0; user < USERS; user++) {
      if (!memchr(test + user * ITEMS, 1, ITEMS)) continue;
      judge(weights, train + user * ITEMS, test + user * ITEMS, &precision, &ndcg);
      users++;
    }
    assert_int_equal(users, 456);
    CHECK_NEAR(ndcg / users, .427694, 1e-6);
    CHECK_NEAR(precision / users, .355921, 1e-6);
    free(weights);
    ease_free(&ease);
    sparse_free(&data);
  }
  free(train);
  free(test);
}

/* ---- promises ---------------------------------------------------------------------------------------------------- */

static void test_threads(void) {
  SparseMatrix data = make_data(700, 500, .1, 1);
  const int threads[] = {1, 2, 5};
  float *first = NULL;
  for (size_t t = 0; t < 3; t++) {
    EaseOptions options = {.lambda = 5, .threads = threads[t]};
    Ease ease;
    Error error = {0};
    CHECK(ease_fit(&ease, &data, &options, NULL, &error) == SQLITE_OK);
    float *weights = all_weights(&ease, 50);
    if (first) CHECK(memcmp(first, weights, 500 * 500 * sizeof *weights) == 0);
    if (first) free(weights);
    if (!first) first = weights;
    ease_free(&ease);
  }
  free(first);
  sparse_free(&data);
}

typedef struct Rival {
  const SparseMatrix *data;
  float *weights;
} Rival;

static void *fit_again(void *argument) {
  Rival *rival = argument;
  for (int round = 0; round < 3; round++) {
    EaseOptions options = {.lambda = 5, .threads = 1};
    Ease ease;
    Error error = {0};
    if (ease_fit(&ease, rival->data, &options, NULL, &error) != SQLITE_OK) return NULL;
    free(rival->weights);
    rival->weights = all_weights(&ease, 50);
    ease_free(&ease);
  }
  return NULL;
}

/* Several connections may train at once: they take turns at OpenBLAS. */
static void test_rivals(void) {
  enum { RIVALS = 4 };
  SparseMatrix data = make_data(300, 520, .1, 1);
  Rival rivals[RIVALS + 1] = {{0}};
  pthread_t thread[RIVALS];
  for (int r = 0; r <= RIVALS; r++) rivals[r].data = &data;
  fit_again(&rivals[RIVALS]);
  for (int r = 0; r < RIVALS; r++) CHECK(pthread_create(&thread[r], NULL, fit_again, &rivals[r]) == 0);
  for (int r = 0; r < RIVALS; r++) pthread_join(thread[r], NULL);
  for (int r = 0; r < RIVALS; r++)
    CHECK(rivals[r].weights && memcmp(rivals[r].weights, rivals[RIVALS].weights, 520 * 520 * sizeof(float)) == 0);
  for (int r = 0; r <= RIVALS; r++) free(rivals[r].weights);
  sparse_free(&data);
}

static int whole(const SparseMatrix *data, const Cancel *cancel) {
  EaseOptions options = {.lambda = 5, .threads = 2};
  Ease ease;
  Error error = {0};
  int code = ease_fit(&ease, data, &options, cancel, &error);
  CHECK(code == error.code);
  if (code != SQLITE_OK) CHECK(!ease.inverse.panel && !ease.diagonal);
  ease_free(&ease);
  error_clear(&error);
  return code;
}

static void test_memory(void) {
  SparseMatrix data = make_data(100, 300, .2, 1);
  int code = SQLITE_NOMEM;
  long before = outstanding, n = 0;
  for (; code != SQLITE_OK && n < 100; n++) {
    fail_after = n;
    code = whole(&data, NULL);
    fail_after = -1;
    CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
    CHECK(outstanding == before);
  }
  assert_int_equal(code, SQLITE_OK);
  assert_true(n > 10);
  sparse_free(&data);
}

/* What is told before is what is taken, within a tenth. */
static void test_bytes(void) {
  for (size_t users = 500; users <= 50000; users *= 100) {
    SparseMatrix data = make_data(users, 400, .2, 1);
    size_t entries = data.start[data.rows];
    long before = most_bytes = bytes_taken;
    CHECK(whole(&data, NULL) == SQLITE_OK);
    double taken = (double)(most_bytes - before), told = (double)ease_bytes(400, entries, 1);
    CHECK(taken <= told);
    if (users > 500) CHECK(told < 1.2 * taken);
    sparse_free(&data);
  }
  CHECK_NEAR((double)ease_bytes(100000, 10000000, 0) / 4e10, 1, .03);
  assert_int_equal(ease_bytes((size_t)1 << 33, 5, 0), UINT64_MAX);
}

static void test_cancel(void) {
  SparseMatrix data = make_data(100, 600, .2, 0);
  long polls = 0, before = outstanding;
  int code = SQLITE_INTERRUPT;
  for (; code == SQLITE_INTERRUPT && polls < 10000; polls += 1 + polls / 30) {
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

/* Who waits for a turn can still be stopped, and holds nothing. */
static void test_turns(void) {
  long left = 3;
  Cancel cancel = {count_down, &left};
  assert_int_equal(blas_begin(NULL), SQLITE_OK);
  assert_int_equal(blas_begin(&cancel), SQLITE_INTERRUPT);
  blas_end();
  assert_int_equal(blas_begin(&cancel), SQLITE_INTERRUPT);
  assert_int_equal(blas_begin(NULL), SQLITE_OK);
  blas_end();
}

static void test_nothing_is_lost(void) { assert_int_equal(outstanding, 0); }

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_inverse), TEST(test_large),     TEST(test_not_definite), TEST(test_weights),         TEST(test_nothing),
      TEST(test_lambda),  TEST(test_movielens), TEST(test_threads),      TEST(test_rivals),          TEST(test_memory),
      TEST(test_bytes),   TEST(test_cancel),    TEST(test_turns),        TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
