/* Content as words: an item is a sparse vector over terms, a user the sum of the items of a history, and a score the
 * cosine of the two. */
#include "item_sums.h"

static int words_fits(const ModelShape *shape) { return shape->cosine && shape->sparse && !shape->clusters; }

static Scorer words_scorer(const ModelItems *items) { return postings_scorer(&items->postings); }

const ModelKind kind_words = {
    .name = "words",
    .abilities = ABLE(ABILITY_RECOMMEND) | ABLE(ABILITY_PREDICT) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_SIMILAR_ITEMS) |
                 ABLE(ABILITY_SIMILAR_USERS) | ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE) | ABLE(ABILITY_FORGET) |
                 ABLE(ABILITY_TEXT),
    .without_users = "has no users: name the table of their ratings when it is trained, with the option \"ratings\"",
    .fits = words_fits,
    .scorer = words_scorer,
    .queries = item_sums_queries,
    .by_history = 1,
};
