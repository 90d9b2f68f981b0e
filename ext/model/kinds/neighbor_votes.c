/* Ratings as neighbours expect them: see neighbor_votes.h.
 *
 *     ŷ = b_ui + Σ s (r − b) / Σ |s|
 *
 * over the neighbours that have a rating to offer: with users as neighbours those who rated the item, with items those
 * that the user rated. They are the row's own `size` neighbours, as they are stored, or the `size` nearest of all who
 * rated ("neighbors": "raters"). Where no neighbour has a rating, the prediction is the base b_ui, and
 * without centring the mean of all ratings. */
#include "neighbor_votes.h"

#include "../../base/indexes.h"
#include "../../base/memory.h"
#include "../../base/parallel.h"
#include "../../learn/neighbor_predict.h"
#include "../all_histories.h"
#include "neighborhood.h"

typedef struct Voting {
  const ModelItems *items;
  PredictorUser user;
  int by_user;            /* neighbours are users, and not items */
  Observed *observed;     /* NULL: not needed */
  NeighborSearch *search; /* of the nearest raters; it and `spread` belong to `observed` */
  NeighborLists list;     /* a user's own neighbours */
  float least;            /* the lowest similarity that counts; 0 never does */
  float *similarity;      /* of the row searched last, one a row */
  uint32_t *support, searched;
  const float *spread; /* σ of every row, for zscore; NULL: none */
  NeighborVote *votes; /* room for a vote of every row */
} Voting;

/* ---- getting ready ----------------------------------------------------------------------------------------------- */

/* Rows are users or items; features the others. */
static const SparseMatrix *rows_of(const Voting *voting) {
  return voting->by_user ? &voting->observed->by_user : &voting->observed->by_item;
}

static const SparseMatrix *features_of(const Voting *voting) {
  return voting->by_user ? &voting->observed->by_item : &voting->observed->by_user;
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

static int make_basis(const Voting *voting, Basis **made, const Cancel *cancel, Error *error) {
  const ModelShape *shape = &voting->items->shape;
  Basis *basis = *made = memory_alloc_zero(1, sizeof *basis);
  int code = basis ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK && shape->neighbors.centering == CENTERING_ZSCORE &&
      measure_spread(rows_of(voting), &basis->spread) != SQLITE_OK)
    code = error_no_memory(error);
  if (code == SQLITE_OK && shape->neighbors.raters) {
    NeighborOptions options = neighbor_search_options(shape, parallel_threads(0));
    code = neighbors_create(&basis->search, rows_of(voting), features_of(voting), &options, cancel, error);
  }
  return code;
}

/* The basis that observed holds, made where it is not there. */
static int take_basis(Voting *voting, const Cancel *cancel, Error *error) {
  Observed *observed = voting->observed;
  int code = SQLITE_OK;
  if (!observed->derived) {
    Basis *basis = NULL;
    code = make_basis(voting, &basis, cancel, error);
    if (code == SQLITE_OK) {
      observed->derived = basis;
      observed->derived_free = basis_free;
    } else if (basis) {
      basis_free(basis);
    }
  }
  if (code == SQLITE_OK) {
    voting->search = ((const Basis *)observed->derived)->search;
    voting->spread = ((const Basis *)observed->derived)->spread;
  }
  return code;
}

static int voting_begin(Voting *voting, Model *model, const Cancel *cancel, Error *error) {
  const NeighborShape *neighbors = &voting->items->shape.neighbors;
  voting->least = neighbors_least(neighbors->threshold);
  int code = voting->by_user ? model_count_users(model, error) : SQLITE_OK;
  if (code != SQLITE_OK) return code;
  size_t rows = voting->by_user ? (size_t)model_user_count(model) : voting->items->ids.count;
  voting->votes = memory_alloc(rows, sizeof *voting->votes);
  code = voting->votes ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK && (voting->by_user || neighbors->raters || neighbors->centering == CENTERING_ZSCORE))
    code = model_observed(model, voting->items, &voting->observed, error);
  if (code == SQLITE_OK && voting->observed) code = take_basis(voting, cancel, error);
  if (code == SQLITE_OK && voting->search) {
    voting->similarity = memory_alloc(rows, sizeof *voting->similarity);
    voting->support = memory_alloc(rows, sizeof *voting->support);
    if (!voting->similarity || !voting->support) code = error_no_memory(error);
  }
  return code;
}

int neighbor_votes_begin(Predictor *predictor, Model *model, const Cancel *cancel, Error *error) {
  Voting *voting = predictor->state = memory_alloc_zero(1, sizeof *voting);
  if (!voting) return error_no_memory(error);
  voting->items = predictor->items;
  voting->by_user = predictor->items->shape.kind->neighbors_of_users;
  voting->searched = UINT32_MAX;
  int code = voting_begin(voting, model, cancel, error);
  predictor->searches = voting->search != NULL;
  return code;
}

