/* SVD++: see svdpp.h.
 *
 * Koren, "Factorization meets the neighborhood: a multifaceted collaborative filtering model", KDD 2008, equation 15.
 * For one rating after the other, user by user, with wrong = y − ŷ, z = n^-½ Σ_j y_j over the user's n items:
 *
 *     b_u += γ (wrong − λ_b b_u)          p   += γ (wrong q − λ p)
 *     b_i += γ (wrong − λ_b b_i)          q   += γ (wrong (p + z) − λ q)
 *                                         y_j += γ (n^-½ wrong q − λ y_j)    for all j of the user
 *
 * Taken literally that moves n rows for each of n ratings. But all y_j of a user shrink by the same factor and are
 * moved by the same vector, so z moves as p does, z += γ (wrong q − λ z), and one vector w = p + z is enough to go on
 * with: w += γ (2 wrong q − λ w). When the user's n ratings are through, with d = (1 − γ λ)^n, the sum of what p was
 * moved by is s = (w − d w₀) / 2, and p ← d p + s, y_j ← d y_j + n^-½ s. An epoch thus costs what three of plain
 * gradient descent do, and comes to the same but for rounding.
 *
 * Each rating moves rows of y that nearly all other users share, so users can't be visited side by side without waiting
 * for updates that are late: with an epoch's delay the method diverges. One thread visits them, in order; what remains,
 * sums over all users, is shared. */
#include "svdpp.h"

#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/random.h"
#include "descent_kernels.h"
#include "svdpp_kernels.h"

#define POLL_FLOATS 1000000 /* moved between two looks at whether to stop: a fraction of a millisecond */
#define CHUNK_FLOATS 65536  /* of rows that are looked through at a time */

typedef struct Svdpp {
  SvdppOptions options;
  const SparseMatrix *by_user;
  const SvdppKernels *kernels;
  Factors factors; /* users' factors are worked out at the end of an epoch */
  float *own;      /* users × stride: p */
  float *implicit; /* items × stride: y */
  float *work;     /* two rows */
  uint32_t *order; /* users, in the order of this epoch */
  uint32_t *index; /* the ratings of one user likewise: items … */
  float *value;    /* … and what was given */
  double *weight;  /* of each item: Σ of n over its users, which is how often its y shrinks */
  uint32_t *count; /* of each item: its users */
  DescentBlocks blocks;
  double *sum; /* of each block, or chunk of items */
  int epochs;
} Svdpp;

static size_t item_chunk(const Svdpp *s) { return 1 + CHUNK_FLOATS / (size_t)s->factors.stride; }

/* Draws a chunk of the items' y. */
static int draw_chunk(void *context, size_t chunk, int worker) {
  Svdpp *s = context;
  const DescentStart *start = &s->options.start;
  size_t first = chunk * item_chunk(s), end = first + item_chunk(s);
  double deviation = start->init_scale / sqrt((double)start->rank);
  uint64_t seed = random_bits(start->seed, 2); /* after users' and items' */
  (void)worker;
  for (size_t item = first; item < end && item < s->factors.items; item++)
    if (s->count[item])
      descent_draw(s->implicit + item * (size_t)s->factors.stride, start->rank, deviation, start->uniform, seed, item);
  return CODE_OK;
}

static int svdpp_alloc(Svdpp *s, const SparseMatrix *by_user, const Cancel *cancel) {
  const DescentStart *start = &s->options.start;
  size_t users = by_user->rows, items = by_user->columns;
  int code = descent_start(start, by_user, &s->factors, cancel);
  if (code == CODE_OK) code = descent_cut(by_user, &s->blocks);
  if (code != CODE_OK) return code;
  size_t stride = (size_t)s->factors.stride, chunks = items / item_chunk(s) + 1;
  s->own = memory_alloc_aligned(users, stride * sizeof(float));
  s->implicit = memory_alloc_aligned(items, stride * sizeof(float));
  s->work = memory_alloc_aligned(2, stride * sizeof(float));
  s->weight = memory_alloc_zero(items, sizeof *s->weight);
  s->count = memory_alloc_zero(items, sizeof *s->count);
  s->sum = memory_alloc(s->blocks.count + chunks, sizeof *s->sum);
  size_t longest = 0;
  for (size_t user = 0; user < users; user++)
    if (sparse_row_length(by_user, user) > longest) longest = sparse_row_length(by_user, user);
  s->order = memory_alloc(users, sizeof *s->order);
  s->index = memory_alloc(longest, sizeof *s->index);
  s->value = memory_alloc(longest, sizeof *s->value);
  if (!s->own || !s->implicit || !s->work || !s->weight || !s->count || !s->sum) return CODE_NOMEM;
  if (!s->order || !s->index || !s->value) return CODE_NOMEM;
  for (size_t user = 0; user < users; user++) s->order[user] = (uint32_t)user;
  memcpy(s->own, s->factors.user, users * stride * sizeof(float));
  for (size_t user = 0; user < users; user++)
    for (size_t e = by_user->start[user]; e < by_user->start[user + 1]; e++) {
      s->weight[by_user->index[e]] += (double)sparse_row_length(by_user, user);
      s->count[by_user->index[e]]++;
    }
  return parallel_for(start->threads, chunks, draw_chunk, s, cancel);
}

