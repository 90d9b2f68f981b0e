/* Alternating least squares for matrix factorization: see als.h.
 *
 * With one side's factors fixed the loss is a least-squares problem for each row of the other on its own; solving for
 * the users, then for the items, lowers it with every half-step (Koren, Bell & Volinsky, "Matrix factorization
 * techniques for recommender systems", Computer 2009). The ranking loss runs over all cells, yet costs only the
 * observed ones, because Σ_all (q·x)² = xᵀ(QᵀQ)x (Hu, Koren & Volinsky, "Collaborative filtering for implicit feedback
 * datasets", ICDM 2008; Steck, "Training and testing of recommender systems on data missing not at random", KDD 2010;
 * Rendle et al., "Revisiting the performance of iALS", 2021). How a row is solved is in als_row.c.
 *
 * Rows are handed out in blocks of about equal cost that depend on the data only, and the losses are added up in the
 * order of blocks: any number of threads gives the same bytes. */
#include "als.h"

#include <math.h>

#include "../base/dense.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/random.h"
#include "als_exact.h"

#define BLOCK_COST 8e6     /* multiplications a block: well below a millisecond */
#define START_FLOATS 65536 /* initial factors drawn a block: a millisecond or two */
#define BIAS_DAMPING 5.0   /* ratings of zero that an item's first bias is shrunk by */

/* Blocks of rows: block b is start[b] … start[b + 1]. */
typedef struct Blocks {
  size_t count;
  size_t *start;
  AlsLoss *loss; /* of each block */
} Blocks;

struct Als {
  AlsOptions options;
  Factors factors;
  AlsSide side[2]; /* users, items */
  Blocks blocks[2];
  double penalty[2]; /* Σ λ' ‖x‖² + λ'_b b² of each side as it stands */
  double size[2];    /* Σ n ‖x‖² of each side */
  AlsScratch *scratch;
  float *gram;
  double *exact_gram; /* NULL until it is needed */
  atomic_int stopped;
  int epochs; /* completed */
  int started;
  int exact_scratch;
};

/* ---- setting up -------------------------------------------------------------------------------------------------- */

/* Cuts a side into blocks: once to count them, then to note them. */
static int blocks_cut(const AlsSide *side, Blocks *blocks) {
  for (;;) {
    double cost = 0;
    blocks->count = 0;
    for (size_t row = 0; row < side->matrix->rows; row++) {
      if (row == 0 || cost >= BLOCK_COST) {
        if (blocks->start) blocks->start[blocks->count] = row;
        blocks->count++;
        cost = 0;
      }
      if (!als_row_is_giant(side, row)) cost += als_row_cost(side, row);
    }
    if (blocks->start) break;
    blocks->start = memory_alloc(blocks->count + 1, sizeof *blocks->start);
    blocks->loss = memory_alloc(blocks->count, sizeof *blocks->loss);
    if (!blocks->start || !blocks->loss) return CODE_NOMEM;
  }
  blocks->start[blocks->count] = side->matrix->rows;
  return CODE_OK;
}

/* Adds the exact methods' scratch where it is not there yet. */
static int exact_scratch_alloc(Als *als) {
  int code = CODE_OK;
  for (int i = 0; i < als->options.threads && !als->exact_scratch && code == CODE_OK; i++)
    code = als_scratch_exact(&als->scratch[i], als->factors.stride);
  if (code == CODE_OK) als->exact_scratch = 1;
  return code;
}

static int als_alloc(Als *als, const SparseMatrix *by_user, const SparseMatrix *by_item) {
  const AlsOptions *options = &als->options;
  Factors *factors = &als->factors;
  int biases = options->biases && !options->ranking;
  int code = factors_alloc(factors, by_user->rows, by_item->rows, options->rank, biases);
  if (code != CODE_OK) return code;
  factors->mean = options->ranking ? 0 : options->mean;
  als->scratch = memory_alloc_zero((size_t)options->threads, sizeof *als->scratch);
  if (!als->scratch) return CODE_NOMEM;
  for (int i = 0; i < options->threads && code == CODE_OK; i++)
    code = als_scratch_alloc(&als->scratch[i], factors->stride);
  if (code != CODE_OK) return code;
  if (options->ranking && options->missing_weight > 0) {
    als->gram = memory_alloc_aligned((size_t)factors->stride, (size_t)factors->stride * sizeof(float));
    if (!als->gram) return CODE_NOMEM;
  }
  AlsMethod method = options->nonnegative              ? ALS_METHOD_NONNEGATIVE
                     : options->solver == ALS_CHOLESKY ? ALS_METHOD_CHOLESKY
                                                       : ALS_METHOD_GRADIENT;
  if (method != ALS_METHOD_GRADIENT && exact_scratch_alloc(als) != CODE_OK) return CODE_NOMEM;
  AlsSide common = {.options = options,
                    .kernels = panel_kernels(),
                    .method = method,
                    .stride = factors->stride,
                    .gram = als->gram,
                    .scratch = als->scratch,
                    .stopped = &als->stopped};
  als->side[0] = als->side[1] = common;
  als->side[0].matrix = by_user;
  als->side[1].matrix = by_item;
  als->side[0].factors = factors->user, als->side[0].bias = factors->user_bias;
  als->side[0].other = factors->item, als->side[0].other_bias = factors->item_bias;
  als->side[1].factors = factors->item, als->side[1].bias = factors->item_bias;
  als->side[1].other = factors->user, als->side[1].other_bias = factors->user_bias;
  for (int s = 0; s < 2 && code == CODE_OK; s++) code = blocks_cut(&als->side[s], &als->blocks[s]);
  return code;
}

