/* Dealing out into folds: see deal.h. */
#include "deal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/sqlite.h"

enum { POLL_EVERY = 4096, THINGS_A_BUCKET = 4 };

int deal_alloc(Deal *deal, size_t count) {
  *deal = (Deal){count, memory_alloc(count, sizeof *deal->number), memory_alloc(count, 1)};
  if (!deal->number || !deal->fold) return SQLITE_NOMEM;
  memset(deal->fold, DEAL_NONE, count);
  return SQLITE_OK;
}

void deal_free(Deal *deal) {
  memory_free(deal->number);
  memory_free(deal->fold);
  *deal = (Deal){0};
}

size_t deal_count(const Deal *deal) {
  size_t count = 0;
  for (size_t i = 0; i < deal->count; i++) count += !isnan(deal->number[i]);
  return count;
}

/* ---- the order of the numbers ------------------------------------------------------------------------------------ */

static int comes_before(const Deal *deal, size_t a, size_t b) {
  double x = deal->number[a], y = deal->number[b];
  return x < y || (x == y && a < b);
}

/* Puts the things into buckets by their numbers, the buckets one after the other. next: buckets + 1 zeros. */
static int fill_buckets(const Deal *deal, size_t *order, size_t *next, size_t buckets, const Cancel *cancel) {
  int code = SQLITE_OK;
  for (int counting = 1; counting >= 0 && code == SQLITE_OK; counting--) {
    for (size_t i = 0; i < deal->count && code == SQLITE_OK; i++) {
      if (i % POLL_EVERY == 0) code = cancel_poll(cancel);
      if (isnan(deal->number[i])) continue;
      size_t bucket = (size_t)(deal->number[i] * (double)buckets);
      if (bucket == buckets) bucket--; /* the product was rounded up */
      if (counting)
        next[bucket + 1]++;
      else
        order[next[bucket]++] = i;
    }
    for (size_t bucket = 0; bucket < buckets && counting; bucket++) next[bucket + 1] += next[bucket];
  }
  return code;
}

/* Things in order of their numbers. They being uniform, a bucket has a few, and insertion is the rest of the sorting.
 */
static int sort_things(const Deal *deal, size_t count, size_t *order, const Cancel *cancel) {
  size_t buckets = count / THINGS_A_BUCKET + 1, *next = memory_alloc_zero(buckets + 1, sizeof *next);
  int code = next ? fill_buckets(deal, order, next, buckets, cancel) : SQLITE_NOMEM;
  memory_free(next);
  for (size_t i = 1; i < count && code == SQLITE_OK; i++) {
    size_t thing = order[i], to = i;
    if (i % POLL_EVERY == 0) code = cancel_poll(cancel);
    for (; to > 0 && comes_before(deal, thing, order[to - 1]); to--) order[to] = order[to - 1];
    order[to] = thing;
  }
  return code;
}

/* ---- dealing ----------------------------------------------------------------------------------------------------- */

int deal_folds(Deal *deal, int folds, const Cancel *cancel) {
  assert(folds > 0 && folds <= DEAL_MOST_FOLDS);
  size_t count = deal_count(deal), *order = memory_alloc(count, sizeof *order);
  int code = order ? sort_things(deal, count, order, cancel) : SQLITE_NOMEM;
  int fold = 0;
  for (size_t p = 0; p < count && code == SQLITE_OK; p++) {
    while ((size_t)(fold + 1) * count <= p * (size_t)folds) fold++;
    deal->fold[order[p]] = (uint8_t)fold;
  }
  memory_free(order);
  return code;
}

int deal_part(Deal *deal, double part, size_t most, const Cancel *cancel) {
  size_t count = deal_count(deal), *order = memory_alloc(count, sizeof *order), held = 0;
  int code = order ? sort_things(deal, count, order, cancel) : SQLITE_NOMEM;
  for (; code == SQLITE_OK && held < count && held < most; held++) {
    if (held > 0 && deal->number[order[held]] >= part) break;
    deal->fold[order[held]] = 0;
  }
  memory_free(order);
  return code;
}
