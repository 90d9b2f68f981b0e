/* Factorizations: a user and an item have a vector each in one or two heads, and a score is the product of the two.
 *
 * A history is folded in by solving for its user's vectors, the items being what they are, which is a half-step of the
 * training: see als_fold.h for the arithmetic. Where the items' vectors are orthonormal the row is projected on them
 * instead: see svd_centered.h. */
#include <string.h>

#include "../../base/memory.h"
#include "../../learn/als_fold.h"
#include "../store.h"
#include "vector_queries.h"

/* Algorithms that give no way to solve for one user alone, as bpr and logistic. */
static unsigned lacks(const ModelShape *shape) {
  for (int head = 0; head < HEADS; head++)
    if (shape->rank[head] && shape->fold[head].method == FOLD_NONE)
      return ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE);
  return 0;
}

static const char *factors_reason(const ModelShape *shape, Ability ability) {
  (void)shape;
  switch (ability) {
    case ABILITY_FOLD_IN:
    case ABILITY_LIVE:
      return "can't take in ratings that it was not trained on: its algorithm has no way to fold them in; train it "
             "again";
    case ABILITY_EXPLAIN: return "can't explain its scores, which are not sums over a user's history";
    default: return NULL;
  }
}

static int factors_fits(const ModelShape *shape) {
  return shape->rank[shape->score_head] > 0 && !shape->clusters && !shape->links && !shape->cosine && !shape->sparse;
}

/* ---- a head's problem -------------------------------------------------------------------------------------------- */

static AlsOptions options_of(const ModelShape *shape, int head) {
  const FoldIn *fold = &shape->fold[head];
  return (AlsOptions){.rank = shape->rank[head],
                      .regularization = fold->regularization,
                      .nu = fold->nu,
                      .biases = shape->biases[head],
                      .bias_regularization = fold->bias_regularization,
                      .nonnegative = fold->nonnegative,
                      .solver = ALS_CHOLESKY,
                      .ranking = fold->method == FOLD_RANKING,
                      .mean = shape->mean[head],
                      .confidence = fold->confidence,
                      .confidence_slope = fold->confidence_slope,
                      .target = fold->target,
                      .target_slope = fold->target_slope,
                      .missing_weight = fold->missing_weight,
                      .weigh_all_cells = fold->weigh_all_cells,
                      .threads = 1};
}

static int needs_gram(const ModelShape *shape, int head) {
  return shape->fold[head].method == FOLD_RANKING && shape->fold[head].missing_weight > 0;
}

/* The cached w₀ G of the items; computed when first asked for. */
static int items_gram(ModelItems *items, int head, const Cancel *cancel) {
  const ScorePanel *panel = &items->panel[head];
  size_t stride = (size_t)panel->stride;
  AlsGram gram;
  if (items->gram[head]) return SQLITE_OK;
  float *block = memory_alloc_aligned(ALS_GRAM_ROWS, stride * sizeof *block);
  int code = als_gram_begin(&gram, items->shape.rank[head]);
  if (!block) code = SQLITE_NOMEM;
  for (size_t first = 0; code == SQLITE_OK && first < panel->count; first += ALS_GRAM_ROWS) {
    size_t rows = panel->count - first < ALS_GRAM_ROWS ? panel->count - first : ALS_GRAM_ROWS;
    for (size_t row = 0; row < rows; row++) score_panel_get(panel, first + row, block + row * stride);
    code = als_gram_add(&gram, block, rows, cancel);
  }
  if (code == SQLITE_OK && !(items->gram[head] = als_gram_take(&gram, items->shape.fold[head].missing_weight)))
    code = SQLITE_NOMEM;
  als_gram_end(&gram);
  memory_free_aligned(block);
  return code;
}

/* What was gathered for a head of a user; owned. */
typedef struct Gathered {
  AlsEntries entries;
  float *factors, *bias, *value;
  double *gram;
} Gathered;

static void gathered_free(Gathered *gathered) {
  memory_free_aligned(gathered->factors);
  memory_free(gathered->bias);
  memory_free(gathered->value);
  memory_free(gathered->gram);
}

