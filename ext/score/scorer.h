/* Items to be scored, be they dense vectors in a panel (item_panel.h), sparse ones in inverted lists (postings.h) or
 * linked to each other (item_links.h), and what they are scored with. */
#ifndef RECOMMEND_SCORE_SCORER_H
#define RECOMMEND_SCORE_SCORER_H

#include "item_links.h"
#include "item_panel.h"
#include "postings.h"

/* One of the three; the others are NULL. All borrowed. */
typedef struct Scorer {
  const ScorePanel *panel;
  const Postings *postings;
  const Links *links;
  Excluded gone; /* items that nobody is to get: places that are there no more */
} Scorer;

/* What fits the scorer; the other is NULL. */
typedef struct Queries {
  size_t count;
  const float *vector;         /* for a panel: count × stride, aligned */
  const PostingsQuery *sparse; /* for postings, and links: count */
} Queries;

static inline size_t scorer_count(const Scorer *scorer) {
  return scorer->panel ? scorer->panel->count : scorer->links ? scorer->links->items : scorer->postings->vectors.rows;
}

/* Room for all scores of one query: whole blocks of 16. */
static inline size_t scorer_room(const Scorer *scorer) {
  return (scorer_count(scorer) + SCORE_BLOCK - 1) / SCORE_BLOCK * SCORE_BLOCK;
}

/* score_panel_scores, postings_scores or links_scores of query number `query`. CODE_OK or CODE_NOMEM. */
int scorer_scores(const Scorer *scorer, const Queries *queries, size_t query, float *scores);

/* score_panel_top_k, postings_top_k or links_top_k, without what is gone. */
int scorer_top_k(const Scorer *scorer, const Queries *queries, const Excluded *excluded, size_t k, Scored *best,
                 size_t *found, int threads, const Cancel *cancel);

#endif
