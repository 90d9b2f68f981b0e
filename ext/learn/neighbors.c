/* Similarities between the rows of a sparse matrix: see neighbors.h. With x and y two rows, C the features they have in
 * common, n = |C|:
 *
 *     cosine            Σ x y / (‖x‖ ‖y‖), over all features, missing ones being 0
 *     adjusted cosine   the same of r − r̄_u, r̄_u the mean of the user's ratings (Sarwar, Karypis, Konstan & Riedl,
 *                       "Item-based collaborative filtering recommendation algorithms", WWW 2001)
 *     Pearson           Σ_C (x − x̄)(y − ȳ) / √(Σ_C (x − x̄)² Σ_C (y − ȳ)²), x̄ and ȳ means over C (Resnick et al. 1994)
 *     Jaccard           n / |features of x or y|
 *     msd               1 / (1 + Σ_C (x − y)² / n)
 *
 * Then s becomes s n / (n + β) (Koren, "Factor in the neighbors", TKDD 4(1), 2010). What is 0 / 0 is 0. Before cosine,
 * with N rows, df_f the rows that have feature f, l a row's sum and l̄ the mean of these, values v > 0 may become
 *
 *     tf-idf   √v log(N / (1 + df_f))
 *     BM25     v (k1 + 1) / (v + k1 (1 − b + b l / l̄)) log(N / (1 + df_f))
 *
 * in the form that the library `implicit` documents; values below 0 count as 0 there. (Manning, Raghavan & Schütze,
 * "Introduction to Information Retrieval", 2008, §6.2, §11.4.3; Robertson & Zaragoza, "The probabilistic relevance
 * framework: BM25 and beyond", 2009.) */
#include "neighbors.h"

#include <math.h>
#include <string.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/random.h"
#include "neighbor_search.h"

#define DENSE_SHARE 16
#define MOST_SQUARE 1e37 /* of a row's length */

/* ---- drawing entries --------------------------------------------------------------------------------------------- */

/* Keeps `sample` entries of every longer feature, each set as likely as any other (Knuth, TAOCP 2, §3.4.2, algorithm
 * S); everything else is as if the others had never been there. */
static int draw_samples(NeighborSearch *search, const Cancel *cancel) {
  const SparseMatrix *all = search->features;
  size_t sample = search->options.sample, entries = 0;
  for (size_t feature = 0; feature < all->rows; feature++) {
    size_t length = sparse_row_length(all, feature);
    entries += length < sample ? length : sample;
  }
  SparseMatrix *drawn = &search->drawn_features;
  int code = sparse_alloc(drawn, all->rows, all->columns, entries, all->value != NULL);
  if (code != CODE_OK) return code;
  entries = 0;
  for (size_t feature = 0; feature < all->rows && code == CODE_OK; feature++) {
    size_t left = sparse_row_length(all, feature), wanted = left < sample ? left : sample;
    uint64_t stream = random_bits(search->options.seed, feature);
    for (size_t e = all->start[feature]; e < all->start[feature + 1]; e++, left--) {
      if (random_uniform(stream, left) * (double)left >= (double)wanted) continue;
      drawn->index[entries] = all->index[e];
      if (all->value) drawn->value[entries] = all->value[e];
      entries++, wanted--;
    }
    drawn->start[feature + 1] = entries;
    code = cancel_poll(cancel);
  }
  if (code == CODE_OK) code = sparse_transpose(drawn, &search->drawn_rows, search->options.threads, cancel);
  search->features = drawn;
  search->rows = &search->drawn_rows;
  return code;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static double row_sum(const SparseMatrix *matrix, size_t row) {
  double sum = 0;
  for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++) sum += (double)sparse_value(matrix, e);
  return sum;
}

static double row_mean(const SparseMatrix *matrix, size_t row) {
  size_t length = sparse_row_length(matrix, row);
  return length > 0 ? row_sum(matrix, row) / (double)length : 0;
}

