/* Stochastic gradient descent: see sgd.h.
 *
 * For one rating y after the other, with wrong = y − ŷ (Funk, "Netflix update: try this at home", 2006; Koren, Bell &
 * Volinsky, "Matrix factorization techniques for recommender systems", Computer 2009):
 *
 *     b_u += γ (wrong − λ_b b_u)      p += γ (wrong q − λ p)
 *     b_i += γ (wrong − λ_b b_i)      q += γ (wrong p − λ q)
 *
 * γ is the learning rate, or with adaptive rates learning_rate / √G, G = 1 + the sum of all squared gradients of that
 * row before, averaged over the rank: a row that has learnt much takes small steps, one that has not, large ones (Chin,
 * Zhuang, Juan & Lin, "A learning-rate schedule for stochastic gradient methods to matrix factorization", PAKDD 2015;
 * biases have sums of their own here).
 *
 * Threads must not meet in a row. As in Gemulla, Nijkamp, Haas & Sismanis, "Large-scale matrix factorization with
 * distributed stochastic gradient descent", KDD 2011, the matrix is cut into a grid of blocks, and an epoch is as many
 * rounds as the grid has rows, each round blocks that share neither users nor items. Which rows go together is drawn at
 * random, so that blocks are of about one size, and within a block the ratings come in random order. A block waits for
 * the two before it that its users and its items were in, not for the whole round. Cut and order follow from the data
 * and the seed only: any number of threads gives the same bytes.
 *
 * While it trains, rows lie in the order of the grid, so that a block's are neighbours in memory and, with the grid's
 * fineness, stay in a core's cache. */
#include "sgd.h"

#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/random.h"
#include "sgd_kernels.h"
#include "turns.h"

#define BLOCK_ENTRIES 8192.0 /* about as many in a block of a square grid … */
#define MOST_CUTS 32.0       /* … whose sides are cut into no more parts, … */
#define MOST_ROWS 60000      /* … but for this: rows of a part */
#define CHUNK_FLOATS 65536   /* of rows that are looked through at a time */
#define MARK (UINT32_C(1) << 31)

/* Users or items. */
typedef struct Side {
  size_t rows;
  float *factors;  /* rows × stride, owned by Factors; in the order of the grid while `arranged`, else in their own */
  SgdRow *row;     /* likewise */
  uint32_t *place; /* of each row in the order of the grid */
  size_t parts;
  size_t *start; /* of each part, its first place; parts + 1 */
} Side;

typedef struct Sgd {
  SgdOptions options;
  const SgdKernels *kernels;
  const SparseMatrix *by_user;
  Factors factors;
  Side side[2]; /* users, items */
  int arranged;
  SgdEntry *entries; /* NULL: there is no grid yet */
  size_t entry_count;
  size_t *block_start;   /* users' parts × items' parts, + 1 */
  double *block_squared; /* of each block, when it was last seen */
  size_t rounds;
  size_t *shift;       /* of each round: how far the items' parts are ahead of the users' */
  atomic_size_t *turn; /* rounds done by each part of the users, then of the items */
  double *penalty;     /* of each chunk of users, then of items */
  float *carry;        /* two rows */
  SgdStep step;
  int epochs;
} Sgd;

/* Random numbers of different uses. */
enum { SEED_USERS, SEED_ITEMS, SEED_ORDER, SEED_FACTORS, SEED_ROUNDS };

/* ---- the grid ---------------------------------------------------------------------------------------------------- */

/* Shuffles 0 … count-1. */
static void shuffle(uint32_t *order, size_t count, uint64_t seed) {
  for (size_t i = 0; i < count; i++) order[i] = (uint32_t)i;
  for (size_t i = count; i > 1; i--) {
    size_t j = (size_t)(random_uniform(seed, i) * (double)i);
    uint32_t other = order[j];
    order[j] = order[i - 1];
    order[i - 1] = other;
  }
}

/* Gives every row of a side its place, and cuts them into parts of about equally many entries. `order` gets the rows in
 * order of place, `part` the part of each. */
static void cut_side(Side *side, double cuts, size_t entries, uint64_t seed, uint32_t *order, uint32_t *part) {
  size_t sum = 0, rows = 0;
  shuffle(order, side->rows, seed);
  for (size_t place = 0; place < side->rows; place++) {
    double parts = (double)side->parts;
    int full = parts < cuts && (double)sum >= parts / cuts * (double)entries;
    if (place == 0 || full || rows == MOST_ROWS) {
      side->start[side->parts++] = place;
      rows = 0;
    }
    rows++;
    sum += side->row[order[place]].count;
    side->place[order[place]] = (uint32_t)place;
    part[order[place]] = (uint32_t)(side->parts - 1);
  }
  side->start[side->parts] = side->rows;
}

