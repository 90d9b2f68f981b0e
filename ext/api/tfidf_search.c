/* tfidf_search(text, k [, model]): the items nearest to a text, or to a vector where the model was made of those. Items
 * that share no word with the text are left out. */
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../train/text_query.h"
#include "arguments.h"
#include "register.h"
#include "scored_list.h"

/* The k nearest items to the query, into state->entries. */
static void rank_by_text(ScoredItems *state, const ContentQuery *query, int64_t k, size_t *found, const Cancel *cancel,
                         Error *error) {
  const ModelItems *items = state->items;
  size_t most = k < (int64_t)items->ids.count ? (size_t)k : items->ids.count;
  if (error->code || !(query->norm > 0)) return;
  state->entries = memory_alloc(most, sizeof *state->entries);
  if (!state->entries) {
    error_no_memory(error);
    return;
  }
  Scorer scorer = items_scorer(items);
  PostingsQuery sparse = {.index = query->term, .weight = query->weight, .count = query->count};
  const Queries queries = {1, items->shape.sparse ? (const void *)&sparse : query->vector};
  error_from_code(error,
                  scorer_top_k(&scorer, &queries, NULL, most, state->entries, found, parallel_threads(0), cancel));
  while (!error->code && items->shape.sparse && *found && !(state->entries[*found - 1].score > 0)) --*found;
}

static int tfidf_search_start(TableCall *call, Error *error) {
  ScoredItems *state = call->state;
  ContentQuery query = {0};
  Interrupt interrupt;
  size_t found = 0;
  int64_t k = argument_k(call, 1, error);
  Model *model = argument_model(call, 2, ABILITY_TEXT, &state->items, error);
  if (!model) return error->code;
  connection_interrupt(call->connection, &interrupt);
  content_query(call->connection, model, state->items, call->function->name, call->argument[0], &query, error);
  rank_by_text(state, &query, k, &found, &interrupt.cancel, error);
  content_query_free(&query);
  interrupt_end(&interrupt);
  model_end(model);
  call->rows = (int64_t)found;
  return error->code;
}

static const TableFunction tfidf_search_function = {
    .name = "tfidf_search",
    .schema = "CREATE TABLE x(rank INTEGER, item, similarity REAL, _text BLOB HIDDEN, _k HIDDEN, _model HIDDEN)",
    .usage = "tfidf_search(text, k [, model])",
    .arguments = 3,
    .start = tfidf_search_start,
    SCORED_ITEMS_FUNCTION,
};

int tfidf_search_register(Connection *connection) {
  return table_function_register(connection, &tfidf_search_function);
}
