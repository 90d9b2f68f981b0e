/* Items to be scored, be they dense vectors in a panel (score.h) or sparse ones in inverted lists (postings.h), and
 * what they are scored with. */
#ifndef RECOMMEND_BASE_SCORER_H
#define RECOMMEND_BASE_SCORER_H

#include "postings.h"
#include "score.h"

/* One of the two; the other is NULL. Both borrowed. */
typedef struct Scorer {
  const ScorePanel *panel;
  const Postings *postings;
} Scorer;

/* What fits the scorer; the other is NULL. */
typedef struct Queries {
  size_t count;
  const float *vector;         /* for a panel: count × stride, aligned */
  const PostingsQuery *sparse; /* for postings: count */
} Queries;

static inline size_t scorer_count(const Scorer *scorer) {
  return scorer->panel ? scorer->panel->count : scorer->postings->vectors.rows;
}

/* Room for all scores of one query: whole blocks of 16. */
static inline size_t scorer_room(const Scorer *scorer) {
  return (scorer_count(scorer) + SCORE_BLOCK - 1) / SCORE_BLOCK * SCORE_BLOCK;
}

/* score_panel_scores or postings_scores of query number `query`. SQLITE_OK or SQLITE_NOMEM. */
int scorer_scores(const Scorer *scorer, const Queries *queries, size_t query, float *scores);

/* score_panel_top_k or postings_top_k. */
int scorer_top_k(const Scorer *scorer, const Queries *queries, const Excluded *excluded, size_t k, Scored *best,
                 size_t *found, int threads, const Cancel *cancel);

#endif
