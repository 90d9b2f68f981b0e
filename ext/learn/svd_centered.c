/* Singular value decomposition of a centred matrix: see svd_centered.h.
 *
 * With `missing` zero: "PureSVD" without a centre (Cremonesi, Koren & Turrin, "Performance of recommender algorithms on
 * top-n recommendation tasks", RecSys 2010). The matrix less its means is dense, but what is taken away is of rank one,
 *
 *     C = A − a bᵀ,    (a, b) = (users' means, 1), (1, items' means) or (the mean, 1),
 *
 * so C x = A x − a (bᵀx) costs hardly more than A x, and nothing dense is ever made. As the means are over all cells,
 * ‖C‖² = ‖A‖² − ‖a‖² ‖b‖². With `missing` mean, C has the same cells as A and is sparse itself (Sarwar, Karypis,
 * Konstan & Riedl, "Application of dimensionality reduction in recommender system", WebKDD 2000).
 *
 * The decomposition is svd.h's. Sums over rows are cut into fixed blocks that are added up in order: any number of
 * threads gives the same bytes. */
#include "svd_centered.h"

#include <math.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "descent.h"
#include "svd.h"

#define BLOCK_FLOATS 65536

typedef struct SvdCentered {
  SvdCenteredOptions options;
  const SparseMatrix *by_user;
  SparseMatrix centered[2]; /* users × items and its transpose, less the means where that leaves them sparse */
  float *value[2];          /* their values then */
  float *mean[2];           /* a and b */
  int outer;                /* a bᵀ is still to be taken away */
  double global;            /* the mean of the cells that are there, or of all */
  Svd *svd;
  Factors factors;
} SvdCentered;

/* ---- the operator ------------------------------------------------------------------------------------------------ */

typedef struct Outer { /* y −= a (bᵀ x) */
  const float *a, *b, *x;
  float *y;
  size_t rows, width; /* of the side that is gone through; floats of a row */
  double *partial;    /* bᵀ x of each block, then of all: width each */
} Outer;

static size_t block_rows(size_t width) { return 1 + BLOCK_FLOATS / width; }
static size_t blocks_of(size_t rows, size_t width) { return (rows + block_rows(width) - 1) / block_rows(width); }

static int centered_sum_block(void *context, size_t block, int worker) {
  const Outer *outer = context;
  size_t first = block * block_rows(outer->width), end = first + block_rows(outer->width);
  double *sum = outer->partial + block * outer->width;
  (void)worker;
  for (size_t row = first; row < end && row < outer->rows; row++)
    for (size_t lane = 0; lane < outer->width; lane++)
      sum[lane] += (double)outer->b[row] * (double)outer->x[row * outer->width + lane];
  return CODE_OK;
}

static int subtract_block(void *context, size_t block, int worker) {
  const Outer *outer = context;
  size_t first = block * block_rows(outer->width), end = first + block_rows(outer->width);
  (void)worker;
  for (size_t row = first; row < end && row < outer->rows; row++)
    for (size_t lane = 0; lane < outer->width; lane++) {
      float *y = &outer->y[row * outer->width + lane];
      *y = (float)((double)*y - (double)outer->a[row] * outer->partial[lane]);
    }
  return CODE_OK;
}

/* y = C x, or with side 1 y = Cᵀ x. */
static int multiply_side(const SvdCentered *svd, int side, const float *x, float *y, size_t width, int threads,
                         const Cancel *cancel) {
  const SparseMatrix *matrix = &svd->centered[side];
  int code = product_sparse(matrix, x, y, width, threads, cancel);
  if (code != CODE_OK || !svd->outer) return code;
  Outer outer = {svd->mean[side], svd->mean[1 - side], x, y, matrix->columns, width, NULL};
  size_t blocks = blocks_of(outer.rows, width);
  outer.partial = memory_alloc_zero(blocks + 1, width * sizeof *outer.partial);
  if (!outer.partial) return CODE_NOMEM;
  code = parallel_for(threads, blocks, centered_sum_block, &outer, cancel);
  for (size_t block = 1; block < blocks; block++)
    for (size_t lane = 0; lane < width; lane++) outer.partial[lane] += outer.partial[block * width + lane];
  outer.rows = matrix->rows;
  if (code == CODE_OK) code = parallel_for(threads, blocks_of(outer.rows, width), subtract_block, &outer, cancel);
  memory_free(outer.partial);
  return code;
}

