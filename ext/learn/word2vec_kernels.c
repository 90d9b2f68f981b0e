/* Losses and gradients of a word and what is near it: see word2vec_kernels.h. */
#include "word2vec_kernels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef int32_t Int16 __attribute__((vector_size(64)));

#define GROUP 4      /* vectors whose dot products with one vector are taken at once */
#define SURE 100.0f  /* a margin at which the loss is 0 */
#define JOINT 0.25f  /* of a pair's mixed second derivative is added to the others: both of its vectors move */
#define FACTORS 1024 /* of a product that stays within the range of a float: each is at most 2, there are 16 lanes */

SIMD_INLINE float sum_lanes(Float16 v) {
  v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  return v[0] + v[1];
}

SIMD_INLINE void dots(const int count, const float *x, const float *const *rows, size_t stride, float *dot) {
  Float16 sum[GROUP];
  SIMD_UNROLL
  for (int i = 0; i < count; i++) sum[i] = FLOAT16_LOAD(rows[i]) * FLOAT16_LOAD(x);
  for (size_t lane = 16; lane < stride; lane += 16) {
    Float16 v = FLOAT16_LOAD(x + lane);
    SIMD_UNROLL
    for (int i = 0; i < count; i++) sum[i] += FLOAT16_LOAD(rows[i] + lane) * v;
  }
  SIMD_UNROLL
  for (int i = 0; i < count; i++) dot[i] = sum_lanes(sum[i]);
}

/* y = Σ weight_i row_i; the weights are `step` floats apart. */
SIMD_INLINE void sum_lanes_of_rows(const int vectors, size_t count, const float *weight, size_t step,
                                   const float *const *rows, size_t lane, float *y) {
  Float16 sum[4];
  SIMD_UNROLL
  for (int v = 0; v < vectors; v++) sum[v] = (Float16){0};
  for (size_t i = 0; i < count; i++) {
    float w = weight[i * step];
    const float *row = rows[i] + lane;
    SIMD_UNROLL
    for (int v = 0; v < vectors; v++) sum[v] += w * FLOAT16_LOAD(row + 16 * v);
  }
  SIMD_UNROLL
  for (int v = 0; v < vectors; v++) FLOAT16_STORE(y + lane + 16 * v, sum[v]);
}

static void sum_rows(size_t count, const float *weight, size_t step, const float *const *rows, size_t stride,
                     float *y) {
  size_t lane = 0;
  for (; lane + 64 <= stride; lane += 64) sum_lanes_of_rows(4, count, weight, step, rows, lane, y);
  for (; lane + 32 <= stride; lane += 32) sum_lanes_of_rows(2, count, weight, step, rows, lane, y);
  if (lane < stride) sum_lanes_of_rows(1, count, weight, step, rows, lane, y);
}

/* a where the mask's lanes are all ones, b where they are zero. */
SIMD_INLINE Float16 choose(Int16 mask, Float16 a, Float16 b) {
  return (Float16)((mask & (Int16)a) | (~mask & (Int16)b));
}

/* e^x for x ≤ 0, to 1e-7 of itself: 2^k with k whole, by the exponent's bits, times a polynomial. */
SIMD_INLINE Float16 exponential(Float16 x) {
  const Float16 zero = {0}, magic = zero + 12582912.0f; /* 1.5 · 2²³: adding it rounds to a whole number */
  Float16 power = x * 1.44269504f;
  power = choose(power < zero - 126.0f, zero - 126.0f, power); /* not a number: stays one */
  Float16 whole = power + magic;
  Float16 f = power - (whole - magic);
  Float16 p = f * 1.5403530e-4f + 1.3333558e-3f; /* Σ (f log 2)^n / n! */
  p = p * f + 9.6181291e-3f;
  p = p * f + 5.5504109e-2f;
  p = p * f + 2.4022651e-1f;
  p = p * f + 6.9314718e-1f;
  p = p * f + 1.0f;
  Int16 scale = ((Int16)whole - (Int16)magic + 127) << 23;
  return p * (Float16)scale;
}

