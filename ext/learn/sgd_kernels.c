/* Steps of stochastic gradient descent: see sgd_kernels.h.
 *
 * A rating's step reads two rows and writes them back. Its latency, some fifty cycles from the loads to the stores, is
 * hidden by the next ratings', which the processor begins meanwhile since they are about other rows. */
#include "sgd_kernels.h"

#include <math.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "../base/simd_sums.h"

#define AHEAD 6 /* ratings whose rows are fetched before they are needed */

SIMD_INLINE float sum_of(Float16 v) {
  Float4 four = fold(v);
  return (four[0] + four[2]) + (four[1] + four[3]);
}

/* One instruction where there is one: dividers are what a processor has fewest of. */
SIMD_INLINE Float4 roots(Float4 v) {
#if defined(__SSE__)
  return (Float4)_mm_sqrt_ps((__m128)v);
#else
  return (Float4){sqrtf(v[0]), sqrtf(v[1]), sqrtf(v[2]), sqrtf(v[3])};
#endif
}

/* Rounding may leave a square below 0. */
SIMD_INLINE float positive(float x) { return x > 0 ? x : 0; }

SIMD_INLINE void fetch(const SgdBlock *block, size_t k, size_t stride) {
  const SgdEntry *entry = &block->entries[k + AHEAD < block->count ? k + AHEAD : k];
  const float *p = block->user + entry->user * stride, *q = block->item + entry->item * stride;
  for (size_t lane = 0; lane < stride; lane += 16) {
    __builtin_prefetch(p + lane, 1);
    __builtin_prefetch(q + lane, 1);
  }
}

/* With `vectors` known the loops over a row are taken apart, and the rows stay in registers; 0: of any length. */
SIMD_INLINE float learn_one(const int vectors, const int adaptive, const SgdBlock *block, const SgdEntry *entry,
                            const SgdStep *step) {
  const size_t stride = vectors ? (size_t)vectors * 16 : block->stride;
  float *p = block->user + entry->user * stride, *q = block->item + entry->item * stride;
  SgdRow *user = &block->user_row[entry->user], *item = &block->item_row[entry->item];
  Float16 dot = {0}, user_square = {0}, item_square = {0};
#pragma GCC unroll 8
  for (size_t lane = 0; lane < stride; lane += 16) {
    Float16 a = FLOAT16_LOAD(p + lane), b = FLOAT16_LOAD(q + lane);
    dot += a * b;
    if (adaptive) user_square += a * a, item_square += b * b;
  }
  float rate_user = step->rate, bias_user = step->bias_rate, rate_item = rate_user, bias_item = bias_user;
  float regularization = step->regularization, wrong = entry->value - (user->bias + item->bias);
  if (adaptive) {
    Float4 all = sums(dot, user_square, item_square);
    wrong -= all[0];
    Float4 rates = {step->rate, step->bias_rate, step->rate, step->bias_rate};
    rates /= roots((Float4){user->sum, user->bias_sum, item->sum, item->bias_sum});
    rate_user = rates[0], bias_user = rates[1], rate_item = rates[2], bias_item = rates[3];
    /* ‖wrong q − λ p‖² and ‖wrong p − λ q‖² */
    float cross = -2 * wrong * regularization * all[0], error2 = wrong * wrong,
          shrink2 = regularization * regularization;
    user->sum += step->share * positive(error2 * all[2] + cross + shrink2 * all[1]);
    item->sum += step->share * positive(error2 * all[1] + cross + shrink2 * all[2]);
    user->bias_sum += error2;
    item->bias_sum += error2;
  } else {
    wrong -= sum_of(dot);
  }
  user->bias += bias_user * (wrong - step->bias_regularization * user->bias);
  item->bias += bias_item * (wrong - step->bias_regularization * item->bias);
  float keep_user = 1 - rate_user * regularization, keep_item = 1 - rate_item * regularization;
  float step_user = rate_user * wrong, step_item = rate_item * wrong;
#pragma GCC unroll 32
  for (size_t lane = 0; lane < stride; lane += REGISTER_LANES) {
    FloatRegister a = REGISTER_LOAD(p + lane), b = REGISTER_LOAD(q + lane);
    REGISTER_STORE(p + lane, keep_user * a + step_user * b);
    REGISTER_STORE(q + lane, keep_item * b + step_item * a);
  }
  return wrong;
}

SIMD_INLINE double learn_all(const int vectors, const int adaptive, const SgdBlock *all, const SgdStep *how) {
  const SgdBlock own = *all, *block = &own; /* which no store can change */
  const SgdStep own_step = *how, *step = &own_step;
  double squared = 0;
  for (size_t k = 0; k < block->count; k++) {
    fetch(block, k, vectors ? (size_t)vectors * 16 : block->stride);
    double wrong = (double)learn_one(vectors, adaptive, block, &block->entries[k], step);
    squared += wrong * wrong;
  }
  return squared;
}

#define LEARN(vectors)                                                                               \
  static double learn_##vectors(const SgdBlock *block, const SgdStep *step) {                        \
    return step->adaptive ? learn_all(vectors, 1, block, step) : learn_all(vectors, 0, block, step); \
  }
LEARN(0)
LEARN(1)
LEARN(2)
LEARN(3)
LEARN(4)
LEARN(5)
LEARN(6)
LEARN(7)
LEARN(8)

static double sgd_learn(const SgdBlock *block, const SgdStep *step) {
  switch (block->stride / 16) {
    case 1: return learn_1(block, step);
    case 2: return learn_2(block, step);
    case 3: return learn_3(block, step);
    case 4: return learn_4(block, step);
    case 5: return learn_5(block, step);
    case 6: return learn_6(block, step);
    case 7: return learn_7(block, step);
    case 8: return learn_8(block, step);
    default: return learn_0(block, step);
  }
}

static double sgd_measure(const SgdBlock *block) {
  double squared = 0;
  for (size_t k = 0; k < block->count; k++) {
    const SgdEntry *entry = &block->entries[k];
    const float *p = block->user + entry->user * block->stride, *q = block->item + entry->item * block->stride;
    Float16 dot = {0};
    for (size_t lane = 0; lane < block->stride; lane += 16) dot += FLOAT16_LOAD(p + lane) * FLOAT16_LOAD(q + lane);
    float biases = block->user_row[entry->user].bias + block->item_row[entry->item].bias;
    double wrong = (double)(entry->value - biases - sum_of(dot));
    squared += wrong * wrong;
  }
  return squared;
}

extern const SgdKernels SIMD_NAME(sgd_kernels);
const SgdKernels SIMD_NAME(sgd_kernels) = {sgd_learn, sgd_measure};
