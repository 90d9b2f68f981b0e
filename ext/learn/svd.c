/* Truncated singular value decomposition by subspace iteration: see svd.h.
 *
 * It starts from Aᵀ Ω with Ω random, a few columns wider than the rank (Halko, Martinsson & Tropp, "Finding structure
 * with randomness", SIAM Review 2011). Their next step would multiply with AᵀA, which makes the wanted directions grow
 * by (σ_r / σ_n)² against the unwanted: slow where the singular values decay slowly, as they do for text. A polynomial
 * of AᵀA costs the same products and grows faster: Chebyshev's, which is small between 0 and σ_n² and steeper above
 * than any other (Rutishauser 1970; Zhou, Saad, Tiago & Chelikowsky, "Self-consistent-field calculations using
 * Chebyshev-filtered subspace iteration", J. Comput. Phys. 2006, whose scaled recurrence this is). An iteration is
 *
 *     V ← p(AᵀA) V,  orthonormalised;     B = A V;     BᵀB = W Λ Wᵀ;     V ← V W,  B ← B W,  σ = √Λ
 *
 * so that V and B = U Σ are the best that there is in the subspace, and the loss never rises.
 *
 * Vectors are floats, what decides about directions (inner products of whole columns) is summed in double: singular
 * values are good to 1e-4 of themselves down to about 1e-5 of the largest. */
#include "svd.h"

#include <math.h>
#include <string.h>

#include "../base/dense.h"
#include "../base/factors.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/random.h"

#define SURPLUS 8          /* columns more than wanted, or half the rank if that is more */
#define BLOCK_FLOATS 65536 /* that simple loops do at once: well below a millisecond */
#define MOST_DEGREE 8      /* of the polynomial */
#define FIRST_SPREAD 1e5   /* by which the first polynomial may favour the largest direction over the last wanted … */
#define LATER_SPREAD 1e8   /* … and a later one, when the columns are no longer mixed: more would drown in rounding */
#define LOWEST_EDGE 1e-10  /* of the interval where the polynomial is small, as a part of σ_1² */
#define LEAST_PIVOT 1e-11  /* squared part of a column that must be new, if it is to be more than rounding */
#define SMALL 1e-3         /* of σ_1: changes of smaller values are measured by this */
#define NOISE 1e-6         /* of σ_1: smaller values can't be told from zero */
#define MOST_REPAIRS 8     /* of dependent columns, in a row */

struct Svd {
  SvdMatrix matrix;
  SvdOptions options;
  size_t wanted; /* the rank, or what there is of it */
  Tall left;     /* B / σ_1; n columns of it and of the others */
  Tall right;    /* V */
  Tall spare[2];
  double *gram, *form; /* n × n */
  double *sigma, *previous;
  double *scale; /* n */
  unsigned char *dependent;
  uint64_t draws; /* of random blocks so far */
  int iterations; /* completed */
};

/* ---- the matrices that there are as a rule ----------------------------------------------------------------------- */

static int sparse_multiply(void *context, const float *x, float *y, size_t width, int threads, const Cancel *cancel) {
  const SvdSparse *sparse = context;
  return product_sparse(sparse->matrix, x, y, width, threads, cancel);
}

static int sparse_multiply_transposed(void *context, const float *x, float *y, size_t width, int threads,
                                      const Cancel *cancel) {
  const SvdSparse *sparse = context;
  return product_sparse(sparse->transpose, x, y, width, threads, cancel);
}

static int dense_multiply_plain(void *context, const float *x, float *y, size_t width, int threads,
                                const Cancel *cancel) {
  return product_dense(context, x, y, width, threads, cancel);
}

static int dense_multiply_transposed(void *context, const float *x, float *y, size_t width, int threads,
                                     const Cancel *cancel) {
  return product_dense_transposed(context, x, y, width, threads, cancel);
}

int svd_sparse(SvdMatrix *result, const SvdSparse *sparse, int threads, const Cancel *cancel) {
  *result = (SvdMatrix){.rows = sparse->matrix->rows,
                        .columns = sparse->matrix->columns,
                        .context = (void *)sparse,
                        .multiply = sparse_multiply,
                        .multiply_transposed = sparse_multiply_transposed};
  return product_sparse_square(sparse->matrix, &result->squared_norm, threads, cancel);
}

