/* Steps of logistic losses: see sampled_kernels.h. */
#include "sampled_kernels.h"

#include <math.h>
#include <string.h>

#include "../base/simd_sums.h"

#define AHEAD 4 /* samples whose rows are fetched before they are needed */

SIMD_INLINE void fetch(const float *row, size_t stride) {
  for (size_t lane = 0; lane < stride; lane += 16) __builtin_prefetch(row + lane, 1);
}

/* e^x for x ≤ 0, to 1e-7 of itself: 2^k with k whole, by the exponent's bits, times a polynomial. A call to the library
 * would have all vectors saved and restored. */
SIMD_INLINE float exponential(float x) {
  float power = x * 1.44269504F;
  power = power < -126 ? -126 : power; /* not a number: stays one */
  float whole = power + 12582912.0F;   /* 1.5 · 2²³: adding it rounds to a whole number */
  float f = power - (whole - 12582912.0F);
  float p = f * 1.5403530e-4F + 1.3333558e-3F; /* Σ (f log 2)^n / n! */
  p = p * f + 9.6181291e-3F;
  p = p * f + 5.5504109e-2F;
  p = p * f + 2.4022651e-1F;
  p = p * f + 6.9314718e-1F;
  p = p * f + 1;
  int32_t bits, one = 0x4B400000;
  memcpy(&bits, &whole, sizeof bits);
  bits = (int32_t)((uint32_t)(bits - one + 127) << 23);
  float scale;
  memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

/* log(1 + e) for 0 ≤ e ≤ 1, to 1e-7: 2 artanh(e / (2 + e)). */
SIMD_INLINE float log_of_1_plus(float e) {
  float z = e / (2 + e), y = z * z;
  float p = y * (1.0F / 13) + 1.0F / 11;
  p = p * y + 1.0F / 9;
  p = p * y + 1.0F / 7;
  p = p * y + 1.0F / 5;
  p = p * y + 1.0F / 3;
  return 2 * z * (p * y + 1);
}

/* −log σ(x); *wrong becomes σ(−x). */
SIMD_INLINE float loss_of(float x, float *wrong) {
  float e = exponential(-fabsf(x)), less = 1 / (1 + e);
  *wrong = x > 0 ? e * less : less;
  return log_of_1_plus(e) + (x > 0 ? 0 : -x);
}

/* The length of a step after this gradient's squares have been added to those before. */
SIMD_INLINE float rate_of(float rate, float *sum, float square) {
  float now = rate / sqrtf(*sum);
  *sum += square;
  return now;
}

SIMD_INLINE void move_bias(const SampledSide *side, size_t row, float slope, const SampledStep *step) {
  float rate = rate_of(step->rate, &side->row[row].bias_sum, slope * slope);
  side->bias[row] += rate * (slope - step->bias_regularization * side->bias[row]);
}

SIMD_INLINE double pairs_of(const int vectors, const Sample *samples, size_t count, const SampledSide *users,
                            const SampledSide *items, const SampledStep *step) {
  const size_t stride = vectors ? (size_t)vectors * 16 : step->stride;
  const float shrink = step->regularization;
  double loss = 0;
  for (size_t k = 0; k < count; k++) {
    const Sample *sample = &samples[k], *later = &samples[k + AHEAD < count ? k + AHEAD : k];
    size_t u = sample->user, i = sample->item, j = sample->with.other;
    float *p = users->factors + u * stride, *q = items->factors + i * stride, *r = items->factors + j * stride;
    Float16 dot = {0}, user_square = {0}, item_square = {0};
    fetch(users->factors + later->user * stride, stride);
    fetch(items->factors + later->item * stride, stride);
    fetch(items->factors + later->with.other * stride, stride);
    for (size_t lane = 0; lane < stride; lane += 16) {
      Float16 a = FLOAT16_LOAD(p + lane), d = FLOAT16_LOAD(q + lane) - FLOAT16_LOAD(r + lane);
      dot += a * d, user_square += a * a, item_square += d * d;
    }
    Float4 all = sums(dot, user_square, item_square);
    float x = all[0], slope;
    if (items->bias) x += items->bias[i] - items->bias[j];
    loss += (double)loss_of(x, &slope);
    float square = step->share * slope * slope;
    float rate_p = rate_of(step->rate, &users->row[u].sum, square * all[2]);
    float rate_q = rate_of(step->rate, &items->row[i].sum, square * all[1]);
    float rate_r = rate_of(step->rate, &items->row[j].sum, square * all[1]);
    if (items->bias) {
      move_bias(items, i, slope, step);
      move_bias(items, j, -slope, step);
    }
    for (size_t lane = 0; lane < stride; lane += REGISTER_LANES) {
      FloatRegister a = REGISTER_LOAD(p + lane), b = REGISTER_LOAD(q + lane), c = REGISTER_LOAD(r + lane);
      REGISTER_STORE(p + lane, (1 - rate_p * shrink) * a + rate_p * slope * (b - c));
      REGISTER_STORE(q + lane, (1 - rate_q * shrink) * b + rate_q * slope * a);
      REGISTER_STORE(r + lane, (1 - rate_r * shrink) * c - rate_r * slope * a);
    }
  }
  return loss;
}

SIMD_INLINE double cells_of(const int vectors, const Sample *samples, size_t count, const SampledSide *users,
                            const SampledSide *items, const SampledStep *step) {
  const size_t stride = vectors ? (size_t)vectors * 16 : step->stride;
  const float shrink = step->regularization;
  double loss = 0;
  for (size_t k = 0; k < count; k++) {
    const Sample *sample = &samples[k], *later = &samples[k + AHEAD < count ? k + AHEAD : k];
    size_t u = sample->user, i = sample->item;
    float *p = users->factors + u * stride, *q = items->factors + i * stride, weight = sample->with.weight;
    Float16 dot = {0}, user_square = {0}, item_square = {0};
    fetch(users->factors + later->user * stride, stride);
    fetch(items->factors + later->item * stride, stride);
    for (size_t lane = 0; lane < stride; lane += 16) {
      Float16 a = FLOAT16_LOAD(p + lane), b = FLOAT16_LOAD(q + lane);
      dot += a * b, user_square += a * a, item_square += b * b;
    }
    Float4 all = sums(dot, user_square, item_square);
    float x = all[0], slope;
    if (items->bias) x += users->bias[u] + items->bias[i];
    loss += (double)(fabsf(weight) * loss_of(weight < 0 ? -x : x, &slope));
    slope *= weight;
    float square = step->share * slope * slope;
    float rate_p = rate_of(step->rate, &users->row[u].sum, square * all[2]);
    float rate_q = rate_of(step->rate, &items->row[i].sum, square * all[1]);
    if (items->bias) {
      move_bias(users, u, slope, step);
      move_bias(items, i, slope, step);
    }
    for (size_t lane = 0; lane < stride; lane += REGISTER_LANES) {
      FloatRegister a = REGISTER_LOAD(p + lane), b = REGISTER_LOAD(q + lane);
      REGISTER_STORE(p + lane, (1 - rate_p * shrink) * a + rate_p * slope * b);
      REGISTER_STORE(q + lane, (1 - rate_q * shrink) * b + rate_q * slope * a);
    }
  }
  return loss;
}

/* With `vectors` known the loops over a row are taken apart; 0: of any length. */
#define LEARN(name, vectors)                                                                    \
  static double name##_##vectors(const Sample *samples, size_t count, const SampledSide *users, \
                                 const SampledSide *items, const SampledStep *step) {           \
    return name##_of(vectors, samples, count, users, items, step);                              \
  }
#define LEARN_ALL(name)                                                                                       \
  LEARN(name, 0)                                                                                              \
  LEARN(name, 1)                                                                                              \
  LEARN(name, 2)                                                                                              \
  LEARN(name, 4)                                                                                              \
  static double name(const Sample *samples, size_t count, const SampledSide *users, const SampledSide *items, \
                     const SampledStep *step) {                                                               \
    switch (step->stride / 16) {                                                                              \
      case 1: return name##_1(samples, count, users, items, step);                                            \
      case 2: return name##_2(samples, count, users, items, step);                                            \
      case 4: return name##_4(samples, count, users, items, step);                                            \
      default: return name##_0(samples, count, users, items, step);                                           \
    }                                                                                                         \
  }
LEARN_ALL(pairs)
LEARN_ALL(cells)

extern const SampledKernels SIMD_NAME(sampled_kernels);
const SampledKernels SIMD_NAME(sampled_kernels) = {pairs, cells};
