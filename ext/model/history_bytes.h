/* A history as bytes, as m_user keeps it: encoding and decoding. */
#ifndef RECOMMEND_MODEL_HISTORY_BYTES_H
#define RECOMMEND_MODEL_HISTORY_BYTES_H

#include "model.h"

/* How many bytes n entries take, less the checksum. */
size_t history_bytes(size_t n, int with_ratings, int timed);

/* Writes a history; returns the bytes written. */
size_t history_encode(const History *history, char *blob);

/* Reads n entries. SQLITE_OK, SQLITE_NOMEM, or SQLITE_CORRUPT where the times are not in order. To be freed in either
 * case. */
int history_decode(const char *blob, size_t n, int with_ratings, int timed, History *history);

#endif
