/* Neighbours of users: each user's nearest users are stored, and a score is what these did. */
#include "../kind.h"

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

const ModelKind kind_user_neighbors = {
    .name = "user neighbors",
    .abilities = ABLE(ABILITY_RECOMMEND) | ABLE(ABILITY_PREDICT) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_SIMILAR_USERS) |
                 ABLE(ABILITY_LIVE) | ABLE(ABILITY_FORGET) | ABLE(ABILITY_NEIGHBORS),
    .reason = user_neighbors_reason,
    .fits = user_neighbors_fits,
};
