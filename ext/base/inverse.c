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
 * diagonal, OpenBLAS multiplies, in tiles of a few milliseconds. */
#include "inverse.h"

#include <cblas.h>
#include <f77blas.h>
#include <string.h>
#include <time.h>

#include "blas.h"
#include "memory.h"
#include "sqlite.h"

#define BLOCK SYMMETRIC_BLOCK
#define LINE 8            /* numbers a cache line; divides BLOCK */
#define TILE_COLUMNS 2048 /* a tile of a product: BLOCK × so many, summed over BLOCK */

/* ---- the matrix -------------------------------------------------------------------------------------------------- */

static size_t panels_of(size_t n) { return n / BLOCK + (n % BLOCK != 0); }

static size_t panel_rows(const SymmetricMatrix *matrix, size_t panel) {
  size_t rest = matrix->n - panel * BLOCK;
  return rest < BLOCK ? rest : BLOCK;
}

int symmetric_alloc(SymmetricMatrix *matrix, size_t n) {
  *matrix = (SymmetricMatrix){.n = n, .panels = panels_of(n)};
  matrix->panel = memory_alloc_zero(matrix->panels, sizeof *matrix->panel);
  int code = matrix->panel ? SQLITE_OK : SQLITE_NOMEM;
  for (size_t p = 0; p < matrix->panels && code == SQLITE_OK; p++) {
    matrix->panel[p] = memory_alloc_aligned(panel_rows(matrix, p), symmetric_width(matrix, p) * sizeof(double));
    if (!matrix->panel[p]) code = SQLITE_NOMEM;
  }
  if (code != SQLITE_OK) symmetric_free(matrix);
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
  return __builtin_mul_overflow((uint64_t)n + BLOCK, 2 * BLOCK * sizeof(double), &bytes) ? UINT64_MAX : bytes;
}

/* ---- sweeping a block -------------------------------------------------------------------------------------------- */

/* All arrays are row major, BLOCK numbers a row. */
typedef struct Sweep {
  SymmetricMatrix *matrix;
  const Cancel *cancel;
  size_t first, width; /* the first row of K, and how many there are */
  double *column;      /* n × BLOCK: A_RK, zeros in the rows of K */
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

/* SQLITE_ERROR where the block is not positive definite. */
static int invert_diagonal(const Sweep *sweep) {
  double *a = sweep->diagonal;
  blasint n = (blasint)sweep->width, stride = BLOCK, failed = 0;
  char upper = 'U'; /* what FORTRAN, by columns, calls upper is the lower half of rows */
  int code = blas_begin(sweep->cancel);
  if (code != SQLITE_OK) return code;
  dpotrf_(&upper, &n, a, &stride, &failed);
  if (failed == 0) dpotri_(&upper, &n, a, &stride, &failed);
  blas_end();
  if (failed != 0) return SQLITE_ERROR;
  for (size_t i = 0; i < sweep->width; i++) {
    if (!(a[i * BLOCK + i] > 0)) return SQLITE_ERROR; /* not a number: LAPACK lets it pass */
    for (size_t j = 0; j < i; j++) a[j * BLOCK + i] = a[i * BLOCK + j];
  }
  return SQLITE_OK;
}

static int solve_column(const Sweep *sweep) {
  int code = SQLITE_OK;
  for (size_t i = 0; i < sweep->matrix->n && code == SQLITE_OK; i += TILE_COLUMNS) {
    size_t rows = sweep->matrix->n - i < TILE_COLUMNS ? sweep->matrix->n - i : TILE_COLUMNS;
    code = blas_begin(sweep->cancel);
    if (code != SQLITE_OK) break;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)rows, (blasint)sweep->width, (blasint)sweep->width,
                1, sweep->column + i * BLOCK, BLOCK, sweep->diagonal, BLOCK, 0, sweep->solved + i * BLOCK, BLOCK);
    blas_end();
  }
  return code;
}

