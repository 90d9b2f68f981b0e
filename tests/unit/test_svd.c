/* svd.h and base/dense.h against a decomposition by Jacobi's rotations and against the identities that define it, with
 * the promises about bytes, memory and cancelling. */
#include <stdlib.h>

#include "base/dense.h"
#include "base/factors.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/sqlite.h"
#include "cancelling.h"
#include "check.h"
#include "failing_memory.h"
#include "learn/svd.h"

/* ---- data -------------------------------------------------------------------------------------------------------- */

/* A matrix in both forms; the dense one is padded. */
typedef struct Data {
  DenseMatrix dense;
  float *values;
  SparseMatrix matrix, transpose;
} Data;

static void make_sparse(Data *data) {
  const DenseMatrix *dense = &data->dense;
  size_t entries = 0;
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1) CHECK(sparse_alloc(&data->matrix, dense->rows, dense->columns, entries, 1) == SQLITE_OK);
    entries = 0;
    for (size_t row = 0; row < dense->rows; row++) {
      for (size_t column = 0; column < dense->columns; column++) {
        float value = data->values[row * dense->stride + column];
        if (value == 0) continue;
        if (pass == 1) data->matrix.index[entries] = (uint32_t)column, data->matrix.value[entries] = value;
        entries++;
      }
      if (pass == 1) data->matrix.start[row + 1] = entries;
    }
  }
  CHECK(sparse_transpose(&data->matrix, &data->transpose, 2, NULL) == SQLITE_OK);
}

/* Σ_j spectrum_j u_j v_jᵀ with random directions, which are nearly orthogonal in long matrices; or a share of random
 * cells where there is no spectrum. */
static Data make_data(size_t rows, size_t columns, const double *spectrum, size_t length, double share) {
  Data data = {.dense = {NULL, rows, columns, columns + 3}};
  data.values = calloc(rows * data.dense.stride + 1, sizeof(float));
  data.dense.values = data.values;
  for (size_t row = 0; row < rows; row++)
    for (size_t column = 0; column < columns; column++) {
      double cell = 0;
      for (size_t j = 0; j < length; j++)
        cell += spectrum[j] * random_normal(10 + j, row) * random_normal(1000 + j, column);
      if (length == 0 && random_uniform(1, row * columns + column) < share)
        cell = fabs(random_normal(2, row * columns + column)) / sqrt(1 + (double)column);
      data.values[row * data.dense.stride + column] = (float)cell;
    }
  make_sparse(&data);
  return data;
}

static void free_data(Data *data) {
  free(data->values);
  sparse_free(&data->matrix);
  sparse_free(&data->transpose);
}

/* Rotates rows of a matrix pairwise until all are orthogonal (Hestenes 1958): their lengths are the singular values. */
static void jacobi(double *a, size_t rows, size_t length) {
  double worst = 1;
  for (int sweep = 0; sweep < 60 && worst > 1e-14; sweep++) {
    worst = 0;
    for (size_t i = 0; i < rows; i++)
      for (size_t j = i + 1; j < rows; j++) {
        double *x = a + i * length, *y = a + j * length, xx = 0, yy = 0, xy = 0;
        for (size_t k = 0; k < length; k++) xx += x[k] * x[k], yy += y[k] * y[k], xy += x[k] * y[k];
        if (xy == 0 || fabs(xy) <= 1e-14 * sqrt(xx * yy)) continue;
        worst = fmax(worst, fabs(xy) / sqrt(xx * yy));
        double cotangent = (yy - xx) / (2 * xy), t = copysign(1, cotangent) / (fabs(cotangent) + hypot(1, cotangent));
        double c = 1 / hypot(1, t), s = c * t;
        for (size_t k = 0; k < length; k++) {
          double old = x[k];
          x[k] = c * old - s * y[k];
          y[k] = s * old + c * y[k];
        }
      }
  }
}