int als_create(Als **out, const SparseMatrix *by_user, const SparseMatrix *by_item, const AlsOptions *options,
               Error *error) {
  *out = NULL;
  Als *als = memory_alloc_zero(1, sizeof *als);
  if (!als) return error_no_memory(error);
  als->options = *options;
  if (als_alloc(als, by_user, by_item) != CODE_OK) {
    als_destroy(als);
    return error_no_memory(error);
  }
  *out = als;
  return CODE_OK;
}

void als_destroy(Als *als) {
  if (!als) return;
  for (int i = 0; als->scratch && i < als->options.threads; i++) als_scratch_free(&als->scratch[i]);
  for (int s = 0; s < 2; s++) {
    memory_free(als->blocks[s].start);
    memory_free(als->blocks[s].loss);
  }
  memory_free(als->scratch);
  memory_free_aligned(als->gram);
  memory_free(als->exact_gram);
  factors_free(&als->factors);
  memory_free(als);
}

/* ---- the start --------------------------------------------------------------------------------------------------- */

static size_t start_rows(const Als *als) {
  size_t rows = START_FLOATS / (size_t)als->factors.stride;
  return rows < 16 ? 16 : rows;
}

/* Draws a block of items' factors, and sets their biases to damped means. */
static int start_block(void *context, size_t block, int worker) {
  Als *als = context;
  const AlsOptions *options = &als->options;
  const SparseMatrix *by_item = als->side[1].matrix;
  Factors *factors = &als->factors;
  size_t begin = block * start_rows(als), rank = (size_t)options->rank;
  size_t end = begin + start_rows(als) < by_item->rows ? begin + start_rows(als) : by_item->rows;
  double scale = options->init_scale / sqrt((double)rank);
  (void)worker;
  for (size_t item = begin; item < end; item++) {
    size_t n = sparse_row_length(by_item, item);
    if (n == 0) continue;
    for (size_t lane = 0; lane < rank; lane++) {
      double drawn = scale * random_normal(options->seed, item * rank + lane);
      float given = options->item_start ? options->item_start[item * (size_t)factors->stride + lane] : 0;
      if (given != 0) drawn = (double)given;
      factors->item[item * (size_t)factors->stride + lane] = (float)(options->nonnegative ? fabs(drawn) : drawn);
    }
    if (!factors->item_bias) continue;
    double sum = 0;
    for (size_t e = by_item->start[item]; e < by_item->start[item + 1]; e++)
      sum += (double)sparse_value(by_item, e) - options->mean;
    factors->item_bias[item] = (float)(sum / ((double)n + BIAS_DAMPING));
  }
  return CODE_OK;
}

static int half_step(Als *als, int s, AlsMethod method, AlsLoss *sum, const Cancel *cancel);

/* What the losses and the steps want to know of a side as it stands. */
static void als_measure(Als *als, int s) {
  const AlsSide *side = &als->side[s];
  als->penalty[s] = als->size[s] = 0;
  for (size_t row = 0; row < side->matrix->rows; row++) {
    const float *x = side->factors + row * (size_t)side->stride;
    double bias = side->bias ? (double)side->bias[row] : 0;
    double size = (double)side->kernels->dot((size_t)side->stride, x, x);
    als->penalty[s] += als_row_penalty(side, row) * (size + als_bias_share(&als->options) * bias * bias);
    als->size[s] += (double)sparse_row_length(side->matrix, row) * size;
  }
}