/* The order of rows and their parts, users and then items, while entries are put into their blocks. */
typedef struct Grid {
  Sgd *sgd;
  const SparseMatrix *by_user;
  uint32_t *order[2], *part[2];
  size_t *next; /* of each block: first how many entries, then where the next one goes */
} Grid;

static int count_part(void *context, size_t part, int worker) {
  const Grid *grid = context;
  const Side *users = &grid->sgd->side[0];
  size_t *count = grid->next + part * grid->sgd->side[1].parts;
  (void)worker;
  for (size_t place = users->start[part]; place < users->start[part + 1]; place++) {
    size_t user = grid->order[0][place];
    for (size_t e = grid->by_user->start[user]; e < grid->by_user->start[user + 1]; e++)
      count[grid->part[1][grid->by_user->index[e]]]++;
  }
  return CODE_OK;
}

static void shuffle_entries(SgdEntry *entries, size_t count, uint64_t seed, size_t index) {
  for (size_t i = count; i > 1; i--) {
    size_t j = (size_t)(((random_bits(seed, index + i) >> 32) * (uint64_t)i) >> 32);
    SgdEntry other = entries[j];
    entries[j] = entries[i - 1];
    entries[i - 1] = other;
  }
}

static int fill_part(void *context, size_t part, int worker) {
  const Grid *grid = context;
  Sgd *sgd = grid->sgd;
  const Side *users = &sgd->side[0], *items = &sgd->side[1];
  const SparseMatrix *by_user = grid->by_user;
  size_t first = part * items->parts, *next = grid->next + first;
  (void)worker;
  for (size_t place = users->start[part]; place < users->start[part + 1]; place++) {
    size_t user = grid->order[0][place];
    for (size_t e = by_user->start[user]; e < by_user->start[user + 1]; e++) {
      uint32_t item = by_user->index[e], of = grid->part[1][item];
      sgd->entries[next[of]++] = (SgdEntry){.user = (uint16_t)(place - users->start[part]),
                                            .item = (uint16_t)(items->place[item] - items->start[of]),
                                            .value = sparse_value(by_user, e) - (float)sgd->options.start.mean};
    }
  }
  uint64_t seed = random_bits(sgd->options.start.seed, SEED_ORDER);
  for (size_t block = first; block < first + items->parts; block++)
    shuffle_entries(sgd->entries + sgd->block_start[block], sgd->block_start[block + 1] - sgd->block_start[block], seed,
                    sgd->block_start[block]);
  return CODE_OK;
}

/* Into how many parts the sides are cut, or more where they have very many rows. */
static double cuts_of(const Sgd *sgd) {
  return fmin(fmax(ceil(sqrt((double)sgd->entry_count / BLOCK_ENTRIES)), 1), MOST_CUTS);
}

static int side_alloc(Side *side, size_t rows, float *factors, double cuts) {
  side->rows = rows;
  side->factors = factors;
  side->row = memory_alloc_zero(rows, sizeof *side->row);
  side->place = memory_alloc(rows, sizeof *side->place);
  side->start = memory_alloc_zero((size_t)cuts + rows / MOST_ROWS + 2, sizeof *side->start);
  return side->row && side->place && side->start ? CODE_OK : CODE_NOMEM;
}

static int fill_grid(Grid *grid, const Cancel *cancel) {
  Sgd *sgd = grid->sgd;
  const Side *users = &sgd->side[0], *items = &sgd->side[1];
  size_t blocks = users->parts * items->parts, at = 0;
  int threads = sgd->options.start.threads;
  sgd->rounds = users->parts > items->parts ? users->parts : items->parts;
  sgd->block_start = memory_alloc_zero(blocks + 1, sizeof *sgd->block_start);
  sgd->block_squared = memory_alloc_zero(blocks, sizeof *sgd->block_squared);
  sgd->shift = memory_alloc(sgd->rounds, sizeof *sgd->shift);
  sgd->turn = memory_alloc(2 * sgd->rounds, sizeof *sgd->turn);
  grid->next = memory_alloc_zero(blocks, sizeof *grid->next);
  if (!sgd->block_start || !sgd->block_squared || !sgd->shift || !sgd->turn || !grid->next) return CODE_NOMEM;
  int code = parallel_for(threads, users->parts, count_part, grid, cancel);
  for (size_t block = 0; block < blocks && code == CODE_OK; block++) {
    size_t count = grid->next[block];
    grid->next[block] = sgd->block_start[block] = at;
    at += count;
  }
  sgd->block_start[blocks] = at;
  return code == CODE_OK ? parallel_for(threads, users->parts, fill_part, grid, cancel) : code;
}

