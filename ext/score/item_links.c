/* Scores by links between items: see item_links.h. */
#include "item_links.h"

#include <math.h>
#include <string.h>

#include "../base/code.h"
#include "../base/memory.h"

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

/* ---- as a scorer ------------------------------------------------------------------------------------------------- */

static int scores_of_all(const Scorer *scorer, const void *query, float *scores) {
  links_scores(scorer->items, query, scores);
  return CODE_OK;
}

static int scores_of_some(const Scorer *scorer, const void *query, const uint32_t *item, size_t count, float *scores) {
  return links_scores_of(scorer->items, query, item, count, scores);
}

/* Σ_j x_j w_j over a query, in the order of links_score. */
static float weigh(const float *weights, const PostingsQuery *query) {
  float score = 0;
  for (size_t i = 0; i < query->count; i++) score += weight_of(query, i) * weights[query->index[i]];
  return score;
}

/* What each item has to say of one, W[…][item], is looked up once. */
static int scores_for_queries(const Scorer *scorer, uint32_t item, const Queries *queries, float *scores,
                              const Cancel *cancel) {
  const PostingsQuery *query = queries->each;
  float *weights = memory_alloc(scorer->count, sizeof *weights);
  if (!weights) return CODE_NOMEM;
  for (uint32_t from = 0; from < scorer->count; from++) weights[from] = links_weight(scorer->items, from, item);
  for (size_t q = 0; q < queries->count; q++) scores[q] = query[q].count ? weigh(weights, &query[q]) : NAN;
  memory_free(weights);
  return cancel_poll(cancel);
}

static float query_norm(const PostingsQuery *query) {
  double squares = 0;
  for (size_t i = 0; i < query->count; i++) squares += (double)weight_of(query, i) * (double)weight_of(query, i);
  return (float)sqrt(squares);
}

/* Of histories: no links are asked. */
static int compare_queries(const Scorer *scorer, const void *one, const Queries *queries, float *similarities,
                           const Cancel *cancel) {
  const PostingsQuery *self = one, *query = queries->each;
  const float norm = query_norm(self);
  float *weights = memory_alloc_zero(scorer->count, sizeof *weights);
  if (!weights) return CODE_NOMEM;
  for (size_t i = 0; i < self->count; i++) weights[self->index[i]] = weight_of(self, i);
  for (size_t q = 0; q < queries->count; q++)
    similarities[q] = cosine_of(weigh(weights, &query[q]), norm, query_norm(&query[q]));
  memory_free(weights);
  return cancel_poll(cancel);
}

static const ScorerMethods links_methods = {
    .scores = scores_of_all, .scores_of = scores_of_some, .scores_for = scores_for_queries, .compare = compare_queries};

Scorer links_scorer(const Links *links) {
  return (Scorer){
      .methods = &links_methods, .items = links, .count = links->items, .query_size = sizeof(PostingsQuery)};
}
