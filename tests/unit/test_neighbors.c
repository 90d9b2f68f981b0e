/* neighbors.h against loops over all cells in double precision, and neighbors_all against a sort of what neighbors_row
 * says, with the promises about bytes, memory and cancelling; neighbor_predict.h against a sort of the votes. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/sqlite.h"
#include "cancelling.h"
#include "check.h"
#include "failing_memory.h"
#include "learn/neighbor_predict.h"
#include "learn/neighbors.h"

/* ---- data -------------------------------------------------------------------------------------------------------- */

typedef struct Data {
  SparseMatrix rows, features;
} Data;

enum { NO_VALUES, HALF_STARS, HALVES_TO_45, ANY_VALUES };

/* Half stars from .5 to 5 (or other values) in a share of all cells, more of them in the first rows and features; every
 * seventh row and fifth feature is empty, and feature 1 has all other rows. */
static Data make_data(size_t rows, size_t features, double share, int values) {
  Data data = {0};
  size_t entries = 0;
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1) CHECK(sparse_alloc(&data.rows, rows, features, entries, values != NO_VALUES) == SQLITE_OK);
    entries = 0;
    for (size_t row = 0; row < rows; row++) {
      for (size_t feature = 0; feature < features; feature++) {
        size_t cell = row * features + feature;
        double chance = share * 4 / (1 + 3 * (double)(row * 10 / rows + feature * 10 / features) / 6);
        if (rows > 1 && (row % 7 == 3 || feature % 5 == 2)) continue;
        if (feature != 1 && random_uniform(5, cell) >= chance) continue;
        if (pass == 1) {
          data.rows.index[entries] = (uint32_t)feature;
          if (values == ANY_VALUES) data.rows.value[entries] = (float)(.1 + random_uniform(6, cell));
          if (values == HALF_STARS || values == HALVES_TO_45)
            data.rows.value[entries] = .5f * (float)(1 + random_bits(6, cell) % (values == HALF_STARS ? 10 : 90));
        }
        entries++;
      }
      if (pass == 1) data.rows.start[row + 1] = entries;
    }
  }
  CHECK(sparse_transpose(&data.rows, &data.features, 1, NULL) == SQLITE_OK);
  return data;
}

static void free_data(Data *data) {
  sparse_free(&data->rows);
  sparse_free(&data->features);
}

/* ---- similarities by the book ------------------------------------------------------------------------------------ */

/* A matrix with a place for every cell; NaN where there is nothing. */
static double *dense_of(const SparseMatrix *rows) {
  double *dense = malloc((rows->rows * rows->columns + 1) * sizeof *dense);
  for (size_t i = 0; i < rows->rows * rows->columns; i++) dense[i] = NAN;
  for (size_t row = 0; row < rows->rows; row++)
    for (size_t e = rows->start[row]; e < rows->start[row + 1]; e++)
      dense[row * rows->columns + rows->index[e]] = rows->value ? (double)rows->value[e] : 1;
  return dense;
}

/* The sum and number of what is there in n cells. */
static double sum_of(const double *cell, size_t n, size_t step, double *count) {
  double sum = 0;
  *count = 0;
  for (size_t i = 0; i < n; i++)
    if (!isnan(cell[i * step])) sum += cell[i * step], ++*count;
  return sum;
}