/* The value of a row that is nearest to its mean: what is left of stars and half stars without it is exact. */
static double middle_value(const SparseMatrix *matrix, size_t row) {
  double mean = row_mean(matrix, row), middle = INFINITY;
  for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++)
    if (fabs((double)sparse_value(matrix, e) - mean) < fabs(middle - mean)) middle = (double)sparse_value(matrix, e);
  return isfinite(middle) ? middle : 0;
}

/* The value that takes part in the sums. */
static float weighed_value(const NeighborSearch *search, size_t row, size_t feature, double value) {
  const NeighborOptions *options = &search->options;
  if (options->similarity == SIMILARITY_COSINE) {
    if (options->weighting == WEIGHTING_NONE) return (float)value;
    value = fmax(value, 0);
    double idf = search->feature_part[feature];
    if (options->weighting == WEIGHTING_TFIDF) return (float)(sqrt(value) * idf);
    double divisor = value + options->bm25_k1 * search->row_part[row];
    return divisor > 0 ? (float)(value * (options->bm25_k1 + 1) / divisor * idf) : 0;
  }
  if (search->row_part) return (float)(value - search->row_part[row]);
  if (search->feature_part) return (float)(value - search->feature_part[feature]);
  return (float)value;
}

/* How long each row is beside the average, as BM25 takes it. */
static void row_lengths(NeighborSearch *search) {
  size_t n = search->rows->rows;
  double average = 0, b = search->options.bm25_b;
  for (size_t row = 0; row < n; row++) average += search->row_part[row] = row_sum(search->rows, row);
  average /= n > 0 ? (double)n : 1;
  for (size_t row = 0; row < n; row++)
    search->row_part[row] = 1 - b + (average > 0 ? b * search->row_part[row] / average : 0);
}

/* What weighed_value() needs of rows and features. Pearson's coefficient does not depend on where 0 is; near the row's
 * mean the sums lose least. */
static int make_parts(NeighborSearch *search) {
  const NeighborOptions *options = &search->options;
  const SparseMatrix *rows = search->rows, *features = search->features;
  int weighted = options->similarity == SIMILARITY_COSINE && options->weighting != WEIGHTING_NONE;
  int adjusted = options->similarity == SIMILARITY_ADJUSTED_COSINE;
  int row_means = options->similarity == SIMILARITY_PEARSON || (adjusted && options->rows_are_users);
  int row_part = row_means || (weighted && options->weighting == WEIGHTING_BM25);
  int feature_part = weighted || (adjusted && !options->rows_are_users);
  if (row_part) search->row_part = memory_alloc_zero(rows->rows, sizeof *search->row_part);
  if (feature_part) search->feature_part = memory_alloc_zero(features->rows, sizeof *search->feature_part);
  if ((row_part && !search->row_part) || (feature_part && !search->feature_part)) return CODE_NOMEM;
  for (size_t row = 0; row_means && row < rows->rows; row++)
    search->row_part[row] = adjusted ? row_mean(rows, row) : middle_value(rows, row);
  if (row_part && !row_means) row_lengths(search);
  for (size_t f = 0; feature_part && f < features->rows; f++)
    search->feature_part[f] =
        weighted ? log((double)rows->rows) - log1p((double)sparse_row_length(features, f)) : row_mean(features, f);
  return CODE_OK;
}

/* ---- the form that is walked ------------------------------------------------------------------------------------- */

/* Numbers the rows, longest first, by counting lengths. */
static int make_labels(NeighborSearch *search) {
  size_t n = search->rows->rows;
  for (size_t row = 0; row < n; row++)
    if (sparse_row_length(search->rows, row) > search->longest) search->longest = sparse_row_length(search->rows, row);
  size_t *next = memory_alloc_zero(search->longest + 2, sizeof *next);
  search->order = memory_alloc(n, sizeof *search->order);
  search->label = memory_alloc(n, sizeof *search->label);
  if (next && search->order && search->label) {
    for (size_t row = 0; row < n; row++) next[search->longest - sparse_row_length(search->rows, row) + 1]++;
    for (size_t length = 0; length < search->longest; length++) next[length + 1] += next[length];
    for (size_t row = 0; row < n; row++) {
      size_t label = next[search->longest - sparse_row_length(search->rows, row)]++;
      search->order[label] = (uint32_t)row;
      search->label[row] = (uint32_t)label;
    }
  }
  memory_free(next);
  return next && search->order && search->label ? CODE_OK : CODE_NOMEM;
}

