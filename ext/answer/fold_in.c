/* Folding in: see fold_in.h. */
#include "fold_in.h"

#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../learn/als_fold.h"
#include "../model/kinds/item_sums.h"
#include "../model/store.h"

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

/* The bias of a head that has no factors: what minimises Σ (r − μ − b_i − b)² + λ n^ν b². */
static float fold_bias(const ModelItems *items, int head, const History *history) {
  const FoldIn *fold = &items->shape.fold[head];
  const float *bias = items->panel[head].bias;
  double sum = 0, n = 0;
  for (size_t i = 0; i < history->count && fold->method == FOLD_RATING; i++) {
    uint32_t item = history->item[i];
    if (history_is_held_out(history, i)) continue;
    sum += (double)history_rating(history, i);
    sum -= items->shape.mean[head] + (item < items->ids.count ? (double)bias[item] : 0);
    n++;
  }
  return n > 0 ? (float)(sum / (n + fold->bias_regularization * pow(n, fold->nu))) : 0;
}

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

/* Dense vectors of content: the sum of those of the items, made as long as 1. */
static int sum_vectors(const ModelItems *items, Profile profile, const History *history, float *row) {
  const ScorePanel *panel = &items->panel[HEAD_RANKING];
  size_t stride = (size_t)panel->stride, rank = (size_t)items->shape.rank[HEAD_RANKING];
  float *item = memory_alloc_aligned(stride, sizeof *item);
  double *sum = memory_alloc_zero(stride, sizeof *sum), squares = 0;
  ItemSum liked;
  int code = item_sum_make(items, profile, history, &liked);
  if (!item || !sum) code = SQLITE_NOMEM;
  for (size_t i = 0; code == SQLITE_OK && i < liked.count; i++) {
    score_panel_get(panel, liked.item[i], item);
    for (size_t lane = 0; lane < stride; lane++) sum[lane] += (double)liked.weight[i] * (double)item[lane];
  }
  for (size_t lane = 0; code == SQLITE_OK && lane < rank; lane++) squares += sum[lane] * sum[lane];
  for (size_t lane = 0; code == SQLITE_OK && lane < rank; lane++)
    row[lane] = squares > 0 ? (float)(sum[lane] / sqrt(squares)) : 0;
  item_sum_free(&liked);
  memory_free_aligned(item);
  memory_free(sum);
  return code;
}