/* Users begin where they are told to, and where items are told nothing, those begin at what that makes of them. */
static int start_users(Als *als, const Cancel *cancel) {
  const AlsOptions *options = &als->options;
  const SparseMatrix *by_user = als->side[0].matrix;
  Factors *factors = &als->factors;
  size_t stride = (size_t)factors->stride, rank = (size_t)options->rank;
  AlsLoss sum = {0};
  if (!options->user_start) return CODE_OK;
  for (size_t user = 0; user < by_user->rows; user++) {
    if (sparse_row_length(by_user, user) == 0) continue;
    for (size_t lane = 0; lane < rank; lane++) {
      float given = options->user_start[user * stride + lane];
      factors->user[user * stride + lane] = options->nonnegative ? fabsf(given) : given;
    }
  }
  als_measure(als, 0);
  return options->item_start ? CODE_OK : half_step(als, 1, als->side[0].method, &sum, cancel);
}

static int start(Als *als, const Cancel *cancel) {
  const AlsSide *items = &als->side[1];
  size_t blocks = (items->matrix->rows + start_rows(als) - 1) / start_rows(als);
  int code = parallel_for(als->options.threads, blocks, start_block, als, cancel);
  if (code == CODE_OK) als_measure(als, 1);
  als->started = code == CODE_OK;
  return code == CODE_OK ? start_users(als, cancel) : code;
}

/* ---- half-steps -------------------------------------------------------------------------------------------------- */

typedef struct HalfStep {
  const AlsSide *side;
  const Blocks *blocks;
} HalfStep;

static void loss_add(AlsLoss *sum, const AlsLoss *loss) {
  sum->fit += loss->fit;
  sum->squared += loss->squared;
  sum->penalty += loss->penalty;
  sum->size += loss->size;
}

static int solve_block(void *context, size_t block, int worker) {
  const HalfStep *half = context;
  AlsLoss sum = {0}, loss;
  int code = CODE_OK;
  for (size_t row = half->blocks->start[block]; row < half->blocks->start[block + 1] && code == CODE_OK; row++) {
    if (als_row_is_giant(half->side, row)) continue;
    code = als_row_solve(half->side, row, worker, &loss);
    loss_add(&sum, &loss);
  }
  half->blocks->loss[block] = sum;
  return code;
}

/* w₀ G, and where floats do not do also in double. */
static int make_gram(Als *als, AlsSide *side) {
  size_t n = (size_t)als->options.rank, stride = (size_t)side->stride;
  const Tall others = {
      .values = (float *)(uintptr_t)side->other, .rows = side->matrix->columns, .width = stride, .n = n};
  double largest = 0;
  int code = side->gram ? als_side_gram(side) : CODE_OK;
  if (!side->gram || code != CODE_OK) return code;
  for (size_t i = 0; i < n; i++) largest = fmax(largest, (double)side->gram[i * stride + i]);
  if (!als_exact_is_needed(side, largest)) return CODE_OK;
  if (!als->exact_gram && !(als->exact_gram = memory_alloc(n, n * sizeof(double)))) return CODE_NOMEM;
  code = dense_gram(&others, als->exact_gram, als->options.threads, side->cancel);
  for (size_t i = 0; i < n * n && code == CODE_OK; i++) als->exact_gram[i] *= als->options.missing_weight;
  side->exact_gram = als->exact_gram;
  return code;
}

/* Solves for users (s = 0) or items (s = 1); the loss over all cells without the other side's penalty. */
static int half_step(Als *als, int s, AlsMethod method, AlsLoss *sum, const Cancel *cancel) {
  AlsSide side = als->side[s];
  side.cancel = cancel;
  side.method = method;
  size_t entries = side.matrix->start[side.matrix->rows];
  if (entries) side.other_square = (float)(als->size[1 - s] / (double)entries / als->options.rank);
  *sum = (AlsLoss){0};
  for (int i = 0; i < als->options.threads; i++) als->scratch[i].row = SIZE_MAX;
  int code = make_gram(als, &side);
  if (code != CODE_OK) return code;
  HalfStep half = {.side = &side, .blocks = &als->blocks[s]};
  code = parallel_for(als->options.threads, half.blocks->count, solve_block, &half, cancel);
  for (size_t block = 0; block < half.blocks->count && code == CODE_OK; block++)
    loss_add(sum, &half.blocks->loss[block]);
  for (size_t row = 0; row < side.matrix->rows && code == CODE_OK; row++) {
    if (!als_row_is_giant(&side, row)) continue;
    AlsLoss loss;
    code = als_row_solve(&side, row, 0, &loss);
    loss_add(sum, &loss);
  }
  als->penalty[s] = sum->penalty;
  als->size[s] = sum->size;
  return code;
}

static double train_rmse(const Als *als, const AlsLoss *loss) {
  const SparseMatrix *by_user = als->side[0].matrix;
  size_t entries = by_user->start[by_user->rows];
  return entries ? sqrt(loss->squared / (double)entries) : 0;
}