/* w₀ G with one item more. */
static int gram_with(const ModelItems *items, int head, const float *vector, double **extended) {
  size_t rank = (size_t)items->shape.rank[head];
  double *gram = *extended = memory_alloc(rank, rank * sizeof *gram);
  if (!gram) return SQLITE_NOMEM;
  memcpy(gram, items->gram[head], rank * rank * sizeof *gram);
  for (size_t i = 0; i < rank; i++)
    for (size_t j = 0; j < rank; j++)
      gram[i * rank + j] += items->shape.fold[head].missing_weight * (double)vector[i] * (double)vector[j];
  return SQLITE_OK;
}

/* The items of a history with their factors in one head. */
static int gather_history(ModelItems *items, int head, const float *new_item, const History *history,
                          Gathered *gathered, const Cancel *cancel) {
  const ModelShape *shape = &items->shape;
  const ScorePanel *panel = &items->panel[head];
  size_t stride = (size_t)panel->stride, count = 0, places = history->count ? history->count : 1;
  *gathered = (Gathered){0};
  gathered->factors = memory_alloc_aligned(places, stride * sizeof(float));
  if (shape->biases[head]) gathered->bias = memory_alloc(places, sizeof(float));
  if (history->rating) gathered->value = memory_alloc(places, sizeof(float));
  if (!gathered->factors || (shape->biases[head] && !gathered->bias) || (history->rating && !gathered->value))
    return SQLITE_NOMEM;
  for (size_t i = 0; i < history->count; i++) {
    uint32_t item = history->item[i];
    if (history_is_held_out(history, i)) continue;
    if (item < items->ids.count) {
      score_panel_get(panel, item, gathered->factors + count * stride);
      if (gathered->bias) gathered->bias[count] = panel->bias[item];
    } else if (new_item) {
      memcpy(gathered->factors + count * stride, new_item + store_factors_place(shape, head),
             (size_t)shape->rank[head] * sizeof(float));
      if (gathered->bias) gathered->bias[count] = new_item[store_bias_place(shape, head)];
    }
    if (history->rating) gathered->value[count] = history->rating[i];
    count++;
  }
  int code = needs_gram(shape, head) ? items_gram(items, head, cancel) : SQLITE_OK;
  if (code == SQLITE_OK && needs_gram(shape, head) && new_item)
    code = gram_with(items, head, new_item + store_factors_place(shape, head), &gathered->gram);
  gathered->entries = (AlsEntries){.count = count,
                                   .factors = gathered->factors,
                                   .bias = gathered->bias,
                                   .value = gathered->value,
                                   .others = items_known(items) + (new_item != NULL),
                                   .gram = gathered->gram ? gathered->gram : items->gram[head]};
  return code;
}

/* ---- users ------------------------------------------------------------------------------------------------------- */

/* Solves one head into its places in a stored row. `solved` is stride floats of scratch, aligned. */
static int fold_head(const ModelShape *shape, int head, const AlsEntries *entries, float *solved, float *row,
                     const Cancel *cancel) {
  const AlsOptions options = options_of(shape, head);
  float bias = 0;
  int code = als_fold(&options, entries, solved, shape->biases[head] ? &bias : NULL, cancel);
  memcpy(row + store_factors_place(shape, head), solved, (size_t)shape->rank[head] * sizeof *row);
  if (shape->biases[head]) row[store_bias_place(shape, head)] = bias;
  return code;
}

/* What a projection takes away where every cell counts: Σ v and Σ b v over all items, v and b theirs. Cached in the
 * place of G. */
static int items_sums(ModelItems *items, int head) {
  const ScorePanel *panel = &items->panel[head];
  size_t stride = (size_t)panel->stride;
  if (items->gram[head]) return SQLITE_OK;
  float *vector = memory_alloc_aligned(1, stride * sizeof *vector);
  double *sum = vector ? memory_alloc_zero(2 * stride, sizeof *sum) : NULL;
  for (size_t item = 0; sum && item < panel->count; item++) {
    score_panel_get(panel, item, vector);
    for (size_t lane = 0; lane < stride; lane++) {
      sum[lane] += (double)vector[lane];
      sum[stride + lane] += panel->bias ? (double)panel->bias[item] * (double)vector[lane] : 0;
    }
  }
  items->gram[head] = sum;
  memory_free_aligned(vector);
  return sum ? SQLITE_OK : SQLITE_NOMEM;
}