int svd_dense(SvdMatrix *result, const DenseMatrix *dense, int threads, const Cancel *cancel) {
  *result = (SvdMatrix){.rows = dense->rows,
                        .columns = dense->columns,
                        .context = (void *)dense,
                        .multiply = dense_multiply_plain,
                        .multiply_transposed = dense_multiply_transposed};
  return product_dense_square(dense, &result->squared_norm, threads, cancel);
}

/* ---- setting up -------------------------------------------------------------------------------------------------- */

static int tall_alloc(Tall *tall, size_t rows, size_t n) {
  *tall = (Tall){.rows = rows, .width = (n + 15) / 16 * 16, .n = n};
  tall->values = memory_alloc_aligned(rows, tall->width * sizeof(float));
  return tall->values ? CODE_OK : CODE_NOMEM;
}

static int svd_alloc(Svd *svd) {
  const SvdMatrix *matrix = &svd->matrix;
  size_t rank = (size_t)svd->options.rank;
  size_t least = matrix->rows < matrix->columns ? matrix->rows : matrix->columns;
  size_t n = (rank + (rank / 2 > SURPLUS ? rank / 2 : SURPLUS) + 15) / 16 * 16;
  if (n > least) n = least;
  svd->wanted = rank < n ? rank : n;
  svd->gram = memory_alloc_zero(n, n * sizeof *svd->gram);
  svd->form = memory_alloc_zero(n, n * sizeof *svd->form);
  svd->sigma = memory_alloc_zero(n, sizeof *svd->sigma);
  svd->previous = memory_alloc_zero(n, sizeof *svd->previous);
  svd->scale = memory_alloc_zero(n, sizeof *svd->scale);
  svd->dependent = memory_alloc_zero(n, 1);
  if (!svd->gram || !svd->form || !svd->sigma || !svd->previous || !svd->scale || !svd->dependent) return CODE_NOMEM;
  int code = tall_alloc(&svd->left, matrix->rows, n);
  if (code == CODE_OK) code = tall_alloc(&svd->right, matrix->columns, n);
  for (int i = 0; i < 2 && code == CODE_OK; i++) code = tall_alloc(&svd->spare[i], matrix->columns, n);
  return code;
}

int svd_create(Svd **out, const SvdMatrix *matrix, const SvdOptions *options, Error *error) {
  *out = NULL;
  Svd *svd = memory_alloc_zero(1, sizeof *svd);
  if (!svd) return error_no_memory(error);
  svd->matrix = *matrix;
  svd->options = *options;
  if (svd_alloc(svd) != CODE_OK) {
    svd_destroy(svd);
    return error_no_memory(error);
  }
  *out = svd;
  return CODE_OK;
}

void svd_destroy(Svd *svd) {
  if (!svd) return;
  memory_free_aligned(svd->left.values);
  memory_free_aligned(svd->right.values);
  for (int i = 0; i < 2; i++) memory_free_aligned(svd->spare[i].values);
  memory_free(svd->gram);
  memory_free(svd->form);
  memory_free(svd->sigma);
  memory_free(svd->previous);
  memory_free(svd->scale);
  memory_free(svd->dependent);
  memory_free(svd);
}

/* ---- random columns ---------------------------------------------------------------------------------------------- */

typedef struct Draw {
  const Tall *x;
  const unsigned char *chosen; /* the columns to draw; NULL: all */
  uint64_t seed;
} Draw;

static size_t tall_rows(const Tall *x) { return x->width < BLOCK_FLOATS ? BLOCK_FLOATS / x->width : 1; }
static size_t tall_blocks(const Tall *x) { return (x->rows + tall_rows(x) - 1) / tall_rows(x); }
static size_t tall_end(const Tall *x, size_t block) {
  return (block + 1) * tall_rows(x) < x->rows ? (block + 1) * tall_rows(x) : x->rows;
}

static int svd_draw_block(void *context, size_t block, int worker) {
  (void)worker;
  const Draw *draw = context;
  const Tall *x = draw->x;
  for (size_t row = block * tall_rows(x); row < tall_end(x, block); row++)
    for (size_t i = 0; i < x->n; i++)
      if (!draw->chosen || draw->chosen[i])
        x->values[row * x->width + i] = (float)(2 * random_uniform(draw->seed, row * x->n + i) - 1);
  return CODE_OK;
}

static int draw_columns(Svd *svd, const Tall *x, const unsigned char *chosen, const Cancel *cancel) {
  Draw draw = {x, chosen, random_bits(svd->options.seed, svd->draws++)};
  return parallel_for(svd->options.threads, tall_blocks(x), svd_draw_block, &draw, cancel);
}

