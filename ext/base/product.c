/* Products with blocks of vectors: see product.h. Work is cut so that a block takes a few milliseconds at most. */
#include "product.h"

#include "code.h"
#include "dense_kernels.h"
#include "parallel.h"

#define BLOCK_COST 4000000   /* multiplications a block of a sparse product: about a millisecond */
#define DENSE_COST 25000000  /* … of a dense one */
#define ROW_COST 16          /* entries that the start of a row costs as much as */
#define CHUNK_COST 800000000 /* multiplications between two starts of the threads in product_dense_transposed */

static size_t clamp(size_t value, size_t low, size_t high) { return value < low ? low : value > high ? high : value; }

/* ---- sparse ------------------------------------------------------------------------------------------------------ */

typedef struct SparseProduct {
  const SparseMatrix *matrix;
  const float *x;
  float *y;
  size_t width;
  size_t block_cost; /* entries, those for the starts of rows included */
  const ProductKernels *kernels;
} SparseProduct;

static size_t cost_before(const SparseMatrix *matrix, size_t row) { return matrix->start[row] + ROW_COST * row; }

/* The first row with at least `cost` before it: a block boundary, found without a list of them. */
static size_t row_at(const SparseMatrix *matrix, size_t cost) {
  size_t low = 0, high = matrix->rows;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (cost_before(matrix, middle) < cost)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static int sparse_block(void *context, size_t block, int worker) {
  (void)worker;
  const SparseProduct *product = context;
  const SparseMatrix *matrix = product->matrix;
  size_t end = row_at(matrix, (block + 1) * product->block_cost);
  for (size_t row = row_at(matrix, block * product->block_cost); row < end; row++) {
    size_t start = matrix->start[row];
    product->kernels->row(matrix->index + start, matrix->value ? matrix->value + start : NULL,
                          matrix->start[row + 1] - start, product->x, product->width,
                          product->y + row * product->width);
  }
  return CODE_OK;
}

int product_sparse(const SparseMatrix *matrix, const float *x, float *y, size_t width, int threads,
                   const Cancel *cancel) {
  SparseProduct product = {
      matrix, x, y, width, clamp(BLOCK_COST / width, ROW_COST, BLOCK_COST), SIMD_PICK(product_kernels)};
  size_t blocks = cost_before(matrix, matrix->rows) / product.block_cost + 1;
  return parallel_for(threads, blocks, sparse_block, &product, cancel);
}

/* ---- dense ------------------------------------------------------------------------------------------------------- */

typedef struct DenseWork {
  const DenseMatrix *matrix;
  const float *x;
  float *y;
  size_t width;
  size_t block;      /* rows of y that a block makes */
  size_t first, end; /* product_dense_transposed: the rows of the matrix whose share is added now */
  const DenseKernels *kernels;
} DenseWork;

static int dense_block(void *context, size_t block, int worker) {
  (void)worker;
  const DenseWork *work = context;
  const DenseMatrix *matrix = work->matrix;
  size_t first = block * work->block, width = work->width, columns = matrix->columns;
  FloatProduct product = {.a_row = matrix->stride, .a_depth = 1, .b_stride = width, .width = width, .c_stride = width};
  product.rows = clamp(matrix->rows - first, 0, work->block);
  product.c = work->y + first * width;
  for (size_t k = 0; k == 0 || k < columns; k += DENSE_DEPTH) { /* once where there are no columns, for the zeros */
    product.a = matrix->values + first * matrix->stride + k;
    product.b = work->x + k * width;
    product.depth = clamp(columns - k, 0, DENSE_DEPTH);
    product.add = k > 0;
    work->kernels->multiply(&product);
  }
  return CODE_OK;
}

int product_dense(const DenseMatrix *matrix, const float *x, float *y, size_t width, int threads,
                  const Cancel *cancel) {
  DenseWork work = {.matrix = matrix, .x = x, .y = y, .width = width, .kernels = dense_kernels()};
  work.block = clamp(DENSE_COST / (matrix->columns * width + 1), 8, 4096);
  return parallel_for(threads, (matrix->rows + work.block - 1) / work.block, dense_block, &work, cancel);
}

static int dense_transposed_block(void *context, size_t block, int worker) {
  (void)worker;
  const DenseWork *work = context;
  const DenseMatrix *matrix = work->matrix;
  size_t first = block * work->block, width = work->width;
  FloatProduct product = {.a_row = 1, .a_depth = matrix->stride, .b_stride = width, .width = width, .c_stride = width};
  product.rows = clamp(matrix->columns - first, 0, work->block);
  product.c = work->y + first * width;
  for (size_t k = work->first; k == 0 || k < work->end; k += DENSE_DEPTH) {
    product.a = matrix->values + k * matrix->stride + first;
    product.b = work->x + k * width;
    product.depth = clamp(work->end - k, 0, DENSE_DEPTH);
    product.add = k > 0;
    work->kernels->multiply(&product);
  }
  return CODE_OK;
}

/* Blocks are of columns, since each column's sum runs over all rows; the rows come in chunks, so that a block is
 * short, and every column adds its chunks in order. */
int product_dense_transposed(const DenseMatrix *matrix, const float *x, float *y, size_t width, int threads,
                             const Cancel *cancel) {
  DenseWork work = {.matrix = matrix, .x = x, .y = y, .width = width, .kernels = dense_kernels()};
  int code = CODE_OK;
  work.block = clamp((matrix->columns + 15) / 16, 24, 240);
  size_t blocks = (matrix->columns + work.block - 1) / work.block;
  size_t chunk = clamp(CHUNK_COST / (matrix->columns * width + 1), 16, DENSE_COST / (work.block * width) + 16);
  chunk = (chunk + DENSE_DEPTH - 1) / DENSE_DEPTH * DENSE_DEPTH;
  do {
    work.end = work.first + clamp(matrix->rows - work.first, 0, chunk);
    code = parallel_for(threads, blocks, dense_transposed_block, &work, cancel);
    work.first = work.end;
  } while (code == CODE_OK && work.first < matrix->rows);
  return code;
}

/* ---- squared cells ----------------------------------------------------------------------------------------------- */

enum { SQUARE_PARTS = 128 };

typedef struct Squares {
  const DenseMatrix *matrix; /* a sparse one's entries are rows of one column */
  double sum[SQUARE_PARTS];
} Squares;

static int square_part(void *context, size_t part, int worker) {
  (void)worker;
  Squares *squares = context;
  const DenseMatrix *matrix = squares->matrix;
  size_t length = (matrix->rows + SQUARE_PARTS - 1) / SQUARE_PARTS, first = clamp(part * length, 0, matrix->rows);
  for (size_t row = first; row < clamp(first + length, 0, matrix->rows); row++)
    for (size_t column = 0; column < matrix->columns; column++) {
      double cell = (double)matrix->values[row * matrix->stride + column];
      squares->sum[part] += cell * cell;
    }
  return CODE_OK;
}

int product_dense_square(const DenseMatrix *matrix, double *sum, int threads, const Cancel *cancel) {
  Squares squares = {.matrix = matrix};
  int code = parallel_for(threads, SQUARE_PARTS, square_part, &squares, cancel);
  *sum = 0;
  for (int part = 0; part < SQUARE_PARTS; part++) *sum += squares.sum[part];
  return code;
}

int product_sparse_square(const SparseMatrix *matrix, double *sum, int threads, const Cancel *cancel) {
  size_t entries = matrix->start[matrix->rows];
  DenseMatrix column = {matrix->value, entries, 1, 1};
  if (matrix->value) return product_dense_square(&column, sum, threads, cancel);
  *sum = (double)entries;
  return CODE_OK;
}
