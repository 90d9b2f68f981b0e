/* What the hardware and SQLite allow, and how near the extension's insides come: the measurements that need C.
 *
 *     bench peak THREADS                          FMA and GEMM, GFLOP/s: {"fma": …, "gemm": …, "gemm_threads": …}
 *     bench read FILE TABLE THREADS RUNS          reading and indexing a table; a bare scan of it
 *     bench epoch FILE TABLE RANK THREADS RUNS    an epoch of each kind of ALS; a GEMM of as many operations
 *     bench load FILE MODEL RUNS                  a model's items and users; a copy of as many bytes
 *
 * Prints one JSON object; times are medians in seconds, of runs in turns, so that what slows one slows the other. The
 * program is linked like the C tests: it runs the kernels and the OpenBLAS that the extension runs.
 *
 * Operations are those that a method can't do without, additions and multiplications both counted, with n the ratings,
 * U + I rows and k the rank:
 *
 *     conjugate gradient, s steps    each side   (s + 1) · 4 n k       each pass: products with n vectors, and their
 * sum … for all cells                + (s + 1) · 2 k² (U or I)         each pass: the product with the Gram matrix
 *                                    + k² (I or U)                     the upper half of that matrix
 *     Cholesky                       n k² + 4 n k + (k³/3 + 2 k²)(U or I)
 *
 * A floor is their number over the rate of sgemm of 1024 × 1024 matrices, one on each thread, measured in turns. */
#include <cblas.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/parallel.h"
#include "base/simd.h"
#include "data/interactions.h"
#include "learn/als.h"
#include "model/model.h"
#include "recommend.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { MOST_RUNS = 99, GEMM_SIZE = 1024, FMA_CHAINS = 12 };
enum { RATING_PASSES = 3, RANKING_PASSES = 4 }; /* s + 1: the steps are those of learn/als_row.c */

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void *allocate(size_t size) {
  void *block = aligned_alloc(64, (size + 63) / 64 * 64);
  if (!block) {
    fprintf(stderr, "bench: out of memory\n");
    exit(1);
  }
  memset(block, 0, size);
  return block;
}

static void require(int code, const Error *error, const char *what) {
  if (code == SQLITE_OK) return;
  fprintf(stderr, "bench: %s: %s\n", what, error && error->message ? error->message : sqlite3_errstr(code));
  exit(1);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, by_size);
  return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

/* Twelve independent chains of fused multiply-adds, all in registers: what the units do at most. Operations a round. */
#if defined(__x86_64__)
#define FMA_LOOP(level, features, vector, set, fma, lanes)                                \
  __attribute__((target(features))) static double fma_##level(long rounds, float *sink) { \
    vector sum[FMA_CHAINS], scale = set(0.999F), step = set(0.001F);                      \
    for (int c = 0; c < FMA_CHAINS; c++) sum[c] = set((float)c);                          \
    for (long r = 0; r < rounds; r++)                                                     \
      for (int c = 0; c < FMA_CHAINS; c++) sum[c] = fma(sum[c], scale, step);             \
    for (int c = 0; c < FMA_CHAINS; c++) *sink += ((const float *)&sum[c])[c % (lanes)];  \
    return 2.0 * FMA_CHAINS * (lanes);                                                    \
  }
FMA_LOOP(avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, 8)
FMA_LOOP(avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, 16)
#endif

static double fma_generic(long rounds, float *sink) {
  enum { LANES = 32 };
  float sum[LANES];
  for (int i = 0; i < LANES; i++) sum[i] = (float)i;
  for (long r = 0; r < rounds; r++)
    for (int i = 0; i < LANES; i++) sum[i] = sum[i] * 0.999F + 0.001F;
  for (int i = 0; i < LANES; i++) *sink += sum[i];
  return 2.0 * LANES;
}

static double fma_rate_of(double (*loop)(long rounds, float *sink)) {
  const long rounds = 4000000;
  float sink = 0;
  double began = now(), operations = loop(rounds, &sink) * (double)rounds;
  double rate = operations / (now() - began);
  return isfinite(sink) ? rate : 0;
}

