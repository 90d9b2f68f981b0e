/* Clusters of users, of items, or of the rows of a table. A member's score of an item is the centroid's. */
#include "../cluster_rows.h"
#include "vector_queries.h"

/* Rows of a table are kept as users, and there are no items. */
static unsigned lacks(const ModelShape *shape) {
  return shape->cluster_side == CLUSTER_ROWS ? ~ABLE(ABILITY_CLUSTERS) : 0;
}

static const char *clusters_reason(const ModelShape *shape, Ability ability) {
  switch (ability) {
    case ABILITY_FORGET:
      return "consists of clusters, and a centroid is the mean of all its members: it can't forget one";
    case ABILITY_FOLD_IN:
    case ABILITY_LIVE:
      return "consists of clusters, which can't take in ratings that they were not trained on: train it again";
    case ABILITY_EXPLAIN: return "can't explain its scores, which are not sums over a user's history";
    default:
      return shape->cluster_side == CLUSTER_ROWS
                 ? "has put the rows of a table into clusters and knows no items: recommend_clusters() shows them"
                 : NULL;
  }
}

static int clusters_fits(const ModelShape *shape) {
  return shape->clusters > 0 && shape->rank[shape->score_head] == shape->clusters && !shape->links && !shape->cosine &&
         !shape->sparse;
}

/* Who is in which cluster, and the centroids. */
static int clusters_check(Model *model, const ModelItems *items, Error *error) {
  ModelClusters clusters;
  int code = model_clusters(model, items, &clusters, error);
  clusters_free(&clusters);
  return code == SQLITE_OK ? model_check_centroids(model, items, error) : code;
}

const ModelKind kind_clusters = {
    .name = "clusters",
    .abilities = ABLE(ABILITY_RECOMMEND) | ABLE(ABILITY_PREDICT) | ABLE(ABILITY_SIMILAR_ITEMS) |
                 ABLE(ABILITY_SIMILAR_USERS) | ABLE(ABILITY_CLUSTERS),
    .lacks = lacks,
    .reason = clusters_reason,
    .fits = clusters_fits,
    .scorer = vectors_scorer,
    .queries = vector_queries,
    .predict = predict_vectors,
    .nearest_items = nearest_vectors,
    .check = clusters_check,
};
