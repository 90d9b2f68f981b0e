/* Sums over common features, and similarities from them: see neighbor_kernels.h.
 *
 * A row's features are walked once, and with each of them the rows that have it: x y is added to the sum of every such
 * row y (Gustavson, "Two fast algorithms for sparse matrices", TOMS 4(3), 1978). The sums stay in the first or second
 * cache; each of them gets its terms in the order of the features, whichever of the two rows is walked, so that both
 * rows of a pair arrive at the same bytes. */
#include "neighbor_kernels.h"

#include <math.h>
#include <string.h>

typedef double Double8 __attribute__((vector_size(64)));

/* The rows of one feature. */
typedef struct Entries {
  const uint32_t *index;
  const float *value;
  size_t count;
} Entries;

/* Without their values, which there need not be. */
SIMD_INLINE Entries indexes_of(const NeighborFeatures *features, const NeighborRow *row, size_t place) {
  size_t feature = row->feature[place], start = features->start[feature];
  size_t count = row->length ? row->length[place] : features->start[feature + 1] - start;
  return (Entries){features->index + start, NULL, count};
}

SIMD_INLINE Entries entries_of(const NeighborFeatures *features, const NeighborRow *row, size_t place) {
  Entries entries = indexes_of(features, row, place);
  entries.value = features->value + features->start[row->feature[place]];
  return entries;
}

static void add_counts(const NeighborFeatures *features, const NeighborRow *row, int32_t *restrict count) {
  for (size_t place = 0; place < row->features; place++) {
    Entries e = indexes_of(features, row, place);
#pragma GCC unroll 4
    for (size_t i = 0; i < e.count; i++) count[e.index[i]]++;
  }
}

static void add_products(const NeighborFeatures *features, const NeighborRow *row, float *restrict sum) {
  for (size_t place = 0; place < row->features; place++) {
    Entries e = entries_of(features, row, place);
    float x = row->value[place];
#pragma GCC unroll 4
    for (size_t i = 0; i < e.count; i++) sum[e.index[i]] += x * e.value[i];
  }
}

static void add_products_and_counts(const NeighborFeatures *features, const NeighborRow *row, float *restrict sum,
                                    int32_t *restrict count) {
  for (size_t place = 0; place < row->features; place++) {
    Entries e = entries_of(features, row, place);
    float x = row->value[place];
#pragma GCC unroll 4
    for (size_t i = 0; i < e.count; i++) {
      size_t other = e.index[i];
      sum[other] += x * e.value[i];
      count[other]++;
    }
  }
}

static void add_differences(const NeighborFeatures *features, const NeighborRow *row, float *restrict sum,
                            int32_t *restrict count) {
  for (size_t place = 0; place < row->features; place++) {
    Entries e = entries_of(features, row, place);
    float x = row->value[place];
#pragma GCC unroll 4
    for (size_t i = 0; i < e.count; i++) {
      size_t other = e.index[i];
      float difference = x - e.value[i];
      sum[other] += difference * difference;
      count[other]++;
    }
  }
}

/* All moments of a pair in one vector. In double: they cancel where values are far from 0 and near each other. */
#define MOMENTS_OF(x, y) ((Double8){(x) * (y), (x), (y), (x) * (x), (y) * (y), 1, 0, 0})

static void add_moments(const NeighborFeatures *features, const NeighborRow *row, double *moment) {
  for (size_t place = 0; place < row->features; place++) {
    Entries e = entries_of(features, row, place);
    double x = (double)row->value[place];
    for (size_t i = 0; i < e.count; i++) {
      size_t other = e.index[i];
      *(Double8 *)(void *)(moment + other * NEIGHBOR_MOMENT_LANES) += MOMENTS_OF(x, (double)e.value[i]);
    }
  }
}

/* ---- values by code ---------------------------------------------------------------------------------------------- */

enum { AHEAD = 4, FAR_AHEAD = 16, LINE = 64 /* bytes */ };

/* Asks for what will be read soon: where it is can't be guessed by the processor, as a row's features are anywhere. */
SIMD_INLINE void ask_ahead(const NeighborFeatures *features, const NeighborRow *row, size_t place) {
  const NeighborDense *dense = &features->dense;
  if (place + FAR_AHEAD >= row->features) return;
  size_t far = row->feature[place + FAR_AHEAD], near = row->feature[place + AHEAD];
  const uint32_t *list = features->coded + features->start[near];
  __builtin_prefetch(features->start + far);
  if (dense->width > 0) {
    __builtin_prefetch(dense->place + far);
    if (dense->place[near] != NEIGHBOR_SPARSE) {
      const uint8_t *value = dense->value + dense->place[near] * dense->width;
      for (size_t byte = 0; byte < dense->width && byte < row->end; byte += LINE) __builtin_prefetch(value + byte);
      list += dense->below[dense->place[near]];
    }
  }
  __builtin_prefetch(list);
  __builtin_prefetch((const char *)list + LINE);
}

