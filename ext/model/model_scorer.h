/* The scores of a model's items for its users, whichever kind of vectors it has. */
#ifndef RECOMMEND_MODEL_MODEL_SCORER_H
#define RECOMMEND_MODEL_MODEL_SCORER_H

#include "../score/scorer.h"
#include "model.h"

/* The items behind `score`. */
Scorer items_scorer(const ModelItems *items);

/* One cell of a head that the model has, less the user's offset. */
float items_score(const ModelItems *items, int head, uint32_t item, const ModelUser *user);

/* Some items, ascending, behind `score`: scores[i] is that of item[i]. SQLITE_OK or SQLITE_NOMEM. */
int items_scores_of(const ModelItems *items, const ModelUser *user, const uint32_t *item, size_t count, float *scores);

/* All items behind `score`, less the offset: `scores` has scorer_room. SQLITE_OK or SQLITE_NOMEM. */
int items_scores(const ModelItems *items, const ModelUser *user, float *scores);

/* The k best for one user: see score_panel_top_k. */
int items_top_k(const ModelItems *items, const ModelUser *user, const Excluded *excluded, size_t k, Scored *best,
                size_t *found, int threads, const Cancel *cancel);

/* Queries with a block of users, for items_scorer. `sparse` has room for users->count and must outlive them; a model of
 * dense vectors leaves it alone. */
Queries users_queries(const ModelItems *items, const ModelUsers *users, PostingsQuery *sparse);

#endif
