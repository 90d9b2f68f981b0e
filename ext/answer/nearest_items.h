/* The items nearest to an item: what item_similar and item_similar_all share. Nearest means the cosine of the vectors
 * behind `score`; for item neighbours the stored neighbours and their similarity; for item weights (EASE) the largest
 * weights from the item to others.
 *
 * The vector of an item that hardly anybody has is mostly its random start, or points to its one user: where there are
 * many such items, their cosines are the highest. So where vectors were learned from what users
 * did, a cosine is shrunk by the neighbour's support: it counts n / (n + m), n the users who have the neighbour and m
 * the mean of n over all items. Of users held out, what one item tells of the others (NDCG@10, rank 32) rises from
 * .034 to .044 (toys), .127 to .158 (citeulike-a), .136 to .209 (lastfm), .056 to .107 (musical instruments), .300 to
 * .417 (MovieLens 1M); a constant m is better on some of them and worse on others. */
#ifndef RECOMMEND_ANSWER_NEAREST_ITEMS_H
#define RECOMMEND_ANSWER_NEAREST_ITEMS_H

#include "../model/model.h"

typedef struct NearestItems {
  const ModelItems *items; /* borrowed */
  int64_t min_support;     /* only neighbours that so many users have */
  float *weight;           /* what each item counts as a neighbour, below 0: never; NULL: all count 1 */
} NearestItems;

/* Of a model that has begun. SQLITE_ERROR and what to do, where it has nothing that items could be compared by. To be
 * ended in either case. */
int nearest_items_begin(NearestItems *nearest, Model *model, const ModelItems *items, int64_t min_support,
                        const char *caller, Error *error);
void nearest_items_end(NearestItems *nearest); /* cleared is fine; leaves it cleared */

/* For each of the items first … first + count - 1 the k nearest others, best first, into best[i * k …], and their
 * number into found[i]. SQLITE_OK, SQLITE_NOMEM or what cancel says. */
int nearest_items_block(const NearestItems *nearest, uint32_t first, size_t count, size_t k, Scored *best,
                        size_t *found, int threads, const Cancel *cancel);

#endif
