/* Finding users' rows of factors: what user_rows.c shares with row_changes.c. */
#ifndef RECOMMEND_MODEL_USER_ROWS_H
#define RECOMMEND_MODEL_USER_ROWS_H

#include "model.h"

/* How many users chunk `chunk` of m_userfactor holds. */
size_t users_chunk_length(const Model *model, int64_t chunk);

/* The statement (chunk, n, data) of chunks `first` … `last`, and a step to the row of the next, which must be `chunk`.
 * The caller resets the statement. */
int users_bind_chunks(Model *model, int64_t first, int64_t last, sqlite3_stmt **statement, Error *error);
int users_step_to_chunk(Model *model, const ModelItems *items, sqlite3_stmt *statement, int64_t chunk,
                        const char **data, Error *error);

#endif
