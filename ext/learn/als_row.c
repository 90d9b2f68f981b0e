/* One row of alternating least squares: see als_row.h.
 *
 * The other side's vectors are gathered into a panel once and used again in every pass of the solver: a row has some
 * hundred entries, and fetching them from anywhere costs more than multiplying them. A row whose vectors do not fit
 * the panel is cut into pieces, gathered again in every pass. A giant row (or the whole other side, for G) is besides
 * cut into sections, summed in parallel and added up in their order, so that the sum is the same for any number of
 * threads. The bias is one unknown more, not a lane of the vectors.
 *
 * Methods: warm-started conjugate gradient (Takács, Pilászy & Tikk, "Applications of the conjugate gradient method for
 * implicit feedback collaborative filtering", RecSys 2011); the normal equations by Cholesky; and cyclic coordinate
 * descent on them under x ≥ 0 (Franc, Hlaváč & Navara, "Sequential coordinate-wise algorithm for the non-negative least
 * squares problem", CAIP 2005). In the last two the bias is eliminated first, which leaves a problem in x alone:
 *     A ← A − s sᵀ/d,  r ← r − s β/d,  b = (β − s·x)/d   with s = Σ q_j, β = Σ t_j, d = n + λ'_b. */
#include "als_row.h"

#include <math.h>
#include <string.h>

#include "../base/dense.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "als_exact.h"

#define PANEL_FLOATS (1 << 17)   /* the most a panel holds: 512 KB, so that it stays in L2 */
#define PIECE_FLOATS (1 << 12)   /* of a row that does not fit: half of L1 */
#define GIANT_FLOATS (1 << 21)   /* rows from here on are shared among threads */
#define MOST_SECTIONS 64         /* that a giant row is cut into */
#define SECTION_FLOATS (1 << 22) /* the most memory for the sums of all sections, but for one */
#define RATING_STEPS 2           /* more do not pay: the next half-step moves the target anyway … */
#define RANKING_STEPS 3          /* … but the cells of the whole other side make A worse conditioned */
#define DESCENT_ROUNDS 200       /* warm-started, a few do */
#define DESCENT_TOLERANCE 1e-6f  /* of the largest coordinate */
#define POLL_STRIDE 256          /* from here on a solver's own loops take milliseconds */

/* ---- scratch ----------------------------------------------------------------------------------------------------- */

static size_t panel_capacity(int stride) {
  size_t rows = PANEL_FLOATS / (size_t)stride / PANEL_ROWS * PANEL_ROWS;
  return rows < 64 ? 64 : rows;
}

/* A section's sums, floats: for the conjugate gradient Σ c_j q_j and, in lane `stride`, Σ c_j; for the exact methods
 * these two, then s = Σ q_j, then A. */
static size_t vector_sums(int stride) { return (size_t)stride + 16; }
static size_t matrix_sums(int stride) { return (size_t)stride * stride + (size_t)stride * 2 + 16; }

static size_t sums_width(const AlsSide *side) {
  return side->method == ALS_METHOD_GRADIENT ? vector_sums(side->stride) : matrix_sums(side->stride);
}

int als_scratch_alloc(AlsScratch *scratch, int stride) {
  size_t rows = panel_capacity(stride);
  *scratch = (AlsScratch){.row = SIZE_MAX};
  scratch->panel = memory_alloc_aligned(rows, (size_t)stride * sizeof(float));
  scratch->target = memory_alloc_aligned(rows * 5, sizeof(float));
  scratch->residual = memory_alloc_aligned((size_t)stride * 3, sizeof(float));
  scratch->sums = memory_alloc_aligned(vector_sums(stride), sizeof(float));
  if (!scratch->panel || !scratch->target || !scratch->residual || !scratch->sums) {
    als_scratch_free(scratch);
    return CODE_NOMEM;
  }
  scratch->weight = scratch->target + rows;
  scratch->base = scratch->weight + rows;
  scratch->dot = scratch->base + rows;
  scratch->change = scratch->dot + rows;
  scratch->direction = scratch->residual + stride;
  scratch->other = scratch->direction + stride;
  return CODE_OK;
}