/* The rows of one feature; returns how many. */
SIMD_INLINE size_t coded_entries(const NeighborFeatures *features, const NeighborRow *row, size_t place,
                                 const uint32_t **coded) {
  ask_ahead(features, row, place);
  size_t feature = row->feature[place], start = features->start[feature];
  *coded = features->coded + start;
  return row->length ? row->length[place] : features->start[feature + 1] - start;
}

/* What a row of each code would add to the sum. */
SIMD_INLINE void make_terms(NeighborSumKind kind, const NeighborFeatures *features, float x, float *restrict term) {
  size_t codes = (features->codes + 15) / 16 * 16;
  if (kind == NEIGHBOR_DIFFERENCES) {
    for (size_t c = 0; c < codes; c++) term[c] = (x - features->table[c]) * (x - features->table[c]);
  } else {
    for (size_t c = 0; c < codes; c++) term[c] = x * features->table[c];
  }
}

/* Sums of dense features that have not been added to the others yet. */
typedef struct Pending {
  uint16_t product[NEIGHBOR_DENSE_WIDTH], count[NEIGHBOR_DENSE_WIDTH];
  uint32_t features;
} Pending;

SIMD_INLINE void flush(Pending *pending, const NeighborDense *dense, size_t end, float *restrict sum,
                       int32_t *restrict number) {
  if (pending->features == 0) return;
  if (end > dense->width) end = dense->width;
  for (size_t c = 0; c < end; c++) sum[c] += dense->unit * dense->unit * (float)pending->product[c];
  for (size_t c = 0; c < end && number; c++) number[c] += pending->count[c];
  memset(pending->product, 0, dense->width * sizeof *pending->product);
  if (number) memset(pending->count, 0, dense->width * sizeof *pending->count);
  pending->features = 0;
}

/* Adds a dense feature's first rows; returns how many of its entries that were, or 0 where it is no dense one. */
SIMD_INLINE size_t add_dense(Pending *pending, const NeighborDense *dense, size_t feature, float x, size_t end,
                             int with_counts) {
  if (dense->place[feature] == NEIGHBOR_SPARSE) return 0;
  const uint8_t *restrict value = dense->value + dense->place[feature] * dense->width;
  uint16_t *restrict product = pending->product, *restrict count = pending->count;
  uint16_t multiple = (uint16_t)(x / dense->unit);
  size_t width = end < dense->width ? (end + 31) / 32 * 32 : dense->width;
  for (size_t c = 0; c < width; c++) product[c] = (uint16_t)(product[c] + (uint16_t)(multiple * value[c]));
  if (with_counts)
    for (size_t c = 0; c < width; c++) count[c] = (uint16_t)(count[c] + (value[c] != 0));
  pending->features++;
  return dense->below[dense->place[feature]];
}

SIMD_INLINE void add_coded_terms(NeighborSumKind kind, const NeighborFeatures *features, const NeighborRow *row,
                                 float *restrict sum, int32_t *restrict number) {
  const NeighborDense *dense = &features->dense;
  int with_counts = kind != NEIGHBOR_PRODUCTS;
  float term[NEIGHBOR_CODES];
  Pending pending;
  memset(&pending, 0, sizeof pending);
  for (size_t place = 0; place < row->features; place++) {
    const uint32_t *coded;
    size_t count = coded_entries(features, row, place, &coded), i = 0;
    if (dense->width > 0 && kind != NEIGHBOR_DIFFERENCES)
      i = add_dense(&pending, dense, row->feature[place], row->value[place], row->end, with_counts);
    if (pending.features == dense->most) flush(&pending, dense, row->end, sum, with_counts ? number : NULL);
    if (i >= count) continue;
    make_terms(kind, features, row->value[place], term);
#pragma GCC unroll 4
    for (; i < count; i++) {
      sum[coded[i] >> NEIGHBOR_CODE_BITS] += term[coded[i] % NEIGHBOR_CODES];
      if (with_counts) number[coded[i] >> NEIGHBOR_CODE_BITS]++;
    }
  }
  flush(&pending, dense, row->end, sum, with_counts ? number : NULL);
}

static void add_coded(const NeighborFeatures *features, const NeighborRow *row, float *restrict sum) {
  add_coded_terms(NEIGHBOR_PRODUCTS, features, row, sum, NULL);
}

static void add_coded_and_counts(NeighborSumKind kind, const NeighborFeatures *features, const NeighborRow *row,
                                 float *restrict sum, int32_t *restrict number) {
  if (kind == NEIGHBOR_DIFFERENCES)
    add_coded_terms(NEIGHBOR_DIFFERENCES, features, row, sum, number);
  else
    add_coded_terms(NEIGHBOR_PRODUCTS_AND_COUNTS, features, row, sum, number);
}

static void add_coded_moments(const NeighborFeatures *features, const NeighborRow *row, double *restrict moment) {
  Double8 term[NEIGHBOR_CODES];
  for (size_t place = 0; place < row->features; place++) {
    const uint32_t *coded;
    size_t count = coded_entries(features, row, place, &coded);
    double x = (double)row->value[place];
    for (size_t c = 0; c < features->codes; c++) term[c] = MOMENTS_OF(x, (double)features->table[c]);
    for (size_t i = 0; i < count; i++) {
      size_t other = coded[i] >> NEIGHBOR_CODE_BITS;
      *(Double8 *)(void *)(moment + other * NEIGHBOR_MOMENT_LANES) += term[coded[i] % NEIGHBOR_CODES];
    }
  }
}

