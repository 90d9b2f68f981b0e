/* The inner loops of k-means on dense rows, compiled once for each instruction set: see base/simd.h.
 *
 * Centroids are packed by 16, lanes first: packed[(block * stride + lane) * 16 + centroid]. Those that only fill the
 * last block up are infinitely far: all their lanes are INFINITY. Rows have `stride` floats, a multiple of 16, and are
 * aligned to 64 bytes, like all arrays here. */
#ifndef RECOMMEND_LEARN_KMEANS_KERNELS_H
#define RECOMMEND_LEARN_KMEANS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/simd.h"

enum { KMEANS_PACKED = 16, KMEANS_MOST_TILE = 12 };

/* Squared distances: of the nearest centroid, the lower one of equals, and of the nearest but it. */
typedef struct KmeansPair {
  float best, second;
  uint32_t index;
} KmeansPair;

typedef struct KmeansKernels {
  size_t tile; /* how many rows are taken at once; at most KMEANS_MOST_TILE */

  /* For `count` ≤ tile rows: all squared distances, distance[row * 16 blocks + centroid], or the least two.
   * `scratch` has room for tile × stride floats. */
  void (*distances)(const float *const *rows, size_t count, const float *packed, size_t blocks, size_t stride,
                    float *scratch, float *distance);
  void (*nearest)(const float *const *rows, size_t count, const float *packed, size_t blocks, size_t stride,
                  float *scratch, KmeansPair *nearest);

  /* Σ (x_l − c_l)², summed in double. */
  double (*squared)(const float *x, const double *c, size_t stride);
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
