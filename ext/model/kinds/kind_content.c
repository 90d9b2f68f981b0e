/* Content as dense vectors (latent topics, averages of word vectors, or given as they are): a user is the sum of the
 * items of a history, and a score the cosine of the two. */
#include "vector_queries.h"

static int content_fits(const ModelShape *shape) {
  return shape->cosine && !shape->sparse && shape->rank[HEAD_RANKING] > 0 && !shape->clusters;
}

const ModelKind kind_content = {
    .name = "content",
    .abilities = ABLE(ABILITY_RECOMMEND) | ABLE(ABILITY_PREDICT) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_SIMILAR_ITEMS) |
                 ABLE(ABILITY_SIMILAR_USERS) | ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE) | ABLE(ABILITY_FORGET) |
                 ABLE(ABILITY_TEXT),
    .without_users = "has no users: name the table of their ratings when it is trained, with the option \"ratings\"",
    .fits = content_fits,
    .scorer = vectors_scorer,
    .queries = vector_queries,
};