/* The mean of a user's ratings, over the cells that a projection counts. */
static double mean_rating(const ModelShape *shape, const FoldIn *fold, const AlsEntries *entries) {
  double sum = 0, cells = (double)(fold->weigh_all_cells ? entries->others : entries->count);
  for (size_t j = 0; j < entries->count; j++) sum += entries->value ? (double)entries->value[j] : 1;
  if (!fold->user_mean) return 0;
  return cells > 0 ? sum / cells : shape->average;
}

/* p = Σ (r − c) v over the entries, or over all cells, r being 0 where there is none; c the centre of each. An item
 * that is new has no vector, and so no part in the sums. */
static int project(ModelItems *items, int head, const AlsEntries *entries, float *row) {
  const ModelShape *shape = &items->shape;
  const FoldIn *fold = &shape->fold[head];
  size_t stride = (size_t)shape_stride(shape, head), rank = (size_t)shape->rank[head];
  double bias = mean_rating(shape, fold, entries), centre = shape->mean[head] + bias;
  double *p = memory_alloc_zero(stride, sizeof *p);
  int code = p ? SQLITE_OK : SQLITE_NOMEM;
  if (code == SQLITE_OK && fold->weigh_all_cells) code = items_sums(items, head);
  for (size_t j = 0; j < entries->count && code == SQLITE_OK; j++) {
    double value = entries->value ? (double)entries->value[j] : 1;
    if (!fold->weigh_all_cells) value -= centre + (entries->bias ? (double)entries->bias[j] : 0);
    for (size_t lane = 0; lane < rank; lane++) p[lane] += value * (double)entries->factors[j * stride + lane];
  }
  for (size_t lane = 0; lane < rank && code == SQLITE_OK; lane++) {
    if (fold->weigh_all_cells) p[lane] -= centre * items->gram[head][lane] + items->gram[head][stride + lane];
    row[store_factors_place(shape, head) + lane] = (float)p[lane];
  }
  if (shape->biases[head]) row[store_bias_place(shape, head)] = (float)bias;
  memory_free(p);
  return code;
}

/* All heads of a user. */
static int fold_user_factors(ModelItems *items, Profile profile, const float *new_item, const History *history,
                             float *row, const Cancel *cancel) {
  (void)profile;
  const ModelShape *shape = &items->shape;
  int code = SQLITE_OK;
  for (int head = 0; head < HEADS && code == SQLITE_OK; head++) {
    Gathered gathered;
    if (!shape->rank[head]) continue;
    float *solved = memory_alloc_aligned((size_t)shape_stride(shape, head), sizeof *solved);
    code = gather_history(items, head, new_item, history, &gathered, cancel);
    if (!solved) code = SQLITE_NOMEM;
    if (code == SQLITE_OK && shape->fold[head].method == FOLD_PROJECTION)
      code = project(items, head, &gathered.entries, row);
    else if (code == SQLITE_OK)
      code = fold_head(shape, head, &gathered.entries, solved, row, cancel);
    gathered_free(&gathered);
    memory_free_aligned(solved);
  }
  return code;
}

/* ---- items ------------------------------------------------------------------------------------------------------- */

/* w₀ G of the users in one head. */
static int users_gram(Model *model, const ModelItems *items, int head, double **weighted, const Cancel *cancel,
                      Error *error) {
  AlsGram gram;
  int code = error_from_code(error, als_gram_begin(&gram, items->shape.rank[head]));
  for (size_t first = 0; code == SQLITE_OK && (int64_t)first < model_user_count(model); first += ALS_GRAM_ROWS) {
    ModelUsers users;
    code = model_users(model, items, first, ALS_GRAM_ROWS, 0, &users, error);
    if (code == SQLITE_OK) code = error_from_code(error, als_gram_add(&gram, users.vector[head], users.count, cancel));
    users_free(&users);
  }
  if (code == SQLITE_OK && !(*weighted = als_gram_take(&gram, items->shape.fold[head].missing_weight)))
    code = error_no_memory(error);
  als_gram_end(&gram);
  return code;
}

/* An item that the decomposition has not met has no vector; its mean is what it is. */
static void project_item(const ModelShape *shape, int head, float rating, double users, float *row) {
  const FoldIn *fold = &shape->fold[head];
  if (shape->biases[head] && !fold->user_mean)
    row[store_bias_place(shape, head)] = fold->weigh_all_cells ? (float)((double)rating / users) : rating;
}