/* ---- a user's visit ---------------------------------------------------------------------------------------------- */

/* The user's ratings in random order; returns their number. */
static size_t shuffle_ratings(Svdpp *s, size_t user, uint64_t seed) {
  size_t first = s->by_user->start[user], n = sparse_row_length(s->by_user, user);
  const float *value = s->by_user->value;
  for (size_t k = 0; k < n; k++) {
    size_t at = (size_t)(((random_bits(seed, first + k) >> 32) * (uint64_t)(k + 1)) >> 32);
    s->index[k] = s->index[at];
    s->value[k] = s->value[at];
    s->index[at] = s->by_user->index[first + k];
    s->value[at] = value ? value[first + k] : 1;
  }
  return n;
}

static void shuffle_users(Svdpp *s, uint64_t seed) {
  for (size_t k = s->by_user->rows; k > 1; k--) {
    size_t at = (size_t)(((random_bits(seed, k) >> 32) * (uint64_t)k) >> 32);
    uint32_t other = s->order[at];
    s->order[at] = s->order[k - 1];
    s->order[k - 1] = other;
  }
}

/* All ratings of one user; *squared grows by the squared errors before each step. */
static void visit(Svdpp *s, size_t user, uint64_t seed, const SvdppStep *step, double *squared) {
  size_t n = shuffle_ratings(s, user, seed), stride = (size_t)s->factors.stride;
  const DescentKernels *vectors = descent_kernels();
  float *w = s->work, *moved = s->work + stride, *p = s->own + user * stride, *q = s->factors.item;
  float share = (float)(1 / sqrt((double)n)),
        kept = (float)pow(1 - (double)(step->rate * step->regularization), (double)n);
  s->kernels->gather(n, s->index, s->implicit, stride, w);
  vectors->scale(stride, share, w);
  vectors->add(stride, 1, p, w);
  memcpy(moved, w, stride * sizeof *moved);
  SvdppUser ratings = {.index = s->index,
                       .value = s->value,
                       .count = n,
                       .mean = (float)s->factors.mean,
                       .items = q,
                       .item_bias = s->factors.item_bias,
                       .user = w,
                       .user_bias = s->factors.user_bias ? s->factors.user_bias[user] : 0,
                       .stride = stride};
  *squared += s->kernels->learn(&ratings, step);
  if (s->factors.user_bias) s->factors.user_bias[user] = ratings.user_bias;
  vectors->scale(stride, -kept / 2, moved);
  vectors->add(stride, 0.5F, w, moved);
  vectors->scale(stride, kept, p);
  vectors->add(stride, 1, moved, p);
  s->kernels->scatter(n, s->index, kept, share, moved, stride, s->implicit);
}

/* ---- sums over all rows ------------------------------------------------------------------------------------------ */

static double row_penalty(const Svdpp *s, const float *x, const float *bias, double times) {
  double square = (double)descent_kernels()->dot((size_t)s->factors.stride, x, x);
  return times *
         (s->options.penalty.factors * square + (bias ? s->options.penalty.biases * (double)*bias * (double)*bias : 0));
}

/* The penalty of a block of users, or of a chunk of items. */
static int penalty_block(void *context, size_t block, int worker) {
  Svdpp *s = context;
  const Factors *f = &s->factors;
  size_t stride = (size_t)f->stride;
  double sum = 0;
  (void)worker;
  if (block < s->blocks.count) {
    for (size_t user = s->blocks.start[block]; user < s->blocks.start[block + 1]; user++)
      sum += row_penalty(s, s->own + user * stride, f->user_bias ? &f->user_bias[user] : NULL,
                         (double)sparse_row_length(s->by_user, user));
  } else {
    size_t first = (block - s->blocks.count) * item_chunk(s), end = first + item_chunk(s);
    for (size_t item = first; item < end && item < f->items; item++) {
      sum += row_penalty(s, f->item + item * stride, f->item_bias ? &f->item_bias[item] : NULL, s->count[item]);
      sum += row_penalty(s, s->implicit + item * stride, NULL, s->weight[item]);
    }
  }
  s->sum[block] = sum;
  return CODE_OK;
}

static int svdpp_sum_block(void *context, size_t block, int worker) {
  Svdpp *s = context;
  const DescentKernels *vectors = descent_kernels();
  size_t stride = (size_t)s->factors.stride;
  (void)worker;
  for (size_t user = s->blocks.start[block]; user < s->blocks.start[block + 1]; user++) {
    size_t n = sparse_row_length(s->by_user, user);
    float *x = s->factors.user + user * stride;
    s->kernels->gather(n, s->by_user->index + s->by_user->start[user], s->implicit, stride, x);
    vectors->scale(stride, n ? (float)(1 / sqrt((double)n)) : 0, x);
    vectors->add(stride, 1, s->own + user * stride, x);
  }
  return CODE_OK;
}