int als_scratch_exact(AlsScratch *scratch, int stride) {
  float *sums = memory_alloc_aligned(matrix_sums(stride), sizeof(float));
  if (!sums) return CODE_NOMEM;
  memory_free_aligned(scratch->sums);
  scratch->sums = sums;
  return CODE_OK;
}

void als_scratch_free(AlsScratch *scratch) {
  memory_free_aligned(scratch->panel);
  memory_free_aligned(scratch->target);
  memory_free_aligned(scratch->residual);
  memory_free_aligned(scratch->sums);
  *scratch = (AlsScratch){.row = SIZE_MAX};
}

/* ---- pieces and sections ----------------------------------------------------------------------------------------- */

typedef struct Row {
  size_t number;
  const uint32_t *index; /* NULL: the whole other side, in order (for G) */
  const float *value;    /* NULL: ones */
  size_t n;
  size_t piece; /* entries gathered at a time */
  size_t sections;
} Row;

int als_row_is_giant(const AlsSide *side, size_t row) {
  size_t n = sparse_row_length(side->matrix, row);
  return n * (size_t)side->stride >= GIANT_FLOATS && n > panel_capacity(side->stride);
}

static size_t most_sections(size_t width) {
  size_t sections = SECTION_FLOATS / width;
  return sections < 1 ? 1 : sections > MOST_SECTIONS ? MOST_SECTIONS : sections;
}

static Row row_of(const AlsSide *side, size_t number) {
  const SparseMatrix *matrix = side->matrix;
  size_t start = matrix->start[number], n = matrix->start[number + 1] - start;
  Row row = {.number = number, .index = matrix->index + start, .n = n, .piece = n, .sections = 1};
  if (matrix->value) row.value = matrix->value + start;
  if (n > panel_capacity(side->stride)) {
    size_t rows = PIECE_FLOATS / (size_t)side->stride / PANEL_ROWS * PANEL_ROWS;
    row.piece = rows < 64 ? 64 : rows;
  }
  if (als_row_is_giant(side, number)) row.sections = most_sections(sums_width(side));
  return row;
}

int als_poll(const AlsSide *side, int worker) {
  int code = worker == 0 ? cancel_poll(side->cancel) : CODE_OK;
  if (code != CODE_OK) atomic_store_explicit(side->stopped, code, memory_order_relaxed);
  return atomic_load_explicit(side->stopped, memory_order_relaxed);
}

/* t_j = value_j − mean − b_j, for the rating loss. */
static void rating_targets(const AlsSide *side, const uint32_t *restrict index, const float *restrict value, size_t n,
                           float *restrict target, float *restrict weight) {
  const float *restrict bias = side->other_bias;
  float mean = (float)side->options->mean;
  for (size_t j = 0; j < n; j++) weight[j] = 1;
  for (size_t j = 0; j < n; j++) target[j] = (value ? value[j] : 1) - mean - (bias ? bias[index[j]] : 0);
}

static void ranking_targets(const AlsSide *side, const float *restrict value, size_t n, float *restrict target,
                            float *restrict weight, float *restrict base) {
  const AlsOptions *options = side->options;
  float missing = options->weigh_all_cells ? 0 : (float)options->missing_weight;
  float confidence = (float)options->confidence, confidence_slope = (float)options->confidence_slope;
  float first = (float)options->target, slope = (float)options->target_slope;
  for (size_t j = 0; j < n; j++) {
    float v = value ? value[j] : 1, c = confidence + confidence_slope * fabsf(v);
    target[j] = slope != 0 ? first + slope * v : v > 0 ? first : 0;
    weight[j] = c - missing;
    base[j] = c * target[j];
  }
}

/* c_j t_j: with the rating loss t_j itself. */
static const float *piece_base(const AlsSide *side, const AlsScratch *scratch) {
  return side->options->ranking ? scratch->base : scratch->target;
}

