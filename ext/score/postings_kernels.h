/* The inner loops of postings_top_k.c over a block's sums, compiled once for each instruction set: see simd.h. */
#ifndef RECOMMEND_SCORE_POSTINGS_KERNELS_H
#define RECOMMEND_SCORE_POSTINGS_KERNELS_H

#include "postings.h"

/* n is a multiple of 16, arrays are aligned to 32 bytes at least. */
typedef struct PostingsKernels {
  /* sum_i += Σ_c weight_c column_c,i; n is a multiple of 64. */
  void (*add_columns)(const uint8_t *const *column, const int32_t *weight, size_t columns, size_t n, int32_t *sum);

  /* Writes the places, ascending, where sum + min(scale * rest, cap) ≥ limit, and returns their number; stops once
   * there are more than `most`. `out` has room for most + 16. */
  size_t (*candidates)(const int32_t *sum, const uint16_t *rest, int32_t scale, int32_t cap, int32_t limit, size_t n,
                       uint32_t *out, size_t most);

  /* The places of the largest sums above 0, into top. */
  void (*largest)(const int32_t *sum, size_t n, TopK *top);
} PostingsKernels;

extern const PostingsKernels postings_kernels_generic;
#if defined(__x86_64__)
extern const PostingsKernels postings_kernels_avx2, postings_kernels_avx512;
#endif

#endif
