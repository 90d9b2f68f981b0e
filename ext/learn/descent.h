/* What sgd.c, adam.c, gradient.c and others that descend along one loss share: start values, blocks of rows, and the
 * loss:
 *
 *     Σ_observed (y − ŷ)² + λ (‖p‖² + ‖q‖²) + λ_b (b_u² + b_i²),    ŷ = mean + b_u + b_i + p·q
 *
 * (Koren, Bell & Volinsky, "Matrix factorization techniques for recommender systems", Computer 2009.) */
#ifndef RECOMMEND_LEARN_DESCENT_H
#define RECOMMEND_LEARN_DESCENT_H

#include <stdint.h>

#include "../base/sparse.h"
#include "factorizer.h"

/* The first lanes of a row, `rank` of them: mean 0, standard deviation `deviation`, normally or uniformly distributed.
 * A function of the seed and the row's number. */
void descent_draw(float *row, int rank, double deviation, int uniform, uint64_t seed, size_t number);

/* Rows in blocks of about equally many entries: block b is start[b] … start[b + 1] - 1. */
typedef struct DescentBlocks {
  size_t count;
  size_t *start;
} DescentBlocks;

/* CODE_OK or CODE_NOMEM. */
int descent_cut(const SparseMatrix *matrix, DescentBlocks *blocks);
void descent_blocks_free(DescentBlocks *blocks);

/* Factors (with biases, if asked for) drawn at random: rows without entries are zero. CODE_OK, CODE_NOMEM, or what
 * cancel says. */
typedef struct DescentStart {
  int rank, biases, uniform;
  double mean;
  double init_scale; /* standard deviation of the factors times sqrt(rank) */
  uint64_t seed;
  int threads;
} DescentStart;
int descent_start(const DescentStart *start, const SparseMatrix *by_user, Factors *factors, const Cancel *cancel);

/* The loss above, and the RMSE of y − ŷ. CODE_ERROR where they are not finite, CODE_NOMEM, or what cancel says. */
typedef struct DescentPenalty {
  double factors, biases; /* λ and λ_b */
} DescentPenalty;
int descent_measure(const Factors *factors, const SparseMatrix *by_user, const DescentPenalty *penalty, int threads,
                    FactorizerReport *report, const Cancel *cancel);

/* About that loss before the first epoch: of predicting the mean, and what factors drawn at random add, at most. */
double descent_start_loss(const SparseMatrix *by_user, double mean, double init_scale, const DescentPenalty *penalty);

/* The error that a code other than CODE_OK of an epoch stands for. */
int descent_error(int code, int epoch, double learning_rate, Error *error);

#endif
