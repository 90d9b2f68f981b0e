/* Weights between items, as EASE learns them: a score is the sum of the weights from the items of a history. */
#include "item_sums.h"

static const char *item_weights_reason(const ModelShape *shape, Ability ability) {
  (void)shape;
  if (ability == ABILITY_NEIGHBORS)
    return "keeps no neighbours, as knn_train makes them: item_similar_all() gives the weights between its items";
  return NULL;
}

static int item_weights_fits(const ModelShape *shape) {
  return shape->links == LINK_ITEM_WEIGHTS && !shape->cosine && !shape->clusters;
}

static Scorer item_weights_scorer(const ModelItems *items) { return links_scorer(&items->links); }

const ModelKind kind_item_weights = {
    .name = "item weights",
    .abilities = ABLE(ABILITY_RECOMMEND) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_SIMILAR_ITEMS) |
                 ABLE(ABILITY_SIMILAR_USERS) | ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE) | ABLE(ABILITY_FORGET),
    .reason = item_weights_reason,
    .fits = item_weights_fits,
    .scorer = item_weights_scorer,
    .queries = item_sums_queries,
    .by_history = 1,
    .contributions = link_contributions,
    .nearest_items = nearest_links,
    .largest_rating = MOST_COMPARED,
};