/* Margins y become the chances of being wrong, with (σ(|y|) − ½) / |y|, the second derivative of the parabola that
 * touches the loss from above at y and −y (Jaakkola & Jordan 2000); returns Σ log(1 + e^−margin). A
 * logarithm of a product stands for a sum of logarithms. */
static double judge(float *margin, float *bend, size_t padded) {
  double loss = 0;
  const Float16 zero = {0}, one = zero + 1.0f;
  for (size_t first = 0; first < padded; first += FACTORS) {
    Float16 product = one, sum = zero;
    for (size_t k = first; k < padded && k < first + FACTORS; k += 16) {
      Float16 y = FLOAT16_LOAD(margin + k);
      Int16 negative = y < zero;
      Float16 below = choose(negative, -y, zero), size = choose(negative, -y, y), e = exponential(-size);
      Float16 right = one / (one + e), wrong = e * right;
      product *= one + e;
      sum += below;
      FLOAT16_STORE(bend + k, choose(size < zero + 0.01f, zero + 0.25f, (right - 0.5f) / size));
      FLOAT16_STORE(margin + k, choose(negative, right, wrong));
    }
    double all = 1;
    for (int lane = 0; lane < 16; lane++) all *= (double)product[lane];
    loss += log(all);
    for (int lane = 0; lane < 16; lane++) loss += (double)sum[lane];
  }
  return loss;
}

static void squares(size_t count, const float *const *rows, size_t stride, float *square) {
  for (size_t i = 0; i < count; i++) dots(1, rows[i], &rows[i], stride, &square[i]);
}

static double pairs(const Word2vecPairs *p) {
  size_t n = p->inputs, m = p->outputs, padded = (n * m + 15) / 16 * 16;
  float *wrong = p->scratch, *bend = wrong + padded, *square = bend + padded;
  for (size_t k = n * m; k < padded; k++) wrong[k] = SURE;
  for (size_t i = 0; i < n; i++) {
    float *row = wrong + i * m;
    size_t j = 0;
    for (; j + GROUP <= m; j += GROUP) dots(GROUP, p->input[i], p->output + j, p->stride, row + j);
    for (; j + 2 <= m; j += 2) dots(2, p->input[i], p->output + j, p->stride, row + j);
    if (j < m) dots(1, p->input[i], p->output + j, p->stride, row + j);
    for (j = 1; j < m; j++) row[j] = -row[j]; /* noise is right when it is below zero */
  }
  double loss = judge(wrong, bend, padded);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 1; j < m; j++) wrong[i * m + j] = -wrong[i * m + j];
  squares(n, p->input, p->stride, square);
  squares(m, p->output, p->stride, square + n);
  memset(p->output_bend, 0, m * sizeof *p->output_bend);
  for (size_t i = 0; i < n; i++) {
    float sum = 0;
    for (size_t j = 0; j < m; j++) {
      float both = JOINT * fabsf(wrong[i * m + j]);
      sum += bend[i * m + j] * square[n + j] + both;
      p->output_bend[j] += bend[i * m + j] * square[i] + both;
    }
    p->input_bend[i] = sum;
    sum_rows(m, wrong + i * m, 1, p->output, p->stride, p->input_step + i * p->stride);
  }
  for (size_t j = 0; j < m; j++) sum_rows(n, wrong + j, m, p->input, p->stride, p->output_step + j * p->stride);
  return loss;
}

static void word2vec_add(size_t n, float scale, const float *x, float *y) {
  for (size_t i = 0; i < n; i += 16) FLOAT16_STORE(y + i, FLOAT16_LOAD(y + i) + scale * FLOAT16_LOAD(x + i));
}

extern const Word2vecKernels SIMD_NAME(word2vec_kernels);
const Word2vecKernels SIMD_NAME(word2vec_kernels) = {pairs, word2vec_add};
