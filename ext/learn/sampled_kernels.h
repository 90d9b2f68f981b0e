/* The inner loops of sampled.c, compiled once for each instruction set: see base/simd.h. */
#ifndef RECOMMEND_LEARN_SAMPLED_KERNELS_H
#define RECOMMEND_LEARN_SAMPLED_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/simd.h"

/* One step: a user, an item that they have and one that they don't have; or a user and an item, with the weight of the
 * cell, which is negative where the user does not have the item. */
typedef struct Sample {
  uint32_t user, item;
  union {
    uint32_t other;
    float weight;
  } with;
} Sample;

/* What a row has learnt: sums of its squared gradients, of the factors averaged over the rank, and what they began
 * at. */
typedef struct SampledRow {
  float sum, bias_sum;
} SampledRow;

/* The rows of users, or of items, all of them. */
typedef struct SampledSide {
  float *factors; /* rows of `stride` floats, aligned to 64 bytes */
  float *bias;    /* NULL: there are none */
  SampledRow *row;
} SampledSide;

typedef struct SampledStep {
  float rate;
  float regularization, bias_regularization;
  float share;   /* 1 / rank */
  size_t stride; /* a multiple of 16 */
} SampledStep;

/* Learns from samples in their order; returns the sum of their losses before each step. */
typedef double SampledLearn(const Sample *samples, size_t count, const SampledSide *users, const SampledSide *items,
                            const SampledStep *step);

typedef struct SampledKernels {
  SampledLearn *pairs; /* of bpr.c */
  SampledLearn *cells; /* of logistic.c */
} SampledKernels;

extern const SampledKernels sampled_kernels_generic;
#if defined(__x86_64__)
extern const SampledKernels sampled_kernels_avx2, sampled_kernels_avx512;
#endif

static inline const SampledKernels *sampled_kernels(void) { return SIMD_PICK(sampled_kernels); }

#endif