static double fma_rate(void) {
#if defined(__x86_64__)
  /* Some processors do as much with half the width. */
  double half = simd_level() >= SIMD_AVX2 ? fma_rate_of(fma_avx2) : 0;
  double full = simd_level() >= SIMD_AVX512 ? fma_rate_of(fma_avx512) : 0;
  if (half > 0) return half > full ? half : full;
#endif
  return fma_rate_of(fma_generic);
}

typedef struct Gemm {
  int threads;
  float *a, *b, *c[256];
} Gemm;

static Gemm gemm_create(int threads) {
  Gemm gemm = {.threads = threads < 256 ? threads : 256};
  size_t cells = (size_t)GEMM_SIZE * GEMM_SIZE;
  gemm.a = allocate(cells * sizeof(float));
  gemm.b = allocate(cells * sizeof(float));
  for (size_t i = 0; i < cells; i++) gemm.a[i] = (float)(i % 7) - 3, gemm.b[i] = (float)(i % 5) - 2;
  for (int t = 0; t < gemm.threads; t++) gemm.c[t] = allocate(cells * sizeof(float));
  return gemm;
}

static void gemm_free(Gemm *gemm) {
  free(gemm->a);
  free(gemm->b);
  for (int t = 0; t < gemm->threads; t++) free(gemm->c[t]);
}

static int gemm_block(void *context, size_t block, int worker) {
  Gemm *gemm = context;
  (void)worker;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, GEMM_SIZE, GEMM_SIZE, GEMM_SIZE, 1, gemm->a, GEMM_SIZE,
              gemm->b, GEMM_SIZE, 0, gemm->c[block], GEMM_SIZE);
  return SQLITE_OK;
}

/* Operations a second, all threads together. */
static double gemm_rate(Gemm *gemm) {
  double began = now();
  parallel_for(gemm->threads, (size_t)gemm->threads, gemm_block, gemm, NULL);
  return 2.0 * pow(GEMM_SIZE, 3) * gemm->threads / (now() - began);
}

static void peak(int threads) {
  enum { RUNS = 15 };
  double fma[RUNS], one[RUNS], all[RUNS];
  Gemm single = gemm_create(1), shared = gemm_create(threads);
  gemm_rate(&single); /* the first pays for the memory */
  for (int run = 0; run < RUNS; run++) {
    fma[run] = fma_rate();
    one[run] = gemm_rate(&single);
    all[run] = gemm_rate(&shared);
  }
  printf("{\"fma\": %.1f, \"gemm\": %.1f, \"gemm_threads\": %.1f}\n", median(fma, RUNS) / 1e9, median(one, RUNS) / 1e9,
         median(all, RUNS) / 1e9);
  gemm_free(&single);
  gemm_free(&shared);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static sqlite3 *open_file(const char *file) {
  sqlite3 *db = NULL;
  require(sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL), NULL, file);
  require(sqlite3_recommend_init(db, NULL, NULL), NULL, "the extension");
  return db;
}

/* The least that any reader does. Returns a checksum of what it read. */
static double scan(sqlite3 *db, const char *table) {
  sqlite3_stmt *statement = NULL;
  double sum = 0;
  int texts = -1;
  char *sql = sqlite3_mprintf("SELECT user, item, rating FROM \"%w\"", table);
  require(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), NULL, sql);
  while (sqlite3_step(statement) == SQLITE_ROW) {
    if (texts < 0) texts = sqlite3_column_type(statement, 0) == SQLITE_TEXT;
    if (texts)
      sum += sqlite3_column_text(statement, 0)[0] + sqlite3_column_text(statement, 1)[0];
    else
      sum += (double)(sqlite3_column_int64(statement, 0) + sqlite3_column_int64(statement, 1));
    sum += sqlite3_column_double(statement, 2);
  }
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  return sum;
}

typedef struct Ratings {
  Interactions data;
  SparseMatrix by_item;
} Ratings;

static Ratings ratings_read(sqlite3 *db, const char *table, int threads) {
  Ratings ratings = {0};
  Source source = {0};
  Error error = {0};
  InteractionOptions options = {.caller = "bench", .threads = threads};
  require(source_resolve(db, table, "bench", &source, &error), &error, table);
  require(interactions_read(db, &source, &options, &ratings.data, NULL, &error), &error, table);
  require(sparse_transpose(&ratings.data.by_user, &ratings.by_item, threads, NULL), NULL, table);
  source_free(&source);
  return ratings;
}

