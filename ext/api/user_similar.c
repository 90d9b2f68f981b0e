/* user_similar(user, k [, model]): the users nearest to a user, who is left out. answer/nearest_users.h
 * says what near means. */
#include "../answer/nearest_users.h"
#include "arguments.h"
#include "register.h"
#include "scored_list.h"

static int user_similar_start(TableCall *call, Error *error) {
  NearestUsers *users = call->state;
  ModelItems *items = NULL;
  Interrupt interrupt;
  int64_t k = argument_k(call, 1, error);
  Model *model = argument_model(call, 2, ABILITY_SIMILAR_USERS, &items, error);
  if (!model) return error->code;
  connection_interrupt(call->connection, &interrupt);
  model_require(model, items, ABILITY_RECOMMEND, call->function->name, error);
  Id user;
  int given = argument_user(call, 0, items, &user, error);
  if (!error->code)
    nearest_users_to(users, model, items, given ? &user : NULL, k, call->function->name, &interrupt.cancel, error);
  interrupt_end(&interrupt);
  model_end(model);
  items_release(items);
  call->rows = (int64_t)users->count;
  return error->code;
}

static const TableFunction user_similar_function = {
    .name = "user_similar",
    .schema = "CREATE TABLE x(rank INTEGER, user, similarity REAL, _user BLOB HIDDEN, _k HIDDEN, _model HIDDEN)",
    .usage = "user_similar(user, k [, model])",
    .arguments = 3,
    .start = user_similar_start,
    SCORED_USERS_FUNCTION,
};

int user_similar_register(Connection *connection) {
  return table_function_register(connection, &user_similar_function);
}