/* All min(rows, columns) singular values, largest first. */
static double *exact_values(const Data *data) {
  const DenseMatrix *dense = &data->dense;
  int wide = dense->columns > dense->rows;
  size_t rows = wide ? dense->rows : dense->columns, length = wide ? dense->columns : dense->rows;
  double *a = calloc(rows * length + 1, sizeof *a), *sigma = calloc(rows + 1, sizeof *sigma);
  for (size_t i = 0; i < rows; i++)
    for (size_t k = 0; k < length; k++)
      a[i * length + k] = (double)data->values[wide ? i * dense->stride + k : k * dense->stride + i];
  jacobi(a, rows, length);
  for (size_t i = 0; i < rows; i++) {
    double square = 0;
    for (size_t k = 0; k < length; k++) square += a[i * length + k] * a[i * length + k];
    size_t place = i;
    for (; place > 0 && sigma[place - 1] < sqrt(square); place--) sigma[place] = sigma[place - 1];
    sigma[place] = sqrt(square);
  }
  free(a);
  return sigma;
}

/* ---- a decomposition and what must hold of it -------------------------------------------------------------------- */

static SvdOptions options_of(int rank) {
  return (SvdOptions){.rank = rank, .tolerance = 1e-6, .iterations = 60, .seed = 42, .threads = 2};
}

static int decompose(const Data *data, int dense, const SvdOptions *options, SvdResult *result, double *loss,
                     const Cancel *cancel, Error *error) {
  Svd *svd = NULL;
  SvdMatrix matrix;
  SvdSparse sparse = {&data->matrix, &data->transpose};
  SvdReport report = {0};
  double last = INFINITY;
  *result = (SvdResult){0};
  int code = dense ? svd_dense(&matrix, &data->dense, options->threads, cancel)
                   : svd_sparse(&matrix, &sparse, options->threads, cancel);
  if (code != SQLITE_OK) return error_set(error, code, "interrupted");
  code = svd_create(&svd, &matrix, options, error);
  while (code == SQLITE_OK && !report.done) {
    code = svd_iterate(svd, &report, cancel, error);
    CHECK(code != SQLITE_OK || report.loss <= last + 1e-6 * matrix.squared_norm);
    last = report.loss;
  }
  if (code == SQLITE_OK) code = svd_finish(svd, result, cancel, error);
  if (loss) *loss = report.loss;
  svd_destroy(svd);
  return code;
}

/* Columns i and j of a matrix of the result. */
static double inner(const float *x, size_t rows, int stride, int i, int j) {
  double sum = 0;
  for (size_t row = 0; row < rows; row++)
    sum += (double)x[row * (size_t)stride + (size_t)i] * (double)x[row * (size_t)stride + (size_t)j];
  return sum;
}

static void check_orthogonal(const SvdResult *result) {
  double scale = result->sigma[0] > 0 ? result->sigma[0] * result->sigma[0] : 1;
  for (int i = 0; i < result->rank; i++)
    for (int j = 0; j <= i; j++) {
      double one = i == j && result->sigma[i] > 0, square = i == j ? result->sigma[i] * result->sigma[i] : 0;
      CHECK_NEAR(inner(result->right, result->columns, result->stride, i, j), one, 5e-6);
      CHECK_NEAR(inner(result->left, result->rows, result->stride, i, j) / scale, square / scale, 5e-6);
    }
}

/* A V = U Σ; the sign; zeros where they belong. */
static void check_vectors(const Data *data, const SvdResult *result) {
  size_t stride = (size_t)result->stride;
  double worst = 0;
  for (size_t row = 0; row < result->rows; row++)
    for (size_t j = 0; j < stride; j++) {
      double sum = 0;
      for (size_t c = 0; c < result->columns; c++)
        sum += (double)data->values[row * data->dense.stride + c] * (double)result->right[c * stride + j];
      worst = fmax(worst, fabs(sum - (double)result->left[row * stride + j]));
    }
  CHECK_NEAR(worst / (result->sigma[0] + 1e-300), 0, 3e-6);
  for (size_t j = 0; j < stride; j++) {
    float largest = 0;
    for (size_t c = 0; c < result->columns; c++)
      if (fabsf(result->right[c * stride + j]) > fabsf(largest)) largest = result->right[c * stride + j];
    CHECK(j < (size_t)result->rank && result->sigma[j] > 0 ? largest > 0 : largest == 0);
  }
}

