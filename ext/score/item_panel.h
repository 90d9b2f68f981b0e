/* Item vectors packed for scoring, and the product of query vectors with all of them, fused with the selection of the
 * k best: a score is compared with the running k-th best before it is stored anywhere.
 *
 *     score(query, i) = bias[i] + query · vector[i]
 *
 * Every function adds in the same order, the bias first and then lane after lane, by the same instructions: the score
 * of one cell has the same bytes whichever way it is asked for. (Another instruction set may round differently.) */
#ifndef RECOMMEND_SCORE_ITEM_PANEL_H
#define RECOMMEND_SCORE_ITEM_PANEL_H

#include <stddef.h>
#include <stdint.h>

#include "../base/cancel.h"
#include "scorer.h"

typedef struct ScorePanel {
  size_t count;  /* vectors, below 2^32 */
  int stride;    /* floats a vector, a multiple of 16 */
  float *packed; /* blocks of 16 vectors: packed[(block * stride + lane) * 16 + vector], the last block zero-filled;
                    memory_alloc_aligned */
  float *bias;   /* one a vector, padded with zeros to whole blocks, or NULL: all zero; memory_alloc_aligned */
  const struct ScoreKernels *kernels; /* for this processor */
} ScorePanel;

/* Allocates a panel of `count` zero vectors. CODE_OK or CODE_NOMEM (nothing is kept). */
int score_panel_alloc(ScorePanel *panel, size_t count, int stride, int biases);
int score_panel_copy(const ScorePanel *from, ScorePanel *to); /* the same */
void score_panel_free(ScorePanel *panel);                     /* a cleared panel is fine; leaves it cleared */

void score_panel_set(ScorePanel *panel, size_t index, const float *vector, int length); /* length ≤ stride; rest 0 */
void score_panel_get(const ScorePanel *panel, size_t index, float *vector);             /* stride floats */

/* The score of one vector; `query` has stride floats. */
float score_panel_score(const ScorePanel *panel, size_t index, const float *query);

/* All scores of one query (stride floats): scores[0 … count-1]. `scores` is 64-byte aligned and has room for whole
 * blocks of 16; what is written behind `count` means nothing. */
void score_panel_scores(const ScorePanel *panel, const float *query, float *scores);

/* For each of `queries` vectors (queries × stride): the k best not excluded, best first, into best[q * k …], and their
 * number into found[q]. `excluded` is NULL or one entry a query. Works on up to `threads` threads, fewer where there
 * is little to do, and polls `cancel`. Any k ≥ 0, also more than there are vectors. CODE_OK, CODE_NOMEM or what
 * cancel says; after an error best and found hold nothing of use. */
int score_panel_top_k(const ScorePanel *panel, const float *query, size_t queries, const Excluded *excluded, size_t k,
                      Scored *best, size_t *found, int threads, const Cancel *cancel);

/* All this as a Scorer, whose queries are vectors of `stride` floats. The panel is borrowed. Its scores_for alone adds
 * in another order, sixteen lanes side by side, and may round the last digit otherwise. */
Scorer score_panel_scorer(const ScorePanel *panel);

#endif
