/* The module `recommender`: a model is a table, the completed rating matrix. See model_table.c. */
#ifndef RECOMMEND_API_MODEL_TABLE_H
#define RECOMMEND_API_MODEL_TABLE_H

#include "../model/connection.h"

int model_table_register(Connection *connection);

#endif
