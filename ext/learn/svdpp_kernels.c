/* A user's visit: see svdpp_kernels.h. */
#include "svdpp_kernels.h"

#define AHEAD 4 /* rows that are fetched before they are needed */

SIMD_INLINE float sum_lanes(Float16 v) {
  v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  return v[0] + v[1];
}

SIMD_INLINE void fetch(const uint32_t *index, size_t k, size_t count, const float *rows, size_t stride) {
  const float *row = rows + index[k + AHEAD < count ? k + AHEAD : k] * stride;
  for (size_t lane = 0; lane < stride; lane += 16) __builtin_prefetch(row + lane, 1);
}

static double svdpp_learn(SvdppUser *user, const SvdppStep *step) {
  const size_t stride = user->stride;
  const float keep = 1 - step->rate * step->regularization;
  float *w = user->user;
  double squared = 0;
  for (size_t k = 0; k < user->count; k++) {
    size_t item = user->index[k];
    float *q = user->items + item * stride;
    Float16 dot = {0};
    fetch(user->index, k, user->count, user->items, stride);
    for (size_t lane = 0; lane < stride; lane += 16) dot += FLOAT16_LOAD(w + lane) * FLOAT16_LOAD(q + lane);
    float wrong = user->value[k] - user->mean - sum_lanes(dot);
    if (step->bias_rate > 0) {
      float *bias = &user->item_bias[item];
      wrong -= user->user_bias + *bias;
      user->user_bias += step->bias_rate * (wrong - step->bias_regularization * user->user_bias);
      *bias += step->bias_rate * (wrong - step->bias_regularization * *bias);
    }
    squared += (double)wrong * (double)wrong;
    float move = step->rate * wrong;
    for (size_t lane = 0; lane < stride; lane += REGISTER_LANES) {
      FloatRegister a = REGISTER_LOAD(w + lane), b = REGISTER_LOAD(q + lane);
      REGISTER_STORE(w + lane, keep * a + 2 * move * b);
      REGISTER_STORE(q + lane, keep * b + move * a);
    }
  }
  return squared;
}

static void svdpp_gather(size_t count, const uint32_t *index, const float *rows, size_t stride, float *sum) {
  for (size_t lane = 0; lane < stride; lane += 16) FLOAT16_STORE(sum + lane, (Float16){0});
  for (size_t k = 0; k < count; k++) {
    const float *row = rows + index[k] * stride;
    fetch(index, k, count, rows, stride);
    for (size_t lane = 0; lane < stride; lane += 16)
      FLOAT16_STORE(sum + lane, FLOAT16_LOAD(sum + lane) + FLOAT16_LOAD(row + lane));
  }
}

static void scatter(size_t count, const uint32_t *index, float keep, float scale, const float *x, size_t stride,
                    float *rows) {
  for (size_t k = 0; k < count; k++) {
    float *row = rows + index[k] * stride;
    fetch(index, k, count, rows, stride);
    for (size_t lane = 0; lane < stride; lane += REGISTER_LANES)
      REGISTER_STORE(row + lane, keep * REGISTER_LOAD(row + lane) + scale * REGISTER_LOAD(x + lane));
  }
}

extern const SvdppKernels SIMD_NAME(svdpp_kernels);
const SvdppKernels SIMD_NAME(svdpp_kernels) = {svdpp_learn, svdpp_gather, scatter};
