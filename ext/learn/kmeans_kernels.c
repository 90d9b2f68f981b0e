/* Distances of rows to centroids, and sums of rows: see kmeans_kernels.h.
 *
 * A tile of rows × 16 sums stays in registers while the lanes go by. The rows of a tile are first laid side by side, a
 * piece of each at a time, so that all are reached from one address. */
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

SIMD_INLINE Vector load(const float *from) { return *(const Vector *)(const void *)from; }
SIMD_INLINE void store(float *to, Vector v) { *(Vector *)(void *)to = v; }

#define PIECE KMEANS_PIECE

/* scratch[(piece * TILE + row) * PIECE + lane]; rows that are missing repeat the last. */
SIMD_INLINE void lay(const KmeansPacked *p, const float *const *rows, size_t count) {
  for (size_t r = 0; r < TILE; r++) {
    const float *row = rows[r < count ? r : count - 1];
    for (size_t lane = 0; lane < p->stride; lane += WIDTH)
      store(p->scratch + (lane / PIECE * TILE + r) * PIECE + lane % PIECE, load(row + lane) - load(p->origin + lane));
  }
}

/* sum[r * PARTS + part] = squared distances, or scores, of row r to 16 centroids. */
SIMD_INLINE void block_sums(const KmeansPacked *p, size_t block, const int squares, Vector sum[TILE * PARTS]) {
  const float *packed = p->packed + block * p->stride * KMEANS_PACKED, *laid = p->scratch;
  const Vector zero = {0};
  SIMD_UNROLL
  for (int i = 0; i < TILE * PARTS; i++)
    sum[i] = squares ? zero : load(p->bias + block * KMEANS_PACKED + i % PARTS * WIDTH);
  for (size_t first = 0; first < p->stride; first += PIECE, laid += TILE * PIECE) {
    size_t length = p->stride - first < PIECE ? p->stride - first : PIECE;
    for (size_t lane = 0; lane < length; lane++, packed += KMEANS_PACKED) {
      Vector c[PARTS];
      SIMD_UNROLL
      for (int part = 0; part < PARTS; part++) c[part] = load(packed + part * WIDTH);
      SIMD_UNROLL
      for (int r = 0; r < TILE; r++) {
        SIMD_UNROLL
        for (int part = 0; part < PARTS; part++) {
          Vector difference = c[part] - laid[r * PIECE + (int)lane];
          if (squares)
            sum[r * PARTS + part] += difference * difference;
          else
            sum[r * PARTS + part] -= c[part] * laid[r * PIECE + (int)lane];
        }
      }
    }
  }
}

static void distances(const KmeansPacked *p, const float *const *rows, size_t count, float *distance) {
  lay(p, rows, count);
  for (size_t block = 0; block < p->blocks; block++) {
    Vector sum[TILE * PARTS];
    block_sums(p, block, 1, sum);
    for (size_t r = 0; r < count; r++)
      for (size_t part = 0; part < PARTS; part++)
        store(distance + (r * p->blocks + block) * KMEANS_PACKED + part * WIDTH, sum[r * PARTS + part]);
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

typedef float Float8 __attribute__((vector_size(32), may_alias));
typedef int32_t Integer8 __attribute__((vector_size(32), may_alias));
typedef float Float4 __attribute__((vector_size(16), may_alias));
typedef int32_t Integer4 __attribute__((vector_size(16), may_alias));

#define CHOOSE(FLOATS, INTEGERS, mask, a, b) ((FLOATS)(((mask) & (INTEGERS)(a)) | (~(mask) & (INTEGERS)(b))))

/* Halves against halves, in place. */
#define JOIN_HALVES(FLOATS, INTEGERS, half)                                                              \
  {                                                                                                      \
    FLOATS a = *(FLOATS *)(void *)best, b = *(FLOATS *)(void *)(best + (half));                          \
    FLOATS c = *(FLOATS *)(void *)second, d = *(FLOATS *)(void *)(second + (half));                      \
    INTEGERS m = *(INTEGERS *)(void *)index, n = *(INTEGERS *)(void *)(index + (half));                  \
    INTEGERS closer = (b < a) | ((b == a) & (n < m));                                                    \
    FLOATS more = CHOOSE(FLOATS, INTEGERS, closer, a, b), least = CHOOSE(FLOATS, INTEGERS, d < c, d, c); \
    *(FLOATS *)(void *)best = CHOOSE(FLOATS, INTEGERS, closer, b, a);                                    \
    *(FLOATS *)(void *)second = CHOOSE(FLOATS, INTEGERS, more < least, more, least);                     \
    *(INTEGERS *)(void *)index = (closer & n) | (~closer & m);                                           \
  }

/* The lanes' least two become one pair's; there are no branches, since they would be taken at random. */
SIMD_INLINE KmeansPair join_lanes(Lanes *lanes) {
  float *best = lanes->best, *second = lanes->second;
  int32_t *index = lanes->block;
  for (int lane = 0; lane < KMEANS_PACKED; lane++) index[lane] = index[lane] * KMEANS_PACKED + lane;
  JOIN_HALVES(Float8, Integer8, 8)
  JOIN_HALVES(Float4, Integer4, 4)
  KmeansPair pair = {best[0], second[0], (uint32_t)index[0]};
  for (int lane = 1; lane < 4; lane++) {
    int closer = best[lane] < pair.best || (best[lane] == pair.best && (uint32_t)index[lane] < pair.index);
    float more = closer ? pair.best : best[lane], least = second[lane] < pair.second ? second[lane] : pair.second;
    pair.second = more < least ? more : least;
    pair.best = closer ? best[lane] : pair.best;
    pair.index = closer ? (uint32_t)index[lane] : pair.index;
  }
  return pair;
}

static void nearest(const KmeansPacked *p, const float *const *rows, size_t count, KmeansPair *pairs) {
  Lanes lanes[TILE];
  lay(p, rows, count);
  for (int r = 0; r < TILE; r++)
    for (int lane = 0; lane < KMEANS_PACKED; lane++) {
      lanes[r].best[lane] = lanes[r].second[lane] = INFINITY;
      lanes[r].block[lane] = 0;
    }
  for (size_t block = 0; block < p->blocks; block++) {
    Vector sum[TILE * PARTS];
    block_sums(p, block, 0, sum);
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

static double squared_float(const float *x, const float *c, size_t stride) {
  Double8 sum[2] = {{0}, {0}};
  for (size_t lane = 0; lane < stride; lane += 16) {
    SIMD_UNROLL
    for (int v = 0; v < 2; v++) {
      Double8 difference = WIDEN(x + lane + 8 * v) - WIDEN(c + lane + 8 * v);
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
const KmeansKernels SIMD_NAME(kmeans_kernels) = {TILE, distances, nearest, squared, squared_float, squared_double, sum};