/* Gathers a piece: vectors, targets and weights. Does nothing where the panel holds it already. */
static void load_piece(const AlsSide *side, const Row *row, size_t begin, size_t count, AlsScratch *scratch) {
  if (scratch->row == row->number && scratch->begin == begin) return;
  const uint32_t *index = row->index + begin;
  const float *value = row->value ? row->value + begin : NULL;
  float *target = scratch->target, *weight = scratch->weight, *base = scratch->base;
  side->kernels->gather(side->other, side->stride, index, count, scratch->panel);
  if (side->options->ranking)
    ranking_targets(side, value, count, target, weight, base);
  else
    rating_targets(side, index, value, count, target, weight);
  for (size_t j = count; j < panel_padded(count); j++) target[j] = weight[j] = base[j] = 0;
  scratch->row = row->number;
  scratch->begin = begin;
}

/* A pass over a row's entries, section by section. */
typedef struct Pass {
  const AlsSide *side;
  const Row *row;
  const float *x;
  float x_bias;
  int with_base;  /* c_j = base_j − weight_j dot_j, else −weight_j dot_j */
  int dots_known; /* the row's predictions are in scratch->dot */
  float *sums;    /* sections × width */
  size_t width;
  AlsLoss *loss; /* one a section */
} Pass;

typedef void (*PieceBody)(const Pass *pass, size_t section, AlsScratch *scratch, size_t begin, size_t count);

static int for_pieces(const Pass *pass, size_t section, int worker, PieceBody body) {
  const Row *row = pass->row;
  size_t length = ((row->n + row->sections - 1) / row->sections + row->piece - 1) / row->piece * row->piece;
  size_t begin = section * length, end = row->n - begin < length ? row->n : begin + length;
  AlsScratch *scratch = &pass->side->scratch[worker];
  for (; begin < end && begin < row->n; begin += row->piece) {
    int code = row->piece < row->n ? als_poll(pass->side, worker) : CODE_OK;
    if (code != CODE_OK) return code;
    size_t count = end - begin < row->piece ? end - begin : row->piece;
    if (row->index) load_piece(pass->side, row, begin, count, scratch);
    body(pass, section, scratch, begin, count);
  }
  return CODE_OK;
}

static int for_sections(Pass *pass, int worker, ParallelBody body) {
  if (pass->row->sections == 1) return body(pass, 0, worker);
  return parallel_for(pass->side->options->threads, pass->row->sections, body, pass, pass->side->cancel);
}

/* Adds the sections' sums up into the first. */
static void reduce_sections(const Pass *pass) {
  for (size_t i = 0; pass->row->sections > 1 && i < pass->width; i++) {
    double sum = 0;
    for (size_t section = 0; section < pass->row->sections; section++)
      sum += (double)pass->sums[section * pass->width + i];
    pass->sums[i] = (float)sum;
  }
}

/* ---- the passes -------------------------------------------------------------------------------------------------- */

static void apply_piece(const Pass *pass, size_t section, AlsScratch *scratch, size_t begin, size_t count) {
  const AlsSide *side = pass->side;
  float *sums = pass->sums + section * pass->width;
  (void)begin;
  sums[side->stride] += side->kernels->apply(scratch->panel, count, side->stride, pass->x, pass->x_bias,
                                             pass->with_base ? piece_base(side, scratch) : NULL, scratch->weight,
                                             pass->with_base ? scratch->dot : scratch->change, sums);
}

static int apply_section(void *context, size_t section, int worker) {
  const Pass *pass = context;
  memset(pass->sums + section * pass->width, 0, vector_sums(pass->side->stride) * sizeof(float));
  return for_pieces(pass, section, worker, apply_piece);
}

