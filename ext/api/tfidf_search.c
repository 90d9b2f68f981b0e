/* tfidf_search(text, k [, model]): the items nearest to a text, or to a vector where the model was made of those. Items
 * that share no word with the text are left out. */
#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../data/interrupt.h"
#include "../train/text_query.h"
#include "register.h"
#include "table_function.h"

enum { COLUMN_RANK, COLUMN_ITEM, COLUMN_SIMILARITY };

typedef struct Search {
  ModelItems *items;
  Scored *entries; /* best first */
} Search;

static int search(TableCall *call, Model *model, Search *state, int64_t k, Error *error) {
  const ModelItems *items = state->items;
  ContentQuery query = {0};
  Interrupt interrupt;
  size_t most = k < (int64_t)items->ids.count ? (size_t)k : items->ids.count, found = 0;
  connection_interrupt(call->connection, &interrupt);
  int code = content_query(call->connection, model, items, call->function->name, call->argument[0], &query, error);
  state->entries = memory_alloc(most, sizeof *state->entries);
  if (code == SQLITE_OK && !state->entries) code = error_no_memory(error);
  if (code == SQLITE_OK && query.norm > 0) {
    Scorer scorer = items_scorer(items);
    PostingsQuery sparse = {.index = query.term, .weight = query.weight, .count = query.count};
    Queries queries = {.count = 1, .vector = query.vector, .sparse = &sparse};
    code = scorer_top_k(&scorer, &queries, NULL, most, state->entries, &found, parallel_threads(0), &interrupt.cancel);
    error_from_code(error, code);
  }
  while (items->shape.sparse && found && !(state->entries[found - 1].score > 0)) found--;
  call->rows = code == SQLITE_OK ? (int64_t)found : 0;
  content_query_free(&query);
  interrupt_end(&interrupt);
  return code;
}

static int tfidf_search_start(TableCall *call, Error *error) {
  Search *state = call->state;
  Model *model = NULL;
  int64_t k = 0;
  int code = argument_k(call, 1, &k, error);
  if (code == SQLITE_OK)
    code = connection_model(call->connection, call->function->name, ABILITY_TEXT, call->argument[2], &model, error);
  if (code == SQLITE_OK) code = model_begin(model, &state->items, error);
  if (code != SQLITE_OK) return code;
  code = search(call, model, state, k, error);
  model_end(model);
  return code;
}

static void tfidf_search_column(const TableCall *call, sqlite3_context *context, int which) {
  const Search *state = call->state;
  const Scored *entry = &state->entries[call->row];
  Id id;
  switch (which) {
    case COLUMN_RANK: sqlite3_result_int64(context, call->row + 1); break;
    case COLUMN_ITEM:
      id = dictionary_id(&state->items->ids, entry->index);
      id_result(context, &id);
      break;
    case COLUMN_SIMILARITY: sqlite3_result_double(context, (double)entry->score); break;
  }
}

static void tfidf_search_end(TableCall *call) {
  Search *state = call->state;
  memory_free(state->entries);
  items_release(state->items);
  *state = (Search){0};
}

static const TableFunction search_function = {
    .name = "tfidf_search",
    .schema = "CREATE TABLE x(rank INTEGER, item, similarity REAL, _text BLOB HIDDEN, _k HIDDEN, _model HIDDEN)",
    .usage = "tfidf_search(text, k [, model])",
    .outputs = 3,
    .arguments = 3,
    .required = 1,
    .ordered = 1,
    .rows = 10,
    .cost = 1000,
    .state_size = sizeof(Search),
    .start = tfidf_search_start,
    .column = tfidf_search_column,
    .end = tfidf_search_end,
};

int tfidf_search_register(Connection *connection) { return table_function_register(connection, &search_function); }
