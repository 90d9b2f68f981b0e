/* The inner loop of slim.c: see slim_kernels.h. */
#include "slim_kernels.h"

static void subtract(size_t n, double change, const float *restrict row, double *restrict r) {
  for (size_t i = 0; i < n; i++) r[i] -= change * (double)row[i];
}

extern const SlimKernels SIMD_NAME(slim_kernels);
const SlimKernels SIMD_NAME(slim_kernels) = {subtract};
