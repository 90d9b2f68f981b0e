/* recommend_all(k [, model]): every user's k best unseen items.
 *
 * Users are read in blocks and scored by a matrix product fused with the selection; a block is read and computed when
 * its first row is asked for, so that memory does not grow with the number of users. Users of whom nothing was learned
 * get the most frequent items, as from recommend(). */
#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../model/store.h"
#include "arguments.h"
#include "block_rows.h"
#include "register.h"

enum { COLUMN_USER, COLUMN_RANK, COLUMN_ITEM, COLUMN_SCORE };
enum { MOST_USERS = 64 * STORE_CHUNK }; /* in a block */

typedef struct Everyone {
  BlockRows rows; /* members are users */
  Reading reading;
  size_t k, block; /* `block` is how many users a full block has */
  Interrupt interrupt;
  /* the current block */
  ModelUsers users;
  Popularity *popularity; /* where one of them is blank */
  Scored *best;           /* users.count × k */
  size_t *found;
} Everyone;

static void recommend_all_leave(Everyone *state) {
  users_free(&state->users);
  popularity_release(state->popularity);
  state->popularity = NULL;
  memory_free(state->best);
  memory_free(state->found);
  state->best = NULL;
  state->found = NULL;
}

/* The k most frequent items that a user has not seen. */
static void rank_popular(const ModelItems *items, const Popularity *popularity, const History *history, Scored *best,
                         size_t k, size_t *found) {
  TopK top;
  top_k_init(&top, best, k);
  for (uint32_t item = 0; item < items->ids.count; item++)
    if (!items_is_forgotten(items, item) && !history_find(history, item, NULL))
      top_k_offer(&top, (float)popularity->liked[item], item);
  *found = top_k_sort(&top);
}

static int rank_block(Everyone *state, Error *error) {
  ModelUsers *users = &state->users;
  Scorer scorer = items_scorer(state->reading.items);
  Excluded *excluded = memory_alloc(users->count, sizeof *excluded);
  state->best = memory_alloc(users->count, state->k * sizeof *state->best);
  state->found = memory_alloc(users->count, sizeof *state->found);
  int code = excluded && state->best && state->found ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK) {
    for (size_t user = 0; user < users->count; user++)
      excluded[user] = (Excluded){users->history[user].item, users->history[user].count};
    code = error_from_code(error, scorer_top_k(&scorer, &users->queries, excluded, state->k, state->best, state->found,
                                               parallel_threads(0), &state->interrupt.cancel));
  }
  for (size_t user = 0; user < users->count && code == SQLITE_OK; user++) {
    if (users->blank[user])
      rank_popular(state->reading.items, state->popularity, &users->history[user], state->best + user * state->k,
                   state->k, &state->found[user]);
  }
  memory_free(excluded);
  return code;
}

/* Reads and ranks the users from rows.first on. */
static int recommend_all_enter(TableCall *call, Error *error) {
  Everyone *state = call->state;
  Model *model = NULL;
  recommend_all_leave(state);
  int code = reading_resume(&state->reading, &model, error);
  if (code != SQLITE_OK) return code;
  code = model_users(model, state->reading.items, state->rows.first, state->block,
                     USERS_WITH_IDS | USERS_WITH_HISTORIES, &state->users, error);
  if (code == SQLITE_OK && state->users.count && memchr(state->users.blank, 1, state->users.count))
    code = model_popularity(model, state->reading.items, &state->popularity, error);
  model_end(model);
  if (code == SQLITE_OK) code = rank_block(state, error);
  if (code == SQLITE_OK) state->rows.count = state->users.count;
  return code;
}

static size_t recommend_all_length(const TableCall *call, size_t user) {
  return ((const Everyone *)call->state)->found[user];
}

static int recommend_all_start(TableCall *call, Error *error) {
  Everyone *state = call->state;
  connection_interrupt(call->connection, &state->interrupt);
  int64_t k = argument_k(call, 0, error);
  Model *model = argument_reading(call, 1, ABILITY_RECOMMEND, &state->reading, error);
  if (!model) return error->code;
  int code = model_require(model, state->reading.items, ABILITY_RECOMMEND, call->function->name, error);
  model_end(model);
  if (code != SQLITE_OK) return code;
  size_t items = state->reading.items->ids.count;
  state->k = k < (int64_t)items ? (size_t)k : items;
  state->block = store_block(state->k, MOST_USERS);
  state->rows = (BlockRows){.enter = recommend_all_enter, .length = recommend_all_length};
  return block_rows_begin(call, error);
}

/* What the scores of the current user are beyond those of the items. */
static double user_offset(const Everyone *state) {
  const float *offset = state->users.offset[state->reading.items->shape.score_head];
  return offset && !state->users.blank[state->rows.member] ? (double)offset[state->rows.member] : 0;
}

static void recommend_all_column(const TableCall *call, sqlite3_context *context, int which) {
  const Everyone *state = call->state;
  const Scored *entry = &state->best[state->rows.member * state->k + state->rows.row];
  switch (which) {
    case COLUMN_USER: result_id(context, &state->users.ids, state->rows.member); break;
    case COLUMN_RANK: sqlite3_result_int64(context, (sqlite3_int64)state->rows.row + 1); break;
    case COLUMN_ITEM: result_id(context, &state->reading.items->ids, entry->index); break;
    case COLUMN_SCORE: sqlite3_result_double(context, (double)entry->score + user_offset(state)); break;
  }
}

static void recommend_all_end(TableCall *call) {
  Everyone *state = call->state;
  recommend_all_leave(state);
  reading_end(&state->reading);
  interrupt_end(&state->interrupt);
  *state = (Everyone){0};
}

static const TableFunction recommend_all_function = {
    .name = "recommend_all",
    .schema = "CREATE TABLE x(user, rank INTEGER, item, score REAL, _k HIDDEN, _model HIDDEN)",
    .usage = "recommend_all(k [, model])",
    .outputs = 4,
    .arguments = 2,
    .required = 1,
    .rows = 1e6,
    .cost = 1e7,
    .state_size = sizeof(Everyone),
    .start = recommend_all_start,
    .column = recommend_all_column,
    .end = recommend_all_end,
    BLOCK_ROWS_FUNCTION,
};

int recommend_all_register(Connection *connection) {
  return table_function_register(connection, &recommend_all_function);
}
