/* A model that has been trained and is not stored: read like any other, so that it can be evaluated before it is
 * decided whether to store it. */
#ifndef RECOMMEND_MODEL_IN_MEMORY_H
#define RECOMMEND_MODEL_IN_MEMORY_H

#include "model.h"
#include "trained.h"

/* `trained`, which must have its history and outlive the model, is not changed. Models of content can't be read so. The
 * items are made at once. SQLITE_OK or SQLITE_NOMEM; to be freed by model_destroy. */
int model_of_trained(Model **model, const TrainedModel *trained, Error *error);

/* For the files of model/: what is read from the tables else. */
int in_memory_history(const TrainedModel *trained, uint32_t user, History *history); /* SQLITE_OK or SQLITE_NOMEM */
int in_memory_neighbors(const TrainedModel *trained, size_t first, size_t count, NeighborLists *lists); /* likewise */

#endif
