/* The nearest of every row: see neighbors.h.
 *
 * A similarity belongs to both rows of a pair, so each pair is computed once: each label with the labels below it, and
 * the result is offered to the lists of both rows. Since any thread may come across a neighbour of any row, each thread
 * keeps lists for all rows that it has met; at the end they are merged. Where these lists would take more memory than
 * the matrix, each row is compared with all others instead and keeps only its own list. The k best of a set are the
 * same in whatever order they come, so neither way nor the number of threads shows in the bytes.
 *
 * The sums of a row are turned into similarities from the first label to the last, or, where it meets few others, by
 * walking its features a second time. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../score/top_k.h"
#include "neighbor_search.h"

enum {
  LABELS_A_BLOCK = 4,
  LISTS_A_BLOCK = 16,
  CHUNK = 256,     /* similarities at a time */
  FEW_MET = 8,     /* fewer than one label in so many is met: they are walked, not the labels */
  MARK_SHARE = 32, /* rows with a feature in so many keep their marks */
  LEAST_MB = 16    /* of heaps, whatever the size of the matrix */
};

/* The best that a thread has met. */
typedef struct Keeper {
  NeighborScratch scratch;
  Scored *heap;    /* labels × k, or k of the row at hand */
  uint32_t *count; /* in the heap of each label */
  float *bar;      /* what each label's next neighbour has to reach */
  uint64_t *marks; /* a bit a feature: those of the row at hand; 0 between rows */
} Keeper;

/* The best of one label. */
typedef struct Found {
  Scored *scored;
  size_t count;
} Found;

typedef struct Work {
  const NeighborSearch *search;
  const NeighborKernels *kernels;
  size_t n, k;
  int shared;          /* pairs are worked out once */
  float least;         /* the lowest similarity that counts; 0 never does */
  atomic_size_t *kept; /* by rows that keep their own, so far */
  Keeper *keeper;
  int keepers;
  Found *found;
  uint64_t *marks; /* as a keeper's, of the first `marked` labels */
  size_t marked, words;
  NeighborLists *lists;
} Work;

/* ---- one row ----------------------------------------------------------------------------------------------------- */

static void keep(const Work *work, Scored *heap, uint32_t *count, float *bar, float similarity, size_t other) {
  if (!(similarity >= *bar) || similarity == 0) return;
  TopK top = {heap, work->k, *count};
  top_k_offer(&top, similarity, work->search->order[other]);
  *count = (uint32_t)top.count;
  if (top.count == work->k) *bar = heap[0].score;
}

/* A pair that may be near. */
static void offer(const Work *work, Keeper *keeper, size_t label, size_t other, float similarity) {
  size_t own = work->shared ? label : 0;
  keep(work, keeper->heap + own * work->k, &keeper->count[own], &keeper->bar[own], similarity, other);
  if (work->shared)
    keep(work, keeper->heap + other * work->k, &keeper->count[other], &keeper->bar[other], similarity, label);
}

/* Looks at the sums of all labels below `end`. */
static void look_at_all(const Work *work, Keeper *keeper, size_t label, size_t end) {
  const NeighborScale *scale = &work->search->scale;
  const NeighborSums *sums = &keeper->scratch.sums;
  for (size_t first = 0; first < end; first += CHUNK) {
    float similarity[CHUNK];
    uint16_t chosen[CHUNK];
    size_t count = end - first < CHUNK ? end - first : CHUNK;
    float own = keeper->bar[work->shared ? label : 0];
    work->kernels->similarities(scale, sums, label, first, count, similarity);
    neighbor_clear(scale->kind, sums, first, count);
    size_t n = work->kernels->above(similarity, work->shared ? keeper->bar + first : NULL, own, count, chosen);
    for (size_t i = 0; i < n; i++)
      if (first + chosen[i] != label) offer(work, keeper, label, first + chosen[i], similarity[chosen[i]]);
  }
}

static int is_met(NeighborSumKind kind, const NeighborSums *sums, size_t label) {
  if (kind == NEIGHBOR_MOMENTS) return sums->moment[label * NEIGHBOR_MOMENT_LANES + 5] != 0;
  return kind == NEIGHBOR_PRODUCTS ? sums->sum[label] != 0 : sums->count[label] != 0;
}