/* Values as adjusted cosine and the weightings want them. */
static void prepare(double *x, size_t n, size_t m, const NeighborOptions *options) {
  double *row = calloc(n + 1, sizeof *row), *length = calloc(n + 1, sizeof *length), average = 0;
  double *column = calloc(m + 1, sizeof *column), *df = calloc(m + 1, sizeof *df);
  for (size_t i = 0; i < n; i++) average += (row[i] = sum_of(x + i * m, m, 1, &length[i])) / (double)n;
  for (size_t j = 0; j < m; j++) column[j] = sum_of(x + j, n, m, &df[j]);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < m; j++) {
      double v = x[i * m + j], idf = log((double)n / (1 + df[j]));
      if (options->similarity == SIMILARITY_ADJUSTED_COSINE)
        v -= options->rows_are_users ? row[i] / length[i] : column[j] / df[j];
      if (options->similarity == SIMILARITY_COSINE && options->weighting == WEIGHTING_TFIDF) v = sqrt(v) * idf;
      if (options->similarity == SIMILARITY_COSINE && options->weighting == WEIGHTING_BM25)
        v *= (options->bm25_k1 + 1) * idf /
             (options->bm25_k1 * (1 - options->bm25_b + options->bm25_b * row[i] / average) + v);
      x[i * m + j] = v;
    }
  free(row);
  free(length);
  free(column);
  free(df);
}

