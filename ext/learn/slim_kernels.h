/* The inner loop of slim.c, compiled once for each instruction set: see base/simd.h. */
#ifndef RECOMMEND_LEARN_SLIM_KERNELS_H
#define RECOMMEND_LEARN_SLIM_KERNELS_H

#include <stddef.h>

#include "../base/simd.h"

typedef struct SlimKernels {
  /* r −= change · row, n numbers each. */
  void (*subtract)(size_t n, double change, const float *row, double *r);
} SlimKernels;

extern const SlimKernels slim_kernels_generic;
#if defined(__x86_64__)
extern const SlimKernels slim_kernels_avx2, slim_kernels_avx512;
#endif

static inline const SlimKernels *slim_kernels(void) { return SIMD_PICK(slim_kernels); }

#endif
