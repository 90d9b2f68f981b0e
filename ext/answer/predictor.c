/* Predicted ratings: see predictor.h.
 *
 * With neighbours, ŷ = b_ui + Σ s (r − b) / Σ |s| over those that have a rating: of user neighbours those who rated the
 * item, of item neighbours those that the user rated. They are the row's own `size` neighbours, as they are stored, or
 * the `size` nearest of all who rated ("neighbors": "raters"). Where no neighbour has a rating, the prediction is the
 * base b_ui, and without centring the mean of all ratings. */
#include "predictor.h"

#include <math.h>

#include "../base/indexes.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../model/kinds/neighborhood.h"

/* ---- beginning --------------------------------------------------------------------------------------------------- */

/* Rows are users or items; features the others. */
static const SparseMatrix *rows_of(const Predictor *predictor) {
  return predictor->by_user ? &predictor->observed->by_user : &predictor->observed->by_item;
}

static const SparseMatrix *features_of(const Predictor *predictor) {
  return predictor->by_user ? &predictor->observed->by_item : &predictor->observed->by_user;
}

/* What is worked out once for all that was observed, and kept with it: a prediction would else take as long as a pass
 * over the ratings. */
typedef struct Basis {
  NeighborSearch *search; /* of the nearest raters; NULL: they are stored */
  float *spread;          /* σ of every row, for zscore; NULL: none */
} Basis;

static void basis_free(void *derived) {
  Basis *basis = derived;
  neighbors_destroy(basis->search);
  memory_free(basis->spread);
  memory_free(basis);
}

static int measure_spread(const SparseMatrix *rows, float **spread) {
  *spread = memory_alloc(rows->rows, sizeof **spread);
  if (!*spread) return SQLITE_NOMEM;
  for (size_t row = 0; row < rows->rows; row++)
    (*spread)[row] =
        rows->value ? (float)neighbor_deviation(rows->value + rows->start[row], sparse_row_length(rows, row)) : 1;
  return SQLITE_OK;
}

static int make_basis(const Predictor *predictor, Basis **made, const Cancel *cancel, Error *error) {
  const ModelShape *shape = &predictor->items->shape;
  Basis *basis = *made = memory_alloc_zero(1, sizeof *basis);
  int code = basis ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK && shape->neighbors.centering == CENTERING_ZSCORE &&
      measure_spread(rows_of(predictor), &basis->spread) != SQLITE_OK)
    code = error_no_memory(error);
  if (code == SQLITE_OK && shape->neighbors.raters) {
    NeighborOptions options = neighbor_search_options(shape, parallel_threads(0));
    code = neighbors_create(&basis->search, rows_of(predictor), features_of(predictor), &options, cancel, error);
  }
  return code;
}

/* The basis that observed holds, made where it is not there. */
static int take_basis(Predictor *predictor, const Cancel *cancel, Error *error) {
  Observed *observed = predictor->observed;
  int code = SQLITE_OK;
  if (!observed->derived) {
    Basis *basis = NULL;
    code = make_basis(predictor, &basis, cancel, error);
    if (code == SQLITE_OK) {
      observed->derived = basis;
      observed->derived_free = basis_free;
    } else if (basis) {
      basis_free(basis);
    }
  }
  if (code == SQLITE_OK) {
    predictor->search = ((const Basis *)observed->derived)->search;
    predictor->spread = ((const Basis *)observed->derived)->spread;
  }
  return code;
}