static void normal_piece(const Pass *pass, size_t section, AlsScratch *scratch, size_t begin, size_t count) {
  const AlsSide *side = pass->side;
  size_t stride = (size_t)side->stride;
  float *sums = pass->sums + section * pass->width, *column = sums + stride + 16, *matrix = column + stride;
  if (!pass->row->index) { /* G: the rows lie as they are needed */
    side->kernels->gram(side->other + begin * stride, count, side->stride, NULL, matrix);
    return;
  }
  sums[stride] += side->kernels->sums(scratch->panel, count, side->stride, piece_base(side, scratch), scratch->weight,
                                      sums, side->bias ? column : NULL);
  side->kernels->gram(scratch->panel, count, side->stride, side->options->ranking ? scratch->weight : NULL, matrix);
}

static int normal_section(void *context, size_t section, int worker) {
  const Pass *pass = context;
  memset(pass->sums + section * pass->width, 0, pass->width * sizeof(float));
  return for_pieces(pass, section, worker, normal_piece);
}

static void misfit_piece(const Pass *pass, size_t section, AlsScratch *scratch, size_t begin, size_t count) {
  const AlsSide *side = pass->side;
  const AlsOptions *options = side->options;
  float missing = options->ranking && !options->weigh_all_cells ? (float)options->missing_weight : 0;
  (void)begin;
  if (!pass->dots_known) side->kernels->dots(scratch->panel, count, side->stride, pass->x, pass->x_bias, scratch->dot);
  side->kernels->misfit(panel_padded(count), scratch->target, scratch->weight, scratch->dot, missing,
                        &pass->loss[section].fit, &pass->loss[section].squared);
}

static int misfit_section(void *context, size_t section, int worker) {
  return for_pieces(context, section, worker, misfit_piece);
}

/* ---- solvers ----------------------------------------------------------------------------------------------------- */

typedef struct Solve {
  Pass pass; /* of the row; its x, x_bias and with_base are set before each use */
  int worker;
  float penalty, bias_penalty; /* λ', λ'_b */
  float *x;                    /* the row's factors … */
  float bias;                  /* … and bias; 0 where there are none */
} Solve;

/* The residual of the normal equations at x, or with_base 0: minus their matrix times x; into pass.sums. */
static int apply_normal(Solve *solve, const float *x, float bias, int with_base, float *bias_sum) {
  const AlsSide *side = solve->pass.side;
  Pass *pass = &solve->pass;
  pass->x = x;
  pass->x_bias = bias;
  pass->with_base = with_base;
  int code = for_sections(pass, solve->worker, apply_section);
  if (code != CODE_OK) return code;
  reduce_sections(pass);
  side->kernels->add((size_t)side->stride, -solve->penalty, x, pass->sums);
  if (side->gram) side->kernels->multiply(side->gram, side->stride, -1, x, pass->sums);
  *bias_sum = side->bias ? pass->sums[side->stride] - solve->bias_penalty * bias : 0;
  return CODE_OK;
}

/* How many steps the conjugate gradient takes: by test error a second on MovieLens. */
static int gradient_steps(const AlsSide *side) { return side->options->ranking ? RANKING_STEPS : RATING_STEPS; }

/* What the residual's bias is divided by, as a preconditioner: the diagonal of A is n + λ'_b for it and about n m + λ'
 * for a factor, m the mean square of the other side's. Left alone, the bias takes a step for itself. */
static float bias_conditioner(const Solve *solve) {
  float n = (float)solve->pass.row->n;
  return (n + solve->bias_penalty) / (n * solve->pass.side->other_square + solve->penalty);
}

