/* learn/kmeans.h against brute force and the identities that define a clustering, against the best known clusterings of
 * Fisher's iris, and the promises about bytes, memory and cancelling. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/sqlite.h"
#include "cancelling.h"
#include "check.h"
#include "failing_memory.h"
#include "learn/kmeans.h"

/* Fisher's iris ("The use of multiple measurements in taxonomic problems", Annals of Eugenics 7 (1936)), in mm. */
static const unsigned char iris[600] = {
    51, 35, 14, 2,  49, 30, 14, 2,  47, 32, 13, 2,  46, 31, 15, 2,  50, 36, 14, 2,  54, 39, 17, 4,  46, 34, 14, 3,  50,
    34, 15, 2,  44, 29, 14, 2,  49, 31, 15, 1,  54, 37, 15, 2,  48, 34, 16, 2,  48, 30, 14, 1,  43, 30, 11, 1,  58, 40,
    12, 2,  57, 44, 15, 4,  54, 39, 13, 4,  51, 35, 14, 3,  57, 38, 17, 3,  51, 38, 15, 3,  54, 34, 17, 2,  51, 37, 15,
    4,  46, 36, 10, 2,  51, 33, 17, 5,  48, 34, 19, 2,  50, 30, 16, 2,  50, 34, 16, 4,  52, 35, 15, 2,  52, 34, 14, 2,
    47, 32, 16, 2,  48, 31, 16, 2,  54, 34, 15, 4,  52, 41, 15, 1,  55, 42, 14, 2,  49, 31, 15, 2,  50, 32, 12, 2,  55,
    35, 13, 2,  49, 36, 14, 1,  44, 30, 13, 2,  51, 34, 15, 2,  50, 35, 13, 3,  45, 23, 13, 3,  44, 32, 13, 2,  50, 35,
    16, 6,  51, 38, 19, 4,  48, 30, 14, 3,  51, 38, 16, 2,  46, 32, 14, 2,  53, 37, 15, 2,  50, 33, 14, 2,  70, 32, 47,
    14, 64, 32, 45, 15, 69, 31, 49, 15, 55, 23, 40, 13, 65, 28, 46, 15, 57, 28, 45, 13, 63, 33, 47, 16, 49, 24, 33, 10,
    66, 29, 46, 13, 52, 27, 39, 14, 50, 20, 35, 10, 59, 30, 42, 15, 60, 22, 40, 10, 61, 29, 47, 14, 56, 29, 36, 13, 67,
    31, 44, 14, 56, 30, 45, 15, 58, 27, 41, 10, 62, 22, 45, 15, 56, 25, 39, 11, 59, 32, 48, 18, 61, 28, 40, 13, 63, 25,
    49, 15, 61, 28, 47, 12, 64, 29, 43, 13, 66, 30, 44, 14, 68, 28, 48, 14, 67, 30, 50, 17, 60, 29, 45, 15, 57, 26, 35,
    10, 55, 24, 38, 11, 55, 24, 37, 10, 58, 27, 39, 12, 60, 27, 51, 16, 54, 30, 45, 15, 60, 34, 45, 16, 67, 31, 47, 15,
    63, 23, 44, 13, 56, 30, 41, 13, 55, 25, 40, 13, 55, 26, 44, 12, 61, 30, 46, 14, 58, 26, 40, 12, 50, 23, 33, 10, 56,
    27, 42, 13, 57, 30, 42, 12, 57, 29, 42, 13, 62, 29, 43, 13, 51, 25, 30, 11, 57, 28, 41, 13, 63, 33, 60, 25, 58, 27,
    51, 19, 71, 30, 59, 21, 63, 29, 56, 18, 65, 30, 58, 22, 76, 30, 66, 21, 49, 25, 45, 17, 73, 29, 63, 18, 67, 25, 58,
    18, 72, 36, 61, 25, 65, 32, 51, 20, 64, 27, 53, 19, 68, 30, 55, 21, 57, 25, 50, 20, 58, 28, 51, 24, 64, 32, 53, 23,
    65, 30, 55, 18, 77, 38, 67, 22, 77, 26, 69, 23, 60, 22, 50, 15, 69, 32, 57, 23, 56, 28, 49, 20, 77, 28, 67, 20, 63,
    27, 49, 18, 67, 33, 57, 21, 72, 32, 60, 18, 62, 28, 48, 18, 61, 30, 49, 18, 64, 28, 56, 21, 72, 30, 58, 16, 74, 28,
    61, 19, 79, 38, 64, 20, 64, 28, 56, 22, 63, 28, 51, 15, 61, 26, 56, 14, 77, 30, 61, 23, 63, 34, 56, 24, 64, 31, 55,
    18, 60, 30, 48, 18, 69, 31, 54, 21, 67, 31, 56, 24, 69, 31, 51, 23, 58, 27, 51, 19, 68, 32, 59, 23, 67, 33, 57, 25,
    67, 30, 52, 23, 63, 25, 50, 19, 65, 30, 52, 20, 62, 34, 54, 23, 59, 30, 51, 18};

