/* k-means: see kmeans.h.
 *
 * Lloyd's iterations (1957; IEEE Transactions on Information Theory 28 (1982)) with Hamerly's bounds ("Making k-means
 * even faster", SDM 2010): with u ≥ the distance of a row to its centroid a, and l ≤ the distance to any other,
 *
 *     u ≤ max(l, half the distance from a to the nearest other centroid)    leaves the row where it is,
 *
 * and a move of the centroids by p widens the bounds by p. Only where that fails are distances taken, and a row moves
 * only if another centroid is nearer in double precision: so inertia falls with every move. Sums of clusters are kept
 * in double, rows that move are taken from one and added to the other. A cluster that has lost all its rows gets the
 * row that is farthest from its centroid. For the means m_c of n_c rows about the mean μ of all,
 *
 *     inertia = Σ_rows ‖x − μ‖² − Σ_c n_c ‖m_c − μ‖²
 *
 * Mini-batches (Sculley, "Web-scale k-means clustering", WWW 2010): of a batch of rows drawn at random each goes to its
 * nearest centroid, which is the mean of all rows that it ever got. */
#include "kmeans.h"

#include <math.h>
#include <string.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/random.h"
#include "kmeans_rows.h"
#include "kmeans_seed.h"

enum { MOST_BLOCK = 256, LEAST_BLOCK = 12 };
#define BLOCK_COST 20000000 /* multiply-adds of a block, if no bound holds: a millisecond or two */
#define NO_CLUSTER UINT32_MAX

struct Kmeans {
  KmeansRows rows;
  KmeansOptions options;
  int start, iteration; /* those of the last iteration; the start is over when `seeded` is 0 */
  int seeded;
  double inertia, best_inertia;
  double spread; /* Σ ‖x − μ‖² */
  Centroids mean, centroids;
  double *best; /* the centroids of the best start */

  uint32_t *cluster, *previous;   /* of each row, now and when it was last added to a sum */
  float *upper, *lower;           /* Hamerly's bounds */
  uint32_t *moved;                /* rows sorted by cluster, to be added or taken away; mini-batches: the batch */
  size_t *place;                  /* k + 2: where each cluster's begin in `moved` */
  double *sum;                    /* k × columns */
  size_t *count;                  /* k */
  double *move;                   /* k: how far each centroid has come in the last iteration */
  double *half;                   /* k: half the distance to the nearest other centroid, or 0 */
  int tighten;                    /* take a row's distance to its own centroid before those to all */
  size_t fastest;                 /* the centroid with the largest move … */
  double first_move, second_move; /* … which is this, and the next one */

  size_t block_rows, blocks;
  double *part;   /* one number a block */
  size_t *looked; /* each block's rows for which the bounds did not hold */
  float *scratch; /* a piece for each thread */
  size_t scratch_size;
};

static size_t kmeans_block_end(const Kmeans *kmeans, size_t block) {
  size_t end = (block + 1) * kmeans->block_rows;
  return end < kmeans->rows.rows ? end : kmeans->rows.rows;
}

static float *scratch_of(const Kmeans *kmeans, int worker) {
  return kmeans->scratch + (size_t)worker * kmeans->scratch_size;
}

/* ---- creating ---------------------------------------------------------------------------------------------------- */

static int allocate(Kmeans *kmeans) {
  size_t n = kmeans->rows.rows, k = kmeans->options.k;
  if (centroids_alloc(&kmeans->mean, &kmeans->rows, 1, NULL) != CODE_OK) return CODE_NOMEM;
  size_t columns = kmeans->mean.columns;
  kmeans->best = memory_alloc(k, columns * sizeof *kmeans->best);
  kmeans->sum = memory_alloc_aligned(k, columns * sizeof *kmeans->sum);
  kmeans->cluster = memory_alloc(n, sizeof *kmeans->cluster);
  kmeans->moved = memory_alloc(n, sizeof *kmeans->moved);
  kmeans->place = memory_alloc(k + 2, sizeof *kmeans->place);
  kmeans->count = memory_alloc(k, sizeof *kmeans->count);
  kmeans->move = memory_alloc(k, sizeof *kmeans->move);
  kmeans->half = memory_alloc(k, sizeof *kmeans->half);
  kmeans->part = memory_alloc(kmeans->blocks, sizeof *kmeans->part);
  kmeans->looked = memory_alloc(kmeans->blocks, sizeof *kmeans->looked);
  kmeans->previous = memory_alloc(n, sizeof *kmeans->previous);
  kmeans->upper = memory_alloc(n, sizeof *kmeans->upper);
  kmeans->lower = memory_alloc(n, sizeof *kmeans->lower);
  return kmeans->best && kmeans->looked && kmeans->sum && kmeans->cluster && kmeans->moved && kmeans->place &&
                 kmeans->count && kmeans->move && kmeans->half && kmeans->part && kmeans->previous && kmeans->upper &&
                 kmeans->lower
             ? CODE_OK
             : CODE_NOMEM;
}

