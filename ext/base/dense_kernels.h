/* The inner loops of dense.c and product.c, compiled once for each instruction set: see simd.h.
 *
 * They stand where BLAS might: a single-threaded OpenBLAS, which is what a distribution offers beside one that starts
 * threads of its own, hands out its buffers without a lock, so that two threads may get the same one. */
#ifndef RECOMMEND_BASE_DENSE_KERNELS_H
#define RECOMMEND_BASE_DENSE_KERNELS_H

#include <stddef.h>

#include "simd.h"

#define DENSE_DEPTH 256 /* the best `depth` for multiply: b's part then stays in the cache */

/* c = a b, or c += a b: a is rows × depth, its element (i, k) at a[i * a_row + k * a_depth]; b is depth × width, c
 * rows × width, `stride` elements a row. Rows of b and c are aligned to 64 bytes, width is a multiple of 64 bytes. */
typedef struct FloatProduct {
  const float *a;
  size_t a_row, a_depth, rows, depth;
  const float *b;
  size_t b_stride, width;
  float *c;
  size_t c_stride;
  int add;
} FloatProduct;

typedef struct DoubleProduct {
  const double *a;
  size_t a_row, a_depth, rows, depth;
  const double *b;
  size_t b_stride, width;
  double *c;
  size_t c_stride;
  int add;
} DoubleProduct;

typedef struct DenseKernels {
  void (*multiply)(const FloatProduct *product);
  void (*multiply_double)(const DoubleProduct *product);

  /* Vectors of n doubles, of any length and alignment. */
  double (*dot)(size_t n, const double *x, const double *y);
  void (*add)(size_t n, double scale, const double *x, double *y);            /* y += scale x */
  void (*rotate)(size_t n, double *x, double *y, double cosine, double sine); /* (x, y) ← (c x + s y, c y − s x) */
} DenseKernels;

extern const DenseKernels dense_kernels_generic;
#if defined(__x86_64__)
extern const DenseKernels dense_kernels_avx2, dense_kernels_avx512;
#endif

static inline const DenseKernels *dense_kernels(void) { return SIMD_PICK(dense_kernels); }

#endif
