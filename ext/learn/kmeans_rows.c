/* Single rows and centroids: see kmeans_rows.h.
 *
 * To find the nearest centroid, ‖x − c‖² = ‖x‖² − 2 x·c + ‖c‖² with products in single precision, of dense rows about
 * the mean of all. How wrong such a distance may be is known: where that could decide between two centroids, distances
 * are taken again in double. */
#include "kmeans_rows.h"

#include <math.h>
#include <string.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"

#define EPSILON 0x1p-24 /* the rounding of a float, as part of it */

/* ---- centroids --------------------------------------------------------------------------------------------------- */

int centroids_alloc(Centroids *centroids, const KmeansRows *rows, size_t count, const double *origin) {
  size_t columns = rows->dense ? rows->stride : rows->columns, width = (count + 15) / 16 * 16;
  *centroids = (Centroids){.count = count, .columns = columns, .width = width, .kernels = kmeans_kernels()};
  if (columns <= SIZE_MAX / sizeof(double)) {
    centroids->exact = memory_alloc_aligned(count, columns * sizeof(double));
    centroids->packed = memory_alloc_aligned(width, columns * sizeof(float));
  }
  centroids->square = memory_alloc_zero(count, sizeof *centroids->square);
  centroids->bias = memory_alloc_aligned(width, sizeof *centroids->bias);
  centroids->origin = memory_alloc_aligned(rows->dense ? columns : 0, sizeof *centroids->origin);
  if (!centroids->exact || !centroids->packed || !centroids->square || !centroids->bias || !centroids->origin) {
    centroids_free(centroids);
    return CODE_NOMEM;
  }
  for (size_t column = 0; rows->dense && origin && column < columns; column++)
    centroids->origin[column] = (float)origin[column];
  return CODE_OK;
}

void centroids_free(Centroids *centroids) {
  memory_free_aligned(centroids->exact);
  memory_free_aligned(centroids->packed);
  memory_free_aligned(centroids->bias);
  memory_free_aligned(centroids->origin);
  memory_free(centroids->square);
  *centroids = (Centroids){0};
}

/* What a coordinate is less in `packed`, and its place there. */
static double origin_of(const Centroids *centroids, const KmeansRows *rows, size_t column) {
  return rows->dense ? (double)centroids->origin[column] : 0;
}

static size_t packed_place(const Centroids *centroids, const KmeansRows *rows, size_t c, size_t column) {
  if (!rows->dense) return column * centroids->width + c;
  return (c / KMEANS_PACKED * centroids->columns + column) * KMEANS_PACKED + c % KMEANS_PACKED;
}

void centroids_pack(Centroids *centroids, const KmeansRows *rows) {
  double longest = 0;
  for (size_t c = 0; c < centroids->count; c++) {
    const double *exact = centroids->exact + c * centroids->columns;
    double square = 0, packed_square = 0;
    for (size_t column = 0; column < centroids->columns; column++) {
      double x = exact[column] - origin_of(centroids, rows, column);
      square += exact[column] * exact[column];
      packed_square += x * x;
      centroids->packed[packed_place(centroids, rows, c, column)] = (float)x;
    }
    centroids->square[c] = square;
    centroids->bias[c] = (float)(packed_square / 2);
    if (packed_square > longest) longest = packed_square;
  }
  for (size_t c = centroids->count; c < centroids->width; c++) centroids->bias[c] = INFINITY;
  centroids->longest = sqrt(longest);
}

void centroids_set_row(Centroids *centroids, size_t centroid, const KmeansRows *rows, size_t row) {
  double *exact = centroids->exact + centroid * centroids->columns;
  if (rows->dense) {
    for (size_t column = 0; column < centroids->columns; column++)
      exact[column] = (double)rows->dense[row * rows->stride + column];
    return;
  }
  const SparseMatrix *sparse = rows->sparse;
  memset(exact, 0, centroids->columns * sizeof *exact);
  for (size_t e = sparse->start[row]; e < sparse->start[row + 1]; e++)
    exact[sparse->index[e]] = (double)sparse_value(sparse, e);
}

/* ---- distances in double ----------------------------------------------------------------------------------------- */

static double sparse_square(const SparseMatrix *sparse, size_t row) {
  double square = 0;
  if (!sparse->value) return (double)sparse_row_length(sparse, row);
  for (size_t e = sparse->start[row]; e < sparse->start[row + 1]; e++)
    square += (double)sparse->value[e] * (double)sparse->value[e];
  return square;
}