static void check_data(const Data *data, int rank, double tolerance) {
  double *sigma = exact_values(data), squares = 0, loss = 0;
  size_t least = data->dense.rows < data->dense.columns ? data->dense.rows : data->dense.columns;
  SvdOptions options = options_of(rank);
  for (int dense = 0; dense < 2; dense++) {
    SvdResult result;
    Error error = {0};
    CHECK(decompose(data, dense, &options, &result, &loss, NULL, &error) == SQLITE_OK);
    CHECK(result.rank == rank && result.stride == factors_stride(rank));
    squares = 0;
    for (size_t j = 0; j < least; j++) squares += j < (size_t)rank ? 0 : sigma[j] * sigma[j];
    CHECK_NEAR(loss / (sigma[0] * sigma[0] + 1e-300), squares / (sigma[0] * sigma[0] + 1e-300), 1e-5);
    for (int j = 0; j < rank; j++) {
      double expected = (size_t)j < least ? sigma[j] : 0;
      if (expected > 1e-5 * sigma[0])
        CHECK_NEAR(result.sigma[j] / expected, 1, tolerance);
      else
        CHECK(result.sigma[j] <= 2e-5 * sigma[0]);
    }
    check_orthogonal(&result);
    check_vectors(data, &result);
    svd_result_free(&result);
  }
  free(sigma);
}

/* ---- spectra ----------------------------------------------------------------------------------------------------- */

static void test_spectra(void) {
  double spectrum[60];
  for (int kind = 0; kind < 5; kind += 1 + SANITIZED) {
    for (int j = 0; j < 60; j++)
      spectrum[j] = kind == 0   ? pow(j + 1, -.3)
                    : kind == 1 ? pow(.5, j)
                    : kind == 2 ? j < 5
                    : kind == 3 ? pow(10, -j)
                                : pow(j + 1, -1);
    Data data = make_data(230, 150, spectrum, 60, 0);
    check_data(&data, 10, 1e-4);
    check_data(&data, 40, 1e-4);
    free_data(&data);
  }
  for (int wide = 0; wide < 2; wide++) { /* like tf-idf: sparse, slowly decaying */
    const size_t more = SANITIZED ? 200 : 500, less = SANITIZED ? 80 : 200;
    Data data = wide ? make_data(less, more, NULL, 0, .05) : make_data(more, less, NULL, 0, .05);
    check_data(&data, 1, 1e-4);
    check_data(&data, 32, 1e-4);
    check_data(&data, 64, 1e-4);
    check_data(&data, 250, 1e-4);
    free_data(&data);
  }
}

static void test_shapes(void) {
  const size_t shapes[][2] = {{1, 1}, {1, 9}, {9, 1}, {2, 2}, {3, 40}, {40, 3}, {17, 17}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    Data data = make_data(shapes[s][0], shapes[s][1], NULL, 0, 1);
    const int ranks[] = {1, 2, 16, 50};
    for (size_t r = 0; r < sizeof ranks / sizeof *ranks; r++) check_data(&data, ranks[r], 1e-5);
    free_data(&data);
    data = make_data(shapes[s][0], shapes[s][1], NULL, 0, 0); /* all zero */
    check_data(&data, 5, 0);
    free_data(&data);
  }
  const size_t empty[][2] = {{0, 0}, {0, 5}, {5, 0}};
  for (size_t s = 0; s < 3; s++) {
    Data data = make_data(empty[s][0], empty[s][1], NULL, 0, 1);
    check_data(&data, 3, 0);
    free_data(&data);
  }
}

/* Exactly rank 1 and 2, with many equal rows; an identity, whose singular values are all equal. */
static void test_deficient(void) {
  Data data = make_data(60, 50, NULL, 0, 0);
  free_data(&data);
  for (int kind = 0; kind < 3; kind++) {
    data = (Data){.dense = {NULL, 60, 50, 50}};
    data.values = calloc(60 * 50, sizeof(float));
    data.dense.values = data.values;
    for (size_t row = 0; row < 60; row++)
      for (size_t c = 0; c < 50; c++)
        data.values[row * 50 + c] = kind == 0 ? 3 : kind == 1 ? (float)(row % 2 == c % 2) : (float)(row == c);
    make_sparse(&data);
    check_data(&data, 8, 1e-5);
    check_data(&data, 70, 1e-5);
    free_data(&data);
  }
}