/* A_RR −= solved columnᵀ, for the rows of one panel. In the rows and columns of K nothing changes: zeros there. */
static int update_panel(const Sweep *sweep, size_t panel) {
  const SymmetricMatrix *matrix = sweep->matrix;
  size_t width = symmetric_width(matrix, panel), rows = panel_rows(matrix, panel);
  int code = SQLITE_OK;
  for (size_t j = 0; j < width && code == SQLITE_OK; j += TILE_COLUMNS) {
    size_t columns = width - j < TILE_COLUMNS ? width - j : TILE_COLUMNS;
    code = blas_begin(sweep->cancel);
    if (code != SQLITE_OK) break;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, (blasint)columns, (blasint)sweep->width, -1,
                sweep->solved + panel * BLOCK * BLOCK, BLOCK, sweep->column + j * BLOCK, BLOCK, 1,
                matrix->panel[panel] + j, (blasint)width);
    blas_end();
  }
  return code;
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
  if (code == SQLITE_OK) code = solve_column(sweep);
  for (size_t panel = 0; panel < sweep->matrix->panels && code == SQLITE_OK; panel++)
    if (panel != block) code = update_panel(sweep, panel);
  if (code == SQLITE_OK) store_column(sweep);
  return code;
}

static void negate(const SymmetricMatrix *matrix, size_t panel) {
  size_t count = panel_rows(matrix, panel) * symmetric_width(matrix, panel);
  for (size_t i = 0; i < count; i++) matrix->panel[panel][i] = -matrix->panel[panel][i];
}

int symmetric_invert(SymmetricMatrix *matrix, double *share, const Cancel *cancel) {
  Sweep sweep = {.matrix = matrix, .cancel = cancel};
  sweep.column = memory_alloc_aligned(matrix->n, BLOCK * sizeof *sweep.column);
  sweep.solved = memory_alloc_aligned(matrix->n, BLOCK * sizeof *sweep.solved);
  sweep.diagonal = memory_alloc_aligned(BLOCK, BLOCK * sizeof *sweep.diagonal);
  int code = sweep.column && sweep.solved && sweep.diagonal ? SQLITE_OK : SQLITE_NOMEM;
  for (size_t block = 0; block < matrix->panels && code == SQLITE_OK; block++) {
    if (share) *share = (double)block / (double)matrix->panels; /* each sweep goes over the whole matrix */
    code = sweep_block(&sweep, block);
  }
  for (size_t panel = 0; panel < matrix->panels && code == SQLITE_OK; panel++) {
    negate(matrix, panel);
    code = cancel_poll(cancel);
  }
  memory_free_aligned(sweep.column);
  memory_free_aligned(sweep.solved);
  memory_free_aligned(sweep.diagonal);
  return code;
}

int symmetric_invert_seconds(size_t n, double *seconds, const Cancel *cancel) {
  enum { TRIES = 3 };
  double *left = memory_alloc_aligned(BLOCK, BLOCK * sizeof *left);
  double *right = memory_alloc_aligned(TILE_COLUMNS, BLOCK * sizeof *right);
  double *tile = memory_alloc_aligned(BLOCK, TILE_COLUMNS * sizeof *tile);
  int code = left && right && tile ? SQLITE_OK : SQLITE_NOMEM;
  double fastest = 0;
  for (int i = 0; i < TRIES && code == SQLITE_OK; i++) {
    struct timespec began, ended;
    code = blas_begin(cancel);
    if (code != SQLITE_OK) break;
    clock_gettime(CLOCK_MONOTONIC, &began);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, BLOCK, TILE_COLUMNS, BLOCK, -1, left, BLOCK, right, BLOCK, 1,
                tile, TILE_COLUMNS);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    blas_end();
    double took = (double)(ended.tv_sec - began.tv_sec) + 1e-9 * (double)(ended.tv_nsec - began.tv_nsec);
    if (i == 0 || took < fastest) fastest = took;
  }
  *seconds = fastest / ((double)BLOCK * BLOCK * TILE_COLUMNS) * 0.5 * (double)n * (double)n * (double)n;
  memory_free_aligned(left);
  memory_free_aligned(right);
  memory_free_aligned(tile);
  return code;
}
