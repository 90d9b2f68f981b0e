/* The inner loops of word2vec.c, compiled once for each instruction set: see base/simd.h. */
#ifndef RECOMMEND_LEARN_WORD2VEC_KERNELS_H
#define RECOMMEND_LEARN_WORD2VEC_KERNELS_H

#include <stddef.h>

#include "../base/simd.h"

/* Some input vectors against some output vectors, the first of which is the word that was there and the others noise.
 * Vectors have `stride` floats, a multiple of 16, and are aligned to 64 bytes. */
typedef struct Word2vecPairs {
  const float *const *input, *const *output;
  size_t inputs, outputs, stride;
  float *input_step, *output_step; /* inputs and outputs × stride: − the loss's gradients by each */
  float *input_bend, *output_bend; /* … and their second derivatives: at least those along any direction */
  float *scratch;                  /* word2vec_scratch floats, aligned to 64 bytes */
} Word2vecPairs;

static inline size_t word2vec_scratch(size_t inputs, size_t outputs) {
  return 2 * ((inputs * outputs + 15) / 16 * 16) + inputs + outputs;
}

typedef struct Word2vecKernels {
  double (*pairs)(const Word2vecPairs *pairs); /* returns the loss, summed over all pairs */

  void (*add)(size_t n, float scale, const float *x, float *y); /* y += scale x; n a multiple of 16, aligned */
} Word2vecKernels;

extern const Word2vecKernels word2vec_kernels_generic;
#if defined(__x86_64__)
extern const Word2vecKernels word2vec_kernels_avx2, word2vec_kernels_avx512;
#endif

static inline const Word2vecKernels *word2vec_kernels(void) { return SIMD_PICK(word2vec_kernels); }

#endif
