/* Distances of rows to centroids, and sums of rows: see kmeans_kernels.h.
 *
 * A tile of rows × 16 sums stays in registers while the lanes go by. Differences are squared, not products taken: then
 * nothing cancels, and a distance is as exact relative to itself as its summands are. The rows of a tile are turned
 * around first, so that a lane's numbers lie side by side. */
#include "kmeans_kernels.h"

#include <math.h>

#if defined(__AVX512F__)
#define WIDTH 16
#define TILE 12 /* of 32 registers */
#elif defined(__AVX2__)
#define WIDTH 8
#define TILE 6 /* 12 of 16: two a row */
#else
#define WIDTH 4
#define TILE 3
#endif

#define PARTS (KMEANS_PACKED / WIDTH) /* registers a block */

typedef float Vector __attribute__((vector_size(4 * WIDTH), may_alias));
typedef int32_t Mask __attribute__((vector_size(4 * WIDTH), may_alias));
typedef double Double8 __attribute__((vector_size(64)));
typedef double Double8Unaligned __attribute__((vector_size(64), aligned(8)));
typedef float Float8Unaligned __attribute__((vector_size(32), aligned(4)));

#define LOAD_DOUBLES(pointer) (*(const Double8Unaligned *)(const void *)(pointer))
#define WIDEN(pointer) __builtin_convertvector(*(const Float8Unaligned *)(const void *)(pointer), Double8)

/* ---- distances --------------------------------------------------------------------------------------------------- */

/* turned[lane * TILE + row]; rows that are missing repeat the last. */
SIMD_INLINE void turn(const float *const *rows, size_t count, size_t stride, float *turned) {
  for (size_t r = 0; r < TILE; r++) {
    const float *row = rows[r < count ? r : count - 1];
    for (size_t lane = 0; lane < stride; lane++) turned[lane * TILE + r] = row[lane];
  }
}

SIMD_INLINE Vector load(const float *from) { return *(const Vector *)(const void *)from; }
SIMD_INLINE void store(float *to, Vector v) { *(Vector *)(void *)to = v; }

SIMD_INLINE void block_distances(const float *turned, const float *packed, size_t stride, Vector sum[TILE * PARTS]) {
  SIMD_UNROLL
  for (int i = 0; i < TILE * PARTS; i++) sum[i] = (Vector){0};
  for (size_t lane = 0; lane < stride; lane++, packed += KMEANS_PACKED, turned += TILE) {
    Vector c[PARTS];
    SIMD_UNROLL
    for (int part = 0; part < PARTS; part++) c[part] = load(packed + part * WIDTH);
    SIMD_UNROLL
    for (int r = 0; r < TILE; r++) {
      SIMD_UNROLL
      for (int part = 0; part < PARTS; part++) {
        Vector difference = c[part] - turned[r];
        sum[r * PARTS + part] += difference * difference;
      }
    }
  }
}

static void distances(const float *const *rows, size_t count, const float *packed, size_t blocks, size_t stride,
                      float *scratch, float *distance) {
  turn(rows, count, stride, scratch);
  for (size_t block = 0; block < blocks; block++) {
    Vector sum[TILE * PARTS];
    block_distances(scratch, packed + block * stride * KMEANS_PACKED, stride, sum);
    for (size_t r = 0; r < count; r++)
      for (size_t part = 0; part < PARTS; part++)
        store(distance + (r * blocks + block) * KMEANS_PACKED + part * WIDTH, sum[r * PARTS + part]);
  }
}

/* a where the mask's lanes are all ones, b where they are zero. */
SIMD_INLINE Vector choose(Mask mask, Vector a, Vector b) { return (Vector)((mask & (Mask)a) | (~mask & (Mask)b)); }

/* The least two of a row, lane by lane, with the block of the least. */
typedef struct Lanes {
  float best[KMEANS_PACKED], second[KMEANS_PACKED];
  int32_t block[KMEANS_PACKED];
} __attribute__((aligned(64))) Lanes;

