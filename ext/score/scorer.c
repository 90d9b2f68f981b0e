/* Scores by whichever method: see scorer.h. */
#include "scorer.h"

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"

int scorer_scores(const Scorer *scorer, const void *query, float *scores) {
  return scorer->methods->scores(scorer, query, scores);
}

int scorer_scores_of(const Scorer *scorer, const void *query, const uint32_t *item, size_t count, float *scores) {
  if (scorer->methods->scores_of) return scorer->methods->scores_of(scorer, query, item, count, scores);
  float *all = memory_alloc_aligned(scorer_room(scorer), sizeof *all);
  int code = all ? scorer->methods->scores(scorer, query, all) : CODE_NOMEM;
  for (size_t i = 0; i < count && code == CODE_OK; i++) scores[i] = all[item[i]];
  memory_free_aligned(all);
  return code;
}

int scorer_scores_for(const Scorer *scorer, uint32_t item, const Queries *queries, float *scores,
                      const Cancel *cancel) {
  if (scorer->methods->scores_for) return scorer->methods->scores_for(scorer, item, queries, scores, cancel);
  int code = CODE_OK;
  for (size_t query = 0; query < queries->count && code == CODE_OK; query++) {
    code = scorer_scores_of(scorer, scorer_query(scorer, queries, query), &item, 1, &scores[query]);
    if (code == CODE_OK) code = cancel_poll(cancel);
  }
  return code;
}

int scorer_compare(const Scorer *scorer, const void *query, const Queries *queries, float *similarities,
                   const Cancel *cancel) {
  return scorer->methods->compare(scorer, query, queries, similarities, cancel);
}

/* ---- the k best by all scores ------------------------------------------------------------------------------------ */

typedef struct TopKWork {
  const Scorer *scorer;
  const Queries *queries;
  const Excluded *excluded;
  size_t k;
  Scored *best;
  size_t *found;
  float *scores; /* scorer_room a worker */
} TopKWork;

static int top_k_of_query(void *context, size_t query, int worker) {
  const TopKWork *work = context;
  const Scorer *scorer = work->scorer;
  float *scores = work->scores + (size_t)worker * scorer_room(scorer);
  const uint32_t *next = work->excluded ? work->excluded[query].index : NULL;
  const uint32_t *end = next ? next + work->excluded[query].count : NULL;
  TopK top;
  int code = scorer->methods->scores(scorer, scorer_query(scorer, work->queries, query), scores);
  if (code != CODE_OK) return code;
  top_k_init(&top, work->best + query * work->k, work->k);
  for (size_t item = 0; item < scorer->count; item++) {
    if (next != end && *next == item)
      next++;
    else
      top_k_offer(&top, scores[item], (uint32_t)item);
  }
  work->found[query] = top_k_sort(&top);
  return CODE_OK;
}

static int top_k_by_scores(const Scorer *scorer, const Queries *queries, const Excluded *excluded, size_t k,
                           Scored *best, size_t *found, int threads, const Cancel *cancel) {
  if ((size_t)threads > queries->count) threads = (int)queries->count;
  if (threads < 1) threads = 1;
  TopKWork work = {scorer, queries, excluded, k, best, found, NULL};
  work.scores = memory_alloc_aligned((size_t)threads, scorer_room(scorer) * sizeof *work.scores);
  int code = work.scores ? parallel_for(threads, queries->count, top_k_of_query, &work, cancel) : CODE_NOMEM;
  memory_free_aligned(work.scores);
  return code;
}

/* ---- what is gone ------------------------------------------------------------------------------------------------ */

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
  Excluded *merged = NULL;
  uint32_t *items = NULL;
  int code = scorer->gone.count ? exclude_gone(scorer->gone, excluded, queries->count, &merged, &items) : CODE_OK;
  if (code == CODE_OK)
    code = (scorer->methods->top_k ? scorer->methods->top_k : top_k_by_scores)(
        scorer, queries, merged ? merged : excluded, k, best, found, threads, cancel);
  memory_free(merged);
  memory_free(items);
  return code;
}