static void ratings_free(Ratings *ratings) {
  interactions_free(&ratings->data);
  sparse_free(&ratings->by_item);
}

static void read_table(const char *file, const char *table, int threads, int runs) {
  double read[MOST_RUNS], bare[MOST_RUNS], sum = 0;
  int64_t rows = 0;
  for (int run = -1; run < runs; run++) { /* the first warms the file up */
    sqlite3 *db = open_file(file);
    double began = now();
    sum += scan(db, table);
    if (run >= 0) bare[run] = now() - began;
    sqlite3_close(db);
    db = open_file(file);
    began = now();
    Ratings ratings = ratings_read(db, table, threads);
    if (run >= 0) read[run] = now() - began;
    rows = ratings.data.rows;
    ratings_free(&ratings);
    sqlite3_close(db);
  }
  printf("{\"rows\": %lld, \"read\": %.6f, \"scan\": %.6f, \"checksum\": %.17g}\n", (long long)rows, median(read, runs),
         median(bare, runs), sum);
}

/* ---- training ---------------------------------------------------------------------------------------------------- */

typedef struct Kind {
  const char *name;
  AlsOptions options;
} Kind;

/* The least number of operations of an epoch: see the top of the file. */
static double epoch_operations(const Ratings *ratings, const AlsOptions *options) {
  const SparseMatrix *by_user = &ratings->data.by_user;
  double n = (double)by_user->start[by_user->rows], k = options->rank;
  double rows = (double)by_user->rows + (double)by_user->columns;
  if (options->solver == ALS_CHOLESKY) return 2 * (n * k * k + 4 * n * k) + (k * k * k / 3 + 2 * k * k) * rows;
  double passes = options->ranking ? RANKING_PASSES : RATING_PASSES;
  return 2 * passes * 4 * n * k + (options->ranking ? (passes * 2 + 1) * k * k * rows : 0);
}

static void time_epochs(const Ratings *ratings, const Kind *kind, Gemm *gemm, int runs) {
  double seconds[MOST_RUNS], rate[MOST_RUNS];
  double operations = epoch_operations(ratings, &kind->options);
  Als *als = NULL;
  AlsReport report;
  Error error = {0};
  require(als_create(&als, &ratings->data.by_user, &ratings->by_item, &kind->options, &error), &error, kind->name);
  require(als_epoch(als, &report, NULL, &error), &error, kind->name);
  for (int run = 0; run < runs; run++) {
    rate[run] = gemm_rate(gemm);
    double began = now();
    require(als_epoch(als, &report, NULL, &error), &error, kind->name);
    seconds[run] = now() - began;
  }
  als_destroy(als);
  printf("\"%s\": {\"epoch\": %.6f, \"gemm\": %.6f, \"operations\": %.4g}", kind->name, median(seconds, runs),
         operations / median(rate, runs), operations);
}

