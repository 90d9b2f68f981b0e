/* item_similar_all(k [, model [, min_support]]): for every item the k nearest others, as item_similar() finds them, in
 * blocks on all cores. A block is computed when its first row is asked for. Nothing is read in between: the items are
 * in memory. */
#include "../answer/nearest_items.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "arguments.h"
#include "block_rows.h"
#include "register.h"

enum { COLUMN_ITEM, COLUMN_RANK, COLUMN_SIMILAR, COLUMN_SIMILARITY };
enum { MOST_ENTRIES = 1 << 20, MOST_ITEMS = 4096 };

typedef struct AllSimilar {
  BlockRows rows; /* members are items */
  ModelItems *items;
  NearestItems nearest;
  size_t k, block; /* `block` is how many items a full block has */
  Interrupt interrupt;
  Scored *best;  /* of the current block: block × k */
  size_t *found; /* likewise */
} AllSimilar;

static int item_similar_all_enter(TableCall *call, Error *error) {
  AllSimilar *state = call->state;
  size_t first = state->rows.first, left = state->items->ids.count - first;
  state->rows.count = left < state->block ? left : state->block;
  if (!left) return SQLITE_OK;
  return error_from_code(error,
                         nearest_items_block(&state->nearest, (uint32_t)first, state->rows.count, state->k, state->best,
                                             state->found, parallel_threads(0), &state->interrupt.cancel));
}

static size_t item_similar_all_length(const TableCall *call, size_t item) {
  return ((const AllSimilar *)call->state)->found[item];
}

static int item_similar_all_start(TableCall *call, Error *error) {
  AllSimilar *state = call->state;
  connection_interrupt(call->connection, &state->interrupt);
  int64_t k = argument_k(call, 0, error);
  int64_t min_support = argument_count(call, 2, "min_support", 0, error);
  Model *model = argument_model(call, 1, ABILITY_SIMILAR_ITEMS, &state->items, error);
  if (!model) return error->code;
  int code = nearest_items_begin(&state->nearest, model, state->items, min_support, call->function->name, error);
  model_end(model);
  if (code != SQLITE_OK) return code;
  size_t items = state->items->ids.count;
  state->k = k < (int64_t)items ? (size_t)k : items;
  state->block = MOST_ENTRIES / (state->k ? state->k : 1) + 1;
  if (state->block > MOST_ITEMS) state->block = MOST_ITEMS;
  state->best = memory_alloc(state->block, state->k * sizeof *state->best);
  state->found = memory_alloc(state->block, sizeof *state->found);
  if (!state->best || !state->found) return error_no_memory(error);
  state->rows = (BlockRows){.enter = item_similar_all_enter, .length = item_similar_all_length};
  return block_rows_begin(call, error);
}

static void item_similar_all_column(const TableCall *call, sqlite3_context *context, int which) {
  const AllSimilar *state = call->state;
  const Scored *entry = &state->best[state->rows.member * state->k + state->rows.row];
  switch (which) {
    case COLUMN_ITEM: result_id(context, &state->items->ids, state->rows.first + state->rows.member); break;
    case COLUMN_RANK: sqlite3_result_int64(context, (sqlite3_int64)state->rows.row + 1); break;
    case COLUMN_SIMILAR: result_id(context, &state->items->ids, entry->index); break;
    case COLUMN_SIMILARITY: sqlite3_result_double(context, (double)entry->score); break;
  }
}

static void item_similar_all_end(TableCall *call) {
  AllSimilar *state = call->state;
  memory_free(state->best);
  memory_free(state->found);
  nearest_items_end(&state->nearest);
  items_release(state->items);
  interrupt_end(&state->interrupt);
  *state = (AllSimilar){0};
}

static const TableFunction item_similar_all_function = {
    .name = "item_similar_all",
    .schema =
        "CREATE TABLE x(item, rank INTEGER, similar, similarity REAL, _k HIDDEN, _model HIDDEN, _min_support HIDDEN)",
    .usage = "item_similar_all(k [, model [, min_support]])",
    .outputs = 4,
    .arguments = 3,
    .required = 1,
    .rows = 1e6,
    .cost = 1e8,
    .state_size = sizeof(AllSimilar),
    .start = item_similar_all_start,
    .column = item_similar_all_column,
    .end = item_similar_all_end,
    BLOCK_ROWS_FUNCTION,
};

int item_similar_all_register(Connection *connection) {
  return table_function_register(connection, &item_similar_all_function);
}
