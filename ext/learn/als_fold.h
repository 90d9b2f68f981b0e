/* Folding in: one row of alternating least squares for somebody who was not there when the model was trained, and how
 * much each entry contributes to a prediction. The loss, and what is meant by c, t, w₀, λ and ν, is in als.h; the
 * arithmetic is that of an exact half-step (als_row.c), so the row is what als_finish() would have made of it.
 *
 * Users and items are alike: "the row" is the one to be solved for, "the other side" what is given. */
#ifndef RECOMMEND_LEARN_ALS_FOLD_H
#define RECOMMEND_LEARN_ALS_FOLD_H

#include "als.h"

/* The entries of a row. All borrowed. */
typedef struct AlsEntries {
  size_t count;
  const float *factors; /* the other side's of each entry: count × factors_stride(rank), aligned */
  const float *bias;    /* count, or NULL where options->biases is 0 */
  const float *value;   /* count, or NULL: all 1 */
  size_t others;        /* N, how many rows the other side has in all */
  const double *gram;   /* w₀ G from als_gram_take, rank × rank; NULL with the rating loss or w₀ = 0 */
} AlsEntries;

/* The row's factors (stride floats, aligned, overwritten) and, with biases, its bias: its minimiser. Zeros where there
 * are no entries. `options` need no solver, start or seed. CODE_OK, CODE_NOMEM or what cancel says. */
int als_fold(const AlsOptions *options, const AlsEntries *entries, float *factors, float *bias, const Cancel *cancel);

/* What each entry adds to the product of a vector of the other side's, `target` (stride floats), with the row that
 * als_fold gives, `factors`: count numbers into `share`, in the order of entries, that sum up to it but for rounding.
 * Codes as above. */
int als_fold_shares(const AlsOptions *options, const AlsEntries *entries, const float *factors, const float *target,
                    double *share, const Cancel *cancel);

/* G = Σ q qᵀ over the whole other side, which is added block by block. */
typedef struct AlsGram {
  size_t rank, stride;
  double *sum, *block; /* rank × rank; owned */
} AlsGram;

enum { ALS_GRAM_ROWS = 4096 }; /* a good size of blocks; the sum depends on it in the last digits */

int als_gram_begin(AlsGram *gram, int rank); /* CODE_OK or CODE_NOMEM; to be ended in either case */

/* rows × stride, aligned. CODE_OK, CODE_NOMEM or what cancel says. */
int als_gram_add(AlsGram *gram, float *factors, size_t rows, const Cancel *cancel);

/* weight · G, from memory_alloc; NULL where memory runs out. */
double *als_gram_take(const AlsGram *gram, double weight);
void als_gram_end(AlsGram *gram);

#endif
