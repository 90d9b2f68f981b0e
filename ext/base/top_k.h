/* The k best of many: exact, ties to the lower index. Two tools:
 *
 * TopK        a bounded heap of (score, index), fed one by one.
 * ScorePanel  item vectors packed for scoring, and the product of a block of query vectors with all of them fused
 *             with the selection: a score is compared with the running k-th best before it is stored anywhere. */
#ifndef RECOMMEND_BASE_TOP_K_H
#define RECOMMEND_BASE_TOP_K_H

#include <stddef.h>
#include <stdint.h>

#include "cancel.h"

typedef struct Scored {
  float score;
  uint32_t index;
} Scored;

/* ---- a bounded heap -------------------------------------------------------------------------------------------- */

typedef struct TopK {
  Scored *heap;    /* room for `capacity`; the worst on top */
  size_t capacity; /* k */
  size_t count;
} TopK;

/* `heap` is the caller's array of k entries. k may be 0. */
void top_k_init(TopK *top, Scored *heap, size_t k);

/* Offers one candidate; NaN is never taken. Any order of offers gives the same result. */
void top_k_offer(TopK *top, float score, uint32_t index);

/* Sorts what was kept best first (score descending, then index ascending) and returns how many there are. */
size_t top_k_sort(TopK *top);

/* The same order for any array of n entries: all of them, best first. */
void scored_sort(Scored *entries, size_t n);

/* An order paid for as it is read: scored_heapify in O(n), then each scored_pop O(log n) takes the best entry off the
 * front part and returns it; `*n` shrinks by one. */
void scored_heapify(Scored *entries, size_t n);
Scored scored_pop(Scored *entries, size_t *n);

/* ---- packed vectors -------------------------------------------------------------------------------------------- */

typedef struct ScorePanel {
  size_t count;  /* vectors */
  int stride;    /* floats a vector, a multiple of 16 */
  float *packed; /* blocks of 16 vectors: packed[(block * stride + lane) * 16 + vector], the last block zero-filled;
                    memory_alloc_aligned */
  float *bias;   /* one a vector, padded with zeros to whole blocks, or NULL: all zero */
} ScorePanel;

/* Allocates a panel of `count` zero vectors. SQLITE_OK or SQLITE_NOMEM. */
int score_panel_alloc(ScorePanel *panel, size_t count, int stride, int biases);
void score_panel_free(ScorePanel *panel); /* a cleared panel is fine; leaves it cleared */

void score_panel_set(ScorePanel *panel, size_t index, const float *vector, int length); /* length ≤ stride */
void score_panel_get(const ScorePanel *panel, size_t index, float *vector);             /* stride floats */

/* bias + vector · query of one vector. */
float score_panel_score(const ScorePanel *panel, size_t index, const float *query);

/* All scores of one query (stride floats, 64-byte aligned): scores[0 … count-1] (room for whole blocks of 16). The
 * same bytes as score_panel_score and as score_panel_top_k give for the same cell. */
void score_panel_scores(const ScorePanel *panel, const float *query, float *scores);

/* Indexes that may not be returned for one query: ascending. */
typedef struct Excluded {
  const uint32_t *index;
  size_t count;
} Excluded;

/* For each of `queries` vectors (queries × stride, 64-byte aligned): the k best not excluded, best first, into
 * best[q * k …], and their number into found[q]. `excluded` is NULL or one entry a query. Works on `threads` threads,
 * and polls `cancel`. Any k ≥ 0, also more than there are vectors. SQLITE_OK, SQLITE_NOMEM or what cancel says. */
int score_panel_top_k(const ScorePanel *panel, const float *query, size_t queries, const Excluded *excluded, size_t k,
                      Scored *best, size_t *found, int threads, const Cancel *cancel);

#endif
