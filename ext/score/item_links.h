/* Items scored by weights between items: a score is the sum of the weights from the items of a history. The weights are
 * a sparse or dense matrix, items × items.
 *
 *     score(history, i) = Σ_j x_j W[j][i]        x the weights of the history, 1 where there are none
 *
 * The sum is taken in float, in the order of the history: the score of one cell has the same bytes whichever way it is
 * asked for. */
#ifndef RECOMMEND_SCORE_ITEM_LINKS_H
#define RECOMMEND_SCORE_ITEM_LINKS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/cancel.h"
#include "postings.h"

typedef struct Links {
  size_t items;
  /* One of the two, or neither: then W is 1 on its diagonal and 0 elsewhere. Owned by whoever made them. */
  const float *dense;  /* linked × linked */
  const size_t *start; /* items + 1 offsets into index and weight: row j is what item j links to, in any order */
  size_t linked;       /* of dense: the items behind them came after the training, and have no weights */
  const uint32_t *index;
  const float *weight;
} Links;

/* The nearest of each row, best first: whom a model of neighbours asks. */
typedef struct NeighborLists {
  size_t rows;
  size_t *start;      /* rows + 1 offsets into the others */
  uint32_t *neighbor; /* another row */
  float *similarity;
  uint32_t *support; /* on how many common entries the similarity rests */
} NeighborLists;

void neighbor_lists_free(NeighborLists *lists); /* cleared is fine; leaves it cleared */

/* W[from][to]. */
float links_weight(const Links *links, uint32_t from, uint32_t to);

/* The score of one item. `query` has the items of the history, ascending, and their weights. */
float links_score(const Links *links, const PostingsQuery *query, uint32_t item);

/* The scores of some items, ascending: scores[i] is that of item[i]. CODE_OK or CODE_NOMEM. */
int links_scores_of(const Links *links, const PostingsQuery *query, const uint32_t *item, size_t count, float *scores);

/* All scores: scores[0 … items - 1]. */
void links_scores(const Links *links, const PostingsQuery *query, float *scores);

/* All this as a Scorer, whose queries are PostingsQuery. The links are borrowed. */
Scorer links_scorer(const Links *links);

#endif
