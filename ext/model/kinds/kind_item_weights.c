/* Weights between items, as EASE learns them: a score is the sum of the weights from the items of a history. */
#include <string.h>

#include "../../base/memory.h"
#include "../neighbor_rows.h"
#include "../row_changes.h"
#include "item_sums.h"

static const char *item_weights_reason(const ModelShape *shape, Ability ability) {
  (void)shape;
  if (ability == ABILITY_NEIGHBORS)
    return "keeps no neighbours, as knn_train makes them: item_similar_all() gives the weights between its items";
  return NULL;
}

/* Users are their histories and have no rows: there is no fold_user that could make one. */
static int item_weights_fits(const ModelShape *shape) {
  return shape->links == LINK_ITEM_WEIGHTS && !shape->cosine && !shape->clusters && !shape_has_user_rows(shape);
}

static int copy_item_weights(const TrainedModel *trained, ModelItems *items) {
  size_t count = items->ids.count;
  items->weights = memory_alloc(count, count * sizeof *items->weights);
  if (items->weights) memcpy(items->weights, trained->weights, count * count * sizeof *items->weights);
  items_link(items);
  return items->weights ? SQLITE_OK : SQLITE_NOMEM;
}

const ModelKind kind_item_weights = {
    .name = "item weights",
    .abilities = ABLE(ABILITY_RECOMMEND) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_SIMILAR_ITEMS) |
                 ABLE(ABILITY_SIMILAR_USERS) | ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE) | ABLE(ABILITY_FORGET),
    .reason = item_weights_reason,
    .fits = item_weights_fits,
    .scorer = item_links_scorer,
    .queries = item_sums_queries,
    .by_history = 1,
    .contributions = link_contributions,
    .nearest_items = nearest_links,
    .largest_rating = MOST_COMPARED,
    .load_items = item_weights_load,
    .copy_items = copy_item_weights,
    .forget_item = live_forget_weights,
};
