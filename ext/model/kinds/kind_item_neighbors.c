/* Neighbours of items: each item's nearest items are stored, and users are their histories. */
#include "../in_memory.h"
#include "../neighbor_rows.h"
#include "../row_changes.h"
#include "bias_folding.h"
#include "item_sums.h"
#include "neighbor_votes.h"

static int item_neighbors_fits(const ModelShape *shape) {
  return shape->links == LINK_ITEM_NEIGHBORS && !shape->cosine && !shape->clusters;
}

static int copy_item_neighbors(const TrainedModel *trained, ModelItems *items) {
  int code = in_memory_neighbors(trained, 0, items->ids.count, &items->neighbors);
  items_link(items);
  return code;
}

const ModelKind kind_item_neighbors = {
    .name = "item neighbors",
    .abilities = ABLE(ABILITY_RECOMMEND) | ABLE(ABILITY_PREDICT) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_SIMILAR_ITEMS) |
                 ABLE(ABILITY_SIMILAR_USERS) | ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE) | ABLE(ABILITY_FORGET) |
                 ABLE(ABILITY_NEIGHBORS),
    .fits = item_neighbors_fits,
    .scorer = item_links_scorer,
    .queries = item_sums_queries,
    .by_history = 1,
    .fold_user = fold_user_biases,
    .contributions = link_contributions,
    .predict_begin = neighbor_votes_begin,
    .predict_user = neighbor_votes_user,
    .predict = neighbor_votes_rate,
    .predict_end = neighbor_votes_end,
    .nearest_items = nearest_links,
    .largest_rating = MOST_COMPARED,
    .load_items = item_neighbors_load,
    .copy_items = copy_item_neighbors,
    .forget_item = live_forget_lists,
};