/* ---- data -------------------------------------------------------------------------------------------------------- */

/* Points in both forms. */
typedef struct Data {
  size_t rows, columns, stride;
  float *values;
  SparseMatrix sparse;
} Data;

static Data make_empty(size_t rows, size_t columns) {
  Data data = {.rows = rows, .columns = columns, .stride = (columns + 15) / 16 * 16};
  data.values = memory_alloc_aligned(rows, data.stride * sizeof(float));
  return data;
}

static void make_sparse(Data *data) {
  size_t entries = 0;
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1) CHECK(sparse_alloc(&data->sparse, data->rows, data->columns, entries, 1) == SQLITE_OK);
    entries = 0;
    for (size_t row = 0; row < data->rows; row++) {
      for (size_t column = 0; column < data->columns; column++) {
        float value = data->values[row * data->stride + column];
        if (value == 0) continue;
        if (pass == 1) data->sparse.index[entries] = (uint32_t)column, data->sparse.value[entries] = value;
        entries++;
      }
      if (pass == 1) data->sparse.start[row + 1] = entries;
    }
  }
}

/* Clouds of width 1 around points as far apart as `apart`; a share of the cells is not 0. */
static Data make_clouds(size_t rows, size_t columns, size_t clouds, double apart, double share) {
  Data data = make_empty(rows, columns);
  for (size_t row = 0; row < rows; row++)
    for (size_t column = 0; column < columns; column++) {
      size_t cell = row * columns + column, cloud = random_bits(1, row) % clouds;
      if (random_uniform(2, cell) >= share) continue;
      data.values[row * data.stride + column] =
          (float)(random_normal(3, cell) + apart * random_normal(4, cloud * columns + column));
    }
  make_sparse(&data);
  return data;
}

static void free_data(Data *data) {
  memory_free_aligned(data->values);
  sparse_free(&data->sparse);
}

static KmeansRows rows_of(const Data *data, int sparse) {
  KmeansRows rows = {.rows = data->rows, .columns = data->columns};
  if (sparse)
    rows.sparse = &data->sparse;
  else
    rows.dense = data->values, rows.stride = data->stride;
  return rows;
}

static KmeansOptions options_of(size_t k) {
  return (KmeansOptions){.k = k, .starts = 1, .iterations = 300, .seed = 42, .threads = 2};
}

/* ---- a clustering and what must hold of it ----------------------------------------------------------------------- */

static int cluster(const Data *data, int sparse, const KmeansOptions *options, KmeansResult *result,
                   KmeansReport *report, const Cancel *cancel, Error *error) {
  KmeansRows rows = rows_of(data, sparse);
  Kmeans *kmeans = NULL;
  double last = INFINITY;
  int start = 1, iteration = 0;
  *result = (KmeansResult){0};
  *report = (KmeansReport){0};
  int code = kmeans_create(&kmeans, &rows, options, cancel, error);
  while (code == SQLITE_OK && !report->done) {
    code = kmeans_iterate(kmeans, report, cancel, error);
    if (code != SQLITE_OK) break;
    if (report->start != start) last = INFINITY, iteration = 0, start++;
    CHECK(report->start == start && report->iteration == ++iteration && iteration <= options->iterations);
    CHECK(options->batch_size || report->inertia <= last * (1 + 1e-9) + 1e-9);
    last = report->inertia;
  }
  if (code == SQLITE_OK) code = kmeans_finish(kmeans, result, cancel, error);
  kmeans_destroy(kmeans);
  return code;
}