/* Cuts the matrix and puts its entries into blocks: at the first epoch, where it can be cancelled. */
static int make_grid(Sgd *sgd, const Cancel *cancel) {
  Grid grid = {.sgd = sgd, .by_user = sgd->by_user};
  int code = CODE_OK;
  sgd->entries = memory_alloc(sgd->entry_count, sizeof *sgd->entries);
  if (!sgd->entries) return CODE_NOMEM;
  for (int s = 0; s < 2 && code == CODE_OK; s++) {
    grid.order[s] = memory_alloc(sgd->side[s].rows, sizeof *grid.order[s]);
    grid.part[s] = memory_alloc(sgd->side[s].rows, sizeof *grid.part[s]);
    if (!grid.order[s] || !grid.part[s]) code = CODE_NOMEM;
  }
  for (int s = 0; s < 2 && code == CODE_OK; s++)
    cut_side(&sgd->side[s], cuts_of(sgd), sgd->entry_count,
             random_bits(sgd->options.start.seed, s ? SEED_ITEMS : SEED_USERS), grid.order[s], grid.part[s]);
  if (code == CODE_OK) code = fill_grid(&grid, cancel);
  for (int s = 0; s < 2; s++) {
    memory_free(grid.order[s]);
    memory_free(grid.part[s]);
  }
  memory_free(grid.next);
  return code;
}

/* ---- the order of rows ------------------------------------------------------------------------------------------- */

/* Moves rows to where they belong in the other order, cycle by cycle of the permutation; `carry` has room for two. */
static void permute(const Side *side, void *rows, size_t size, int arrange, char *carry) {
  char *at = rows, *spare = carry + size;
  uint32_t *place = side->place;
  for (size_t first = 0; first < side->rows; first++) {
    if (place[first] & MARK) continue;
    size_t row = first;
    memcpy(carry, at + first * size, size);
    for (;;) {
      size_t to = place[row];
      place[row] |= MARK;
      if (arrange) { /* carry is the row whose place is `to` */
        memcpy(spare, at + to * size, size);
        memcpy(at + to * size, carry, size);
        memcpy(carry, spare, size);
      } else { /* the row that belongs here is in place `to`; the first one was carried away */
        memcpy(at + row * size, to == first ? carry : at + to * size, size);
      }
      if (to == first) break;
      row = to;
    }
  }
  for (size_t row = 0; row < side->rows; row++) place[row] &= ~MARK;
}

static void arrange(Sgd *sgd, int arranged) {
  if (sgd->arranged == arranged) return;
  for (int s = 0; s < 2; s++) {
    Side *side = &sgd->side[s];
    permute(side, side->factors, (size_t)sgd->factors.stride * sizeof(float), arranged, (char *)sgd->carry);
    permute(side, side->row, sizeof *side->row, arranged, (char *)sgd->carry);
  }
  sgd->arranged = arranged;
}

/* ---- the start --------------------------------------------------------------------------------------------------- */

static size_t chunk_rows(const Sgd *sgd) {
  size_t rows = CHUNK_FLOATS / (size_t)sgd->factors.stride;
  return rows < 16 ? 16 : rows;
}

static size_t chunks_of(const Sgd *sgd, int s) { return (sgd->side[s].rows + chunk_rows(sgd) - 1) / chunk_rows(sgd); }

/* Chunk number `chunk` of users and then items: which side, and the rows first … end-1. */
static int chunk_range(const Sgd *sgd, size_t chunk, size_t *first, size_t *end) {
  int s = chunk >= chunks_of(sgd, 0);
  *first = (chunk - (s ? chunks_of(sgd, 0) : 0)) * chunk_rows(sgd);
  *end = *first + chunk_rows(sgd) < sgd->side[s].rows ? *first + chunk_rows(sgd) : sgd->side[s].rows;
  return s;
}

static int start_chunk(void *context, size_t chunk, int worker) {
  Sgd *sgd = context;
  const SgdOptions *options = &sgd->options;
  size_t first, end, stride = (size_t)sgd->factors.stride;
  int s = chunk_range(sgd, chunk, &first, &end);
  double deviation = options->start.init_scale / sqrt((double)options->start.rank);
  float unit = (float)options->unit;
  uint64_t seed = random_bits(random_bits(options->start.seed, SEED_FACTORS), (uint64_t)s);
  (void)worker;
  for (size_t row = first; row < end; row++) {
    SgdRow *own = &sgd->side[s].row[row];
    own->sum = unit * unit * unit;
    own->bias_sum = unit * unit;
    if (own->count > 0)
      descent_draw(sgd->side[s].factors + row * stride, options->start.rank, deviation, options->start.uniform, seed,
                   row);
  }
  return CODE_OK;
}

