/* What the descents share: see descent.h. */
#include "descent.h"

#include <math.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/random.h"
#include "descent_kernels.h"

#define BLOCK_ENTRIES 8192 /* entries of a block, at least; a row is one more */
#define CHUNK_FLOATS 65536 /* drawn at a time */

/* ---- the start --------------------------------------------------------------------------------------------------- */

/* Two numbers of mean 0 and variance 1: normal by Box and Muller (1958), or uniform. */
static void draw_two(int uniform, uint64_t bits, float two[2]) {
  float a = (float)(bits >> 40) * 0x1p-24f, b = (float)(bits & 0xffffff) * 0x1p-24f;
  if (uniform) {
    two[0] = 3.4641016f * (a - 0.5f);
    two[1] = 3.4641016f * (b - 0.5f);
  } else {
    float radius = sqrtf(-2 * logf(1 - a)), angle = 6.2831853f * b;
    two[0] = radius * cosf(angle);
    two[1] = radius * sinf(angle);
  }
}

void descent_draw(float *row, int rank, double deviation, int uniform, uint64_t seed, size_t number) {
  size_t pairs = ((size_t)rank + 1) / 2;
  float scale = (float)deviation, two[2];
  for (size_t pair = 0; pair < pairs; pair++) {
    draw_two(uniform, random_bits(seed, number * pairs + pair), two);
    row[2 * pair] = scale * two[0];
    if (2 * pair + 1 < (size_t)rank) row[2 * pair + 1] = scale * two[1];
  }
}

typedef struct Drawing {
  const DescentStart *start;
  Factors *factors;
  const uint8_t *rated; /* items with entries */
  const SparseMatrix *by_user;
  size_t rows, user_chunks; /* rows a chunk */
} Drawing;

static int draw_chunk(void *context, size_t chunk, int worker) {
  const Drawing *drawing = context;
  const DescentStart *start = drawing->start;
  const Factors *factors = drawing->factors;
  int items = chunk >= drawing->user_chunks;
  size_t first = (chunk - (items ? drawing->user_chunks : 0)) * drawing->rows, end = first + drawing->rows;
  size_t rows = items ? factors->items : factors->users;
  double deviation = start->init_scale / sqrt((double)start->rank);
  uint64_t seed = random_bits(start->seed, (uint64_t)items);
  (void)worker;
  for (size_t row = first; row < end && row < rows; row++) {
    if (items ? !drawing->rated[row] : sparse_row_length(drawing->by_user, row) == 0) continue;
    float *x = (items ? factors->item : factors->user) + row * (size_t)factors->stride;
    descent_draw(x, start->rank, deviation, start->uniform, seed, row);
  }
  return CODE_OK;
}