static int solve_by_gradient(Solve *solve, int steps) {
  const AlsSide *side = solve->pass.side;
  const PanelKernels *kernels = side->kernels;
  AlsScratch *scratch = &side->scratch[solve->worker];
  size_t stride = (size_t)side->stride, n = solve->pass.row->n;
  float *residual = scratch->residual, *direction = scratch->direction, *image = solve->pass.sums;
  float residual_bias, image_bias, conditioner = bias_conditioner(solve);
  int code = apply_normal(solve, solve->x, solve->bias, 1, &residual_bias);
  if (code != CODE_OK) return code;
  memcpy(residual, image, stride * sizeof(float));
  memcpy(direction, image, stride * sizeof(float));
  float direction_bias = residual_bias / conditioner;
  float size = kernels->dot(stride, residual, residual) + residual_bias * direction_bias, enough = size * 1e-12f;
  /* The predictions are kept up to date only where the panel holds the whole row. */
  solve->pass.dots_known = solve->pass.row->piece >= n;
  for (int step = 0; step < steps && size > enough; step++) {
    code = apply_normal(solve, direction, direction_bias, 0, &image_bias);
    if (code != CODE_OK) return code;
    float curvature = -kernels->dot(stride, direction, image) - direction_bias * image_bias;
    if (!(curvature > 0)) break;
    float length = size / curvature;
    kernels->add(stride, length, direction, solve->x);
    solve->bias += length * direction_bias;
    if (solve->pass.dots_known) kernels->add(panel_padded(n), length, scratch->change, scratch->dot);
    kernels->add(stride, length, image, residual);
    residual_bias += length * image_bias;
    float next = kernels->dot(stride, residual, residual) + residual_bias * residual_bias / conditioner;
    kernels->scale_add(stride, residual, next / size, direction);
    direction_bias = residual_bias / conditioner + next / size * direction_bias;
    size = next;
  }
  return CODE_OK;
}

/* Coordinate descent from the x there is. */
static int solve_nonnegative(Solve *solve, float *matrix, const float *right) {
  const AlsSide *side = solve->pass.side;
  size_t stride = (size_t)side->stride;
  float *gradient = side->scratch[solve->worker].residual;
  for (size_t i = 0; i < stride; i++)
    for (size_t j = i + 1; j < stride; j++) matrix[j * stride + i] = matrix[i * stride + j];
  memset(gradient, 0, stride * sizeof(float));
  side->kernels->add(stride, -1, right, gradient);
  side->kernels->multiply(matrix, side->stride, 1, solve->x, gradient);
  float first = 0;
  for (int round = 0; round < DESCENT_ROUNDS; round++) {
    int code = side->stride >= POLL_STRIDE ? als_poll(side, solve->worker) : CODE_OK;
    if (code != CODE_OK) return code;
    float change = side->kernels->descend(matrix, side->stride, side->options->rank, gradient, solve->x);
    if (round == 0) first = change;
    if (!(change > DESCENT_TOLERANCE * first)) break;
  }
  return CODE_OK;
}

/* UᵀU of the matrix in its place. Sets *failed where it is too near to singular for floats. */
static int factorize(Solve *solve, float *matrix, int *failed) {
  const AlsSide *side = solve->pass.side;
  size_t stride = (size_t)side->stride;
  float largest = 0;
  for (size_t i = 0; i < stride; i++)
    if (matrix[i * stride + i] > largest) largest = matrix[i * stride + i];
  /* In exact arithmetic no pivot is below λ'; one that is has been eaten by rounding, as have those that are no more
   * than some units in the last place of the largest. */
  float least = fmaxf(solve->penalty / 2, largest * 4e-6f);
  *failed = 0;
  for (int first = 0; first < side->stride && !*failed; first += 16) {
    int code = side->stride >= POLL_STRIDE ? als_poll(side, solve->worker) : CODE_OK;
    if (code != CODE_OK) return code;
    *failed = !side->kernels->factorize(matrix, side->stride, first, least);
  }
  return CODE_OK;
}

static int solve_by_cholesky(Solve *solve, float *matrix, const float *right, int *failed) {
  const AlsSide *side = solve->pass.side;
  size_t stride = (size_t)side->stride;
  float *x = side->scratch[solve->worker].residual;
  int code = factorize(solve, matrix, failed);
  if (code != CODE_OK || *failed) return code;
  memcpy(x, right, stride * sizeof(float));
  side->kernels->solve(matrix, side->stride, x);
  memcpy(solve->x, x, stride * sizeof(float));
  return CODE_OK;
}