static int multiply(void *context, const float *x, float *y, size_t width, int threads, const Cancel *cancel) {
  return multiply_side(context, 0, x, y, width, threads, cancel);
}

static int multiply_transposed(void *context, const float *x, float *y, size_t width, int threads,
                               const Cancel *cancel) {
  return multiply_side(context, 1, x, y, width, threads, cancel);
}

/* ---- means ------------------------------------------------------------------------------------------------------- */

static double row_sum(const SparseMatrix *matrix, size_t row) {
  double sum = 0;
  for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++) sum += (double)sparse_value(matrix, e);
  return sum;
}

/* One of a and b: the means of a side's rows, or ones. */
static void take_means(SvdCentered *svd, const SparseMatrix *matrix, int side) {
  int is_centre = svd->options.center == (side ? SVD_CENTER_ITEM : SVD_CENTER_USER),
      all = svd->options.missing == SVD_MISSING_ZERO;
  for (size_t row = 0; row < matrix->rows; row++) {
    double cells = (double)(all ? matrix->columns : sparse_row_length(matrix, row)), mean = 1;
    if (is_centre) mean = cells > 0 ? row_sum(matrix, row) / cells : svd->global;
    if (side == 0 && svd->options.center == SVD_CENTER_GLOBAL) mean = svd->global;
    svd->mean[side][row] = (float)mean;
  }
}

static int find_means(SvdCentered *svd, const SparseMatrix *by_user, const SparseMatrix *by_item) {
  double cells = svd->options.missing == SVD_MISSING_MEAN ? (double)by_user->start[by_user->rows]
                                                          : (double)by_user->rows * (double)by_user->columns;
  for (size_t row = 0; row < by_user->rows; row++) svd->global += row_sum(by_user, row);
  if (cells > 0) svd->global /= cells;
  if (svd->options.center == SVD_CENTER_NONE) return CODE_OK;
  svd->mean[0] = memory_alloc(by_user->rows, sizeof *svd->mean[0]);
  svd->mean[1] = memory_alloc(by_item->rows, sizeof *svd->mean[1]);
  if (!svd->mean[0] || !svd->mean[1]) return CODE_NOMEM;
  take_means(svd, by_user, 0);
  take_means(svd, by_item, 1);
  return CODE_OK;
}

/* Values less their means, in a matrix that shares the rest. */
static int center_cells(SvdCentered *svd, int side) {
  SparseMatrix *matrix = &svd->centered[side];
  float *value = svd->value[side] = memory_alloc(matrix->start[matrix->rows], sizeof *value);
  if (!value) return CODE_NOMEM;
  for (size_t row = 0; row < matrix->rows; row++)
    for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++)
      value[e] = sparse_value(matrix, e) - svd->mean[side][row] * svd->mean[1 - side][matrix->index[e]];
  matrix->value = value;
  return CODE_OK;
}

/* ---- as a Factorizer --------------------------------------------------------------------------------------------- */

