/* Vectors of the descents: see descent_kernels.h. */
#include "descent_kernels.h"

#include <math.h>

static float descent_dot(size_t n, const float *x, const float *y) {
  Float16 sum = {0};
  for (size_t i = 0; i < n; i += 16) sum += FLOAT16_LOAD(x + i) * FLOAT16_LOAD(y + i);
  float lanes[8];
  for (int i = 0; i < 8; i++) lanes[i] = sum[i] + sum[i + 8];
  return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

static void descent_add(size_t n, float scale, const float *x, float *y) {
  for (size_t i = 0; i < n; i += 16) FLOAT16_STORE(y + i, FLOAT16_LOAD(y + i) + scale * FLOAT16_LOAD(x + i));
}

static void scale_by(size_t n, float scale, float *x) {
  for (size_t i = 0; i < n; i += 16) FLOAT16_STORE(x + i, scale * FLOAT16_LOAD(x + i));
}

static void drift_on(size_t n, float drift, const float *restrict mean, const float *restrict square,
                     float *restrict x) {
  for (size_t i = 0; i < n; i++) x[i] -= drift * mean[i] / sqrtf(square[i] + 1e-37f);
}

static void adam(size_t n, const AdamStep *step, const float *restrict gradient, float *restrict mean,
                 float *restrict square, float *restrict x) {
  const AdamStep s = *step;
  for (size_t i = 0; i < n; i++) {
    float m = s.keep_mean * mean[i] + s.new_mean * gradient[i];
    float v = s.keep_square * square[i] + s.new_square * gradient[i] * gradient[i];
    x[i] -= s.rate * m / (sqrtf(v) + s.epsilon);
    mean[i] = m;
    square[i] = v;
  }
}

extern const DescentKernels SIMD_NAME(descent_kernels);
const DescentKernels SIMD_NAME(descent_kernels) = {descent_dot, descent_add, scale_by, drift_on, adam};