SIMD_INLINE void keep_least(Lanes *lanes, const Vector *sum, int32_t block) {
  SIMD_UNROLL
  for (int part = 0; part < PARTS; part++) {
    float *best_lanes = lanes->best + part * WIDTH, *second_lanes = lanes->second + part * WIDTH;
    Mask *block_lanes = (Mask *)(void *)(lanes->block + part * WIDTH);
    Vector best = load(best_lanes), second = load(second_lanes);
    Mask closer = sum[part] < best;
    Vector farther = choose(closer, best, sum[part]);
    store(second_lanes, choose(farther < second, farther, second));
    store(best_lanes, choose(closer, sum[part], best));
    *block_lanes = (closer & ((Mask){0} + block)) | (~closer & *block_lanes);
  }
}

static KmeansPair join_lanes(const Lanes *lanes) {
  KmeansPair pair = {INFINITY, INFINITY, 0};
  for (int lane = 0; lane < KMEANS_PACKED; lane++) {
    uint32_t index = (uint32_t)(lanes->block[lane] * KMEANS_PACKED + lane);
    float d = lanes->best[lane];
    if (d < pair.best || (d == pair.best && index < pair.index)) {
      pair.second = pair.best;
      pair.best = d;
      pair.index = index;
    } else if (d < pair.second) {
      pair.second = d;
    }
    if (lanes->second[lane] < pair.second) pair.second = lanes->second[lane];
  }
  return pair;
}

static void nearest(const float *const *rows, size_t count, const float *packed, size_t blocks, size_t stride,
                    float *scratch, KmeansPair *pairs) {
  Lanes lanes[TILE];
  turn(rows, count, stride, scratch);
  for (int r = 0; r < TILE; r++)
    for (int lane = 0; lane < KMEANS_PACKED; lane++) {
      lanes[r].best[lane] = lanes[r].second[lane] = INFINITY;
      lanes[r].block[lane] = 0;
    }
  for (size_t block = 0; block < blocks; block++) {
    Vector sum[TILE * PARTS];
    block_distances(scratch, packed + block * stride * KMEANS_PACKED, stride, sum);
    SIMD_UNROLL
    for (int r = 0; r < TILE; r++) keep_least(&lanes[r], sum + r * PARTS, (int32_t)block);
  }
  for (size_t r = 0; r < count; r++) pairs[r] = join_lanes(&lanes[r]);
}

/* ---- in double --------------------------------------------------------------------------------------------------- */

SIMD_INLINE double sum_lanes(Double8 v) { return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7])); }

static double squared(const float *x, const double *c, size_t stride) {
  Double8 sum[2] = {{0}, {0}};
  for (size_t lane = 0; lane < stride; lane += 16) {
    SIMD_UNROLL
    for (int v = 0; v < 2; v++) {
      Double8 difference = WIDEN(x + lane + 8 * v) - LOAD_DOUBLES(c + lane + 8 * v);
      sum[v] += difference * difference;
    }
  }
  return sum_lanes(sum[0] + sum[1]);
}

static double squared_double(const double *x, const double *c, size_t stride) {
  Double8 sum = {0};
  double rest = 0;
  size_t lane = 0;
  for (; lane + 8 <= stride; lane += 8) {
    Double8 difference = LOAD_DOUBLES(x + lane) - LOAD_DOUBLES(c + lane);
    sum += difference * difference;
  }
  for (; lane < stride; lane++) rest += (x[lane] - c[lane]) * (x[lane] - c[lane]);
  return sum_lanes(sum) + rest;
}

#define AHEAD 12 /* rows to fetch ahead: they lie anywhere in memory */

static void sum(const float *values, size_t stride, const uint32_t *index, size_t count, double sign, double *total) {
  Double8 low = {0}, high = {0};
  for (size_t e = 0; e < count; e++) {
    const float *row = values + index[e] * stride;
    if (e + AHEAD < count) __builtin_prefetch(values + index[e + AHEAD] * stride);
    low += WIDEN(row);
    high += WIDEN(row + 8);
  }
  for (int lane = 0; lane < 8; lane++) {
    total[lane] += sign * low[lane];
    total[lane + 8] += sign * high[lane];
  }
}

extern const KmeansKernels SIMD_NAME(kmeans_kernels);
const KmeansKernels SIMD_NAME(kmeans_kernels) = {TILE, distances, nearest, squared, squared_double, sum};