int fold_user_row(ModelItems *items, const float *new_item, const History *history, float *row, const Cancel *cancel,
                  Error *error) {
  const ModelShape *shape = &items->shape;
  int code = SQLITE_OK;
  if (shape->cosine) return error_from_code(error, sum_vectors(items, (Profile)shape->profile, history, row));
  for (int head = 0; head < HEADS && code == SQLITE_OK; head++) {
    Gathered gathered;
    if (!shape->rank[head] && shape->biases[head]) row[store_bias_place(shape, head)] = fold_bias(items, head, history);
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
  return error_from_code(error, code);
}

int fold_user(Model *model, ModelItems *items, Profile profile, History *history, ModelUser *user, const Cancel *cancel,
              Error *error) {
  *user = (ModelUser){.index = (uint32_t)model_user_count(model)};
  int code = SQLITE_OK;
  if (shape_has_panel(&items->shape, items->shape.score_head)) {
    float *row = memory_alloc_zero(store_row_floats(&items->shape), sizeof *row);
    code = row ? SQLITE_OK : error_no_memory(error);
    if (code == SQLITE_OK)
      code = items->shape.cosine ? error_from_code(error, sum_vectors(items, profile, history, row))
                                 : fold_user_row(items, NULL, history, row, cancel, error);
    if (code == SQLITE_OK) code = error_from_code(error, user_from_row(&items->shape, row, user));
    memory_free(row);
  }
  return code == SQLITE_OK ? user_make_query(model, items, profile, history, user, cancel, error) : code;
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

int fold_item_row(Model *model, const ModelItems *items, const ModelUser *user, float rating, float *row,
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

/* ⟨item a, item b⟩ of a sparse model. */
static double sparse_product(const SparseMatrix *vectors, uint32_t a, uint32_t b) {
  size_t i = vectors->start[a], j = vectors->start[b];
  double sum = 0;
  while (i < vectors->start[a + 1] && j < vectors->start[b + 1]) {
    uint32_t s = vectors->index[i], t = vectors->index[j];
    if (s == t) sum += (double)vectors->value[i] * (double)vectors->value[j];
    i += s <= t;
    j += t <= s;
  }
  return sum;
}

/* ‖Σ w_j v_j‖ of a model of words. */
static int sum_length(const ModelItems *items, const ModelUser *user, double *length) {
  PostingsVector spread;
  int code = postings_expand(&items->postings, user->query.each, &spread);
  *length = spread.norm;
  postings_vector_free(&spread);
  return code;
}

/* The user is Σ w_j v_j / ‖Σ w_j v_j‖, so entry j adds w_j ⟨v_j, v_i⟩ / ‖Σ w_j v_j‖. */
static int contributions_of_sum(const ModelItems *items, const ModelUser *user, const History *history, uint32_t item,
                                double *contribution) {
  const ModelShape *shape = &items->shape;
  const ScorePanel *panel = &items->panel[HEAD_RANKING];
  size_t stride = (size_t)panel->stride;
  ItemSum sum;
  int code = item_sum_make(items, (Profile)shape->profile, history, &sum);
  float *of_target = shape->sparse ? NULL : memory_alloc_aligned(2 * stride, sizeof *of_target);
  float *of_entry = of_target ? of_target + stride : NULL;
  double *total = shape->sparse ? NULL : memory_alloc_zero(stride, sizeof *total), length = 0;
  if (!shape->sparse && (!of_target || !total)) code = SQLITE_NOMEM;
  if (code == SQLITE_OK && shape->sparse) code = sum_length(items, user, &length);
  if (code == SQLITE_OK && !shape->sparse) score_panel_get(panel, item, of_target);
  for (size_t i = 0, j = 0; code == SQLITE_OK && i < sum.count; i++) {
    double product = 0;
    if (shape->sparse) {
      product = sparse_product(&items->postings.vectors, sum.item[i], item);
    } else {
      score_panel_get(panel, sum.item[i], of_entry);
      for (size_t lane = 0; lane < stride; lane++) {
        product += (double)of_entry[lane] * (double)of_target[lane];
        total[lane] += (double)sum.weight[i] * (double)of_entry[lane];
      }
    }
    while (history->item[j] != sum.item[i]) j++;
    contribution[j] = (double)sum.weight[i] * product;
  }
  if (code == SQLITE_OK && !shape->sparse) {
    length = 0;
    for (size_t lane = 0; lane < stride; lane++) length += total[lane] * total[lane];
    length = sqrt(length);
  }
  for (size_t i = 0; i < history->count && length > 0; i++) contribution[i] /= length;
  item_sum_free(&sum);
  memory_free_aligned(of_target);
  memory_free(total);
  return code;
}

/* Σ_j x_j W[j][item], entry by entry. */
static int contributions_of_links(const ModelItems *items, const History *history, uint32_t item,
                                  double *contribution) {
  ItemSum sum;
  int code = item_sum_make(items, (Profile)items->shape.profile, history, &sum);
  for (size_t i = 0, j = 0; code == SQLITE_OK && i < sum.count; i++) {
    while (history->item[j] != sum.item[i]) j++;
    contribution[j] = (double)sum.weight[i] * (double)links_weight(&items->links, sum.item[i], item);
  }
  item_sum_free(&sum);
  return code;
}

int fold_contributions(ModelItems *items, const ModelUser *user, const History *history, uint32_t item,
                       double *contribution, const Cancel *cancel, Error *error) {
  const ModelShape *shape = &items->shape;
  memset(contribution, 0, history->count * sizeof *contribution);
  if (shape->cosine) return error_from_code(error, contributions_of_sum(items, user, history, item, contribution));
  if (shape->links) return error_from_code(error, contributions_of_links(items, history, item, contribution));
  if (!shape->rank[shape->score_head] || shape->fold[shape->score_head].method == FOLD_NONE) return SQLITE_OK;
  return error_from_code(error, contributions_of_factors(items, user, history, item, contribution, cancel));
}