/* Where the rows' middle is known. */
static int allocate_centroids(Kmeans *kmeans) {
  int code = centroids_alloc(&kmeans->centroids, &kmeans->rows, kmeans->options.k, kmeans->mean.exact);
  if (code != CODE_OK) return code;
  kmeans->scratch_size = rows_scratch(&kmeans->rows, &kmeans->centroids);
  kmeans->scratch = memory_alloc_aligned((size_t)kmeans->options.threads, kmeans->scratch_size * sizeof(float));
  return kmeans->scratch ? CODE_OK : CODE_NOMEM;
}

static int spread_block(void *context, size_t block, int worker) {
  (void)worker;
  Kmeans *kmeans = context;
  double sum = 0;
  for (size_t row = block * kmeans->block_rows; row < kmeans_block_end(kmeans, block); row++)
    sum += row_distance(&kmeans->rows, &kmeans->mean, row, 0);
  kmeans->part[block] = sum;
  return CODE_OK;
}

static double sum_parts(const Kmeans *kmeans) {
  double sum = 0;
  for (size_t block = 0; block < kmeans->blocks; block++) sum += kmeans->part[block];
  return sum;
}

/* The mean of all rows, and their squared distances from it. */
static int measure_spread(Kmeans *kmeans, const Cancel *cancel, Error *error) {
  size_t n = kmeans->rows.rows, all[2] = {0, n}, columns = kmeans->mean.columns;
  for (size_t row = 0; row < n; row++) kmeans->moved[row] = (uint32_t)row;
  int code =
      rows_sum(&kmeans->rows, columns, kmeans->moved, all, 1, 1, kmeans->mean.exact, kmeans->options.threads, cancel);
  for (size_t column = 0; column < columns; column++) kmeans->mean.exact[column] /= (double)n;
  centroids_pack(&kmeans->mean, &kmeans->rows);
  if (code == CODE_OK) code = parallel_for(kmeans->options.threads, kmeans->blocks, spread_block, kmeans, cancel);
  kmeans->spread = sum_parts(kmeans);
  if (code != CODE_OK) return code;
  /* Squared distances are floats. What is not a number fails both comparisons. */
  if (kmeans->spread < 1e36 && kmeans->mean.longest < 1e17) return CODE_OK;
  return error_set(error, CODE_ERROR, "a row holds a value that is not finite, or too large to be squared");
}

int kmeans_create(Kmeans **result, const KmeansRows *rows, const KmeansOptions *options, const Cancel *cancel,
                  Error *error) {
  *result = NULL;
  if (options->k < 1 || options->k > rows->rows)
    return error_set(error, CODE_ERROR, "there can't be %lld clusters of %lld rows", (long long)options->k,
                     (long long)rows->rows);
  Kmeans *kmeans = memory_alloc_zero(1, sizeof *kmeans);
  if (!kmeans) return error_no_memory(error);
  kmeans->rows = *rows;
  kmeans->options = *options;
  kmeans->best_inertia = INFINITY;
  size_t length = rows->dense ? rows->stride : rows->sparse->start[rows->rows] / rows->rows + 1;
  size_t block = (size_t)(BLOCK_COST / ((double)options->k * (double)length + 1));
  kmeans->block_rows = block < LEAST_BLOCK ? LEAST_BLOCK : block > MOST_BLOCK ? MOST_BLOCK : block;
  kmeans->blocks = (rows->rows + kmeans->block_rows - 1) / kmeans->block_rows;
  int code = allocate(kmeans);
  if (code == CODE_OK) code = measure_spread(kmeans, cancel, error);
  if (code == CODE_OK) code = allocate_centroids(kmeans);
  if (code == CODE_OK)
    *result = kmeans;
  else
    kmeans_destroy(kmeans);
  return error_from_code(error, code);
}