/* Different values, hashed: open addressing, at most a quarter full. */
typedef struct Codes {
  float table[NEIGHBOR_CODES];
  uint16_t slot[4 * NEIGHBOR_CODES]; /* code + 1; 0: free */
  size_t count;
} Codes;

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* The code of a value, which is given one if there are any left; else NEIGHBOR_CODES. */
static uint32_t code_of(Codes *codes, float value) {
  uint32_t bits = bits_of(value);
  uint32_t place = bits * UINT32_C(0x9e3779b1) >> 22;
  for (; codes->slot[place] > 0; place = (place + 1) % (4 * NEIGHBOR_CODES))
    if (bits_of(codes->table[codes->slot[place] - 1]) == bits) return codes->slot[place] - 1U;
  if (codes->count == NEIGHBOR_CODES) return NEIGHBOR_CODES;
  codes->table[codes->count++] = value;
  codes->slot[place] = (uint16_t)codes->count;
  return (uint32_t)codes->count - 1;
}

/* Whether every value has a code. */
static int find_codes(const NeighborSearch *search, Codes *codes, int *all, const Cancel *cancel) {
  const SparseMatrix *rows = search->rows;
  int code = CODE_OK;
  *all = rows->rows <= UINT32_MAX >> NEIGHBOR_CODE_BITS;
  for (size_t row = 0; row < rows->rows && *all && code == CODE_OK; row++) {
    for (size_t e = rows->start[row]; e < rows->start[row + 1] && *all; e++)
      *all = code_of(codes, weighed_value(search, row, rows->index[e], (double)sparse_value(rows, e))) < NEIGHBOR_CODES;
    code = cancel_poll(cancel);
  }
  return code;
}

static int alloc_lists(NeighborSearch *search, int coded) {
  size_t n = search->rows->rows, entries = search->rows->start[n];
  int with_values = !coded && search->scale.kind != NEIGHBOR_COUNTS;
  if (coded) {
    search->coded = memory_alloc(entries, sizeof *search->coded);
    search->table = memory_alloc_zero(NEIGHBOR_CODES, sizeof *search->table);
  } else {
    search->index = memory_alloc(entries, sizeof *search->index);
  }
  if (with_values) search->value = memory_alloc(entries, sizeof *search->value);
  search->place = memory_alloc(entries, sizeof *search->place);
  search->inverse_norm = memory_alloc(n, sizeof *search->inverse_norm);
  search->length = memory_alloc(n, sizeof *search->length);
  int lists = coded ? search->coded && search->table : search->index && (!with_values || search->value);
  return lists && search->place && search->inverse_norm && search->length ? CODE_OK : CODE_NOMEM;
}

/* Appends a row to the lists of its features. Returns its squared length. */
static double list_row(NeighborSearch *search, size_t label, Codes *codes, uint32_t *count) {
  const SparseMatrix *rows = search->rows, *features = search->features;
  size_t row = search->order[label];
  double square = 0;
  for (size_t e = rows->start[row]; e < rows->start[row + 1]; e++) {
    size_t feature = rows->index[e], to = features->start[feature] + count[feature];
    float value = weighed_value(search, row, feature, (double)sparse_value(rows, e));
    square += (double)value * (double)value;
    search->place[e] = count[feature]++;
    if (search->coded)
      search->coded[to] = (uint32_t)label << NEIGHBOR_CODE_BITS | code_of(codes, value);
    else
      search->index[to] = (uint32_t)label;
    if (search->value) search->value[to] = value;
  }
  search->inverse_norm[label] = square > 0 ? (float)(1 / sqrt(square)) : 0;
  search->length[label] = (float)sparse_row_length(rows, row);
  return square;
}

/* No sum of products of two rows is above the larger of their squared lengths, none of squared differences above four
 * times that: so none overflows a float. Moments are summed in double. */