/* The normal equations less the bias, into pass.sums: the right side, s, and A. *divisor is d. */
static int normal_equations(Solve *solve, float *divisor) {
  Pass *pass = &solve->pass;
  const AlsSide *side = pass->side;
  size_t stride = (size_t)side->stride;
  float *right = pass->sums, *column = right + stride + 16, *matrix = column + stride;
  int code = for_sections(pass, solve->worker, normal_section);
  if (code != CODE_OK) return code;
  reduce_sections(pass);
  if (side->gram) side->kernels->add(stride * stride, 1, side->gram, matrix);
  for (size_t i = 0; i < stride; i++) matrix[i * stride + i] += solve->penalty;
  *divisor = (float)pass->row->n + solve->bias_penalty;
  if (side->bias) {
    float scale = -1 / *divisor;
    side->kernels->gram(column, 1, side->stride, &scale, matrix);
    side->kernels->add(stride, right[stride] * scale, column, right);
  }
  return CODE_OK;
}

static int solve_exactly(Solve *solve) {
  Pass *pass = &solve->pass;
  const AlsSide *side = pass->side;
  size_t stride = (size_t)side->stride;
  float *right = pass->sums, *column = right + stride + 16, *matrix = column + stride, divisor;
  int failed = side->exact_gram && side->method == ALS_METHOD_CHOLESKY;
  if (failed) return als_exact_solve(side, pass->row->number, solve->worker, solve->x, &solve->bias);
  int code = normal_equations(solve, &divisor);
  if (code != CODE_OK) return code;
  float bias_sum = right[stride];
  code = side->method == ALS_METHOD_NONNEGATIVE ? solve_nonnegative(solve, matrix, right)
                                                : solve_by_cholesky(solve, matrix, right, &failed);
  if (code != CODE_OK) return code;
  if (failed) return als_exact_solve(side, pass->row->number, solve->worker, solve->x, &solve->bias);
  if (side->bias) solve->bias = (bias_sum - side->kernels->dot(stride, column, solve->x)) / divisor;
  return CODE_OK;
}

/* What the solution costs. */
static int als_row_measure(Solve *solve, AlsLoss *loss) {
  Pass *pass = &solve->pass;
  const AlsSide *side = pass->side;
  size_t stride = (size_t)side->stride;
  AlsLoss section_loss[MOST_SECTIONS] = {{0}};
  pass->loss = section_loss;
  pass->x = solve->x;
  pass->x_bias = solve->bias;
  int code = for_sections(pass, solve->worker, misfit_section);
  if (code != CODE_OK) return code;
  *loss = (AlsLoss){0};
  for (size_t section = 0; section < pass->row->sections; section++) {
    loss->fit += section_loss[section].fit;
    loss->squared += section_loss[section].squared;
  }
  if (side->exact_gram) {
    loss->fit += als_exact_form(side->exact_gram, solve->x, (size_t)side->options->rank);
  } else if (side->gram) {
    float *image = side->scratch[solve->worker].other;
    memset(image, 0, stride * sizeof(float));
    side->kernels->multiply(side->gram, side->stride, 1, solve->x, image);
    loss->fit += (double)side->kernels->dot(stride, image, solve->x);
  }
  double size = (double)side->kernels->dot(stride, solve->x, solve->x);
  loss->penalty =
      (double)solve->penalty * size + (double)solve->bias_penalty * (double)solve->bias * (double)solve->bias;
  loss->size = size * (double)pass->row->n;
  return CODE_OK;
}

/* ---- for als.c --------------------------------------------------------------------------------------------------- */

double als_row_penalty(const AlsSide *side, size_t row) {
  const AlsOptions *options = side->options;
  double n = (double)sparse_row_length(side->matrix, row);
  if (options->ranking) n += options->missing_weight * (double)side->matrix->columns;
  return options->regularization * pow(n, options->nu);
}

double als_bias_share(const AlsOptions *options) {
  return options->bias_regularization > 0 ? options->bias_regularization / options->regularization : 1;
}