void kmeans_destroy(Kmeans *kmeans) {
  if (!kmeans) return;
  centroids_free(&kmeans->mean);
  centroids_free(&kmeans->centroids);
  memory_free_aligned(kmeans->scratch);
  memory_free_aligned(kmeans->sum);
  memory_free(kmeans->best);
  memory_free(kmeans->cluster);
  memory_free(kmeans->previous);
  memory_free(kmeans->upper);
  memory_free(kmeans->lower);
  memory_free(kmeans->moved);
  memory_free(kmeans->place);
  memory_free(kmeans->count);
  memory_free(kmeans->move);
  memory_free(kmeans->half);
  memory_free(kmeans->part);
  memory_free(kmeans->looked);
  memory_free(kmeans);
}

/* ---- from rows to clusters --------------------------------------------------------------------------------------- */

#define SLACK 0x1p-22 /* of a bound, for the rounding of what is done to it */

static int half_distance(void *context, size_t c, int worker) {
  (void)worker;
  Kmeans *kmeans = context;
  size_t columns = kmeans->centroids.columns;
  const double *exact = kmeans->centroids.exact;
  double least = INFINITY;
  for (size_t other = 0; other < kmeans->options.k; other++) {
    if (other == c) continue;
    double d = kmeans->centroids.kernels->squared_double(exact + c * columns, exact + other * columns, columns);
    if (d < least) least = d;
  }
  kmeans->half[c] = sqrt(least) / 2 * (1 - SLACK);
  return CODE_OK;
}

/* Not where they would cost much beside the rows. */
static int half_distances(Kmeans *kmeans, const Cancel *cancel) {
  const KmeansRows *rows = &kmeans->rows;
  double entries = rows->dense ? (double)rows->rows * (double)rows->stride : (double)rows->sparse->start[rows->rows];
  if (kmeans->iteration > 0 && 8.0 * (double)kmeans->options.k * (double)kmeans->centroids.columns <= entries)
    return parallel_for(kmeans->options.threads, kmeans->options.k, half_distance, kmeans, cancel);
  memset(kmeans->half, 0, kmeans->options.k * sizeof *kmeans->half);
  return CODE_OK;
}

/* The bounds of a row after the last move; 0 where they leave it in its cluster. `own` is set to its squared distance
 * where that was taken, because it might save a look at all the others, else to −1. */
static int must_look(Kmeans *kmeans, size_t row, double *own) {
  size_t a = kmeans->cluster[row];
  *own = -1;
  if (a == NO_CLUSTER) return 1;
  double upper = ((double)kmeans->upper[row] + kmeans->move[a]) * (1 + SLACK);
  double lower = (double)kmeans->lower[row] - (a == kmeans->fastest ? kmeans->second_move : kmeans->first_move);
  lower = lower > 0 ? lower * (1 - SLACK) : 0;
  double bound = lower > kmeans->half[a] ? lower : kmeans->half[a];
  if (upper > bound && kmeans->tighten) {
    *own = row_distance(&kmeans->rows, &kmeans->centroids, row, a);
    upper = sqrt(*own) * (1 + SLACK);
  }
  kmeans->upper[row] = (float)upper;
  kmeans->lower[row] = (float)lower;
  return upper > bound;
}

/* A row goes to the nearest centroid if that is nearer than its own. */
static int place_row(Kmeans *kmeans, size_t row, const Nearest *nearest, double own) {
  uint32_t a = kmeans->cluster[row];
  kmeans->upper[row] = nearest->most;
  kmeans->lower[row] = nearest->second;
  if (nearest->index == a) return 0;
  if (a != NO_CLUSTER) {
    if (own < 0) own = row_distance(&kmeans->rows, &kmeans->centroids, row, a);
    if (row_distance(&kmeans->rows, &kmeans->centroids, row, nearest->index) >= own) {
      kmeans->upper[row] = (float)(sqrt(own) * (1 + SLACK));
      kmeans->lower[row] = nearest->least;
      return 0;
    }
  }
  kmeans->cluster[row] = nearest->index;
  return 1;
}

