/* Adam: see adam.h.
 *
 * An epoch visits the ratings in a random order, batch after batch. With g the gradient of half the loss of descent.h,
 * averaged over the batch, by any of the unknowns x (Kingma & Ba, "Adam: a method for stochastic optimization", ICLR
 * 2015), step number t is
 *
 *     m ← β₁ m + (1 − β₁) g,           v ← β₂ v + (1 − β₂) g²,
 *     x ← x − γ c_t m / (√v + ε),      c_t = √(1 − β₂^t) / (1 − β₁^t)
 *
 * A batch has ratings of few of the rows; of all others g is 0, yet m and v shrink and x moves on, so that each batch
 * would go through all rows. Here rows are left alone until a batch has ratings of them, and then make up for the k
 * steps since s: x moves by
 *
 *     − γ m / √v · Σ_{j=1…k} c_{s+j} ρ^j,    ρ = β₁ / √β₂
 *
 * with m and v as they were, and these become β₁^k m and β₂^k v. That is what every step would have done, but for ε
 * beside √v, and γ where it changed in between. The sum is that of a geometric series where c is 1, and else
 * R_s − ρ^k R_{s+k}, R a table of Σ_{j≥1} c_{s+j} ρ^j.
 *
 * Gradients of a batch are summed row by row, each in the order of the batch, so any number of threads gives the same
 * bytes. */
#include "adam.h"

#include <math.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/random.h"
#include "descent_kernels.h"

#define RATIO 0.9004503377814963   /* ρ */
#define CORRECTED 16384            /* steps after which c is 1, to seven digits */
#define SLOTS 64                   /* rows that a worker goes through at a time */
#define THREADED ((size_t)1 << 17) /* floats that the ratings of a batch read, if threads are to be worth starting */
#define NONE UINT32_MAX

/* Users or items. */
typedef struct Side {
  size_t rows;
  float *x, *mean, *square;              /* rows × stride */
  float *bias, *bias_mean, *bias_square; /* rows; bias NULL: there are none */
  size_t *seen;                          /* the step that each row's moments are of */
  /* Of the batch: its rows, each in a slot with the list of its ratings. */
  uint32_t *slot; /* of each row, if row[slot] is that row */
  uint32_t *row, *first, *last, *next;
  size_t count;
} Side;

typedef struct Adam {
  AdamOptions options;
  const DescentKernels *kernels;
  const SparseMatrix *by_user;
  uint32_t *user_of; /* of each entry */
  Factors factors;
  Side side[2];
  float *future;     /* R */
  size_t batch_size; /* at most all ratings */
  uint32_t *entry;   /* of the batch */
  float *wrong;
  float *gradient, *bias_gradient; /* of the users in the batch */
  size_t entries, size;            /* all, and of this batch */
  size_t step;                     /* t */
  double rate;
  int epochs;
} Adam;

/* ---- a random order, as a function ------------------------------------------------------------------------------- */

/* Where number k of 0 … count-1 is in an order that the seed gives: a Feistel network (Luby & Rackoff, "How to
 * construct pseudorandom permutations from pseudorandom functions", 1988) on the next power of 4, walked until it is in
 * range. */
static size_t place_of(size_t k, size_t count, uint64_t seed) {
  int half = 1;
  while (half < 31 && ((size_t)1 << (2 * half)) < count) half++;
  size_t mask = ((size_t)1 << half) - 1;
  do {
    size_t left = k >> half, right = k & mask;
    for (uint64_t round = 0; round < 4; round++) {
      size_t mixed = left ^ ((size_t)random_mix(seed + (round << 40) + right) & mask);
      left = right;
      right = mixed;
    }
    k = left << half | right;
  } while (k >= count);
  return k;
}

/* ---- setting up -------------------------------------------------------------------------------------------------- */

