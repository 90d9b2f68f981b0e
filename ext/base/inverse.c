/* The inverse of a symmetric positive definite matrix, in place: see inverse.h.
 *
 * Gauss and Jordan's elimination by blocks, the "sweep" of statistics (Goodnight, "A tutorial on the SWEEP operator",
 * The American Statistician 33 (1979)). For each block K of rows and columns in turn, with R all others,
 *
 *     A_RR ← A_RR − A_RK A_KK⁻¹ A_KR        A_RK ← A_RK A_KK⁻¹        A_KK ← −A_KK⁻¹
 *
 * and after the last block A has become −A⁻¹. It stays symmetric on the way, so half of it is enough, and what is not
 * yet swept is a Schur complement, so every A_KK is positive definite. Without pivoting that is as accurate as
 * Cholesky's method on such matrices (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., §14.4), takes
 * as many operations, and all but n · BLOCK² of them are in products of large blocks. LAPACK inverts the blocks of the
 * diagonal; the products are shared among threads, for which OpenBLAS can't be had (blas.c), in strips of rows. */
#include "inverse.h"

#include <cblas.h>
#include <f77blas.h>
#include <string.h>
#include <time.h>

#include "blas.h"
#include "code.h"
#include "dense_kernels.h"
#include "memory.h"
#include "parallel.h"

#define BLOCK SYMMETRIC_BLOCK
#define LINE 8   /* numbers a cache line; divides BLOCK */
#define STRIP 32 /* rows of a product that one thread does at a time; divides BLOCK */
#define LANES 16 /* columns of a product that lie together; a multiple of LINE */

/* ---- the matrix -------------------------------------------------------------------------------------------------- */

static size_t panels_of(size_t n) { return n / BLOCK + (n % BLOCK != 0); }

static size_t panel_rows(const SymmetricMatrix *matrix, size_t panel) {
  size_t rest = matrix->n - panel * BLOCK;
  return rest < BLOCK ? rest : BLOCK;
}

int symmetric_alloc(SymmetricMatrix *matrix, size_t n) {
  *matrix = (SymmetricMatrix){.n = n, .panels = panels_of(n)};
  matrix->panel = memory_alloc_zero(matrix->panels, sizeof *matrix->panel);
  int code = matrix->panel ? CODE_OK : CODE_NOMEM;
  for (size_t p = 0; p < matrix->panels && code == CODE_OK; p++) {
    matrix->panel[p] = memory_alloc_aligned(panel_rows(matrix, p), symmetric_width(matrix, p) * sizeof(double));
    if (!matrix->panel[p]) code = CODE_NOMEM;
  }
  if (code != CODE_OK) symmetric_free(matrix);
  return code;
}

void symmetric_free(SymmetricMatrix *matrix) {
  for (size_t p = 0; matrix->panel && p < matrix->panels; p++) memory_free_aligned(matrix->panel[p]);
  memory_free(matrix->panel);
  *matrix = (SymmetricMatrix){0};
}

/* Σ_p BLOCK · min(n, (p + 1) BLOCK) doubles is at most n (n + BLOCK) / 2; and each allocation has a few bytes more. */
uint64_t symmetric_bytes(size_t n) {
  uint64_t bytes;
  if (__builtin_mul_overflow((uint64_t)n + BLOCK, (uint64_t)n + BLOCK, &bytes) ||
      __builtin_mul_overflow(bytes, sizeof(double) / 2, &bytes))
    return UINT64_MAX;
  return bytes;
}

uint64_t symmetric_invert_bytes(size_t n) {
  uint64_t bytes;
  return __builtin_mul_overflow((uint64_t)n + BLOCK, 3 * BLOCK * sizeof(double), &bytes) ? UINT64_MAX : bytes;
}

/* ---- sweeping a block -------------------------------------------------------------------------------------------- */

/* All arrays are row major, BLOCK numbers a row. */
typedef struct Sweep {
  SymmetricMatrix *matrix;
  const Cancel *cancel;
  int threads;
  size_t first, width; /* the first row of K, and how many there are */
  double *column;      /* n × BLOCK: A_RK, zeros in the rows of K */
  double *packed;      /* its negative, transposed: LANES of its rows, and of those its columns one after the other */
  double *solved;      /* n × BLOCK: A_RK A_KK⁻¹ */
  double *diagonal;    /* BLOCK × BLOCK: A_KK, then its inverse, both halves */
} Sweep;