static double expected_similarity(const double *x, const double *y, size_t m, const NeighborOptions *options,
                                  uint32_t *support) {
  double n = 0, either = 0, sx = 0, sy = 0, dot = 0, xx = 0, yy = 0, difference = 0, s = 0;
  for (size_t j = 0; j < m; j++) {
    int in_x = !isnan(x[j]), in_y = !isnan(y[j]);
    either += in_x || in_y;
    if (in_x) xx += x[j] * x[j];
    if (in_y) yy += y[j] * y[j];
    if (in_x && in_y) n++, sx += x[j], sy += y[j], dot += x[j] * y[j], difference += (x[j] - y[j]) * (x[j] - y[j]);
  }
  *support = n < (double)options->min_support ? 0 : (uint32_t)n;
  if (*support == 0) return 0;
  if (options->similarity == SIMILARITY_PEARSON) {
    dot = xx = yy = 0;
    for (size_t j = 0; j < m; j++)
      if (!isnan(x[j]) && !isnan(y[j])) {
        dot += (x[j] - sx / n) * (y[j] - sy / n);
        xx += (x[j] - sx / n) * (x[j] - sx / n);
        yy += (y[j] - sy / n) * (y[j] - sy / n);
      }
  }
  switch (options->similarity) {
    case SIMILARITY_JACCARD: s = n / either; break;
    case SIMILARITY_MSD: s = 1 / (1 + difference / n); break;
    default: s = xx > 1e-9 && yy > 1e-9 ? dot / sqrt(xx * yy) : 0; break;
  }
  return s * n / (n + options->shrinkage);
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

static NeighborOptions options_of(Similarity similarity) {
  return (NeighborOptions){.similarity = similarity, .bm25_k1 = 100, .bm25_b = .8, .size = 5, .seed = 42, .threads = 2};
}

/* neighbors_row against the book; the similarities of all pairs are left in `all`. */
static void check_rows(const Data *data, const NeighborOptions *options, float *all, uint32_t *supports) {
  size_t n = data->rows.rows, m = data->rows.columns;
  double *x = dense_of(&data->rows);
  NeighborSearch *search = NULL;
  Error error = {0};
  prepare(x, n, m, options);
  CHECK(neighbors_create(&search, &data->rows, &data->features, options, NULL, &error) == SQLITE_OK);
  for (size_t row = 0; row < n; row++) {
    CHECK(neighbors_row(search, row, all + row * n, supports + row * n) == SQLITE_OK);
    CHECK(all[row * n + row] == 0 && supports[row * n + row] == 0);
    for (size_t other = 0; other < n; other++) {
      if (other == row) continue;
      uint32_t support;
      double s = expected_similarity(x + row * m, x + other * m, m, options, &support);
      CHECK_NEAR(all[row * n + other], s, 1e-6);
      CHECK(supports[row * n + other] == support);
    }
  }
  neighbors_destroy(search);
  free(x);
}

static int is_kept(float similarity, double threshold) {
  return similarity != 0 && (threshold <= -1 || (double)similarity > threshold);
}

/* Whether a row's list is the best of `all`, to the bit. */
static void check_list(const NeighborLists *lists, size_t row, const NeighborOptions *options, const float *all,
                       const uint32_t *supports) {
  size_t n = lists->rows, length = lists->start[row + 1] - lists->start[row], candidates = 0;
  for (size_t other = 0; other < n; other++) candidates += is_kept(all[other], options->threshold);
  CHECK(length == (candidates < options->size ? candidates : options->size));
  for (size_t place = 0; place < length; place++) {
    size_t e = lists->start[row] + place, better = 0;
    uint32_t neighbor = lists->neighbor[e];
    if (!CHECK(neighbor < n)) continue;
    CHECK(lists->similarity[e] == all[neighbor] && lists->support[e] == supports[neighbor]);
    CHECK(is_kept(all[neighbor], options->threshold));
    for (size_t other = 0; other < n; other++)
      better += is_kept(all[other], options->threshold) &&
                (all[other] > all[neighbor] || (all[other] == all[neighbor] && other < neighbor));
    CHECK(better == place);
  }
}

static int find_all(const Data *data, const NeighborOptions *options, NeighborLists *lists, const Cancel *cancel) {
  NeighborSearch *search = NULL;
  Error error = {0};
  *lists = (NeighborLists){0};
  int code = neighbors_create(&search, &data->rows, &data->features, options, cancel, &error);
  if (code == SQLITE_OK) code = neighbors_all(search, lists, cancel, &error);
  CHECK(code == error.code);
  neighbors_destroy(search);
  error_clear(&error);
  return code;
}

static void check_lists(const Data *data, NeighborOptions options, const float *all, const uint32_t *supports) {
  const size_t sizes[] = {0, 1, 5, 1000, SIZE_MAX};
  const double thresholds[] = {0, .2, -1, -.1};
  size_t n = data->rows.rows;
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (size_t t = 0; t < sizeof thresholds / sizeof *thresholds; t++) {
      NeighborLists lists;
      options.size = sizes[s];
      options.threshold = thresholds[t];
      CHECK(find_all(data, &options, &lists, NULL) == SQLITE_OK);
      CHECK(lists.rows == n && lists.start[0] == 0);
      for (size_t row = 0; row < n; row++) check_list(&lists, row, &options, all + row * n, supports + row * n);
      neighbor_lists_free(&lists);
    }
}

static void check_everything(const Data *data) {
  size_t n = data->rows.rows;
  float *all = malloc((n * n + 1) * sizeof *all);
  uint32_t *supports = malloc((n * n + 1) * sizeof *supports);
  for (int similarity = 0; similarity < SIMILARITIES; similarity++)
    for (int weighting = 0; weighting < (similarity == SIMILARITY_COSINE ? WEIGHTINGS : 1); weighting++)
      for (int shape = 0; shape < 4; shape++) {
        NeighborOptions options = options_of((Similarity)similarity);
        options.weighting = (NeighborWeighting)weighting;
        options.shrinkage = shape & 1 ? 7.5 : 0;
        options.min_support = shape & 2 ? 3 : 0;
        options.rows_are_users = shape == 1 || shape == 2;
        check_rows(data, &options, all, supports);
        check_lists(data, options, all, supports);
      }
  free(all);
  free(supports);
}

static void test_similarities(void) {
  const size_t shapes[][2] = {{1, 1}, {1, 9}, {9, 1}, {2, 2}, {40, 30}, {25, 120}, {90, 11}, {0, 0}, {0, 5}, {5, 0}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int values = 0; values <= ANY_VALUES; values++) {
      Data data = make_data(shapes[s][0], shapes[s][1], .2, values);
      check_everything(&data);
      free_data(&data);
    }
}

static void check_sizes(const Data *data) {
  size_t n = data->rows.rows;
  float *all = malloc(n * n * sizeof *all);
  uint32_t *supports = malloc(n * n * sizeof *supports);
  for (int similarity = 0; similarity < SIMILARITIES; similarity++)
    for (int shrunk = 0; shrunk < 2; shrunk++) {
      NeighborOptions options = options_of((Similarity)similarity);
      options.shrinkage = 3 * shrunk;
      check_rows(data, &options, all, supports);
      for (size_t size = 3; size < 1000; size *= 10) {
        NeighborLists lists;
        options.size = size;
        CHECK(find_all(data, &options, &lists, NULL) == SQLITE_OK);
        for (size_t row = 0; row < n; row++) check_list(&lists, row, &options, all + row * n, supports + row * n);
        neighbor_lists_free(&lists);
      }
    }
  free(all);
  free(supports);
}

/* Rows of which few have anything in common, and rows that have nearly everything. */
static void test_densities(void) {
  const double shares[] = {.0005, .01, .3};
  for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
    Data data = make_data(250, 150, shares[s], HALF_STARS);
    check_sizes(&data);
    free_data(&data);
  }
}