/* Far from 1 a decomposition is the same, until squares leave the range of floats. */
static void test_scale(void) {
  for (int sign = -1; sign <= 1; sign += 2) {
    Data data = make_data(120, 80, NULL, 0, .2);
    for (size_t i = 0; i < 120 * data.dense.stride; i++) data.values[i] *= powf(10, (float)(18 * sign));
    sparse_free(&data.matrix);
    sparse_free(&data.transpose);
    make_sparse(&data);
    double *sigma = exact_values(&data);
    SvdOptions options = options_of(12);
    SvdResult result;
    Error error = {0};
    CHECK(decompose(&data, 0, &options, &result, NULL, NULL, &error) == SQLITE_OK);
    for (int j = 0; j < 12; j++) CHECK_NEAR(result.sigma[j] / sigma[j], 1, 1e-5);
    svd_result_free(&result);
    free(sigma);
    free_data(&data);
  }
}

/* ---- dense algebra ----------------------------------------------------------------------------------------------- */

/* a W = W Λ and WᵀW = 1 for sizes around those at which the method changes. */
static void test_eigen(void) {
  const size_t sizes[] = {1, 2, 5, 31, 64, 65, 97, 200};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    size_t n = sizes[s];
    double *a = malloc(n * n * sizeof *a), *w = malloc(n * n * sizeof *w), *values = malloc(n * sizeof *values);
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j <= i; j++) a[i * n + j] = a[j * n + i] = random_normal(7, i * n + j);
    memcpy(w, a, n * n * sizeof *a);
    CHECK(dense_eigen(w, n, values, NULL) == SQLITE_OK);
    double worst = 0;
    for (size_t j = 0; j < n; j++) {
      if (j > 0) CHECK(values[j] <= values[j - 1]);
      for (size_t i = 0; i < n; i++) {
        double product = -values[j] * w[i * n + j], dot = i == j ? -1 : 0;
        for (size_t k = 0; k < n; k++) product += a[i * n + k] * w[k * n + j], dot += w[k * n + i] * w[k * n + j];
        worst = fmax(worst, fmax(fabs(product), fabs(dot)));
      }
    }
    CHECK_NEAR(worst, 0, 1e-11);
    w[0] = NAN;
    CHECK(dense_eigen(w, n, values, NULL) == SQLITE_ERROR);
    free(a);
    free(w);
    free(values);
  }
}

/* UᵀU = a, and the inverses undo it; a column that is the sum of two others is found. */
static void test_cholesky(void) {
  enum { N = 40 };
  double x[N * N], a[N * N], u[N * N], b[N * N];
  unsigned char dependent[N];
  size_t count;
  for (int deficient = 0; deficient < 2; deficient++) {
    for (size_t i = 0; i < N * N; i++) x[i] = random_normal(3, i);
    for (size_t k = 0; k < N && deficient; k++) x[k * N + 20] = x[k * N + 3] + x[k * N + 4];
    memset(a, 0, sizeof a);
    for (size_t i = 0; i < N; i++)
      for (size_t j = 0; j < N; j++)
        for (size_t k = 0; k < N; k++) a[i * N + j] += x[k * N + i] * x[k * N + j];
    memcpy(u, a, sizeof a);
    CHECK(dense_cholesky(u, N, 1e-11, dependent, &count, NULL) == SQLITE_OK);
    CHECK(count == (size_t)deficient && dependent[20] == deficient);
  }
  for (size_t i = 0; i < N; i++)
    for (size_t j = 0; j < N; j++) {
      double sum = 0;
      for (size_t k = 0; k < N; k++) sum += u[k * N + i] * u[k * N + j];
      if (i != 20 && j != 20) CHECK_NEAR(sum, a[i * N + j], 1e-9);
      if (j < i) CHECK(u[i * N + j] == 0);
      b[i * N + j] = sum;
    }
  assert_int_equal(dense_congruence(u, b, N, NULL), SQLITE_OK); /* U⁻ᵀ UᵀU U⁻¹ = 1 */
  memcpy(x, u, sizeof u);
  assert_int_equal(dense_solve_upper(u, x, N, NULL), SQLITE_OK);
  for (size_t i = 0; i < N * N; i++) {
    CHECK_NEAR(b[i], i % (N + 1) == 0, 1e-9);
    CHECK_NEAR(x[i], i % (N + 1) == 0, 1e-12);
  }
}

