/* Nearest items: see nearest_items.h. */
#include "nearest_items.h"

#include "../base/memory.h"
#include "../base/parallel.h"

typedef struct Nearest {
  const NearestItems *nearest;
  const ModelItems *items;
  uint32_t first;
  size_t k;
  Scored *best;
  size_t *found;
} Nearest;

/* May it be a neighbour? */
static int has_support(const NearestItems *nearest, uint32_t item) {
  if (items_is_forgotten(nearest->items, item)) return 0;
  return nearest->min_support <= 0 || nearest->popularity->count[item] >= nearest->min_support;
}

/* What a cosine with this neighbour counts. */
static float trust(const NearestItems *nearest, uint32_t item) {
  if (nearest->support <= 0) return 1;
  double n = (double)nearest->popularity->count[item];
  return (float)(n / (n + nearest->support));
}

/* Dense vectors: all products of one item, made cosines. */
static int nearest_dense(void *context, size_t block, int worker) {
  (void)worker;
  const Nearest *work = context;
  const ModelItems *items = work->items;
  uint32_t item = work->first + (uint32_t)block;
  /* Added and taken off again, a bias would swallow the digits of small products. */
  ScorePanel unbiased = items->panel[items->shape.score_head];
  unbiased.bias = NULL;
  const Scorer scorer = score_panel_scorer(&unbiased);
  float *vector = memory_alloc_aligned((size_t)unbiased.stride, sizeof *vector);
  float *scores = memory_alloc_aligned(scorer_room(&scorer), sizeof *scores);
  int code = vector && scores ? SQLITE_OK : SQLITE_NOMEM;
  if (code == SQLITE_OK) {
    TopK top;
    top_k_init(&top, work->best + block * work->k, work->k);
    score_panel_get(&unbiased, item, vector);
    score_panel_scores(&unbiased, vector, scores);
    for (uint32_t other = 0; other < unbiased.count; other++) {
      if (other == item || !has_support(work->nearest, other)) continue;
      float similarity = cosine_of(scores[other], items->norm[item], items->norm[other]);
      top_k_offer(&top, similarity * trust(work->nearest, other), other);
    }
    work->found[block] = top_k_sort(&top);
  }
  memory_free_aligned(vector);
  memory_free_aligned(scores);
  return code;
}

/* The items that can't be a neighbour of `item`, which is one of them, ascending. Returns how many. */
static size_t list_excluded(const NearestItems *nearest, uint32_t item, uint32_t *excluded) {
  size_t count = 0;
  for (uint32_t other = 0; other < nearest->items->ids.count; other++)
    if (other == item || !has_support(nearest, other)) excluded[count++] = other;
  return count;
}

/* Sparse vectors, of which some may not be neighbours: item by item, since each has a list of these. */
static int nearest_supported(const Nearest *work, size_t count, int threads, const Cancel *cancel) {
  uint32_t *list = memory_alloc(work->items->ids.count, sizeof *list);
  int code = list ? SQLITE_OK : SQLITE_NOMEM;
  for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
    const uint32_t self = work->first + (uint32_t)i;
    const PostingsQuery query = {.index = &self, .count = 1, .of_items = 1};
    const Excluded excluded = {list, list_excluded(work->nearest, self, list)};
    code = postings_top_k(&work->items->postings, &query, 1, &excluded, work->k, work->best + i * work->k,
                          &work->found[i], threads, cancel);
  }
  memory_free(list);
  return code;
}

/* Sparse vectors: scores are cosines. */
static int nearest_sparse(const Nearest *work, size_t count, int threads, const Cancel *cancel) {
  uint32_t *self = memory_alloc(count, sizeof *self);
  PostingsQuery *query = memory_alloc(count, sizeof *query);
  Excluded *excluded = memory_alloc(count, sizeof *excluded);
  const Scorer scorer = items_scorer(work->items);
  const Queries queries = {count, query};
  int code = self && query && excluded ? SQLITE_OK : SQLITE_NOMEM;
  for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
    self[i] = work->first + (uint32_t)i;
    query[i] = (PostingsQuery){.index = &self[i], .count = 1, .of_items = 1};
    excluded[i] = (Excluded){&self[i], 1};
  }
  if (code == SQLITE_OK)
    code = scorer_top_k(&scorer, &queries, excluded, work->k, work->best, work->found, threads, cancel);
  memory_free(self);
  memory_free(query);
  memory_free(excluded);
  return code;
}

/* Links: the row of the item. Lists of neighbours are in the order that is wanted. */
static int nearest_linked(void *context, size_t block, int worker) {
  (void)worker;
  const Nearest *work = context;
  const Links *links = &work->items->links;
  uint32_t item = work->first + (uint32_t)block;
  TopK top;
  top_k_init(&top, work->best + block * work->k, work->k);
  if (links->dense) {
    for (uint32_t other = 0; other < links->items; other++)
      if (other != item && has_support(work->nearest, other))
        top_k_offer(&top, links_weight(links, item, other), other);
  } else {
    for (size_t e = links->start[item]; e < links->start[item + 1]; e++)
      if (has_support(work->nearest, links->index[e])) top_k_offer(&top, links->weight[e], links->index[e]);
  }
  work->found[block] = top_k_sort(&top);
  return SQLITE_OK;
}

/* The mean of how many users an item has. */
static double mean_support(const Popularity *popularity, const ModelItems *items) {
  double sum = 0;
  for (size_t item = 0; item < items->ids.count; item++) sum += (double)popularity->count[item];
  return items_known(items) > 0 ? sum / (double)items_known(items) : 0;
}

int nearest_items_begin(NearestItems *nearest, Model *model, const ModelItems *items, int64_t min_support,
                        const char *caller, Error *error) {
  const ModelShape *shape = &items->shape;
  int learned = !shape_sums(shape) && !shape->cosine && !shape->clusters;
  *nearest = (NearestItems){.items = items, .min_support = min_support};
  int code = model_require(model, items, ABILITY_SIMILAR_ITEMS, caller, error);
  if (code == SQLITE_OK && (learned || min_support > 0))
    code = model_popularity(model, items, &nearest->popularity, error);
  if (code == SQLITE_OK && learned) nearest->support = mean_support(nearest->popularity, items);
  return code;
}

void nearest_items_end(NearestItems *nearest) {
  popularity_release(nearest->popularity);
  *nearest = (NearestItems){0};
}

int nearest_items_block(const NearestItems *nearest, uint32_t first, size_t count, size_t k, Scored *best,
                        size_t *found, int threads, const Cancel *cancel) {
  const ModelItems *items = nearest->items;
  Nearest work = {nearest, items, first, k, best, found};
  int code;
  if (items->shape.sparse && nearest->min_support > 0)
    code = nearest_supported(&work, count, threads, cancel);
  else if (items->shape.sparse)
    code = nearest_sparse(&work, count, threads, cancel);
  else
    code = parallel_for(threads, count, items->shape.links ? nearest_linked : nearest_dense, &work, cancel);
  for (size_t i = 0; i < count && items->forgotten_count; i++)
    if (items_is_forgotten(items, first + i)) found[i] = 0;
  return code;
}
