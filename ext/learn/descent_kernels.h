/* The inner loops of adam.c and gradient.c, compiled once for each instruction set: see base/simd.h. Vectors have n
 * floats, a multiple of 16, and are aligned to 64 bytes. */
#ifndef RECOMMEND_LEARN_DESCENT_KERNELS_H
#define RECOMMEND_LEARN_DESCENT_KERNELS_H

#include <stddef.h>

#include "../base/simd.h"

typedef struct AdamStep {
  float keep_mean, keep_square; /* what is left of the moments, after the steps that were skipped too */
  float new_mean, new_square;   /* 1 − β₁ and 1 − β₂ */
  float rate;                   /* with both corrections of the moments' beginning at 0 */
  float epsilon;
} AdamStep;

typedef struct DescentKernels {
  float (*dot)(size_t n, const float *x, const float *y);
  void (*add)(size_t n, float scale, const float *x, float *y); /* y += scale x */
  void (*scale)(size_t n, float scale, float *x);

  /* x moves on as its moments have it: x −= drift mean / √square, where square is not 0. */
  void (*drift)(size_t n, float drift, const float *mean, const float *square, float *x);
  void (*adam)(size_t n, const AdamStep *step, const float *gradient, float *mean, float *square, float *x);
} DescentKernels;

extern const DescentKernels descent_kernels_generic;
#if defined(__x86_64__)
extern const DescentKernels descent_kernels_avx2, descent_kernels_avx512;
#endif

static inline const DescentKernels *descent_kernels(void) { return SIMD_PICK(descent_kernels); }

#endif