double als_row_cost(const AlsSide *side, size_t row) {
  double n = (double)sparse_row_length(side->matrix, row), stride = side->stride;
  if (side->method == ALS_METHOD_GRADIENT)
    return (gradient_steps(side) + 1) * (4 * (n + 16) * stride + (side->options->ranking ? 2 * stride * stride : 0));
  return (n + 16) * stride * stride + stride * stride * stride / 3;
}

/* Gets ready for a row that has entries. *sums, to be freed, is memory that only a giant row needs. */
static int solve_begin(const AlsSide *side, const Row *row, int worker, Solve *solve, float **sums) {
  size_t number = row->number;
  double penalty = als_row_penalty(side, number);
  *solve = (Solve){.worker = worker,
                   .x = side->factors + number * (size_t)side->stride,
                   .penalty = (float)penalty,
                   .bias_penalty = (float)(penalty * als_bias_share(side->options))};
  if (side->bias) solve->bias = side->bias[number];
  solve->pass = (Pass){.side = side, .row = row, .sums = side->scratch[worker].sums, .width = sums_width(side)};
  *sums = NULL;
  if (row->sections == 1) return CODE_OK;
  solve->pass.sums = *sums = memory_alloc_aligned(row->sections, solve->pass.width * sizeof(float));
  return *sums ? CODE_OK : CODE_NOMEM;
}

int als_row_solve(const AlsSide *side, size_t number, int worker, AlsLoss *loss) {
  *loss = (AlsLoss){0};
  if (sparse_row_length(side->matrix, number) == 0) {
    memset(side->factors + number * (size_t)side->stride, 0, (size_t)side->stride * sizeof(float));
    if (side->bias) side->bias[number] = 0;
    return CODE_OK;
  }
  float *sums;
  Row row = row_of(side, number);
  Solve solve;
  int code = solve_begin(side, &row, worker, &solve, &sums);
  if (code != CODE_OK) return code;
  code = side->method == ALS_METHOD_GRADIENT ? solve_by_gradient(&solve, gradient_steps(side)) : solve_exactly(&solve);
  if (code == CODE_OK) code = als_row_measure(&solve, loss);
  if (side->bias) side->bias[number] = solve.bias;
  memory_free_aligned(sums);
  return code;
}

/* A and s/d as what x was solved with, in double. */
static int shares_matrix(Solve *solve, size_t number, double *a, double *level) {
  const AlsSide *side = solve->pass.side;
  size_t stride = (size_t)side->stride, n = (size_t)side->options->rank;
  int failed = side->exact_gram != NULL, code = CODE_OK;
  if (!failed || side->options->nonnegative) {
    float divisor = 1;
    code = normal_equations(solve, &divisor);
    float *column = solve->pass.sums + stride + 16, *matrix = column + stride;
    for (size_t i = 0; i < n && code == CODE_OK; i++) {
      level[i] = side->bias ? (double)column[i] / (double)divisor : 0;
      for (size_t j = 0; j < n; j++) a[i * n + j] = (double)matrix[i < j ? i * stride + j : j * stride + i];
    }
    failed = 0;
    if (code == CODE_OK && !side->options->nonnegative) code = factorize(solve, matrix, &failed);
  }
  return code == CODE_OK && failed ? als_exact_matrix(side, number, a, level) : code;
}

/* z with A z = q, in double: what z is off by would be missing in the sum of the shares. `a` is overwritten. Under x ≥
 * 0 only over the lanes where x is not 0: the others do not move. */
