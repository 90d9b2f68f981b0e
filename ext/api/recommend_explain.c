/* recommend_explain(user, item, k [, model]): why an item has the score that it has for a user.
 *
 * One row for each entry of the user's history, the k that matter most first, either way; and a last one without an
 * item, for what is due to no item or to the entries that were cut off: the contributions always add up to the score,
 * the shares to 1. See fold_contributions() for what a contribution is. A baseline's scores are due to no entry: that
 * last row is all there is. */
#include <math.h>
#include <stdlib.h>

#include "../answer/fold_in.h"
#include "../base/memory.h"
#include "../data/interrupt.h"
#include "../model/model_scorer.h"
#include "register.h"
#include "table_function.h"

enum { EXPLAIN_ITEM, EXPLAIN_RATING, EXPLAIN_CONTRIBUTION, EXPLAIN_SHARE };

typedef struct Reason {
  uint32_t item;
  float rating;
  double contribution;
} Reason;

typedef struct Explanation {
  ModelItems *items;
  Reason *reasons; /* the largest first */
  size_t count;    /* of those that are shown */
  double rest, score;
} Explanation;

static int by_size(const void *a, const void *b) {
  const Reason *x = a, *y = b;
  double p = fabs(x->contribution), q = fabs(y->contribution);
  if (p != q) return p > q ? -1 : 1;
  return x->item < y->item ? -1 : x->item > y->item;
}

/* The k largest, and what is left of the score. */
static int gather(Explanation *state, const History *history, const double *contribution, int64_t k) {
  state->reasons = memory_alloc(history->count, sizeof *state->reasons);
  if (!state->reasons) return SQLITE_NOMEM;
  const ModelShape *shape = &state->items->shape;
  int of_biases = !shape_sums(shape) && !shape->rank[shape->score_head];
  for (size_t i = 0; i < history->count && !of_biases; i++) {
    if (history_is_held_out(history, i)) continue;
    state->reasons[state->count++] = (Reason){history->item[i], history_rating(history, i), contribution[i]};
  }
  qsort(state->reasons, state->count, sizeof *state->reasons, by_size);
  if ((int64_t)state->count > k) state->count = (size_t)k;
  state->rest = state->score;
  for (size_t i = 0; i < state->count; i++) state->rest -= state->reasons[i].contribution;
  return SQLITE_OK;
}

static int explain(TableCall *call, Model *model, int64_t k, const Cancel *cancel, Error *error) {
  Explanation *state = call->state;
  ModelItems *items = state->items;
  ModelUser user = {0};
  History history = {0};
  Id user_id, item_id;
  double *contribution = NULL;
  int found = 0;
  int user_there = id_from_value_as(call->argument[0], items->user_affinity, &user_id);
  int item_there = id_from_value_as(call->argument[1], items->item_affinity, &item_id);
  int code = user_there < 0 || item_there < 0 ? error_no_memory(error) : SQLITE_OK;
  uint32_t item = item_there > 0 ? dictionary_find(&items->ids, &item_id) : DICTIONARY_NONE;
  if (code == SQLITE_OK && user_there > 0 && item != DICTIONARY_NONE)
    code = model_user(model, items, &user_id, &user, &history, &found, error);
  if (code == SQLITE_OK && found) {
    state->score =
        (double)items_score(items, items->shape.score_head, item, &user) + user.offset[items->shape.score_head];
    contribution = memory_alloc(history.count, sizeof *contribution);
    code = contribution ? fold_contributions(items, &user, &history, item, contribution, cancel, error)
                        : error_no_memory(error);
    if (code == SQLITE_OK && gather(state, &history, contribution, k) != SQLITE_OK) code = error_no_memory(error);
    call->rows = (int64_t)state->count + 1;
  }
  memory_free(contribution);
  history_free(&history);
  user_free(&user);
  return code;
}

static int explain_start(TableCall *call, Error *error) {
  Explanation *state = call->state;
  Model *model = NULL;
  Interrupt interrupt;
  int64_t k = 0;
  call->rows = 0;
  int code = argument_k(call, 2, &k, error);
  if (code == SQLITE_OK)
    code = connection_model(call->connection, call->function->name, ABILITY_EXPLAIN, call->argument[3], &model, error);
  if (code == SQLITE_OK) code = model_begin(model, &state->items, error);
  if (code != SQLITE_OK) return code;
  connection_interrupt(call->connection, &interrupt);
  code = model_require(model, state->items, ABILITY_RECOMMEND, call->function->name, error);
  if (code == SQLITE_OK) code = model_require(model, state->items, ABILITY_EXPLAIN, call->function->name, error);
  if (code == SQLITE_OK) code = explain(call, model, k, &interrupt.cancel, error);
  interrupt_end(&interrupt);
  model_end(model);
  return code;
}

static void explain_column(const TableCall *call, sqlite3_context *context, int which) {
  const Explanation *state = call->state;
  const Reason *reason = call->row < (int64_t)state->count ? &state->reasons[call->row] : NULL;
  double contribution = reason ? reason->contribution : state->rest;
  switch (which) {
    case EXPLAIN_ITEM:
      if (reason) {
        Id id = dictionary_id(&state->items->ids, reason->item);
        id_result(context, &id);
      }
      break;
    case EXPLAIN_RATING:
      if (reason) sqlite3_result_double(context, (double)reason->rating);
      break;
    case EXPLAIN_CONTRIBUTION: sqlite3_result_double(context, contribution); break;
    case EXPLAIN_SHARE:
      if (state->score != 0) sqlite3_result_double(context, contribution / state->score);
      break;
  }
}

static void explain_end(TableCall *call) {
  Explanation *state = call->state;
  memory_free(state->reasons);
  items_release(state->items);
  *state = (Explanation){0};
}

/* `_item` is explained; `item` is what its score is owed to. */
static const TableFunction explain_function = {
    .name = "recommend_explain",
    .schema =
        "CREATE TABLE x(item, rating REAL, contribution REAL, share REAL, _user BLOB HIDDEN, _item BLOB HIDDEN, "
        "_k HIDDEN, _model HIDDEN)",
    .usage = "recommend_explain(user, item, k [, model])",
    .outputs = 4,
    .arguments = 4,
    .required = 2,
    .rows = 100,
    .cost = 1000,
    .state_size = sizeof(Explanation),
    .start = explain_start,
    .column = explain_column,
    .end = explain_end,
};

int recommend_explain_register(Connection *connection) {
  return table_function_register(connection, &explain_function);
}