static double distance(const Data *data, const KmeansResult *result, size_t row, size_t c) {
  double sum = 0;
  for (size_t column = 0; column < data->columns; column++) {
    double d = (double)data->values[row * data->stride + column] - result->centroid[c * data->columns + column];
    sum += d * d;
  }
  return sqrt(sum);
}

/* Every row is with its nearest centroid, and the sums are right. */
static void check_result(const Data *data, const KmeansResult *result) {
  size_t *count = calloc(result->k, sizeof *count), wrong = 0;
  double inertia = 0, worst = 0, size = 1e-30;
  for (size_t row = 0; row < data->rows; row++) {
    uint32_t own = result->cluster[row];
    if (!CHECK(own < result->k)) continue;
    double d = distance(data, result, row, own);
    count[own]++;
    inertia += d * d;
    size = fmax(size, d);
    worst = fmax(worst, fabs(d - (double)result->distance[row]));
    for (size_t c = 0; c < result->k; c++) wrong += distance(data, result, row, c) < d * (1 - 1e-5) - 1e-6;
  }
  CHECK(wrong == 0);
  CHECK_NEAR(worst / size, 0, 1e-5);
  CHECK_NEAR(inertia / (result->inertia + 1e-30), inertia > 0, 1e-9);
  CHECK(memcmp(count, result->count, result->k * sizeof *count) == 0);
  free(count);
}

/* Settled: every centroid is the mean of its rows. */
static void check_means(const Data *data, const KmeansResult *result) {
  double worst = 0;
  for (size_t c = 0; c < result->k; c++)
    for (size_t column = 0; column < data->columns; column++) {
      double sum = 0;
      for (size_t row = 0; row < data->rows; row++)
        if (result->cluster[row] == c) sum += (double)data->values[row * data->stride + column];
      if (result->count[c] > 0)
        worst = fmax(worst, fabs(sum / (double)result->count[c] - result->centroid[c * data->columns + column]));
    }
  CHECK_NEAR(worst, 0, 1e-8);
}

static void check_data(const Data *data, size_t k) {
  const char *levels[] = {"generic", "avx2", "avx512"};
  KmeansOptions options = options_of(k);
  for (int sparse = 0; sparse < 2; sparse++)
    for (int level = 0; level < 3; level += 1 + SANITIZED) {
      KmeansResult result;
      KmeansReport report;
      Error error = {0};
      setenv("RECOMMEND_SIMD", levels[level], 1);
      CHECK(cluster(data, sparse, &options, &result, &report, NULL, &error) == SQLITE_OK);
      CHECK(report.changed == 0); /* in fewer than 300 iterations */
      CHECK_NEAR(report.inertia / (result.inertia + 1e-12), 1, result.inertia > 1e-6 ? 1e-6 : 2);
      check_result(data, &result);
      check_means(data, &result);
      kmeans_result_free(&result);
      unsetenv("RECOMMEND_SIMD");
    }
}

