/* Scores: see model_scorer.h. */
#include "model_scorer.h"

Scorer items_scorer(const ModelItems *items) {
  const Excluded gone = items_forgotten(items);
  if (items->shape.sparse) return (Scorer){.postings = &items->postings, .gone = gone};
  if (items->shape.links) return (Scorer){.links = &items->links, .gone = gone};
  return (Scorer){.panel = &items->panel[items->shape.score_head], .gone = gone};
}

float items_score(const ModelItems *items, int head, uint32_t item, const ModelUser *user) {
  if (items->shape.sparse) return postings_score(&items->postings, item, &user->spread);
  if (items->shape.links && head == items->shape.score_head) {
    const PostingsQuery query = item_sum_query(&user->sum);
    return links_score(&items->links, &query, item);
  }
  return score_panel_score(&items->panel[head], item, user->vector[head]);
}

int items_scores_of(const ModelItems *items, const ModelUser *user, const uint32_t *item, size_t count, float *scores) {
  if (items->shape.links) {
    const PostingsQuery query = item_sum_query(&user->sum);
    return links_scores_of(&items->links, &query, item, count, scores);
  }
  for (size_t i = 0; i < count; i++) scores[i] = items_score(items, items->shape.score_head, item[i], user);
  return SQLITE_OK;
}

int items_scores(const ModelItems *items, const ModelUser *user, float *scores) {
  if (items->shape.sparse) return postings_scores(&items->postings, &user->spread, scores, 1, NULL);
  if (items->shape.links) {
    const PostingsQuery query = item_sum_query(&user->sum);
    links_scores(&items->links, &query, scores);
    return SQLITE_OK;
  }
  int head = items->shape.score_head;
  score_panel_scores(&items->panel[head], user->vector[head], scores);
  return SQLITE_OK;
}

int items_top_k(const ModelItems *items, const ModelUser *user, const Excluded *excluded, size_t k, Scored *best,
                size_t *found, int threads, const Cancel *cancel) {
  Scorer scorer = items_scorer(items);
  PostingsQuery sparse = item_sum_query(&user->sum);
  Queries query = {.count = 1, .vector = user->vector[items->shape.score_head], .sparse = &sparse};
  return scorer_top_k(&scorer, &query, excluded, k, best, found, threads, cancel);
}

Queries users_queries(const ModelItems *items, const ModelUsers *users, PostingsQuery *sparse) {
  if (!shape_sums(&items->shape))
    return (Queries){.count = users->count, .vector = users->vector[items->shape.score_head]};
  for (size_t user = 0; user < users->count; user++) sparse[user] = item_sum_query(&users->sum[user]);
  return (Queries){.count = users->count, .sparse = sparse};
}
