/* Baselines: scores and predictions are sums of a mean, a user's bias and an item's. */
#include "bias_folding.h"
#include "vector_queries.h"

static const char *baseline_reason(const ModelShape *shape, Ability ability) {
  (void)shape;
  switch (ability) {
    case ABILITY_SIMILAR_ITEMS:
      return "is a baseline, which can't compare items: use one of mf_train, knn_train, ease_train, slim_train or "
             "tfidf_train";
    case ABILITY_SIMILAR_USERS:
      return "is a baseline, which can't compare users: use one of mf_train, knn_train, ease_train or slim_train";
    default: return NULL;
  }
}

static int baseline_fits(const ModelShape *shape) {
  return !shape->rank[HEAD_RATING] && !shape->rank[HEAD_RANKING] && shape->biases[shape->score_head] &&
         !shape->clusters && !shape->links && !shape->cosine && !shape->sparse;
}

const ModelKind kind_baseline = {
    .name = "baseline",
    .abilities = ABLE(ABILITY_RECOMMEND) | ABLE(ABILITY_PREDICT) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_EXPLAIN) |
                 ABLE(ABILITY_LIVE) | ABLE(ABILITY_FORGET),
    .reason = baseline_reason,
    .fits = baseline_fits,
    .scorer = vectors_scorer,
    .queries = vector_queries,
    .fold_user = fold_user_biases,
    .predict = predict_vectors,
};
