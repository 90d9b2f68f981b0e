/* Where factors begin: at the vectors of a content model, brought to the rank by a truncated SVD, instead of at random
 * (metadata-initialised factorization: the options "item_init" and "user_init" of mf_train). */
#ifndef RECOMMEND_TRAIN_START_VALUES_H
#define RECOMMEND_TRAIN_START_VALUES_H

#include "training.h"

/* The vectors of the items (of_users 0) or users of training->data in `model`: rows × factors_stride(rank) floats,
 * aligned, to be freed by memory_free_aligned; as long as `scale` on the average. The rows of ids that the model does
 * not know, or knows nothing of, are zero. SQLITE_ERROR with a message where the model is no content model, has no
 * users, or none of the ids. */
int init_vectors(Training *training, const char *model, int of_users, int rank, double scale, float **vectors,
                 Error *error);

#endif