static void neighbor_add(NeighborSumKind kind, const NeighborFeatures *features, const NeighborRow *row,
                         const NeighborSums *sums) {
  int coded = features->coded != NULL;
  if (kind == NEIGHBOR_COUNTS)
    add_counts(features, row, sums->count);
  else if (kind == NEIGHBOR_MOMENTS)
    (coded ? add_coded_moments : add_moments)(features, row, sums->moment);
  else if (kind == NEIGHBOR_PRODUCTS)
    (coded ? add_coded : add_products)(features, row, sums->sum);
  else if (coded)
    add_coded_and_counts(kind, features, row, sums->sum, sums->count);
  else
    (kind == NEIGHBOR_DIFFERENCES ? add_differences : add_products_and_counts)(features, row, sums->sum, sums->count);
}

/* ---- similarities ------------------------------------------------------------------------------------------------ */

/* s n / (n + β), where there are enough; n in between is never 0. */
SIMD_INLINE float shrink(float similarity, int32_t n, const NeighborScale *scale) {
  float support = (float)n;
  float shrunk = similarity * (support / (support + scale->shrinkage));
  return n < scale->min_support ? 0 : shrunk;
}

/* Σ (x − x̄)² of n values from Σ x² and Σ x; 0 where it is within what rounding may have left of it. */
SIMD_INLINE double variance_of(double squares, double sum, double n) {
  double variance = squares - sum * sum / n;
  return variance > 3 * n * 0x1p-53 * squares ? variance : 0;
}

SIMD_INLINE float pearson(const double *moment) {
  double n = moment[5], x = moment[1], y = moment[2];
  double variances = variance_of(moment[3], x, n) * variance_of(moment[4], y, n);
  if (!(variances > 0)) return 0;
  double coefficient = (moment[0] - x * y / n) / sqrt(variances);
  return (float)(coefficient > 1 ? 1 : coefficient < -1 ? -1 : coefficient);
}

static void moments_to_similarities(const NeighborScale *scale, const double *moment, size_t count,
                                    float *restrict similarity) {
  for (size_t i = 0; i < count; i++, moment += NEIGHBOR_MOMENT_LANES) {
    int32_t n = (int32_t)moment[5];
    similarity[i] = n < 2 ? 0 : shrink(pearson(moment), n, scale);
  }
}

static void similarities(const NeighborScale *scale, const NeighborSums *sums, size_t row, size_t first, size_t count,
                         float *restrict similarity) {
  if (scale->formula == NEIGHBOR_PEARSON) {
    moments_to_similarities(scale, sums->moment + first * NEIGHBOR_MOMENT_LANES, count, similarity);
    return;
  }
  const float *sum = sums->sum + first, *norm = scale->inverse_norm + first, *length = scale->length + first;
  const int32_t *n = sums->count + first;
  float own_norm = scale->inverse_norm[row], own_length = scale->length[row];
  if (scale->formula == NEIGHBOR_JACCARD) {
    for (size_t i = 0; i < count; i++)
      similarity[i] = shrink((float)n[i] / (own_length + length[i] - (float)n[i]), n[i], scale);
  } else if (scale->formula == NEIGHBOR_MSD) {
    for (size_t i = 0; i < count; i++) similarity[i] = shrink((float)n[i] / ((float)n[i] + sum[i]), n[i], scale);
  } else if (scale->kind == NEIGHBOR_COUNTS) {
    for (size_t i = 0; i < count; i++) similarity[i] = shrink((float)n[i] * (own_norm * norm[i]), n[i], scale);
  } else if (scale->kind == NEIGHBOR_PRODUCTS) {
    for (size_t i = 0; i < count; i++) similarity[i] = sum[i] * (own_norm * norm[i]);
  } else {
    for (size_t i = 0; i < count; i++) similarity[i] = shrink(sum[i] * (own_norm * norm[i]), n[i], scale);
  }
}

/* Most reach nothing: sixteen are asked at once. */
static size_t above(const float *similarity, const float *bar, float own_bar, size_t count, uint16_t *chosen) {
  size_t n = 0;
  for (size_t start = 0; start < count; start += 16) {
    size_t end = start + 16 < count ? start + 16 : count;
    if (end == start + 16) {
      int any = 0;
      for (size_t i = 0; i < 16; i++) any |= similarity[start + i] >= own_bar;
      for (size_t i = 0; i < 16 && bar; i++) any |= similarity[start + i] >= bar[start + i];
      if (!any) continue;
    }
    for (size_t i = start; i < end; i++) {
      chosen[n] = (uint16_t)i;
      n += similarity[i] >= own_bar || (bar && similarity[i] >= bar[i]);
    }
  }
  return n;
}

const NeighborKernels SIMD_NAME(neighbor_kernels) = {neighbor_add, similarities, above};
