/* Folding in: see als_fold.h. (Koren, Bell & Volinsky, Computer 2009, and Hu, Koren & Volinsky, ICDM 2008, §5, whose
 * explanations by p_u = (QᵀC Q + λI)⁻¹ QᵀC t these are, with the bias among the unknowns.) */
#include "als_fold.h"

#include <string.h>

#include "../base/dense.h"
#include "../base/memory.h"
#include "als_exact.h"

/* A side of one row, whose other side is its entries in order. */
typedef struct OneRow {
  AlsOptions options;
  AlsSide side;
  AlsScratch scratch;
  SparseMatrix matrix;
  size_t start[2];
  float *gram;
  atomic_int stopped;
} OneRow;

/* G as the solver wants it, in floats. */
static int copy_gram(OneRow *one, const double *gram, size_t stride, double *largest) {
  size_t rank = (size_t)one->options.rank;
  one->gram = memory_alloc_aligned(stride, stride * sizeof *one->gram);
  for (size_t i = 0; i < rank && one->gram; i++) {
    for (size_t j = 0; j < rank; j++) one->gram[i * stride + j] = (float)gram[i * rank + j];
    if (gram[i * rank + i] > *largest) *largest = gram[i * rank + i];
  }
  return one->gram ? CODE_OK : CODE_NOMEM;
}

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
  if (!one->matrix.index) return CODE_NOMEM;
  for (size_t j = 0; j < entries->count; j++) one->matrix.index[j] = (uint32_t)j;
  int code = als_scratch_alloc(&one->scratch, stride);
  if (code == CODE_OK) code = als_scratch_exact(&one->scratch, stride);
  double largest = 0;
  if (code == CODE_OK && entries->gram) code = copy_gram(one, entries->gram, (size_t)stride, &largest);
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
                        .gram = one->gram,
                        .scratch = &one->scratch,
                        .stopped = &one->stopped};
  if (code == CODE_OK && entries->gram && als_exact_is_needed(&one->side, largest))
    one->side.exact_gram = entries->gram;
  return code;
}

static void one_row_end(OneRow *one) {
  als_scratch_free(&one->scratch);
  memory_free_aligned(one->gram);
  memory_free(one->matrix.index);
}

int als_fold(const AlsOptions *options, const AlsEntries *entries, float *factors, float *bias, const Cancel *cancel) {
  OneRow one;
  AlsLoss loss;
  memset(factors, 0, (size_t)factors_stride(options->rank) * sizeof *factors);
  if (bias) *bias = 0;
  int code = one_row_begin(&one, options, entries, factors, bias, cancel);
  if (code == CODE_OK) code = als_row_solve(&one.side, 0, 0, &loss);
  one_row_end(&one);
  return code;
}

int als_fold_shares(const AlsOptions *options, const AlsEntries *entries, const float *factors, const float *target,
                    double *share, const Cancel *cancel) {
  OneRow one;
  float bias = 0; /* not read: the shares do not depend on it */
  int code = one_row_begin(&one, options, entries, (float *)(uintptr_t)factors, &bias, cancel);
  if (code == CODE_OK) code = als_row_shares(&one.side, 0, target, share);
  one_row_end(&one);
  return code;
}

/* ---- G ----------------------------------------------------------------------------------------------------------- */

int als_gram_begin(AlsGram *gram, int rank) {
  *gram = (AlsGram){.rank = (size_t)rank, .stride = (size_t)factors_stride(rank)};
  gram->sum = memory_alloc_zero(gram->rank * gram->rank, sizeof *gram->sum);
  gram->block = memory_alloc(gram->rank * gram->rank, sizeof *gram->block);
  return gram->sum && gram->block ? CODE_OK : CODE_NOMEM;
}

int als_gram_add(AlsGram *gram, float *factors, size_t rows, const Cancel *cancel) {
  const Tall tall = {.values = factors, .rows = rows, .width = gram->stride, .n = gram->rank};
  if (rows == 0) return CODE_OK;
  int code = dense_gram(&tall, gram->block, 1, cancel);
  for (size_t i = 0; i < gram->rank * gram->rank && code == CODE_OK; i++) gram->sum[i] += gram->block[i];
  return code;
}

double *als_gram_take(const AlsGram *gram, double weight) {
  double *taken = memory_alloc(gram->rank, gram->rank * sizeof *taken);
  for (size_t i = 0; i < gram->rank * gram->rank && taken; i++) taken[i] = weight * gram->sum[i];
  return taken;
}

void als_gram_end(AlsGram *gram) {
  memory_free(gram->sum);
  memory_free(gram->block);
  *gram = (AlsGram){0};
}
