/* SLIM (Ning & Karypis, "SLIM: sparse linear methods for top-N recommender systems", ICDM 2011). The columns of W are
 * independent: with G = XᵀX, that of item i minimises
 *
 *     ½ wᵀG w − wᵀg_i + l1 ‖w‖₁ + ½ l2 ‖w‖²,      g_i column i of G, w_i = 0
 *
 * which coordinate descent does from w = 0 (Friedman, Hastie & Tibshirani, "Regularization paths for generalized linear
 * models via coordinate descent", JSS 2010, "covariance updates"): with r = g_i − G w,
 *
 *     w_j ← S(r_j + G_jj w_j, l1) / (G_jj + l2),   S(z, l) = sign(z) max(|z| − l, 0), or max(z − l, 0) for w ≥ 0
 *
 * and r is kept up to date by a multiple of row j of G. The first round goes over all items that have a user in common
 * with i; the next ones over those whose weight is not 0, until none changes by more than `tolerance`; then all of them
 * are tried again. Where X ≥ 0 and w ≥ 0, no other item could have a weight anyway, since its r only ever falls from 0;
 * otherwise the minimum is that among the weights of items with a user in common.
 *
 * G is sparse, as are users' histories: row i of G and column i of W share one list of items, so what memory all this
 * takes is known when the entries have been counted. Rows of which at least half is not 0, those of
 * popular items, are kept whole as well: r follows them several times as fast. */
#include "slim.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../base/code.h"
#include "../base/indexes.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "slim_kernels.h"

enum { ITEMS_A_TURN = 256 };            /* after which the share is told */
#define MOST_BYTES UINT64_C(2147483391) /* of sqlite3_malloc64 */

typedef struct Slim {
  const SparseMatrix *by_user;
  SparseMatrix by_item;
  const SlimOptions *options;
  size_t items;
  size_t *start;     /* items + 1 offsets into the next four: row i of G, its items ascending, i itself among them */
  uint32_t *index;   /* G's columns */
  float *product;    /* G's values */
  uint32_t *support; /* users in common; NULL where X is of ones: they are the products */
  float *weight;     /* of row i: W[index][i] */
  float *whole;      /* rows of G with their zeros, `items` numbers each … */
  uint32_t *place;   /* … and which of these row i is, + 1; 0: none */
  size_t wholes;     /* how many there are */
  double *diagonal;  /* of G */
  double *loss;      /* of each item */
  double *scratch;   /* `items` numbers for each thread: sums, or r */
  uint32_t *marks;   /* likewise: the item that a number was last for, + 1; or counts of users in common */
  size_t first;      /* item of the current turn */
  const Cancel *cancel;
  atomic_int stopped; /* what the thread that may ask was told while it fitted an item; the others look here */
} Slim;

static void slim_free(Slim *slim) {
  sparse_free(&slim->by_item);
  memory_free(slim->start);
  memory_free(slim->index);
  memory_free(slim->product);
  memory_free(slim->support);
  memory_free(slim->weight);
  memory_free(slim->whole);
  memory_free(slim->place);
  memory_free(slim->diagonal);
  memory_free(slim->loss);
  memory_free(slim->scratch);
  memory_free(slim->marks);
}

/* Calls `body` for every item; the part of the work from `from` to `to` is then done. */
static int for_each_item(Slim *slim, ParallelBody body, double from, double to, const Cancel *cancel) {
  int code = CODE_OK;
  for (slim->first = 0; slim->first < slim->items && code == CODE_OK; slim->first += ITEMS_A_TURN) {
    size_t left = slim->items - slim->first, count = left < ITEMS_A_TURN ? left : ITEMS_A_TURN;
    if (slim->options->share) *slim->options->share = from + (to - from) * (double)slim->first / (double)slim->items;
    code = parallel_for(slim->options->threads, count, body, slim, cancel);
  }
  return code;
}

/* ---- XᵀX --------------------------------------------------------------------------------------------------------- */

/* How many items have a user in common with this one, itself among them. */
static int count_row(void *context, size_t block, int worker) {
  Slim *slim = context;
  const SparseMatrix *users = slim->by_user, *items = &slim->by_item;
  size_t item = slim->first + block, count = 0;
  uint32_t *mark = slim->marks + (size_t)worker * slim->items, own = (uint32_t)item + 1;
  for (size_t e = items->start[item]; e < items->start[item + 1]; e++) {
    size_t user = items->index[e];
    for (size_t f = users->start[user]; f < users->start[user + 1]; f++) {
      count += mark[users->index[f]] != own;
      mark[users->index[f]] = own;
    }
  }
  slim->start[item + 1] = count;
  return CODE_OK;
}

