/* recommend_neighbors([model]): the neighbours that a model of neighbours keeps, of every item or user, best first.
 *
 * Those of items are in memory. Those of users are read user by user, with the ids of the neighbours; nothing stays
 * open in between. */
#include "../base/memory.h"
#include "arguments.h"
#include "block_rows.h"
#include "register.h"

enum { COLUMN_ID, COLUMN_RANK, COLUMN_NEIGHBOR, COLUMN_SIMILARITY, COLUMN_SUPPORT };

typedef struct Neighborhoods {
  BlockRows rows; /* of items all in one block, of users one in each */
  Reading reading;
  Interrupt interrupt;
  /* Of users: the current list and its ids. */
  int of_users;
  NeighborLists list;
  sqlite3_value *id, **ids; /* list.start[1] of the latter */
} Neighborhoods;

/* The lists of the block, one a member. */
static const NeighborLists *neighbors_of_block(const Neighborhoods *state) {
  return state->of_users ? &state->list : &state->reading.items->neighbors;
}

static size_t neighbors_length(const TableCall *call, size_t member) {
  const NeighborLists *lists = neighbors_of_block(call->state);
  return lists->start ? lists->start[member + 1] - lists->start[member] : 0;
}

static void neighbors_leave(Neighborhoods *state) {
  for (size_t i = 0; state->ids && i < state->list.start[1]; i++) sqlite3_value_free(state->ids[i]);
  memory_free(state->ids);
  state->ids = NULL;
  sqlite3_value_free(state->id);
  state->id = NULL;
  neighbor_lists_free(&state->list);
}

/* Reads the list of a user, and who is in it. */
static int read_user_list(Neighborhoods *state, uint32_t user, Error *error) {
  Model *model = NULL;
  int code = reading_resume(&state->reading, &model, error);
  if (code != SQLITE_OK) return code;
  code = model_user_neighbors(model, user, &state->list, error);
  size_t count = code == SQLITE_OK ? state->list.start[1] : 0;
  if (code == SQLITE_OK) code = model_user_row(model, user, &state->id, NULL, error);
  if (code == SQLITE_OK && !(state->ids = memory_alloc_zero(count, sizeof *state->ids))) code = error_no_memory(error);
  for (size_t i = 0; i < count && code == SQLITE_OK; i++)
    code = model_user_row(model, state->list.neighbor[i], &state->ids[i], NULL, error);
  model_end(model);
  return code == SQLITE_OK ? error_from_code(error, cancel_poll(&state->interrupt.cancel)) : code;
}

static int neighbors_enter(TableCall *call, Error *error) {
  Neighborhoods *state = call->state;
  size_t first = state->rows.first;
  neighbors_leave(state);
  if (!state->of_users) {
    state->rows.count = first ? 0 : state->reading.items->ids.count;
    return SQLITE_OK;
  }
  state->rows.count = first < (size_t)state->reading.users;
  return state->rows.count ? read_user_list(state, (uint32_t)first, error) : SQLITE_OK;
}

static int neighbors_start(TableCall *call, Error *error) {
  Neighborhoods *state = call->state;
  connection_interrupt(call->connection, &state->interrupt);
  Model *model = argument_reading(call, 0, ABILITY_NEIGHBORS, &state->reading, error);
  if (!model) return error->code;
  int code = model_require(model, state->reading.items, ABILITY_NEIGHBORS, call->function->name, error);
  model_end(model);
  if (code != SQLITE_OK) return code;
  state->of_users = state->reading.items->shape.kind->neighbors_of_users;
  state->rows = (BlockRows){.enter = neighbors_enter, .length = neighbors_length};
  return block_rows_begin(call, error);
}

/* The id of the row's item or user, or of its neighbour. */
static void neighbors_result_id(const Neighborhoods *state, sqlite3_context *context, size_t item,
                                sqlite3_value *user) {
  if (state->of_users)
    sqlite3_result_value(context, user);
  else
    result_id(context, &state->reading.items->ids, item);
}

static void neighbors_column(const TableCall *call, sqlite3_context *context, int which) {
  const Neighborhoods *state = call->state;
  const NeighborLists *lists = neighbors_of_block(state);
  size_t member = state->rows.member, row = state->rows.row, entry = lists->start[member] + row;
  switch (which) {
    case COLUMN_ID: neighbors_result_id(state, context, member, state->id); break;
    case COLUMN_RANK: sqlite3_result_int64(context, (sqlite3_int64)row + 1); break;
    case COLUMN_NEIGHBOR:
      neighbors_result_id(state, context, lists->neighbor[entry], state->ids ? state->ids[row] : NULL);
      break;
    case COLUMN_SIMILARITY: sqlite3_result_double(context, (double)lists->similarity[entry]); break;
    case COLUMN_SUPPORT: sqlite3_result_int64(context, lists->support[entry]); break;
  }
}

static void neighbors_end(TableCall *call) {
  Neighborhoods *state = call->state;
  neighbors_leave(state);
  reading_end(&state->reading);
  interrupt_end(&state->interrupt);
  *state = (Neighborhoods){0};
}

static const TableFunction neighbors_function = {
    .name = "recommend_neighbors",
    .schema = "CREATE TABLE x(id, rank INTEGER, neighbor, similarity REAL, support INTEGER, _model HIDDEN)",
    .usage = "recommend_neighbors([model])",
    .outputs = 5,
    .arguments = 1,
    .rows = 1e5,
    .cost = 1e5,
    .state_size = sizeof(Neighborhoods),
    .start = neighbors_start,
    .column = neighbors_column,
    .end = neighbors_end,
    BLOCK_ROWS_FUNCTION,
};

int recommend_neighbors_register(Connection *connection) {
  return table_function_register(connection, &neighbors_function);
}