/* Works out the users' factors as they are handed over. */
static int sum_users(Svdpp *s, const Cancel *cancel) {
  return parallel_for(s->options.start.threads, s->blocks.count, svdpp_sum_block, s, cancel);
}

static int add_penalty(Svdpp *s, double squared, FactorizerReport *report, const Cancel *cancel) {
  size_t blocks = s->blocks.count + s->factors.items / item_chunk(s) + 1;
  size_t entries = s->by_user->start[s->by_user->rows];
  int code = parallel_for(s->options.start.threads, blocks, penalty_block, s, cancel);
  if (code != CODE_OK) return code;
  report->loss = squared;
  for (size_t block = 0; block < blocks; block++) report->loss += s->sum[block];
  report->train_rmse = entries ? sqrt(squared / (double)entries) : 0;
  return isfinite(report->loss) ? CODE_OK : CODE_ERROR;
}

/* ---- as a Factorizer --------------------------------------------------------------------------------------------- */

static int svdpp_epoch(void *state, FactorizerReport *report, int *done, const Cancel *cancel, Error *error) {
  Svdpp *s = state;
  const SvdppOptions *options = &s->options;
  double decay = pow(options->decay, s->epochs), squared = 0;
  SvdppStep step = {.rate = (float)(options->learning_rate * decay),
                    .regularization = (float)options->penalty.factors,
                    .bias_regularization = (float)options->penalty.biases,
                    .bias_rate = options->start.biases ? (float)(options->bias_rate * decay) : 0};
  size_t moved = 0;
  int code = CODE_OK;
  *done = 0;
  uint64_t seed = random_bits(random_bits(options->start.seed, 3), (uint64_t)s->epochs);
  shuffle_users(s, random_bits(seed, 0));
  for (size_t k = 0; k < s->by_user->rows && code == CODE_OK; k++) {
    size_t user = s->order[k], n = sparse_row_length(s->by_user, user);
    if (n > 0) visit(s, user, random_bits(seed, 1), &step, &squared);
    moved += n * (size_t)s->factors.stride;
    if (moved < POLL_FLOATS) continue;
    moved = 0;
    code = cancel_poll(cancel);
  }
  if (code == CODE_OK) code = add_penalty(s, squared, report, cancel);
  if (code == CODE_OK) code = sum_users(s, cancel);
  if (code == CODE_OK) s->epochs++;
  return descent_error(code, s->epochs + 1, options->learning_rate, error);
}

/* Errors during an epoch are those before each step; this is what the last one left. */
static int svdpp_finish(void *state, FactorizerReport *report, const Cancel *cancel, Error *error) {
  Svdpp *s = state;
  const DescentPenalty none = {0};
  int code = descent_measure(&s->factors, s->by_user, &none, s->options.start.threads, report, cancel);
  if (code == CODE_OK) code = add_penalty(s, report->loss, report, cancel);
  return descent_error(code, s->epochs, s->options.learning_rate, error);
}

static const Factors *svdpp_factors(void *state) { return &((Svdpp *)state)->factors; }

static void svdpp_take(void *state, Factors *factors) {
  Svdpp *s = state;
  *factors = s->factors;
  s->factors = (Factors){0};
}

static void svdpp_destroy(void *state) {
  Svdpp *s = state;
  memory_free_aligned(s->own);
  memory_free_aligned(s->implicit);
  memory_free_aligned(s->work);
  memory_free(s->order);
  memory_free(s->index);
  memory_free(s->value);
  memory_free(s->weight);
  memory_free(s->count);
  memory_free(s->sum);
  descent_blocks_free(&s->blocks);
  factors_free(&s->factors);
  memory_free(s);
}

int svdpp_create(Factorizer *factorizer, const SparseMatrix *by_user, const SvdppOptions *options, const Cancel *cancel,
                 Error *error) {
  static const FactorizerMethod method = {svdpp_epoch, svdpp_finish, svdpp_factors, svdpp_take, svdpp_destroy};
  *factorizer = (Factorizer){0};
  Svdpp *s = memory_alloc_zero(1, sizeof *s);
  if (!s) return error_no_memory(error);
  s->options = *options;
  s->by_user = by_user;
  s->kernels = svdpp_kernels();
  int code = svdpp_alloc(s, by_user, cancel);
  if (code != CODE_OK) {
    svdpp_destroy(s);
    return descent_error(code, 0, 0, error);
  }
  *factorizer = (Factorizer){
      &method, s, descent_start_loss(by_user, options->start.mean, options->start.init_scale, &options->penalty)};
  return CODE_OK;
}