static int sgd_alloc(Sgd *sgd, const Cancel *cancel) {
  const SparseMatrix *by_user = sgd->by_user;
  const SgdOptions *options = &sgd->options;
  int code = factors_alloc(&sgd->factors, by_user->rows, by_user->columns, options->start.rank, options->start.biases);
  if (code != CODE_OK) return code;
  sgd->factors.mean = options->start.mean;
  sgd->kernels = sgd_kernels();
  sgd->entry_count = by_user->start[by_user->rows];
  sgd->carry = memory_alloc_aligned(2, (size_t)sgd->factors.stride * sizeof(float));
  if (!sgd->carry) return CODE_NOMEM;
  for (int s = 0; s < 2 && code == CODE_OK; s++)
    code = side_alloc(&sgd->side[s], s ? by_user->columns : by_user->rows, s ? sgd->factors.item : sgd->factors.user,
                      cuts_of(sgd));
  if (code != CODE_OK) return code;
  for (size_t user = 0; user < by_user->rows; user++)
    sgd->side[0].row[user].count = (uint32_t)sparse_row_length(by_user, user);
  for (size_t e = 0; e < sgd->entry_count; e++) sgd->side[1].row[by_user->index[e]].count++;
  size_t chunks = chunks_of(sgd, 0) + chunks_of(sgd, 1);
  sgd->penalty = memory_alloc(chunks, sizeof *sgd->penalty);
  return sgd->penalty ? parallel_for(options->start.threads, chunks, start_chunk, sgd, cancel) : CODE_NOMEM;
}

/* ---- epochs ------------------------------------------------------------------------------------------------------ */

static int do_block(void *context, size_t number, int worker) {
  Sgd *sgd = context;
  const Side *users = &sgd->side[0], *items = &sgd->side[1];
  size_t round = number / sgd->rounds, u = number % sgd->rounds, i = (u + sgd->shift[round]) % sgd->rounds;
  atomic_size_t *user_turn = &sgd->turn[u], *item_turn = &sgd->turn[sgd->rounds + i];
  (void)worker;
  turn_await(user_turn, round);
  turn_await(item_turn, round);
  if (u < users->parts && i < items->parts) {
    size_t block = u * items->parts + i, stride = (size_t)sgd->factors.stride;
    SgdBlock work = {.entries = sgd->entries + sgd->block_start[block],
                     .count = sgd->block_start[block + 1] - sgd->block_start[block],
                     .user = users->factors + users->start[u] * stride,
                     .item = items->factors + items->start[i] * stride,
                     .user_row = users->row + users->start[u],
                     .item_row = items->row + items->start[i],
                     .stride = stride};
    sgd->block_squared[block] =
        sgd->step.rate > 0 ? sgd->kernels->learn(&work, &sgd->step) : sgd->kernels->measure(&work);
  }
  turn_pass(user_turn, round);
  turn_pass(item_turn, round);
  return CODE_OK;
}

static int penalty_chunk(void *context, size_t chunk, int worker) {
  Sgd *sgd = context;
  size_t first, end, stride = (size_t)sgd->factors.stride;
  int s = chunk_range(sgd, chunk, &first, &end);
  const Side *side = &sgd->side[s];
  double sum = 0;
  (void)worker;
  for (size_t row = first; row < end; row++) {
    const float *x = side->factors + row * stride;
    float square = 0, bias = side->row[row].bias;
    for (size_t lane = 0; lane < stride; lane++) square += x[lane] * x[lane];
    sum += side->row[row].count *
           (sgd->options.penalty.factors * (double)square + sgd->options.penalty.biases * (double)bias * (double)bias);
  }
  sgd->penalty[chunk] = sum;
  return CODE_OK;
}

