/* Baselines: see baseline.h.
 *
 *     μ      the mean of all ratings
 *     bias   ŷ = μ + b_u + b_i; in each round, with all b_u = 0 before the first,
 *              b_i = Σ_u (r − μ − b_u) / (λ_i + n_i)      over the n_i ratings of the item
 *              b_u = Σ_i (r − μ − b_i) / (λ_u + n_u)      over the n_u ratings of the user
 *     means  ŷ = the mean of the user's or item's ratings
 *
 * Either half of a round minimises Σ (r − ŷ)² + λ_i Σ b_i² + λ_u Σ b_u² over its side. Source: Koren, "Factor in the
 * neighbors: scalable and accurate collaborative filtering", TKDD 4(1), 2010, §2.1. Sums are in double, each row's on
 * one thread: any number of threads gives the same bytes. */
#include "baseline.h"

#include <math.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"

#define ENTRIES_A_BLOCK 65536

/* What a loop over the rows of a matrix works on. */
typedef struct Side {
  const SparseMatrix *matrix;
  const double *other; /* the biases of the columns; NULL: all 0 */
  double *bias;        /* of the rows */
  double mean, regularization;
  double *sum; /* one a block */
  size_t rows_a_block;
} Side;

/* Blocks of about as many entries, where rows are about as long. */
static size_t side_blocks(Side *side) {
  size_t rows = side->matrix->rows, blocks = side->matrix->start[rows] / ENTRIES_A_BLOCK + 1;
  side->rows_a_block = (rows + blocks - 1) / blocks;
  return rows == 0 ? 0 : (rows + side->rows_a_block - 1) / side->rows_a_block;
}

static size_t baseline_block_end(const Side *side, size_t block) {
  size_t end = (block + 1) * side->rows_a_block;
  return end < side->matrix->rows ? end : side->matrix->rows;
}

static int baseline_sum_block(void *context, size_t block, int worker) {
  (void)worker;
  const Side *side = context;
  const SparseMatrix *matrix = side->matrix;
  double sum = 0;
  size_t end = matrix->start[baseline_block_end(side, block)];
  for (size_t e = matrix->start[block * side->rows_a_block]; e < end; e++) sum += (double)sparse_value(matrix, e);
  side->sum[block] = sum;
  return CODE_OK;
}

static int bias_block(void *context, size_t block, int worker) {
  (void)worker;
  const Side *side = context;
  const SparseMatrix *matrix = side->matrix;
  for (size_t row = block * side->rows_a_block; row < baseline_block_end(side, block); row++) {
    double sum = 0, divisor = side->regularization + (double)sparse_row_length(matrix, row);
    for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++)
      sum += (double)sparse_value(matrix, e) - side->mean - (side->other ? side->other[matrix->index[e]] : 0);
    side->bias[row] = divisor > 0 ? sum / divisor : 0;
  }
  return CODE_OK;
}

/* Squared errors: `bias` of the rows and `other` of the columns are given. */
static int error_block(void *context, size_t block, int worker) {
  (void)worker;
  const Side *side = context;
  const SparseMatrix *matrix = side->matrix;
  double sum = 0;
  for (size_t row = block * side->rows_a_block; row < baseline_block_end(side, block); row++)
    for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++) {
      double error = (double)sparse_value(matrix, e) - side->mean - side->bias[row] - side->other[matrix->index[e]];
      sum += error * error;
    }
  side->sum[block] = sum;
  return CODE_OK;
}

/* Σ over all entries of what `body` sums, over the number of entries; 0 where there are none. */
static int mean_of(Side *side, ParallelBody body, double *mean, int threads, const Cancel *cancel) {
  size_t blocks = side_blocks(side), entries = side->matrix->start[side->matrix->rows];
  *mean = 0;
  side->sum = memory_alloc_zero(blocks, sizeof *side->sum);
  if (!side->sum) return CODE_NOMEM;
  int code = parallel_for(threads, blocks, body, side, cancel);
  for (size_t block = 0; block < blocks; block++) *mean += side->sum[block];
  if (entries > 0) *mean /= (double)entries;
  memory_free(side->sum);
  return code;
}

static int fit_side(Side *side, int threads, const Cancel *cancel) {
  return parallel_for(threads, side_blocks(side), bias_block, side, cancel);
}

static int fit(Side *users, Side *items, const BaselineOptions *options, const Cancel *cancel) {
  int code = CODE_OK;
  switch (options->method) {
    case BASELINE_USER_MEAN: users->regularization = 0; return fit_side(users, options->threads, cancel);
    case BASELINE_ITEM_MEAN: items->regularization = 0; return fit_side(items, options->threads, cancel);
    case BASELINE_BIAS: break;
    default: return CODE_OK;
  }
  for (int epoch = 0; epoch < options->epochs && code == CODE_OK; epoch++) {
    code = fit_side(items, options->threads, cancel);
    if (code == CODE_OK) code = fit_side(users, options->threads, cancel);
  }
  return code;
}

static int fit_factors(const BaselineOptions *options, Side *users, Side *items, Factors *factors, double *rmse,
                       const Cancel *cancel) {
  double mean, square = 0;
  int code = mean_of(users, baseline_sum_block, &mean, options->threads, cancel);
  users->mean = items->mean = mean;
  if (code == CODE_OK) code = fit(users, items, options, cancel);
  if (code == CODE_OK && rmse) code = mean_of(users, error_block, &square, options->threads, cancel);
  if (code == CODE_OK) code = factors_alloc(factors, users->matrix->rows, items->matrix->rows, 0, 1);
  if (code != CODE_OK) return code;
  for (size_t user = 0; user < factors->users; user++) factors->user_bias[user] = (float)users->bias[user];
  for (size_t item = 0; item < factors->items; item++) factors->item_bias[item] = (float)items->bias[item];
  factors->mean = mean;
  if (rmse) *rmse = sqrt(square);
  return CODE_OK;
}

int baseline_fit(const SparseMatrix *by_user, const SparseMatrix *by_item, const BaselineOptions *options,
                 Factors *factors, double *rmse, const Cancel *cancel, Error *error) {
  *factors = (Factors){0};
  Side users = {.matrix = by_user, .regularization = options->user_regularization};
  Side items = {.matrix = by_item, .regularization = options->item_regularization};
  items.other = users.bias = memory_alloc_zero(by_user->rows, sizeof(double));
  users.other = items.bias = memory_alloc_zero(by_item->rows, sizeof(double));
  int code = users.bias && items.bias ? fit_factors(options, &users, &items, factors, rmse, cancel) : CODE_NOMEM;
  memory_free(users.bias);
  memory_free(items.bias);
  return error_from_code(error, code);
}