int predictor_begin(Predictor *predictor, Model *model, const ModelItems *items, const Cancel *cancel, Error *error) {
  const ModelShape *shape = &items->shape;
  const NeighborShape *neighbors = &shape->neighbors;
  *predictor = (Predictor){.items = items, .searched = UINT32_MAX};
  predictor->by_user = shape->links == LINK_USER_NEIGHBORS;
  predictor->of_neighbors = predictor->by_user || shape->links == LINK_ITEM_NEIGHBORS;
  if (!predictor->of_neighbors) return SQLITE_OK;
  predictor->least = neighbors_least(neighbors->threshold);
  int code = predictor->by_user ? model_count_users(model, error) : SQLITE_OK;
  if (code != SQLITE_OK) return code;
  size_t rows = predictor->by_user ? (size_t)model_user_count(model) : items->ids.count;
  predictor->votes = memory_alloc(rows, sizeof *predictor->votes);
  code = predictor->votes ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK && (predictor->by_user || neighbors->raters || neighbors->centering == CENTERING_ZSCORE))
    code = model_observed(model, items, &predictor->observed, error);
  if (code == SQLITE_OK && predictor->observed) code = take_basis(predictor, cancel, error);
  if (code == SQLITE_OK && predictor->search) {
    predictor->similarity = memory_alloc(rows, sizeof *predictor->similarity);
    predictor->support = memory_alloc(rows, sizeof *predictor->support);
    if (!predictor->similarity || !predictor->support) code = error_no_memory(error);
  }
  return code;
}

void predictor_end(Predictor *predictor) {
  observed_release(predictor->observed);
  neighbor_lists_free(&predictor->list);
  postings_vector_free(&predictor->spread_user);
  memory_free(predictor->similarity);
  memory_free(predictor->support);
  memory_free(predictor->votes);
  *predictor = (Predictor){0};
}

/* ---- a user ------------------------------------------------------------------------------------------------------ */

/* The similarities of a row with all others, if they are not there yet. */
static int search_row(Predictor *predictor, uint32_t row, Error *error) {
  if (predictor->searched == row) return SQLITE_OK;
  predictor->searched = UINT32_MAX;
  if (neighbors_row(predictor->search, row, predictor->similarity, predictor->support) != SQLITE_OK)
    return error_no_memory(error);
  predictor->searched = row;
  return SQLITE_OK;
}

int predictor_user(Predictor *predictor, Model *model, const PredictorUser *user, Error *error) {
  int head = predictor->items->shape.prediction_head;
  predictor->user = *user;
  if (user->single) {
    predictor->user.index = user->single->index;
    predictor->user.vector = user->single->vector[head];
    predictor->user.offset = user->single->offset[head];
  }
  if (predictor->items->shape.sparse) {
    postings_vector_free(&predictor->spread_user);
    return error_from_code(
        error, postings_expand(&predictor->items->postings, user->single->query.each, &predictor->spread_user));
  }
  if (!predictor->by_user) return SQLITE_OK;
  if (predictor->items->shape.neighbors.raters) return search_row(predictor, predictor->user.index, error);
  neighbor_lists_free(&predictor->list);
  return model_user_neighbors(model, predictor->user.index, &predictor->list, error);
}

/* ---- a cell ------------------------------------------------------------------------------------------------------ */

/* Adds a vote. `base` is what the neighbour's rating is expected to be. */
static void vote(Predictor *predictor, size_t *count, float similarity, double rating, double base, size_t row) {
  double deviation = rating - base;
  if (similarity < predictor->least || similarity == 0) return;
  if (predictor->spread) deviation /= (double)predictor->spread[row];
  predictor->votes[(*count)++] = (NeighborVote){similarity, (float)deviation};
}

static double item_bias(const Predictor *predictor, uint32_t item) {
  const float *bias = predictor->items->panel[HEAD_RATING].bias;
  return bias ? (double)bias[item] : 0;
}

/* Those who rated the item. */
static size_t votes_of_users(Predictor *predictor, uint32_t item) {
  const Observed *observed = predictor->observed;
  const SparseMatrix *by_user = &observed->by_user, *by_item = &observed->by_item;
  const NeighborLists *list = &predictor->list;
  double bias = item_bias(predictor, item);
  int none = predictor->items->shape.neighbors.centering == CENTERING_NONE;
  size_t count = 0;
  if (predictor->search) {
    for (size_t e = by_item->start[item]; e < by_item->start[item + 1]; e++) {
      uint32_t user = by_item->index[e];
      vote(predictor, &count, predictor->similarity[user], (double)sparse_value(by_item, e),
           none ? 0 : (double)observed->user_offset[user] + bias, user);
    }
    return count;
  }
  for (size_t e = 0; e < list->start[1]; e++) {
    uint32_t user = list->neighbor[e];
    size_t first = by_user->start[user], n = sparse_row_length(by_user, user);
    size_t place = indexes_place(by_user->index + first, n, item);
    if (place < n)
      vote(predictor, &count, list->similarity[e], (double)sparse_value(by_user, first + place),
           none ? 0 : (double)observed->user_offset[user] + bias, user);
  }
  return count;
}