static int assign_block(void *context, size_t block, int worker) {
  Kmeans *kmeans = context;
  uint32_t list[MOST_BLOCK] = {0};
  double own[MOST_BLOCK] = {0};
  Nearest nearest[MOST_BLOCK];
  size_t count = 0, changed = 0;
  for (size_t row = block * kmeans->block_rows; row < kmeans_block_end(kmeans, block); row++) {
    list[count] = (uint32_t)row;
    count += (size_t)must_look(kmeans, row, &own[count]);
  }
  rows_nearest(&kmeans->rows, &kmeans->centroids, list, count, scratch_of(kmeans, worker), nearest);
  for (size_t i = 0; i < count; i++) changed += (size_t)place_row(kmeans, list[i], &nearest[i], own[i]);
  kmeans->part[block] = (double)changed;
  kmeans->looked[block] = count;
  return CODE_OK;
}

/* ---- from clusters to centroids ---------------------------------------------------------------------------------- */

/* Sorts the rows that have come to another cluster, or those that have left one, by that cluster. */
static void sort_moved(Kmeans *kmeans, const uint32_t *key) {
  size_t *place = kmeans->place, k = kmeans->options.k, n = kmeans->rows.rows;
  memset(place, 0, (k + 2) * sizeof *place);
  for (size_t row = 0; row < n; row++)
    if (kmeans->cluster[row] != kmeans->previous[row] && key[row] != NO_CLUSTER) place[key[row] + 2]++;
  for (size_t c = 2; c < k + 2; c++) place[c] += place[c - 1];
  for (size_t row = 0; row < n; row++)
    if (kmeans->cluster[row] != kmeans->previous[row] && key[row] != NO_CLUSTER)
      kmeans->moved[place[key[row] + 1]++] = (uint32_t)row;
}

static int add_moved(Kmeans *kmeans, const uint32_t *key, int sign, const Cancel *cancel) {
  size_t k = kmeans->options.k;
  sort_moved(kmeans, key);
  for (size_t c = 0; c < k; c++) {
    size_t rows = kmeans->place[c + 1] - kmeans->place[c];
    kmeans->count[c] = sign > 0 ? kmeans->count[c] + rows : kmeans->count[c] - rows;
  }
  return rows_sum(&kmeans->rows, kmeans->centroids.columns, kmeans->moved, kmeans->place, k, sign, kmeans->sum,
                  kmeans->options.threads, cancel);
}

static int farthest_of_block(void *context, size_t block, int worker) {
  (void)worker;
  Kmeans *kmeans = context;
  double most = 0;
  kmeans->part[block] = -1;
  for (size_t row = block * kmeans->block_rows; row < kmeans_block_end(kmeans, block); row++) {
    uint32_t a = kmeans->cluster[row];
    if (kmeans->count[a] < 2) continue;
    double d = row_distance(&kmeans->rows, &kmeans->centroids, row, a);
    if (d <= most) continue;
    most = d;
    kmeans->part[block] = (double)row;
  }
  return CODE_OK;
}

/* The row that is farthest from the centroid of its cluster, if that is not its only one; rows->rows: there is none. */
static int farthest_row(Kmeans *kmeans, size_t *farthest, const Cancel *cancel) {
  int code = parallel_for(kmeans->options.threads, kmeans->blocks, farthest_of_block, kmeans, cancel);
  double most = 0;
  *farthest = kmeans->rows.rows;
  for (size_t block = 0; block < kmeans->blocks && code == CODE_OK; block++) {
    if (kmeans->part[block] < 0) continue;
    size_t row = (size_t)kmeans->part[block];
    double d = row_distance(&kmeans->rows, &kmeans->centroids, row, kmeans->cluster[row]);
    if (d > most) *farthest = row;
    if (d > most) most = d;
  }
  return code;
}

/* Gives every empty cluster a row, as long as there are rows away from their centroids. */
static int fill_empty(Kmeans *kmeans, size_t *changed, const Cancel *cancel) {
  size_t columns = kmeans->centroids.columns, row = 0;
  int code = CODE_OK;
  for (size_t c = 0; c < kmeans->options.k && code == CODE_OK && row < kmeans->rows.rows; c++) {
    if (kmeans->count[c] > 0) continue;
    code = farthest_row(kmeans, &row, cancel);
    if (code != CODE_OK || row == kmeans->rows.rows) continue;
    uint32_t one = (uint32_t)row, from = kmeans->cluster[row];
    size_t place[2] = {0, 1};
    kmeans->cluster[row] = kmeans->previous[row] = (uint32_t)c;
    kmeans->upper[row] = INFINITY;
    kmeans->lower[row] = 0;
    kmeans->count[from]--;
    kmeans->count[c] = 1;
    memset(kmeans->sum + c * columns, 0, columns * sizeof *kmeans->sum);
    code = rows_sum(&kmeans->rows, columns, &one, place, 1, 1, kmeans->sum + c * columns, 1, NULL);
    if (code == CODE_OK)
      code = rows_sum(&kmeans->rows, columns, &one, place, 1, -1, kmeans->sum + from * columns, 1, NULL);
    (*changed)++;
  }
  return code;
}

