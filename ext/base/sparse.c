/* Compressed rows: see sparse.h. */
#include "sparse.h"

#include <string.h>

#include "code.h"
#include "memory.h"
#include "parallel.h"

int sparse_alloc(SparseMatrix *matrix, size_t rows, size_t columns, size_t entries, int with_values) {
  *matrix = (SparseMatrix){.rows = rows, .columns = columns};
  matrix->start = memory_alloc_zero(rows + 1, sizeof *matrix->start);
  matrix->index = memory_alloc(entries, sizeof *matrix->index);
  if (with_values) matrix->value = memory_alloc(entries, sizeof *matrix->value);
  if (matrix->start && matrix->index && (!with_values || matrix->value)) return CODE_OK;
  sparse_free(matrix);
  return CODE_NOMEM;
}

int sparse_reserve(SparseMatrix *matrix, size_t entries, size_t *capacity) {
  if (entries <= *capacity) return CODE_OK;
  size_t grown = entries + entries / 2;
  uint32_t *index = memory_resize(matrix->index, grown, sizeof *index);
  if (index) matrix->index = index;
  float *value = memory_resize(matrix->value, grown, sizeof *value);
  if (value) matrix->value = value;
  if (!index || !value) return CODE_NOMEM;
  *capacity = grown;
  return CODE_OK;
}

/* ---- transposing ---------------------------------------------------------------------------------------------------
 *
 * A counting sort in parts: each part of the rows counts its entries by column, the counts are turned into places, and
 * each part then puts its entries there. Rows are visited in order, so every column receives them in order, whatever
 * the parts. */

enum { MOST_PARTS = 16, ENTRIES_A_BLOCK = 1 << 18 };

typedef struct Transposing {
  const SparseMatrix *matrix;
  SparseMatrix *transpose;
  size_t parts;
  size_t *place;      /* parts × columns: first how many entries, then where the next one goes */
  size_t *part_start; /* parts + 1 rows */
} Transposing;

static int count_part(void *context, size_t part, int worker) {
  (void)worker;
  const Transposing *work = context;
  const SparseMatrix *matrix = work->matrix;
  size_t *count = work->place + part * matrix->columns;
  size_t end = matrix->start[work->part_start[part + 1]];
  for (size_t e = matrix->start[work->part_start[part]]; e < end; e++) count[matrix->index[e]]++;
  return CODE_OK;
}

static int place_part(void *context, size_t part, int worker) {
  (void)worker;
  const Transposing *work = context;
  const SparseMatrix *matrix = work->matrix;
  SparseMatrix *transpose = work->transpose;
  size_t *next = work->place + part * matrix->columns;
  for (size_t row = work->part_start[part]; row < work->part_start[part + 1]; row++) {
    for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++) {
      size_t place = next[matrix->index[e]]++;
      transpose->index[place] = (uint32_t)row;
      if (matrix->value) transpose->value[place] = matrix->value[e];
    }
  }
  return CODE_OK;
}

/* Counts become places: column by column, and within a column part by part. */
static void counts_to_places(Transposing *work) {
  size_t columns = work->matrix->columns, at = 0;
  for (size_t column = 0; column < columns; column++) {
    work->transpose->start[column] = at;
    for (size_t part = 0; part < work->parts; part++) {
      size_t *place = &work->place[part * columns + column], count = *place;
      *place = at;
      at += count;
    }
  }
  work->transpose->start[columns] = at;
}

/* Parts of about equally many entries; few where there are many columns, whose counters each part has for itself. */
static void cut_parts(Transposing *work) {
  const SparseMatrix *matrix = work->matrix;
  size_t entries = matrix->start[matrix->rows], row = 0;
  for (size_t part = 0; part < work->parts; part++) {
    size_t enough = (size_t)((double)entries * (double)part / (double)work->parts);
    while (row < matrix->rows && matrix->start[row] < enough) row++;
    work->part_start[part] = row;
  }
  work->part_start[work->parts] = matrix->rows;
}

int sparse_transpose(const SparseMatrix *matrix, SparseMatrix *transpose, int threads, const Cancel *cancel) {
  size_t entries = matrix->start[matrix->rows];
  size_t part_start[MOST_PARTS + 1];
  Transposing work = {.matrix = matrix, .transpose = transpose, .part_start = part_start};
  work.parts = entries / (ENTRIES_A_BLOCK + 2 * matrix->columns) + 1;
  if (work.parts > MOST_PARTS) work.parts = MOST_PARTS;
  int code = sparse_alloc(transpose, matrix->columns, matrix->rows, entries, matrix->value != NULL);
  if (code != CODE_OK) return code;
  work.place = memory_alloc_zero(work.parts, matrix->columns * sizeof *work.place);
  if (!work.place) code = CODE_NOMEM;
  if (code == CODE_OK) {
    cut_parts(&work);
    code = parallel_for(threads, work.parts, count_part, &work, cancel);
  }
  if (code == CODE_OK) {
    counts_to_places(&work);
    code = parallel_for(threads, work.parts, place_part, &work, cancel);
  }
  memory_free(work.place);
  if (code != CODE_OK) sparse_free(transpose);
  return code;
}

void sparse_free(SparseMatrix *matrix) {
  memory_free(matrix->start);
  memory_free(matrix->index);
  memory_free(matrix->value);
  *matrix = (SparseMatrix){0};
}

void sparse_drop_ones(SparseMatrix *matrix) {
  if (!matrix->start || !matrix->value) return;
  size_t entries = matrix->start[matrix->rows];
  for (size_t e = 0; e < entries; e++)
    if (matrix->value[e] != 1.0F) return;
  memory_free(matrix->value);
  matrix->value = NULL;
}
