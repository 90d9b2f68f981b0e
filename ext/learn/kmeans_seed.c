/* k-means++ (Arthur & Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007), the greedy form of its
 * last section: each next centroid is the best of 2 + ln k candidates, rows drawn with chances that grow with the
 * squared distance to the nearest centroid so far. Where there are very many rows it draws from a sample of them,
 * evenly spread, since k passes over all would cost more than the iterations that follow. */
#include "kmeans_seed.h"

#include <math.h>
#include <string.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/random.h"

enum { BLOCK_ROWS = 256, MOST_CANDIDATES = KMEANS_PACKED };
#define SAMPLE_ROWS 10000 /* and CLUSTER_ROWS for each cluster */
#define CLUSTER_ROWS 32

typedef struct Seeding {
  const KmeansRows *rows;
  Centroids *centroids;
  Centroids candidates; /* 16 wide; exact holds those to be looked at */
  size_t candidate_count, best;
  uint32_t *sample; /* rows */
  float *nearest;   /* of each row of the sample: its squared distance to the nearest centroid so far */
  size_t count, blocks;
  double *potential; /* blocks × 16: Σ nearest as it would be with each candidate; with the best one, Σ nearest */
  float *scratch;    /* a piece for each thread */
  size_t scratch_size;
  uint64_t seed, drawn; /* random numbers taken so far */
} Seeding;

static size_t block_count(const Seeding *work, size_t block) {
  size_t rest = work->count - block * BLOCK_ROWS;
  return rest < BLOCK_ROWS ? rest : BLOCK_ROWS;
}

static int weigh_candidates(void *context, size_t block, int worker) {
  const Seeding *work = context;
  float distance[KMEANS_MOST_TILE * KMEANS_PACKED] __attribute__((aligned(64)));
  double *potential = work->potential + block * MOST_CANDIDATES;
  size_t first = block * BLOCK_ROWS, end = first + block_count(work, block);
  memset(potential, 0, MOST_CANDIDATES * sizeof *potential);
  for (size_t i = first; i < end; i += KMEANS_MOST_TILE) {
    size_t n = end - i < KMEANS_MOST_TILE ? end - i : KMEANS_MOST_TILE;
    rows_distances(work->rows, &work->candidates, work->sample + i, n,
                   work->scratch + (size_t)worker * work->scratch_size, distance);
    for (size_t r = 0; r < n; r++)
      for (size_t c = 0; c < work->candidate_count; c++) {
        float d = distance[r * KMEANS_PACKED + c];
        potential[c] += (double)(d < work->nearest[i + r] ? d : work->nearest[i + r]);
      }
  }
  return CODE_OK;
}

static int take_best(void *context, size_t block, int worker) {
  (void)worker;
  const Seeding *work = context;
  size_t first = block * BLOCK_ROWS, end = first + block_count(work, block);
  double sum = 0;
  for (size_t i = first; i < end; i++) {
    float d = (float)row_distance(work->rows, &work->candidates, work->sample[i], work->best);
    if (d < work->nearest[i]) work->nearest[i] = d;
    sum += (double)work->nearest[i];
  }
  work->potential[block * MOST_CANDIDATES] = sum;
  return CODE_OK;
}

static double sum_blocks(const Seeding *work, size_t candidate) {
  double sum = 0;
  for (size_t block = 0; block < work->blocks; block++) sum += work->potential[block * MOST_CANDIDATES + candidate];
  return sum;
}

/* A row of the sample, with chances as `nearest`; any, where all are at a centroid. */
static uint32_t draw_center(Seeding *work, double total) {
  double uniform = random_uniform(work->seed, work->drawn++), left = uniform * total;
  if (!(total > 0)) return work->sample[(size_t)(uniform * (double)work->count)];
  size_t block = 0, last = work->count;
  for (; block + 1 < work->blocks && left >= work->potential[block * MOST_CANDIDATES]; block++)
    left -= work->potential[block * MOST_CANDIDATES];
  size_t first = block * BLOCK_ROWS, end = first + block_count(work, block);
  for (size_t i = first; i < end; i++) {
    if (!(work->nearest[i] > 0)) continue;
    last = i;
    left -= (double)work->nearest[i];
    if (left < 0) break;
  }
  return work->sample[last < work->count ? last : end - 1]; /* rounding may lead past the end */
}