static void gather_column(const Sweep *sweep) {
  const SymmetricMatrix *matrix = sweep->matrix;
  size_t end = sweep->first + sweep->width;
  for (size_t start = 0; start < sweep->first; start += LINE) /* above K: the transpose of what is left of it */
    for (size_t k = 0; k < sweep->width; k++) {
      const double *row = symmetric_row(matrix, sweep->first + k);
      for (size_t i = start; i < start + LINE; i++) sweep->column[i * BLOCK + k] = row[i];
    }
  for (size_t k = 0; k < sweep->width; k++) {
    const double *row = symmetric_row(matrix, sweep->first + k);
    for (size_t j = 0; j <= k; j++)
      sweep->diagonal[k * BLOCK + j] = sweep->diagonal[j * BLOCK + k] = row[sweep->first + j];
  }
  memset(sweep->column + sweep->first * BLOCK, 0, sweep->width * BLOCK * sizeof *sweep->column);
  for (size_t i = end; i < matrix->n; i++)
    memcpy(sweep->column + i * BLOCK, symmetric_row(matrix, i) + sweep->first, sweep->width * sizeof *sweep->column);
}

/* CODE_ERROR where the block is not positive definite. */
static int invert_diagonal(const Sweep *sweep) {
  double *a = sweep->diagonal;
  blasint n = (blasint)sweep->width, stride = BLOCK, failed = 0;
  char upper = 'U'; /* what FORTRAN, by columns, calls upper is the lower half of rows */
  int code = blas_begin(sweep->cancel);
  if (code != CODE_OK) return code;
  dpotrf_(&upper, &n, a, &stride, &failed);
  if (failed == 0) dpotri_(&upper, &n, a, &stride, &failed);
  blas_end();
  if (failed != 0) return CODE_ERROR;
  for (size_t i = 0; i < sweep->width; i++) {
    if (!(a[i * BLOCK + i] > 0)) return CODE_ERROR; /* not a number: LAPACK lets it pass */
    for (size_t j = 0; j < i; j++) a[j * BLOCK + i] = a[i * BLOCK + j];
  }
  return CODE_OK;
}

static size_t strips_of(size_t rows) { return (rows + STRIP - 1) / STRIP; }

static size_t strip_rows(const Sweep *sweep, size_t first) {
  size_t rest = sweep->matrix->n - first;
  return rest < STRIP ? rest : STRIP;
}

/* Some rows of solved, and the same rows of the column packed. */
static int solve_strip(void *context, size_t strip, int worker) {
  (void)worker;
  const Sweep *sweep = context;
  size_t first = strip * STRIP, rows = strip_rows(sweep, first);
  dense_kernels()->multiply_double(&(DoubleProduct){.a = sweep->column + first * BLOCK,
                                                    .a_row = BLOCK,
                                                    .a_depth = 1,
                                                    .rows = rows,
                                                    .depth = sweep->width,
                                                    .b = sweep->diagonal,
                                                    .b_stride = BLOCK,
                                                    .width = BLOCK,
                                                    .c = sweep->solved + first * BLOCK,
                                                    .c_stride = BLOCK});
  for (size_t row = first; row < first + STRIP; row++) {
    double *to = sweep->packed + row / LANES * LANES * BLOCK + row % LANES;
    for (size_t k = 0; k < sweep->width; k++) to[k * LANES] = row < first + rows ? -sweep->column[row * BLOCK + k] : 0;
  }
  return CODE_OK;
}

/* A_RR −= solved columnᵀ, for some rows of one panel. In the rows and columns of K nothing changes: zeros there. */
static int update_strip(void *context, size_t strip, int worker) {
  (void)worker;
  const Sweep *sweep = context;
  const SymmetricMatrix *matrix = sweep->matrix;
  size_t first = strip * STRIP, panel = first / BLOCK, width = symmetric_width(matrix, panel);
  if (panel == sweep->first / BLOCK) return CODE_OK;
  DoubleProduct product = {.a = sweep->solved + first * BLOCK,
                           .a_row = BLOCK,
                           .a_depth = 1,
                           .rows = strip_rows(sweep, first),
                           .depth = sweep->width,
                           .b_stride = LANES,
                           .c_stride = width,
                           .add = 1};
  for (size_t j = 0; j < width; j += LANES) {
    product.b = sweep->packed + j * BLOCK;
    product.width = width - j < LANES ? width - j : LANES;
    product.c = symmetric_row(matrix, first) + j;
    dense_kernels()->multiply_double(&product);
  }
  return CODE_OK;
}

