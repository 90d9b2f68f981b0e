/* Stochastic gradient descent on the items that users have and don't have: see sampled.h.
 *
 * Threads must not meet in a row. As in Gemulla, Nijkamp, Haas & Sismanis, "Large-scale matrix factorization with
 * distributed stochastic gradient descent", KDD 2011, users and items are cut into parts, and an epoch is as many
 * rounds as there are parts, each round blocks that share neither users nor items. An item that the user does not have
 * is drawn from the items of the block that is being learnt, uniformly, and drawn again where the user has it (a
 * bounded number of times, then there is no sample: a user who has all items teaches nothing). So that any two items
 * meet, the items' parts are drawn anew each epoch; that makes every item as likely to be drawn, but for those so
 * popular that their own part has more of the entries.
 *
 * A block's samples are made when it is its turn, and learnt from in random order. Parts, samples and order follow from
 * the data, the seed and the epoch only: any number of threads gives the same bytes. A block waits for the two before
 * it that its users and its items were in, not for the whole round.
 *
 * Steps are AdaGrad's (Duchi, Hazan & Singer, JMLR 2011), with one rate a row, and one for its bias. */
#include "sampled.h"

#include <math.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/random.h"
#include "descent_kernels.h"
#include "turns.h"

#define BLOCK_SAMPLES 8192.0 /* about as many in a block of a square grid … */
#define MOST_CUTS 32.0       /* … whose sides are cut into no more parts */
#define LEAST_ITEMS 64.0     /* of a part, for what is drawn to differ */
#define MOST_DRAWS 32        /* for one sample */
#define ROWS_A_POLL 4096     /* of which the penalty is added up between two looks at whether to stop */
#define BATCH 16384          /* samples that are put in random order together */

typedef struct Worker {
  Sample *samples; /* BATCH of them */
  uint8_t *has;    /* of each item of a part, whether the user has it */
  uint32_t *own;   /* entries of the user in the part */
} Worker;

typedef struct Sampled {
  SampledOptions options;
  const SparseMatrix *by_user;
  SampledLearn *learn;
  Factors factors;
  SampledSide side[2];
  size_t user_parts, item_parts, rounds;
  size_t *user_start;  /* of each part of the users; user_parts + 1 */
  uint32_t *order;     /* items in the order of this epoch: part i is item_start(i) … item_start(i + 1) - 1 */
  uint32_t *place;     /* of each item in that order */
  uint32_t *count;     /* of each item: its users */
  size_t *shift;       /* of each round: how far the items' parts are ahead of the users' */
  atomic_size_t *turn; /* rounds done by each part of the users, then of the items */
  double *loss;        /* of each block */
  size_t *made;        /* samples of each block */
  Worker *worker;
  SampledStep step;
  uint64_t seed; /* of this epoch */
  int epochs;
} Sampled;

/* Random numbers of different uses. */
enum { SEED_EPOCHS = 2, SEED_ORDER, SEED_ROUNDS, SEED_BLOCKS };

static size_t random_below(uint64_t seed, uint64_t index, size_t count) {
  return (size_t)(random_uniform(seed, index) * (double)count);
}

static size_t item_start(const Sampled *s, size_t part) { return part * s->factors.items / s->item_parts; }

/* ---- setting up -------------------------------------------------------------------------------------------------- */

/* Cuts users into parts of about equally many entries. */
static void cut_users(Sampled *s, double cuts) {
  const SparseMatrix *by_user = s->by_user;
  double entries = (double)by_user->start[by_user->rows];
  for (size_t user = 0; user < by_user->rows; user++) {
    double parts = (double)s->user_parts;
    if (user > 0 && (double)by_user->start[user] < parts / cuts * entries) continue;
    if (parts < cuts) s->user_start[s->user_parts++] = user;
  }
  s->user_start[s->user_parts] = by_user->rows;
}

static int alloc_workers(Sampled *s) {
  size_t longest = 0;
  for (size_t user = 0; user < s->by_user->rows; user++)
    if (sparse_row_length(s->by_user, user) > longest) longest = sparse_row_length(s->by_user, user);
  s->worker = memory_alloc_zero((size_t)s->options.start.threads, sizeof *s->worker);
  if (!s->worker) return CODE_NOMEM;
  for (int i = 0; i < s->options.start.threads; i++) {
    Worker *worker = &s->worker[i];
    worker->samples = memory_alloc(BATCH, sizeof *worker->samples);
    worker->has = memory_alloc_zero(s->factors.items / s->item_parts + 1, sizeof *worker->has);
    worker->own = memory_alloc(longest, sizeof *worker->own);
    if (!worker->samples || !worker->has || !worker->own) return CODE_NOMEM;
  }
  return CODE_OK;
}