void neighbor_votes_end(Predictor *predictor) {
  Voting *voting = predictor->state;
  if (!voting) return;
  observed_release(voting->observed);
  neighbor_lists_free(&voting->list);
  memory_free(voting->similarity);
  memory_free(voting->support);
  memory_free(voting->votes);
  memory_free(voting);
}

/* ---- a user ------------------------------------------------------------------------------------------------------ */

/* The similarities of a row with all others, if they are not there yet. */
static int search_row(Voting *voting, uint32_t row, Error *error) {
  if (voting->searched == row) return SQLITE_OK;
  voting->searched = UINT32_MAX;
  if (neighbors_row(voting->search, row, voting->similarity, voting->support) != SQLITE_OK)
    return error_no_memory(error);
  voting->searched = row;
  return SQLITE_OK;
}

int neighbor_votes_user(Predictor *predictor, Model *model, Error *error) {
  Voting *voting = predictor->state;
  voting->user = predictor->user;
  if (!voting->by_user) return SQLITE_OK;
  if (voting->items->shape.neighbors.raters) return search_row(voting, voting->user.index, error);
  neighbor_lists_free(&voting->list);
  return model_user_neighbors(model, voting->user.index, &voting->list, error);
}

/* ---- a cell ------------------------------------------------------------------------------------------------------ */

/* Adds a vote. `base` is what the neighbour's rating is expected to be. */
static void vote(Voting *voting, size_t *count, float similarity, double rating, double base, size_t row) {
  double deviation = rating - base;
  if (similarity < voting->least || similarity == 0) return;
  if (voting->spread) deviation /= (double)voting->spread[row];
  voting->votes[(*count)++] = (NeighborVote){similarity, (float)deviation};
}

static double item_bias(const Voting *voting, uint32_t item) {
  const float *bias = voting->items->panel[HEAD_RATING].bias;
  return bias ? (double)bias[item] : 0;
}

/* Those who rated the item. */
static size_t votes_of_users(Voting *voting, uint32_t item) {
  const Observed *observed = voting->observed;
  const SparseMatrix *by_user = &observed->by_user, *by_item = &observed->by_item;
  const NeighborLists *list = &voting->list;
  double bias = item_bias(voting, item);
  int none = voting->items->shape.neighbors.centering == CENTERING_NONE;
  size_t count = 0;
  if (voting->search) {
    for (size_t e = by_item->start[item]; e < by_item->start[item + 1]; e++) {
      uint32_t user = by_item->index[e];
      vote(voting, &count, voting->similarity[user], (double)sparse_value(by_item, e),
           none ? 0 : (double)observed->user_offset[user] + bias, user);
    }
    return count;
  }
  for (size_t e = 0; e < list->start[1]; e++) {
    uint32_t user = list->neighbor[e];
    size_t first = by_user->start[user], n = sparse_row_length(by_user, user);
    size_t place = indexes_place(by_user->index + first, n, item);
    if (place < n)
      vote(voting, &count, list->similarity[e], (double)sparse_value(by_user, first + place),
           none ? 0 : (double)observed->user_offset[user] + bias, user);
  }
  return count;
}

/* What the user rated. */
static int votes_of_items(Voting *voting, uint32_t item, size_t *count, Error *error) {
  const History *history = voting->user.history;
  const NeighborLists *lists = &voting->items->neighbors;
  int none = voting->items->shape.neighbors.centering == CENTERING_NONE;
  double offset = voting->user.offset;
  if (voting->search) {
    int code = search_row(voting, item, error);
    for (size_t i = 0; code == SQLITE_OK && i < history->count; i++) {
      uint32_t other = history->item[i];
      if (history_is_held_out(history, i)) continue;
      vote(voting, count, voting->similarity[other], (double)history_rating(history, i),
           none ? 0 : offset + item_bias(voting, other), other);
    }
    return code;
  }
  for (size_t e = lists->start[item]; e < lists->start[item + 1]; e++) {
    uint32_t other = lists->neighbor[e];
    size_t place = history_place(history, other);
    if (place < history->count && !history_is_held_out(history, place))
      vote(voting, count, lists->similarity[e], (double)history_rating(history, place),
           none ? 0 : offset + item_bias(voting, other), other);
  }
  return SQLITE_OK;
}

int neighbor_votes_rate(Predictor *predictor, uint32_t item, double *rating, Error *error) {
  Voting *voting = predictor->state;
  const ModelShape *shape = &voting->items->shape;
  size_t count = 0, size = shape->neighbors.size ? (size_t)shape->neighbors.size : SIZE_MAX;
  int code = SQLITE_OK, none = shape->neighbors.centering == CENTERING_NONE;
  if (voting->by_user)
    count = votes_of_users(voting, item);
  else
    code = votes_of_items(voting, item, &count, error);
  double base = none ? 0 : voting->user.offset + item_bias(voting, item);
  double deviation = neighbor_vote(voting->votes, count, size);
  if (none && count == 0) base = shape->average;
  if (voting->spread) deviation *= (double)voting->spread[voting->by_user ? voting->user.index : item];
  *rating = base + deviation;
  return code;
}