/* Here the marks are counts of users in common, all 0 before and after. */
static int fill_row(void *context, size_t block, int worker) {
  Slim *slim = context;
  const SparseMatrix *users = slim->by_user, *items = &slim->by_item;
  size_t item = slim->first + block, to = slim->start[item];
  double *sum = slim->scratch + (size_t)worker * slim->items;
  uint32_t *common = slim->marks + (size_t)worker * slim->items;
  for (size_t e = items->start[item]; e < items->start[item + 1]; e++) {
    double x = (double)sparse_value(items, e);
    size_t user = items->index[e];
    for (size_t f = users->start[user]; f < users->start[user + 1]; f++) {
      uint32_t other = users->index[f];
      if (common[other]++ == 0) slim->index[to++] = other;
      sum[other] += x * (double)sparse_value(users, f);
    }
  }
  indexes_sort(slim->index + slim->start[item], to - slim->start[item]);
  int finite = 1;
  for (size_t e = slim->start[item]; e < to; e++) {
    uint32_t other = slim->index[e];
    slim->product[e] = (float)sum[other];
    finite = finite && isfinite(slim->product[e]);
    if (slim->place[item]) slim->whole[(slim->place[item] - 1) * slim->items + other] = slim->product[e];
    if (slim->support) slim->support[e] = common[other];
    if (other == item) slim->diagonal[item] = sum[other];
    sum[other] = 0;
    common[other] = 0;
  }
  return finite ? CODE_OK : CODE_ERROR;
}

/* What all takes beside X, when G has so many entries and as many weights are not 0. UINT64_MAX: more than that. */
static uint64_t bytes_of(const Slim *slim, uint64_t entries) {
  uint64_t items = slim->items, of_x = slim->by_user->start[slim->by_user->rows];
  uint64_t all = items * (4 * 9 + 12 * (uint64_t)slim->options->threads) + of_x * (slim->by_user->value ? 8 : 4) +
                 slim->wholes * items * sizeof *slim->whole;
  uint64_t entry = (slim->by_user->value ? 16 : 12) + 12, of_entries;
  if (__builtin_mul_overflow(entries, entry, &of_entries) || __builtin_add_overflow(all, of_entries, &all))
    return UINT64_MAX;
  return all;
}

/* Which rows are kept whole: none where they are too many for one piece of memory. */
static void choose_wholes(Slim *slim) {
  for (size_t item = 0; item < slim->items; item++)
    if (slim->start[item + 1] - slim->start[item] >= slim->items / 2) slim->place[item] = (uint32_t)++slim->wholes;
  if ((uint64_t)slim->wholes * slim->items <= MOST_BYTES / sizeof *slim->whole) return;
  memset(slim->place, 0, slim->items * sizeof *slim->place);
  slim->wholes = 0;
}

static int check_memory(const Slim *slim, Error *error) {
  enum { MEGABYTE = 1 << 20 };
  uint64_t entries = slim->start[slim->items], bytes = bytes_of(slim, entries);
  if (entries > MOST_BYTES / sizeof *slim->product)
    return error_set(
        error, CODE_ERROR,
        "%lld pairs of items have a user in common, more than fit into one piece of SQLite's memory: train "
        "on fewer items, or leave out users who have very many",
        (int64_t)(entries - slim->items) / 2);
  if (bytes <= slim->options->most) return CODE_OK;
  return error_set(error, CODE_ERROR,
                   "weights between %lld items, of which %lld pairs have a user in common, take %lld MB of memory to "
                   "compute, more than \"max_memory\" allows (%lld MB): raise it, or train on fewer items",
                   (int64_t)slim->items, (int64_t)(entries - slim->items) / 2, (int64_t)(bytes / MEGABYTE) + 1,
                   (int64_t)(slim->options->most / MEGABYTE));
}