double row_distance(const KmeansRows *rows, const Centroids *centroids, size_t row, size_t centroid) {
  const double *exact = centroids->exact + centroid * centroids->columns;
  if (rows->dense) return centroids->kernels->squared(rows->dense + row * rows->stride, exact, rows->stride);
  const SparseMatrix *sparse = rows->sparse;
  double dot = 0;
  for (size_t e = sparse->start[row]; e < sparse->start[row + 1]; e++)
    dot += exact[sparse->index[e]] * (double)sparse_value(sparse, e);
  double distance = sparse_square(sparse, row) - 2 * dot + centroids->square[centroid];
  return distance < 0 ? 0 : distance; /* what is not a number stays so */
}

/* ---- many distances ---------------------------------------------------------------------------------------------- */

size_t rows_scratch(const KmeansRows *rows, const Centroids *centroids) {
  return rows->dense ? kmeans_scratch(rows->stride) : centroids->width;
}

/* Floats a little less than x ≥ 0, and a little more. */
static float below(double x) { return x > 0 ? (float)(x * (1 - 4 * EPSILON)) : 0; }
static float above(double x) { return (float)(x * (1 + 4 * EPSILON)); }

static KmeansPacked packed_of(const KmeansRows *rows, const Centroids *centroids, float *scratch) {
  return (KmeansPacked){.packed = centroids->packed,
                        .origin = centroids->origin,
                        .bias = centroids->bias,
                        .blocks = centroids->width / KMEANS_PACKED,
                        .stride = rows->stride,
                        .scratch = scratch};
}

/* The two least of the squared distances seen so far, and whose the least is. */
typedef struct TwoLeast {
  double best, second;
  uint32_t index;
} TwoLeast;

static const TwoLeast none_seen = {INFINITY, INFINITY, 0};

static void see(TwoLeast *least, double square, size_t index) {
  if (square < least->best) {
    least->second = least->best;
    least->best = square;
    least->index = (uint32_t)index;
  } else if (square < least->second) {
    least->second = square;
  }
}

static Nearest nearest_of(const TwoLeast *least) {
  return (Nearest){.index = least->index,
                   .least = below(sqrt(least->best)),
                   .most = above(sqrt(least->best)),
                   .second = below(sqrt(least->second))};
}

/* All distances in double. */
static Nearest exact_nearest(const KmeansRows *rows, const Centroids *centroids, size_t row) {
  TwoLeast seen = none_seen;
  for (size_t c = 0; c < centroids->count; c++) see(&seen, row_distance(rows, centroids, row, c), c);
  return nearest_of(&seen);
}

/* From scores to distances. A score is a sum of stride + 1 numbers, each step rounded, and twice that goes into a
 * squared distance; row and centroid were rounded too, less the origin. */
static Nearest dense_bounds(const KmeansRows *rows, const Centroids *centroids, size_t row, const KmeansPair *pair) {
  double square = centroids->kernels->squared_float(rows->dense + row * rows->stride, centroids->origin, rows->stride);
  double x = sqrt(square), c = centroids->longest;
  double error = 2 * EPSILON * ((double)(rows->stride + 4) * (x * c + c * c / 2) + 4 * (x + c) * (x + c));
  double best = square + 2 * (double)pair->best, second = square + 2 * (double)pair->second;
  if (!(second - best > 2 * error)) return exact_nearest(rows, centroids, row);
  return (Nearest){pair->index, best > error ? below(sqrt(best - error)) : 0,
                   above(sqrt((best > 0 ? best : 0) + error)), below(sqrt(second - error))};
}

static void dense_nearest(const KmeansRows *rows, const Centroids *centroids, const uint32_t *index, size_t count,
                          float *scratch, Nearest *nearest) {
  const KmeansKernels *kernels = centroids->kernels;
  KmeansPacked packed = packed_of(rows, centroids, scratch);
  const float *tile[KMEANS_MOST_TILE];
  KmeansPair pairs[KMEANS_MOST_TILE];
  for (size_t i = 0; i < count; i += kernels->tile) {
    size_t n = count - i < kernels->tile ? count - i : kernels->tile;
    for (size_t r = 0; r < n; r++) tile[r] = rows->dense + index[i + r] * rows->stride;
    kernels->nearest(&packed, tile, n, pairs);
    for (size_t r = 0; r < n; r++) nearest[i + r] = dense_bounds(rows, centroids, index[i + r], &pairs[r]);
  }
}

