/* recommend(user, k [, model]): the items a user has not seen, best first.
 *
 * An unknown user, or one of whom nothing was learned, gets the items that most people like (shape_likes); the score is
 * then how many these are, and the reason 'popular'. Without k rows stream best first, and item = ? or item IN (…) is
 * the set to choose from. */
#include "arguments.h"
#include "recommendation_list.h"
#include "register.h"

/* The ranking itself; the model has begun. */
static void rank_for_user(TableCall *call, Model *model, Recommendation *state, const Cancel *cancel, Error *error) {
  const ModelItems *items = state->items;
  ModelUser user = {0};
  History history = {0};
  Id id;
  int found = 0;
  if (!argument_user(call, 0, items, &id, error)) return; /* NULL: no rows */
  int code = model_user(model, items, &id, &user, &history, &found, error);
  state->popular = !found || user.blank;
  if (code == SQLITE_OK && state->popular) code = model_popularity(model, items, &state->popularity, error);
  if (code == SQLITE_OK) recommendation_rank(call, state->popular ? NULL : &user, &history, cancel, error);
  history_free(&history);
  user_free(&user);
}

static int recommend_start(TableCall *call, Error *error) {
  Recommendation *state = call->state;
  Interrupt interrupt;
  state->k = argument_k(call, 1, error);
  Model *model = argument_model(call, 2, ABILITY_RECOMMEND, &state->items, error);
  if (!model) return error->code;
  connection_interrupt(call->connection, &interrupt);
  model_require(model, state->items, ABILITY_RECOMMEND, call->function->name, error);
  rank_for_user(call, model, state, &interrupt.cancel, error);
  interrupt_end(&interrupt);
  model_end(model);
  return error->code;
}

static const TableFunction recommend_function = {
    .name = "recommend",
    .schema = "CREATE TABLE x(" RECOMMENDATION_COLUMNS ", _user BLOB HIDDEN, _k HIDDEN, _model HIDDEN)",
    .usage = "recommend(user, k [, model])",
    .start = recommend_start,
    RECOMMENDATION_FUNCTION,
};

int recommend_user_register(Connection *connection) { return table_function_register(connection, &recommend_function); }
