/* Alternating least squares, explicit and implicit. The method and its sources are at the top of als.c.
 *
 * One solver, two losses, told apart by `missing_weight`:
 *   rating   Σ_observed (y − ŷ)² + Σ_rows n^ν (λ ‖factors‖² + λ_b bias²),         ŷ = mean + b_u + b_i + p·q
 *   ranking  Σ_observed c (t − ŷ)² + w₀ Σ_missing ŷ² + Σ_rows λ (n + w₀ N)^ν ‖factors‖²,  ŷ = p·q
 * with c = confidence + confidence_slope · |value|, n the observed cells of the row and N the size of the other side.
 * t = target + target_slope · value; of implicit feedback, which has the slope 0, t = target where the value is above
 * 0, else 0: a dislike is treated as a missing cell, with the confidence of an entry. */
#ifndef RECOMMEND_LEARN_ALS_H
#define RECOMMEND_LEARN_ALS_H

#include <stdint.h>

#include "../base/cancel.h"
#include "../base/error.h"
#include "../base/factors.h"
#include "../base/sparse.h"
#include "factorizer.h"

typedef enum AlsSolver {
  ALS_CONJUGATE_GRADIENT, /* a few warm-started steps a row: nearly as low a loss an epoch, in a third of the time */
  ALS_CHOLESKY            /* exact */
} AlsSolver;

typedef struct AlsOptions {
  int rank;                   /* 1 … 4096 */
  double regularization;      /* λ > 0 */
  double nu;                  /* ν in 0 … 1 */
  int biases;                 /* rating loss only */
  double bias_regularization; /* λ_b; 0: as λ */
  int nonnegative;            /* factors ≥ 0 (biases stay free); exact, by coordinate descent; solver is ignored */
  AlsSolver solver;
  int ranking;                         /* 0: the rating loss; 1: the ranking loss */
  double mean;                         /* rating loss: μ, subtracted from every value */
  double confidence, confidence_slope; /* ranking loss */
  double target, target_slope;         /* ranking loss */
  double missing_weight;               /* w₀ ≥ 0, ranking loss */
  int weigh_all_cells;                 /* ranking loss: w₀ on all cells, the observed too (Rendle et al. 2021) */
  double
      init_scale; /* standard deviation of the initial item factors times sqrt(rank); absolute values if nonnegative */
  /* Where factors begin instead: users or items × factors_stride(rank), or NULL. Lanes that are 0 are drawn. With users
   * only, the first epoch begins with an items' half-step. Must live until the first epoch has been made. */
  const float *user_start, *item_start;
  uint64_t seed;
  int threads; /* already resolved: ≥ 1 */
} AlsOptions;

typedef struct AlsReport {
  double loss_after_users; /* the loss above, after the first half-step */
  double loss_after_items; /* … and at the end of the epoch: never larger but for rounding */
  double train_rmse;       /* over the observed cells, unweighted, of t − ŷ (ranking) or y − ŷ (rating) */
} AlsReport;

typedef struct Als Als;

/* Starts a training. The two matrices are each other's transpose and must outlive it; they are not changed.
 * Rows without entries get zero factors and bias. */
int als_create(Als **als, const SparseMatrix *by_user, const SparseMatrix *by_item, const AlsOptions *options,
               Error *error);

/* One epoch: users, then items. CODE_ERROR where factors are no longer finite. After an error the training can only
 * be destroyed. Scratch memory, whatever the longest row: about 0.6 MB a thread (more only from rank 2048 on), with an
 * exact solver a rank × rank matrix each besides; and while a very long row or QᵀQ is summed, the larger of 16 MB and
 * one such matrix. */
int als_epoch(Als *als, AlsReport *report, const Cancel *cancel, Error *error);

/* An exact user half-step, so that every user's factors are the minimiser given the items (explanations and fold-in
 * rest on it). Reports like an epoch, where report is not NULL. */
int als_finish(Als *als, AlsReport *report, const Cancel *cancel, Error *error);

/* The factors as they stand; owned by the training. */
const Factors *als_factors(const Als *als);

/* Hands the factors over to the caller, who frees them; the training can then only be destroyed. */
void als_take(Als *als, Factors *factors);

void als_destroy(Als *als); /* NULL is fine */

/* The same as a Factorizer, whose epochs report the loss after the items, and whose finish is als_finish. */
int als_factorizer(Factorizer *factorizer, const SparseMatrix *by_user, const SparseMatrix *by_item,
                   const AlsOptions *options, Error *error);

#endif
