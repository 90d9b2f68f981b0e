/* Writing a trained model into its shadow tables. The bytes are written down at the top of store.c. */
#ifndef RECOMMEND_MODEL_STORE_H
#define RECOMMEND_MODEL_STORE_H

#include "shadow.h"
#include "trained.h"

#define STORE_FORMAT 1   /* the version of the bytes, kept in m_config */
#define STORE_CHUNK 64   /* vectors in a row of m_userfactor and m_itemfactor */
#define STORE_CHECKSUM 8 /* bytes of checksum behind every blob */

/* Replaces whatever the shadow tables hold. Must run inside a statement that SQLite rolls back as a whole where it
 * fails (INSERT … SELECT into the model, or CREATE VIRTUAL TABLE): on error the tables are half written. */
int store_write(sqlite3 *db, ModelName name, const TrainedModel *model, Error *error);

/* Floats in one stored vector, user's or item's: the fitted heads' factors side by side, then the rating bias. */
size_t store_row_floats(const ModelShape *shape);

#endif