static int can_be_summed(const NeighborSearch *search, double square) {
  return search->scale.kind == NEIGHBOR_COUNTS || search->scale.kind == NEIGHBOR_MOMENTS || square < MOST_SQUARE;
}

/* The features with their rows by label, and what is known of each row. */
static int make_lists(NeighborSearch *search, const Cancel *cancel) {
  int coded = 0, code = CODE_OK;
  uint32_t *count = memory_alloc_zero(search->features->rows, sizeof *count);
  Codes *codes = memory_alloc_zero(1, sizeof *codes);
  if (!count || !codes) code = CODE_NOMEM;
  if (code == CODE_OK && search->scale.kind != NEIGHBOR_COUNTS) code = find_codes(search, codes, &coded, cancel);
  if (code == CODE_OK) code = alloc_lists(search, coded);
  for (size_t label = 0; label < search->rows->rows && code == CODE_OK; label++) {
    double square = list_row(search, label, codes, count);
    code = can_be_summed(search, square) ? cancel_poll(cancel) : CODE_ERROR;
  }
  if (code == CODE_OK && coded) {
    memcpy(search->table, codes->table, sizeof codes->table);
    search->codes = codes->count;
  }
  memory_free(codes);
  memory_free(count);
  return code;
}

/* ---- dense features ---------------------------------------------------------------------------------------------- */

/* Whether all values are multiples of a power of two, from 1 to 255 times it, and every sum is exact in a float. */
static int find_unit(const NeighborSearch *search, NeighborDense *dense) {
  for (dense->unit = 1; dense->unit > 0x1p-9f; dense->unit /= 2) {
    float most = 1;
    size_t good = 0;
    for (; good < search->codes; good++) {
      float multiple = search->table[good] / dense->unit;
      if (!(multiple >= 1 && multiple <= 255 && multiple == floorf(multiple))) break;
      most = fmaxf(most, multiple);
    }
    dense->most = (uint32_t)(UINT16_MAX / (most * most));
    if (good == search->codes)
      return dense->most > 0 && (double)most * (double)most * (double)search->longest <= 0x1p24;
  }
  return 0;
}

static size_t count_below(const NeighborSearch *search, size_t feature, size_t width) {
  size_t start = search->features->start[feature], end = search->features->start[feature + 1], low = start;
  while (low < end) {
    size_t middle = low + (end - low) / 2;
    if (neighbor_label(search, middle) < width)
      low = middle + 1;
    else
      end = middle;
  }
  return low - start;
}

/* Features that at least one in DENSE_SHARE of the longest rows has. */
static int make_dense(NeighborSearch *search, const Cancel *cancel) {
  const SparseMatrix *features = search->features;
  NeighborDense *dense = &search->dense;
  size_t rows = search->rows->rows, width = rows < NEIGHBOR_DENSE_WIDTH ? rows : NEIGHBOR_DENSE_WIDTH, count = 0;
  int products = search->scale.kind == NEIGHBOR_PRODUCTS || search->scale.kind == NEIGHBOR_PRODUCTS_AND_COUNTS;
  if (!search->coded || !products || !find_unit(search, dense)) return CODE_OK;
  width = (width + 31) / 32 * 32;
  for (size_t feature = 0; feature < features->rows; feature++)
    count += count_below(search, feature, width) * DENSE_SHARE >= width;
  dense->value = search->dense_value = memory_alloc_zero(count, width);
  dense->place = search->dense_place = memory_alloc(features->rows, sizeof *search->dense_place);
  dense->below = search->dense_below = memory_alloc(count, sizeof *search->dense_below);
  if (!dense->value || !dense->place || !dense->below) return CODE_NOMEM;
  int code = CODE_OK;
  count = 0;
  for (size_t feature = 0; feature < features->rows && code == CODE_OK; feature++) {
    size_t below = count_below(search, feature, width);
    search->dense_place[feature] = NEIGHBOR_SPARSE;
    if (below * DENSE_SHARE < width) continue;
    const uint32_t *coded = search->coded + features->start[feature];
    for (size_t i = 0; i < below; i++)
      search->dense_value[count * width + (coded[i] >> NEIGHBOR_CODE_BITS)] =
          (uint8_t)(search->table[coded[i] % NEIGHBOR_CODES] / dense->unit);
    search->dense_below[count] = (uint32_t)below;
    search->dense_place[feature] = (uint32_t)count++;
    code = cancel_poll(cancel);
  }
  dense->width = width;
  return code;
}

