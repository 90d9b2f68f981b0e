/* Lists of rank, id and a number: see scored_list.h. */
#include "scored_list.h"

#include <assert.h>

#include "../base/memory.h"

void scored_items_column(const TableCall *call, sqlite3_context *context, int which) {
  const ScoredItems *state = call->state;
  const Scored *entry = &state->entries[call->row];
  switch (which) {
    case SCORED_RANK: sqlite3_result_int64(context, call->row + 1); break;
    case SCORED_ID: result_id(context, &state->items->ids, entry->index); break;
    case SCORED_VALUE: sqlite3_result_double(context, (double)entry->score); break;
  }
}

void scored_items_end(TableCall *call) {
  ScoredItems *state = call->state;
  memory_free(state->entries);
  items_release(state->items);
  *state = (ScoredItems){0};
}

void scored_users_column(const TableCall *call, sqlite3_context *context, int which) {
  const NearestUsers *users = call->state;
  assert(call->row < (int64_t)users->count);
  switch (which) {
    case SCORED_RANK: sqlite3_result_int64(context, call->row + 1); break;
    case SCORED_ID: sqlite3_result_value(context, users->ids[call->row]); break;
    case SCORED_VALUE: sqlite3_result_double(context, (double)users->entries[call->row].score); break;
  }
}

void scored_users_end(TableCall *call) { nearest_users_free(call->state); }