static void store_column(const Sweep *sweep) {
  const SymmetricMatrix *matrix = sweep->matrix;
  for (size_t start = 0; start < sweep->first; start += LINE)
    for (size_t k = 0; k < sweep->width; k++) {
      double *row = symmetric_row(matrix, sweep->first + k);
      for (size_t i = start; i < start + LINE; i++) row[i] = sweep->solved[i * BLOCK + k];
    }
  for (size_t k = 0; k < sweep->width; k++) {
    double *row = symmetric_row(matrix, sweep->first + k);
    for (size_t j = 0; j <= k; j++) row[sweep->first + j] = -sweep->diagonal[k * BLOCK + j];
  }
  for (size_t i = sweep->first + sweep->width; i < matrix->n; i++)
    memcpy(symmetric_row(matrix, i) + sweep->first, sweep->solved + i * BLOCK, sweep->width * sizeof(double));
}

static int sweep_block(Sweep *sweep, size_t block) {
  sweep->first = block * BLOCK;
  sweep->width = panel_rows(sweep->matrix, block);
  gather_column(sweep);
  int code = invert_diagonal(sweep);
  size_t strips = strips_of(sweep->matrix->n);
  if (code == CODE_OK) code = parallel_for(sweep->threads, strips, solve_strip, sweep, sweep->cancel);
  if (code == CODE_OK) code = parallel_for(sweep->threads, strips, update_strip, sweep, sweep->cancel);
  if (code == CODE_OK) store_column(sweep);
  return code;
}

static void negate(const SymmetricMatrix *matrix, size_t panel) {
  size_t count = panel_rows(matrix, panel) * symmetric_width(matrix, panel);
  for (size_t i = 0; i < count; i++) matrix->panel[panel][i] = -matrix->panel[panel][i];
}

int symmetric_invert(SymmetricMatrix *matrix, int threads, double *share, const Cancel *cancel) {
  Sweep sweep = {.matrix = matrix, .cancel = cancel, .threads = threads};
  sweep.column = memory_alloc_aligned(matrix->n, BLOCK * sizeof *sweep.column);
  sweep.solved = memory_alloc_aligned(matrix->n, BLOCK * sizeof *sweep.solved);
  sweep.packed = memory_alloc_aligned(strips_of(matrix->n) * STRIP, BLOCK * sizeof *sweep.packed);
  sweep.diagonal = memory_alloc_aligned(BLOCK, BLOCK * sizeof *sweep.diagonal);
  int code = sweep.column && sweep.solved && sweep.packed && sweep.diagonal ? CODE_OK : CODE_NOMEM;
  for (size_t block = 0; block < matrix->panels && code == CODE_OK; block++) {
    if (share) *share = (double)block / (double)matrix->panels; /* each sweep goes over the whole matrix */
    code = sweep_block(&sweep, block);
  }
  for (size_t panel = 0; panel < matrix->panels && code == CODE_OK; panel++) {
    negate(matrix, panel);
    code = cancel_poll(cancel);
  }
  memory_free_aligned(sweep.column);
  memory_free_aligned(sweep.solved);
  memory_free_aligned(sweep.packed);
  memory_free_aligned(sweep.diagonal);
  return code;
}

/* By the same product on a small matrix, the fastest of a few. */
int symmetric_invert_seconds(size_t n, int threads, double *seconds, const Cancel *cancel) {
  enum { TRIES = 3, WIDTH = 4 * BLOCK };
  double *memory = memory_alloc_aligned(3 * WIDTH, BLOCK * sizeof *memory), fastest = 0;
  int code = memory ? CODE_OK : CODE_NOMEM;
  SymmetricMatrix matrix = {.n = WIDTH, .panels = 1, .panel = &memory};
  Sweep sweep = {.matrix = &matrix, .first = BLOCK, .width = BLOCK};
  if (memory) sweep.packed = memory + WIDTH * BLOCK, sweep.solved = memory + 2 * WIDTH * BLOCK;
  for (int i = 0; i < TRIES && code == CODE_OK; i++) {
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (size_t strip = 0; strip < BLOCK / STRIP; strip++) update_strip(&sweep, strip, 0);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    double took = (double)(ended.tv_sec - began.tv_sec) + 1e-9 * (double)(ended.tv_nsec - began.tv_nsec);
    if (i == 0 || took < fastest) fastest = took;
    code = cancel_poll(cancel);
  }
  *seconds = fastest / ((double)BLOCK * BLOCK * BLOCK) * 0.5 * (double)n * (double)n * (double)n / threads;
  memory_free_aligned(memory);
  return code;
}
