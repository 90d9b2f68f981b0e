/* A sparse matrix in compressed rows: what users did with items, or items with users. */
#ifndef RECOMMEND_BASE_SPARSE_H
#define RECOMMEND_BASE_SPARSE_H

#include <stddef.h>
#include <stdint.h>

#include "cancel.h"

typedef struct SparseMatrix {
  size_t rows, columns;
  size_t *start;   /* rows + 1 offsets into index and value; start[rows] is the number of entries */
  uint32_t *index; /* columns, ascending and distinct within a row */
  float *value;    /* NULL: every entry is 1 */
} SparseMatrix;

/* Allocates `start` (cleared), `index` and, if `with_values`, `value`. CODE_OK or CODE_NOMEM (nothing is kept). */
int sparse_alloc(SparseMatrix *matrix, size_t rows, size_t columns, size_t entries, int with_values);

/* The transpose of `matrix`, its rows ascending too. CODE_OK, CODE_NOMEM or what cancel says (nothing is kept). */
int sparse_transpose(const SparseMatrix *matrix, SparseMatrix *transpose, int threads, const Cancel *cancel);

/* Room for so many entries in index and value, both there already, where `capacity` says what there is room for now: of
 * a matrix that grows row by row. CODE_OK or CODE_NOMEM (what there was is kept). */
int sparse_reserve(SparseMatrix *matrix, size_t entries, size_t *capacity);

/* Gives the values up where every one is 1. A cleared matrix is fine. */
void sparse_drop_ones(SparseMatrix *matrix);

void sparse_free(SparseMatrix *matrix); /* a cleared matrix is fine; leaves it cleared */

static inline float sparse_value(const SparseMatrix *matrix, size_t entry) {
  return matrix->value ? matrix->value[entry] : 1;
}

static inline size_t sparse_row_length(const SparseMatrix *matrix, size_t row) {
  return matrix->start[row + 1] - matrix->start[row];
}

#endif
