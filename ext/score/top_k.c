/* The k best of many: see top_k.h. */
#include "top_k.h"

#include <string.h>

/* ---- the order --------------------------------------------------------------------------------------------------- */

/* A number that is smaller for the better entry. The bits of floats order like integers once the sign is taken care
 * of: negative ones are turned round, positive ones get the top bit. */
static inline uint64_t scored_key(Scored entry) {
  float score = entry.score + 0.0f; /* -0 becomes 0 */
  uint32_t bits;
  memcpy(&bits, &score, sizeof bits);
  uint32_t ascending = bits ^ (bits >> 31 ? UINT32_MAX : UINT32_C(1) << 31);
  uint32_t descending = score != score ? UINT32_MAX : ~ascending;
  return (uint64_t)descending << 32 | entry.index;
}

/* ---- heaps ------------------------------------------------------------------------------------------------------- */

#define BEST_ON_TOP UINT64_C(0)
#define WORST_ON_TOP UINT64_MAX

/* Puts `entry` at `place` or below, where the heap order holds: the smallest key ^ flip on top. */
static inline void sift_down(Scored *heap, size_t count, size_t place, Scored entry, uint64_t flip) {
  uint64_t key = scored_key(entry) ^ flip;
  for (size_t child; (child = 2 * place + 1) < count; place = child) {
    uint64_t child_key = scored_key(heap[child]) ^ flip;
    if (child + 1 < count) {
      uint64_t other_key = scored_key(heap[child + 1]) ^ flip;
      child += other_key < child_key;
      child_key = other_key < child_key ? other_key : child_key;
    }
    if (key <= child_key) break;
    heap[place] = heap[child];
  }
  heap[place] = entry;
}

static inline void sift_up(Scored *heap, size_t place, Scored entry, uint64_t flip) {
  uint64_t key = scored_key(entry) ^ flip;
  for (size_t parent; place > 0; place = parent) {
    parent = (place - 1) / 2;
    if ((scored_key(heap[parent]) ^ flip) <= key) break;
    heap[place] = heap[parent];
  }
  heap[place] = entry;
}

void top_k_init(TopK *top, Scored *heap, size_t k) { *top = (TopK){.heap = heap, .capacity = k}; }

void top_k_offer(TopK *top, float score, uint32_t index) {
  Scored entry = {score, index};
  if (score != score || top->capacity == 0) return;
  if (top->count < top->capacity)
    sift_up(top->heap, top->count++, entry, WORST_ON_TOP);
  else if (scored_key(entry) < scored_key(top->heap[0]))
    sift_down(top->heap, top->count, 0, entry, WORST_ON_TOP);
}

size_t top_k_sort(TopK *top) {
  scored_sort(top->heap, top->count);
  return top->count;
}

void scored_heapify(Scored *entries, size_t n) {
  for (size_t place = n / 2; place-- > 0;) sift_down(entries, n, place, entries[place], BEST_ON_TOP);
}

Scored scored_pop(Scored *entries, size_t *n) {
  Scored best = entries[0];
  size_t left = --*n;
  if (left > 0) sift_down(entries, left, 0, entries[left], BEST_ON_TOP);
  return best;
}

/* ---- sorting ----------------------------------------------------------------------------------------------------- */

#define DIGIT_BITS 8
#define DIGITS (1 << DIGIT_BITS)
#define FEW 32 /* up to here insertion is faster than counting digits */

static void insertion_sort(Scored *entries, size_t n) {
  for (size_t i = 1; i < n; i++) {
    Scored entry = entries[i];
    uint64_t key = scored_key(entry);
    size_t place = i;
    for (; place > 0 && scored_key(entries[place - 1]) > key; place--) entries[place] = entries[place - 1];
    entries[place] = entry;
  }
}

static inline unsigned digit(Scored entry, int shift) { return (unsigned)(scored_key(entry) >> shift) % DIGITS; }

/* Moves every entry into its digit's part of the array, along cycles; all have digits below `digits`. next[d] and
 * end[d] bound the part of digit d; afterwards next[d] = end[d]. */
static void permute(Scored *entries, size_t *next, const size_t *end, unsigned digits, int shift) {
  for (unsigned d = 0; d < digits; d++) {
    while (next[d] < end[d]) {
      Scored entry = entries[next[d]];
      for (unsigned home; (home = digit(entry, shift)) != d;) {
        Scored displaced = entries[next[home]];
        entries[next[home]++] = entry;
        entry = displaced;
      }
      entries[next[d]++] = entry;
    }
  }
}

/* Brings the entries with digits up to `last` to the front. Without a branch: which they are can't be foretold. */
static void partition(Scored *entries, size_t n, unsigned last, int shift) {
  size_t place = 0;
  for (size_t i = 0; i < n; i++) {
    Scored entry = entries[i];
    entries[i] = entries[place];
    entries[place] = entry;
    place += digit(entry, shift) <= last;
  }
}

/* Radix sort in place from the highest digit down (McIlroy, Bostic & McIlroy, "Engineering radix sort", Computing
 * Systems 6, 1993: American flag sort). As deep as a key has digits at most, and no input makes it slow. Parts that
 * start behind the front are left as they are. */
static void radix_sort(Scored *entries, size_t n, size_t front, int shift) {
  size_t next[DIGITS], end[DIGITS];
  for (;; shift -= DIGIT_BITS) {
    if (n <= FEW || shift < 0) {
      insertion_sort(entries, n); /* shift < 0: equal keys, nothing will move */
      return;
    }
    memset(end, 0, sizeof end);
    for (size_t i = 0; i < n; i++) end[digit(entries[i], shift)]++;
    if (end[digit(entries[0], shift)] < n) break; /* else all share this digit: look at the next */
  }
  unsigned digits = 0; /* those that start before the front does end */
  size_t start = 0;
  for (; digits < DIGITS && start < front; digits++) {
    next[digits] = start;
    start += end[digits];
    end[digits] = start;
  }
  if (start < n) partition(entries, n, digits - 1, shift);
  permute(entries, next, end, digits, shift);
  for (unsigned d = 0; d < digits; d++) {
    start = d == 0 ? 0 : end[d - 1];
    if (end[d] - start > 1) radix_sort(entries + start, end[d] - start, front - start, shift - DIGIT_BITS);
  }
}

void scored_sort_front(Scored *entries, size_t n, size_t front) {
  if (front > 0) radix_sort(entries, n, front, 64 - DIGIT_BITS);
}

void scored_sort(Scored *entries, size_t n) { scored_sort_front(entries, n, n); }
