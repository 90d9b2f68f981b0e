/* One row in double: see als_exact.h. */
#include "als_exact.h"

#include <math.h>

#include "../base/dense.h"
#include "../base/dense_kernels.h"
#include "../base/memory.h"

#define LEAST_PIVOT 1e-14   /* of the diagonal: below, a column depends on those before it */
#define FLOAT_PIVOT 4e-6    /* of G's diagonal: as als_row.c has it … */
#define FLOAT_ROUNDING 2e-7 /* … and what the sum over a rank's lanes is off by for each of them */
#define ENTRIES_A_POLL 64

int als_exact_is_needed(const AlsSide *side, double largest) {
  const AlsOptions *options = side->options;
  double others = (double)side->matrix->columns, least;
  least = options->regularization * pow(1 + options->missing_weight * others, options->nu); /* of a row of one entry */
  return least < largest * fmax(FLOAT_PIVOT, FLOAT_ROUNDING * options->rank);
}

double als_exact_form(const double *a, const float *x, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    double along = 0;
    for (size_t j = 0; j < n; j++) along += a[i * n + j] * (double)x[j];
    sum += along * (double)x[i];
  }
  return sum;
}

/* The sums over a row's entries. */
typedef struct Equations {
  size_t n;
  double *a;                /* n × n, its upper half */
  double *right, *column;   /* Σ c t q, and s = Σ q */
  double *vector;           /* scratch */
  double bias_sum, divisor; /* β and d */
} Equations;

static int alloc_equations(Equations *equations, size_t n) {
  *equations = (Equations){.n = n};
  equations->a = memory_alloc_zero(n, n * sizeof(double));
  equations->right = memory_alloc_zero(3 * n, sizeof(double));
  if (!equations->a || !equations->right) return CODE_NOMEM;
  equations->column = equations->right + n;
  equations->vector = equations->column + n;
  return CODE_OK;
}

static void free_equations(Equations *equations) {
  memory_free(equations->a);
  memory_free(equations->right);
}

/* c_j − w_m and c_j t_j of one entry. */
static void weigh_cell(const AlsSide *side, size_t entry, double *weight, double *base) {
  const AlsOptions *options = side->options;
  double value = (double)sparse_value(side->matrix, entry);
  if (!options->ranking) {
    *weight = 1;
    *base = value - options->mean - (side->other_bias ? (double)side->other_bias[side->matrix->index[entry]] : 0);
    return;
  }
  double confidence = options->confidence + options->confidence_slope * fabs(value);
  *weight = confidence - (options->weigh_all_cells ? 0 : options->missing_weight);
  *base = confidence * als_target(options, value);
}

static int sum_entries(const AlsSide *side, size_t row, int worker, Equations *equations) {
  const DenseKernels *kernels = dense_kernels();
  const SparseMatrix *matrix = side->matrix;
  size_t n = equations->n;
  double *q = equations->vector;
  for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++) {
    const float *other = side->other + matrix->index[e] * (size_t)side->stride;
    double weight, base;
    weigh_cell(side, e, &weight, &base);
    for (size_t i = 0; i < n; i++) q[i] = (double)other[i];
    for (size_t i = 0; i < n; i++) kernels->add(n - i, weight * q[i], q + i, equations->a + i * n + i);
    kernels->add(n, base, q, equations->right);
    kernels->add(n, 1, q, equations->column);
    equations->bias_sum += base;
    int code = (e - matrix->start[row]) % ENTRIES_A_POLL == 0 ? als_poll(side, worker) : CODE_OK;
    if (code != CODE_OK) return code;
  }
  return CODE_OK;
}

/* All of it, the bias eliminated. */
static int make_equations(const AlsSide *side, size_t row, int worker, Equations *equations) {
  const DenseKernels *kernels = dense_kernels();
  size_t n = (size_t)side->options->rank, stride = (size_t)side->stride;
  double penalty = als_row_penalty(side, row);
  int code = alloc_equations(equations, n);
  if (code == CODE_OK) code = sum_entries(side, row, worker, equations);
  if (code != CODE_OK) return code;
  for (size_t i = 0; i < n; i++) {
    double *line = equations->a + i * n;
    for (size_t j = i; j < n && side->gram; j++)
      line[j] += side->exact_gram ? side->exact_gram[i * n + j] : (double)side->gram[i * stride + j];
    line[i] += penalty;
  }
  equations->divisor = (double)sparse_row_length(side->matrix, row) + penalty * als_bias_share(side->options);
  double scale = -1 / equations->divisor, *s = equations->column;
  for (size_t i = 0; i < n && side->bias; i++) kernels->add(n - i, scale * s[i], s + i, equations->a + i * n + i);
  if (side->bias) kernels->add(n, scale * equations->bias_sum, s, equations->right);
  return CODE_OK;
}

/* right becomes A⁻¹ right. */
static int solve(Equations *equations, const Cancel *cancel) {
  const DenseKernels *kernels = dense_kernels();
  size_t n = equations->n, count = 0;
  double *u = equations->a, *x = equations->right;
  unsigned char *dependent = memory_alloc(n, 1);
  int code = dependent ? dense_cholesky(u, n, LEAST_PIVOT, dependent, &count, cancel) : CODE_NOMEM;
  for (size_t i = 0; i < n && code == CODE_OK; i++) { /* U⁻ᵀ */
    x[i] = dependent[i] ? 0 : x[i] / u[i * n + i];
    kernels->add(n - i - 1, -x[i], u + i * n + i + 1, x + i + 1);
  }
  for (size_t i = n; i-- > 0 && code == CODE_OK;) { /* U⁻¹ */
    for (size_t j = i + 1; j < n; j++) x[i] -= u[i * n + j] * x[j];
    x[i] = dependent[i] ? 0 : x[i] / u[i * n + i];
  }
  memory_free(dependent);
  return code;
}

int als_exact_solve(const AlsSide *side, size_t row, int worker, float *x, float *bias) {
  Equations equations;
  int code = make_equations(side, row, worker, &equations);
  if (code == CODE_OK) code = solve(&equations, worker == 0 ? side->cancel : NULL);
  double rest = equations.bias_sum;
  for (size_t i = 0; i < equations.n && code == CODE_OK; i++) {
    x[i] = (float)equations.right[i];
    rest -= equations.column[i] * equations.right[i];
  }
  if (side->bias && code == CODE_OK) *bias = (float)(rest / equations.divisor);
  free_equations(&equations);
  return code;
}

int als_exact_matrix(const AlsSide *side, size_t row, double *a, double *level) {
  Equations equations;
  size_t n = (size_t)side->options->rank;
  int code = make_equations(side, row, 0, &equations);
  for (size_t i = 0; i < n && code == CODE_OK; i++) {
    level[i] = side->bias ? equations.column[i] / equations.divisor : 0;
    for (size_t j = 0; j < n; j++) a[i * n + j] = equations.a[i < j ? i * n + j : j * n + i];
  }
  free_equations(&equations);
  return code;
}
