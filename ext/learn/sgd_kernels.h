/* The inner loops of sgd.c, compiled once for each instruction set: see base/simd.h. */
#ifndef RECOMMEND_LEARN_SGD_KERNELS_H
#define RECOMMEND_LEARN_SGD_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/simd.h"

/* A rating, its row and column counted from the block's first. */
typedef struct SgdEntry {
  uint16_t user, item;
  float value; /* less the mean */
} SgdEntry;

/* What a row has besides its factors. */
typedef struct SgdRow {
  float bias;
  float sum;      /* of the factors' squared gradients, averaged over the rank, with what it began at */
  float bias_sum; /* … and of the bias's */
  uint32_t count; /* ratings of the row */
} SgdRow;

typedef struct SgdStep {
  float rate, bias_rate; /* divided by √sum where the rates are adaptive */
  float regularization, bias_regularization;
  float share; /* 1 / rank */
  int adaptive;
} SgdStep;

/* Ratings in the order they are learnt in, and the rows of users and items they are about. */
typedef struct SgdBlock {
  const SgdEntry *entries;
  size_t count;
  float *user, *item; /* rows of `stride` floats, aligned to 64 bytes */
  SgdRow *user_row, *item_row;
  size_t stride; /* a multiple of 16 */
} SgdBlock;

typedef struct SgdKernels {
  /* One step for each rating; returns the sum of the squared errors before each. */
  double (*learn)(const SgdBlock *block, const SgdStep *step);
  double (*measure)(const SgdBlock *block); /* the sum of the squared errors */
} SgdKernels;

extern const SgdKernels sgd_kernels_generic;
#if defined(__x86_64__)
extern const SgdKernels sgd_kernels_avx2, sgd_kernels_avx512;
#endif

static inline const SgdKernels *sgd_kernels(void) { return SIMD_PICK(sgd_kernels); }

#endif
