/* The blobs in the shadow tables: their bytes are written and read here, and nobody else knows them. The layouts stand
 * in blobs.c.
 *
 * Sizes are in bytes, with the checksum. What writes a blob has room for it from its caller, and seals it; only numbers
 * are put in one after the other, and sealed by the caller. What reads takes the row that one of the reader's
 * statements has stepped to, checks length, checksum, and that numbers are finite, and returns SQLITE_OK, SQLITE_NOMEM
 * or SQLITE_CORRUPT_VTAB; whether indexes are those of something that there is, the caller asks. */
#ifndef RECOMMEND_MODEL_BLOBS_H
#define RECOMMEND_MODEL_BLOBS_H

#include "model.h"

/* ---- checksums --------------------------------------------------------------------------------------------------- */

void blob_seal(char *blob, size_t size); /* writes the checksum behind what is before it */
uint64_t blob_checksum(const char *blob, size_t size);
int blob_is_sealed(const char *blob, size_t size); /* does it match? */

/* ---- numbers: factors, weights between items, vectors of terms, centroids ---------------------------------------- */

size_t blob_floats_size(size_t floats);
/* … of `rows` rows of so many floats, in blobs of `chunk` rows, together. */
size_t blob_chunks_size(size_t rows, size_t floats, size_t chunk);

/* Puts floats in, behind `place` others; the blob is still to be sealed. */
void blob_put_floats(char *blob, size_t place, const float *floats, size_t count);

/* Copies floats from one blob into another as they are, between the same or other places. */
void blob_move_floats(char *to, size_t to_place, const char *from, size_t from_place, size_t count);

/* Takes floats out of a blob that reader_blob has checked; `what` says in a message what they are. */
int blob_get_floats(Reader *reader, sqlite3_stmt *row, int column, const void *blob, size_t place, size_t count,
                    const char *what, float *floats, Error *error);

/* ---- histories --------------------------------------------------------------------------------------------------- */

size_t blob_history_size(size_t entries, int with_ratings, int timed);
void blob_write_history(const History *history, char *blob);

/* To be freed in either case. */
int blob_read_history(Reader *reader, sqlite3_stmt *row, int column, size_t entries, int timed, History *history,
                      Error *error);

/* ---- sparse vectors ---------------------------------------------------------------------------------------------- */

/* Vectors first … first + count - 1 of a matrix, and how long each was; that of `without` is left empty (SIZE_MAX:
 * none is). */
size_t blob_vectors_size(const SparseMatrix *vectors, size_t first, size_t count, size_t without);
void blob_write_vectors(const SparseMatrix *vectors, const float *length, size_t first, size_t count, size_t without,
                        char *blob);

/* Appends them to a matrix that has those before `first`: see sparse_reserve. */
int blob_read_vectors(Reader *reader, sqlite3_stmt *row, int column, size_t first, size_t count, SparseMatrix *vectors,
                      size_t *capacity, float *length, Error *error);

/* ---- neighbours -------------------------------------------------------------------------------------------------- */

/* `count` of the neighbours in the lists, from `first` on. */
size_t blob_neighbors_size(size_t count);
void blob_write_neighbors(const NeighborLists *lists, size_t first, size_t count, char *blob);

/* Puts them into the lists behind `first` others; `capacity` says what there is room for now. */
int blob_read_neighbors(Reader *reader, sqlite3_stmt *row, int column, size_t count, NeighborLists *lists, size_t first,
                        size_t *capacity, Error *error);

/* ---- members of clusters ----------------------------------------------------------------------------------------- */

size_t blob_members_size(size_t count);
void blob_write_members(const uint32_t *cluster, const float *distance, size_t count, char *blob);

/* Out of a blob that reader_weight has checked. */
int blob_get_members(Reader *reader, sqlite3_stmt *row, const void *blob, size_t count, uint32_t *cluster,
                     float *distance, Error *error);

#endif
