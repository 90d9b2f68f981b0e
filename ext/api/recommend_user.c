/* recommend(user, k [, model]): the items a user has not seen, best first.
 *
 * An unknown user, or one of whom nothing was learned, gets the items that most people like (shape_likes); the score is
 * then how many these are, and the reason 'popular'. Without k rows stream best first, and item = ? or item IN (…) is
 * the set to choose from. */
#include "../data/interrupt.h"
#include "recommendation_list.h"
#include "register.h"

/* The ranking itself; the model has begun. */
static int rank(TableCall *call, Model *model, Recommendation *state, const Cancel *cancel, Error *error) {
  const ModelItems *items = state->items;
  ModelUser user = {0};
  History history = {0};
  Id id;
  int found = 0;
  int there = id_from_value_as(call->argument[0], items->user_affinity, &id);
  int code = there < 0 ? error_no_memory(error) : SQLITE_OK;
  if (there > 0) code = model_user(model, items, &id, &user, &history, &found, error);
  state->popular = !found || user.blank;
  if (code == SQLITE_OK && there > 0 && state->popular)
    code = model_popularity(model, items, &state->popularity, error);
  if (code == SQLITE_OK && there > 0)
    code = recommendation_rank(call, state->popular ? NULL : &user, &history, cancel, error);
  history_free(&history);
  user_free(&user);
  return code;
}

static int recommend_start(TableCall *call, Error *error) {
  Recommendation *state = call->state;
  Model *model = NULL;
  Interrupt interrupt;
  int code = argument_k(call, 1, &state->k, error);
  if (code == SQLITE_OK)
    code =
        connection_model(call->connection, call->function->name, ABILITY_RECOMMEND, call->argument[2], &model, error);
  if (code == SQLITE_OK) code = model_begin(model, &state->items, error);
  if (code != SQLITE_OK) return code;
  connection_interrupt(call->connection, &interrupt);
  code = model_require(model, state->items, ABILITY_RECOMMEND, call->function->name, error);
  if (code == SQLITE_OK) code = rank(call, model, state, &interrupt.cancel, error);
  interrupt_end(&interrupt);
  model_end(model);
  return code;
}

static const TableFunction recommend_function = {
    .name = "recommend",
    .schema = "CREATE TABLE x(" RECOMMENDATION_COLUMNS ", _user BLOB HIDDEN, _k HIDDEN, _model HIDDEN)",
    .usage = "recommend(user, k [, model])",
    .start = recommend_start,
    RECOMMENDATION_FUNCTION,
};

int recommend_user_register(Connection *connection) {
  int code = table_function_register(connection, &recommend_function);
  return code == SQLITE_OK ? recommend_all_register(connection) : code;
}