/* Every centroid to the mean of its rows, with the moves, and with the inertia about them. */
static void move_centroids(Kmeans *kmeans) {
  size_t columns = kmeans->centroids.columns;
  double between = 0;
  kmeans->first_move = kmeans->second_move = 0;
  for (size_t c = 0; c < kmeans->options.k; c++) {
    double *exact = kmeans->centroids.exact + c * columns, square = 0, n = (double)kmeans->count[c], away = 0;
    for (size_t column = 0; column < columns && n > 0; column++) {
      double x = kmeans->sum[c * columns + column] / n, step = x - exact[column];
      double from_mean = x - kmeans->mean.exact[column];
      square += step * step;
      away += from_mean * from_mean;
      exact[column] = x;
    }
    between += n * away;
    kmeans->move[c] = sqrt(square) * (1 + SLACK);
    if (kmeans->move[c] > kmeans->first_move) {
      kmeans->second_move = kmeans->first_move;
      kmeans->first_move = kmeans->move[c];
      kmeans->fastest = c;
    } else if (kmeans->move[c] > kmeans->second_move) {
      kmeans->second_move = kmeans->move[c];
    }
  }
  kmeans->inertia = kmeans->spread > between ? kmeans->spread - between : 0;
  centroids_pack(&kmeans->centroids, &kmeans->rows);
}

/* To take a row's own distance is of use only where the bounds nearly hold. */
static void decide_tightening(Kmeans *kmeans) {
  size_t looked = 0;
  for (size_t block = 0; block < kmeans->blocks; block++) looked += kmeans->looked[block];
  kmeans->tighten = looked < kmeans->rows.rows - kmeans->rows.rows / 8;
}

static int lloyd(Kmeans *kmeans, size_t *changed, const Cancel *cancel) {
  const KmeansOptions *options = &kmeans->options;
  int code = half_distances(kmeans, cancel);
  if (code == CODE_OK) code = parallel_for(options->threads, kmeans->blocks, assign_block, kmeans, cancel);
  if (code != CODE_OK) return code;
  *changed = (size_t)sum_parts(kmeans);
  decide_tightening(kmeans);
  if (*changed == 0) return CODE_OK;
  code = add_moved(kmeans, kmeans->cluster, 1, cancel);
  if (code == CODE_OK && kmeans->iteration > 0) code = add_moved(kmeans, kmeans->previous, -1, cancel);
  if (code != CODE_OK) return code;
  memcpy(kmeans->previous, kmeans->cluster, kmeans->rows.rows * sizeof *kmeans->cluster);
  code = fill_empty(kmeans, changed, cancel);
  if (code == CODE_OK) move_centroids(kmeans);
  return code;
}

/* ---- mini-batches ------------------------------------------------------------------------------------------------ */

typedef struct Batch {
  Kmeans *kmeans;
  size_t rows;
} Batch;

static int assign_batch(void *context, size_t block, int worker) {
  const Batch *batch = context;
  Kmeans *kmeans = batch->kmeans;
  Nearest nearest[MOST_BLOCK];
  size_t first = block * kmeans->block_rows;
  size_t count = batch->rows - first < kmeans->block_rows ? batch->rows - first : kmeans->block_rows;
  rows_nearest(&kmeans->rows, &kmeans->centroids, kmeans->moved + first, count, scratch_of(kmeans, worker), nearest);
  double sum = 0;
  for (size_t i = 0; i < count; i++) {
    kmeans->cluster[first + i] = nearest[i].index;
    sum += row_distance(&kmeans->rows, &kmeans->centroids, kmeans->moved[first + i], nearest[i].index);
  }
  kmeans->part[block] = sum;
  return CODE_OK;
}