/* Gram matrices and products of matrices of several blocks. */
static void test_tall(void) {
  const size_t shapes[][2] = {{1, 1}, {10, 16}, {5000, 5}, {9001, 33}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    size_t rows = shapes[s][0], n = shapes[s][1], width = (n + 15) / 16 * 16;
    Tall x = {memory_alloc_aligned(rows, width * sizeof(float)), rows, width, n};
    double *gram = malloc(n * n * sizeof *gram), *m = malloc(n * n * sizeof *m), worst = 0;
    for (size_t row = 0; row < rows; row++)
      for (size_t i = 0; i < n; i++) x.values[row * width + i] = (float)random_normal(8, row * n + i);
    CHECK(dense_gram(&x, gram, 2, NULL) == SQLITE_OK);
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < n; j++)
        worst = fmax(worst, fabs(inner(x.values, rows, (int)width, (int)i, (int)j) - gram[i * n + j]));
    CHECK_NEAR(worst, 0, 1e-9);
    for (size_t i = 0; i < n * n; i++) m[i] = random_normal(9, i);
    float *old = malloc(rows * width * sizeof *old);
    memcpy(old, x.values, rows * width * sizeof *old);
    CHECK(dense_multiply(&x, m, 2, NULL) == SQLITE_OK);
    worst = 0;
    for (size_t row = 0; row < rows; row++)
      for (size_t j = 0; j < width; j++) {
        double sum = 0;
        for (size_t k = 0; k < n && j < n; k++) sum += (double)old[row * width + k] * m[k * n + j];
        worst = fmax(worst, fabs(sum - (double)x.values[row * width + j]));
      }
    CHECK_NEAR(worst, 0, 1e-4);
    free(old);
    free(gram);
    free(m);
    memory_free_aligned(x.values);
  }
}

/* Products for every way in which lanes are taken together, at every instruction set, and of a row in many pieces. */
static void test_products(void) {
  Data data = make_data(70, 3000, NULL, 0, .4);
  const char *levels[] = {"generic", "avx2", "avx512"};
  for (size_t width = 16; width <= 256; width += SANITIZED ? 48 : 16) {
    float *x = memory_alloc_aligned(3000, width * sizeof *x), *y = memory_alloc_aligned(70, width * sizeof *y);
    float *z = memory_alloc_aligned(70, width * sizeof *z);
    for (size_t i = 0; i < 3000 * width; i++) x[i] = (float)random_normal(4, i);
    CHECK(product_dense(&data.dense, x, z, width, 2, NULL) == SQLITE_OK);
    for (int level = 0; level < 3; level += 1 + SANITIZED) {
      double worst = 0;
      setenv("RECOMMEND_SIMD", levels[level], 1);
      CHECK(product_sparse(&data.matrix, x, y, width, 2, NULL) == SQLITE_OK);
      for (size_t i = 0; i < 70 * width; i++) worst = fmax(worst, fabs((double)y[i] - (double)z[i]));
      CHECK_NEAR(worst, 0, 1e-4);
    }
    unsetenv("RECOMMEND_SIMD");
    CHECK(product_dense_transposed(&data.dense, y, x, width, 2, NULL) == SQLITE_OK);
    float *t = memory_alloc_aligned(3000, width * sizeof *t);
    CHECK(product_sparse(&data.transpose, y, t, width, 2, NULL) == SQLITE_OK);
    double worst = 0;
    for (size_t i = 0; i < 3000 * width; i++) worst = fmax(worst, fabs((double)x[i] - (double)t[i]));
    CHECK_NEAR(worst, 0, 1e-3);
    memory_free_aligned(t);
    memory_free_aligned(x);
    memory_free_aligned(y);
    memory_free_aligned(z);
  }
  memory_free(data.matrix.value); /* no values: ones */
  memory_free(data.transpose.value);
  data.matrix.value = data.transpose.value = NULL;
  for (size_t i = 0; i < 70 * data.dense.stride; i++) data.values[i] = data.values[i] != 0;
  check_data(&data, 9, 1e-4);
  free_data(&data);
}

