/* Ratings as large catalogues have them, of which the truth is known: straight into an SQLite file.
 *
 *     generate [--size 10m|25m] [--users N] [--items N] [--ratings N] [--seed N] [--text] FILE
 *
 * makes ratings(user, item, rating), rows in shuffled order, half stars from 0.5 to 5, no pair twice; the same rows on
 * every machine with the same libm. With --text ids are texts like 'user-0004711', else integers from 1.
 *
 *     expected(u, i) = 3.2 + b_u + b_i + 0.5 d(u, i)         b_u ~ N(0, 0.42²), b_i ~ N(0, 0.45²)
 *     d(u, i)        = p_u · q_i, of variance 1               32 latent tastes, each weaker than the one before
 *     rating(u, i)   = expected + N(0, 0.8²), rounded to half stars and clipped
 *
 * Which items a user rates: a user's number of ratings is log-normal over a floor; candidates are drawn by popularity
 * (Zipf and Mandelbrot's law, better items somewhat more popular) and taken with probability sigmoid(1.6 d - 1), so
 * that taste shows in what is rated, too. The noise floor that is printed is the RMSE of `expected` (clipped) itself:
 * what no model can beat by more than chance. */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"

enum { LATENT = 32 };

/* Streams of randomness: what a number is for. */
enum {
  FOR_ITEM_ORDER = 1,
  FOR_ITEM_BIAS,
  FOR_ITEM_TASTE,
  FOR_USER_BIAS,
  FOR_USER_TASTE,
  FOR_ACTIVITY,
  FOR_ROWS,
  FOR_SHUFFLE
};

typedef struct Options {
  size_t users, items, ratings;
  uint64_t seed;
  int text;
  const char *file;
} Options;

typedef struct Catalogue {
  float *taste;       /* items × LATENT */
  float *bias;        /* items */
  double *keep;       /* items: Walker's alias method (1977): item i itself with probability keep[i], */
  uint32_t *alias;    /* else alias[i] */
  double *activity;   /* users: how many ratings each gives */
  uint32_t *rated_by; /* items: the last user to rate it, from 1 */
} Catalogue;

typedef struct Row {
  uint32_t user, item;
  uint32_t half_stars;
} Row;

typedef struct Rows {
  Row *row;
  size_t count;
  double squared_noise;
} Rows;

static uint64_t stream(const Options *options, int purpose) { return random_bits(options->seed, (uint64_t)purpose); }

