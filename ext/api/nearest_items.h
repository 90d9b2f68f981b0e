/* The items nearest to items: what item_similar and item_similar_all share. By the cosine of the vectors behind
 * `score`; in a model of items' neighbours those that are stored, by their similarity, and in one of weights between
 * items the largest weights from the item to others. */
#ifndef RECOMMEND_API_NEAREST_ITEMS_H
#define RECOMMEND_API_NEAREST_ITEMS_H

#include "../model/model.h"

/* SQLITE_ERROR and what to do, where a model has nothing that items could be compared by. */
int nearest_items_check(const ModelItems *items, ModelName name, const char *caller, Error *error);

/* For each of the items first … first + count - 1 the k nearest others, best first, into best[i * k …], and their
 * number into found[i]. SQLITE_OK, SQLITE_NOMEM or what cancel says. */
int nearest_items_block(const ModelItems *items, uint32_t first, size_t count, size_t k, Scored *best, size_t *found,
                        int threads, const Cancel *cancel);

/* a·b / (‖a‖ ‖b‖), and 0 where one of them is zero. */
static inline float cosine(float product, float norm_a, float norm_b) {
  return norm_a > 0 && norm_b > 0 ? product / (norm_a * norm_b) : 0;
}

#endif
