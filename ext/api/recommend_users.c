/* recommend_users(item, k [, model]): the users who would like an item most, of those who have not seen it. */
#include "../answer/nearest_users.h"
#include "arguments.h"
#include "register.h"
#include "scored_list.h"

static int recommend_users_start(TableCall *call, Error *error) {
  NearestUsers *users = call->state;
  ModelItems *items = NULL;
  Interrupt interrupt;
  int64_t k = argument_k(call, 1, error);
  Model *model = argument_model(call, 2, ABILITY_RECOMMEND, &items, error);
  if (!model) return error->code;
  connection_interrupt(call->connection, &interrupt);
  model_require(model, items, ABILITY_RECOMMEND, call->function->name, error);
  uint32_t item = argument_item(call, 0, items, error);
  if (item != DICTIONARY_NONE) nearest_users_liking(users, model, items, item, k, &interrupt.cancel, error);
  interrupt_end(&interrupt);
  model_end(model);
  items_release(items);
  call->rows = (int64_t)users->count;
  return error->code;
}

static const TableFunction recommend_users_function = {
    .name = "recommend_users",
    .schema = "CREATE TABLE x(rank INTEGER, user, score REAL, _item BLOB HIDDEN, _k HIDDEN, _model HIDDEN)",
    .usage = "recommend_users(item, k [, model])",
    .arguments = 3,
    .start = recommend_users_start,
    SCORED_USERS_FUNCTION,
};

int recommend_users_register(Connection *connection) {
  return table_function_register(connection, &recommend_users_function);
}
