/* The expected ratings of a user, whatever the kind of model: a product of vectors, or a mean over neighbours.
 *
 *     code = predictor_begin(&predictor, model, items, cancel, error);   the model has begun
 *     code = predictor_user(&predictor, model, user, error);             for each user
 *     code = predictor_rate(&predictor, item, &prediction, error);       for each item
 *     predictor_end(&predictor);
 */
#ifndef RECOMMEND_ANSWER_PREDICTOR_H
#define RECOMMEND_ANSWER_PREDICTOR_H

#include "../model/prediction.h"

/* The model has a prediction_head. May read and sort all that users did. SQLITE_OK, SQLITE_NOMEM, what cancel says, or
 * damage. To be ended in either case. */
int predictor_begin(Predictor *predictor, Model *model, const ModelItems *items, const Cancel *cancel, Error *error);
int predictor_user(Predictor *predictor, Model *model, const PredictorUser *user, Error *error);

/* A user of the model, in the predictor's form. */
PredictorUser predictor_user_of(const ModelItems *items, const ModelUser *user, const History *history);

/* The prediction as users see it. */
int predictor_rate(Predictor *predictor, uint32_t item, double *prediction, Error *error);

/* The estimate where the user or the item is unknown: the mean and the bias that is known, or, of a model without
 * biases and where the one whose mean was taken away is unknown, the mean of all ratings. `user_offset` is that of the
 * prediction head, NaN: the user is unknown; `item` may be DICTIONARY_NONE. */
double predictor_estimate(const ModelItems *items, double user_offset, uint32_t item);

void predictor_end(Predictor *predictor); /* cleared is fine; leaves it cleared */

#endif
