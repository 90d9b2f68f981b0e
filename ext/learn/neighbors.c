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
 *     tf-idf   √v log(N / (1 + df_f))                                     (Manning, Raghavan & Schütze, "Introduction
 * to BM25     v (k1 + 1) / (v + k1 (1 − b + b l / l̄)) log(N / (1 + df_f))   Information Retrieval", 2008, §6.2,
 * §11.4.3; Robertson & Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009)
 *
 * in the form that the library `implicit` documents; values below 0 count as 0 there. */
#include "neighbors.h"

#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/random.h"
#include "../base/sqlite.h"
#include "../base/top_k.h"

#define ROWS_A_BLOCK 4

/* Sums over the common features of a row with another. */
typedef struct Sums {
  float xy, x, y, xx, yy; /* xy: of squared differences for msd */
  uint32_t support;
} Sums;

/* The neighbours that a block of rows has found, row after row. */
typedef struct Found {
  Scored *scored;
  uint32_t *support;
  size_t count[ROWS_A_BLOCK];
} Found;

struct NeighborSearch {
  NeighborOptions options;
  const SparseMatrix *rows, *features;
  SparseMatrix drawn_rows, drawn_features; /* what these point to where entries are drawn */
  double *row_part, *feature_part; /* means, or what the weighting takes from a row and a feature; may be NULL */
  float *inverse_norm;             /* rows */
  float *value;                    /* weighted, in the order of features; NULL: all 1 */
  Sums *row_sums;                  /* of neighbors_row */
};

/* ---- drawing entries --------------------------------------------------------------------------------------------- */

/* Keeps `sample` entries of every longer feature, each set as likely as any other (Knuth, TAOCP 2, §3.4.2, algorithm
 * S); everything else is as if the others had never been there. */
