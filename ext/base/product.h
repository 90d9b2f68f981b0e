/* Products of a large matrix, sparse or dense, with a block of vectors: y = A x.
 *
 * x and y are row major, `width` floats a row: a multiple of 16, and both aligned to 64 bytes. y is overwritten. The
 * same bytes for any number of threads. Each returns CODE_OK or what cancel says (y then holds nothing of use). */
#ifndef RECOMMEND_BASE_PRODUCT_H
#define RECOMMEND_BASE_PRODUCT_H

#include <stddef.h>

#include "cancel.h"
#include "simd.h"
#include "sparse.h"

/* x: matrix->columns × width, y: matrix->rows × width. For Aᵀx hand in the transpose. */
int product_sparse(const SparseMatrix *matrix, const float *x, float *y, size_t width, int threads,
                   const Cancel *cancel);

/* A dense matrix of rows × columns floats, `stride` floats from row to row; any alignment. */
typedef struct DenseMatrix {
  const float *values;
  size_t rows, columns, stride;
} DenseMatrix;

/* x: columns × width, y: rows × width. */
int product_dense(const DenseMatrix *matrix, const float *x, float *y, size_t width, int threads, const Cancel *cancel);

/* y = Aᵀ x. x: rows × width, y: columns × width. */
int product_dense_transposed(const DenseMatrix *matrix, const float *x, float *y, size_t width, int threads,
                             const Cancel *cancel);

/* *sum = Σ of the squared cells. */
int product_sparse_square(const SparseMatrix *matrix, double *sum, int threads, const Cancel *cancel);
int product_dense_square(const DenseMatrix *matrix, double *sum, int threads, const Cancel *cancel);

/* The inner loop, once for each instruction set. */
typedef struct ProductKernels {
  /* y = Σ_{e < n} value_e x[index_e], `width` floats (value NULL: ones). */
  void (*row)(const uint32_t *index, const float *value, size_t n, const float *x, size_t width, float *y);
} ProductKernels;

extern const ProductKernels product_kernels_generic;
#if defined(__x86_64__)
extern const ProductKernels product_kernels_avx2, product_kernels_avx512;
#endif

#endif
