/* Scores by links between items: see item_links.h. */
#include "item_links.h"

#include <string.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"

void neighbor_lists_free(NeighborLists *lists) {
  memory_free(lists->start);
  memory_free(lists->neighbor);
  memory_free(lists->similarity);
  memory_free(lists->support);
  *lists = (NeighborLists){0};
}

static float weight_of(const PostingsQuery *query, size_t place) { return query->weight ? query->weight[place] : 1; }

float links_weight(const Links *links, uint32_t from, uint32_t to) {
  if (links->dense) return from < links->linked && to < links->linked ? links->dense[from * links->linked + to] : 0;
  if (!links->start) return from == to;
  for (size_t e = links->start[from]; e < links->start[from + 1]; e++)
    if (links->index[e] == to) return links->weight[e];
  return 0;
}

/* Entries that are not there add nothing, as links_scores leaves them out. */
float links_score(const Links *links, const PostingsQuery *query, uint32_t item) {
  float score = 0;
  for (size_t place = 0; place < query->count; place++)
    score += weight_of(query, place) * links_weight(links, query->index[place], item);
  return score;
}

void links_scores(const Links *links, const PostingsQuery *query, float *scores) {
  memset(scores, 0, links->items * sizeof *scores);
  for (size_t place = 0; place < query->count; place++) {
    uint32_t from = query->index[place];
    float x = weight_of(query, place);
    if (links->dense) {
      const float *row = links->dense + from * links->linked;
      for (size_t item = 0; from < links->linked && item < links->linked; item++) scores[item] += x * row[item];
    } else if (links->start) {
      for (size_t e = links->start[from]; e < links->start[from + 1]; e++)
        scores[links->index[e]] += x * links->weight[e];
    } else {
      scores[from] += x;
    }
  }
}

/* Of lists, walked once, whatever the items are: to look for each in all lists would take as long as all of them do. */
static int listed_scores_of(const Links *links, const PostingsQuery *query, const uint32_t *item, size_t count,
                            float *scores) {
  float *all = memory_alloc(links->items, sizeof *all);
  if (!all) return CODE_NOMEM;
  links_scores(links, query, all);
  for (size_t i = 0; i < count; i++) scores[i] = all[item[i]];
  memory_free(all);
  return CODE_OK;
}

int links_scores_of(const Links *links, const PostingsQuery *query, const uint32_t *item, size_t count, float *scores) {
  enum { FEW = 4 };
  if (links->start && count > FEW) return listed_scores_of(links, query, item, count, scores);
  memset(scores, 0, count * sizeof *scores);
  if (links->dense) {
    for (size_t place = 0; place < query->count; place++)
      for (size_t i = 0; i < count; i++)
        scores[i] += weight_of(query, place) * links_weight(links, query->index[place], item[i]);
  } else if (links->start) {
    for (size_t i = 0; i < count; i++) scores[i] = links_score(links, query, item[i]);
  } else {
    for (size_t i = 0, place = 0; i < count; i++) {
      while (place < query->count && query->index[place] < item[i]) place++;
      if (place < query->count && query->index[place] == item[i]) scores[i] = weight_of(query, place);
    }
  }
  return CODE_OK;
}

typedef struct TopKWork {
  const Links *links;
  const PostingsQuery *queries;
  const Excluded *excluded;
  size_t count, k;
  Scored *best;
  size_t *found;
  float *scores; /* items a worker */
} TopKWork;

static int top_k_block(void *context, size_t block, int worker) {
  const TopKWork *work = context;
  float *scores = work->scores + (size_t)worker * work->links->items;
  TopK top;
  links_scores(work->links, &work->queries[block], scores);
  top_k_init(&top, work->best + block * work->k, work->k);
  const uint32_t *next = work->excluded ? work->excluded[block].index : NULL;
  const uint32_t *end = next ? next + work->excluded[block].count : NULL;
  for (size_t item = 0; item < work->links->items; item++) {
    if (next != end && *next == item)
      next++;
    else
      top_k_offer(&top, scores[item], (uint32_t)item);
  }
  work->found[block] = top_k_sort(&top);
  return CODE_OK;
}

int links_top_k(const Links *links, const PostingsQuery *queries, size_t count, const Excluded *excluded, size_t k,
                Scored *best, size_t *found, int threads, const Cancel *cancel) {
  if ((size_t)threads > count) threads = (int)count;
  TopKWork work = {links, queries, excluded, count, k, best, found, NULL};
  work.scores = memory_alloc(links->items, (size_t)(threads < 1 ? 1 : threads) * sizeof *work.scores);
  if (!work.scores) return CODE_NOMEM;
  int code = parallel_for(threads < 1 ? 1 : threads, count, top_k_block, &work, cancel);
  memory_free(work.scores);
  return code;
}
