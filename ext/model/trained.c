/* A trained model in memory: see trained.h. */
#include "trained.h"

#include <assert.h>
#include <string.h>

#include "../base/memory.h"
#include "kind.h"

const char *const head_names[HEADS] = {"rating", "ranking"};
const char *const fold_names[FOLD_METHODS] = {"none", "rating", "ranking", "projection"};

void trained_free(TrainedModel *model) {
  dictionary_free(&model->users);
  dictionary_free(&model->items);
  sparse_free(&model->history);
  memory_free(model->held_out);
  memory_free(model->time);
  memory_free(model->order);
  sparse_free(&model->vectors);
  memory_free(model->length);
  dictionary_free(&model->terms);
  memory_free(model->df);
  memory_free(model->idf);
  memory_free_aligned(model->term_vectors);
  memory_free(model->user_count);
  memory_free(model->item_count);
  memory_free(model->item_liked);
  neighbor_lists_free(&model->neighbors);
  memory_free(model->weights);
  memory_free(model->cluster);
  memory_free(model->distance);
  memory_free(model->centroid);
  for (int head = 0; head < HEADS; head++) factors_free(&model->heads[head]);
  sqlite3_free(model->source);
  sqlite3_free(model->source_schema);
  sqlite3_free(model->options);
  sqlite3_free(model->resolved);
  sqlite3_free(model->metrics);
  *model = (TrainedModel){0};
}

/* ---- invariants -------------------------------------------------------------------------------------------------- */

#ifndef NDEBUG

static void assert_ascending(const SparseMatrix *matrix, size_t row) {
  for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++) {
    assert(matrix->index[e] < matrix->columns);
    assert(e == matrix->start[row] || matrix->index[e] > matrix->index[e - 1]);
  }
}

static void assert_histories(const TrainedModel *model) {
  const SparseMatrix *history = &model->history;
  assert((history->start != NULL) == (model->shape.history != HISTORY_NONE));
  assert((model->time != NULL) == (model->shape.history == HISTORY_TIMED) &&
         (model->order != NULL) == (model->time != NULL));
  assert(history->start || !model->held_out);
  if (!history->start) return;
  assert(history->rows == model->users.count && history->columns == model->items.count);
  for (size_t user = 0; user < history->rows; user++) {
    assert(model->user_count[user] == sparse_row_length(history, user));
    assert_ascending(history, user);
  }
}

static void assert_heads(const TrainedModel *model) {
  const ModelShape *shape = &model->shape;
  for (int head = 0; head < HEADS; head++) {
    const Factors *factors = &model->heads[head];
    if (!shape_has_panel(shape, head)) continue;
    assert(factors->rank == shape->rank[head]);
    assert(factors->users == model->users.count && factors->items == model->items.count);
    assert(!shape->biases[head] || (factors->user_bias && factors->item_bias));
  }
}

static void assert_links(const TrainedModel *model) {
  const NeighborLists *lists = &model->neighbors;
  int by_item = model->shape.links == LINK_ITEM_NEIGHBORS, by_user = model->shape.links == LINK_USER_NEIGHBORS;
  assert((model->weights != NULL) == (model->shape.links == LINK_ITEM_WEIGHTS));
  assert((lists->start != NULL) == (by_item || by_user));
  assert(!lists->start || lists->rows == (by_item ? model->items.count : model->users.count));
}

static void assert_words(const TrainedModel *model) {
  const SparseMatrix *vectors = &model->vectors;
  assert(model->terms.count == (size_t)model->shape.terms);
  assert(!model->terms.count || (model->df && model->idf));
  if (!model->shape.sparse) return;
  assert(vectors->start && model->length && vectors->rows == model->items.count &&
         vectors->columns == model->terms.count);
  for (size_t item = 0; item < vectors->rows; item++) assert_ascending(vectors, item);
}

#endif

void trained_assert(const TrainedModel *model) {
#ifdef NDEBUG
  (void)model;
#else
  assert(model->shape.kind->fits(&model->shape));
  assert(!model->users.count || model->user_count);
  assert(!model->items.count || (model->item_count && model->item_liked));
  for (size_t item = 0; item < model->items.count; item++) assert(model->item_liked[item] <= model->item_count[item]);
  assert_histories(model);
  assert_heads(model);
  assert_links(model);
  assert_words(model);
  assert((model->cluster && model->distance && model->centroid) == (model->shape.clusters != 0));
#endif
}

float *trained_row(const TrainedModel *model, int of_users, size_t row, float *to) {
  for (int head = 0; head < HEADS; head++) {
    const Factors *factors = &model->heads[head];
    const float *from = of_users ? factors->user : factors->item;
    if (from) memcpy(to, from + row * (size_t)factors->stride, (size_t)factors->rank * sizeof(float));
    to += model->shape.rank[head];
  }
  for (int head = 0; head < HEADS; head++) {
    if (!model->shape.biases[head]) continue;
    const Factors *factors = &model->heads[head];
    *to++ = of_users ? factors->user_bias[row] : factors->item_bias[row];
  }
  return to;
}

size_t profile_sum(Profile profile, const float *length, size_t n, const uint32_t *history_item, const float *rating,
                   const uint8_t *held_out, uint32_t *item, float *weight) {
  double mean = 0;
  size_t trained = 0, count = 0;
  for (size_t i = 0; i < n; i++) {
    if (held_out && held_out[i]) continue;
    mean += rating ? (double)rating[i] : 1;
    trained++;
  }
  if (trained) mean /= (double)trained;
  for (size_t i = 0; i < n; i++) {
    double value = rating ? (double)rating[i] : 1;
    double w = profile == PROFILE_MEAN ? 1 : profile == PROFILE_RATING ? value : value - mean;
    float long_as = length ? length[history_item[i]] : 1;
    if ((held_out && held_out[i]) || w == 0 || long_as == 0) continue;
    item[count] = history_item[i];
    weight[count++] = (float)(w * (double)long_as);
  }
  return count;
}

double shape_prediction(const ModelShape *shape, double raw) {
  if (shape->range == RANGE_NONE) return raw;
  if (shape->range == RANGE_MINMAX && shape->high > shape->low) {
    double share = (raw - shape->low) / (shape->high - shape->low);
    raw = shape->minimum + share * (shape->maximum - shape->minimum);
  }
  return raw < shape->minimum ? shape->minimum : raw > shape->maximum ? shape->maximum : raw;
}