static void train(const char *file, const char *table, int rank, int threads, int runs) {
  sqlite3 *db = open_file(file);
  Ratings ratings = ratings_read(db, table, threads);
  sqlite3_close(db);
  Gemm gemm = gemm_create(threads);
  gemm_rate(&gemm);
  const Interactions *data = &ratings.data;
  AlsOptions rating = {.rank = rank,
                       .regularization = 1,
                       .nu = 0.5,
                       .biases = 1,
                       .mean = data->mean,
                       .init_scale = 0.5,
                       .seed = 42,
                       .threads = threads};
  AlsOptions exact = rating, implicit = rating, ranking;
  exact.solver = ALS_CHOLESKY;
  implicit.biases = 0;
  implicit.ranking = 1;
  implicit.nu = 1;
  implicit.regularization = 0.05;
  implicit.confidence = implicit.confidence_slope = implicit.target = implicit.missing_weight = 1;
  ranking = implicit;
  ranking.confidence_slope = 0;
  ranking.missing_weight = 0.1;
  ranking.target = -(data->minimum + 0.125 * (data->maximum - data->minimum));
  ranking.target_slope = 1;
  const Kind kinds[] = {{"rating", rating}, {"rating exact", exact}, {"ranking", ranking}, {"implicit", implicit}};
  printf("{");
  for (int i = 0; i < 4; i++) {
    if (i) printf(", ");
    time_epochs(&ratings, &kinds[i], &gemm, runs);
  }
  printf("}\n");
  gemm_free(&gemm);
  ratings_free(&ratings);
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

/* Seconds to copy as much into fresh memory, as loading does. */
static double copy_seconds(const void *from, size_t size) {
  double began = now();
  char *to = malloc(size ? size : 1);
  if (to) memcpy(to, from, size);
  double seconds = now() - began;
  volatile char keep = to ? to[size / 2] : 0; /* or the compiler leaves the copy out */
  (void)keep;
  free(to);
  return seconds;
}

static size_t factor_bytes(const ModelItems *items, size_t rows) {
  size_t bytes = 0;
  for (int head = 0; head < HEADS; head++)
    bytes += rows * (size_t)(shape_stride(&items->shape, head) + items->shape.biases[head]) * sizeof(float);
  return bytes;
}

static void load(const char *file, const char *name, int runs) {
  enum { BLOCK = 4096 };
  double item_seconds[MOST_RUNS], user_seconds[MOST_RUNS], item_copy[MOST_RUNS], user_copy[MOST_RUNS];
  size_t item_bytes = 0, user_bytes = 0;
  for (int run = -1; run < runs; run++) {
    int r = run < 0 ? 0 : run;
    sqlite3 *db = open_file(file);
    Model *model = NULL;
    ModelItems *items = NULL;
    Error error = {0};
    double began = now();
    require(model_create(&model, db, (ModelName){"main", name}, &error), &error, name);
    require(model_begin(model, &items, &error), &error, name);
    item_seconds[r] = now() - began;
    item_bytes = factor_bytes(items, items->ids.count);
    user_bytes = factor_bytes(items, (size_t)model_user_count(model));
    began = now();
    for (size_t first = 0; first < (size_t)model_user_count(model); first += BLOCK) {
      ModelUsers users;
      require(model_users(model, items, first, BLOCK, 0, &users, &error), &error, name);
      users_free(&users);
    }
    user_seconds[r] = now() - began;
    model_end(model);
    items_release(items);
    model_destroy(model);
    sqlite3_close(db);
    size_t most = item_bytes > user_bytes ? item_bytes : user_bytes;
    char *bytes = allocate(most);
    memset(bytes, 1, most);
    item_copy[r] = copy_seconds(bytes, item_bytes);
    user_copy[r] = copy_seconds(bytes, user_bytes);
    free(bytes);
  }
  printf("{\"items\": {\"load\": %.6f, \"copy\": %.6f, \"bytes\": %zu}, ", median(item_seconds, runs),
         median(item_copy, runs), item_bytes);
  printf("\"users\": {\"load\": %.6f, \"copy\": %.6f, \"bytes\": %zu}}\n", median(user_seconds, runs),
         median(user_copy, runs), user_bytes);
}

/* ---- the command line -------------------------------------------------------------------------------------------- */

/* Argument i as a number from 1 to `most`, or 0. */
static int number(char **arguments, int i, int most) {
  long value = strtol(arguments[i], NULL, 10);
  return value >= 1 && value <= most ? (int)value : 0;
}

int main(int count, char **arguments) {
  const char *what = count > 1 ? arguments[1] : "";
  int wanted = strcmp(what, "peak") == 0    ? 3
               : strcmp(what, "load") == 0  ? 5
               : strcmp(what, "read") == 0  ? 6
               : strcmp(what, "epoch") == 0 ? 7
                                            : 0;
  int last = count == wanted ? number(arguments, count - 1, wanted == 3 ? 256 : MOST_RUNS) : 0;
  int threads = wanted > 5 && last ? number(arguments, count - 2, 256) : 1;
  int rank = wanted > 6 && last ? number(arguments, 4, 4096) : 1;
  if (!last || !threads || !rank) {
    fprintf(stderr,
            "usage: bench peak THREADS | read FILE TABLE THREADS RUNS | epoch FILE TABLE RANK THREADS RUNS | "
            "load FILE MODEL RUNS\n");
    return 2;
  }
  if (wanted == 3) peak(last);
  if (wanted == 5) load(arguments[2], arguments[3], last);
  if (wanted == 6) read_table(arguments[2], arguments[3], threads, last);
  if (wanted == 7) train(arguments[2], arguments[3], rank, threads, last);
  return 0;
}
