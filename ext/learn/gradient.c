/* Gradient descent: see gradient.h.
 *
 * With L the loss of descent.h, x any of its unknowns and γ the learning rate, an epoch is one step of all of them:
 *
 *     v ← momentum v − γ ½ ∂L/∂x,    x ← x + v,
 *     −½ ∂L/∂p_u = Σ_i (wrong q_i − λ p_u),    −½ ∂L/∂b_u = Σ_i (wrong − λ_b b_u)
 *
 * (momentum as in Polyak, "Some methods of speeding up the convergence of iteration methods", 1964). Every row's sum is
 * over its own entries in their order, so any number of threads gives the same bytes. Each rating is looked at from
 * both sides, since a row of users and one of items may not be added to by two threads. */
#include "gradient.h"

#include <math.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "descent_kernels.h"

#define CHUNK_FLOATS 65536

/* Users or items. */
typedef struct Side {
  const SparseMatrix *matrix;
  float *x, *bias; /* bias NULL: there are none */
  float *velocity, *bias_velocity;
  const float *other, *other_bias;
  DescentBlocks blocks;
} Side;

typedef struct Gradient {
  GradientOptions options;
  const DescentKernels *kernels;
  Factors factors;
  Side side[2];
  float rate, momentum; /* of this step */
  int epochs;
} Gradient;

static int gradient_alloc(Gradient *g, const SparseMatrix *by_user, const SparseMatrix *by_item, const Cancel *cancel) {
  int code = descent_start(&g->options.start, by_user, &g->factors, cancel);
  if (code != CODE_OK) return code;
  Factors *f = &g->factors;
  g->kernels = descent_kernels();
  g->side[0] = (Side){by_user, f->user, f->user_bias, .other = f->item, .other_bias = f->item_bias};
  g->side[1] = (Side){by_item, f->item, f->item_bias, .other = f->user, .other_bias = f->user_bias};
  for (int s = 0; s < 2 && code == CODE_OK; s++) {
    Side *side = &g->side[s];
    side->velocity = memory_alloc_aligned(side->matrix->rows, (size_t)f->stride * sizeof(float));
    side->bias_velocity = memory_alloc_zero(side->matrix->rows, sizeof(float));
    code = side->velocity && side->bias_velocity ? descent_cut(side->matrix, &side->blocks) : CODE_NOMEM;
  }
  return code;
}

/* A row's new velocity, from all the others as they stand. */
static void row_velocity(const Gradient *g, const Side *side, size_t row) {
  const SparseMatrix *matrix = side->matrix;
  size_t stride = (size_t)g->factors.stride, count = sparse_row_length(matrix, row);
  const float *x = side->x + row * stride;
  float *velocity = side->velocity + row * stride, bias = side->bias ? side->bias[row] : 0, sum = 0;
  float shrink = g->rate * (float)((double)count * g->options.penalty.factors);
  g->kernels->scale(stride, g->momentum, velocity);
  for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++) {
    size_t column = matrix->index[e];
    const float *y = side->other + column * stride;
    float wrong = sparse_value(matrix, e) - (float)g->factors.mean - g->kernels->dot(stride, x, y);
    if (side->bias) wrong -= bias + side->other_bias[column];
    g->kernels->add(stride, g->rate * wrong, y, velocity);
    sum += wrong;
  }
  g->kernels->add(stride, -shrink, x, velocity);
  sum -= (float)((double)count * g->options.penalty.biases) * bias;
  side->bias_velocity[row] = g->momentum * side->bias_velocity[row] + g->rate * sum;
}

static int velocity_block(void *context, size_t block, int worker) {
  const Gradient *g = context;
  const Side *side = &g->side[block >= g->side[0].blocks.count];
  if (side != g->side) block -= g->side[0].blocks.count;
  (void)worker;
  for (size_t row = side->blocks.start[block]; row < side->blocks.start[block + 1]; row++) row_velocity(g, side, row);
  return CODE_OK;
}

static int gradient_move_block(void *context, size_t block, int worker) {
  const Gradient *g = context;
  const Side *side = &g->side[block >= g->side[0].blocks.count];
  if (side != g->side) block -= g->side[0].blocks.count;
  size_t stride = (size_t)g->factors.stride, first = side->blocks.start[block], end = side->blocks.start[block + 1];
  (void)worker;
  g->kernels->add((end - first) * stride, 1, side->velocity + first * stride, side->x + first * stride);
  for (size_t row = first; row < end && side->bias; row++) side->bias[row] += side->bias_velocity[row];
  return CODE_OK;
}

static int gradient_epoch(void *state, FactorizerReport *report, int *done, const Cancel *cancel, Error *error) {
  Gradient *g = state;
  const GradientOptions *options = &g->options;
  size_t blocks = g->side[0].blocks.count + g->side[1].blocks.count;
  int threads = options->start.threads;
  g->rate = (float)(options->learning_rate * pow(options->decay, g->epochs));
  g->momentum = (float)options->momentum;
  *done = 0;
  int code = parallel_for(threads, blocks, velocity_block, g, cancel);
  if (code == CODE_OK) code = parallel_for(threads, blocks, gradient_move_block, g, cancel);
  if (code == CODE_OK)
    code = descent_measure(&g->factors, g->side[0].matrix, &options->penalty, threads, report, cancel);
  if (code == CODE_OK) g->epochs++;
  return descent_error(code, g->epochs + 1, options->learning_rate, error);
}

static const Factors *gradient_factors(void *state) { return &((Gradient *)state)->factors; }

static void gradient_take(void *state, Factors *factors) {
  Gradient *g = state;
  *factors = g->factors;
  g->factors = (Factors){0};
}

static void gradient_destroy(void *state) {
  Gradient *g = state;
  for (int s = 0; s < 2; s++) {
    memory_free_aligned(g->side[s].velocity);
    memory_free(g->side[s].bias_velocity);
    descent_blocks_free(&g->side[s].blocks);
  }
  factors_free(&g->factors);
  memory_free(g);
}

int gradient_create(Factorizer *factorizer, const SparseMatrix *by_user, const SparseMatrix *by_item,
                    const GradientOptions *options, const Cancel *cancel, Error *error) {
  static const FactorizerMethod method = {gradient_epoch, NULL, gradient_factors, gradient_take, gradient_destroy};
  *factorizer = (Factorizer){0};
  Gradient *g = memory_alloc_zero(1, sizeof *g);
  if (!g) return error_no_memory(error);
  g->options = *options;
  int code = gradient_alloc(g, by_user, by_item, cancel);
  if (code != CODE_OK) {
    gradient_destroy(g);
    return descent_error(code, 0, 0, error);
  }
  *factorizer = (Factorizer){
      &method, g, descent_start_loss(by_user, options->start.mean, options->start.init_scale, &options->penalty)};
  return CODE_OK;
}

double gradient_default_rate(const SparseMatrix *by_user, const SparseMatrix *by_item, double unit) {
  size_t longest = 1;
  for (int s = 0; s < 2; s++) {
    const SparseMatrix *matrix = s ? by_item : by_user;
    for (size_t row = 0; row < matrix->rows; row++)
      if (sparse_row_length(matrix, row) > longest) longest = sparse_row_length(matrix, row);
  }
  return 1 / (2 * (double)longest * fmax(unit, 1));
}
