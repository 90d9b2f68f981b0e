/* Folding in: what a model makes of a history that it was not trained on, and what each entry of a history contributes
 * to a score. The items stay as they are. Entries that were held out say nothing. How it is done is for the kind of
 * model to know: see ModelKind. */
#ifndef RECOMMEND_ANSWER_FOLD_IN_H
#define RECOMMEND_ANSWER_FOLD_IN_H

#include "../model/model.h"

/* The user that a history makes; `user` is to be freed in either case. `profile` is how a model of sums weighs it. The
 * model has begun. */
int fold_user(Model *model, ModelItems *items, Profile profile, History *history, ModelUser *user, const Cancel *cancel,
              Error *error);

/* The same as a stored row, store_row_floats, of a model whose users have one. Where `new_item` is not NULL it is the
 * stored row of one item more, whose index is items->ids.count. */
int fold_user_row(ModelItems *items, const float *new_item, const History *history, float *row, const Cancel *cancel,
                  Error *error);

/* The stored row of a new item that one user has rated; in a head of biases alone it has none until it is trained.
 * `user` is the user as the model has them, NULL: nobody yet. The model has begun. Reads all users where the missing
 * cells count. */
int fold_item_row(Model *model, const ModelItems *items, const ModelUser *user, float rating, float *row,
                  const Cancel *cancel, Error *error);

/* What each entry of a user's history adds to their score of an item: history->count numbers; 0 for what was held out.
 * What they do not add up to is not due to them: mean, biases, and what training made of the user besides. */
int fold_contributions(ModelItems *items, const ModelUser *user, const History *history, uint32_t item,
                       double *contribution, const Cancel *cancel, Error *error);

#endif