/* ---- promises ---------------------------------------------------------------------------------------------------- */

static void test_threads(void) {
  Data data = make_data(3000, 700, NULL, 0, .05);
  const int threads[] = {1, 2, 5};
  for (int dense = 0; dense < 2; dense++) {
    SvdResult first = {0};
    for (size_t t = 0; t < 3; t++) {
      SvdOptions options = options_of(20);
      SvdResult result;
      Error error = {0};
      options.threads = threads[t];
      CHECK(decompose(&data, dense, &options, &result, NULL, NULL, &error) == SQLITE_OK);
      if (t == 0) {
        first = result;
        continue;
      }
      CHECK(memcmp(first.left, result.left, 3000 * 32 * sizeof(float)) == 0);
      CHECK(memcmp(first.right, result.right, 700 * 32 * sizeof(float)) == 0);
      CHECK(memcmp(first.sigma, result.sigma, 20 * sizeof(double)) == 0);
      svd_result_free(&result);
    }
    svd_result_free(&first);
  }
  free_data(&data);
}

static int whole(const Data *data, int dense, const Cancel *cancel) {
  SvdOptions options = options_of(6);
  SvdResult result;
  Error error = {0};
  options.iterations = 3;
  int code = decompose(data, dense, &options, &result, NULL, cancel, &error);
  CHECK(code == error.code);
  svd_result_free(&result);
  error_clear(&error);
  return code;
}

static void test_memory(void) {
  Data data = make_data(75, 43, NULL, 0, .2);
  for (int dense = 0; dense < 2; dense++) {
    int code = SQLITE_NOMEM;
    long before = outstanding, n = 0;
    for (; code != SQLITE_OK && n < 1000; n++) {
      fail_after = n;
      code = whole(&data, dense, NULL);
      fail_after = -1;
      CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
      CHECK(outstanding == before);
    }
    CHECK(code == SQLITE_OK && n > 30);
  }
  free_data(&data);
}

static void test_cancel(void) {
  Data data = make_data(300, 200, NULL, 0, .2);
  for (int dense = 0; dense < 2; dense++) {
    long polls = 0, before = outstanding;
    int code = SQLITE_INTERRUPT;
    for (; code == SQLITE_INTERRUPT && polls < 100000; polls += 1 + polls / 8) {
      long left = polls;
      Cancel cancel = {count_down, &left};
      code = whole(&data, dense, &cancel);
      CHECK(code == SQLITE_OK || code == SQLITE_INTERRUPT);
      CHECK(outstanding == before);
    }
    CHECK(code == SQLITE_OK && polls > 50);
  }
  free_data(&data);
}

static void test_not_finite(void) {
  const float values[] = {NAN, INFINITY, 3e38f};
  for (int v = 0; v < 3; v++) {
    Data data = make_data(30, 20, NULL, 0, 1);
    for (size_t i = 0; i < (v == 2 ? 30 * data.dense.stride : 1); i++) data.values[i] = values[v];
    SvdOptions options = options_of(4);
    SvdResult result;
    Error error = {0};
    CHECK(decompose(&data, 1, &options, &result, NULL, NULL, &error) == SQLITE_ERROR);
    CHECK(error.message && strstr(error.message, "no longer finite in iteration 1"));
    error_clear(&error);
    free_data(&data);
  }
}

static void test_nothing_is_lost(void) { assert_int_equal(outstanding, 0); }

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_eigen),           TEST(test_cholesky), TEST(test_tall),      TEST(test_products),
      TEST(test_spectra),         TEST(test_shapes),   TEST(test_deficient), TEST(test_scale),
      TEST(test_threads),         TEST(test_memory),   TEST(test_cancel),    TEST(test_not_finite),
      TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