static int alloc_sides(Sampled *s) {
  Factors *f = &s->factors;
  s->side[0] = (SampledSide){f->user, f->user_bias, memory_alloc(f->users, sizeof(SampledRow))};
  s->side[1] = (SampledSide){f->item, f->item_bias, memory_alloc(f->items, sizeof(SampledRow))};
  if (!s->side[0].row || !s->side[1].row) return CODE_NOMEM;
  for (int side = 0; side < 2; side++)
    for (size_t row = 0; row < (side ? f->items : f->users); row++) s->side[side].row[row] = (SampledRow){1, 1};
  return CODE_OK;
}

static int sampled_alloc(Sampled *s, const Cancel *cancel) {
  const SampledOptions *options = &s->options;
  int code = descent_start(&options->start, s->by_user, &s->factors, cancel);
  if (code == CODE_OK) code = alloc_sides(s);
  if (code != CODE_OK) return code;
  size_t entries = s->by_user->start[s->by_user->rows], items = s->factors.items;
  double cuts = ceil(sqrt((double)entries * options->negatives / BLOCK_SAMPLES));
  cuts = fmax(fmin(fmin(cuts, MOST_CUTS), floor((double)items / LEAST_ITEMS)), 1);
  s->item_parts = (size_t)cuts;
  s->user_start = memory_alloc(s->item_parts + 1, sizeof *s->user_start);
  s->order = memory_alloc(items, sizeof *s->order);
  s->place = memory_alloc(items, sizeof *s->place);
  s->count = memory_alloc_zero(items, sizeof *s->count);
  if (!s->user_start || !s->order || !s->place || !s->count) return CODE_NOMEM;
  for (size_t e = 0; e < entries; e++) s->count[s->by_user->index[e]]++;
  for (size_t item = 0; item < items; item++) s->order[item] = (uint32_t)item;
  cut_users(s, cuts);
  s->rounds = s->user_parts > s->item_parts ? s->user_parts : s->item_parts;
  s->shift = memory_alloc(s->rounds, sizeof *s->shift);
  s->turn = memory_alloc(2 * s->rounds, sizeof *s->turn);
  s->loss = memory_alloc_zero(s->rounds * s->rounds, sizeof *s->loss);
  s->made = memory_alloc_zero(s->rounds * s->rounds, sizeof *s->made);
  return s->shift && s->turn && s->loss && s->made ? alloc_workers(s) : CODE_NOMEM;
}

/* ---- a block ----------------------------------------------------------------------------------------------------- */

/* A block while its samples are made. */
typedef struct Block {
  Sampled *s;
  Worker *worker;
  size_t first, size; /* places of its items */
  uint64_t seed, drawn;
  size_t count; /* samples that wait */
  double loss;
  size_t made;
} Block;

static void learn_block(Block *block) {
  Sample *samples = block->worker->samples;
  Sampled *s = block->s;
  for (size_t k = block->count; k > 1; k--) {
    size_t other = random_below(block->seed, block->drawn++, k);
    Sample swap = samples[other];
    samples[other] = samples[k - 1];
    samples[k - 1] = swap;
  }
  block->loss += s->learn(samples, block->count, &s->side[0], &s->side[1], &s->step);
  block->made += block->count;
  block->count = 0;
}

static void add_sample(Block *block, Sample sample) {
  block->worker->samples[block->count++] = sample;
  if (block->count == BATCH) learn_block(block);
}

/* An item of the block that the user has not; SIZE_MAX: none was found. */
static size_t draw_other_item(Block *block) {
  for (int i = 0; i < MOST_DRAWS; i++) {
    size_t at = random_below(block->seed, block->drawn++, block->size);
    if (!block->worker->has[at]) return block->s->order[block->first + at];
  }
  return SIZE_MAX;
}

