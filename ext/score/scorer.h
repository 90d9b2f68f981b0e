/* What scores items for queries. Whoever ranks holds a Scorer, and asks neither how the items are kept nor what a query
 * is: a vector (item_panel.h), words (postings.h), a history (item_links.h), or what another kind of model takes.
 *
 * The score of one cell has the same bytes whichever way it is asked for, but for scores_for of a panel. */
#ifndef RECOMMEND_SCORE_SCORER_H
#define RECOMMEND_SCORE_SCORER_H

#include "../base/cancel.h"
#include "top_k.h"

#define SCORE_BLOCK 16 /* scores are written in whole blocks of so many */

typedef struct Scorer Scorer;

/* Queries stand side by side, Scorer.query_size bytes each, aligned as memory_alloc_aligned does. Borrowed. */
typedef struct Queries {
  size_t count;
  const void *each;
} Queries;

/* How it is done. All return CODE_OK, CODE_NOMEM or what cancel says. */
typedef struct ScorerMethods {
  /* All scores of one query: scores[0 … count - 1], 64-byte aligned with scorer_room; what is behind means nothing. */
  int (*scores)(const Scorer *scorer, const void *query, float *scores);

  /* scores[i] is that of item[i], ascending. NULL: all are computed. */
  int (*scores_of)(const Scorer *scorer, const void *query, const uint32_t *item, size_t count, float *scores);

  /* scorer_top_k without what is gone, by something quicker than all scores. NULL: there is nothing. */
  int (*top_k)(const Scorer *scorer, const Queries *queries, const Excluded *excluded, size_t k, Scored *best,
               size_t *found, int threads, const Cancel *cancel);

  /* scores[q] is that of one item for query q; NaN where the query says nothing. NULL: by scores_of. */
  int (*scores_for)(const Scorer *scorer, uint32_t item, const Queries *queries, float *scores, const Cancel *cancel);

  /* similarities[q] is the cosine of two queries, 0 where one of them is zero. NULL: they can't be compared. */
  int (*compare)(const Scorer *scorer, const void *query, const Queries *queries, float *similarities,
                 const Cancel *cancel);
} ScorerMethods;

struct Scorer {
  const ScorerMethods *methods;
  const void *items; /* what the methods take them for; borrowed, and read by several threads */
  size_t count;      /* of items */
  size_t query_size; /* bytes */
  Excluded gone;     /* items that nobody is to get: places that are there no more */
};

/* Room for all scores of one query: whole blocks. */
static inline size_t scorer_room(const Scorer *scorer) {
  return (scorer->count + SCORE_BLOCK - 1) / SCORE_BLOCK * SCORE_BLOCK;
}

static inline const void *scorer_query(const Scorer *scorer, const Queries *queries, size_t place) {
  return (const char *)queries->each + place * scorer->query_size;
}

/* All scores of one query: see ScorerMethods. */
int scorer_scores(const Scorer *scorer, const void *query, float *scores);

/* Those of some items, ascending. */
int scorer_scores_of(const Scorer *scorer, const void *query, const uint32_t *item, size_t count, float *scores);

/* One item's scores for all queries; and how alike a query is to each of others: see ScorerMethods. */
int scorer_scores_for(const Scorer *scorer, uint32_t item, const Queries *queries, float *scores, const Cancel *cancel);
int scorer_compare(const Scorer *scorer, const void *query, const Queries *queries, float *similarities,
                   const Cancel *cancel);

/* a·b / (‖a‖ ‖b‖), and 0 where one of them is zero. */
static inline float cosine_of(float product, float norm_a, float norm_b) {
  return norm_a > 0 && norm_b > 0 ? product / (norm_a * norm_b) : 0;
}

/* For each query the k best items that are neither gone nor excluded, best first, into best[q * k …], and their number
 * into found[q]. `excluded` is NULL or one entry a query. Works on up to `threads` threads and polls `cancel`. Any k ≥
 * 0, also more than there are items. After an error best and found hold nothing of use. */
int scorer_top_k(const Scorer *scorer, const Queries *queries, const Excluded *excluded, size_t k, Scored *best,
                 size_t *found, int threads, const Cancel *cancel);

#endif
