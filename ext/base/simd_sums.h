/* The sums of vectors' lanes, three vectors at once where a kernel needs three: in the same order on every processor.
 * For kernels, which are compiled once for each instruction set. */
#ifndef RECOMMEND_BASE_SIMD_SUMS_H
#define RECOMMEND_BASE_SIMD_SUMS_H

#include "simd.h"

typedef float Float8 __attribute__((vector_size(32)));
typedef float Float4 __attribute__((vector_size(16)));

/* Lane i of the four is the sum of the lanes i, i + 4, i + 8 and i + 12. */
SIMD_INLINE Float4 fold(Float16 v) {
  Float8 half = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  return __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
}

/* The sums of x, y and z, and z's again. */
SIMD_INLINE Float4 sums(Float16 x, Float16 y, Float16 z) {
  Float4 a = fold(x), b = fold(y), c = fold(z);
  Float4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
  Float4 cc = __builtin_shufflevector(c, c, 0, 4, 1, 5) + __builtin_shufflevector(c, c, 2, 6, 3, 7);
  return __builtin_shufflevector(ab, cc, 0, 1, 4, 5) + __builtin_shufflevector(ab, cc, 2, 3, 6, 7);
}

#endif