static void sample_user(Block *block, size_t user) {
  const Sampled *s = block->s;
  const SparseMatrix *by_user = s->by_user;
  const SampledOptions *options = &s->options;
  Worker *worker = block->worker;
  size_t own = 0;
  for (size_t e = by_user->start[user]; e < by_user->start[user + 1]; e++) {
    size_t at = s->place[by_user->index[e]] - block->first; /* wraps round where it is before the first */
    if (at >= block->size) continue;
    worker->has[at] = 1;
    worker->own[own++] = (uint32_t)(e - by_user->start[user]);
  }
  for (size_t k = 0; k < own; k++) {
    size_t e = by_user->start[user] + worker->own[k];
    Sample sample = {.user = (uint32_t)user, .item = by_user->index[e]};
    sample.with.weight = (float)(1 + options->alpha * (double)sparse_value(by_user, e));
    if (!options->pairs) add_sample(block, sample);
    for (int negative = 0; negative < options->negatives; negative++) {
      size_t other = draw_other_item(block);
      if (other == SIZE_MAX) break;
      if (options->pairs)
        sample.with.other = (uint32_t)other;
      else
        sample = (Sample){.user = (uint32_t)user, .item = (uint32_t)other, .with.weight = -1};
      add_sample(block, sample);
    }
  }
  for (size_t k = 0; k < own; k++)
    worker->has[s->place[by_user->index[by_user->start[user] + worker->own[k]]] - block->first] = 0;
}

static int do_block(void *context, size_t number, int worker) {
  Sampled *s = context;
  size_t round = number / s->rounds, u = number % s->rounds, i = (u + s->shift[round]) % s->rounds;
  atomic_size_t *user_turn = &s->turn[u], *item_turn = &s->turn[s->rounds + i];
  Block block = {.s = s, .worker = &s->worker[worker], .seed = random_bits(random_bits(s->seed, SEED_BLOCKS), number)};
  turn_await(user_turn, round);
  turn_await(item_turn, round);
  if (u < s->user_parts && i < s->item_parts) {
    block.first = item_start(s, i);
    block.size = item_start(s, i + 1) - block.first;
    for (size_t user = s->user_start[u]; user < s->user_start[u + 1]; user++) sample_user(&block, user);
    learn_block(&block);
  }
  s->loss[number] = block.loss;
  s->made[number] = block.made;
  turn_pass(user_turn, round);
  turn_pass(item_turn, round);
  return CODE_OK;
}

/* ---- an epoch ---------------------------------------------------------------------------------------------------- */

static void shuffle(uint32_t *order, size_t count, uint64_t seed) {
  for (size_t k = count; k > 1; k--) {
    size_t at = random_below(seed, k, k);
    uint32_t other = order[at];
    order[at] = order[k - 1];
    order[k - 1] = other;
  }
}

static void begin_epoch(Sampled *s) {
  const SampledOptions *options = &s->options;
  s->seed = random_bits(random_bits(options->start.seed, SEED_EPOCHS), (uint64_t)s->epochs);
  s->step = (SampledStep){.rate = (float)(options->learning_rate * pow(options->decay, s->epochs)),
                          .regularization = (float)options->penalty.factors,
                          .bias_regularization = (float)options->penalty.biases,
                          .share = 1 / (float)options->start.rank,
                          .stride = (size_t)s->factors.stride};
  shuffle(s->order, s->factors.items, random_bits(s->seed, SEED_ORDER));
  for (size_t at = 0; at < s->factors.items; at++) s->place[s->order[at]] = (uint32_t)at;
  uint64_t seed = random_bits(s->seed, SEED_ROUNDS);
  for (size_t round = 0; round < s->rounds; round++) {
    size_t other = random_below(seed, round, round + 1);
    s->shift[round] = s->shift[other];
    s->shift[other] = round;
  }
  for (size_t i = 0; i < 2 * s->rounds; i++) atomic_init(&s->turn[i], 0);
}

