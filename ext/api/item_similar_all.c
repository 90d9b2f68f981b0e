/* item_similar_all(k [, model [, min_support]]): for every item the k nearest others, as item_similar() finds them, in
 * blocks on all cores. A block is computed when its first row is asked for. Nothing is read in between: the items are
 * in memory. */
#include <string.h>

#include "../answer/nearest_items.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../data/interrupt.h"
#include "../model/model_scorer.h"
#include "register.h"
#include "table_function.h"

enum { COLUMN_ITEM, COLUMN_RANK, COLUMN_SIMILAR, COLUMN_SIMILARITY };
enum { MOST_ENTRIES = 1 << 20, MOST_ITEMS = 4096 };

typedef struct AllSimilar {
  ModelItems *items;
  NearestItems nearest;
  size_t k, block; /* `block` is how many items a full block has */
  Interrupt interrupt;
  /* the current block */
  uint32_t first;
  size_t count;
  Scored *best; /* block × k */
  size_t *found;
  size_t item, row; /* where in it */
} AllSimilar;

static int item_similar_all_enter_block(AllSimilar *state, Error *error) {
  size_t items = state->items->ids.count;
  state->count = items - state->first < state->block ? items - state->first : state->block;
  state->item = state->row = 0;
  return error_from_code(error, nearest_items_block(&state->nearest, state->first, state->count, state->k, state->best,
                                                    state->found, parallel_threads(0), &state->interrupt.cancel));
}

/* To the next item that has a row, if the current one has none left. */
static int item_similar_all_seek_row(AllSimilar *state, Error *error) {
  int code = SQLITE_OK;
  while (code == SQLITE_OK) {
    if (state->item < state->count) {
      if (state->row < state->found[state->item]) return SQLITE_OK;
      state->item++;
      state->row = 0;
    } else if (state->first + state->count >= state->items->ids.count) {
      return SQLITE_OK; /* behind the last block */
    } else {
      state->first += (uint32_t)state->count;
      code = item_similar_all_enter_block(state, error);
    }
  }
  return code;
}

static int item_similar_all_rewind_rows(TableCall *call, Error *error) {
  AllSimilar *state = call->state;
  state->first = 0;
  int code = item_similar_all_enter_block(state, error);
  return code == SQLITE_OK ? item_similar_all_seek_row(state, error) : code;
}

static int item_similar_all_start(TableCall *call, Error *error) {
  AllSimilar *state = call->state;
  Model *model = NULL;
  int64_t k = 0, min_support = 0;
  connection_interrupt(call->connection, &state->interrupt);
  int code = argument_k(call, 0, &k, error);
  if (code == SQLITE_OK) code = argument_count(call, 2, "min_support", 0, &min_support, error);
  if (code == SQLITE_OK)
    code = connection_model(call->connection, call->function->name, ABILITY_SIMILAR_ITEMS, call->argument[1], &model,
                            error);
  if (code == SQLITE_OK) code = model_begin(model, &state->items, error);
  if (code != SQLITE_OK) return code;
  code = nearest_items_begin(&state->nearest, model, state->items, min_support, call->function->name, error);
  model_end(model);
  if (code != SQLITE_OK) return code;
  size_t items = state->items->ids.count;
  state->k = k < (int64_t)items ? (size_t)k : items;
  state->block = MOST_ENTRIES / (state->k ? state->k : 1) + 1;
  if (state->block > MOST_ITEMS) state->block = MOST_ITEMS;
  state->best = memory_alloc(state->block, state->k * sizeof *state->best);
  state->found = memory_alloc(state->block, sizeof *state->found);
  if (!state->best || !state->found) return error_no_memory(error);
  return item_similar_all_rewind_rows(call, error);
}

static int item_similar_all_next(TableCall *call, Error *error) {
  AllSimilar *state = call->state;
  state->row++;
  return item_similar_all_seek_row(state, error);
}

static int item_similar_all_at_end(const TableCall *call) {
  const AllSimilar *state = call->state;
  return state->item >= state->count;
}

static void item_similar_all_column(const TableCall *call, sqlite3_context *context, int which) {
  const AllSimilar *state = call->state;
  const Scored *entry = &state->best[state->item * state->k + state->row];
  Id id;
  switch (which) {
    case COLUMN_ITEM:
      id = dictionary_id(&state->items->ids, state->first + state->item);
      id_result(context, &id);
      break;
    case COLUMN_RANK: sqlite3_result_int64(context, (sqlite3_int64)state->row + 1); break;
    case COLUMN_SIMILAR:
      id = dictionary_id(&state->items->ids, entry->index);
      id_result(context, &id);
      break;
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

static const TableFunction similar_all_function = {
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
    .rewind = item_similar_all_rewind_rows,
    .next = item_similar_all_next,
    .at_end = item_similar_all_at_end,
    .column = item_similar_all_column,
    .end = item_similar_all_end,
};

int item_similar_all_register(Connection *connection) {
  return table_function_register(connection, &similar_all_function);
}