/* What the user rated. */
static int votes_of_items(Predictor *predictor, uint32_t item, size_t *count, Error *error) {
  const History *history = predictor->user.history;
  const NeighborLists *lists = &predictor->items->neighbors;
  int none = predictor->items->shape.neighbors.centering == CENTERING_NONE;
  double offset = predictor->user.offset;
  if (predictor->search) {
    int code = search_row(predictor, item, error);
    for (size_t i = 0; code == SQLITE_OK && i < history->count; i++) {
      uint32_t other = history->item[i];
      if (history_is_held_out(history, i)) continue;
      vote(predictor, count, predictor->similarity[other], (double)history_rating(history, i),
           none ? 0 : offset + item_bias(predictor, other), other);
    }
    return code;
  }
  for (size_t e = lists->start[item]; e < lists->start[item + 1]; e++) {
    uint32_t other = lists->neighbor[e];
    size_t place = history_place(history, other);
    if (place < history->count && !history_is_held_out(history, place))
      vote(predictor, count, lists->similarity[e], (double)history_rating(history, place),
           none ? 0 : offset + item_bias(predictor, other), other);
  }
  return SQLITE_OK;
}

static int rate_by_neighbors(Predictor *predictor, uint32_t item, double *prediction, Error *error) {
  const ModelShape *shape = &predictor->items->shape;
  size_t count = 0, size = shape->neighbors.size ? (size_t)shape->neighbors.size : SIZE_MAX;
  int code = SQLITE_OK, none = shape->neighbors.centering == CENTERING_NONE;
  if (predictor->by_user)
    count = votes_of_users(predictor, item);
  else
    code = votes_of_items(predictor, item, &count, error);
  double base = none ? 0 : predictor->user.offset + item_bias(predictor, item);
  double deviation = neighbor_vote(predictor->votes, count, size);
  if (none && count == 0) base = shape->average;
  if (predictor->spread) deviation *= (double)predictor->spread[predictor->by_user ? predictor->user.index : item];
  *prediction = shape_prediction(shape, base + deviation);
  return code;
}

int predictor_rate(Predictor *predictor, uint32_t item, double *prediction, Error *error) {
  const ModelItems *items = predictor->items;
  int head = items->shape.prediction_head;
  if (predictor->of_neighbors) return rate_by_neighbors(predictor, item, prediction, error);
  double score;
  if (predictor->spread_user.weight)
    score = (double)postings_score(&items->postings, item, &predictor->spread_user);
  else
    score = (double)score_panel_score(&items->panel[head], item, predictor->user.vector) + predictor->user.offset;
  *prediction = shape_prediction(&items->shape, score);
  return SQLITE_OK;
}

double predictor_estimate(const ModelItems *items, double user_offset, uint32_t item) {
  const ModelShape *shape = &items->shape;
  int head = shape->prediction_head;
  const FoldIn *fold = &shape->fold[head];
  if (!shape->biases[head]) return shape->average; /* a rating */
  /* The biases of a projection are the means themselves. */
  if (fold->method == FOLD_PROJECTION && (fold->user_mean ? isnan(user_offset) : item == DICTIONARY_NONE))
    return shape->average;
  double sum = isnan(user_offset) ? shape->mean[head] : user_offset;
  if (item != DICTIONARY_NONE) sum += (double)items->panel[head].bias[item];
  return shape_prediction(shape, sum);
}