/* Looks at the sums of those that have a feature in common. */
static void look_at_met(const Work *work, Keeper *keeper, size_t label) {
  const NeighborSearch *search = work->search;
  const NeighborSums *sums = &keeper->scratch.sums;
  NeighborSumKind kind = search->scale.kind;
  size_t row = search->order[label];
  for (size_t e = search->rows->start[row]; e < search->rows->start[row + 1]; e++) {
    size_t feature = search->rows->index[e], start = search->features->start[feature];
    size_t end = work->shared ? start + search->place[e] : search->features->start[feature + 1];
    for (size_t i = start; i < end; i++) {
      size_t other = neighbor_label(search, i);
      float similarity;
      if (!is_met(kind, sums, other)) continue;
      work->kernels->similarities(&search->scale, sums, label, other, 1, &similarity);
      neighbor_clear(kind, sums, other, 1);
      if (other != label) offer(work, keeper, label, other, similarity);
    }
  }
}

/* How many sums are added to for a label, at most so many. */
static size_t entries_met(const Work *work, size_t label, size_t most) {
  const NeighborSearch *search = work->search;
  size_t row = search->order[label], met = 0;
  for (size_t e = search->rows->start[row]; e < search->rows->start[row + 1] && met < most; e++)
    met += work->shared ? search->place[e] : sparse_row_length(search->features, search->rows->index[e]);
  return met;
}

static int keep_own(const Work *work, Keeper *keeper, size_t label) {
  Found *found = &work->found[label];
  size_t before = atomic_fetch_add(work->kept, keeper->count[0]), most = work->search->options.most;
  found->count = keeper->count[0];
  if (most > 0 && before + found->count > most) return CODE_TOOBIG;
  found->scored = memory_alloc(found->count, sizeof *found->scored);
  if (!found->scored) return CODE_NOMEM;
  if (found->count > 0) memcpy(found->scored, keeper->heap, found->count * sizeof *found->scored);
  keeper->count[0] = 0;
  keeper->bar[0] = work->least;
  return CODE_OK;
}