/* ---- the polynomial ---------------------------------------------------------------------------------------------- */

typedef struct Step {
  const Tall *z, *y, *x;
  double a, b, c;
} Step;

/* z ← a z + b y + c x. In double: a may be beyond what a float holds. */
static int step_block(void *context, size_t block, int worker) {
  (void)worker;
  const Step *step = context;
  size_t first = block * tall_rows(step->z) * step->z->width, end = tall_end(step->z, block) * step->z->width;
  float *z = step->z->values;
  const float *y = step->y->values, *x = step->x->values;
  for (size_t i = first; i < end; i++)
    z[i] = (float)(step->a * (double)z[i] + step->b * (double)y[i] + step->c * (double)x[i]);
  return CODE_OK;
}

/* log cosh(degree · arcosh t), t ≥ 1: the logarithm of Chebyshev's polynomial. */
static double log_chebyshev(int degree, double t) {
  double angle = degree * acosh(fmax(t, 1));
  return angle + log1p(exp(-2 * angle)) - log(2);
}

/* The steepest polynomial whose largest value does not drown the last wanted one in rounding. */
static int choose_degree(const Svd *svd, double half) {
  double first = svd->sigma[0] * svd->sigma[0] / half - 1;
  double last = svd->sigma[svd->wanted - 1] * svd->sigma[svd->wanted - 1] / half - 1;
  double spread = log(svd->iterations == 1 ? FIRST_SPREAD : LATER_SPREAD);
  int degree = 1;
  while (degree < MOST_DEGREE && log_chebyshev(degree + 1, first) - log_chebyshev(degree + 1, last) <= spread) degree++;
  return degree;
}

/* V ← p(AᵀA) V / σ_1, p the Chebyshev polynomial on [0, σ_n²] that is 1 at σ_1². B / σ_1 is at hand. Dividing by σ_1
 * keeps AᵀA within the range of floats. */
static int apply_polynomial(Svd *svd, const Cancel *cancel) {
  const SvdMatrix *matrix = &svd->matrix;
  size_t n = svd->left.n, width = svd->left.width;
  double largest = svd->sigma[0], top = largest * largest;
  double half = fmax(svd->sigma[n - 1] * svd->sigma[n - 1], LOWEST_EDGE * top) / 2;
  double first = half / (top - half), now = first;
  int degree = choose_degree(svd, half), code = CODE_OK;
  Tall *x = &svd->spare[0], *y = &svd->right, *z = &svd->spare[1];
  for (int k = 0; k < degree && code == CODE_OK; k++) {
    double next = k == 0 ? first : 1 / (2 / first - now), a = (k == 0 ? 1 : 2) * next / half;
    Step step = {z, y, x, a, -a * half, -now * next};
    if (k == 0) step.x = y, step.b /= largest, step.c = 0;
    if (k == 1) step.c /= largest; /* V itself, as it was */
    if (k > 0)
      code = matrix->multiply(matrix->context, y->values, svd->left.values, width, svd->options.threads, cancel);
    if (code == CODE_OK)
      code = matrix->multiply_transposed(matrix->context, svd->left.values, z->values, width, svd->options.threads,
                                         cancel);
    if (code == CODE_OK) code = parallel_for(svd->options.threads, tall_blocks(z), step_block, &step, cancel);
    Tall old = *x;
    *x = *y;
    *y = *z;
    *z = old;
    now = next;
  }
  return code;
}

/* ---- the subspace ------------------------------------------------------------------------------------------------ */

static int finite_diagonal(const double *a, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!isfinite(a[i * n + i])) return 0;
  return 1;
}

/* The Gram matrix of V's columns brought to length 1; `scale` is what they are multiplied by. */
static int scaled_gram(Svd *svd, const Cancel *cancel) {
  size_t n = svd->right.n;
  int code = dense_gram(&svd->right, svd->gram, svd->options.threads, cancel);
  if (code != CODE_OK) return code;
  if (!finite_diagonal(svd->gram, n)) return CODE_ERROR;
  for (size_t i = 0; i < n; i++) {
    double square = svd->gram[i * n + i];
    svd->scale[i] = square > 0 ? 1 / sqrt(square) : 0;
  }
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) svd->gram[i * n + j] *= svd->scale[i] * svd->scale[j];
  return CODE_OK;
}