/* What is summed, and the formula it goes into. */
static NeighborScale scale_of(const NeighborOptions *options, int with_values) {
  size_t least = options->min_support > 1 ? options->min_support : 1;
  NeighborScale scale = {.formula = NEIGHBOR_COSINE,
                         .kind = NEIGHBOR_PRODUCTS,
                         .min_support = least < INT32_MAX ? (int32_t)least : INT32_MAX,
                         .shrinkage = (float)options->shrinkage};
  if (least > 1 || options->shrinkage > 0) scale.kind = NEIGHBOR_PRODUCTS_AND_COUNTS;
  switch (options->similarity) {
    case SIMILARITY_PEARSON: scale.formula = NEIGHBOR_PEARSON, scale.kind = NEIGHBOR_MOMENTS; break;
    case SIMILARITY_JACCARD: scale.formula = NEIGHBOR_JACCARD, scale.kind = NEIGHBOR_COUNTS; break;
    case SIMILARITY_MSD: scale.formula = NEIGHBOR_MSD, scale.kind = NEIGHBOR_DIFFERENCES; break;
    case SIMILARITY_COSINE:
      if (!with_values && options->weighting == WEIGHTING_NONE) scale.kind = NEIGHBOR_COUNTS;
      break;
    default: break;
  }
  return scale;
}

static int prepare_search(NeighborSearch *search, const Cancel *cancel) {
  search->scale = scale_of(&search->options, search->rows->value != NULL);
  int code = make_parts(search);
  if (code == CODE_OK) code = make_labels(search);
  if (code == CODE_OK) code = make_lists(search, cancel);
  if (code == CODE_OK) code = make_dense(search, cancel);
  search->scale.inverse_norm = search->inverse_norm;
  search->scale.length = search->length;
  return code;
}

/* ---- one row with all others ------------------------------------------------------------------------------------- */

int neighbor_scratch_alloc(NeighborScratch *scratch, const NeighborSearch *search, NeighborSumKind kind) {
  size_t n = search->rows->rows;
  int moments = kind == NEIGHBOR_MOMENTS;
  *scratch = (NeighborScratch){.x = memory_alloc(search->longest, sizeof(float))};
  if (moments) scratch->sums.moment = memory_alloc_aligned(n, NEIGHBOR_MOMENT_LANES * sizeof(double));
  if (!moments) scratch->sums.count = memory_alloc_zero(n, sizeof *scratch->sums.count);
  if (!moments) scratch->sums.sum = memory_alloc_zero(n, sizeof *scratch->sums.sum);
  const NeighborSums *sums = &scratch->sums;
  return scratch->x && (moments ? sums->moment != NULL : sums->count && sums->sum) ? CODE_OK : CODE_NOMEM;
}

void neighbor_scratch_free(NeighborScratch *scratch) {
  memory_free_aligned(scratch->sums.moment);
  memory_free(scratch->sums.count);
  memory_free(scratch->sums.sum);
  memory_free(scratch->x);
  *scratch = (NeighborScratch){0};
}

void neighbor_clear(NeighborSumKind kind, const NeighborSums *sums, size_t first, size_t count) {
  if (kind == NEIGHBOR_MOMENTS) {
    memset(sums->moment + first * NEIGHBOR_MOMENT_LANES, 0, count * NEIGHBOR_MOMENT_LANES * sizeof(double));
    return;
  }
  if (kind != NEIGHBOR_PRODUCTS) memset(sums->count + first, 0, count * sizeof(int32_t));
  if (kind != NEIGHBOR_COUNTS) memset(sums->sum + first, 0, count * sizeof(float));
}

