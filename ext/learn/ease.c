/* EASE (Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019):
 *
 *     P = (XᵀX + λI)⁻¹        B[j][i] = −P_ji / P_ii for j ≠ i, 0 for j = i
 *
 * XᵀX is summed over the users in their order, row by row of the matrix, in double. All that is kept is P, since B
 * follows from it row by row: half of the matrix does for both. */
#include "ease.h"

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"

typedef struct Gram {
  const SparseMatrix *by_user, *by_item;
  const SymmetricMatrix *matrix;
  double lambda;
} Gram;

uint64_t ease_bytes(size_t items, size_t entries, int with_values) {
  uint64_t matrix = symmetric_bytes(items), beside = symmetric_invert_bytes(items), bytes;
  uint64_t transpose = (uint64_t)entries * (with_values ? 8 : 4) + ((uint64_t)items + 1) * 8 * 17;
  if (transpose > beside) beside = transpose; /* gone before the inverse begins */
  if (__builtin_add_overflow(matrix, beside, &bytes) || __builtin_add_overflow(bytes, (uint64_t)items * 8, &bytes))
    return UINT64_MAX;
  return bytes;
}

/* All but the inverse is little. */
int ease_seconds(size_t items, int threads, double *seconds, const Cancel *cancel) {
  return symmetric_invert_seconds(items, threads, seconds, cancel);
}

/* ---- the Gram matrix --------------------------------------------------------------------------------------------- */

/* One row, up to the diagonal: its users' other items. */
static int gram_row(void *context, size_t item, int worker) {
  (void)worker;
  const Gram *gram = context;
  const SparseMatrix *users = gram->by_user, *items = gram->by_item;
  double *row = symmetric_row(gram->matrix, item);
  for (size_t e = items->start[item]; e < items->start[item + 1]; e++) {
    double x = (double)sparse_value(items, e);
    size_t f = users->start[items->index[e]];
    if (users->value)
      for (; users->index[f] < item; f++) row[users->index[f]] += x * (double)users->value[f];
    else
      for (; users->index[f] < item; f++) row[users->index[f]] += x;
    row[item] += x * x; /* the user has this item: that ended the loop */
  }
  row[item] += gram->lambda;
  return CODE_OK;
}

static int gram_fill(const SymmetricMatrix *matrix, const SparseMatrix *by_user, const EaseOptions *options,
                     const Cancel *cancel) {
  SparseMatrix by_item = {0};
  Gram gram = {by_user, &by_item, matrix, options->lambda};
  int code = sparse_transpose(by_user, &by_item, options->threads, cancel);
  if (code == CODE_OK) code = parallel_for(options->threads, matrix->n, gram_row, &gram, cancel);
  sparse_free(&by_item);
  return code;
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

/* 1 − 1 / (G_ii P_ii) is the share of an item that the others explain. Where so many digits of it are 9, rounding is
 * all that is left of the item, and weights are noise. */
#define MOST_INFLATION 1e12

static int invert(Ease *ease, const EaseOptions *options, const Cancel *cancel, Error *error) {
  for (size_t i = 0; i < ease->items; i++) ease->diagonal[i] = symmetric_row(&ease->inverse, i)[i];
  int code = symmetric_invert(&ease->inverse, options->threads, options->share, cancel);
  for (size_t i = 0; i < ease->items && code == CODE_OK; i++) {
    double gram = ease->diagonal[i];
    ease->diagonal[i] = symmetric_row(&ease->inverse, i)[i];
    if (!(ease->diagonal[i] > 0 && gram * ease->diagonal[i] < MOST_INFLATION)) code = CODE_ERROR;
  }
  if (code == CODE_ERROR)
    error_set(
        error, code,
        "lambda %!.15g is too small for these ratings: the matrix XᵀX + λI can't be inverted, so give a larger one",
        options->lambda);
  return code;
}

int ease_fit(Ease *ease, const SparseMatrix *by_user, const EaseOptions *options, const Cancel *cancel, Error *error) {
  *ease = (Ease){.items = by_user->columns};
  int code = symmetric_alloc(&ease->inverse, ease->items);
  ease->diagonal = memory_alloc(ease->items, sizeof *ease->diagonal);
  if (!ease->diagonal) code = CODE_NOMEM;
  if (code == CODE_OK) code = gram_fill(&ease->inverse, by_user, options, cancel);
  if (code == CODE_OK) code = invert(ease, options, cancel, error);
  if (code == CODE_OK) return code;
  ease_free(ease);
  return error_from_code(error, code);
}

/* What is right of the diagonal lies below it: there a row of the matrix serves all rows of B that are asked for. */
void ease_rows(const Ease *ease, size_t first, size_t count, float *weights) {
  size_t items = ease->items, end = first + count;
  for (size_t j = first; j < end; j++) {
    const double *row = symmetric_row(&ease->inverse, j);
    for (size_t i = 0; i < j; i++) weights[(j - first) * items + i] = (float)(-row[i] / ease->diagonal[i]);
    weights[(j - first) * items + j] = 0;
  }
  for (size_t i = first + 1; i < items; i++) {
    const double *row = symmetric_row(&ease->inverse, i);
    for (size_t j = first; j < end && j < i; j++)
      weights[(j - first) * items + i] = (float)(-row[j] / ease->diagonal[i]);
  }
}

void ease_free(Ease *ease) {
  symmetric_free(&ease->inverse);
  memory_free(ease->diagonal);
  *ease = (Ease){0};
}
