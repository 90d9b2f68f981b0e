/* The nearest users of a history that the model was not trained on. All histories are compared with it, as in
 * training, since any user may turn out to be one of the nearest. */
#ifndef RECOMMEND_MODEL_KINDS_NEIGHBORHOOD_H
#define RECOMMEND_MODEL_KINDS_NEIGHBORHOOD_H

#include "../../learn/neighbors.h"
#include "../model.h"

/* The neighbours of `history`, as training would find them if it were the history of `user`, who is left out;
 * model_user_count: of somebody new. Its items may be one more than the model's. The model is one of users' neighbours
 * and has begun. One list, to be freed in either case. */
int neighborhood_find(Model *model, const ModelItems *items, uint32_t user, const History *history,
                      NeighborLists *lists, const Cancel *cancel, Error *error);

/* The options of the search that found the neighbours of a model. */
NeighborOptions neighbor_search_options(const ModelShape *shape, int threads);

/* The neighbours of many users, as training would find them if nobody had the item. The model has begun, and what it
 * observed is kept until the end. SQLITE_OK, or an error; to be ended in either case. */
typedef struct Neighborhood Neighborhood;
int neighborhood_without(Model *model, const ModelItems *items, uint32_t item, Neighborhood **made,
                         const Cancel *cancel, Error *error);
int neighborhood_of(Neighborhood *neighborhood, uint32_t user, NeighborLists *lists, Error *error); /* one list */
void neighborhood_end(Neighborhood *neighborhood);                                                  /* NULL is fine */

#endif
