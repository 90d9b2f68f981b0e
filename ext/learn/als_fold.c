/* Folding in: see als_fold.h. (Koren, Bell & Volinsky, Computer 2009, and Hu, Koren & Volinsky, ICDM 2008, §5, whose
 * explanations by p_u = (QᵀC Q + λI)⁻¹ QᵀC t these are, with the bias among the unknowns.) */
#include "als_fold.h"

#include <string.h>

#include "../base/dense.h"
#include "../base/memory.h"
#include "als_row.h"

/* A side of one row, whose other side is its entries in order. */
typedef struct OneRow {
  AlsOptions options;
  AlsSide side;
  AlsScratch scratch;
  SparseMatrix matrix;
  size_t start[2];
  atomic_int stopped;
} OneRow;

/* `one` must stay where it is: it points at itself. */
static int one_row_begin(OneRow *one, const AlsOptions *options, const AlsEntries *entries, float *factors, float *bias,
                         const Cancel *cancel) {
  int stride = factors_stride(options->rank);
  *one = (OneRow){.options = *options};
  one->options.threads = 1;
  one->scratch.row = SIZE_MAX;
  one->start[1] = entries->count;
  one->matrix = (SparseMatrix){.rows = 1, .columns = entries->others, .start = one->start};
  one->matrix.value = (float *)(uintptr_t)entries->value;
  one->matrix.index = memory_alloc(entries->count, sizeof *one->matrix.index);
  if (!one->matrix.index) return SQLITE_NOMEM;
  for (size_t j = 0; j < entries->count; j++) one->matrix.index[j] = (uint32_t)j;
  int code = als_scratch_alloc(&one->scratch, stride);
  if (code == SQLITE_OK) code = als_scratch_exact(&one->scratch, stride);
  int biases = options->biases && !options->ranking;
  one->side = (AlsSide){.options = &one->options,
                        .kernels = panel_kernels(),
                        .cancel = cancel,
                        .method = options->nonnegative ? ALS_METHOD_NONNEGATIVE : ALS_METHOD_CHOLESKY,
                        .stride = stride,
                        .matrix = &one->matrix,
                        .factors = factors,
                        .bias = biases ? bias : NULL,
                        .other = entries->factors,
                        .other_bias = biases ? entries->bias : NULL,
                        .gram = (float *)(uintptr_t)entries->gram,
                        .scratch = &one->scratch,
                        .stopped = &one->stopped};
  return code;
}

static void one_row_end(OneRow *one) {
  als_scratch_free(&one->scratch);
  memory_free(one->matrix.index);
}

int als_fold(const AlsOptions *options, const AlsEntries *entries, float *factors, float *bias, const Cancel *cancel) {
  OneRow one;
  AlsLoss loss;
  memset(factors, 0, (size_t)factors_stride(options->rank) * sizeof *factors);
  if (bias) *bias = 0;
  int code = one_row_begin(&one, options, entries, factors, bias, cancel);
  if (code == SQLITE_OK) code = als_row_solve(&one.side, 0, 0, &loss);
  one_row_end(&one);
  return code;
}

int als_fold_shares(const AlsOptions *options, const AlsEntries *entries, const float *factors, const float *target,
                    double *share, const Cancel *cancel) {
  OneRow one;
  float bias = 0; /* not read: the shares do not depend on it */
  int code = one_row_begin(&one, options, entries, (float *)(uintptr_t)factors, &bias, cancel);
  if (code == SQLITE_OK) code = als_row_shares(&one.side, 0, target, share);
  one_row_end(&one);
  return code;
}

/* ---- G ----------------------------------------------------------------------------------------------------------- */

int als_gram_begin(AlsGram *gram, int rank) {
  *gram = (AlsGram){.rank = (size_t)rank, .stride = (size_t)factors_stride(rank)};
  gram->sum = memory_alloc_zero(gram->rank * gram->rank, sizeof *gram->sum);
  gram->block = memory_alloc(gram->rank * gram->rank, sizeof *gram->block);
  return gram->sum && gram->block ? SQLITE_OK : SQLITE_NOMEM;
}

int als_gram_add(AlsGram *gram, float *factors, size_t rows, const Cancel *cancel) {
  const Tall tall = {.values = factors, .rows = rows, .width = gram->stride, .n = gram->rank};
  if (rows == 0) return SQLITE_OK;
  int code = dense_gram(&tall, gram->block, 1, cancel);
  for (size_t i = 0; i < gram->rank * gram->rank && code == SQLITE_OK; i++) gram->sum[i] += gram->block[i];
  return code;
}

float *als_gram_take(const AlsGram *gram, double weight) {
  float *taken = memory_alloc_aligned(gram->stride, gram->stride * sizeof *taken);
  for (size_t i = 0; i < gram->rank && taken; i++)
    for (size_t j = 0; j < gram->rank; j++)
      taken[i * gram->stride + j] = (float)(weight * gram->sum[i * gram->rank + j]);
  return taken;
}

void als_gram_end(AlsGram *gram) {
  memory_free(gram->sum);
  memory_free(gram->block);
  *gram = (AlsGram){0};
}