/* More common features than 16 bits hold products of, and values without end. */
static void test_values(void) {
  for (int values = NO_VALUES; values <= ANY_VALUES; values++) {
    Data data = make_data(90, 400, .4, values);
    check_sizes(&data);
    free_data(&data);
  }
}

/* More rows than are kept side by side. */
static void test_many_rows(void) {
  Data data = make_data(1200, 40, .3, HALF_STARS);
  size_t n = data.rows.rows;
  float *all = malloc(n * sizeof *all);
  uint32_t *supports = malloc(n * sizeof *supports);
  for (int shrunk = 0; shrunk < 2; shrunk++) {
    NeighborOptions options = options_of(SIMILARITY_COSINE);
    NeighborSearch *search = NULL;
    NeighborLists lists;
    Error error = {0};
    options.shrinkage = shrunk;
    CHECK(find_all(&data, &options, &lists, NULL) == SQLITE_OK);
    CHECK(neighbors_create(&search, &data.rows, &data.features, &options, NULL, &error) == SQLITE_OK);
    double *x = dense_of(&data.rows);
    for (size_t row = 0; row < n; row += SANITIZED ? 29 : 7) {
      CHECK(neighbors_row(search, row, all, supports) == SQLITE_OK);
      check_list(&lists, row, &options, all, supports);
      for (size_t other = 0; other < n; other++) {
        uint32_t support;
        double s = expected_similarity(x + row * 40, x + other * 40, 40, &options, &support);
        if (other != row) CHECK_NEAR(all[other], s, 1e-6);
      }
    }
    free(x);
    neighbors_destroy(search);
    neighbor_lists_free(&lists);
  }
  free(all);
  free(supports);
  free_data(&data);
}

/* Instruction sets may differ in the last bits only, and of half stars not at all. */
static void test_instructions(void) {
  const char *levels[] = {"generic", "avx2", "avx512"};
  Data data = make_data(300, 120, .2, HALF_STARS);
  for (int similarity = 0; similarity < SIMILARITIES; similarity++) {
    NeighborOptions options = options_of((Similarity)similarity);
    NeighborLists first = {0}, lists;
    for (int level = 0; level < 3; level += 1 + SANITIZED) {
      setenv("RECOMMEND_SIMD", levels[level], 1);
      CHECK(find_all(&data, &options, &lists, NULL) == SQLITE_OK);
      if (level == 0) first = lists;
      CHECK(lists.start[300] == first.start[300]);
      for (size_t e = 0; e < lists.start[300]; e++) CHECK_NEAR(first.similarity[e], lists.similarity[e], 1e-6);
      if (level > 0) neighbor_lists_free(&lists);
    }
    neighbor_lists_free(&first);
  }
  unsetenv("RECOMMEND_SIMD");
  free_data(&data);
}

/* ---- drawing ----------------------------------------------------------------------------------------------------- */