static int side_alloc(Side *side, size_t rows, size_t stride, size_t batch, int biases) {
  side->rows = rows;
  side->mean = memory_alloc_aligned(rows, stride * sizeof(float));
  side->square = memory_alloc_aligned(rows, stride * sizeof(float));
  side->bias_mean = memory_alloc_zero(biases ? rows : 0, sizeof(float));
  side->bias_square = memory_alloc_zero(biases ? rows : 0, sizeof(float));
  side->seen = memory_alloc_zero(rows, sizeof *side->seen);
  side->slot = memory_alloc_zero(rows, sizeof *side->slot);
  side->row = memory_alloc_zero(batch, sizeof *side->row);
  side->first = memory_alloc(batch, sizeof *side->first);
  side->last = memory_alloc(batch, sizeof *side->last);
  side->next = memory_alloc(batch, sizeof *side->next);
  int good = side->mean && side->square && side->bias_mean && side->bias_square && side->seen;
  return good && side->slot && side->row && side->first && side->last && side->next ? CODE_OK : CODE_NOMEM;
}

static int adam_alloc(Adam *adam, const Cancel *cancel) {
  const AdamOptions *options = &adam->options;
  const SparseMatrix *by_user = adam->by_user;
  Factors *f = &adam->factors;
  int code = descent_start(&options->start, by_user, f, cancel);
  if (code != CODE_OK) return code;
  size_t stride = (size_t)f->stride, entries = by_user->start[by_user->rows], batch = (size_t)options->batch_size;
  adam->kernels = descent_kernels();
  adam->entries = entries;
  adam->batch_size = batch = batch < entries ? batch : entries;
  adam->user_of = memory_alloc(entries, sizeof *adam->user_of);
  adam->future = memory_alloc(CORRECTED + 1, sizeof *adam->future);
  adam->entry = memory_alloc(batch, sizeof *adam->entry);
  adam->wrong = memory_alloc(batch, sizeof *adam->wrong);
  adam->gradient = memory_alloc_aligned(batch < f->users ? batch : f->users, stride * sizeof(float));
  adam->bias_gradient = memory_alloc(batch, sizeof(float));
  if (!adam->user_of || !adam->future || !adam->entry || !adam->wrong || !adam->gradient || !adam->bias_gradient)
    return CODE_NOMEM;
  for (int s = 0; s < 2 && code == CODE_OK; s++) {
    Side *side = &adam->side[s];
    side->x = s ? f->item : f->user;
    side->bias = s ? f->item_bias : f->user_bias;
    code = side_alloc(side, s ? f->items : f->users, stride, batch, options->start.biases);
  }
  for (size_t user = 0; user < by_user->rows; user++)
    for (size_t e = by_user->start[user]; e < by_user->start[user + 1]; e++) adam->user_of[e] = (uint32_t)user;
  double sum = RATIO / (1 - RATIO);
  for (size_t step = CORRECTED + 1; step-- > 0;) {
    adam->future[step] = (float)sum;
    double t = (double)step; /* R_{t-1} = ρ (c_t + R_t) */
    if (step > 0) sum = RATIO * (sqrt(1 - pow(ADAM_BETA2, t)) / (1 - pow(ADAM_BETA1, t)) + sum);
  }
  return code;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* How far a row drifts on in the steps from the one its moments are of to `step`, in m / √v. */
static float drift_of(const Adam *adam, size_t seen, size_t step) {
  if (step == seen) return 0;
  double now = (double)adam->future[seen < CORRECTED ? seen : CORRECTED];
  double then = (double)adam->future[step < CORRECTED ? step : CORRECTED];
  return (float)(adam->rate * (now - pow(RATIO, (double)(step - seen)) * then));
}

/* The row's unknowns are brought to the end of `step`; its moments stay those of an earlier one. */
static void catch_up(const Adam *adam, const Side *side, size_t row, size_t step) {
  size_t stride = (size_t)adam->factors.stride;
  float drift = drift_of(adam, side->seen[row], step);
  if (side->seen[row] == 0 || drift == 0) return; /* no gradient yet */
  adam->kernels->drift(stride, drift, side->mean + row * stride, side->square + row * stride, side->x + row * stride);
  if (side->bias && side->bias_square[row] > 0)
    side->bias[row] -= drift * side->bias_mean[row] / sqrtf(side->bias_square[row]);
}

/* Step number adam->step for a row that has caught up with the one before. */
static void move(const Adam *adam, const Side *side, size_t row, const float *gradient, float bias_gradient) {
  size_t stride = (size_t)adam->factors.stride;
  double t = (double)adam->step, skipped = (double)(adam->step - side->seen[row]);
  AdamStep step = {.keep_mean = (float)pow(ADAM_BETA1, skipped),
                   .keep_square = (float)pow(ADAM_BETA2, skipped),
                   .new_mean = (float)(1 - ADAM_BETA1),
                   .new_square = (float)(1 - ADAM_BETA2),
                   .rate = (float)adam->rate,
                   .epsilon = (float)ADAM_EPSILON};
  if (adam->step < CORRECTED) {
    double correction = sqrt(1 - pow(ADAM_BETA2, t));
    step.rate = (float)(adam->rate * correction / (1 - pow(ADAM_BETA1, t)));
    step.epsilon = (float)(ADAM_EPSILON * correction);
  }
  adam->kernels->adam(stride, &step, gradient, side->mean + row * stride, side->square + row * stride,
                      side->x + row * stride);
  if (side->bias) {
    float *m = &side->bias_mean[row], *v = &side->bias_square[row];
    *m = step.keep_mean * *m + step.new_mean * bias_gradient;
    *v = step.keep_square * *v + step.new_square * bias_gradient * bias_gradient;
    side->bias[row] -= step.rate * *m / (sqrtf(*v) + step.epsilon);
  }
  side->seen[row] = adam->step;
}

/* ---- a batch ----------------------------------------------------------------------------------------------------- */

/* Puts rating number k of the batch into its row's slot. */
static void enter(Side *side, uint32_t row, uint32_t k) {
  uint32_t slot = side->slot[row];
  side->next[k] = NONE;
  if (slot < side->count && side->row[slot] == row) {
    side->next[side->last[slot]] = k;
  } else {
    slot = side->slot[row] = (uint32_t)side->count++;
    side->row[slot] = row;
    side->first[slot] = k;
  }
  side->last[slot] = k;
}

static void gather_gradient(Adam *adam, size_t first, uint64_t seed) {
  size_t left = adam->entries - first;
  adam->size = left < adam->batch_size ? left : adam->batch_size;
  adam->side[0].count = adam->side[1].count = 0;
  for (size_t k = 0; k < adam->size; k++) adam->entry[k] = (uint32_t)place_of(first + k, adam->entries, seed);
  for (uint32_t k = 0; k < adam->size; k++) {
    enter(&adam->side[0], adam->user_of[adam->entry[k]], k);
    enter(&adam->side[1], adam->by_user->index[adam->entry[k]], k);
  }
}

static size_t slot_blocks(const Side *side) { return (side->count + SLOTS - 1) / SLOTS; }

static int catch_up_block(void *context, size_t block, int worker) {
  const Adam *adam = context;
  const Side *side = &adam->side[block >= slot_blocks(&adam->side[0])];
  if (side != adam->side) block -= slot_blocks(&adam->side[0]);
  (void)worker;
  for (size_t slot = block * SLOTS; slot < (block + 1) * SLOTS && slot < side->count; slot++)
    catch_up(adam, side, side->row[slot], adam->step - 1);
  return CODE_OK;
}

/* Errors and the users' gradients, with all rows as they were before the step. */
static int user_block(void *context, size_t block, int worker) {
  const Adam *adam = context;
  const Side *users = &adam->side[0], *items = &adam->side[1];
  const DescentPenalty *penalty = &adam->options.penalty;
  size_t stride = (size_t)adam->factors.stride;
  float share = 1 / (float)adam->size;
  (void)worker;
  for (size_t slot = block * SLOTS; slot < (block + 1) * SLOTS && slot < users->count; slot++) {
    size_t user = users->row[slot];
    const float *p = users->x + user * stride;
    float *gradient = adam->gradient + slot * stride, bias = users->bias ? users->bias[user] : 0, sum = 0, count = 0;
    adam->kernels->scale(stride, 0, gradient);
    for (uint32_t k = users->first[slot]; k != NONE; k = users->next[k], count++) {
      size_t e = adam->entry[k], item = adam->by_user->index[e];
      const float *q = items->x + item * stride;
      float wrong = sparse_value(adam->by_user, e) - (float)adam->factors.mean - bias;
      wrong -= adam->kernels->dot(stride, p, q) + (items->bias ? items->bias[item] : 0);
      adam->kernels->add(stride, -share * wrong, q, gradient);
      adam->wrong[k] = wrong;
      sum += wrong;
    }
    adam->kernels->add(stride, share * count * (float)penalty->factors, p, gradient);
    adam->bias_gradient[slot] = share * (count * (float)penalty->biases * bias - sum);
  }
  return CODE_OK;
}

enum { STACK_LANES = 4096 };

/* The items' gradients, and their steps. */
static int item_block(void *context, size_t block, int worker) {
  const Adam *adam = context;
  const Side *users = &adam->side[0], *items = &adam->side[1];
  const DescentPenalty *penalty = &adam->options.penalty;
  size_t stride = (size_t)adam->factors.stride;
  float gradient[STACK_LANES] __attribute__((aligned(64)));
  float share = 1 / (float)adam->size;
  (void)worker;
  for (size_t slot = block * SLOTS; slot < (block + 1) * SLOTS && slot < items->count; slot++) {
    size_t item = items->row[slot];
    float bias = items->bias ? items->bias[item] : 0, sum = 0, count = 0;
    for (size_t lane = 0; lane < stride; lane++) gradient[lane] = 0;
    for (uint32_t k = items->first[slot]; k != NONE; k = items->next[k], count++) {
      const float *p = users->x + adam->user_of[adam->entry[k]] * stride;
      adam->kernels->add(stride, -share * adam->wrong[k], p, gradient);
      sum += adam->wrong[k];
    }
    adam->kernels->add(stride, share * count * (float)penalty->factors, items->x + item * stride, gradient);
    move(adam, items, item, gradient, share * (count * (float)penalty->biases * bias - sum));
  }
  return CODE_OK;
}

static int adam_move_block(void *context, size_t block, int worker) {
  const Adam *adam = context;
  const Side *users = &adam->side[0];
  size_t stride = (size_t)adam->factors.stride;
  (void)worker;
  for (size_t slot = block * SLOTS; slot < (block + 1) * SLOTS && slot < users->count; slot++)
    move(adam, users, users->row[slot], adam->gradient + slot * stride, adam->bias_gradient[slot]);
  return CODE_OK;
}

static int do_batch(Adam *adam, const Cancel *cancel) {
  int threads = adam->size * (size_t)adam->factors.stride < THREADED ? 1 : adam->options.start.threads;
  size_t users = slot_blocks(&adam->side[0]), items = slot_blocks(&adam->side[1]);
  adam->step++;
  int code = parallel_for(threads, users + items, catch_up_block, adam, cancel);
  if (code == CODE_OK) code = parallel_for(threads, users, user_block, adam, cancel);
  if (code == CODE_OK) code = parallel_for(threads, items, item_block, adam, cancel);
  if (code == CODE_OK) code = parallel_for(threads, users, adam_move_block, adam, cancel);
  return code;
}

/* ---- an epoch ---------------------------------------------------------------------------------------------------- */

static size_t row_blocks(const Side *side) { return (side->rows + SLOTS - 1) / SLOTS; }

/* Rows that the last batches left alone make up for it. */
static int settle_block(void *context, size_t block, int worker) {
  const Adam *adam = context;
  const Side *side = &adam->side[block >= row_blocks(&adam->side[0])];
  size_t stride = (size_t)adam->factors.stride;
  if (side != adam->side) block -= row_blocks(&adam->side[0]);
  (void)worker;
  for (size_t row = block * SLOTS; row < (block + 1) * SLOTS && row < side->rows; row++) {
    double skipped = (double)(adam->step - side->seen[row]);
    if (side->seen[row] == 0 || skipped == 0) continue;
    float mean = (float)pow(ADAM_BETA1, skipped), square = (float)pow(ADAM_BETA2, skipped);
    catch_up(adam, side, row, adam->step);
    adam->kernels->scale(stride, mean, side->mean + row * stride);
    adam->kernels->scale(stride, square, side->square + row * stride);
    if (side->bias) {
      side->bias_mean[row] *= mean;
      side->bias_square[row] *= square;
    }
    side->seen[row] = adam->step;
  }
  return CODE_OK;
}

static int adam_epoch(void *state, FactorizerReport *report, int *done, const Cancel *cancel, Error *error) {
  Adam *adam = state;
  const AdamOptions *options = &adam->options;
  int threads = options->start.threads, code = CODE_OK;
  uint64_t seed = random_bits(options->start.seed ^ UINT64_C(0xada3), (uint64_t)adam->epochs);
  adam->rate = options->learning_rate * pow(options->decay, adam->epochs);
  *done = 0;
  for (size_t first = 0; first < adam->entries && code == CODE_OK; first += adam->batch_size) {
    gather_gradient(adam, first, seed);
    code = do_batch(adam, cancel);
  }
  if (code == CODE_OK)
    code = parallel_for(threads, row_blocks(&adam->side[0]) + row_blocks(&adam->side[1]), settle_block, adam, cancel);
  if (code == CODE_OK)
    code = descent_measure(&adam->factors, adam->by_user, &options->penalty, threads, report, cancel);
  if (code == CODE_OK) adam->epochs++;
  return descent_error(code, adam->epochs + 1, options->learning_rate, error);
}

static const Factors *adam_factors(void *state) { return &((Adam *)state)->factors; }

static void adam_take(void *state, Factors *factors) {
  Adam *adam = state;
  *factors = adam->factors;
  adam->factors = (Factors){0};
}

static void adam_destroy(void *state) {
  Adam *adam = state;
  for (int s = 0; s < 2; s++) {
    Side *side = &adam->side[s];
    memory_free_aligned(side->mean);
    memory_free_aligned(side->square);
    memory_free(side->bias_mean);
    memory_free(side->bias_square);
    memory_free(side->seen);
    memory_free(side->slot);
    memory_free(side->row);
    memory_free(side->first);
    memory_free(side->last);
    memory_free(side->next);
  }
  memory_free(adam->user_of);
  memory_free(adam->future);
  memory_free(adam->entry);
  memory_free(adam->wrong);
  memory_free_aligned(adam->gradient);
  memory_free(adam->bias_gradient);
  factors_free(&adam->factors);
  memory_free(adam);
}

int adam_create(Factorizer *factorizer, const SparseMatrix *by_user, const AdamOptions *options, const Cancel *cancel,
                Error *error) {
  static const FactorizerMethod method = {adam_epoch, NULL, adam_factors, adam_take, adam_destroy};
  *factorizer = (Factorizer){0};
  Adam *adam = memory_alloc_zero(1, sizeof *adam);
  if (!adam) return error_no_memory(error);
  adam->options = *options;
  adam->by_user = by_user;
  int code = adam_alloc(adam, cancel);
  if (code != CODE_OK) {
    adam_destroy(adam);
    return descent_error(code, 0, 0, error);
  }
  *factorizer = (Factorizer){
      &method, adam, descent_start_loss(by_user, options->start.mean, options->start.init_scale, &options->penalty)};
  return CODE_OK;
}
