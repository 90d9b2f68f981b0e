/* recommend_explain(user, item, k [, model]): why an item has the score that it has for a user.
 *
 * One row for each entry of the user's history, the k that matter most first, either way; and a last one without an
 * item, for what is due to no item or to the entries that were cut off: the contributions always add up to the score,
 * the shares to 1. See answer/explanation.h. */
#include "../answer/explanation.h"
#include "arguments.h"
#include "register.h"

enum { EXPLAIN_ITEM, EXPLAIN_RATING, EXPLAIN_CONTRIBUTION, EXPLAIN_SHARE };

typedef struct Explained {
  ModelItems *items;
  Explanation explanation;
} Explained;

static int explain_start(TableCall *call, Error *error) {
  Explained *state = call->state;
  Interrupt interrupt;
  Id user;
  int64_t k = argument_k(call, 2, error);
  Model *model = argument_model(call, 3, ABILITY_EXPLAIN, &state->items, error);
  if (!model) return error->code;
  connection_interrupt(call->connection, &interrupt);
  if (model_require(model, state->items, ABILITY_RECOMMEND, call->function->name, error) == SQLITE_OK)
    model_require(model, state->items, ABILITY_EXPLAIN, call->function->name, error);
  int given = argument_user(call, 0, state->items, &user, error), known = 0;
  uint32_t item = argument_item(call, 1, state->items, error);
  if (!error->code && given && item != DICTIONARY_NONE)
    explanation_make(&state->explanation, model, state->items, &user, item, k, &known, &interrupt.cancel, error);
  call->rows = known ? (int64_t)state->explanation.count + 1 : 0;
  interrupt_end(&interrupt);
  model_end(model);
  return error->code;
}

static void explain_column(const TableCall *call, sqlite3_context *context, int which) {
  const Explained *state = call->state;
  const Explanation *explanation = &state->explanation;
  const Reason *reason = call->row < (int64_t)explanation->count ? &explanation->reasons[call->row] : NULL;
  double contribution = reason ? reason->contribution : explanation->rest;
  switch (which) {
    case EXPLAIN_ITEM:
      if (reason) result_id(context, &state->items->ids, reason->item);
      break;
    case EXPLAIN_RATING:
      if (reason) sqlite3_result_double(context, (double)reason->rating);
      break;
    case EXPLAIN_CONTRIBUTION: sqlite3_result_double(context, contribution); break;
    case EXPLAIN_SHARE:
      if (explanation->score != 0) sqlite3_result_double(context, contribution / explanation->score);
      break;
  }
}

static void explain_end(TableCall *call) {
  Explained *state = call->state;
  explanation_free(&state->explanation);
  items_release(state->items);
  *state = (Explained){0};
}

/* `_item` is explained; `item` is an entry of the history that contributes to its score. */
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
    .state_size = sizeof(Explained),
    .start = explain_start,
    .column = explain_column,
    .end = explain_end,
};

int recommend_explain_register(Connection *connection) {
  return table_function_register(connection, &explain_function);
}
