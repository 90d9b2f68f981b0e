/* recommend_all(k [, model]): every user's k best unseen items.
 *
 * Users are read in blocks and scored by a matrix product fused with the selection; a block is read and computed when
 * its first row is asked for, so that memory does not grow with the number of users. Users of whom nothing was learned
 * get the most frequent items, as from recommend(). */
#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../data/interrupt.h"
#include "../model/model_scorer.h"
#include "../model/resumable_read.h"
#include "../model/store.h"
#include "register.h"
#include "table_function.h"

enum { COLUMN_USER, COLUMN_RANK, COLUMN_ITEM, COLUMN_SCORE };
enum { MOST_USERS = 64 * STORE_CHUNK }; /* in a block */

typedef struct Everyone {
  Reading reading;
  size_t k;
  Interrupt interrupt;
  /* the current block */
  size_t first, block; /* users first … first + users.count - 1; `block` is the size of a full one */
  ModelUsers users;
  Popularity *popularity; /* where one of them is blank */
  Scored *best;           /* users.count × k */
  size_t *found;
  size_t user, row; /* where in it */
} Everyone;

static void leave_block(Everyone *state) {
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
  PostingsQuery *sparse = memory_alloc(users->count, sizeof *sparse);
  state->best = memory_alloc(users->count, state->k * sizeof *state->best);
  state->found = memory_alloc(users->count, sizeof *state->found);
  int code = excluded && sparse && state->best && state->found ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK) {
    for (size_t user = 0; user < users->count; user++)
      excluded[user] = (Excluded){users->history[user].item, users->history[user].count};
    Queries queries = users_queries(state->reading.items, users, sparse);
    code = scorer_top_k(&scorer, &queries, excluded, state->k, state->best, state->found, parallel_threads(0),
                        &state->interrupt.cancel);
    error_from_code(error, code);
  }
  for (size_t user = 0; user < users->count && code == SQLITE_OK; user++) {
    if (users->blank[user])
      rank_popular(state->reading.items, state->popularity, &users->history[user], state->best + user * state->k,
                   state->k, &state->found[user]);
  }
  memory_free(excluded);
  memory_free(sparse);
  return code;
}

/* Reads and ranks the users from state->first on. */
static int all_enter_block(Everyone *state, Error *error) {
  Model *model = NULL;
  leave_block(state);
  state->user = state->row = 0;
  int code = reading_resume(&state->reading, &model, error);
  if (code != SQLITE_OK) return code;
  code = model_users(model, state->reading.items, state->first, state->block, USERS_WITH_IDS | USERS_WITH_HISTORIES,
                     &state->users, error);
  if (code == SQLITE_OK && state->users.count && memchr(state->users.blank, 1, state->users.count))
    code = model_popularity(model, state->reading.items, &state->popularity, error);
  model_end(model);
  return code == SQLITE_OK ? rank_block(state, error) : code;
}

/* To the next user who has a row, if the current one has none left. */
static int all_seek_row(Everyone *state, Error *error) {
  int code = SQLITE_OK;
  while (code == SQLITE_OK) {
    if (state->user < state->users.count) {
      if (state->row < state->found[state->user]) return SQLITE_OK;
      state->user++;
      state->row = 0;
    } else if (state->users.count == 0) {
      return SQLITE_OK; /* behind the last block */
    } else {
      state->first += state->users.count;
      code = all_enter_block(state, error);
    }
  }
  return code;
}

static int all_rewind_rows(TableCall *call, Error *error) {
  Everyone *state = call->state;
  state->first = 0;
  int code = all_enter_block(state, error);
  return code == SQLITE_OK ? all_seek_row(state, error) : code;
}

static int all_start(TableCall *call, Error *error) {
  Everyone *state = call->state;
  int64_t k = 0;
  Model *model = NULL;
  connection_interrupt(call->connection, &state->interrupt);
  int code = argument_k(call, 0, &k, error);
  if (code == SQLITE_OK)
    code =
        connection_model(call->connection, call->function->name, ABILITY_RECOMMEND, call->argument[1], &model, error);
  if (code == SQLITE_OK) code = reading_start(&state->reading, call->connection, model, error);
  if (code != SQLITE_OK) return code;
  code = model_require(model, state->reading.items, ABILITY_RECOMMEND, call->function->name, error);
  model_end(model);
  if (code != SQLITE_OK) return code;
  size_t items = state->reading.items->ids.count;
  state->k = k < (int64_t)items ? (size_t)k : items;
  state->block = store_block(state->k, MOST_USERS);
  return all_rewind_rows(call, error);
}

static int all_next(TableCall *call, Error *error) {
  Everyone *state = call->state;
  state->row++;
  return all_seek_row(state, error);
}

static int all_at_end(const TableCall *call) { return ((const Everyone *)call->state)->users.count == 0; }

/* What the scores of the current user are beyond those of the items. */
static double user_offset(const Everyone *state) {
  const float *offset = state->users.offset[state->reading.items->shape.score_head];
  return offset && !state->users.blank[state->user] ? (double)offset[state->user] : 0;
}

static void all_column(const TableCall *call, sqlite3_context *context, int which) {
  const Everyone *state = call->state;
  const Scored *entry = &state->best[state->user * state->k + state->row];
  Id id;
  switch (which) {
    case COLUMN_USER:
      id = dictionary_id(&state->users.ids, state->user);
      id_result(context, &id);
      break;
    case COLUMN_RANK: sqlite3_result_int64(context, (sqlite3_int64)state->row + 1); break;
    case COLUMN_ITEM:
      id = dictionary_id(&state->reading.items->ids, entry->index);
      id_result(context, &id);
      break;
    case COLUMN_SCORE: sqlite3_result_double(context, (double)entry->score + user_offset(state)); break;
  }
}

static void all_end(TableCall *call) {
  Everyone *state = call->state;
  leave_block(state);
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
    .start = all_start,
    .rewind = all_rewind_rows,
    .next = all_next,
    .at_end = all_at_end,
    .column = all_column,
    .end = all_end,
};

int recommend_all_register(Connection *connection) {
  return table_function_register(connection, &recommend_all_function);
}