/* Makes V's columns nearly orthonormal, by Cholesky's factor of their Gram matrix. Columns that bring nothing new (the
 * rank of A is lower, or they are lost in rounding) are drawn again. */
static int orthonormalize(Svd *svd, const Cancel *cancel) {
  size_t n = svd->right.n, dependent = 1;
  int code = CODE_OK;
  for (int repairs = 0; repairs < MOST_REPAIRS && dependent > 0 && code == CODE_OK; repairs++) {
    code = scaled_gram(svd, cancel);
    if (code == CODE_OK) code = dense_cholesky(svd->gram, n, LEAST_PIVOT, svd->dependent, &dependent, cancel);
    if (code != CODE_OK) break;
    memset(svd->form, 0, n * n * sizeof *svd->form);
    for (size_t i = 0; i < n; i++) svd->form[i * n + i] = 1;
    code = dense_solve_upper(svd->gram, svd->form, n, cancel);
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < n; j++) svd->form[i * n + j] *= svd->dependent[j] ? 0 : svd->scale[i];
    if (code == CODE_OK) code = dense_multiply(&svd->right, svd->form, svd->options.threads, cancel);
    if (code == CODE_OK && dependent > 0) code = draw_columns(svd, &svd->right, svd->dependent, cancel);
  }
  return code;
}

/* The singular values and vectors within the subspace: B = A V, and the eigenvectors of BᵀB where VᵀV counts as 1,
 * which takes away what orthonormalize left. B is divided by σ_1. */
static int rotate(Svd *svd, const Cancel *cancel) {
  const SvdMatrix *matrix = &svd->matrix;
  size_t n = svd->right.n, dependent;
  int threads = svd->options.threads;
  int code = matrix->multiply(matrix->context, svd->right.values, svd->left.values, svd->left.width, threads, cancel);
  if (code == CODE_OK) code = dense_gram(&svd->left, svd->form, threads, cancel);
  if (code == CODE_OK) code = dense_gram(&svd->right, svd->gram, threads, cancel);
  if (code == CODE_OK && !(finite_diagonal(svd->form, n) && finite_diagonal(svd->gram, n))) code = CODE_ERROR;
  if (code == CODE_OK) code = dense_cholesky(svd->gram, n, LEAST_PIVOT, svd->dependent, &dependent, cancel);
  if (code == CODE_OK) code = dense_congruence(svd->gram, svd->form, n, cancel);
  if (code == CODE_OK) code = dense_eigen(svd->form, n, svd->sigma, cancel);
  if (code == CODE_OK) code = dense_solve_upper(svd->gram, svd->form, n, cancel);
  if (code == CODE_OK) code = dense_multiply(&svd->right, svd->form, threads, cancel);
  if (code != CODE_OK) return code;
  for (size_t j = 0; j < n; j++) svd->sigma[j] = sqrt(fmax(svd->sigma[j], 0));
  double divisor = svd->sigma[0] > 0 ? svd->sigma[0] : 1;
  for (size_t i = 0; i < n * n; i++) svd->form[i] /= divisor;
  return dense_multiply(&svd->left, svd->form, threads, cancel);
}

/* ---- iterations -------------------------------------------------------------------------------------------------- */

static int iterate(Svd *svd, const Cancel *cancel) {
  const SvdMatrix *matrix = &svd->matrix;
  int code = CODE_OK;
  if (svd->iterations == 0) {
    code = draw_columns(svd, &svd->left, NULL, cancel);
    if (code == CODE_OK)
      code = matrix->multiply_transposed(matrix->context, svd->left.values, svd->right.values, svd->left.width,
                                         svd->options.threads, cancel);
  } else if (svd->sigma[0] > 0) {
    code = apply_polynomial(svd, cancel);
  }
  if (code == CODE_OK) code = orthonormalize(svd, cancel);
  return code == CODE_OK ? rotate(svd, cancel) : code;
}

static void report_on(Svd *svd, SvdReport *report) {
  double squares = 0;
  *report = (SvdReport){.change = svd->iterations == 1 && svd->wanted > 0 && svd->sigma[0] > 0};
  for (size_t j = 0; j < svd->wanted; j++) {
    double measure = fmax(svd->sigma[j], SMALL * svd->sigma[0]);
    if (svd->iterations > 1 && measure > 0)
      report->change = fmax(report->change, fabs(svd->sigma[j] - svd->previous[j]) / measure);
    squares += svd->sigma[j] * svd->sigma[j];
    svd->previous[j] = svd->sigma[j];
  }
  report->loss = fmax(svd->matrix.squared_norm - squares, 0);
  report->done = report->change <= svd->options.tolerance || svd->iterations >= svd->options.iterations;
}