static int draw(NeighborSearch *search, const Cancel *cancel) {
  const SparseMatrix *all = search->features;
  size_t sample = search->options.sample, entries = 0;
  for (size_t feature = 0; feature < all->rows; feature++) {
    size_t length = sparse_row_length(all, feature);
    entries += length < sample ? length : sample;
  }
  SparseMatrix *drawn = &search->drawn_features;
  int code = sparse_alloc(drawn, all->rows, all->columns, entries, all->value != NULL);
  if (code != SQLITE_OK) return code;
  entries = 0;
  for (size_t feature = 0; feature < all->rows && code == SQLITE_OK; feature++) {
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
  if (code == SQLITE_OK) code = sparse_transpose(drawn, &search->drawn_rows, search->options.threads, cancel);
  search->features = drawn;
  search->rows = &search->drawn_rows;
  return code;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static double value_of(const SparseMatrix *matrix, size_t entry) {
  return matrix->value ? (double)matrix->value[entry] : 1;
}

static double row_sum(const SparseMatrix *matrix, size_t row) {
  double sum = 0;
  for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++) sum += value_of(matrix, e);
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
    if (fabs(value_of(matrix, e) - mean) < fabs(middle - mean)) middle = value_of(matrix, e);
  return isfinite(middle) ? middle : 0;
}

/* The value that takes part in the sums. */
static float weigh(const NeighborSearch *search, size_t row, size_t feature, double value) {
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

/* What weigh() needs of rows and features. Pearson's coefficient does not depend on where 0 is; near the row's mean the
 * sums lose least. */
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
  if ((row_part && !search->row_part) || (feature_part && !search->feature_part)) return SQLITE_NOMEM;
  for (size_t row = 0; row_means && row < rows->rows; row++)
    search->row_part[row] = adjusted ? row_mean(rows, row) : middle_value(rows, row);
  if (row_part && !row_means) row_lengths(search);
  for (size_t f = 0; feature_part && f < features->rows; f++)
    search->feature_part[f] =
        weighted ? log((double)rows->rows) - log1p((double)sparse_row_length(features, f)) : row_mean(features, f);
  return SQLITE_OK;
}

static int make_values(NeighborSearch *search, const Cancel *cancel) {
  const SparseMatrix *rows = search->rows, *features = search->features;
  int code = make_parts(search);
  search->inverse_norm = memory_alloc_zero(rows->rows, sizeof *search->inverse_norm);
  search->value = memory_alloc(features->start[features->rows], sizeof *search->value);
  search->row_sums = memory_alloc(rows->rows, sizeof *search->row_sums);
  if (code != SQLITE_OK || !search->inverse_norm || !search->value || !search->row_sums) return SQLITE_NOMEM;
  for (size_t feature = 0; feature < features->rows && code == SQLITE_OK; feature++) {
    for (size_t e = features->start[feature]; e < features->start[feature + 1]; e++)
      search->value[e] = weigh(search, features->index[e], feature, value_of(features, e));
    code = cancel_poll(cancel);
  }
  for (size_t row = 0; row < rows->rows && code == SQLITE_OK; row++) {
    double square = 0;
    for (size_t e = rows->start[row]; e < rows->start[row + 1]; e++) {
      double value = (double)weigh(search, row, rows->index[e], value_of(rows, e));
      square += value * value;
    }
    search->inverse_norm[row] = square > 0 ? (float)(1 / sqrt(square)) : 0;
    code = cancel_poll(cancel);
  }
  return code;
}

/* ---- one row with all others ------------------------------------------------------------------------------------- */

static void accumulate(const NeighborSearch *search, size_t row, Sums *sums) {
  const SparseMatrix *rows = search->rows, *features = search->features;
  int differences = search->options.similarity == SIMILARITY_MSD;
  memset(sums, 0, rows->rows * sizeof *sums);
  for (size_t e = rows->start[row]; e < rows->start[row + 1]; e++) {
    size_t feature = rows->index[e];
    float x = weigh(search, row, feature, value_of(rows, e));
    for (size_t f = features->start[feature]; f < features->start[feature + 1]; f++) {
      Sums *sum = &sums[features->index[f]];
      float y = search->value[f];
      sum->xy += differences ? (x - y) * (x - y) : x * y;
      sum->x += x, sum->y += y, sum->xx += x * x, sum->yy += y * y;
      sum->support++;
    }
  }
}

/* Σ (x − x̄)² of n values from Σ x² and Σ x; 0 where it is within what rounding may have left of it. */
static double variance_of(double squares, double sum, double n) {
  double variance = squares - sum * sum / n;
  return variance > 3 * n * 0x1p-24 * squares ? variance : 0;
}

static float pearson(const Sums *sums) {
  double n = sums->support, x = sums->x, y = sums->y;
  double variances = variance_of(sums->xx, x, n) * variance_of(sums->yy, y, n);
  return variances > 0 ? (float)fmax(-1, fmin(1, ((double)sums->xy - x * y / n) / sqrt(variances))) : 0;
}

static float similarity_of(const NeighborSearch *search, size_t row, size_t other, const Sums *sums) {
  const NeighborOptions *options = &search->options;
  float n = (float)sums->support, similarity = 0;
  if (sums->support == 0 || sums->support < options->min_support) return 0;
  switch (options->similarity) {
    case SIMILARITY_PEARSON: similarity = pearson(sums); break;
    case SIMILARITY_JACCARD:
      similarity =
          n / (float)(sparse_row_length(search->rows, row) + sparse_row_length(search->rows, other) - sums->support);
      break;
    case SIMILARITY_MSD: similarity = n / (n + sums->xy); break;
    default: similarity = sums->xy * (search->inverse_norm[row] * search->inverse_norm[other]); break;
  }
  return similarity * (n / (n + (float)options->shrinkage));
}

int neighbors_row(NeighborSearch *search, size_t row, float *similarity, uint32_t *support) {
  accumulate(search, row, search->row_sums);
  for (size_t other = 0; other < search->rows->rows; other++) {
    const Sums *sums = &search->row_sums[other];
    int counts = other != row && sums->support > 0 && sums->support >= search->options.min_support;
    similarity[other] = counts ? similarity_of(search, row, other, sums) : 0;
    support[other] = counts ? sums->support : 0;
  }
  return SQLITE_OK;
}

/* ---- all rows ---------------------------------------------------------------------------------------------------- */

typedef struct Work {
  const NeighborSearch *search;
  Sums *sums;   /* rows a worker */
  Scored *best; /* likewise */
  Found *found; /* blocks */
} Work;

static int keep(Found *found, size_t row_in_block, const Scored *best, size_t count, const Sums *sums) {
  size_t before = 0;
  for (size_t i = 0; i < row_in_block; i++) before += found->count[i];
  Scored *scored = memory_resize(found->scored, before + count, sizeof *scored);
  if (!scored) return SQLITE_NOMEM;
  found->scored = scored;
  uint32_t *support = memory_resize(found->support, before + count, sizeof *support);
  if (!support) return SQLITE_NOMEM;
  found->support = support;
  found->count[row_in_block] = count;
  for (size_t i = 0; i < count; i++) {
    scored[before + i] = best[i];
    support[before + i] = sums[best[i].index].support;
  }
  return SQLITE_OK;
}

static int search_block(void *context, size_t block, int worker) {
  const Work *work = context;
  const NeighborSearch *search = work->search;
  size_t n = search->rows->rows, k = search->options.size < n ? search->options.size : n;
  Sums *sums = work->sums + (size_t)worker * n;
  Scored *best = work->best + (size_t)worker * n;
  int code = SQLITE_OK;
  for (size_t i = 0; i < ROWS_A_BLOCK && block * ROWS_A_BLOCK + i < n && code == SQLITE_OK; i++) {
    size_t row = block * ROWS_A_BLOCK + i;
    TopK top;
    top_k_init(&top, best, k);
    accumulate(search, row, sums);
    for (size_t other = 0; other < n; other++) {
      float similarity = other == row ? 0 : similarity_of(search, row, other, &sums[other]);
      if (similarity > 0 && (double)similarity > search->options.threshold)
        top_k_offer(&top, similarity, (uint32_t)other);
    }
    code = keep(&work->found[block], i, best, top_k_sort(&top), sums);
  }
  return code;
}

static int collect(const Found *found, size_t rows, NeighborLists *lists) {
  size_t total = 0;
  lists->rows = rows;
  lists->start = memory_alloc_zero(rows + 1, sizeof *lists->start);
  if (!lists->start) return SQLITE_NOMEM;
  for (size_t row = 0; row < rows; row++) {
    total += found[row / ROWS_A_BLOCK].count[row % ROWS_A_BLOCK];
    lists->start[row + 1] = total;
  }
  lists->neighbor = memory_alloc(total, sizeof *lists->neighbor);
  lists->similarity = memory_alloc(total, sizeof *lists->similarity);
  lists->support = memory_alloc(total, sizeof *lists->support);
  if (!lists->neighbor || !lists->similarity || !lists->support) return SQLITE_NOMEM;
  for (size_t row = 0; row < rows; row += ROWS_A_BLOCK) {
    const Found *block = &found[row / ROWS_A_BLOCK];
    size_t end = row + ROWS_A_BLOCK < rows ? row + ROWS_A_BLOCK : rows, first = lists->start[row];
    for (size_t i = 0; i < lists->start[end] - first; i++) {
      lists->neighbor[first + i] = block->scored[i].index;
      lists->similarity[first + i] = block->scored[i].score;
      lists->support[first + i] = block->support[i];
    }
  }
  return SQLITE_OK;
}

int neighbors_all(NeighborSearch *search, NeighborLists *lists, const Cancel *cancel, Error *error) {
  size_t n = search->rows->rows, threads = (size_t)search->options.threads;
  size_t blocks = (n + ROWS_A_BLOCK - 1) / ROWS_A_BLOCK;
  *lists = (NeighborLists){0};
  Work work = {.search = search};
  work.sums = memory_alloc(threads, n * sizeof *work.sums);
  work.best = memory_alloc(threads, n * sizeof *work.best);
  work.found = memory_alloc_zero(blocks, sizeof *work.found);
  int code = work.sums && work.best && work.found ? SQLITE_OK : SQLITE_NOMEM;
  if (code == SQLITE_OK) code = parallel_for(search->options.threads, blocks, search_block, &work, cancel);
  if (code == SQLITE_OK) code = collect(work.found, n, lists);
  for (size_t block = 0; work.found && block < blocks; block++) {
    memory_free(work.found[block].scored);
    memory_free(work.found[block].support);
  }
  memory_free(work.sums);
  memory_free(work.best);
  memory_free(work.found);
  if (code != SQLITE_OK) neighbor_lists_free(lists);
  if (code == SQLITE_NOMEM) return error_no_memory(error);
  return code == SQLITE_OK ? SQLITE_OK : error_set(error, code, "interrupted");
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
  int code = options->sample > 0 && any_longer(features, options->sample) ? draw(*search, cancel) : SQLITE_OK;
  if (code == SQLITE_OK) code = make_values(*search, cancel);
  if (code == SQLITE_OK) return SQLITE_OK;
  neighbors_destroy(*search);
  *search = NULL;
  return code == SQLITE_NOMEM ? error_no_memory(error) : error_set(error, code, "interrupted");
}

void neighbors_destroy(NeighborSearch *search) {
  if (!search) return;
  sparse_free(&search->drawn_rows);
  sparse_free(&search->drawn_features);
  memory_free(search->row_part);
  memory_free(search->feature_part);
  memory_free(search->inverse_norm);
  memory_free(search->value);
  memory_free(search->row_sums);
  memory_free(search);
}