/* λ / 2 of a row's square for each sample of an epoch that it is expected in, over the number of samples. */
static int penalty(const Sampled *s, double *mean, const Cancel *cancel) {
  const SampledOptions *options = &s->options;
  const Factors *f = &s->factors;
  const DescentKernels *vectors = descent_kernels();
  double entries = fmax((double)s->by_user->start[s->by_user->rows], 1), negatives = options->negatives, sum = 0;
  double own = options->pairs ? negatives : 1, samples = entries * (options->pairs ? negatives : 1 + negatives);
  int code = CODE_OK;
  for (int side = 0; side < 2; side++)
    for (size_t row = 0; row < (side ? f->items : f->users) && code == CODE_OK; row++) {
      if (row % ROWS_A_POLL == 0) code = cancel_poll(cancel);
      const float *x = s->side[side].factors + row * (size_t)f->stride;
      double times = side ? s->count[row] * own + entries * negatives / (double)f->items
                          : (double)sparse_row_length(s->by_user, row) * (options->pairs ? negatives : 1 + negatives);
      double bias = s->side[side].bias ? (double)s->side[side].bias[row] : 0;
      sum += times / 2 *
             (options->penalty.factors * (double)vectors->dot((size_t)f->stride, x, x) +
              options->penalty.biases * bias * bias);
    }
  *mean = sum / samples;
  return code;
}

static int sampled_epoch(void *state, FactorizerReport *report, int *done, const Cancel *cancel, Error *error) {
  Sampled *s = state;
  double loss = 0, samples = 0, shrinking = 0;
  *done = 0;
  begin_epoch(s);
  int code = parallel_for(s->options.start.threads, s->rounds * s->rounds, do_block, s, cancel);
  if (code == CODE_OK) code = penalty(s, &shrinking, cancel);
  for (size_t block = 0; block < s->rounds * s->rounds; block++) {
    loss += s->loss[block];
    samples += (double)s->made[block];
  }
  *report = (FactorizerReport){.loss = loss / fmax(samples, 1) + shrinking, .train_rmse = NAN};
  if (code == CODE_OK && !isfinite(report->loss)) code = CODE_ERROR;
  if (code == CODE_OK) s->epochs++;
  return descent_error(code, s->epochs + 1, s->options.learning_rate, error);
}

static const Factors *sampled_factors(void *state) { return &((Sampled *)state)->factors; }

static void sampled_take(void *state, Factors *factors) {
  Sampled *s = state;
  *factors = s->factors;
  s->factors = (Factors){0};
}

static void sampled_destroy(void *state) {
  Sampled *s = state;
  for (int i = 0; s->worker && i < s->options.start.threads; i++) {
    memory_free(s->worker[i].samples);
    memory_free(s->worker[i].has);
    memory_free(s->worker[i].own);
  }
  for (int side = 0; side < 2; side++) memory_free(s->side[side].row);
  memory_free(s->user_start);
  memory_free(s->order);
  memory_free(s->place);
  memory_free(s->count);
  memory_free(s->shift);
  memory_free(s->turn);
  memory_free(s->loss);
  memory_free(s->made);
  memory_free(s->worker);
  factors_free(&s->factors);
  memory_free(s);
}

/* The mean over the samples where nothing is known: −log ½, by what a sample weighs; and what factors drawn at random
 * add, at most. */
static double start_loss(const Sampled *s) {
  const SampledOptions *options = &s->options;
  const SparseMatrix *by_user = s->by_user;
  size_t entries = by_user->start[by_user->rows];
  double negatives = options->negatives, square = options->start.init_scale * options->start.init_scale, weight = 0;
  for (size_t e = 0; e < entries && !options->pairs; e++)
    weight += 1 + options->alpha * (double)sparse_value(by_user, e);
  weight = options->pairs ? 1 : (weight / fmax((double)entries, 1) + negatives) / (1 + negatives);
  return weight * (log(2) + 2 * square) + 2 * options->penalty.factors * square;
}

int sampled_create(Factorizer *factorizer, const SparseMatrix *by_user, SampledLearn *learn_samples,
                   const SampledOptions *options, const Cancel *cancel, Error *error) {
  static const FactorizerMethod method = {sampled_epoch, NULL, sampled_factors, sampled_take, sampled_destroy};
  *factorizer = (Factorizer){0};
  Sampled *s = memory_alloc_zero(1, sizeof *s);
  if (!s) return error_no_memory(error);
  s->options = *options;
  s->by_user = by_user;
  s->learn = learn_samples;
  int code = sampled_alloc(s, cancel);
  if (code != CODE_OK) {
    sampled_destroy(s);
    return descent_error(code, 0, 0, error);
  }
  *factorizer = (Factorizer){&method, s, start_loss(s)};
  return CODE_OK;
}