static int begin(SvdCentered *svd, const SparseMatrix *by_item, const Cancel *cancel, Error *error) {
  const SvdCenteredOptions *options = &svd->options;
  const SparseMatrix *by_user = svd->by_user;
  SvdMatrix matrix = {by_user->rows, by_user->columns, svd, multiply, multiply_transposed, 0};
  svd->centered[0] = *by_user;
  svd->centered[1] = *by_item;
  int code = find_means(svd, by_user, by_item), means = options->center != SVD_CENTER_NONE;
  svd->outer = means && options->missing == SVD_MISSING_ZERO;
  for (int side = 0; side < 2 && means && !svd->outer && code == CODE_OK; side++) code = center_cells(svd, side);
  if (code == CODE_OK) code = product_sparse_square(&svd->centered[0], &matrix.squared_norm, options->threads, cancel);
  if (code != CODE_OK) return error_from_code(error, code);
  double square[2] = {0, 0};
  for (int side = 0; side < 2 && svd->outer; side++)
    for (size_t row = 0; row < svd->centered[side].rows; row++)
      square[side] += (double)svd->mean[side][row] * (double)svd->mean[side][row];
  matrix.squared_norm -= square[0] * square[1];
  const SvdOptions inner = {options->rank, options->tolerance, options->iterations, options->seed, options->threads};
  return svd_create(&svd->svd, &matrix, &inner, error);
}

static int centered_epoch(void *state, FactorizerReport *report, int *done, const Cancel *cancel, Error *error) {
  SvdCentered *svd = state;
  SvdReport inner;
  int code = svd_iterate(svd->svd, &inner, cancel, error);
  *report = (FactorizerReport){.loss = inner.loss, .train_rmse = NAN};
  *done = code == CODE_OK && inner.done;
  return code;
}

/* Hands the decomposition over to the factors, and puts back what was taken away. */
static int centered_finish(void *state, FactorizerReport *report, const Cancel *cancel, Error *error) {
  SvdCentered *svd = state;
  const SvdCenteredOptions *options = &svd->options;
  Factors *f = &svd->factors;
  SvdResult result = {0};
  int code = svd_finish(svd->svd, &result, cancel, error), biases = options->center < SVD_CENTER_GLOBAL;
  if (code != CODE_OK) return code;
  *f = (Factors){result.rows, result.columns, result.rank, result.stride, result.left, result.right, NULL, NULL, 0};
  result.left = result.right = NULL;
  svd_result_free(&result);
  if (options->center == SVD_CENTER_GLOBAL) f->mean = svd->global;
  if (biases) {
    f->user_bias = memory_alloc_aligned(f->users, sizeof(float));
    f->item_bias = memory_alloc_aligned(f->items, sizeof(float));
    if (!f->user_bias || !f->item_bias) return error_no_memory(error);
    int side = options->center == SVD_CENTER_ITEM;
    float *bias = side ? f->item_bias : f->user_bias;
    for (size_t row = 0; row < (side ? f->items : f->users); row++) bias[row] = svd->mean[side][row];
  }
  const DescentPenalty none = {0};
  FactorizerReport cells = {0};
  code = descent_measure(f, svd->by_user, &none, options->threads, &cells, cancel);
  report->train_rmse = cells.train_rmse;
  return error_from_code(error, code);
}

static const Factors *centered_factors(void *state) {
  SvdCentered *svd = state;
  return svd->factors.user ? &svd->factors : NULL;
}

static void centered_take(void *state, Factors *factors) {
  SvdCentered *svd = state;
  *factors = svd->factors;
  svd->factors = (Factors){0};
}

static void centered_destroy(void *state) {
  SvdCentered *svd = state;
  for (int side = 0; side < 2; side++) {
    memory_free(svd->value[side]);
    memory_free(svd->mean[side]);
  }
  svd_destroy(svd->svd);
  factors_free(&svd->factors);
  memory_free(svd);
}

int svd_centered_create(Factorizer *factorizer, const SparseMatrix *by_user, const SparseMatrix *by_item,
                        const SvdCenteredOptions *options, const Cancel *cancel, Error *error) {
  static const FactorizerMethod method = {centered_epoch, centered_finish, centered_factors, centered_take,
                                          centered_destroy};
  *factorizer = (Factorizer){0};
  SvdCentered *svd = memory_alloc_zero(1, sizeof *svd);
  if (!svd) return error_no_memory(error);
  svd->options = *options;
  svd->by_user = by_user;
  int code = begin(svd, by_item, cancel, error);
  if (code != CODE_OK) {
    centered_destroy(svd);
    return code;
  }
  *factorizer = (Factorizer){.method = &method, .state = svd};
  return CODE_OK;
}
