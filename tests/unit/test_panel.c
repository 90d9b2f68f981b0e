/* The panel kernels of every instruction set this processor has, against plain loops in double precision. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/panel.h"
#include "base/random.h"
#include "base/sqlite.h"
#include "check.h"

#define MOST_STRIDE 208
#define MOST_ROWS 400
#define OTHERS 1000

static float *panel, *others, *x, *y, *z, *base, *weight, *dots, *target, *matrix, *factor;
static float **const vectors[] = {&x, &y, &z, &base, &weight, &dots, &target};
enum { VECTORS = sizeof vectors / sizeof *vectors };
static uint32_t sample[MOST_ROWS];
static double expected[MOST_STRIDE * MOST_STRIDE];

static void fill(float *array, size_t n, uint64_t seed) {
  for (size_t i = 0; i < n; i++) array[i] = (float)random_normal(seed, i);
}

static double exact_dot(const float *a, const float *b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

static void test_gather(const PanelKernels *kernels, int stride, size_t n) {
  memset(panel, 0x55, MOST_ROWS * (size_t)stride * sizeof(float));
  kernels->gather(others, stride, sample, n, panel);
  int same = 1;
  for (size_t j = 0; j < n; j++)
    if (memcmp(panel + j * (size_t)stride, others + sample[j] * (size_t)stride, (size_t)stride * sizeof(float)))
      same = 0;
  for (size_t i = n * (size_t)stride; i < panel_padded(n) * (size_t)stride; i++)
    if (panel[i] != 0) same = 0;
  CHECK(same);
}

static void test_passes(const PanelKernels *kernels, int stride, size_t n, int with_base) {
  size_t width = (size_t)stride;
  fill(x, width, 1), fill(y, width, 2), fill(z, width, 3);
  fill(base, n, 4), fill(weight, n, 5);
  for (size_t j = n; j < panel_padded(n); j++) base[j] = weight[j] = 0;
  double total = 0, sum_y[MOST_STRIDE];
  for (size_t i = 0; i < width; i++) sum_y[i] = (double)y[i];
  float bias = .25f, sum = kernels->apply(panel, n, stride, x, bias, with_base ? base : NULL, weight, dots, y);
  for (size_t j = 0; j < n; j++) {
    double d = exact_dot(panel + j * width, x, width) + (double)bias;
    double c = (with_base ? (double)base[j] : 0) - (double)weight[j] * d;
    CHECK_NEAR(dots[j], d, 2e-5 * sqrt((double)stride));
    total += c;
    for (size_t i = 0; i < width; i++) sum_y[i] += c * (double)panel[j * width + i];
  }
  for (size_t j = n; j < panel_padded(n); j++) CHECK(dots[j] == 0);
  CHECK_NEAR(sum, total, 1e-3);
  for (size_t i = 0; i < width; i++) CHECK_NEAR(y[i], sum_y[i], 5e-3);
  memset(dots, 0x55, MOST_ROWS * sizeof(float));
  kernels->dots(panel, n, stride, x, bias, dots);
  for (size_t j = 0; j < n; j++)
    CHECK_NEAR(dots[j], exact_dot(panel + j * width, x, width) + (double)bias, 2e-5 * sqrt((double)stride));
  for (size_t j = n; j < panel_padded(n); j++) CHECK(dots[j] == 0);
}

static void test_sums(const PanelKernels *kernels, int stride, size_t n) {
  size_t width = (size_t)stride;
  memset(y, 0, width * sizeof(float)), memset(z, 0, width * sizeof(float));
  double total = 0;
  for (size_t j = 0; j < n; j++) total += (double)base[j];
  CHECK_NEAR(kernels->sums(panel, n, stride, base, weight, y, z), total, 1e-4);
  for (size_t i = 0; i < width; i++) {
    double sum_y = 0, sum_z = 0;
    for (size_t j = 0; j < n; j++) {
      sum_y += (double)base[j] * (double)panel[j * width + i];
      sum_z += (double)weight[j] * (double)panel[j * width + i];
    }
    CHECK_NEAR(y[i], sum_y, 1e-4);
    CHECK_NEAR(z[i], sum_z, 1e-4);
  }
}

static void test_gram(const PanelKernels *kernels, int stride, size_t n, int weighted) {
  size_t width = (size_t)stride;
  fill(matrix, width * width, 7);
  for (size_t i = 0; i < width; i++)
    for (size_t k = i; k < width; k++) {
      expected[i * width + k] = (double)matrix[i * width + k];
      for (size_t j = 0; j < n; j++)
        expected[i * width + k] +=
            (weighted ? (double)weight[j] : 1) * (double)panel[j * width + i] * (double)panel[j * width + k];
    }
  kernels->gram(panel, n, stride, weighted ? weight : NULL, matrix);
  double worst = 0;
  for (size_t i = 0; i < width; i++)
    for (size_t k = i; k < width; k++)
      worst = fmax(worst, fabs((double)matrix[i * width + k] - expected[i * width + k]));
  CHECK_NEAR(worst, 0, 1e-3);
}

/* A = panelᵀ panel + I: factorize, solve, and see whether A x is b again. Only the upper half may be read. */
static void test_cholesky(const PanelKernels *kernels, int stride, size_t n) {
  size_t width = (size_t)stride;
  memset(matrix, 0, width * width * sizeof(float));
  kernels->gram(panel, n, stride, NULL, matrix);
  for (size_t i = 0; i < width; i++) {
    matrix[i * width + i] += 1;
    for (size_t k = 0; k < width; k++) {
      if (k / 16 < i / 16) matrix[i * width + k] = NAN;
      if (k < i && k / 16 == i / 16) matrix[i * width + k] = 1e9f;
    }
  }
  memcpy(factor, matrix, width * width * sizeof(float));
  int good = 1;
  for (int first = 0; first < stride; first += 16) good &= kernels->factorize(factor, stride, first, .5f);
  CHECK(good);
  fill(x, width, 9), memcpy(y, x, width * sizeof(float));
  kernels->solve(factor, stride, y);
  for (size_t i = 0; i < width; i++) {
    double sum = 0;
    for (size_t k = 0; k < width; k++)
      sum += (double)(k < i ? matrix[k * width + i] : matrix[i * width + k]) * (double)y[k];
    CHECK_NEAR(sum, x[i], 2e-3);
  }
  /* A pivot that is too small is refused, wherever it is. */
  memcpy(factor, matrix, width * width * sizeof(float));
  size_t bad = width - 3;
  factor[bad * width + bad] = -1;
  good = 1;
  for (int first = 0; first < stride && good; first += 16) good = kernels->factorize(factor, stride, first, .5f);
  CHECK(!good);
}