int svd_iterate(Svd *svd, SvdReport *report, const Cancel *cancel, Error *error) {
  *report = (SvdReport){0};
  int code = svd->left.n > 0 ? iterate(svd, cancel) : cancel_poll(cancel);
  if (code == CODE_ERROR)
    return error_set(
        error, CODE_ERROR,
        "the singular vectors are no longer finite in iteration %d: look for values that are far too large",
        svd->iterations + 1);
  if (code != CODE_OK) return error_from_code(error, code);
  svd->iterations++;
  report_on(svd, report);
  return CODE_OK;
}

/* ---- the result -------------------------------------------------------------------------------------------------- */

/* Copies the first columns of x, each times its factor. */
typedef struct Copy {
  const Tall *x;
  const double *factor;
  float *to;
  size_t columns, stride;
} Copy;

static int copy_block(void *context, size_t block, int worker) {
  (void)worker;
  const Copy *copy = context;
  const Tall *x = copy->x;
  for (size_t row = block * tall_rows(x); row < tall_end(x, block); row++)
    for (size_t j = 0; j < copy->columns; j++)
      copy->to[row * copy->stride + j] =
          copy->factor[j] == 0 ? 0 : (float)(copy->factor[j] * (double)x->values[row * x->width + j]);
  return CODE_OK;
}

/* 1 or −1 for every column of V, so that its largest component (the first of equals) becomes positive; 0 where the
 * singular value is noise. */
static int choose_signs(Svd *svd, const Cancel *cancel) {
  const Tall *x = &svd->right;
  double *largest = svd->scale;
  int code = CODE_OK;
  for (size_t j = 0; j < x->n; j++) largest[j] = 0;
  for (size_t block = 0; block < tall_blocks(x) && code == CODE_OK; block++) {
    for (size_t row = block * tall_rows(x); row < tall_end(x, block); row++)
      for (size_t j = 0; j < x->n; j++) {
        double value = (double)x->values[row * x->width + j];
        if (fabs(value) > fabs(largest[j])) largest[j] = value;
      }
    code = cancel_poll(cancel);
  }
  for (size_t j = 0; j < x->n; j++) {
    if (!(svd->sigma[j] > NOISE * svd->sigma[0])) svd->sigma[j] = 0;
    svd->scale[j] = svd->sigma[j] == 0 ? 0 : largest[j] < 0 ? -1 : 1;
  }
  return code;
}

static int fill(Svd *svd, SvdResult *result, const Cancel *cancel) {
  size_t stride = (size_t)result->stride;
  result->left = memory_alloc_aligned(result->rows, stride * sizeof(float));
  result->right = memory_alloc_aligned(result->columns, stride * sizeof(float));
  result->sigma = memory_alloc_zero((size_t)result->rank, sizeof *result->sigma);
  if (!result->left || !result->right || !result->sigma) return CODE_NOMEM;
  if (svd->wanted == 0) return CODE_OK;
  double largest = svd->sigma[0];
  int code = choose_signs(svd, cancel);
  Copy copy = {&svd->right, svd->scale, result->right, svd->wanted, stride};
  if (code == CODE_OK) code = parallel_for(svd->options.threads, tall_blocks(&svd->right), copy_block, &copy, cancel);
  for (size_t j = 0; j < svd->wanted; j++) {
    svd->scale[j] *= largest;
    result->sigma[j] = svd->sigma[j];
  }
  copy.x = &svd->left, copy.to = result->left;
  if (code == CODE_OK) code = parallel_for(svd->options.threads, tall_blocks(&svd->left), copy_block, &copy, cancel);
  return code;
}

int svd_finish(Svd *svd, SvdResult *result, const Cancel *cancel, Error *error) {
  *result = (SvdResult){.rows = svd->matrix.rows,
                        .columns = svd->matrix.columns,
                        .rank = svd->options.rank,
                        .stride = factors_stride(svd->options.rank)};
  int code = fill(svd, result, cancel);
  if (code == CODE_OK) return CODE_OK;
  svd_result_free(result);
  return error_from_code(error, code);
}

void svd_result_free(SvdResult *result) {
  memory_free_aligned(result->left);
  memory_free_aligned(result->right);
  memory_free(result->sigma);
  *result = (SvdResult){0};
}