static int make_products(Slim *slim, const Cancel *cancel, Error *error) {
  size_t threads = (size_t)slim->options->threads;
  slim->start = memory_alloc_zero(slim->items + 1, sizeof *slim->start);
  slim->diagonal = memory_alloc_zero(slim->items, sizeof *slim->diagonal);
  slim->loss = memory_alloc_zero(slim->items, sizeof *slim->loss);
  slim->place = memory_alloc_zero(slim->items, sizeof *slim->place);
  slim->scratch = memory_alloc_zero(threads, slim->items * sizeof *slim->scratch);
  slim->marks = memory_alloc_zero(threads, slim->items * sizeof *slim->marks);
  if (!slim->start || !slim->diagonal || !slim->loss || !slim->place || !slim->scratch || !slim->marks)
    return CODE_NOMEM;
  int code = sparse_transpose(slim->by_user, &slim->by_item, slim->options->threads, cancel);
  if (code == CODE_OK) code = for_each_item(slim, count_row, 0, 0.05, cancel);
  if (code != CODE_OK) return code;
  for (size_t item = 0; item < slim->items; item++) slim->start[item + 1] += slim->start[item];
  size_t entries = slim->start[slim->items];
  choose_wholes(slim);
  code = check_memory(slim, error);
  if (code != CODE_OK) return code;
  memset(slim->marks, 0, threads * slim->items * sizeof *slim->marks);
  slim->index = memory_alloc(entries, sizeof *slim->index);
  slim->product = memory_alloc(entries, sizeof *slim->product);
  slim->weight = memory_alloc_zero(entries, sizeof *slim->weight);
  slim->whole = memory_alloc_zero(slim->wholes, slim->items * sizeof *slim->whole);
  if (slim->by_user->value) slim->support = memory_alloc(entries, sizeof *slim->support);
  if (!slim->index || !slim->product || !slim->weight || !slim->whole || (slim->by_user->value && !slim->support))
    return CODE_NOMEM;
  code = for_each_item(slim, fill_row, 0.05, 0.1, cancel);
  if (code == CODE_ERROR) error_set(error, code, "the ratings are too large for sums of their products");
  return code;
}

/* ---- coordinate descent ------------------------------------------------------------------------------------------ */

/* r −= change · row of G. */
static void take_away(const Slim *slim, size_t row, double change, double *r) {
  const uint32_t *index = slim->index;
  const float *product = slim->product;
  if (slim->place[row]) {
    slim_kernels()->subtract(slim->items, change, slim->whole + (slim->place[row] - 1) * slim->items, r);
    return;
  }
  for (size_t e = slim->start[row], end = slim->start[row + 1]; e < end; e++)
    r[index[e]] -= change * (double)product[e];
}

/* A fit of one item may take longer than anybody wants to wait: is it to end? Worker 0 is the thread that may ask. */
static int is_stopped(Slim *slim, int worker) {
  if (worker == 0) {
    int code = cancel_poll(slim->cancel);
    if (code != CODE_OK) atomic_store_explicit(&slim->stopped, code, memory_order_relaxed);
  }
  return atomic_load_explicit(&slim->stopped, memory_order_relaxed);
}

/* A round over the weights of one item: all of them, or those that are not 0. Returns the largest change, 0 where the
 * work is to end. */
static double descend(Slim *slim, size_t item, int worker, int all, double *r) {
  const SlimOptions *options = slim->options;
  double largest = 0;
  for (size_t e = slim->start[item]; e < slim->start[item + 1]; e++) {
    size_t other = slim->index[e];
    double before = (double)slim->weight[e], curvature = slim->diagonal[other] + options->l2;
    if (other == item || (!all && before == 0) || !(curvature > 0)) continue;
    double z = r[other] + slim->diagonal[other] * before;
    double shrunk = z > options->l1 ? z - options->l1 : z < -options->l1 && !options->nonnegative ? z + options->l1 : 0;
    float weight = (float)(shrunk / curvature);
    double change = (double)weight - before;
    if (change == 0) continue;
    slim->weight[e] = weight;
    take_away(slim, other, change, r);
    if (is_stopped(slim, worker)) return 0;
    if (fabs(change) > largest) largest = fabs(change);
  }
  return largest;
}

/* ½ ‖x − X w‖² + l1 ‖w‖₁ + ½ l2 ‖w‖², by r alone: wᵀG w = wᵀ(g − r). */
static double loss_of(const Slim *slim, size_t item, const double *r) {
  double loss = slim->diagonal[item] / 2;
  for (size_t e = slim->start[item]; e < slim->start[item + 1]; e++) {
    double w = (double)slim->weight[e];
    loss +=
        w * (slim->options->l2 * w - (double)slim->product[e] - r[slim->index[e]]) / 2 + slim->options->l1 * fabs(w);
  }
  return loss;
}

