/* Weights of terms against the formulas written out over a dense matrix, and which terms are kept. */
#include "learn/tfidf.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/sqlite.h"
#include "check.h"

enum { ROWS = 1100, COLUMNS = 60 }; /* more rows than one block of them */

static double dense[ROWS][COLUMNS];

/* Some columns in every row, some in one, one in none; one row empty. */
static void fill_dense(uint64_t seed, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) {
      uint64_t bits = random_bits(seed, r * columns + c);
      int there = c == 0 || (c == 1 && r == 2) || (c > 2 && bits % (c + 2) < 2);
      dense[r][c] = there && r != 1 ? (double)(1 + (bits >> 32) % 5) : 0;
    }
}

static SparseMatrix make_sparse(size_t rows, size_t columns) {
  SparseMatrix matrix;
  size_t entries = 0, to = 0;
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) entries += dense[r][c] != 0;
  CHECK(sparse_alloc(&matrix, rows, columns, entries, 1) == SQLITE_OK);
  for (size_t r = 0; r < rows; r++) {
    for (size_t c = 0; c < columns; c++) {
      if (dense[r][c] == 0) continue;
      matrix.index[to] = (uint32_t)c;
      matrix.value[to++] = (float)dense[r][c];
    }
    matrix.start[r + 1] = to;
  }
  return matrix;
}

