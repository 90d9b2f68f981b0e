/* One row's factors given the other side's: the inner problem of alternating least squares. Used by als.c and
 * als_fold.c only.
 *
 * With q_j the other side's factors of the row's entries, c_j, t_j their confidence and target, w_m the weight of a
 * missing cell (0 for the rating loss), the row minimises
 *     Σ_j c_j (t_j − b − b_j − q_j·x)² − w_m Σ_j (q_j·x)² + w₀ xᵀG x + λ' ‖x‖² + λ'_b b²
 * where G = Σ q qᵀ over the whole other side and w_m = w₀, or 0 where all cells carry w₀, the observed too. */
#ifndef RECOMMEND_LEARN_ALS_ROW_H
#define RECOMMEND_LEARN_ALS_ROW_H

#include <stdatomic.h>

#include "../base/panel.h"
#include "als.h"

typedef enum AlsMethod { ALS_METHOD_GRADIENT, ALS_METHOD_CHOLESKY, ALS_METHOD_NONNEGATIVE } AlsMethod;

/* Where a worker works. */
typedef struct AlsScratch {
  float *panel;                        /* the gathered rows of one piece of a row */
  float *target, *weight, *base;       /* its t_j less the biases, c_j − w_m, c_j t_j */
  float *dot, *change;                 /* its predictions, and how they change along a direction */
  float *residual, *direction, *other; /* vectors of `stride` */
  float *sums;                         /* one section's sums: see als_row.c */
  size_t row, begin;                   /* which piece the panel holds; row SIZE_MAX: none */
} AlsScratch;

/* One half-step: `matrix`'s rows are solved for, `other` is given. */
typedef struct AlsSide {
  const AlsOptions *options;
  const PanelKernels *kernels;
  const Cancel *cancel;
  AlsMethod method;
  int stride;
  const SparseMatrix *matrix;
  float *factors, *bias;           /* rows × stride, and rows or NULL */
  const float *other, *other_bias; /* columns × stride, and columns or NULL */
  float other_square;              /* mean square of other's factors, each row as often as it has entries */
  float *gram;                     /* w₀ G, whole; NULL where w₀ is 0 */
  const double *exact_gram;        /* the same, rank × rank, where floats do not do: see als_exact.h; else NULL */
  AlsScratch *scratch;             /* one a worker */
  atomic_int *stopped;             /* the code that ends the work, for workers amid a long row */
} AlsSide;

/* What a row adds to the losses. */
typedef struct AlsLoss {
  double fit;     /* the row's objective above without λ' */
  double squared; /* Σ_j (t_j − ŷ_j)² */
  double penalty; /* λ' ‖x‖² + λ'_b b² */
  double size;    /* n ‖x‖² */
} AlsLoss;

/* The code that ends the work, or CODE_OK: worker 0 asks, the others hear of it. */
int als_poll(const AlsSide *side, int worker);

/* Scratch for one worker; CODE_OK or CODE_NOMEM. als_scratch_exact adds what exact methods need. */
int als_scratch_alloc(AlsScratch *scratch, int stride);
int als_scratch_exact(AlsScratch *scratch, int stride);
void als_scratch_free(AlsScratch *scratch); /* a cleared one is fine */

/* Nonzero: so long that it must be solved outside parallel_for, because it runs one of its own. */
int als_row_is_giant(const AlsSide *side, size_t row);

/* Roughly how many multiplications a row costs. */
double als_row_cost(const AlsSide *side, size_t row);

/* λ' of a row, and what λ'_b is times that. */
double als_row_penalty(const AlsSide *side, size_t row);
double als_bias_share(const AlsOptions *options);

/* t of a value, with the ranking loss. */
static inline double als_target(const AlsOptions *options, double value) {
  if (options->target_slope != 0) return options->target + options->target_slope * value;
  return value > 0 ? options->target : 0;
}

/* Solves for one row, on worker `worker`. CODE_OK, CODE_NOMEM or the code of the cancellation. */
int als_row_solve(const AlsSide *side, size_t row, int worker, AlsLoss *loss);

/* What each entry of a row adds to q · x, x being the row's exact solution: with A x = Σ_j c_j t_j (q_j − s/d) as in
 * als_row.c, share_j = c_j t_j q · A⁻¹ (q_j − s/d). An exact method's side; one worker. Codes as above. */
int als_row_shares(const AlsSide *side, size_t row, const float *target, double *share);

/* gram = w₀ Σ q qᵀ over all rows of the other side. */
int als_side_gram(const AlsSide *side);

#endif
