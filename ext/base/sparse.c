/* Compressed rows: see sparse.h. */
#include "sparse.h"

#include <string.h>

#include "memory.h"
#include "sqlite.h"

int sparse_alloc(SparseMatrix *matrix, size_t rows, size_t columns, size_t entries, int with_values) {
  *matrix = (SparseMatrix){.rows = rows, .columns = columns};
  matrix->start = memory_alloc_zero(rows + 1, sizeof *matrix->start);
  matrix->index = memory_alloc(entries, sizeof *matrix->index);
  if (with_values) matrix->value = memory_alloc(entries, sizeof *matrix->value);
  if (matrix->start && matrix->index && (!with_values || matrix->value)) return SQLITE_OK;
  sparse_free(matrix);
  return SQLITE_NOMEM;
}

int sparse_transpose(const SparseMatrix *matrix, SparseMatrix *transpose) {
  size_t entries = matrix->start[matrix->rows];
  int code = sparse_alloc(transpose, matrix->columns, matrix->rows, entries, matrix->value != NULL);
  if (code != SQLITE_OK) return code;
  /* Counting sort: rows are visited in order, so every column receives them in order. start[c] is used as the place
   * of column c's next entry and afterwards is moved back by one column. */
  size_t *start = transpose->start;
  for (size_t e = 0; e < entries; e++) start[matrix->index[e] + 1]++;
  for (size_t c = 0; c < transpose->rows; c++) start[c + 1] += start[c];
  for (size_t row = 0; row < matrix->rows; row++) {
    for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++) {
      size_t place = start[matrix->index[e]]++;
      transpose->index[place] = (uint32_t)row;
      if (matrix->value) transpose->value[place] = matrix->value[e];
    }
  }
  memmove(start + 1, start, transpose->rows * sizeof *start);
  start[0] = 0;
  return SQLITE_OK;
}

void sparse_free(SparseMatrix *matrix) {
  memory_free(matrix->start);
  memory_free(matrix->index);
  memory_free(matrix->value);
  *matrix = (SparseMatrix){0};
}