/* Σ of all supports is Σ_f c (c − 1), c the rows of a feature: known without knowing which were drawn. */
static void test_sample(void) {
  Data data = make_data(200, 40, .3, HALF_STARS);
  NeighborOptions options = options_of(SIMILARITY_JACCARD);
  NeighborLists first = {0}, lists;
  options.size = SIZE_MAX;
  const size_t samples[] = {7, 7, 20, 200, 1000, 0};
  for (size_t s = 0; s < sizeof samples / sizeof *samples; s++) {
    size_t expected = 0, total = 0;
    options.sample = samples[s];
    for (size_t f = 0; f < data.features.rows; f++) {
      size_t length = sparse_row_length(&data.features, f);
      if (samples[s] > 0 && length > samples[s]) length = samples[s];
      expected += length * (length - (length > 0));
    }
    CHECK(find_all(&data, &options, &lists, NULL) == SQLITE_OK);
    for (size_t e = 0; e < lists.start[lists.rows]; e++) total += lists.support[e];
    CHECK(total == expected);
    if (s == 1) CHECK(memcmp(first.support, lists.support, lists.start[lists.rows] * sizeof *lists.support) == 0);
    neighbor_lists_free(&first);
    first = lists;
  }
  neighbor_lists_free(&first);
  size_t rows[3] = {0}; /* how many neighbours row 0 has, by seed: some draw is another */
  for (options.sample = 3, options.seed = 0; options.seed < 3; options.seed++) {
    CHECK(find_all(&data, &options, &lists, NULL) == SQLITE_OK);
    for (size_t row = 0; row < lists.rows; row++) rows[options.seed] = rows[options.seed] * 31 + lists.start[row];
    neighbor_lists_free(&lists);
  }
  assert_true(rows[0] != rows[1] || rows[1] != rows[2]);
  free_data(&data);
}

/* ---- votes ------------------------------------------------------------------------------------------------------- */

static void test_votes(void) {
  enum { MOST = 60 };
  NeighborVote votes[MOST] = {{0, 0}};
  assert_true(neighbor_vote(votes, 0, 5) == 0);
  for (size_t n = 1; n < MOST; n++) {
    for (size_t i = 0; i < n; i++) {
      float similarity = n % 2 ? (float)random_uniform(n, i) + 1e-6f : (float)(1 + random_bits(n, i) % 4) / 4;
      if (n % 3 == 0 && i % 2) similarity = -similarity;
      votes[i] = (NeighborVote){similarity, (float)random_normal(n + 100, i)};
    }
    for (size_t size = 0; size <= n + 1; size++) {
      double sum = 0, weight = 0;
      for (size_t i = 0; i < n; i++) {
        size_t better = 0;
        for (size_t j = 0; j < n; j++)
          better += votes[j].similarity > votes[i].similarity || (votes[j].similarity == votes[i].similarity && j < i);
        if (better >= size) continue;
        sum += (double)votes[i].similarity * (double)votes[i].deviation;
        weight += fabs((double)votes[i].similarity);
      }
      CHECK_NEAR(neighbor_vote(votes, n, size), weight > 0 ? sum / weight : 0, 1e-12);
    }
  }
  assert_true(neighbor_deviation(NULL, 0) == 1);
  assert_true(neighbor_deviation((const float[]){4, 4, 4}, 3) == 1);
  CHECK_NEAR(neighbor_deviation((const float[]){1, 2, 3, 4}, 4), sqrt(1.25), 1e-12);
}

/* ---- promises ---------------------------------------------------------------------------------------------------- */

