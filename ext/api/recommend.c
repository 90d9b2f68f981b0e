/* recommend(user, k [, model]): the items a user has not seen, best first.
 *
 * An unknown user, or one of whom nothing was learned, gets the most frequent items; the score is then their count and
 * the reason 'popular'. Without k rows stream best first, and item = ? or item IN (…) is the set to choose from. */
#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../data/interrupt.h"
#include "recommendation.h"
#include "register.h"

/* The ranking itself; the model has begun. */
static int rank(TableCall *call, Model *model, Recommendation *state, const Cancel *cancel, Error *error) {
  ModelItems *items = state->items;
  ModelUser user = {0};
  History history = {0};
  Id id;
  int found = 0;
  RankingRequest request = {
      .items = items,
      .history = &history,
      .seen = UNSEEN_ONLY,
      .best_first = 1,
      .limit = state->k < call->limit ? state->k : call->limit,
      .threads = parallel_threads(0),
      .cancel = cancel,
  };
  uint32_t *candidates = NULL;
  int there = id_from_value_as(call->argument[0], items->user_affinity, &id);
  int code = there < 0 ? error_no_memory(error) : SQLITE_OK;
  if (there > 0) code = model_user(model, items, &id, &user, &found, error);
  if (code == SQLITE_OK && found) code = model_history(model, items, user.index, &history, error);
  if (code == SQLITE_OK && call->has_candidates) {
    request.has_candidates = 1;
    code = ranking_candidates(items, call->candidates.values, call->candidates.count, &candidates,
                              &request.candidate_count);
    request.candidates = candidates;
    if (code != SQLITE_OK) error_no_memory(error);
  }
  state->popular = !found || user.blank;
  request.user = state->popular ? NULL : &user;
  if (code == SQLITE_OK && there > 0) code = interrupt_error(error, ranking_start(&state->ranking, &request));
  memory_free(candidates);
  history_free(&history);
  user_free(&user);
  return code;
}

static int start(TableCall *call, Error *error) {
  Recommendation *state = call->state;
  Model *model = NULL;
  Interrupt interrupt;
  int code = argument_k(call, 1, &state->k, error);
  if (code == SQLITE_OK)
    code = connection_model(call->connection, call->function->name, NEED_USERS, call->argument[2], &model, error);
  if (code == SQLITE_OK) code = model_begin(model, &state->items, error);
  if (code != SQLITE_OK) return code;
  interrupt_begin(&interrupt, call->connection->db);
  code = model_check_users(model, state->items, call->function->name, error);
  if (code == SQLITE_OK) code = rank(call, model, state, &interrupt.cancel, error);
  interrupt_end(&interrupt);
  model_end(model);
  return code;
}

static const TableFunction recommend_function = {
    .name = "recommend",
    .schema = "CREATE TABLE x(" RECOMMENDATION_COLUMNS ", user BLOB HIDDEN, k HIDDEN, model HIDDEN)",
    .usage = "recommend(user, k [, model])",
    .start = start,
    RECOMMENDATION_FUNCTION,
};

int recommend_register(Connection *connection) {
  int code = table_function_register(connection, &recommend_function);
  return code == SQLITE_OK ? recommend_all_register(connection) : code;
}
