/* The inner loops of k-means on dense rows, compiled once for each instruction set: see base/simd.h.
 *
 * Centroids are packed by 16, lanes first: packed[(block * stride + lane) * 16 + centroid], all less an origin, which
 * is taken from the rows too; the last block is filled up with zeros. Rows have `stride` floats, a multiple of 16, and
 * are aligned to 64 bytes, like all arrays here. */
#ifndef RECOMMEND_LEARN_KMEANS_KERNELS_H
#define RECOMMEND_LEARN_KMEANS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/simd.h"

enum { KMEANS_PACKED = 16, KMEANS_MOST_TILE = 12, KMEANS_PIECE = 64 };

/* The least score, of the lower centroid of equals, and the least of the others. */
typedef struct KmeansPair {
  float best, second;
  uint32_t index;
} KmeansPair;

typedef struct KmeansPacked {
  const float *packed, *origin; /* 16 blocks × stride, and stride */
  const float *bias;            /* 16 blocks: ‖c‖² / 2 of the packed centroids, INFINITY where there is none */
  size_t blocks, stride;
  float *scratch; /* kmeans_scratch floats */
} KmeansPacked;

static inline size_t kmeans_scratch(size_t stride) {
  return KMEANS_MOST_TILE * ((stride + KMEANS_PIECE - 1) / KMEANS_PIECE * KMEANS_PIECE);
}

typedef struct KmeansKernels {
  size_t tile; /* how many rows are taken at once; at most KMEANS_MOST_TILE */

  /* For `count` ≤ tile rows: all squared distances, distance[row * 16 blocks + centroid]. */
  void (*distances)(const KmeansPacked *packed, const float *const *rows, size_t count, float *distance);

  /* The least two scores, bias − x · c. */
  void (*nearest)(const KmeansPacked *packed, const float *const *rows, size_t count, KmeansPair *nearest);

  /* Σ (x_l − c_l)², summed in double. */
  double (*squared)(const float *x, const double *c, size_t stride);
  double (*squared_float)(const float *x, const float *c, size_t stride);
  double (*squared_double)(const double *x, const double *c, size_t stride);

  /* sum[0 … 15] += sign Σ values[index_e * stride + 0 … 15]. */
  void (*sum)(const float *values, size_t stride, const uint32_t *index, size_t count, double sign, double *sum);
} KmeansKernels;

extern const KmeansKernels kmeans_kernels_generic;
#if defined(__x86_64__)
extern const KmeansKernels kmeans_kernels_avx2, kmeans_kernels_avx512;
#endif

static inline const KmeansKernels *kmeans_kernels(void) { return SIMD_PICK(kmeans_kernels); }

#endif