static double clip(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

static void *allocate(size_t count, size_t size) {
  void *block = calloc(count ? count : 1, size);
  if (!block) {
    fprintf(stderr, "generate: out of memory\n");
    exit(1);
  }
  return block;
}

/* The strength of latent taste k: 1 / sqrt(1 + k), scaled so that a product of two tastes has variance 1. */
static void draw_taste(uint64_t seed, size_t row, float *taste) {
  double total = 0;
  for (int k = 0; k < LATENT; k++) total += 1.0 / (1 + k);
  for (int k = 0; k < LATENT; k++)
    taste[k] = (float)(random_normal(seed, row * LATENT + (size_t)k) / sqrt(sqrt((1 + k) * total)));
}

static double taste_product(const float *a, const float *b) {
  float sum = 0;
  for (int k = 0; k < LATENT; k++) sum += a[k] * b[k];
  return sum;
}

/* ---- items ------------------------------------------------------------------------------------------------------- */

/* weight[i] of each item: (rank + shift)^-1.05, the lower half thinned out, ranks dealt at random over the ids. */
static double *draw_popularity(const Options *options, const Catalogue *catalogue) {
  size_t items = options->items;
  double *weight = allocate(items, sizeof(double));
  uint32_t *rank = allocate(items, sizeof(uint32_t));
  double shift = 1 + (double)items / 300;
  for (size_t i = 0; i < items; i++) {
    size_t j = (size_t)(random_uniform(stream(options, FOR_ITEM_ORDER), i) * (double)(i + 1));
    rank[i] = rank[j];
    rank[j] = (uint32_t)i;
  }
  for (size_t i = 0; i < items; i++) {
    double tail = fmax(0, (double)rank[i] / (double)items - 0.5);
    weight[i] = pow(rank[i] + shift, -1.05) * exp(-3 * tail + 0.8 * catalogue->bias[i]);
  }
  free(rank);
  return weight;
}

/* Vose's way (1991) to fill the alias table: pairs an item of less than average weight with one of more. */
static void build_alias(Catalogue *catalogue, const double *weight, size_t items) {
  uint32_t *light = allocate(items, sizeof(uint32_t)), *heavy = allocate(items, sizeof(uint32_t));
  size_t lights = 0, heavies = 0;
  double total = 0;
  for (size_t i = 0; i < items; i++) total += weight[i];
  for (size_t i = 0; i < items; i++) {
    catalogue->keep[i] = weight[i] * (double)items / total;
    catalogue->alias[i] = (uint32_t)i;
    if (catalogue->keep[i] < 1)
      light[lights++] = (uint32_t)i;
    else
      heavy[heavies++] = (uint32_t)i;
  }
  while (lights && heavies) {
    uint32_t small = light[--lights], large = heavy[heavies - 1];
    catalogue->alias[small] = large;
    catalogue->keep[large] -= 1 - catalogue->keep[small];
    if (catalogue->keep[large] < 1) {
      heavies--;
      light[lights++] = large;
    }
  }
  while (heavies) catalogue->keep[heavy[--heavies]] = 1; /* what rounding left over */
  while (lights) catalogue->keep[light[--lights]] = 1;
  free(light);
  free(heavy);
}

/* ---- users ------------------------------------------------------------------------------------------------------- */

/* activity[u] = floor + min(cap, scale · log-normal), the scale such that all add up to `ratings`. */
static void draw_activity(const Options *options, double *activity) {
  double mean = (double)options->ratings / (double)options->users;
  double least = fmin(20, mean / 2), cap = 0.3 * (double)options->items;
  double wanted = (double)options->ratings - least * (double)options->users, scale = 1;
  for (size_t u = 0; u < options->users; u++) activity[u] = exp(1.35 * random_normal(stream(options, FOR_ACTIVITY), u));
  for (int round = 0; round < 60; round++) {
    double sum = 0;
    for (size_t u = 0; u < options->users; u++) sum += fmin(cap, scale * activity[u]);
    scale *= wanted / sum;
  }
  for (size_t u = 0; u < options->users; u++) activity[u] = least + fmin(cap, scale * activity[u]);
}

static void catalogue_draw(const Options *options, Catalogue *catalogue) {
  size_t items = options->items;
  catalogue->taste = allocate(items * LATENT, sizeof(float));
  catalogue->bias = allocate(items, sizeof(float));
  catalogue->keep = allocate(items, sizeof(double));
  catalogue->alias = allocate(items, sizeof(uint32_t));
  catalogue->activity = allocate(options->users, sizeof(double));
  catalogue->rated_by = allocate(items, sizeof(uint32_t));
  for (size_t i = 0; i < items; i++) {
    draw_taste(stream(options, FOR_ITEM_TASTE), i, catalogue->taste + i * LATENT);
    catalogue->bias[i] = (float)(0.45 * random_normal(stream(options, FOR_ITEM_BIAS), i));
  }
  double *weight = draw_popularity(options, catalogue);
  build_alias(catalogue, weight, items);
  free(weight);
  draw_activity(options, catalogue->activity);
}

static void catalogue_free(Catalogue *catalogue) {
  free(catalogue->taste);
  free(catalogue->bias);
  free(catalogue->keep);
  free(catalogue->alias);
  free(catalogue->activity);
  free(catalogue->rated_by);
}

/* ---- ratings ----------------------------------------------------------------------------------------------------- */

/* Adds up to `wanted` ratings of one user; fewer where tastes and popularity leave no more to find. */
static void draw_user(const Options *options, Catalogue *catalogue, size_t user, size_t wanted, Rows *rows) {
  float taste[LATENT];
  draw_taste(stream(options, FOR_USER_TASTE), user, taste);
  double bias = 0.42 * random_normal(stream(options, FOR_USER_BIAS), user);
  uint64_t seed = random_bits(stream(options, FOR_ROWS), user), next = 0;
  size_t end = rows->count + wanted;
  for (size_t tries = 20 * wanted + 1000; tries && rows->count < end; tries--) {
    size_t item = (size_t)(random_uniform(seed, next++) * (double)options->items);
    if (random_uniform(seed, next++) >= catalogue->keep[item]) item = catalogue->alias[item];
    if (catalogue->rated_by[item] == user + 1) continue;
    double match = taste_product(taste, catalogue->taste + item * LATENT);
    if (random_uniform(seed, next++) > 1 / (1 + exp(1 - 1.6 * match))) continue;

    double expected = 3.2 + bias + catalogue->bias[item] + 0.5 * match;
    double felt = expected + 0.8 * random_normal(seed ^ UINT64_C(0x5bd1e995), next++);
    double rating = clip(round(2 * felt) / 2, 0.5, 5), noise = rating - clip(expected, 0.5, 5);
    catalogue->rated_by[item] = (uint32_t)user + 1;
    rows->row[rows->count++] = (Row){(uint32_t)user, (uint32_t)item, (uint32_t)(2 * rating)};
    rows->squared_noise += noise * noise;
  }
}

static void rows_draw(const Options *options, Catalogue *catalogue, Rows *rows) {
  double owed = 0; /* fractions, and what a user could not give, pass on to the next */
  rows->row = allocate(options->ratings, sizeof(Row));
  for (size_t user = 0; user < options->users; user++) {
    owed += catalogue->activity[user];
    size_t most = options->items / 2 + 1, left = options->ratings - rows->count;
    size_t wanted = owed < (double)most ? (size_t)(owed + 1e-6) : most, before = rows->count;
    draw_user(options, catalogue, user, wanted < left ? wanted : left, rows);
    owed -= (double)(rows->count - before);
  }
  for (size_t i = rows->count; i > 1; i--) { /* Fisher and Yates */
    size_t j = (size_t)(random_uniform(stream(options, FOR_SHUFFLE), i) * (double)i);
    Row row = rows->row[i - 1];
    rows->row[i - 1] = rows->row[j];
    rows->row[j] = row;
  }
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static int bind_id(sqlite3_stmt *statement, int parameter, const char *kind, uint32_t index, int text) {
  if (!text) return sqlite3_bind_int64(statement, parameter, (sqlite3_int64)index + 1);
  char id[32];
  int length = snprintf(id, sizeof(id), "%s-%07u", kind, index + 1);
  return sqlite3_bind_text(statement, parameter, id, length, SQLITE_TRANSIENT);
}

static int rows_write(const Options *options, const Rows *rows) {
  sqlite3 *db = NULL;
  sqlite3_stmt *insert = NULL;
  int rc = sqlite3_open(options->file, &db);
  if (!rc) rc = sqlite3_exec(db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN", NULL, NULL, NULL);
  if (!rc)
    rc = sqlite3_exec(db,
                      options->text ? "CREATE TABLE ratings(user TEXT, item TEXT, rating REAL)"
                                    : "CREATE TABLE ratings(user INTEGER, item INTEGER, rating REAL)",
                      NULL, NULL, NULL);
  if (!rc) rc = sqlite3_prepare_v2(db, "INSERT INTO ratings VALUES(?, ?, ?)", -1, &insert, NULL);
  for (size_t i = 0; i < rows->count && !rc; i++) {
    const Row *row = &rows->row[i];
    rc = bind_id(insert, 1, "user", row->user, options->text);
    if (!rc) rc = bind_id(insert, 2, "item", row->item, options->text);
    if (!rc) rc = sqlite3_bind_double(insert, 3, row->half_stars / 2.0);
    if (!rc) sqlite3_step(insert);
    if (!rc) rc = sqlite3_reset(insert);
  }
  if (!rc) rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
  if (rc) fprintf(stderr, "generate: %s: %s\n", options->file, sqlite3_errmsg(db));
  sqlite3_finalize(insert);
  sqlite3_close(db);
  return rc;
}

/* ---- the command line -------------------------------------------------------------------------------------------- */

static int parse_size(const char *size, Options *options) {
  int large = strcmp(size, "25m") == 0;
  if (!large && strcmp(size, "10m") != 0) return 0;
  options->users = large ? 162541 : 69878;
  options->items = large ? 59047 : 10677;
  options->ratings = large ? 25000000 : 10000000;
  return 1;
}

static int parse_number(const char *name, const char *value, Options *options) {
  char *end = NULL;
  size_t number = (size_t)strtoull(value, &end, 10);
  size_t *target = strcmp(name, "--users") == 0     ? &options->users
                   : strcmp(name, "--items") == 0   ? &options->items
                   : strcmp(name, "--ratings") == 0 ? &options->ratings
                                                    : NULL;
  if (target) *target = number;
  if (strcmp(name, "--seed") == 0) options->seed = number;
  return end != value && *end == 0 && (target || strcmp(name, "--seed") == 0);
}

/* Whether the arguments make sense. */
static int parse(int count, char **argument, Options *options) {
  int fine = 1;
  for (int i = 1; i < count && fine; i++) {
    if (strcmp(argument[i], "--text") == 0) {
      options->text = 1;
    } else if (argument[i][0] != '-') {
      options->file = argument[i];
    } else {
      fine =
          i + 1 < count && (strcmp(argument[i], "--size") == 0 ? parse_size(argument[i + 1], options)
                                                               : parse_number(argument[i], argument[i + 1], options));
      i++;
    }
  }
  const size_t most = 100000000;
  return fine && options->file && options->users && options->users <= most && options->items && options->items <= most;
}

int main(int count, char **argument) {
  Options options = {69878, 10677, 10000000, 42, 0, NULL};
  Catalogue catalogue = {0};
  Rows rows = {0};
  struct timespec start, drawn, written;
  if (!parse(count, argument, &options)) {
    fprintf(stderr,
            "usage: generate [--size 10m|25m] [--users N] [--items N] [--ratings N] [--seed N] [--text] FILE\n");
    return 2;
  }
  if ((double)options.ratings > 0.2 * (double)options.users * (double)options.items) {
    fprintf(stderr, "generate: more than a fifth of all cells is more than users of this kind rate\n");
    return 2;
  }
  FILE *existing = fopen(options.file, "rb");
  if (existing) {
    fclose(existing);
    fprintf(stderr, "generate: %s exists\n", options.file);
    return 2;
  }
  timespec_get(&start, TIME_UTC);
  catalogue_draw(&options, &catalogue);
  rows_draw(&options, &catalogue, &rows);
  timespec_get(&drawn, TIME_UTC);
  int failed = rows_write(&options, &rows) != SQLITE_OK;
  timespec_get(&written, TIME_UTC);
  if (!failed)
    printf("users %zu items %zu ratings %zu noise_floor_rmse %.4f draw_seconds %.1f write_seconds %.1f\n",
           options.users, options.items, rows.count, sqrt(rows.squared_noise / fmax(1, (double)rows.count)),
           difftime(drawn.tv_sec, start.tv_sec) + 1e-9 * (double)(drawn.tv_nsec - start.tv_nsec),
           difftime(written.tv_sec, drawn.tv_sec) + 1e-9 * (double)(written.tv_nsec - drawn.tv_nsec));
  catalogue_free(&catalogue);
  free(rows.row);
  return failed;
}
