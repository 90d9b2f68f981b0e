/* The inner loops of svdpp.c, compiled once for each instruction set: see base/simd.h. Rows have `stride` floats, a
 * multiple of 16, and are aligned to 64 bytes. */
#ifndef RECOMMEND_LEARN_SVDPP_KERNELS_H
#define RECOMMEND_LEARN_SVDPP_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/simd.h"

typedef struct SvdppStep {
  float rate;
  float regularization, bias_regularization;
  float bias_rate; /* 0: there are no biases */
} SvdppStep;

/* A user's ratings, in the order they are learnt in; and what they are about. */
typedef struct SvdppUser {
  const uint32_t *index; /* items */
  const float *value;
  size_t count;
  float mean;
  float *items, *item_bias; /* q, and b_i (one an item) */
  float *user, user_bias;   /* w = p + z, and b_u: changed */
  size_t stride;
} SvdppUser;

typedef struct SvdppKernels {
  /* One step for each rating; returns the sum of the squared errors before each. */
  double (*learn)(SvdppUser *user, const SvdppStep *step);
  /* sum = Σ rows[index], over `count` of them. */
  void (*gather)(size_t count, const uint32_t *index, const float *rows, size_t stride, float *sum);
  /* rows[index] = keep · rows[index] + scale · x, for `count` of them. */
  void (*scatter)(size_t count, const uint32_t *index, float keep, float scale, const float *x, size_t stride,
                  float *rows);
} SvdppKernels;

extern const SvdppKernels svdpp_kernels_generic;
#if defined(__x86_64__)
extern const SvdppKernels svdpp_kernels_avx2, svdpp_kernels_avx512;
#endif

static inline const SvdppKernels *svdpp_kernels(void) { return SIMD_PICK(svdpp_kernels); }

#endif
