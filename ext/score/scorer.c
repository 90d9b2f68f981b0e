/* Whichever kind of items: see scorer.h. */
#include "scorer.h"

#include "../base/code.h"
#include "../base/memory.h"

int scorer_scores(const Scorer *scorer, const Queries *queries, size_t query, float *scores) {
  if (scorer->panel) {
    score_panel_scores(scorer->panel, queries->vector + query * (size_t)scorer->panel->stride, scores);
    return CODE_OK;
  }
  if (scorer->links) {
    links_scores(scorer->links, &queries->sparse[query], scores);
    return CODE_OK;
  }
  PostingsVector spread;
  int code = postings_expand(scorer->postings, &queries->sparse[query], &spread);
  if (code == CODE_OK) code = postings_scores(scorer->postings, &spread, scores, 1, NULL);
  postings_vector_free(&spread);
  return code;
}

/* Merges two ascending lists. Returns how many there are. */
static size_t merge(Excluded a, Excluded b, uint32_t *to) {
  size_t i = 0, j = 0, count = 0;
  while (i < a.count || j < b.count) {
    uint32_t next = j == b.count || (i < a.count && a.index[i] < b.index[j]) ? a.index[i] : b.index[j];
    i += i < a.count && a.index[i] == next;
    j += j < b.count && b.index[j] == next;
    to[count++] = next;
  }
  return count;
}

/* What is gone, besides what is excluded anyway. Both results are to be freed. */
static int exclude_gone(Excluded gone, const Excluded *excluded, size_t count, Excluded **merged, uint32_t **items) {
  size_t room = count * gone.count, used = 0;
  for (size_t query = 0; excluded && query < count; query++) room += excluded[query].count;
  *merged = memory_alloc(count, sizeof **merged);
  *items = memory_alloc(room, sizeof **items);
  if (!*merged || !*items) return CODE_NOMEM;
  for (size_t query = 0; query < count; query++) {
    size_t n = merge(gone, excluded ? excluded[query] : (Excluded){NULL, 0}, *items + used);
    (*merged)[query] = (Excluded){*items + used, n};
    used += n;
  }
  return CODE_OK;
}

int scorer_top_k(const Scorer *scorer, const Queries *queries, const Excluded *excluded, size_t k, Scored *best,
                 size_t *found, int threads, const Cancel *cancel) {
  size_t count = queries->count;
  if (scorer->gone.count) {
    Scorer rest = *scorer;
    Excluded *merged = NULL;
    uint32_t *items = NULL;
    rest.gone = (Excluded){NULL, 0};
    int code = exclude_gone(scorer->gone, excluded, count, &merged, &items);
    if (code == CODE_OK) code = scorer_top_k(&rest, queries, merged, k, best, found, threads, cancel);
    memory_free(merged);
    memory_free(items);
    return code;
  }
  if (scorer->panel)
    return score_panel_top_k(scorer->panel, queries->vector, count, excluded, k, best, found, threads, cancel);
  if (scorer->links)
    return links_top_k(scorer->links, queries->sparse, count, excluded, k, best, found, threads, cancel);
  return postings_top_k(scorer->postings, queries->sparse, count, excluded, k, best, found, threads, cancel);
}
