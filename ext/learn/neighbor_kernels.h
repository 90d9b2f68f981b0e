/* The inner loops of neighbors.c, compiled once for each instruction set: see base/simd.h. */
#ifndef RECOMMEND_LEARN_NEIGHBOR_KERNELS_H
#define RECOMMEND_LEARN_NEIGHBOR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/simd.h"

/* What is summed over the common features of a row, x, with each other row, y. */
typedef enum NeighborSumKind {
  NEIGHBOR_COUNTS,              /* count */
  NEIGHBOR_PRODUCTS,            /* sum: Σ x y */
  NEIGHBOR_PRODUCTS_AND_COUNTS, /* both */
  NEIGHBOR_DIFFERENCES,         /* sum: Σ (x − y)²; count */
  NEIGHBOR_MOMENTS              /* moment */
} NeighborSumKind;

enum { NEIGHBOR_MOMENT_LANES = 8 }; /* Σ x y, Σ x, Σ y, Σ x², Σ y², n, 0, 0 */

enum { NEIGHBOR_CODE_BITS = 8, NEIGHBOR_CODES = 1 << NEIGHBOR_CODE_BITS };

/* Where many of the longest rows, those below `width`, have a feature, their values are also kept side by side, as
 * multiples of a power of two. Only where all values are such multiples, and so small that every sum is exact: then the
 * bytes don't depend on the way that is taken. */
typedef struct NeighborDense {
  size_t width;          /* a multiple of 32; 0: there is none */
  const uint8_t *value;  /* width a dense feature; 0: the row does not have it */
  const uint32_t *place; /* of each feature: which dense one it is; NEIGHBOR_SPARSE: none */
  const uint32_t *below; /* of each dense feature: the rows below width that have it */
  float unit;
  uint32_t most; /* products of multiples that 16 bits hold for certain */
} NeighborDense;

enum { NEIGHBOR_DENSE_WIDTH = 1024 };
#define NEIGHBOR_SPARSE UINT32_MAX

/* The features, and who has them: in one word each where there are few different values (as there are of ratings), else
 * in two arrays. */
typedef struct NeighborFeatures {
  const size_t *start;   /* of each feature's rows in the others */
  const uint32_t *coded; /* row << NEIGHBOR_CODE_BITS | code of the value, ascending; NULL: the others are used */
  const float *table;    /* the value of a code; NEIGHBOR_CODES of them */
  size_t codes;
  const uint32_t *index; /* rows, ascending */
  const float *value;    /* NULL: they don't matter */
  NeighborDense dense;
} NeighborFeatures;

/* A row: its features, its values, and how many rows of each feature are looked at. */
typedef struct NeighborRow {
  const uint32_t *feature;
  const float *value;
  const uint32_t *length; /* NULL: all */
  size_t features;
  size_t end; /* the rows looked at are below this */
} NeighborRow;

/* One of each a row, those that the kind uses; all 0 in between. */
typedef struct NeighborSums {
  int32_t *count;
  float *sum;
  double *moment; /* rows × NEIGHBOR_MOMENT_LANES, aligned to 64 bytes */
} NeighborSums;

typedef enum NeighborFormula { NEIGHBOR_COSINE, NEIGHBOR_PEARSON, NEIGHBOR_JACCARD, NEIGHBOR_MSD } NeighborFormula;

/* What turns sums into similarities. */
typedef struct NeighborScale {
  NeighborFormula formula;
  NeighborSumKind kind;
  const float *inverse_norm; /* a row */
  const float *length;       /* a row: its features */
  int32_t min_support;       /* ≥ 1 */
  float shrinkage;
} NeighborScale;

typedef struct NeighborKernels {
  void (*add)(NeighborSumKind kind, const NeighborFeatures *features, const NeighborRow *row, const NeighborSums *sums);

  /* The similarities of a row with the rows first … first + count - 1. Where there is no support or too little: 0. */
  void (*similarities)(const NeighborScale *scale, const NeighborSums *sums, size_t row, size_t first, size_t count,
                       float *similarity);

  /* Which of them reach `own_bar` or, unless that is NULL, their own bar: their places, ascending; returns how many. */
  size_t (*above)(const float *similarity, const float *bar, float own_bar, size_t count, uint16_t *chosen);
} NeighborKernels;

extern const NeighborKernels neighbor_kernels_generic;
#if defined(__x86_64__)
extern const NeighborKernels neighbor_kernels_avx2, neighbor_kernels_avx512;
#endif

static inline const NeighborKernels *neighbor_kernels(void) { return SIMD_PICK(neighbor_kernels); }

#endif