/* Descent lowers ½ xᵀAx − b·x, keeps x ≥ 0 and its gradient right, and ends where no coordinate can gain. */
static void test_descent(const PanelKernels *kernels, int stride, size_t n) {
  size_t width = (size_t)stride;
  int rank = stride - 5;
  memset(matrix, 0, width * width * sizeof(float));
  kernels->gram(panel, n, stride, NULL, matrix);
  for (size_t i = 0; i < width; i++) {
    matrix[i * width + i] += 10;
    for (size_t k = i + 1; k < width; k++) matrix[k * width + i] = matrix[i * width + k];
  }
  fill(z, width, 11);
  memset(x, 0, width * sizeof(float));
  for (size_t i = 0; i < width; i++) y[i] = -z[i];
  float change = 1;
  for (int round = 0; round < 2000 && change > 1e-7f; round++) change = kernels->descend(matrix, stride, rank, y, x);
  CHECK(change <= 1e-7f);
  for (size_t i = 0; i < width; i++) {
    double gradient = exact_dot(matrix + i * width, x, width) - (double)z[i];
    CHECK_NEAR(y[i], gradient, 1e-4);
    if ((int)i >= rank) CHECK(x[i] == 0);
    if ((int)i < rank) CHECK(x[i] > 0 ? fabs(gradient) < 1e-4 : gradient > -1e-4);
  }
  fill(x, width, 12), fill(y, width, 13);
  memcpy(z, y, width * sizeof(float));
  kernels->multiply(matrix, stride, -.5f, x, y);
  for (size_t i = 0; i < width; i++)
    CHECK_NEAR(y[i], (double)z[i] - .5 * exact_dot(matrix + i * width, x, width), 2e-2);
}