void neighbor_add(const NeighborSearch *search, size_t label, int below, NeighborSumKind kind,
                  NeighborScratch *scratch) {
  const SparseMatrix *rows = search->rows;
  size_t row = search->order[label], start = rows->start[row];
  NeighborFeatures features = {search->features->start, search->coded, search->table, search->codes,
                               search->index,           search->value, search->dense};
  NeighborRow walked = {.feature = rows->index + start,
                        .value = scratch->x,
                        .length = below ? search->place + start : NULL,
                        .features = sparse_row_length(rows, row),
                        .end = below ? label : rows->rows};
  for (size_t i = 0; i < walked.features && kind != NEIGHBOR_COUNTS; i++)
    scratch->x[i] = weighed_value(search, row, walked.feature[i], (double)sparse_value(rows, start + i));
  neighbor_kernels()->add(kind, &features, &walked, &scratch->sums);
}

int neighbors_row(NeighborSearch *search, size_t row, float *similarity, uint32_t *support) {
  enum { CHUNK = 256 };
  NeighborScale scale = search->scale;
  NeighborScratch *scratch = &search->row_scratch;
  size_t n = search->rows->rows, label = search->label[row];
  if (scale.kind == NEIGHBOR_PRODUCTS) scale.kind = NEIGHBOR_PRODUCTS_AND_COUNTS;
  int code = scratch->x ? CODE_OK : neighbor_scratch_alloc(scratch, search, scale.kind);
  if (code != CODE_OK) {
    neighbor_scratch_free(scratch);
    return code;
  }
  neighbor_add(search, label, 0, scale.kind, scratch);
  for (size_t first = 0; first < n; first += CHUNK) {
    float chunk[CHUNK];
    size_t count = n - first < CHUNK ? n - first : CHUNK;
    neighbor_kernels()->similarities(&scale, &scratch->sums, label, first, count, chunk);
    for (size_t i = 0; i < count; i++) {
      size_t other = search->order[first + i];
      int32_t common = scale.kind == NEIGHBOR_MOMENTS
                           ? (int32_t)scratch->sums.moment[(first + i) * NEIGHBOR_MOMENT_LANES + 5]
                           : scratch->sums.count[first + i];
      int counts = other != row && common >= scale.min_support;
      similarity[other] = counts ? chunk[i] : 0;
      support[other] = counts ? (uint32_t)common : 0;
    }
    neighbor_clear(scale.kind, &scratch->sums, first, count);
  }
  return CODE_OK;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static int any_longer(const SparseMatrix *matrix, size_t most) {
  for (size_t row = 0; row < matrix->rows; row++)
    if (sparse_row_length(matrix, row) > most) return 1;
  return 0;
}

int neighbors_create(NeighborSearch **search, const SparseMatrix *rows, const SparseMatrix *features,
                     const NeighborOptions *options, const Cancel *cancel, Error *error) {
  *search = memory_alloc_zero(1, sizeof **search);
  if (!*search) return error_no_memory(error);
  **search = (NeighborSearch){.options = *options, .rows = rows, .features = features};
  int code = options->sample > 0 && any_longer(features, options->sample) ? draw_samples(*search, cancel) : CODE_OK;
  if (code == CODE_OK) code = prepare_search(*search, cancel);
  if (code == CODE_OK) return CODE_OK;
  neighbors_destroy(*search);
  *search = NULL;
  if (code != CODE_ERROR) return error_from_code(error, code);
  return error_set(error, code, "some ratings are so large that similarities overflow");
}

void neighbors_destroy(NeighborSearch *search) {
  if (!search) return;
  sparse_free(&search->drawn_rows);
  sparse_free(&search->drawn_features);
  memory_free(search->row_part);
  memory_free(search->feature_part);
  memory_free(search->order);
  memory_free(search->label);
  memory_free(search->coded);
  memory_free(search->table);
  memory_free(search->index);
  memory_free(search->dense_value);
  memory_free(search->dense_place);
  memory_free(search->dense_below);
  memory_free(search->value);
  memory_free(search->place);
  memory_free(search->inverse_norm);
  memory_free(search->length);
  neighbor_scratch_free(&search->row_scratch);
  memory_free(search);
}
