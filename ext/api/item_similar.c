/* item_similar(item, k [, model [, min_support]]): the items nearest to an item, which is left out itself.
 * answer/nearest_items.h says what near means. */
#include "../answer/nearest_items.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "arguments.h"
#include "register.h"
#include "scored_list.h"

static int item_similar_start(TableCall *call, Error *error) {
  ScoredItems *state = call->state;
  NearestItems nearest = {0};
  Interrupt interrupt;
  int64_t k = argument_k(call, 1, error);
  int64_t min_support = argument_count(call, 3, "min_support", 0, error);
  Model *model = argument_model(call, 2, ABILITY_SIMILAR_ITEMS, &state->items, error);
  if (!model) return error->code;
  nearest_items_begin(&nearest, model, state->items, min_support, call->function->name, error);
  uint32_t item = argument_item(call, 0, state->items, error);
  size_t found = 0, items = state->items->ids.count, most = k < (int64_t)items ? (size_t)k : items;
  connection_interrupt(call->connection, &interrupt);
  if (!error->code && item != DICTIONARY_NONE) {
    state->entries = memory_alloc(most, sizeof *state->entries);
    error_from_code(error, state->entries ? nearest_items_block(&nearest, item, 1, most, state->entries, &found,
                                                                parallel_threads(0), &interrupt.cancel)
                                          : SQLITE_NOMEM);
  }
  interrupt_end(&interrupt);
  nearest_items_end(&nearest);
  model_end(model);
  call->rows = (int64_t)found;
  return error->code;
}

static const TableFunction item_similar_function = {
    .name = "item_similar",
    .schema =
        "CREATE TABLE x(rank INTEGER, item, similarity REAL, _item BLOB HIDDEN, _k HIDDEN, _model HIDDEN, "
        "_min_support HIDDEN)",
    .usage = "item_similar(item, k [, model [, min_support]])",
    .arguments = 4,
    .start = item_similar_start,
    SCORED_ITEMS_FUNCTION,
};

int item_similar_register(Connection *connection) {
  return table_function_register(connection, &item_similar_function);
}
