/* One user's items in order: see ranking.h.
 *
 * Three ways, by what is asked. The k best of everything: the fused top-k. An open list, best first: all scores, then a
 * heap, so that the first row costs O(items) and each further one O(log items). Anything else: item by item. */
#include "ranking.h"

#include "../base/indexes.h"
#include "../base/memory.h"

/* Is the item wanted, by what the user has seen? */
static int passes(const RankingRequest *request, uint32_t item) {
  if (items_is_forgotten(request->items, item)) return 0;
  if (request->seen == SEEN_OR_NOT) return 1;
  if (request->seen == SEEN_NEITHER) return 0;
  int seen = request->history && history_find(request->history, item, NULL);
  return seen == (request->seen == SEEN_ONLY);
}

static int start_best(Ranking *ranking, const RankingRequest *request, size_t k) {
  Excluded excluded = {NULL, 0};
  if (request->seen == UNSEEN_ONLY && request->history)
    excluded = (Excluded){request->history->item, request->history->count};
  ranking->entries = memory_alloc(k, sizeof *ranking->entries);
  if (!ranking->entries) return SQLITE_NOMEM;
  const Scorer scorer = items_scorer(request->items);
  return scorer_top_k(&scorer, &request->user->query, &excluded, k, ranking->entries, &ranking->count, request->threads,
                      request->cancel);
}

/* The user's scores: of all items, at their places, if many are wanted; else of the candidates, in their order. */
static int score(const RankingRequest *request, int all, float **scores) {
  const Scorer scorer = items_scorer(request->items);
  *scores = NULL;
  if (!request->user) return SQLITE_OK;
  *scores = memory_alloc_aligned(all ? scorer_room(&scorer) : request->candidate_count, sizeof **scores);
  if (!*scores) return SQLITE_NOMEM;
  const void *query = request->user->query.each;
  if (all) return scorer_scores(&scorer, query, *scores);
  return scorer_scores_of(&scorer, query, request->candidates, request->candidate_count, *scores);
}

static int start_each(Ranking *ranking, const RankingRequest *request) {
  size_t count = request->items->ids.count;
  size_t candidates = request->has_candidates ? request->candidate_count : count;
  int all = candidates >= count / 8 || !request->has_candidates;
  float *scores = NULL;
  ranking->entries = memory_alloc(candidates, sizeof *ranking->entries);
  int code = ranking->entries ? score(request, all, &scores) : SQLITE_NOMEM;
  for (size_t i = 0; i < candidates && code == SQLITE_OK; i++) {
    uint32_t item = request->has_candidates ? request->candidates[i] : (uint32_t)i;
    if (!passes(request, item)) continue;
    float value = scores ? scores[all ? item : i] : (float)request->popularity->liked[item];
    ranking->entries[ranking->count++] = (Scored){value, item};
    if (i % 4096 == 0) code = cancel_poll(request->cancel);
  }
  memory_free_aligned(scores);
  return code;
}

int ranking_start(Ranking *ranking, const RankingRequest *request) {
  *ranking = (Ranking){0};
  const ModelItems *items = request->items;
  size_t count = items->ids.count;
  size_t k = request->limit < (int64_t)count ? (size_t)request->limit : count;
  int fused = request->user && request->best_first && !request->has_candidates && k <= count / 4 &&
              (request->seen == UNSEEN_ONLY || request->seen == SEEN_OR_NOT);
  if (request->user) ranking->offset = request->user->offset[items->shape.score_head];
  int code = fused ? start_best(ranking, request, k) : start_each(ranking, request);
  ranking->heaped = request->best_first && !fused;
  ranking_rewind(ranking);
  return code;
}

/* Keeps the best of the heap just behind it, as a heap sort does, so that a rewind finds every entry. */
static void take_best(Ranking *ranking) {
  if (!ranking->heaped || ranking->left == 0) return;
  Scored best = scored_pop(ranking->entries, &ranking->left);
  ranking->entries[ranking->left] = best;
}

void ranking_rewind(Ranking *ranking) {
  ranking->position = 0;
  ranking->left = ranking->count;
  if (!ranking->heaped) return;
  scored_heapify(ranking->entries, ranking->count);
  take_best(ranking);
}

int ranking_at_end(const Ranking *ranking) { return ranking->position >= ranking->count; }

void ranking_next(Ranking *ranking) {
  ranking->position++;
  take_best(ranking);
}

static const Scored *current(const Ranking *ranking) {
  return &ranking->entries[ranking->heaped ? ranking->left : ranking->position];
}

uint32_t ranking_item(const Ranking *ranking) { return current(ranking)->index; }
double ranking_score(const Ranking *ranking) { return (double)current(ranking)->score + ranking->offset; }

void ranking_free(Ranking *ranking) {
  memory_free(ranking->entries);
  *ranking = (Ranking){0};
}

int ranking_candidates(const ModelItems *items, sqlite3_value **ids, size_t count, uint32_t **candidates,
                       size_t *found) {
  uint32_t *list = memory_alloc(count, sizeof *list);
  size_t n = 0, distinct = 0;
  *candidates = list;
  *found = 0;
  if (!list) return SQLITE_NOMEM;
  for (size_t i = 0; i < count; i++) {
    Id id;
    int there = id_from_value_as(ids[i], items->item_affinity, &id);
    if (there < 0) return SQLITE_NOMEM;
    uint32_t item = there ? dictionary_find(&items->ids, &id) : DICTIONARY_NONE;
    if (item != DICTIONARY_NONE) list[n++] = item;
  }
  indexes_sort(list, n);
  for (size_t i = 0; i < n; i++)
    if (i == 0 || list[i] != list[i - 1]) list[distinct++] = list[i];
  *found = distinct;
  return SQLITE_OK;
}