/* ---- clusterings ------------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b) {
  size_t x = *(const size_t *)a, y = *(const size_t *)b;
  return (x > y) - (x < y);
}

static void test_iris(void) {
  Data data = make_empty(150, 4);
  for (size_t i = 0; i < 600; i++) data.values[i / 4 * 16 + i % 4] = (float)iris[i];
  make_sparse(&data);
  const double best[] = {0, 681.370600, 152.347952, 78.851441, 57.228473};
  for (int sparse = 0; sparse < 2; sparse++)
    for (size_t k = 1; k < 5; k++) {
      KmeansOptions options = options_of(k);
      KmeansResult result;
      KmeansReport report;
      Error error = {0};
      options.starts = 20;
      CHECK(cluster(&data, sparse, &options, &result, &report, NULL, &error) == SQLITE_OK);
      CHECK(report.start == 20);
      CHECK_NEAR(result.inertia / 100, best[k], 1e-6);
      check_result(&data, &result);
      if (k == 3) {
        qsort(result.count, 3, sizeof *result.count, ascending);
        CHECK(result.count[0] == 38 && result.count[1] == 50 && result.count[2] == 62);
      }
      kmeans_result_free(&result);
    }
  free_data(&data);
}

static void test_shapes(void) {
  const size_t shapes[][3] = {{1, 1, 1}, {2, 1, 2}, {40, 3, 40}, {300, 17, 5}, {513, 64, 33}, {2000, 5, 16}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int share = 0; share < 2; share++) {
      Data data = make_clouds(shapes[s][0], shapes[s][1], 7, 2, share ? 1 : .2);
      check_data(&data, shapes[s][2]);
      free_data(&data);
    }
}

/* Clouds that are far from each other are found, each of them whole. */
static void test_clouds(void) {
  Data data = make_clouds(3000, 8, 20, 40, 1);
  KmeansOptions options = options_of(20);
  KmeansResult result;
  KmeansReport report;
  Error error = {0};
  options.starts = 3;
  for (int batches = 0; batches < 2; batches++) {
    options.batch_size = batches ? 300 : 0;
    CHECK(cluster(&data, 0, &options, &result, &report, NULL, &error) == SQLITE_OK);
    size_t of_cloud[20], wrong = 0;
    memset(of_cloud, -1, sizeof of_cloud);
    for (size_t row = 0; row < data.rows; row++) {
      size_t cloud = random_bits(1, row) % 20;
      if (of_cloud[cloud] == SIZE_MAX) of_cloud[cloud] = result.cluster[row];
      wrong += result.cluster[row] != of_cloud[cloud];
    }
    CHECK(wrong == 0);
    CHECK_NEAR(result.inertia / (8 * 3000), 1, .1);
    check_result(&data, &result);
    kmeans_result_free(&result);
  }
  free_data(&data);
}

/* Fewer different rows than clusters; and far from the origin. */
static void test_equal_rows(void) {
  Data data = make_empty(100, 3);
  for (size_t row = 0; row < 100; row++)
    for (size_t column = 0; column < 3; column++) data.values[row * 16 + column] = (float)(row % 4 * column + 1);
  make_sparse(&data);
  check_data(&data, 4);
  check_data(&data, 9);
  free_data(&data);
  data = make_clouds(500, 3, 5, 2, 1);
  for (size_t i = 0; i < 500 * 16; i++)
    if (i % 16 < 3) data.values[i] += 100;
  sparse_free(&data.sparse);
  make_sparse(&data);
  check_data(&data, 5);
  free_data(&data);
}

/* Each start begins elsewhere; more of them never end worse; a tolerance and a limit end them sooner. */
static void test_options(void) {
  Data data = make_clouds(800, 6, 30, 2, 1);
  KmeansOptions options = options_of(25);
  KmeansResult result;
  KmeansReport report;
  Error error = {0};
  double inertia = INFINITY;
  for (options.starts = 1; options.starts <= 16; options.starts *= 4) {
    CHECK(cluster(&data, 0, &options, &result, &report, NULL, &error) == SQLITE_OK);
    CHECK(result.inertia <= inertia);
    CHECK(options.starts == 1 || result.inertia < inertia);
    inertia = result.inertia;
    kmeans_result_free(&result);
  }
  options.starts = 1;
  options.iterations = 2;
  assert_int_equal(cluster(&data, 0, &options, &result, &report, NULL, &error), SQLITE_OK);
  assert_int_equal(report.iteration, 2);
  assert_true(result.inertia > inertia);
  assert_true(result.inertia < 1.3 * inertia);
  check_result(&data, &result);
  kmeans_result_free(&result);
  options.iterations = 300;
  options.tolerance = .01;
  assert_int_equal(cluster(&data, 0, &options, &result, &report, NULL, &error), SQLITE_OK);
  assert_true(report.changed > 0);
  assert_true(report.iteration < 10);
  kmeans_result_free(&result);
  options.tolerance = 1e-3;
  options.batch_size = 100;
  assert_int_equal(cluster(&data, 0, &options, &result, &report, NULL, &error), SQLITE_OK);
  assert_true(result.inertia < 1.3 * inertia);
  check_result(&data, &result);
  kmeans_result_free(&result);
  free_data(&data);
}

/* ---- promises ---------------------------------------------------------------------------------------------------- */