static double frequency(size_t rows, size_t column) {
  double df = 0;
  for (size_t r = 0; r < rows; r++) df += dense[r][column] != 0;
  return df;
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* Row r's weights by the formulas; returns the norm. */
static double weigh_plainly(const TfidfOptions *options, size_t rows, size_t columns, size_t r, double *weight) {
  double norm = 0;
  for (size_t c = 0; c < columns; c++) {
    double count = dense[r][c], df = frequency(rows, c), n = (double)rows, idf = 1;
    double tf = options->weighting == TFIDF_BINARY ? 1 : options->sublinear_tf ? 1 + log(count) : count;
    if (options->weighting == TFIDF_TFIDF) idf = options->smooth_idf ? log((1 + n) / (1 + df)) + 1 : log(n / df) + 1;
    weight[c] = count != 0 ? tf * idf : 0;
    norm += options->norm == TFIDF_L1 ? fabs(weight[c]) : weight[c] * weight[c];
  }
  norm = options->norm == TFIDF_NONE ? 1 : options->norm == TFIDF_L1 ? norm : sqrt(norm);
  if (norm == 0) norm = 1;
  for (size_t c = 0; c < columns; c++) weight[c] /= norm;
  return norm;
}

static void compare_weights(const TfidfOptions *options, size_t rows, size_t columns, int threads) {
  SparseMatrix counts = make_sparse(rows, columns);
  uint32_t *df = malloc(columns * sizeof *df);
  double *idf = malloc(columns * sizeof *idf), *expected = malloc(columns * sizeof *expected);
  float *length = malloc(rows * sizeof *length);
  if (!CHECK(df && idf && expected && length)) exit(1);
  tfidf_document_frequencies(&counts, df);
  for (size_t c = 0; c < columns; c++) {
    CHECK((double)df[c] == frequency(rows, c));
    idf[c] = df[c] ? tfidf_idf(options, rows, (double)df[c]) : 0;
  }
  CHECK(tfidf_weigh_all(&counts, idf, options, length, threads, NULL) == SQLITE_OK);
  for (size_t r = 0; r < rows; r++) {
    double squares = 0;
    int wrong = 0;
    weigh_plainly(options, rows, columns, r, expected);
    for (size_t e = counts.start[r]; e < counts.start[r + 1]; e++) {
      double got = (double)counts.value[e] * (double)length[r], want = expected[counts.index[e]];
      wrong += !(fabs(got - want) <= 1e-6 * want);
      squares += (double)counts.value[e] * (double)counts.value[e];
    }
    CHECK(wrong == 0);
    if (counts.start[r + 1] > counts.start[r])
      CHECK_NEAR(squares, 1, 1e-5); /* of length 1, whatever the norm */
    else
      CHECK(length[r] == 0);
  }
  sparse_free(&counts);
  free(df);
  free(idf);
  free(expected);
  free(length);
}

static void test_weights(void) {
  for (int weighting = TFIDF_TFIDF; weighting <= TFIDF_BINARY; weighting++)
    for (int norm = TFIDF_L2; norm <= TFIDF_NONE; norm++)
      for (int flags = 0; flags < 4; flags++) {
        const TfidfOptions options = {.weighting = (TfidfWeighting)weighting,
                                      .norm = (TfidfNorm)norm,
                                      .sublinear_tf = flags & 1,
                                      .smooth_idf = flags >> 1};
        fill_dense((uint64_t)(weighting * 100 + norm * 10 + flags), 40, COLUMNS);
        compare_weights(&options, 40, COLUMNS, 1);
      }
  const TfidfOptions options = {.smooth_idf = 1};
  fill_dense(7, ROWS, COLUMNS);
  for (int threads = 1; threads <= 5; threads += 2) compare_weights(&options, ROWS, COLUMNS, threads);
  fill_dense(8, 1, 1);
  compare_weights(&options, 1, 1, 2);
}

static void test_one_text(void) {
  double weight[] = {3, 1, 2}, idf[] = {1, 2, 0.5};
  const TfidfOptions l2 = {.norm = TFIDF_L2}, l1 = {.norm = TFIDF_L1, .sublinear_tf = 1},
                     none = {.norm = TFIDF_NONE, .weighting = TFIDF_BINARY, .sublinear_tf = 1};
  CHECK_NEAR(tfidf_weigh(&l2, weight, idf, 3), sqrt(14), 1e-12); /* 3, 2, 1 */
  assert_true(weight[0] == 3);
  assert_true(weight[1] == 2);
  assert_true(weight[2] == 1);
  double second[] = {3, 1, 2}, third[] = {3, 1, 2};
  CHECK_NEAR(tfidf_weigh(&l1, second, idf, 3), 1 + log(3) + 2 + 0.5 * (1 + log(2)), 1e-12);
  assert_true(tfidf_weigh(&none, third, idf, 3) == 1);
  assert_true(third[0] == 1);
  assert_true(third[1] == 2);
  assert_true(third[2] == 0.5);
  assert_true(tfidf_weigh(&l2, weight, idf, 0) == 1); /* nothing to be divided */
}

static int stop_at_once(void *context) {
  (void)context;
  return SQLITE_INTERRUPT;
}

static void test_cancelled(void) {
  const Cancel cancel = {stop_at_once, NULL};
  const TfidfOptions options = {.smooth_idf = 1};
  double idf[COLUMNS];
  static float length[ROWS];
  fill_dense(3, ROWS, COLUMNS);
  SparseMatrix counts = make_sparse(ROWS, COLUMNS);
  for (size_t c = 0; c < COLUMNS; c++) idf[c] = 1;
  for (int threads = 1; threads < 4; threads++)
    CHECK(tfidf_weigh_all(&counts, idf, &options, length, threads, &cancel) == SQLITE_INTERRUPT);
  sparse_free(&counts);
}

/* ---- which terms ------------------------------------------------------------------------------------------------- */

/* Is column c kept? By the rule, term by term; `most_features` compares with all others. */
static int kept_plainly(const TfidfOptions *options, size_t rows, size_t columns, size_t c, int most_features) {
  double n = (double)rows, df = frequency(rows, c), total = 0;
  double least = options->min_df < 1 ? options->min_df * n : options->min_df;
  double most = options->max_df <= 1 ? options->max_df * n : options->max_df;
  if (df < 1 || df < least || df > most) return 0;
  if (!most_features) return 1;
  int before = 0; /* more frequent ones */
  for (size_t r = 0; r < rows; r++) total += dense[r][c];
  for (size_t other = 0; other < columns; other++) {
    double others = 0;
    for (size_t r = 0; r < rows; r++) others += dense[r][other];
    before += kept_plainly(options, rows, columns, other, 0) && (others > total || (others == total && other < c));
  }
  return before < most_features;
}

static void compare_selection(TfidfOptions options, size_t rows, size_t columns) {
  SparseMatrix counts = make_sparse(rows, columns);
  uint32_t *df = malloc(columns * sizeof *df), *new_index = malloc(columns * sizeof *new_index), next = 0;
  size_t kept = 99, entry = 0;
  if (!CHECK(df && new_index)) exit(1);
  tfidf_document_frequencies(&counts, df);
  CHECK(tfidf_select(&counts, df, &options, new_index, &kept) == SQLITE_OK);
  for (size_t c = 0; c < columns; c++)
    CHECK(new_index[c] == (kept_plainly(&options, rows, columns, c, options.max_features) ? next++ : UINT32_MAX));
  CHECK(kept == next);
  tfidf_keep_columns(&counts, new_index, kept);
  CHECK(counts.columns == kept && counts.rows == rows && counts.start[0] == 0);
  int wrong = 0;
  for (size_t r = 0; r < rows; r++) {
    for (size_t c = 0; c < columns; c++) {
      if (new_index[c] == UINT32_MAX || dense[r][c] == 0) continue;
      wrong += counts.index[entry] != new_index[c] || (double)counts.value[entry] != dense[r][c];
      entry++;
    }
    wrong += counts.start[r + 1] != entry;
  }
  CHECK(wrong == 0);
  sparse_free(&counts);
  free(df);
  free(new_index);
}

static void test_selection(void) {
  static const double least[] = {0, 0.1, 0.25, 1, 2, 5, 40, 1000}, most[] = {0, 0.2, 0.5, 1, 2, 7, 20, 1e9};
  static const int features[] = {0, 1, 7, 59, 60, 1000};
  fill_dense(5, 40, COLUMNS);
  for (size_t i = 0; i < sizeof least / sizeof *least; i++)
    for (size_t j = 0; j < sizeof most / sizeof *most; j++)
      for (size_t k = 0; k < sizeof features / sizeof *features; k++)
        compare_selection((TfidfOptions){.min_df = least[i], .max_df = most[j], .max_features = features[k]}, 40,
                          COLUMNS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_weights),
      TEST(test_one_text),
      TEST(test_cancelled),
      TEST(test_selection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
