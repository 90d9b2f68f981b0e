/* The module `recommender`: a model is a table, the completed rating matrix. See model_table.c. */
#ifndef RECOMMEND_API_MODEL_TABLE_H
#define RECOMMEND_API_MODEL_TABLE_H

#include "connection.h"

int model_table_register(Connection *connection);

/* Stores a trained model under a name by one nested statement that SQLite rolls back as a whole where it fails:
 * INSERT … SELECT 'store' where a model of that name exists (`replaces`), else CREATE VIRTUAL TABLE. */
int model_table_store(Connection *connection, ModelName name, const TrainedModel *trained, int replaces, Error *error);

/* Is this the name of a column of every model? Then no model can have it. */
int model_table_has_column(const char *name);

#endif