static int fit_item(void *context, size_t block, int worker) {
  Slim *slim = context;
  const SlimOptions *options = slim->options;
  size_t item = slim->first + block;
  double *r = slim->scratch + (size_t)worker * slim->items;
  memset(r, 0, slim->items * sizeof *r);
  for (size_t e = slim->start[item]; e < slim->start[item + 1]; e++) r[slim->index[e]] = (double)slim->product[e];
  int rounds = 0;
  for (double change = INFINITY; change > options->tolerance && rounds < options->iterations;) {
    change = descend(slim, item, worker, 1, r);
    rounds++;
    for (double within = change; within > options->tolerance && rounds < options->iterations; rounds++)
      within = descend(slim, item, worker, 0, r);
  }
  slim->loss[item] = loss_of(slim, item, r);
  int code = is_stopped(slim, worker);
  return code == CODE_OK && !isfinite(slim->loss[item]) ? CODE_ERROR : code;
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

typedef struct Link {
  float weight;
  uint32_t item, support;
} Link;

static int compare_links(const void *a, const void *b) {
  const Link *x = a, *y = b;
  if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
  return (x->item > y->item) - (x->item < y->item);
}

/* The largest weight first, in one row. */
static void sort_row(NeighborLists *lists, size_t row, Link *links) {
  size_t first = lists->start[row], n = lists->start[row + 1] - first;
  for (size_t i = 0; i < n; i++)
    links[i] = (Link){lists->similarity[first + i], lists->neighbor[first + i], lists->support[first + i]};
  qsort(links, n, sizeof *links, compare_links);
  for (size_t i = 0; i < n; i++) {
    lists->similarity[first + i] = links[i].weight;
    lists->neighbor[first + i] = links[i].item;
    lists->support[first + i] = links[i].support;
  }
}

/* The weights that are not 0, by the item that they come from. */
static int take_weights(const Slim *slim, NeighborLists *lists, const Cancel *cancel) {
  size_t items = slim->items, entries = slim->start[items];
  *lists = (NeighborLists){.rows = items, .start = memory_alloc_zero(items + 2, sizeof *lists->start)};
  Link *links = memory_alloc(items, sizeof *links);
  int code = lists->start && links ? CODE_OK : CODE_NOMEM;
  for (size_t e = 0; e < entries && code == CODE_OK; e++) lists->start[slim->index[e] + 2] += slim->weight[e] != 0;
  for (size_t row = 0; row < items && code == CODE_OK; row++) lists->start[row + 2] += lists->start[row + 1];
  size_t kept = code == CODE_OK ? lists->start[items + 1] : 0;
  lists->neighbor = memory_alloc(kept, sizeof *lists->neighbor);
  lists->similarity = memory_alloc(kept, sizeof *lists->similarity);
  lists->support = memory_alloc(kept, sizeof *lists->support);
  if (!lists->neighbor || !lists->similarity || !lists->support) code = CODE_NOMEM;
  for (size_t item = 0; item < items && code == CODE_OK; item++) {
    for (size_t e = slim->start[item]; e < slim->start[item + 1]; e++) {
      if (slim->weight[e] == 0) continue;
      size_t to =
          lists->start[slim->index[e] + 1]++; /* where this list has come to; in the end, where the next begins */
      lists->neighbor[to] = (uint32_t)item;
      lists->similarity[to] = slim->weight[e];
      lists->support[to] = slim->support ? slim->support[e] : (uint32_t)slim->product[e];
    }
    if (item % 256 == 0) code = cancel_poll(cancel);
  }
  for (size_t row = 0; row < items && code == CODE_OK; row++) {
    sort_row(lists, row, links);
    if (row % 256 == 0) code = cancel_poll(cancel);
  }
  memory_free(links);
  return code;
}

int slim_fit(NeighborLists *weights, const SparseMatrix *by_user, const SlimOptions *options, double *loss,
             const Cancel *cancel, Error *error) {
  Slim slim = {.by_user = by_user, .options = options, .items = by_user->columns, .cancel = cancel};
  *weights = (NeighborLists){0};
  int code = make_products(&slim, cancel, error);
  if (code == CODE_OK) {
    code = for_each_item(&slim, fit_item, 0.1, 1, cancel);
    if (code == CODE_ERROR) error_set(error, code, "the ratings are too far apart for finite weights: raise \"l2\"");
  }
  if (code == CODE_OK) code = take_weights(&slim, weights, cancel);
  if (code == CODE_OK && loss) {
    *loss = 0;
    for (size_t item = 0; item < slim.items; item++) *loss += slim.loss[item];
  }
  slim_free(&slim);
  if (code == CODE_OK) return code;
  neighbor_lists_free(weights);
  return error_from_code(error, code);
}
