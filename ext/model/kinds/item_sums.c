/* Sums over items: see item_sums.h. */
#include "item_sums.h"

#include <string.h>

#include "../../base/memory.h"
#include "../../base/parallel.h"

Scorer item_links_scorer(const ModelItems *items) { return links_scorer(&items->links); }

/* Both are in order of item. */
static void drop_dislikes(const History *history, ItemSum *sum) {
  size_t kept = 0;
  for (size_t i = 0, place = 0; i < sum->count; i++) {
    while (history->item[place] != sum->item[i]) place++;
    if (!(history->rating[place] > 0)) continue;
    sum->item[kept] = sum->item[i];
    sum->weight[kept++] = sum->weight[i];
  }
  sum->count = kept;
}

int item_sum_make(const ModelItems *items, Profile profile, const History *history, ItemSum *sum) {
  *sum = (ItemSum){0};
  sum->item = memory_alloc(history->count, sizeof *sum->item);
  sum->weight = memory_alloc(history->count, sizeof *sum->weight);
  if (!sum->item || !sum->weight) return SQLITE_NOMEM;
  sum->count = profile_sum(profile, items->shape.links ? NULL : items->norm, history->count, history->item,
                           history->rating, history->held_out, sum->item, sum->weight);
  if (history->rating && shape_is_feedback(&items->shape)) drop_dislikes(history, sum);
  return SQLITE_OK;
}

void item_sum_free(ItemSum *sum) {
  memory_free(sum->item);
  memory_free(sum->weight);
  *sum = (ItemSum){0};
}

/* One piece of memory: the queries, then all items, then all weights. */
int item_sums_pack(ItemSum *sums, ModelUsers *users) {
  size_t entries = 0, to = 0;
  for (size_t user = 0; user < users->count; user++) entries += sums[user].count;
  char *own =
      memory_alloc_aligned(1, users->count * sizeof(PostingsQuery) + entries * (sizeof(uint32_t) + sizeof(float)));
  PostingsQuery *query = (PostingsQuery *)(void *)own;
  uint32_t *item = own ? (uint32_t *)(void *)(query + users->count) : NULL;
  float *weight = own ? (float *)(void *)(item + entries) : NULL;
  for (size_t user = 0; user < users->count; user++) {
    ItemSum *sum = &sums[user];
    if (own) {
      query[user] = (PostingsQuery){.index = item + to, .weight = weight + to, .count = sum->count, .of_items = 1};
      if (sum->count) memcpy(item + to, sum->item, sum->count * sizeof *item);
      if (sum->count) memcpy(weight + to, sum->weight, sum->count * sizeof *weight);
      users->blank[user] = sum->count == 0;
    }
    to += sum->count;
    item_sum_free(sum);
  }
  users->own = own;
  users->queries = (Queries){users->count, own};
  return own ? SQLITE_OK : SQLITE_NOMEM;
}

int item_sums_queries(Model *model, const ModelItems *items, ModelUsers *users, const Cancel *cancel, Error *error) {
  (void)model, (void)cancel;
  ItemSum *sums = memory_alloc_zero(users->count, sizeof *sums);
  int code = sums ? SQLITE_OK : SQLITE_NOMEM;
  for (size_t user = 0; user < users->count && code == SQLITE_OK; user++)
    code = item_sum_make(items, users->profile, &users->history[user], &sums[user]);
  if (code == SQLITE_OK) code = item_sums_pack(sums, users);
  for (size_t user = 0; sums && user < users->count; user++) item_sum_free(&sums[user]);
  memory_free(sums);
  return code == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
}

/* Σ_j x_j W[j][item], entry by entry. */
int link_contributions(ModelItems *items, const ModelUser *user, const History *history, uint32_t item,
                       double *contribution, const Cancel *cancel) {
  (void)user, (void)cancel;
  ItemSum sum;
  int code = item_sum_make(items, (Profile)items->shape.profile, history, &sum);
  for (size_t i = 0, j = 0; code == SQLITE_OK && i < sum.count; i++) {
    while (history->item[j] != sum.item[i]) j++;
    contribution[j] = (double)sum.weight[i] * (double)links_weight(&items->links, sum.item[i], item);
  }
  item_sum_free(&sum);
  return code;
}

/* ---- nearest items ----------------------------------------------------------------------------------------------- */

typedef struct NearestLinks {
  const ModelItems *items;
  const float *weight;
  uint32_t first;
  size_t k;
  Scored *best;
  size_t *found;
} NearestLinks;

/* The row of an item: the largest weights to others, or the neighbours that are stored. */
static int nearest_by_row(void *context, size_t block, int worker) {
  (void)worker;
  const NearestLinks *work = context;
  const Links *links = &work->items->links;
  uint32_t item = work->first + (uint32_t)block;
  TopK top;
  top_k_init(&top, work->best + block * work->k, work->k);
  for (uint32_t other = 0; links->dense && other < links->items; other++)
    if (other != item && items_neighbor_weight(work->items, work->weight, other) >= 0)
      top_k_offer(&top, links_weight(links, item, other), other);
  size_t first = links->dense ? 0 : links->start[item], end = links->dense ? 0 : links->start[item + 1];
  for (size_t e = first; e < end; e++)
    if (items_neighbor_weight(work->items, work->weight, links->index[e]) >= 0)
      top_k_offer(&top, links->weight[e], links->index[e]);
  work->found[block] = top_k_sort(&top);
  return SQLITE_OK;
}

int nearest_links(const ModelItems *items, const float *weight, uint32_t first, size_t count, size_t k, Scored *best,
                  size_t *found, int threads, const Cancel *cancel) {
  NearestLinks work = {items, weight, first, k, best, found};
  return parallel_for(threads, count, nearest_by_row, &work, cancel);
}