/* Goes through all blocks, learning, or measuring where the step's rate is 0. */
static int pass(Sgd *sgd, FactorizerReport *report, const Cancel *cancel) {
  size_t blocks = sgd->side[0].parts * sgd->side[1].parts, chunks = chunks_of(sgd, 0) + chunks_of(sgd, 1);
  double squared = 0, penalty = 0;
  arrange(sgd, 1);
  for (size_t i = 0; i < 2 * sgd->rounds; i++) atomic_init(&sgd->turn[i], 0);
  int code = parallel_for(sgd->options.start.threads, sgd->rounds * sgd->rounds, do_block, sgd, cancel);
  if (code == CODE_OK) code = parallel_for(sgd->options.start.threads, chunks, penalty_chunk, sgd, cancel);
  if (code != CODE_OK) return code;
  for (size_t block = 0; block < blocks; block++) squared += sgd->block_squared[block];
  for (size_t chunk = 0; chunk < chunks; chunk++) penalty += sgd->penalty[chunk];
  report->loss = squared + penalty;
  report->train_rmse = sgd->entry_count ? sqrt(squared / (double)sgd->entry_count) : 0;
  return isfinite(report->loss) ? CODE_OK : CODE_ERROR;
}

static int sgd_epoch(void *state, FactorizerReport *report, int *done, const Cancel *cancel, Error *error) {
  Sgd *sgd = state;
  const SgdOptions *options = &sgd->options;
  double rate = options->learning_rate * pow(options->decay, sgd->epochs), unit = options->adaptive ? options->unit : 1;
  /* A step of rate / √G times a gradient: factors grow with the square root of the ratings, biases with them. */
  sgd->step = (SgdStep){.rate = (float)(rate * sqrt(unit)),
                        .bias_rate = options->start.biases ? (float)(rate * unit) : 0,
                        .regularization = (float)options->penalty.factors,
                        .bias_regularization = (float)options->penalty.biases,
                        .share = 1 / (float)options->start.rank,
                        .adaptive = options->adaptive};
  uint64_t seed = random_bits(random_bits(options->start.seed, SEED_ROUNDS), (uint64_t)sgd->epochs);
  int code = sgd->entries ? CODE_OK : make_grid(sgd, cancel);
  for (size_t round = 0; round < sgd->rounds && code == CODE_OK; round++) {
    size_t other = (size_t)(random_uniform(seed, round) * (double)(round + 1));
    sgd->shift[round] = sgd->shift[other];
    sgd->shift[other] = round;
  }
  *done = 0;
  if (code == CODE_OK) code = pass(sgd, report, cancel);
  if (code == CODE_OK) sgd->epochs++;
  return descent_error(code, sgd->epochs + 1, options->learning_rate, error);
}

/* Errors during an epoch are those before each step; this is what the last one left. Comes after an epoch. */
static int sgd_finish(void *state, FactorizerReport *report, const Cancel *cancel, Error *error) {
  Sgd *sgd = state;
  sgd->step.rate = 0;
  return descent_error(pass(sgd, report, cancel), sgd->epochs, sgd->options.learning_rate, error);
}

static const Factors *sgd_factors(void *state) {
  Sgd *sgd = state;
  arrange(sgd, 0);
  for (int s = 0; s < 2; s++) {
    float *bias = s ? sgd->factors.item_bias : sgd->factors.user_bias;
    for (size_t row = 0; bias && row < sgd->side[s].rows; row++) bias[row] = sgd->side[s].row[row].bias;
  }
  return &sgd->factors;
}

static void sgd_take(void *state, Factors *factors) {
  Sgd *sgd = state;
  *factors = *sgd_factors(state);
  sgd->factors = (Factors){0};
}

static void sgd_destroy(void *state) {
  Sgd *sgd = state;
  for (int s = 0; s < 2; s++) {
    memory_free(sgd->side[s].row);
    memory_free(sgd->side[s].place);
    memory_free(sgd->side[s].start);
  }
  memory_free(sgd->entries);
  memory_free(sgd->block_start);
  memory_free(sgd->block_squared);
  memory_free(sgd->shift);
  memory_free(sgd->turn);
  memory_free(sgd->penalty);
  memory_free_aligned(sgd->carry);
  factors_free(&sgd->factors);
  memory_free(sgd);
}

int sgd_create(Factorizer *factorizer, const SparseMatrix *by_user, const SgdOptions *options, const Cancel *cancel,
               Error *error) {
  static const FactorizerMethod method = {sgd_epoch, sgd_finish, sgd_factors, sgd_take, sgd_destroy};
  *factorizer = (Factorizer){0};
  Sgd *sgd = memory_alloc_zero(1, sizeof *sgd);
  if (!sgd) return error_no_memory(error);
  sgd->options = *options;
  sgd->by_user = by_user;
  int code = sgd_alloc(sgd, cancel);
  if (code != CODE_OK) {
    sgd_destroy(sgd);
    return descent_error(code, 0, 0, error);
  }
  *factorizer = (Factorizer){
      &method, sgd, descent_start_loss(by_user, options->start.mean, options->start.init_scale, &options->penalty)};
  return CODE_OK;
}