static int label_block(void *context, size_t block, int worker) {
  const Work *work = context;
  Keeper *keeper = &work->keeper[worker];
  size_t end = (block + 1) * LABELS_A_BLOCK < work->n ? (block + 1) * LABELS_A_BLOCK : work->n;
  int code = CODE_OK;
  for (size_t label = block * LABELS_A_BLOCK; label < end && code == CODE_OK; label++) {
    size_t others = work->shared ? label : work->n;
    neighbor_add(work->search, label, work->shared, work->search->scale.kind, &keeper->scratch);
    if (entries_met(work, label, others / FEW_MET) < others / FEW_MET)
      look_at_met(work, keeper, label);
    else
      look_at_all(work, keeper, label, others);
    if (!work->shared) code = keep_own(work, keeper, label);
  }
  return code;
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

/* Brings together what the threads have kept of some labels, and sorts it. */
static int merge_block(void *context, size_t block, int worker) {
  (void)worker;
  const Work *work = context;
  size_t end = (block + 1) * LISTS_A_BLOCK < work->n ? (block + 1) * LISTS_A_BLOCK : work->n;
  for (size_t label = block * LISTS_A_BLOCK; label < end; label++) {
    Found *found = &work->found[label];
    if (work->shared) {
      TopK top = {work->keeper[0].heap + label * work->k, work->k, work->keeper[0].count[label]};
      for (int other = 1; other < work->keepers; other++)
        for (size_t i = 0; i < work->keeper[other].count[label]; i++) {
          Scored scored = work->keeper[other].heap[label * work->k + i];
          top_k_offer(&top, scored.score, scored.index);
        }
      *found = (Found){top.heap, top.count};
    }
    scored_sort(found->scored, found->count);
  }
  return CODE_OK;
}

/* How many of a row's features are marked. */
static uint32_t count_marked(const SparseMatrix *rows, size_t row, const uint64_t *marks) {
  uint32_t count = 0;
  for (size_t e = rows->start[row]; e < rows->start[row + 1]; e++)
    count += (uint32_t)(marks[rows->index[e] / 64] >> rows->index[e] % 64) & 1;
  return count;
}

static void mark(const SparseMatrix *rows, size_t row, uint64_t *marks) {
  for (size_t e = rows->start[row]; e < rows->start[row + 1]; e++)
    marks[rows->index[e] / 64] |= UINT64_C(1) << rows->index[e] % 64;
}

/* The marks of the long rows, which stay. */
static int mark_block(void *context, size_t label, int worker) {
  (void)worker;
  const Work *work = context;
  mark(work->search->rows, work->search->order[label], work->marks + label * work->words);
  return CODE_OK;
}

/* Counts common features by the shorter row against the marks of the longer, or else against the row's own. */
static int list_block(void *context, size_t block, int worker) {
  const Work *work = context;
  const NeighborSearch *search = work->search;
  const SparseMatrix *rows = search->rows;
  NeighborLists *lists = work->lists;
  uint64_t *own = work->keeper[worker].marks;
  size_t end = (block + 1) * LISTS_A_BLOCK < work->n ? (block + 1) * LISTS_A_BLOCK : work->n;
  for (size_t row = block * LISTS_A_BLOCK; row < end; row++) {
    size_t label = search->label[row];
    const Found *found = &work->found[label];
    const uint64_t *marks = label < work->marked ? work->marks + label * work->words : own;
    if (marks == own) mark(rows, row, own);
    for (size_t i = 0, to = lists->start[row]; i < found->count; i++, to++) {
      size_t neighbor = found->scored[i].index, other = search->label[neighbor];
      lists->neighbor[to] = (uint32_t)neighbor;
      lists->similarity[to] = found->scored[i].score;
      lists->support[to] = other < work->marked && other < label
                               ? count_marked(rows, row, work->marks + other * work->words)
                               : count_marked(rows, neighbor, marks);
    }
    for (size_t e = rows->start[row]; e < rows->start[row + 1] && marks == own; e++) own[rows->index[e] / 64] = 0;
  }
  return CODE_OK;
}

/* Marks the rows that have at least one feature in MARK_SHARE: no more than the entries of the matrix take. */
static int mark_long(Work *work, const Cancel *cancel) {
  const NeighborSearch *search = work->search;
  work->words = search->features->rows / 64 + 1;
  while (work->marked < work->n &&
         (double)search->length[work->marked] * MARK_SHARE >= (double)search->features->rows &&
         search->length[work->marked] > 0)
    work->marked++;
  work->marks = memory_alloc_zero(work->marked, work->words * sizeof *work->marks);
  if (!work->marks) return CODE_NOMEM;
  return parallel_for(search->options.threads, work->marked, mark_block, work, cancel);
}

static int collect(Work *work, const Cancel *cancel) {
  NeighborLists *lists = work->lists;
  size_t blocks = (work->n + LISTS_A_BLOCK - 1) / LISTS_A_BLOCK;
  int threads = work->search->options.threads;
  lists->rows = work->n;
  lists->start = memory_alloc_zero(work->n + 1, sizeof *lists->start);
  if (!lists->start) return CODE_NOMEM;
  int code = parallel_for(threads, blocks, merge_block, work, cancel);
  if (code != CODE_OK) return code;
  for (size_t row = 0; row < work->n; row++)
    lists->start[row + 1] = lists->start[row] + work->found[work->search->label[row]].count;
  size_t total = lists->start[work->n];
  if (work->search->options.most > 0 && total > work->search->options.most) return CODE_TOOBIG;
  lists->neighbor = memory_alloc(total, sizeof *lists->neighbor);
  lists->similarity = memory_alloc(total, sizeof *lists->similarity);
  lists->support = memory_alloc(total, sizeof *lists->support);
  if (!lists->neighbor || !lists->similarity || !lists->support) return CODE_NOMEM;
  code = mark_long(work, cancel);
  return code == CODE_OK ? parallel_for(threads, blocks, list_block, work, cancel) : code;
}

/* ---- all rows ---------------------------------------------------------------------------------------------------- */

/* Whether the best of all rows, kept by every thread, take no more than the matrix (or little). */
static int can_share(const NeighborSearch *search, size_t k) {
  double room = (double)search->rows->start[search->rows->rows] * 16 + LEAST_MB * 1048576.0;
  return (double)search->rows->rows * (double)k * sizeof(Scored) * search->options.threads <= room;
}

float neighbors_least(double threshold) {
  float least = (float)threshold;
  if (threshold <= -1) return -INFINITY;
  return (double)least > threshold ? least : nextafterf(least, INFINITY);
}

size_t neighbors_bound(const SparseMatrix *rows, const SparseMatrix *features) {
  size_t all = 0;
  for (size_t row = 0; row < rows->rows; row++) {
    size_t met = 0;
    for (size_t e = rows->start[row]; e < rows->start[row + 1] && met < rows->rows; e++)
      met += sparse_row_length(features, rows->index[e]) - 1;
    all += met < rows->rows ? met : rows->rows - 1;
  }
  return all;
}

static int keeper_alloc(Keeper *keeper, const Work *work) {
  size_t own = work->shared ? work->n : 1;
  keeper->heap = memory_alloc(own, work->k * sizeof *keeper->heap);
  keeper->count = memory_alloc_zero(own, sizeof *keeper->count);
  keeper->bar = memory_alloc(own, sizeof *keeper->bar);
  keeper->marks = memory_alloc_zero(work->search->features->rows / 64 + 1, sizeof *keeper->marks);
  int code = neighbor_scratch_alloc(&keeper->scratch, work->search, work->search->scale.kind);
  if (!keeper->heap || !keeper->count || !keeper->bar || !keeper->marks) return CODE_NOMEM;
  for (size_t label = 0; label < own; label++) keeper->bar[label] = work->least;
  return code;
}

static void keeper_free(Keeper *keeper) {
  memory_free(keeper->heap);
  memory_free(keeper->count);
  memory_free(keeper->bar);
  memory_free(keeper->marks);
  neighbor_scratch_free(&keeper->scratch);
}

static int find_all(Work *work, const Cancel *cancel) {
  size_t blocks = (work->n + LABELS_A_BLOCK - 1) / LABELS_A_BLOCK;
  int code = CODE_OK;
  work->keeper = memory_alloc_zero((size_t)work->keepers, sizeof *work->keeper);
  work->found = memory_alloc_zero(work->n, sizeof *work->found);
  if (!work->keeper || !work->found) code = CODE_NOMEM;
  for (int i = 0; i < work->keepers && code == CODE_OK; i++) code = keeper_alloc(&work->keeper[i], work);
  if (code == CODE_OK && work->k > 0) code = parallel_for(work->keepers, blocks, label_block, work, cancel);
  if (code == CODE_OK) code = collect(work, cancel);
  for (size_t label = 0; work->found && !work->shared && label < work->n; label++)
    memory_free(work->found[label].scored);
  for (int i = 0; work->keeper && i < work->keepers; i++) keeper_free(&work->keeper[i]);
  memory_free(work->found);
  memory_free(work->marks);
  memory_free(work->keeper);
  return code;
}

int neighbors_all(NeighborSearch *search, NeighborLists *lists, const Cancel *cancel, Error *error) {
  size_t n = search->rows->rows, k = search->options.size < n ? search->options.size : n;
  *lists = (NeighborLists){0};
  atomic_size_t kept = 0;
  Work work = {.search = search,
               .kept = &kept,
               .kernels = neighbor_kernels(),
               .n = n,
               .k = k,
               .shared = can_share(search, k),
               .least = neighbors_least(search->options.threshold),
               .keepers = search->options.threads,
               .lists = lists};
  int code = find_all(&work, cancel);
  if (code == CODE_OK) return CODE_OK;
  neighbor_lists_free(lists);
  if (code == CODE_TOOBIG)
    return error_set(error, CODE_ERROR,
                     "the neighbours take more memory than \"max_memory\" allows: raise \"max_memory\", give a number "
                     "of neighbours, or a higher \"threshold\"");
  return error_from_code(error, code);
}
