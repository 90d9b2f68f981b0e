/* Neighbours of users: each user's nearest users are stored, and a score is the sum over what these users did. */
#include "../../base/memory.h"
#include "../all_histories.h"
#include "../neighbor_rows.h"
#include "bias_folding.h"
#include "item_sums.h"
#include "neighbor_votes.h"
#include "neighborhood.h"

static const char *user_neighbors_reason(const ModelShape *shape, Ability ability) {
  (void)shape;
  switch (ability) {
    case ABILITY_SIMILAR_ITEMS:
      return "keeps neighbours of users, not of items: ask user_similar(), or train a model by knn_train with the "
             "option \"by\": \"item\"";
    case ABILITY_EXPLAIN:
      return "can't explain its scores, which are sums over what a user's neighbours did, not over the user's own "
             "history: user_similar() names these neighbours; scores of knn_train with \"by\": \"item\" can be "
             "explained";
    default: return NULL;
  }
}

static int user_neighbors_fits(const ModelShape *shape) {
  return shape->links == LINK_USER_NEIGHBORS && !shape->cosine && !shape->clusters;
}

/* Σ_v s_uv over the neighbours v who have the item, and do not dislike it. Items ascending; `scratch` has a float for
 * each, all 0 and left so.
 */
static int neighbor_sum(const Observed *observed, const NeighborLists *lists, size_t row, int feedback, float *scratch,
                        ItemSum *sum) {
  size_t first = lists->start[row], end = lists->start[row + 1], items = observed->by_user.columns, count = 0;
  for (size_t e = first; e < end; e++) {
    size_t user = lists->neighbor[e];
    for (size_t i = observed->by_user.start[user]; i < observed->by_user.start[user + 1]; i++)
      if (!feedback || sparse_value(&observed->by_user, i) > 0)
        scratch[observed->by_user.index[i]] += lists->similarity[e];
  }
  for (size_t item = 0; item < items; item++) count += scratch[item] != 0;
  *sum = (ItemSum){.item = memory_alloc(count, sizeof *sum->item), .weight = memory_alloc(count, sizeof *sum->weight)};
  int complete = sum->item && sum->weight;
  for (size_t item = 0; item < items; item++) {
    if (scratch[item] == 0) continue;
    if (complete) {
      sum->item[sum->count] = (uint32_t)item;
      sum->weight[sum->count++] = scratch[item];
    }
    scratch[item] = 0;
  }
  return complete ? SQLITE_OK : SQLITE_NOMEM;
}

/* The neighbours that are stored; or those of somebody new, found as training would find them. */
static int find_neighbors(Model *model, const ModelItems *items, const ModelUsers *users, NeighborLists *lists,
                          const Cancel *cancel, Error *error) {
  if ((int64_t)users->first < model_user_count(model))
    return model_neighbors(model, users->first, users->count, lists, error);
  return neighborhood_find(model, items, (uint32_t)users->first, users->history, lists, cancel, error);
}

/* A user is the sum of what the neighbours did. */
static int user_neighbors_queries(Model *model, const ModelItems *items, ModelUsers *users, const Cancel *cancel,
                                  Error *error) {
  NeighborLists lists = {0};
  Observed *observed = NULL;
  ItemSum *sums = memory_alloc_zero(users->count, sizeof *sums);
  float *scratch = memory_alloc_zero(items->ids.count, sizeof *scratch);
  int feedback = shape_is_feedback(&items->shape);
  int code = find_neighbors(model, items, users, &lists, cancel, error);
  if (code == SQLITE_OK)
    code = sums && scratch ? model_observed(model, items, &observed, error) : error_no_memory(error);
  for (size_t user = 0; user < users->count && code == SQLITE_OK; user++)
    code = error_from_code(error, neighbor_sum(observed, &lists, user, feedback, scratch, &sums[user]));
  if (code == SQLITE_OK) code = error_from_code(error, item_sums_pack(sums, users));
  for (size_t user = 0; sums && user < users->count; user++) item_sum_free(&sums[user]);
  memory_free(sums);
  memory_free(scratch);
  observed_release(observed);
  neighbor_lists_free(&lists);
  return code;
}

/* Items have nothing of their own: what the neighbours did is their score. */
static int load_nothing(Reader *reader, ModelItems *items, Error *error) {
  (void)reader, (void)error;
  items_link(items);
  return SQLITE_OK;
}

static int copy_nothing(const TrainedModel *trained, ModelItems *items) {
  (void)trained;
  items_link(items);
  return SQLITE_OK;
}

const ModelKind kind_user_neighbors = {
    .name = "user neighbors",
    .abilities = ABLE(ABILITY_RECOMMEND) | ABLE(ABILITY_PREDICT) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_SIMILAR_USERS) |
                 ABLE(ABILITY_LIVE) | ABLE(ABILITY_FORGET) | ABLE(ABILITY_NEIGHBORS),
    .reason = user_neighbors_reason,
    .fits = user_neighbors_fits,
    .scorer = item_links_scorer,
    .queries = user_neighbors_queries,
    .by_history = 1,
    .fold_user = fold_user_biases,
    .predict_begin = neighbor_votes_begin,
    .predict_user = neighbor_votes_user,
    .predict = neighbor_votes_rate,
    .predict_end = neighbor_votes_end,
    .neighbors_of_users = 1,
    .largest_rating = MOST_COMPARED,
    .load_items = load_nothing,
    .copy_items = copy_nothing,
};