static int fold_item_factors(Model *model, const ModelItems *items, const ModelUser *user, float rating, float *row,
                             const Cancel *cancel, Error *error) {
  const ModelShape *shape = &items->shape;
  int code = SQLITE_OK;
  for (int head = 0; head < HEADS && code == SQLITE_OK; head++) {
    if (shape->rank[head] && shape->fold[head].method == FOLD_PROJECTION) {
      project_item(shape, head, rating, (double)model_user_count(model) + (user == NULL), row);
      continue;
    }
    if (!shape->rank[head]) continue;
    size_t stride = (size_t)shape_stride(shape, head);
    float *scratch = memory_alloc_aligned(2 * stride, sizeof *scratch);
    double *gram = NULL;
    float bias = user ? (float)(user->offset[head] - shape->mean[head]) : 0;
    if (!scratch) code = error_no_memory(error);
    if (code == SQLITE_OK && user) memcpy(scratch, user->vector[head], stride * sizeof *scratch);
    if (code == SQLITE_OK && needs_gram(shape, head)) code = users_gram(model, items, head, &gram, cancel, error);
    const AlsEntries entries = {.count = 1,
                                .factors = scratch,
                                .bias = &bias,
                                .value = &rating,
                                .others = (size_t)model_user_count(model) + (user == NULL),
                                .gram = gram};
    if (code == SQLITE_OK)
      code = error_from_code(error, fold_head(shape, head, &entries, scratch + stride, row, cancel));
    memory_free_aligned(scratch);
    memory_free(gram);
  }
  return code;
}

/* ---- contributions ----------------------------------------------------------------------------------------------- */

/* (r − c) v · target, or r v · target where all cells count: those that are missing are due to no item. */
static void project_shares(const ModelShape *shape, int head, const AlsEntries *entries, const float *target,
                           double *share) {
  const FoldIn *fold = &shape->fold[head];
  size_t stride = (size_t)shape_stride(shape, head);
  double centre = shape->mean[head] + mean_rating(shape, fold, entries);
  for (size_t j = 0; j < entries->count; j++) {
    double value = entries->value ? (double)entries->value[j] : 1, along = 0;
    if (!fold->weigh_all_cells) value -= centre + (entries->bias ? (double)entries->bias[j] : 0);
    for (size_t lane = 0; lane < stride; lane++)
      along += (double)entries->factors[j * stride + lane] * (double)target[lane];
    share[j] = value * along;
  }
}

static int contributions_of_factors(ModelItems *items, const ModelUser *user, const History *history, uint32_t item,
                                    double *contribution, const Cancel *cancel) {
  const ModelShape *shape = &items->shape;
  int head = shape->score_head;
  const AlsOptions options = options_of(shape, head);
  Gathered gathered;
  float *target = memory_alloc_aligned((size_t)shape_stride(shape, head), sizeof *target);
  double *share = memory_alloc(history->count, sizeof *share);
  int code = gather_history(items, head, NULL, history, &gathered, cancel);
  if (!target || !share) code = SQLITE_NOMEM;
  if (code == SQLITE_OK) {
    score_panel_get(&items->panel[head], item, target);
    if (shape->fold[head].method == FOLD_PROJECTION)
      project_shares(shape, head, &gathered.entries, target, share);
    else
      code = als_fold_shares(&options, &gathered.entries, user->vector[head], target, share, cancel);
  }
  for (size_t i = 0, known = 0; code == SQLITE_OK && i < history->count; i++)
    if (!history->held_out || !history->held_out[i]) contribution[i] = share[known++];
  gathered_free(&gathered);
  memory_free_aligned(target);
  memory_free(share);
  return code;
}

/* ---- the kind ---------------------------------------------------------------------------------------------------- */

const ModelKind kind_factors = {
    .name = "factors",
    .abilities = ABLE(ABILITY_RECOMMEND) | ABLE(ABILITY_PREDICT) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_SIMILAR_ITEMS) |
                 ABLE(ABILITY_SIMILAR_USERS) | ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE) | ABLE(ABILITY_FORGET),
    .lacks = lacks,
    .reason = factors_reason,
    .fits = factors_fits,
    .scorer = vectors_scorer,
    .queries = vector_queries,
    .fold_user = fold_user_factors,
    .fold_item = fold_item_factors,
    .contributions = contributions_of_factors,
    .predict = predict_vectors,
    .nearest_items = nearest_vectors,
    .shrinks_by_support = 1,
};