/* Turns a half-step's code, and factors that are not finite, into an error with a message. */
static int check(const Als *als, int code, double loss, Error *error) {
  if (code != CODE_OK) return error_from_code(error, code);
  if (isfinite(loss)) return CODE_OK;
  return error_set(error, CODE_ERROR,
                   "the factors are no longer finite after epoch %d: raise \"regularization\" (it is %g), or look for "
                   "ratings that are far too large",
                   als->epochs + 1, als->options.regularization);
}

int als_epoch(Als *als, AlsReport *report, const Cancel *cancel, Error *error) {
  AlsMethod method = als->side[0].method;
  AlsLoss sum = {0};
  *report = (AlsReport){0};
  int code = als->started ? CODE_OK : start(als, cancel);
  if (code == CODE_OK) code = half_step(als, 0, method, &sum, cancel);
  if (code == CODE_OK) report->loss_after_users = sum.fit + als->penalty[0] + als->penalty[1];
  code = check(als, code, report->loss_after_users, error);
  if (code != CODE_OK) return code;
  code = half_step(als, 1, method, &sum, cancel);
  if (code == CODE_OK) report->loss_after_items = sum.fit + als->penalty[0] + als->penalty[1];
  code = check(als, code, report->loss_after_items, error);
  if (code != CODE_OK) return code;
  report->train_rmse = train_rmse(als, &sum);
  als->epochs++;
  return CODE_OK;
}

int als_finish(Als *als, AlsReport *report, const Cancel *cancel, Error *error) {
  AlsMethod method = als->options.nonnegative ? ALS_METHOD_NONNEGATIVE : ALS_METHOD_CHOLESKY;
  AlsLoss sum = {0};
  int code = als->started ? CODE_OK : start(als, cancel);
  if (code == CODE_OK) code = exact_scratch_alloc(als);
  if (code == CODE_OK) code = half_step(als, 0, method, &sum, cancel);
  double loss = code == CODE_OK ? sum.fit + als->penalty[0] + als->penalty[1] : 0;
  code = check(als, code, loss, error);
  if (code != CODE_OK) return code;
  if (report)
    *report = (AlsReport){.loss_after_users = loss, .loss_after_items = loss, .train_rmse = train_rmse(als, &sum)};
  return CODE_OK;
}

const Factors *als_factors(const Als *als) { return &als->factors; }

void als_take(Als *als, Factors *factors) {
  *factors = als->factors;
  als->factors = (Factors){0};
}

/* About the loss where nothing is known, that of zeros, and what rows drawn at random are penalised by. */
static double start_loss(const Als *als) {
  const AlsOptions *options = &als->options;
  const SparseMatrix *by_user = als->side[0].matrix;
  double loss = 0, size = 0, rows = 0;
  for (size_t e = 0; e < by_user->start[by_user->rows]; e++) {
    double value = (double)sparse_value(by_user, e), target = value - options->mean, confidence = 1;
    size += value * value;
    if (options->ranking) {
      target = als_target(options, value);
      confidence = options->confidence + options->confidence_slope * fabs(value);
    }
    loss += confidence * target * target;
  }
  for (int s = 0; s < 2; s++)
    for (size_t row = 0; row < als->side[s].matrix->rows; row++) rows += als_row_penalty(&als->side[s], row);
  return loss + rows * options->init_scale * options->init_scale + 1e-6 * size;
}

/* ---- as a Factorizer --------------------------------------------------------------------------------------------- */

static int method_epoch(void *state, FactorizerReport *report, int *done, const Cancel *cancel, Error *error) {
  AlsReport als;
  int code = als_epoch(state, &als, cancel, error);
  *done = 0;
  *report = (FactorizerReport){.loss = als.loss_after_items, .train_rmse = als.train_rmse};
  return code;
}

static int method_finish(void *state, FactorizerReport *report, const Cancel *cancel, Error *error) {
  AlsReport als = {0};
  int code = als_finish(state, &als, cancel, error);
  *report = (FactorizerReport){.loss = als.loss_after_users, .train_rmse = als.train_rmse};
  return code;
}

static const Factors *method_factors(void *state) { return als_factors(state); }
static void method_take(void *state, Factors *factors) { als_take(state, factors); }
static void method_destroy(void *state) { als_destroy(state); }

int als_factorizer(Factorizer *factorizer, const SparseMatrix *by_user, const SparseMatrix *by_item,
                   const AlsOptions *options, Error *error) {
  static const FactorizerMethod method = {method_epoch, method_finish, method_factors, method_take, method_destroy};
  Als *als = NULL;
  int code = als_create(&als, by_user, by_item, options, error);
  *factorizer = (Factorizer){.method = als ? &method : NULL, .state = als};
  if (als) factorizer->start_loss = start_loss(als);
  return code;
}