/* Adds the batch to the sums, sorted by cluster. */
static int add_batch(Kmeans *kmeans, const Batch *batch, const Cancel *cancel) {
  size_t *place = kmeans->place, k = kmeans->options.k;
  memset(place, 0, (k + 2) * sizeof *place);
  for (size_t i = 0; i < batch->rows; i++) {
    place[kmeans->cluster[i] + 2]++;
    kmeans->count[kmeans->cluster[i]]++;
  }
  for (size_t c = 2; c < k + 2; c++) place[c] += place[c - 1];
  for (size_t i = 0; i < batch->rows; i++) kmeans->previous[place[kmeans->cluster[i] + 1]++] = kmeans->moved[i];
  return rows_sum(&kmeans->rows, kmeans->centroids.columns, kmeans->previous, place, k, 1, kmeans->sum,
                  kmeans->options.threads, cancel);
}

/* Every centroid that got rows becomes the mean of all it ever got: `sum` and `count` hold those. */
static int one_batch(Kmeans *kmeans, Batch *batch, double *inertia, const Cancel *cancel) {
  size_t blocks = (batch->rows + kmeans->block_rows - 1) / kmeans->block_rows, columns = kmeans->centroids.columns;
  int code = parallel_for(kmeans->options.threads, blocks, assign_batch, batch, cancel);
  for (size_t block = 0; block < blocks && code == CODE_OK; block++) *inertia += kmeans->part[block];
  if (code == CODE_OK) code = add_batch(kmeans, batch, cancel);
  for (size_t c = 0; c < kmeans->options.k && code == CODE_OK; c++)
    for (size_t column = 0; column < columns && kmeans->count[c] > 0; column++)
      kmeans->centroids.exact[c * columns + column] = kmeans->sum[c * columns + column] / (double)kmeans->count[c];
  centroids_pack(&kmeans->centroids, &kmeans->rows);
  return code;
}

static uint64_t start_seed(const Kmeans *kmeans) { return random_bits(kmeans->options.seed, (uint64_t)kmeans->start); }

/* An iteration: as many rows as there are, in batches. A centroid that got none moves to a row of the last batch. */
static int mini_batches(Kmeans *kmeans, const Cancel *cancel) {
  size_t n = kmeans->rows.rows, size = kmeans->options.batch_size < n ? kmeans->options.batch_size : n, drawn = 0;
  uint64_t seed = random_bits(start_seed(kmeans), (uint64_t)kmeans->iteration + 1);
  Batch batch = {kmeans, size};
  double inertia = 0;
  int code = CODE_OK;
  while (drawn < n && code == CODE_OK) {
    for (size_t i = 0; i < size; i++) kmeans->moved[i] = (uint32_t)(random_uniform(seed, drawn + i) * (double)n);
    drawn += size;
    code = one_batch(kmeans, &batch, &inertia, cancel);
  }
  kmeans->inertia = inertia * ((double)n / (double)drawn);
  for (size_t c = 0, i = 0; c < kmeans->options.k && code == CODE_OK && i < size; c++)
    if (kmeans->count[c] == 0) centroids_set_row(&kmeans->centroids, c, &kmeans->rows, kmeans->moved[i++]);
  centroids_pack(&kmeans->centroids, &kmeans->rows);
  return code;
}

/* ---- starts ------------------------------------------------------------------------------------------------------ */

static int begin_start(Kmeans *kmeans, const Cancel *cancel) {
  size_t k = kmeans->options.k, n = kmeans->rows.rows;
  kmeans->start++;
  kmeans->iteration = 0;
  kmeans->inertia = INFINITY;
  kmeans->fastest = 0;
  kmeans->tighten = 0;
  kmeans->first_move = kmeans->second_move = 0;
  memset(kmeans->sum, 0, k * kmeans->centroids.columns * sizeof *kmeans->sum);
  memset(kmeans->count, 0, k * sizeof *kmeans->count);
  memset(kmeans->move, 0, k * sizeof *kmeans->move);
  for (size_t row = 0; row < n; row++) kmeans->cluster[row] = kmeans->previous[row] = NO_CLUSTER;
  kmeans->seeded = 1;
  return kmeans_seed(&kmeans->rows, &kmeans->centroids, kmeans->mean.exact, start_seed(kmeans), kmeans->options.threads,
                     cancel);
}

/* Inertia falls from iteration to iteration, but for mini-batches, whose starts are judged by their ends. */
static void keep_best(Kmeans *kmeans, int over) {
  int batches = kmeans->options.batch_size > 0, better = kmeans->inertia < kmeans->best_inertia;
  if (batches ? kmeans->start > 1 && !(over && better) : !better) return;
  kmeans->best_inertia = kmeans->inertia;
  memcpy(kmeans->best, kmeans->centroids.exact, kmeans->options.k * kmeans->centroids.columns * sizeof *kmeans->best);
}

