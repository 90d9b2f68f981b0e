/* The nearest users of a history: see neighborhood.h. */
#include "neighborhood.h"

#include <string.h>

#include "../../base/memory.h"
#include "../../base/parallel.h"
#include "../../learn/neighbor_predict.h"
#include "../../score/top_k.h"
#include "../all_histories.h"

_Static_assert((int)SIMILARITIES == NEIGHBOR_SIMILARITIES && (int)WEIGHTINGS == NEIGHBOR_WEIGHTINGS &&
                   (int)CENTERINGS == NEIGHBOR_CENTERINGS,
               "a stored model may have any of these, and no other");

NeighborOptions neighbor_search_options(const ModelShape *shape, int threads) {
  const NeighborShape *neighbors = &shape->neighbors;
  return (NeighborOptions){
      .similarity = (Similarity)neighbors->similarity,
      .weighting = (NeighborWeighting)neighbors->weighting,
      .bm25_k1 = neighbors->bm25_k1,
      .bm25_b = neighbors->bm25_b,
      .rows_are_users = shape->kind->neighbors_of_users,
      .size = neighbors->size > 0 ? (size_t)neighbors->size : SIZE_MAX,
      .threshold = neighbors->threshold,
      .shrinkage = neighbors->shrinkage,
      .min_support = (size_t)neighbors->min_support,
      .sample = (size_t)neighbors->sample,
      .seed = (uint64_t)neighbors->seed,
      .threads = threads,
  };
}

/* Copies the entries of a history that were trained on behind those of the rows before. */
static void append_history(SparseMatrix *matrix, size_t row, const History *history) {
  size_t to = matrix->start[row];
  for (size_t i = 0; i < history->count; i++) {
    if (history_is_held_out(history, i)) continue;
    matrix->index[to] = history->item[i];
    if (matrix->value) matrix->value[to] = history_rating(history, i);
    to++;
  }
  matrix->start[row + 1] = to;
}

/* All histories, with this one as the user's. */
static int matrix_with(const SparseMatrix *all, size_t user, const History *history, SparseMatrix *matrix) {
  size_t rows = user < all->rows ? all->rows : all->rows + 1, columns = all->columns;
  if (history->count && history->item[history->count - 1] >= columns) columns++;
  int code = sparse_alloc(matrix, rows, columns, all->start[all->rows] + history->count,
                          all->value != NULL || history->rating != NULL);
  for (size_t row = 0; code == SQLITE_OK && row < rows; row++) {
    if (row == user) {
      append_history(matrix, row, history);
      continue;
    }
    size_t from = all->start[row], to = matrix->start[row], n = sparse_row_length(all, row);
    memcpy(matrix->index + to, all->index + from, n * sizeof *matrix->index);
    for (size_t e = 0; matrix->value && e < n; e++) matrix->value[to + e] = sparse_value(all, from + e);
    matrix->start[row + 1] = to + n;
  }
  return code;
}

/* The best of all similarities, as one list. */
static int choose(const NeighborOptions *options, const float *similarity, const uint32_t *support, size_t rows,
                  NeighborLists *lists) {
  size_t k = options->size < rows ? options->size : rows;
  Scored *best = memory_alloc(k, sizeof *best);
  TopK top;
  *lists = (NeighborLists){.rows = 1,
                           .start = memory_alloc_zero(2, sizeof *lists->start),
                           .neighbor = memory_alloc(k, sizeof *lists->neighbor),
                           .similarity = memory_alloc(k, sizeof *lists->similarity),
                           .support = memory_alloc(k, sizeof *lists->support)};
  int complete = best && lists->start && lists->neighbor && lists->similarity && lists->support;
  if (complete) {
    top_k_init(&top, best, k);
    const float least = neighbors_least(options->threshold);
    for (size_t row = 0; row < rows; row++)
      if (similarity[row] >= least && similarity[row] != 0) top_k_offer(&top, similarity[row], (uint32_t)row);
    lists->start[1] = top_k_sort(&top);
    for (size_t i = 0; i < lists->start[1]; i++) {
      lists->neighbor[i] = best[i].index;
      lists->similarity[i] = best[i].score;
      lists->support[i] = support[best[i].index];
    }
  }
  memory_free(best);
  return complete ? SQLITE_OK : SQLITE_NOMEM;
}