int descent_start(const DescentStart *start, const SparseMatrix *by_user, Factors *factors, const Cancel *cancel) {
  int code = factors_alloc(factors, by_user->rows, by_user->columns, start->rank, start->biases);
  if (code != CODE_OK) return code;
  uint8_t *rated = memory_alloc_zero(by_user->columns, 1);
  factors->mean = start->mean;
  Drawing drawing = {.start = start, .factors = factors, .rated = rated, .by_user = by_user};
  drawing.rows = 1 + CHUNK_FLOATS / (size_t)factors->stride;
  drawing.user_chunks = (factors->users + drawing.rows - 1) / drawing.rows;
  size_t item_chunks = (factors->items + drawing.rows - 1) / drawing.rows;
  for (size_t e = 0; rated && e < by_user->start[by_user->rows]; e++) rated[by_user->index[e]] = 1;
  code = rated ? parallel_for(start->threads, drawing.user_chunks + item_chunks, draw_chunk, &drawing, cancel)
               : CODE_NOMEM;
  memory_free(rated);
  if (code != CODE_OK) factors_free(factors);
  return code;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

int descent_cut(const SparseMatrix *matrix, DescentBlocks *blocks) {
  blocks->start = memory_alloc((matrix->start[matrix->rows] + matrix->rows) / BLOCK_ENTRIES + 2, sizeof *blocks->start);
  if (!blocks->start) return CODE_NOMEM;
  size_t cost = BLOCK_ENTRIES;
  blocks->count = 0;
  for (size_t row = 0; row < matrix->rows; row++) {
    if (cost >= BLOCK_ENTRIES) {
      blocks->start[blocks->count++] = row;
      cost = 0;
    }
    cost += 1 + sparse_row_length(matrix, row);
  }
  blocks->start[blocks->count] = matrix->rows;
  return CODE_OK;
}

void descent_blocks_free(DescentBlocks *blocks) {
  memory_free(blocks->start);
  *blocks = (DescentBlocks){0};
}

/* ---- the loss ---------------------------------------------------------------------------------------------------- */

typedef struct Measuring {
  const Factors *factors;
  const SparseMatrix *by_user;
  const DescentPenalty *penalty;
  const DescentKernels *kernels;
  const float *item_penalty; /* λ ‖q‖² + λ_b b_i² of each item */
  DescentBlocks blocks;
  double *squared, *sum; /* of each block: errors, and penalties */
} Measuring;

static double row_penalty(const Measuring *work, const float *x, const float *bias) {
  double square = (double)work->kernels->dot((size_t)work->factors->stride, x, x);
  return work->penalty->factors * square + (bias ? work->penalty->biases * (double)*bias * (double)*bias : 0);
}

static int measure_block(void *context, size_t block, int worker) {
  const Measuring *work = context;
  const Factors *f = work->factors;
  size_t stride = (size_t)f->stride;
  double squared = 0, penalty = 0;
  (void)worker;
  for (size_t user = work->blocks.start[block]; user < work->blocks.start[block + 1]; user++) {
    const float *p = f->user + user * stride, *bias = f->user_bias ? &f->user_bias[user] : NULL;
    double own = row_penalty(work, p, bias);
    for (size_t e = work->by_user->start[user]; e < work->by_user->start[user + 1]; e++) {
      size_t item = work->by_user->index[e];
      double wrong = (double)sparse_value(work->by_user, e) - f->mean -
                     (double)work->kernels->dot(stride, p, f->item + item * stride);
      if (bias) wrong -= (double)*bias + (double)f->item_bias[item];
      squared += wrong * wrong;
      penalty += own + (double)work->item_penalty[item];
    }
  }
  work->squared[block] = squared;
  work->sum[block] = penalty;
  return CODE_OK;
}

int descent_measure(const Factors *factors, const SparseMatrix *by_user, const DescentPenalty *penalty, int threads,
                    FactorizerReport *report, const Cancel *cancel) {
  Measuring work = {.factors = factors, .by_user = by_user, .penalty = penalty, .kernels = descent_kernels()};
  float *item_penalty = memory_alloc(factors->items, sizeof *item_penalty);
  int code = descent_cut(by_user, &work.blocks);
  if (code == CODE_OK) {
    work.squared = memory_alloc(work.blocks.count, sizeof *work.squared);
    work.sum = memory_alloc(work.blocks.count, sizeof *work.sum);
  }
  if (!item_penalty || !work.squared || !work.sum) code = CODE_NOMEM;
  if (code == CODE_OK) {
    for (size_t item = 0; item < factors->items; item++)
      item_penalty[item] = (float)row_penalty(&work, factors->item + item * (size_t)factors->stride,
                                              factors->item_bias ? &factors->item_bias[item] : NULL);
    work.item_penalty = item_penalty;
    code = parallel_for(threads, work.blocks.count, measure_block, &work, cancel);
  }
  double squared = 0, sum = 0;
  for (size_t block = 0; block < work.blocks.count && code == CODE_OK; block++) {
    squared += work.squared[block];
    sum += work.sum[block];
  }
  size_t entries = by_user->start[by_user->rows];
  *report = (FactorizerReport){.loss = squared + sum, .train_rmse = entries ? sqrt(squared / (double)entries) : 0};
  if (code == CODE_OK && !isfinite(report->loss)) code = CODE_ERROR;
  memory_free(item_penalty);
  memory_free(work.squared);
  memory_free(work.sum);
  descent_blocks_free(&work.blocks);
  return code;
}

double descent_start_loss(const SparseMatrix *by_user, double mean, double init_scale, const DescentPenalty *penalty) {
  size_t entries = by_user->start[by_user->rows];
  double squared = 0, size = 0, square = init_scale * init_scale;
  for (size_t e = 0; e < entries; e++) {
    double value = (double)sparse_value(by_user, e);
    squared += (value - mean) * (value - mean);
    size += value * value;
  }
  /* The last is for ratings that are all the same: a thousandth of them is not far off. */
  return squared + (double)entries * (square * square + 2 * penalty->factors * square) + 1e-6 * size;
}

int descent_error(int code, int epoch, double learning_rate, Error *error) {
  if (code != CODE_ERROR) return error_from_code(error, code);
  return error_set(error, code, "the factors are no longer finite after epoch %d: lower \"learning_rate\" (it is %g)",
                   epoch, learning_rate);
}