static void test_vectors(const PanelKernels *kernels, size_t n) {
  fill(x, n, 21), fill(y, n, 22), memcpy(z, y, n * sizeof(float));
  CHECK_NEAR(kernels->dot(n, x, y), exact_dot(x, y, n), 1e-4);
  kernels->add(n, 1.5f, x, y);
  for (size_t i = 0; i < n; i++) CHECK_NEAR(y[i], (double)z[i] + 1.5 * (double)x[i], 1e-6);
  memcpy(y, z, n * sizeof(float));
  kernels->scale_add(n, x, -2, y);
  for (size_t i = 0; i < n; i++) CHECK_NEAR(y[i], (double)x[i] - 2 * (double)z[i], 1e-6);
  fill(target, n, 23), fill(weight, n, 24), fill(dots, n, 25);
  double fit = 1, squared = 2, expected_fit = 1, expected_squared = 2;
  for (size_t j = 0; j < n; j++) {
    double d = (double)dots[j], e = (double)target[j] - d;
    expected_squared += e * e;
    expected_fit += ((double)weight[j] + .3) * e * e - .3 * d * d;
  }
  kernels->misfit(n, target, weight, dots, .3f, &fit, &squared);
  CHECK_NEAR(fit, expected_fit, 1e-3);
  CHECK_NEAR(squared, expected_squared, 1e-3);
}

static void test_kernels(const void *of_one_level) {
  const PanelKernels *kernels = of_one_level;
  const int strides[] = {16, 32, 48, 64, 80, 96, 112, 128, 144, 208};
  const size_t rows[] = {1, 2, 15, 16, 17, 100, 391};
  for (size_t s = 0; s < sizeof strides / sizeof *strides; s++) {
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
      int stride = strides[s];
      test_gather(kernels, stride, rows[r]);
      test_passes(kernels, stride, rows[r], 0);
      test_passes(kernels, stride, rows[r], 1);
      test_sums(kernels, stride, rows[r]);
      test_gram(kernels, stride, rows[r], 0);
      test_gram(kernels, stride, rows[r], 1);
      test_cholesky(kernels, stride, rows[r]);
    }
    test_descent(kernels, strides[s], 100);
    test_vectors(kernels, (size_t)strides[s]);
  }
}

static void test_avx2(void) {
#if defined(__x86_64__)
  if (simd_level() >= SIMD_AVX2) {
    test_kernels(&panel_kernels_avx2);
    return;
  }
#endif
  skip();
}

static void test_avx512(void) {
#if defined(__x86_64__)
  if (simd_level() >= SIMD_AVX512) {
    test_kernels(&panel_kernels_avx512);
    return;
  }
#endif
  skip();
}

static int make_numbers(void **state) {
  (void)state;
  others = memory_alloc_aligned(OTHERS * MOST_STRIDE, sizeof(float));
  panel = memory_alloc_aligned(MOST_ROWS * MOST_STRIDE, sizeof(float));
  matrix = memory_alloc_aligned(MOST_STRIDE * MOST_STRIDE, sizeof(float));
  factor = memory_alloc_aligned(MOST_STRIDE * MOST_STRIDE, sizeof(float));
  for (size_t i = 0; i < VECTORS; i++) *vectors[i] = memory_alloc_aligned(MOST_ROWS, sizeof(float));
  fill(others, OTHERS * MOST_STRIDE, 31);
  for (size_t j = 0; j < MOST_ROWS; j++) sample[j] = (uint32_t)(random_bits(32, j) % OTHERS);
  return 0;
}

static int free_numbers(void **state) {
  (void)state;
  memory_free_aligned(others);
  memory_free_aligned(panel);
  memory_free_aligned(matrix);
  memory_free_aligned(factor);
  for (size_t i = 0; i < VECTORS; i++) memory_free_aligned(*vectors[i]);
  return 0;
}

int main(void) {
  sqlite3_initialize();
  const struct CMUnitTest tests[] = {
      TEST_OF(test_kernels, panel_kernels_generic),
      TEST(test_avx2),
      TEST(test_avx512),
  };
  return cmocka_run_group_tests(tests, make_numbers, free_numbers);
}
