/* tfidf_vector(text [, model]): a text as the model sees it, {"term": weight, …}, the heaviest first. */
#include <stdlib.h>

#include "../base/json.h"
#include "../base/memory.h"
#include "../train/text_query.h"
#include "arguments.h"
#include "register.h"

typedef struct Weighted {
  double weight;
  uint32_t term;
} Weighted;

static int heaviest_first(const void *a, const void *b) {
  const Weighted *x = a, *y = b;
  if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
  return x->term < y->term ? -1 : x->term > y->term;
}

static char *text_vector_json(const ModelWords *words, const TextVector *vector) {
  Weighted *order = memory_alloc(vector->count, sizeof *order);
  if (!order) return NULL;
  for (size_t i = 0; i < vector->count; i++) order[i] = (Weighted){vector->weight[i], vector->term[i]};
  qsort(order, vector->count, sizeof *order, heaviest_first);
  sqlite3_str *json = sqlite3_str_new(NULL);
  sqlite3_str_appendchar(json, 1, '{');
  for (size_t i = 0; i < vector->count; i++) {
    Id id = dictionary_id(&words->terms, order[i].term);
    if (i) sqlite3_str_appendchar(json, 1, ',');
    json_append_text(json, id.as.bytes, id.size);
    sqlite3_str_appendf(json, ":%!.15g", order[i].weight);
  }
  sqlite3_str_appendchar(json, 1, '}');
  memory_free(order);
  return sqlite3_str_finish(json);
}

static void tfidf_vector(sqlite3_context *context, int count, sqlite3_value **values) {
  Connection *connection = sqlite3_user_data(context);
  Error error = {0};
  ModelItems *items = NULL;
  ModelWords *words = NULL;
  TextVector vector = {0};
  char *json = NULL;
  if (sqlite3_value_type(values[0]) == SQLITE_NULL) return;
  Model *model = value_model(connection, "tfidf_vector", ABILITY_TEXT, count > 1 ? values[1] : NULL, &items, &error);
  if (model) {
    int code = model_words(model, items, &words, &error);
    if (code == SQLITE_OK)
      code = text_vector(connection, model, items, words, "tfidf_vector", values[0], &vector, &error);
    if (code == SQLITE_OK && !(json = text_vector_json(words, &vector))) error_no_memory(&error);
    model_end(model);
  }
  text_vector_free(&vector);
  words_release(words);
  items_release(items);
  if (json) {
    sqlite3_result_text(context, json, -1, sqlite3_free);
    sqlite3_result_subtype(context, 'J');
  } else {
    scalar_report(context, &error);
  }
}

int tfidf_vector_register(Connection *connection) {
  int code = SQLITE_OK;
  for (int arguments = 1; arguments <= 2 && code == SQLITE_OK; arguments++) {
    connection_retain(connection);
    code = sqlite3_create_function_v2(connection->db, "tfidf_vector", arguments, SQLITE_UTF8 | FUNCTION_RESULT_SUBTYPE,
                                      connection, tfidf_vector, NULL, NULL, connection_release);
  }
  return code;
}