int kmeans_iterate(Kmeans *kmeans, KmeansReport *report, const Cancel *cancel, Error *error) {
  const KmeansOptions *options = &kmeans->options;
  *report = (KmeansReport){0};
  int code = kmeans->seeded ? CODE_OK : begin_start(kmeans, cancel);
  double before = kmeans->inertia;
  if (code == CODE_OK)
    code = options->batch_size ? mini_batches(kmeans, cancel) : lloyd(kmeans, &report->changed, cancel);
  if (code != CODE_OK) return error_from_code(error, code);
  kmeans->iteration++;
  int settled = !options->batch_size && report->changed == 0;
  if (options->tolerance > 0 && isfinite(before) && before - kmeans->inertia < options->tolerance * before) settled = 1;
  int over = settled || kmeans->iteration >= options->iterations;
  keep_best(kmeans, over);
  report->start = kmeans->start;
  report->iteration = kmeans->iteration;
  report->inertia = kmeans->inertia;
  report->done = over && kmeans->start >= options->starts;
  kmeans->seeded = !over;
  return CODE_OK;
}

/* ---- the result -------------------------------------------------------------------------------------------------- */

typedef struct Finishing {
  Kmeans *kmeans;
  KmeansResult *result;
} Finishing;

static int finish_block(void *context, size_t block, int worker) {
  const Finishing *work = context;
  Kmeans *kmeans = work->kmeans;
  uint32_t list[MOST_BLOCK] = {0};
  Nearest nearest[MOST_BLOCK];
  size_t first = block * kmeans->block_rows, count = kmeans_block_end(kmeans, block) - first;
  double sum = 0;
  for (size_t i = 0; i < count; i++) list[i] = (uint32_t)(first + i);
  rows_nearest(&kmeans->rows, &kmeans->centroids, list, count, scratch_of(kmeans, worker), nearest);
  for (size_t i = 0; i < count; i++) {
    double distance = row_distance(&kmeans->rows, &kmeans->centroids, first + i, nearest[i].index);
    work->result->cluster[first + i] = nearest[i].index;
    work->result->distance[first + i] = (float)sqrt(distance);
    sum += distance;
  }
  kmeans->part[block] = sum;
  return CODE_OK;
}

static int fill_result(Kmeans *kmeans, KmeansResult *result, const Cancel *cancel) {
  size_t k = result->k, columns = kmeans->centroids.columns;
  Finishing work = {kmeans, result};
  memcpy(kmeans->centroids.exact, kmeans->best, k * columns * sizeof *kmeans->best);
  centroids_pack(&kmeans->centroids, &kmeans->rows);
  kmeans->seeded = 0; /* what the start had reached is gone */
  int code = parallel_for(kmeans->options.threads, kmeans->blocks, finish_block, &work, cancel);
  result->inertia = sum_parts(kmeans);
  for (size_t row = 0; row < result->rows && code == CODE_OK; row++) result->count[result->cluster[row]]++;
  for (size_t c = 0; c < k; c++)
    memcpy(result->centroid + c * result->columns, kmeans->best + c * columns, result->columns * sizeof(double));
  return code;
}

int kmeans_finish(Kmeans *kmeans, KmeansResult *result, const Cancel *cancel, Error *error) {
  *result = (KmeansResult){.rows = kmeans->rows.rows, .k = kmeans->options.k, .columns = kmeans->rows.columns};
  result->cluster = memory_alloc(result->rows, sizeof *result->cluster);
  result->distance = memory_alloc(result->rows, sizeof *result->distance);
  result->centroid = memory_alloc(result->k, result->columns * sizeof *result->centroid);
  result->count = memory_alloc_zero(result->k, sizeof *result->count);
  int code = result->cluster && result->distance && result->centroid && result->count ? CODE_OK : CODE_NOMEM;
  if (code == CODE_OK) code = fill_result(kmeans, result, cancel);
  if (code != CODE_OK) kmeans_result_free(result);
  return error_from_code(error, code);
}

void kmeans_result_free(KmeansResult *result) {
  memory_free(result->cluster);
  memory_free(result->distance);
  memory_free(result->centroid);
  memory_free(result->count);
  *result = (KmeansResult){0};
}
