/* recommend_neighbors([model]): the neighbours that a model of neighbours keeps, of every item or user, best first.
 *
 * Those of items are in memory. Those of users are read user by user, with the ids of the neighbours; nothing stays
 * open in between. */
#include "../base/memory.h"
#include "../data/interrupt.h"
#include "../model/resumable_read.h"
#include "register.h"
#include "table_function.h"

enum { COLUMN_ID, COLUMN_RANK, COLUMN_NEIGHBOR, COLUMN_SIMILARITY, COLUMN_SUPPORT };

typedef struct Neighborhoods {
  Reading reading;
  Interrupt interrupt;
  size_t row, entry, rows; /* whose list, and where in it */
  /* Of users: the current list and its ids. */
  int of_users;
  NeighborLists list;
  sqlite3_value *id, **ids; /* list.start[1] of the latter */
} Neighborhoods;

/* The list that the current row is in, and where it begins. */
static const NeighborLists *lists_of(const Neighborhoods *state, size_t *first, size_t *end) {
  const NeighborLists *lists = state->of_users ? &state->list : &state->reading.items->neighbors;
  size_t row = state->of_users ? 0 : state->row;
  *first = lists->start ? lists->start[row] : 0;
  *end = lists->start ? lists->start[row + 1] : 0;
  return lists;
}

static void leave_list(Neighborhoods *state) {
  for (size_t i = 0; state->ids && i < state->list.start[1]; i++) sqlite3_value_free(state->ids[i]);
  memory_free(state->ids);
  state->ids = NULL;
  sqlite3_value_free(state->id);
  state->id = NULL;
  neighbor_lists_free(&state->list);
}

/* Reads the list of a user, and who is in it. */
static int enter_list(Neighborhoods *state, Error *error) {
  Model *model = NULL;
  state->entry = 0;
  if (!state->of_users || state->row >= state->rows) return SQLITE_OK;
  leave_list(state);
  int code = reading_resume(&state->reading, &model, error);
  if (code != SQLITE_OK) return code;
  code = model_user_neighbors(model, (uint32_t)state->row, &state->list, error);
  size_t count = code == SQLITE_OK ? state->list.start[1] : 0;
  if (code == SQLITE_OK) code = model_user_row(model, (uint32_t)state->row, &state->id, NULL, error);
  if (code == SQLITE_OK && !(state->ids = memory_alloc_zero(count, sizeof *state->ids))) code = error_no_memory(error);
  for (size_t i = 0; i < count && code == SQLITE_OK; i++)
    code = model_user_row(model, state->list.neighbor[i], &state->ids[i], NULL, error);
  model_end(model);
  return code == SQLITE_OK ? error_from_code(error, cancel_poll(&state->interrupt.cancel)) : code;
}

/* To the next list that has an entry, if the current one has none left. */
static int neighbors_seek_row(Neighborhoods *state, Error *error) {
  size_t first = 0, end = 0;
  int code = SQLITE_OK;
  while (code == SQLITE_OK && state->row < state->rows) {
    lists_of(state, &first, &end);
    if (first + state->entry < end) return SQLITE_OK;
    state->row++;
    code = enter_list(state, error);
  }
  return code;
}

static int neighbors_rewind_rows(TableCall *call, Error *error) {
  Neighborhoods *state = call->state;
  state->row = 0;
  int code = enter_list(state, error);
  return code == SQLITE_OK ? neighbors_seek_row(state, error) : code;
}

static int neighbors_start(TableCall *call, Error *error) {
  Neighborhoods *state = call->state;
  Model *model = NULL;
  connection_interrupt(call->connection, &state->interrupt);
  int code =
      connection_model(call->connection, call->function->name, ABILITY_NEIGHBORS, call->argument[0], &model, error);
  if (code == SQLITE_OK) code = reading_start(&state->reading, call->connection, model, error);
  if (code != SQLITE_OK) return code;
  code = model_require(model, state->reading.items, ABILITY_NEIGHBORS, call->function->name, error);
  model_end(model);
  if (code != SQLITE_OK) return code;
  state->of_users = state->reading.items->shape.links == LINK_USER_NEIGHBORS;
  state->rows = state->of_users ? (size_t)state->reading.users : state->reading.items->ids.count;
  return neighbors_rewind_rows(call, error);
}

static int neighbors_next(TableCall *call, Error *error) {
  Neighborhoods *state = call->state;
  state->entry++;
  return neighbors_seek_row(state, error);
}

static int neighbors_at_end(const TableCall *call) {
  const Neighborhoods *state = call->state;
  return state->row >= state->rows;
}

/* The id of the row's item or user, or of its neighbour. */
static void result_id(const Neighborhoods *state, sqlite3_context *context, uint32_t item, sqlite3_value *user) {
  if (state->of_users) {
    sqlite3_result_value(context, user);
  } else {
    Id id = dictionary_id(&state->reading.items->ids, item);
    id_result(context, &id);
  }
}

static void neighbors_column(const TableCall *call, sqlite3_context *context, int which) {
  const Neighborhoods *state = call->state;
  size_t first, end;
  const NeighborLists *lists = lists_of(state, &first, &end);
  size_t entry = first + state->entry;
  switch (which) {
    case COLUMN_ID: result_id(state, context, (uint32_t)state->row, state->id); break;
    case COLUMN_RANK: sqlite3_result_int64(context, (sqlite3_int64)state->entry + 1); break;
    case COLUMN_NEIGHBOR:
      result_id(state, context, lists->neighbor[entry], state->ids ? state->ids[state->entry] : NULL);
      break;
    case COLUMN_SIMILARITY: sqlite3_result_double(context, (double)lists->similarity[entry]); break;
    case COLUMN_SUPPORT: sqlite3_result_int64(context, lists->support[entry]); break;
  }
}

static void neighbors_end(TableCall *call) {
  Neighborhoods *state = call->state;
  leave_list(state);
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
    .rewind = neighbors_rewind_rows,
    .next = neighbors_next,
    .at_end = neighbors_at_end,
    .column = neighbors_column,
    .end = neighbors_end,
};

int recommend_neighbors_register(Connection *connection) {
  return table_function_register(connection, &neighbors_function);
}