static int solve_for_target(const AlsSide *side, double *a, const float *x, const float *target, double *z) {
  size_t n = (size_t)side->options->rank, dependent = 0;
  unsigned char *flags = memory_alloc(n, 1);
  int code = flags ? CODE_OK : CODE_NOMEM;
  for (size_t i = 0; i < n && code == CODE_OK; i++) {
    int fixed = side->options->nonnegative && x[i] == 0;
    z[i] = fixed ? 0 : (double)target[i];
    for (size_t j = 0; j < n; j++)
      if (fixed || (side->options->nonnegative && x[j] == 0)) a[i * n + j] = (double)(i == j);
  }
  if (code == CODE_OK) code = dense_cholesky(a, n, 0, flags, &dependent, side->cancel);
  for (size_t i = 0; i < n && code == CODE_OK; i++) { /* U⁻ᵀ */
    z[i] /= a[i * n + i];
    for (size_t j = i + 1; j < n; j++) z[j] -= a[i * n + j] * z[i];
  }
  for (size_t i = n; i-- > 0 && code == CODE_OK;) { /* U⁻¹ */
    for (size_t j = i + 1; j < n; j++) z[i] -= a[i * n + j] * z[j];
    z[i] /= a[i * n + i];
  }
  memory_free(flags);
  return code;
}

/* share_j = c_j t_j z · (q_j − s/d) */
static int add_shares(const AlsSide *side, const Row *row, const double *z, double level, double *share) {
  size_t stride = (size_t)side->stride, rank = (size_t)side->options->rank;
  AlsScratch *scratch = &side->scratch[0];
  int code = CODE_OK;
  for (size_t begin = 0; begin < row->n && code == CODE_OK; begin += row->piece) {
    size_t count = row->n - begin < row->piece ? row->n - begin : row->piece;
    load_piece(side, row, begin, count, scratch);
    for (size_t j = 0; j < count; j++) {
      double along = -level;
      for (size_t lane = 0; lane < rank; lane++) along += z[lane] * (double)scratch->panel[j * stride + lane];
      share[begin + j] = along * (double)piece_base(side, scratch)[j];
    }
    code = als_poll(side, 0);
  }
  return code;
}

int als_row_shares(const AlsSide *side, size_t number, const float *target, double *share) {
  size_t rank = (size_t)side->options->rank;
  Row row = row_of(side, number);
  Solve solve;
  float *sums = NULL;
  if (row.n == 0) return CODE_OK;
  double *a = memory_alloc(rank, rank * sizeof *a), *z = memory_alloc(2 * rank, sizeof *z), level = 0;
  int code = a && z ? solve_begin(side, &row, 0, &solve, &sums) : CODE_NOMEM;
  if (code == CODE_OK) code = shares_matrix(&solve, number, a, z + rank);
  if (code == CODE_OK) code = solve_for_target(side, a, solve.x, target, z);
  for (size_t lane = 0; lane < rank && code == CODE_OK; lane++) level += z[lane] * z[rank + lane];
  if (code == CODE_OK) code = add_shares(side, &row, z, level, share);
  memory_free_aligned(sums);
  memory_free(a);
  memory_free(z);
  return code;
}

int als_side_gram(const AlsSide *side) {
  size_t stride = (size_t)side->stride, rows = side->matrix->columns, width = matrix_sums(side->stride);
  Row row = {.n = rows, .piece = 256, .sections = most_sections(width)};
  if (row.sections > (rows + row.piece - 1) / row.piece) row.sections = (rows + row.piece - 1) / row.piece;
  float *gram = side->gram;
  memset(gram, 0, stride * stride * sizeof(float));
  if (rows == 0) return CODE_OK;
  Pass pass = {.side = side, .row = &row, .width = width};
  pass.sums = memory_alloc_aligned(row.sections, width * sizeof(float));
  if (!pass.sums) return CODE_NOMEM;
  int code = for_sections(&pass, 0, normal_section);
  if (code == CODE_OK) {
    reduce_sections(&pass);
    const float *matrix = pass.sums + 2 * stride + 16;
    float weight = (float)side->options->missing_weight;
    for (size_t i = 0; i < stride; i++)
      for (size_t j = i; j < stride; j++) gram[i * stride + j] = gram[j * stride + i] = weight * matrix[i * stride + j];
  }
  memory_free_aligned(pass.sums);
  return code;
}