static void test_threads(void) {
  const double shares[] = {.003, .1};
  for (size_t share = 0; share < 2; share++) {
    Data data = make_data(1500, 300, shares[share], HALF_STARS);
    const int threads[] = {1, 2, 5};
    for (int similarity = 0; similarity < SIMILARITIES; similarity++)
      for (int all = 0; all < 2; all++) {
        NeighborLists first = {0}, lists;
        for (size_t t = 0; t < 3 - SANITIZED; t++) {
          NeighborOptions options = options_of((Similarity)similarity);
          options.threads = threads[t];
          options.size = all ? SIZE_MAX : 10;
          CHECK(find_all(&data, &options, &lists, NULL) == SQLITE_OK);
          if (t == 0) {
            first = lists;
            continue;
          }
          size_t entries = first.start[first.rows];
          CHECK(entries > 1000);
          CHECK(memcmp(first.start, lists.start, (first.rows + 1) * sizeof *first.start) == 0);
          CHECK(memcmp(first.neighbor, lists.neighbor, entries * sizeof *first.neighbor) == 0);
          CHECK(memcmp(first.similarity, lists.similarity, entries * sizeof *first.similarity) == 0);
          CHECK(memcmp(first.support, lists.support, entries * sizeof *first.support) == 0);
          neighbor_lists_free(&lists);
        }
        neighbor_lists_free(&first);
      }
    free_data(&data);
  }
}

/* Everything that takes memory of its own. */
static NeighborOptions expensive(int kind) {
  const Similarity similarities[] = {SIMILARITY_COSINE, SIMILARITY_PEARSON, SIMILARITY_ADJUSTED_COSINE};
  NeighborOptions options = options_of(similarities[kind]);
  options.weighting = WEIGHTING_BM25;
  options.sample = kind == 0 ? 5 : 0;
  options.size = kind == 1 ? SIZE_MAX : 4;
  return options;
}

static void test_memory(void) {
  Data data = make_data(45, 40, .2, HALF_STARS);
  for (int kind = 0; kind < 3; kind++) {
    NeighborOptions options = expensive(kind);
    NeighborLists lists;
    int code = SQLITE_NOMEM;
    long before = outstanding, n = 0;
    for (; code != SQLITE_OK && n < 1000; n++) {
      fail_after = n;
      code = find_all(&data, &options, &lists, NULL);
      fail_after = -1;
      CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
      neighbor_lists_free(&lists);
      CHECK(outstanding == before);
    }
    CHECK(code == SQLITE_OK && n > 10);
  }
  free_data(&data);
}

/* A value whose square no float can hold: no similarity that is not a number comes of it. */
static void test_large_values(void) {
  for (int similarity = 0; similarity < SIMILARITIES; similarity++) {
    Data data = make_data(45, 40, .2, ANY_VALUES);
    NeighborLists lists;
    NeighborOptions options = options_of((Similarity)similarity);
    sparse_free(&data.features);
    data.rows.value[3] = 1e20F;
    CHECK(sparse_transpose(&data.rows, &data.features, 1, NULL) == SQLITE_OK);
    int code = find_all(&data, &options, &lists, NULL), counted = similarity == SIMILARITY_JACCARD;
    CHECK(code == (counted || similarity == SIMILARITY_PEARSON ? SQLITE_OK : SQLITE_ERROR));
    for (size_t e = 0; code == SQLITE_OK && e < lists.start[lists.rows]; e++) CHECK(isfinite(lists.similarity[e]));
    neighbor_lists_free(&lists);
    free_data(&data);
  }
}

static void test_cancel(void) {
  Data data = make_data(300, 200, .2, HALF_STARS);
  for (int kind = 0; kind < 3; kind++) {
    NeighborOptions options = expensive(kind);
    NeighborLists lists;
    long polls = 0, before = outstanding;
    int code = SQLITE_INTERRUPT;
    for (; code == SQLITE_INTERRUPT && polls < 100000; polls += 1 + polls / 8) {
      long left = polls;
      Cancel cancel = {count_down, &left};
      code = find_all(&data, &options, &lists, &cancel);
      CHECK(code == SQLITE_OK || code == SQLITE_INTERRUPT);
      neighbor_lists_free(&lists);
      CHECK(outstanding == before);
    }
    CHECK(code == SQLITE_OK && polls > 10);
  }
  free_data(&data);
}

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_similarities), TEST(test_densities), TEST(test_values), TEST(test_many_rows),
      TEST(test_instructions), TEST(test_sample),    TEST(test_votes),  TEST(test_threads),
      TEST(test_large_values), TEST(test_memory),    TEST(test_cancel),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
