/* A row of a sparse matrix times a block of vectors, compiled once for each instruction set: see product.h.
 *
 * A few vectors of 16 lanes at a time stay in registers while the entries of the row pass. Long rows are summed in
 * pieces, so that the rounding grows with the length of a piece and with the number of pieces, not with their product.
 */
#include "product.h"

#define PIECE 512 /* entries that are summed before they are added to y */
#define AHEAD 10  /* entries to fetch ahead: their rows lie anywhere in memory */

/* y[0 … 16 vectors) += or = the sum of one piece; `index` is followed by `rest` more entries. */
SIMD_INLINE void piece(const int vectors, const uint32_t *index, const float *value, size_t n, size_t rest,
                       const float *x, size_t width, float *y, int first) {
  Float16 sum[8];
  SIMD_UNROLL
  for (int v = 0; v < vectors; v++) sum[v] = (Float16){0};
  for (size_t e = 0; e < n; e++) {
    if (e + AHEAD < n + rest) {
      const float *next = x + index[e + AHEAD] * width;
      SIMD_UNROLL
      for (int v = 0; v < vectors; v++) __builtin_prefetch(next + 16 * v);
    }
    const float *row = x + index[e] * width;
    float a = value ? value[e] : 1;
    SIMD_UNROLL
    for (int v = 0; v < vectors; v++) sum[v] += a * FLOAT16_LOAD(row + 16 * v);
  }
  SIMD_UNROLL
  for (int v = 0; v < vectors; v++) {
    if (!first) sum[v] += FLOAT16_LOAD(y + 16 * v);
    FLOAT16_STORE(y + 16 * v, sum[v]);
  }
}

SIMD_INLINE void lanes(const int vectors, const uint32_t *index, const float *value, size_t n, const float *x,
                       size_t width, float *y) {
  size_t e = 0;
  do {
    size_t length = n - e < PIECE ? n - e : PIECE;
    piece(vectors, index + e, value ? value + e : NULL, length, n - e - length, x, width, y, e == 0);
    e += length;
  } while (e < n);
}

static void row(const uint32_t *index, const float *value, size_t n, const float *x, size_t width, float *y) {
  size_t lane = 0;
#if defined(__AVX512F__)
  for (; lane + 128 <= width; lane += 128) lanes(8, index, value, n, x + lane, width, y + lane);
  if (lane + 96 == width) lanes(6, index, value, n, x + lane, width, y + lane), lane += 96;
#endif
#if defined(__AVX2__)
  for (; lane + 64 <= width && lane + 96 != width; lane += 64) lanes(4, index, value, n, x + lane, width, y + lane);
#endif
  for (; lane + 48 <= width; lane += 48) lanes(3, index, value, n, x + lane, width, y + lane);
  for (; lane + 32 <= width; lane += 32) lanes(2, index, value, n, x + lane, width, y + lane);
  if (lane < width) lanes(1, index, value, n, x + lane, width, y + lane);
}

extern const ProductKernels SIMD_NAME(product_kernels); /* declared as picked by product.c */
const ProductKernels SIMD_NAME(product_kernels) = {row};
