/* The rows of a source as they are read, before they become matrices: a step inside interactions_read. */
#ifndef RECOMMEND_DATA_INTERACTION_ROWS_H
#define RECOMMEND_DATA_INTERACTION_ROWS_H

#include "interactions.h"

#define CHUNK_BITS 16
#define CHUNK_ROWS ((size_t)1 << CHUNK_BITS)

typedef struct Chunk {
  uint32_t user[CHUNK_ROWS], item[CHUNK_ROWS]; /* indexes in order of arrival */
  float value[CHUNK_ROWS];                     /* finite */
  int64_t time[];                              /* CHUNK_ROWS, or none */
} Chunk;

typedef struct Rows {
  Chunk **chunks; /* all full but the last */
  size_t chunk_count;
  size_t kept;         /* rows in the chunks */
  DuplicatesRule rule; /* never DEFAULT */
  int timed; /* the times are wanted as they are, NO_TIME where a row has none; else only numbers that sort as the times
                do */
  int with_times;    /* chunks have times */
  int times_ignored; /* some timestamp is not a number, so that no timestamp counts */
} Rows;

/* Reads a source into chunks, and into the interactions' dictionaries (not sorted yet), affinities and counts. On error
 * both are still to be freed. */
int rows_read(sqlite3 *db, const Source *source, const InteractionOptions *options, Rows *rows,
              Interactions *interactions, const Cancel *cancel, Error *error);

void rows_free(Rows *rows); /* cleared memory is fine; leaves no chunks, and the flags as they are */

/* Do the sort keys hold the row's number (to find its time by), and not its value? */
static inline int rows_are_numbered(const Rows *rows) { return rows->timed || rows->with_times; }

static inline size_t rows_in_chunk(const Rows *rows, size_t chunk) {
  return chunk + 1 < rows->chunk_count ? CHUNK_ROWS : rows->kept - chunk * CHUNK_ROWS;
}

#endif
