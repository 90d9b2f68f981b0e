/* A list of recommendations: see recommendation_list.h. */
#include "recommendation_list.h"

#include <assert.h>

#include "../base/memory.h"
#include "../base/parallel.h"

int recommendation_rank(TableCall *call, const ModelUser *user, const History *history, const Cancel *cancel,
                        Error *error) {
  Recommendation *state = call->state;
  uint32_t *candidates = NULL;
  assert(user || state->popularity);
  RankingRequest request = {
      .items = state->items,
      .user = user,
      .popularity = state->popularity,
      .history = history,
      .seen = UNSEEN_ONLY,
      .has_candidates = call->has_candidates,
      .best_first = 1,
      .limit = state->k < call->limit ? state->k : call->limit,
      .threads = parallel_threads(0),
      .cancel = cancel,
  };
  int code = SQLITE_OK;
  if (call->has_candidates)
    code = ranking_candidates(state->items, call->candidates.values, call->candidates.count, &candidates,
                              &request.candidate_count);
  request.candidates = candidates;
  if (code == SQLITE_OK) code = ranking_start(&state->ranking, &request);
  memory_free(candidates);
  return error_from_code(error, code);
}

int recommendation_rewind(TableCall *call, Error *error) {
  (void)error;
  Recommendation *state = call->state;
  ranking_rewind(&state->ranking);
  return SQLITE_OK;
}

int recommendation_next(TableCall *call, Error *error) {
  (void)error;
  Recommendation *state = call->state;
  ranking_next(&state->ranking);
  return SQLITE_OK;
}

int recommendation_at_end(const TableCall *call) {
  const Recommendation *state = call->state;
  return call->row >= state->k || ranking_at_end(&state->ranking);
}

void recommendation_column(const TableCall *call, sqlite3_context *context, int which) {
  const Recommendation *state = call->state;
  switch (which) {
    case RECOMMENDATION_RANK: sqlite3_result_int64(context, call->row + 1); break;
    case RECOMMENDATION_ITEM: result_id(context, &state->items->ids, ranking_item(&state->ranking)); break;
    case RECOMMENDATION_SCORE: sqlite3_result_double(context, ranking_score(&state->ranking)); break;
    case RECOMMENDATION_REASON:
      sqlite3_result_text(context, state->popular ? "popular" : "model", -1, SQLITE_STATIC);
      break;
  }
}

int64_t recommendation_identity(const TableCall *call) {
  return ranking_item(&((const Recommendation *)call->state)->ranking);
}

void recommendation_end(TableCall *call) {
  Recommendation *state = call->state;
  ranking_free(&state->ranking);
  popularity_release(state->popularity);
  items_release(state->items);
  *state = (Recommendation){0};
}
