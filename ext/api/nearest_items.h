/* The items nearest to items by the cosine of the vectors behind `score`: what item_similar and item_similar_all share.
 */
#ifndef RECOMMEND_API_NEAREST_ITEMS_H
#define RECOMMEND_API_NEAREST_ITEMS_H

#include "../model/model.h"

/* For each of the items first … first + count - 1 the k nearest others, best first, into best[i * k …], and their
 * number into found[i]. SQLITE_OK, SQLITE_NOMEM or what cancel says. */
int nearest_items_block(const ModelItems *items, uint32_t first, size_t count, size_t k, Scored *best, size_t *found,
                        int threads, const Cancel *cancel);

/* a·b / (‖a‖ ‖b‖), and 0 where one of them is zero. */
static inline float cosine(float product, float norm_a, float norm_b) {
  return norm_a > 0 && norm_b > 0 ? product / (norm_a * norm_b) : 0;
}

#endif