static void test_threads(void) {
  Data data = make_clouds(5000, 20, 30, 1, .5);
  const int threads[] = {1, 2, 5};
  for (int kind = 0; kind < 4; kind++) {
    KmeansResult first = {0};
    for (size_t t = 0; t < 3; t++) {
      KmeansOptions options = options_of(20);
      KmeansResult result;
      KmeansReport report;
      Error error = {0};
      options.threads = threads[t];
      options.starts = 2;
      options.iterations = 10;
      options.batch_size = kind & 2 ? 700 : 0;
      CHECK(cluster(&data, kind & 1, &options, &result, &report, NULL, &error) == SQLITE_OK);
      if (t == 0) {
        first = result;
        continue;
      }
      CHECK(memcmp(first.cluster, result.cluster, 5000 * sizeof *result.cluster) == 0);
      CHECK(memcmp(first.distance, result.distance, 5000 * sizeof *result.distance) == 0);
      CHECK(memcmp(first.centroid, result.centroid, 20 * 20 * sizeof *result.centroid) == 0);
      CHECK(first.inertia == result.inertia);
      kmeans_result_free(&result);
    }
    kmeans_result_free(&first);
  }
  free_data(&data);
}

static int whole(const Data *data, int kind, const Cancel *cancel) {
  KmeansOptions options = options_of(10);
  KmeansResult result;
  KmeansReport report;
  Error error = {0};
  options.iterations = 3;
  options.batch_size = kind & 2 ? 100 : 0;
  int code = cluster(data, kind & 1, &options, &result, &report, cancel, &error);
  CHECK(code == error.code);
  CHECK(code == SQLITE_OK || !result.cluster);
  kmeans_result_free(&result);
  error_clear(&error);
  return code;
}

static void test_memory(void) {
  Data data = make_clouds(400, 9, 4, 1, 1);
  for (int kind = 0; kind < 4; kind++) {
    int code = SQLITE_NOMEM;
    long before = outstanding, n = 0;
    for (; code != SQLITE_OK && n < 1000; n++) {
      fail_after = n;
      code = whole(&data, kind, NULL);
      fail_after = -1;
      CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
      CHECK(outstanding == before);
    }
    CHECK(code == SQLITE_OK && n > 25);
  }
  free_data(&data);
}

static void test_cancel(void) {
  Data data = make_clouds(400, 9, 4, 1, 1);
  for (int kind = 0; kind < 4; kind++) {
    long polls = 0, before = outstanding;
    int code = SQLITE_INTERRUPT;
    for (; code == SQLITE_INTERRUPT && polls < 100000; polls += 1 + polls / 16) {
      long left = polls;
      Cancel cancel = {count_down, &left};
      code = whole(&data, kind, &cancel);
      CHECK(code == SQLITE_OK || code == SQLITE_INTERRUPT);
      CHECK(outstanding == before);
    }
    CHECK(code == SQLITE_OK && polls > 20);
  }
  free_data(&data);
}

static void test_refusals(void) {
  Data data = make_clouds(30, 4, 2, 1, 1);
  KmeansResult result;
  KmeansReport report;
  Error error = {0};
  for (size_t k = 0; k <= 31; k += 31) {
    KmeansOptions options = options_of(k);
    CHECK(cluster(&data, 0, &options, &result, &report, NULL, &error) == SQLITE_ERROR);
    CHECK(error.message && strstr(error.message, "clusters of 30 rows"));
    error_clear(&error);
  }
  const float values[] = {NAN, INFINITY, -INFINITY, 1e20f};
  for (int v = 0; v < 4; v++)
    for (int sparse = 0; sparse < 2; sparse++) {
      KmeansOptions options = options_of(3);
      data.values[7 * 16 + 2] = data.sparse.value[7 * 4 + 2] = values[v];
      CHECK(cluster(&data, sparse, &options, &result, &report, NULL, &error) == SQLITE_ERROR);
      CHECK(error.message && strstr(error.message, "not finite, or too large"));
      error_clear(&error);
    }
  free_data(&data);
}

static void test_nothing_is_lost(void) { assert_int_equal(outstanding, 0); }

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_iris),    TEST(test_shapes), TEST(test_clouds), TEST(test_equal_rows), TEST(test_options),
      TEST(test_threads), TEST(test_memory), TEST(test_cancel), TEST(test_refusals),   TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
