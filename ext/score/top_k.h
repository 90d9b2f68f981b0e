/* The k best of many: exact, ties to the lower index.
 *
 * One order everywhere: score descending (-0 equals 0, NaN comes last of all), then index ascending. It is the order
 * of the 64-bit numbers of scored_key, so that no two entries with different indexes are ever equal and every way of
 * choosing the k best chooses the same ones. */
#ifndef RECOMMEND_SCORE_TOP_K_H
#define RECOMMEND_SCORE_TOP_K_H

#include <stddef.h>
#include <stdint.h>

typedef struct Scored {
  float score;
  uint32_t index;
} Scored;

/* Indexes that may not be returned for one query: ascending. */
typedef struct Excluded {
  const uint32_t *index;
  size_t count;
} Excluded;

/* ---- a bounded heap, fed one by one ------------------------------------------------------------------------------ */

typedef struct TopK {
  Scored *heap;    /* room for `capacity`; the worst on top */
  size_t capacity; /* k */
  size_t count;
} TopK;

/* `heap` is the caller's array of k entries. k may be 0. */
void top_k_init(TopK *top, Scored *heap, size_t k);

/* Offers one candidate; NaN is never taken. Any order of offers gives the same result. */
void top_k_offer(TopK *top, float score, uint32_t index);

/* Sorts what was kept best first and returns how many there are. */
size_t top_k_sort(TopK *top);

/* ---- arrays in the same order ------------------------------------------------------------------------------------ */

/* All n entries, best first. Allocates nothing. */
void scored_sort(Scored *entries, size_t n);

/* Only the `front` best, best first; the others follow in any order. */
void scored_sort_front(Scored *entries, size_t n, size_t front);

/* An order paid for as it is read: scored_heapify in O(n), then each scored_pop O(log n) takes the best entry off the
 * front part and returns it; `*n`, which must not be 0, shrinks by one. */
void scored_heapify(Scored *entries, size_t n);
Scored scored_pop(Scored *entries, size_t *n);

#endif
