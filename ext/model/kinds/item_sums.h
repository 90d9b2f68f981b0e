/* Users who are sums over the items of their histories, as queries: what models of words, of neighbours and of weights
 * between items share. */
#ifndef RECOMMEND_MODEL_KINDS_ITEM_SUMS_H
#define RECOMMEND_MODEL_KINDS_ITEM_SUMS_H

#include "../model.h"

/* The squares of any number of such ratings can be added up in a float. */
#define MOST_COMPARED 1e13

/* A sum over items. */
typedef struct ItemSum {
  size_t count;
  uint32_t *item; /* owned, ascending; none whose vector is empty */
  float *weight;  /* owned, none 0 */
} ItemSum;

/* What a history adds up to. SQLITE_OK or SQLITE_NOMEM; to be freed in either case. */
int item_sum_make(const ModelItems *items, Profile profile, const History *history, ItemSum *sum);
void item_sum_free(ItemSum *sum);

/* Makes the sums of users their queries, PostingsQuery, and frees them. SQLITE_OK or SQLITE_NOMEM. */
int item_sums_pack(ItemSum *sums, ModelUsers *users);

/* ModelKind.queries of models whose users are the sums of their own histories. */
int item_sums_queries(Model *model, const ModelItems *items, ModelUsers *users, const Cancel *cancel, Error *error);

/* ModelKind.scorer of models that link items to each other: by neighbours of items or of users, or by weights. */
Scorer item_links_scorer(const ModelItems *items);

/* ModelKind.contributions of item neighbours and item weights. */
int link_contributions(ModelItems *items, const ModelUser *user, const History *history, uint32_t item,
                       double *contribution, const Cancel *cancel);

/* ModelKind.nearest_items of item neighbours and item weights. */
int nearest_links(const ModelItems *items, const float *weight, uint32_t first, size_t count, size_t k, Scored *best,
                  size_t *found, int threads, const Cancel *cancel);

#endif
