/* Storing a trained model under a name: the one nested statement that writes. */
#ifndef RECOMMEND_API_MODEL_STORE_H
#define RECOMMEND_API_MODEL_STORE_H

#include "connection.h"

/* The type under which a TrainedModel is bound to the model table's column payload. */
#define PAYLOAD_TYPE "recommend_trained_model"

/* SQLite rolls the statement back as a whole where it fails: INSERT … SELECT 'store' where a model of that name exists
 * (`replaces`), else CREATE VIRTUAL TABLE. (INSERT … VALUES would have no statement journal.) */
int model_store(Connection *connection, ModelName name, const TrainedModel *trained, int replaces, Error *error);

/* Is this the name of a column of every model? Then no model can have it. */
int model_name_is_column(const char *name);

#endif
