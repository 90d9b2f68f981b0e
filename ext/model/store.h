/* Writing a trained model into its shadow tables. What the tables hold is written down at the top of store.c. */
#ifndef RECOMMEND_MODEL_STORE_H
#define RECOMMEND_MODEL_STORE_H

#include "shadow.h"
#include "trained.h"

#define STORE_CHUNK 64             /* vectors in a row of m_userfactor and m_itemfactor */
#define STORE_MOST_USERS INT32_MAX /* a rowid of the model table is user index << 32 | item index */
#define STORE_MOST_ITEMS INT32_MAX
#define STORE_TERMS 1024    /* vectors of terms in a row of m_weight */
#define STORE_MEMBERS 16384 /* members of clusters in a row of m_weight */

/* How many users to read at a time, whole chunks and at most `most`, where each comes with a list of so many entries:
 * long lists make small blocks. */
static inline size_t store_block(size_t list, size_t most) {
  enum { MOST_ENTRIES = 1 << 20 };
  size_t fit = MOST_ENTRIES / (list ? list : 1) / STORE_CHUNK * STORE_CHUNK;
  return fit < STORE_CHUNK ? STORE_CHUNK : fit > most ? most : fit;
}

/* Replaces whatever the shadow tables hold. Must run inside a statement that SQLite rolls back as a whole where it
 * fails (INSERT … SELECT into the model, or CREATE VIRTUAL TABLE): on error the tables are half written. */
int store_write(sqlite3 *db, ModelName name, const TrainedModel *model, Error *error);

/* Floats in one stored vector, user's or item's: the fitted heads' factors side by side, then each head's bias. */
size_t store_row_floats(const ModelShape *shape);

/* Where a head's factors, and its bias, stand in it. */
size_t store_factors_place(const ModelShape *shape, int head);
size_t store_bias_place(const ModelShape *shape, int head);

#endif
