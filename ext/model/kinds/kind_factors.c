/* Factorizations: a user and an item have a vector each in one or two heads, and a score is the product of the two. */
#include "vector_queries.h"

/* Algorithms that give no way to solve for one user alone, as bpr and logistic. */
static unsigned lacks(const ModelShape *shape) {
  for (int head = 0; head < HEADS; head++)
    if (shape->rank[head] && shape->fold[head].method == FOLD_NONE)
      return ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE);
  return 0;
}

static const char *factors_reason(const ModelShape *shape, Ability ability) {
  (void)shape;
  switch (ability) {
    case ABILITY_FOLD_IN:
    case ABILITY_LIVE:
      return "can't take in ratings that it was not trained on: its algorithm has no way to fold them in; train it "
             "again";
    case ABILITY_EXPLAIN: return "can't explain its scores, which are not sums over a user's history";
    default: return NULL;
  }
}

static int factors_fits(const ModelShape *shape) {
  return shape->rank[shape->score_head] > 0 && !shape->clusters && !shape->links && !shape->cosine && !shape->sparse;
}

const ModelKind kind_factors = {
    .name = "factors",
    .abilities = ABLE(ABILITY_RECOMMEND) | ABLE(ABILITY_PREDICT) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_SIMILAR_ITEMS) |
                 ABLE(ABILITY_SIMILAR_USERS) | ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE) | ABLE(ABILITY_FORGET),
    .lacks = lacks,
    .reason = factors_reason,
    .fits = factors_fits,
    .scorer = vectors_scorer,
    .queries = vector_queries,
};