/* All squared distances of one row, and in `error` by how much they may be wrong. */
static void sparse_distances(const KmeansRows *rows, const Centroids *centroids, size_t row, float *distance,
                             double *error) {
  const SparseMatrix *sparse = rows->sparse;
  size_t start = sparse->start[row], length = sparse_row_length(sparse, row);
  double square = sparse_square(sparse, row);
  SIMD_PICK(product_kernels)
      ->row(sparse->index + start, sparse->value ? sparse->value + start : NULL, length, centroids->packed,
            centroids->width, distance);
  for (size_t c = 0; c < centroids->count; c++) {
    double d = square - 2 * (double)distance[c] + centroids->square[c];
    distance[c] = d > 0 ? (float)d : 0;
  }
  for (size_t c = centroids->count; c < centroids->width; c++) distance[c] = INFINITY;
  /* The sum is of pieces of 512 products; the result is rounded once more. */
  size_t pieces = length / 512, piece = length < 512 ? length : 512;
  double roundings = (double)(piece + pieces + 4);
  double longest = sqrt(square) + centroids->longest;
  *error = 2 * EPSILON * (roundings * sqrt(square) * centroids->longest + longest * longest);
}

/* What may be nearest, taken again in double. */
static Nearest sparse_nearest(const KmeansRows *rows, const Centroids *centroids, size_t row, float *distance) {
  double error;
  TwoLeast seen = none_seen;
  float least = INFINITY;
  sparse_distances(rows, centroids, row, distance, &error);
  for (size_t c = 0; c < centroids->count; c++)
    if (distance[c] < least) least = distance[c];
  for (size_t c = 0; c < centroids->count; c++) {
    double d = (double)distance[c] - error; /* far ones are no nearer than that */
    if (d <= (double)least + error) d = row_distance(rows, centroids, row, c);
    see(&seen, d, c);
  }
  return nearest_of(&seen);
}

void rows_nearest(const KmeansRows *rows, const Centroids *centroids, const uint32_t *index, size_t count,
                  float *scratch, Nearest *nearest) {
  if (rows->dense)
    dense_nearest(rows, centroids, index, count, scratch, nearest);
  else
    for (size_t i = 0; i < count; i++) nearest[i] = sparse_nearest(rows, centroids, index[i], scratch);
}

void rows_distances(const KmeansRows *rows, const Centroids *centroids, const uint32_t *index, size_t count,
                    float *scratch, float *distance) {
  const KmeansKernels *kernels = centroids->kernels;
  KmeansPacked packed = packed_of(rows, centroids, scratch);
  const float *tile[KMEANS_MOST_TILE];
  double error;
  for (size_t i = 0; i < count && !rows->dense; i++)
    sparse_distances(rows, centroids, index[i], distance + i * centroids->width, &error);
  for (size_t i = 0; i < count && rows->dense; i += kernels->tile) {
    size_t n = count - i < kernels->tile ? count - i : kernels->tile;
    for (size_t r = 0; r < n; r++) tile[r] = rows->dense + index[i + r] * rows->stride;
    kernels->distances(&packed, tile, n, distance + i * centroids->width);
  }
}

/* ---- sums -------------------------------------------------------------------------------------------------------- */

#define ROUND_ROWS ((size_t)1 << 17) /* of one key, between two looks at the wish to cancel */

typedef struct Summing {
  const KmeansRows *rows;
  size_t columns;
  const uint32_t *index;
  const size_t *start;
  size_t round;
  double sign, *sums;
} Summing;

/* 16 columns of a key's sum of dense rows, all columns of one of sparse rows. */
static int kmeans_sum_block(void *context, size_t block, int worker) {
  (void)worker;
  const Summing *work = context;
  const KmeansRows *rows = work->rows;
  size_t groups = rows->dense ? work->columns / 16 : 1, key = block / groups, column = block % groups * 16;
  size_t first = work->start[key] + work->round * ROUND_ROWS, end = work->start[key + 1];
  double *sum = work->sums + key * work->columns + column;
  if (first >= end) return CODE_OK;
  if (end - first > ROUND_ROWS) end = first + ROUND_ROWS;
  if (rows->dense) {
    kmeans_kernels()->sum(rows->dense + column, rows->stride, work->index + first, end - first, work->sign, sum);
    return CODE_OK;
  }
  const SparseMatrix *sparse = rows->sparse;
  for (size_t i = first; i < end; i++)
    for (size_t e = sparse->start[work->index[i]]; e < sparse->start[work->index[i] + 1]; e++)
      sum[sparse->index[e]] += work->sign * (double)sparse_value(sparse, e);
  return CODE_OK;
}

int rows_sum(const KmeansRows *rows, size_t columns, const uint32_t *index, const size_t *start, size_t keys,
             double sign, double *sums, int threads, const Cancel *cancel) {
  Summing work = {rows, columns, index, start, 0, sign, sums};
  size_t longest = 0;
  int code = CODE_OK;
  for (size_t key = 0; key < keys; key++)
    if (start[key + 1] - start[key] > longest) longest = start[key + 1] - start[key];
  for (; work.round * ROUND_ROWS < longest && code == CODE_OK; work.round++)
    code = parallel_for(threads, keys * (rows->dense ? columns / 16 : 1), kmeans_sum_block, &work, cancel);
  return code;
}
