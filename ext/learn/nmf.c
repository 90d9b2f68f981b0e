/* Non-negative matrix factorization: see nmf.h.
 *
 * Luo, Zhou, Xia & Zhu, "An efficient non-negative matrix-factorization-based approach to collaborative filtering for
 * recommender systems", IEEE Transactions on Industrial Informatics 2014: with n ratings of the user,
 *
 *     p_f ← p_f · Σ_i y q_if / (Σ_i ŷ q_if + n λ p_f)
 *
 * and items likewise, element by element, with sums over observed cells only, and both sides computed from the factors
 * as they were before the epoch. A factor that is zero stays zero, and none becomes negative. A row's sums are over its
 * own entries in their order: any number of threads gives the same bytes. */
#include "nmf.h"

#include <math.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/random.h"
#include "descent_kernels.h"

#define LEAST_DIVISOR 1e-30F /* below it nothing is known of the lane, which stays as it is */

typedef struct Side {
  const SparseMatrix *matrix;
  const float *x, *other;
  float *next; /* rows × stride: x of the epoch after */
  DescentBlocks blocks;
} Side;

typedef struct Nmf {
  NmfOptions options;
  const DescentKernels *kernels;
  Factors factors;
  Side side[2];
  float *scratch; /* two rows a thread */
  int epochs;
} Nmf;

/* The side that a block is of, and its number there. */
static int side_of(const Nmf *nmf, size_t *block) {
  if (*block < nmf->side[0].blocks.count) return 0;
  *block -= nmf->side[0].blocks.count;
  return 1;
}

static int nmf_draw_block(void *context, size_t block, int worker) {
  const Nmf *nmf = context;
  int s = side_of(nmf, &block);
  const Side *side = &nmf->side[s];
  float *x = s ? nmf->factors.item : nmf->factors.user;
  size_t rank = (size_t)nmf->options.rank, stride = (size_t)nmf->factors.stride;
  double most = nmf->options.init_scale * sqrt(3 / (double)rank);
  uint64_t seed = random_bits(nmf->options.seed, (uint64_t)s);
  (void)worker;
  for (size_t row = side->blocks.start[block]; row < side->blocks.start[block + 1]; row++)
    for (size_t lane = 0; lane < rank && sparse_row_length(side->matrix, row) > 0; lane++)
      x[row * stride + lane] = (float)(most * random_uniform(seed, row * rank + lane));
  return CODE_OK;
}

static int nmf_alloc(Nmf *nmf, const SparseMatrix *by_user, const SparseMatrix *by_item, const Cancel *cancel) {
  const NmfOptions *options = &nmf->options;
  Factors *f = &nmf->factors;
  int code = factors_alloc(f, by_user->rows, by_user->columns, options->rank, 0);
  if (code != CODE_OK) return code;
  size_t stride = (size_t)f->stride;
  nmf->kernels = descent_kernels();
  nmf->side[0].matrix = by_user;
  nmf->side[1].matrix = by_item;
  nmf->scratch = memory_alloc_aligned((size_t)options->threads, 2 * stride * sizeof(float));
  if (!nmf->scratch) return CODE_NOMEM;
  for (int s = 0; s < 2 && code == CODE_OK; s++) {
    Side *side = &nmf->side[s];
    side->next = memory_alloc_aligned(side->matrix->rows, stride * sizeof(float));
    code = side->next ? descent_cut(side->matrix, &side->blocks) : CODE_NOMEM;
  }
  if (code != CODE_OK) return code;
  return parallel_for(options->threads, nmf->side[0].blocks.count + nmf->side[1].blocks.count, nmf_draw_block, nmf,
                      cancel);
}

static int nmf_move_block(void *context, size_t block, int worker) {
  const Nmf *nmf = context;
  const Side *side = &nmf->side[side_of(nmf, &block)];
  const SparseMatrix *matrix = side->matrix;
  size_t stride = (size_t)nmf->factors.stride;
  float *above = nmf->scratch + 2 * (size_t)worker * stride, *below = above + stride;
  for (size_t row = side->blocks.start[block]; row < side->blocks.start[block + 1]; row++) {
    const float *x = side->x + row * stride;
    float *next = side->next + row * stride;
    float shrink = (float)((double)sparse_row_length(matrix, row) * nmf->options.regularization);
    for (size_t lane = 0; lane < stride; lane++) above[lane] = 0, below[lane] = shrink * x[lane];
    for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++) {
      const float *y = side->other + matrix->index[e] * stride;
      nmf->kernels->add(stride, sparse_value(matrix, e), y, above);
      nmf->kernels->add(stride, nmf->kernels->dot(stride, x, y), y, below);
    }
    for (size_t lane = 0; lane < stride; lane++)
      next[lane] = below[lane] > LEAST_DIVISOR ? x[lane] * (above[lane] / below[lane]) : x[lane];
  }
  return CODE_OK;
}

static int nmf_epoch(void *state, FactorizerReport *report, int *done, const Cancel *cancel, Error *error) {
  Nmf *nmf = state;
  const DescentPenalty penalty = {nmf->options.regularization, 0};
  Factors *f = &nmf->factors;
  Side *users = &nmf->side[0], *items = &nmf->side[1];
  int threads = nmf->options.threads;
  *done = 0;
  users->x = items->other = f->user;
  items->x = users->other = f->item;
  int code = parallel_for(threads, users->blocks.count + items->blocks.count, nmf_move_block, nmf, cancel);
  if (code == CODE_OK) {
    float *user = f->user, *item = f->item;
    f->user = users->next, f->item = items->next;
    users->next = user, items->next = item;
    code = descent_measure(&nmf->factors, nmf->side[0].matrix, &penalty, threads, report, cancel);
  }
  nmf->epochs++;
  if (code != CODE_ERROR) return error_from_code(error, code);
  return error_set(error, code,
                   "the factors are no longer finite after epoch %d: look for ratings that are far too large",
                   nmf->epochs);
}

static const Factors *nmf_factors(void *state) { return &((Nmf *)state)->factors; }

static void nmf_take(void *state, Factors *factors) {
  Nmf *nmf = state;
  *factors = nmf->factors;
  nmf->factors = (Factors){0};
}

static void nmf_destroy(void *state) {
  Nmf *nmf = state;
  for (int s = 0; s < 2; s++) {
    memory_free_aligned(nmf->side[s].next);
    descent_blocks_free(&nmf->side[s].blocks);
  }
  memory_free_aligned(nmf->scratch);
  factors_free(&nmf->factors);
  memory_free(nmf);
}

int nmf_create(Factorizer *factorizer, const SparseMatrix *by_user, const SparseMatrix *by_item,
               const NmfOptions *options, const Cancel *cancel, Error *error) {
  static const FactorizerMethod method = {nmf_epoch, NULL, nmf_factors, nmf_take, nmf_destroy};
  *factorizer = (Factorizer){0};
  Nmf *nmf = memory_alloc_zero(1, sizeof *nmf);
  if (!nmf) return error_no_memory(error);
  nmf->options = *options;
  int code = nmf_alloc(nmf, by_user, by_item, cancel);
  if (code != CODE_OK) {
    nmf_destroy(nmf);
    return descent_error(code, 0, 0, error);
  }
  const DescentPenalty penalty = {options->regularization, 0};
  *factorizer = (Factorizer){&method, nmf, descent_start_loss(by_user, 0, options->init_scale, &penalty)};
  return CODE_OK;
}