static int search(const ModelShape *shape, const SparseMatrix *rows, size_t user, NeighborLists *lists,
                  const Cancel *cancel, Error *error) {
  const NeighborOptions options = neighbor_search_options(shape, parallel_threads(0));
  SparseMatrix features = {0};
  NeighborSearch *found = NULL;
  float *similarity = memory_alloc(rows->rows, sizeof *similarity);
  uint32_t *support = memory_alloc(rows->rows, sizeof *support);
  int code = similarity && support ? sparse_transpose(rows, &features, options.threads, cancel) : SQLITE_NOMEM;
  if (code == SQLITE_OK) code = neighbors_create(&found, rows, &features, &options, cancel, error);
  if (code == SQLITE_OK) code = neighbors_row(found, user, similarity, support);
  if (code == SQLITE_OK) code = choose(&options, similarity, support, rows->rows, lists);
  neighbors_destroy(found);
  sparse_free(&features);
  memory_free(similarity);
  memory_free(support);
  return code;
}

int neighborhood_find(Model *model, const ModelItems *items, uint32_t user, const History *history,
                      NeighborLists *lists, const Cancel *cancel, Error *error) {
  Observed *observed = NULL;
  SparseMatrix rows = {0};
  *lists = (NeighborLists){0};
  int code = model_observed(model, items, &observed, error);
  if (code != SQLITE_OK) return code;
  code = matrix_with(&observed->by_user, user, history, &rows);
  if (code == SQLITE_OK) code = search(&items->shape, &rows, user, lists, cancel, error);
  sparse_free(&rows);
  observed_release(observed);
  return error_from_code(error, code);
}

/* ---- of many users, without an item ------------------------------------------------------------------------------ */

struct Neighborhood {
  SparseMatrix rows, features;
  NeighborOptions options;
  NeighborSearch *search;
  float *similarity;
  uint32_t *support;
};

static int copy_without(const SparseMatrix *all, uint32_t item, SparseMatrix *matrix) {
  int code = sparse_alloc(matrix, all->rows, all->columns, all->start[all->rows], all->value != NULL);
  size_t to = 0;
  for (size_t row = 0; code == SQLITE_OK && row < all->rows; row++) {
    for (size_t e = all->start[row]; e < all->start[row + 1]; e++) {
      if (all->index[e] == item) continue;
      matrix->index[to] = all->index[e];
      if (matrix->value) matrix->value[to] = sparse_value(all, e);
      to++;
    }
    matrix->start[row + 1] = to;
  }
  return code;
}

int neighborhood_without(Model *model, const ModelItems *items, uint32_t item, Neighborhood **made,
                         const Cancel *cancel, Error *error) {
  Observed *observed = NULL;
  Neighborhood *neighborhood = *made = memory_alloc_zero(1, sizeof *neighborhood);
  if (!neighborhood) return error_no_memory(error);
  int code = model_observed(model, items, &observed, error);
  if (code != SQLITE_OK) return code;
  size_t users = observed->by_user.rows;
  neighborhood->options = neighbor_search_options(&items->shape, parallel_threads(0));
  neighborhood->similarity = memory_alloc(users, sizeof *neighborhood->similarity);
  neighborhood->support = memory_alloc(users, sizeof *neighborhood->support);
  if (!neighborhood->similarity || !neighborhood->support) code = SQLITE_NOMEM;
  if (code == SQLITE_OK) code = copy_without(&observed->by_user, item, &neighborhood->rows);
  if (code == SQLITE_OK)
    code = sparse_transpose(&neighborhood->rows, &neighborhood->features, neighborhood->options.threads, cancel);
  if (code == SQLITE_OK)
    code = neighbors_create(&neighborhood->search, &neighborhood->rows, &neighborhood->features, &neighborhood->options,
                            cancel, error);
  observed_release(observed);
  return error_from_code(error, code);
}

int neighborhood_of(Neighborhood *neighborhood, uint32_t user, NeighborLists *lists, Error *error) {
  *lists = (NeighborLists){0};
  int code = neighbors_row(neighborhood->search, user, neighborhood->similarity, neighborhood->support);
  if (code == SQLITE_OK)
    code =
        choose(&neighborhood->options, neighborhood->similarity, neighborhood->support, neighborhood->rows.rows, lists);
  return error_from_code(error, code);
}

void neighborhood_end(Neighborhood *neighborhood) {
  if (!neighborhood) return;
  neighbors_destroy(neighborhood->search);
  sparse_free(&neighborhood->rows);
  sparse_free(&neighborhood->features);
  memory_free(neighborhood->similarity);
  memory_free(neighborhood->support);
  memory_free(neighborhood);
}