static int next_centroid(Seeding *work, size_t centroid, size_t candidates, int threads, const Cancel *cancel) {
  double total = centroid ? sum_blocks(work, 0) : 0, least = INFINITY;
  work->candidate_count = centroid ? candidates : 1;
  for (size_t c = 0; c < work->candidate_count; c++)
    centroids_set_row(&work->candidates, c, work->rows, draw_center(work, total));
  centroids_pack(&work->candidates, work->rows);
  work->best = 0;
  int code = CODE_OK;
  if (work->candidate_count > 1) {
    code = parallel_for(threads, work->blocks, weigh_candidates, work, cancel);
    for (size_t c = 0; c < work->candidate_count && code == CODE_OK; c++) {
      double sum = sum_blocks(work, c);
      if (sum < least) work->best = c;
      if (sum < least) least = sum;
    }
  }
  if (code == CODE_OK) code = parallel_for(threads, work->blocks, take_best, work, cancel);
  size_t columns = work->centroids->columns;
  memcpy(work->centroids->exact + centroid * columns, work->candidates.exact + work->best * columns,
         columns * sizeof(double));
  return code;
}

/* Passes are short, and each starts its threads anew: not for less than a millisecond's work. */
static int threads_for(const Seeding *work, int threads) {
  const KmeansRows *rows = work->rows;
  double length = rows->dense ? (double)rows->stride : (double)rows->sparse->start[rows->rows] / (double)rows->rows;
  double most = 1 + (double)work->count * length * MOST_CANDIDATES / 4e7;
  return most < (double)threads ? (int)most : threads;
}

/* Rows in order, each from its own part of them all. */
static void draw_sample(Seeding *work) {
  double part = (double)work->rows->rows / (double)work->count;
  for (size_t i = 0; i < work->count; i++) {
    double at = (double)i;
    if (work->count < work->rows->rows) at += random_uniform(~work->seed, i);
    size_t row = (size_t)(at * part);
    work->sample[i] = (uint32_t)(row < work->rows->rows ? row : work->rows->rows - 1);
    work->nearest[i] = INFINITY;
  }
}

int kmeans_seed(const KmeansRows *rows, Centroids *centroids, const double *origin, uint64_t seed, int threads,
                const Cancel *cancel) {
  Seeding work = {.rows = rows, .centroids = centroids, .seed = seed, .count = rows->rows};
  size_t most = SAMPLE_ROWS + CLUSTER_ROWS * centroids->count, candidates = 2 + (size_t)log((double)centroids->count);
  if (work.count > most) work.count = most;
  if (candidates > MOST_CANDIDATES) candidates = MOST_CANDIDATES;
  work.blocks = (work.count + BLOCK_ROWS - 1) / BLOCK_ROWS;
  int code = centroids_alloc(&work.candidates, rows, MOST_CANDIDATES, origin);
  if (code == CODE_OK) work.scratch_size = rows_scratch(rows, &work.candidates);
  work.scratch = memory_alloc_aligned((size_t)threads, work.scratch_size * sizeof *work.scratch);
  work.sample = memory_alloc(work.count, sizeof *work.sample);
  work.nearest = memory_alloc(work.count, sizeof *work.nearest);
  work.potential = memory_alloc_zero(work.blocks, MOST_CANDIDATES * sizeof *work.potential);
  if (!work.scratch || !work.sample || !work.nearest || !work.potential) code = CODE_NOMEM;
  if (code == CODE_OK) draw_sample(&work);
  threads = threads_for(&work, threads);
  for (size_t c = 0; c < centroids->count && code == CODE_OK; c++)
    code = next_centroid(&work, c, candidates, threads, cancel);
  if (code == CODE_OK) centroids_pack(centroids, rows);
  centroids_free(&work.candidates);
  memory_free_aligned(work.scratch);
  memory_free(work.sample);
  memory_free(work.nearest);
  memory_free(work.potential);
  return code;
}
