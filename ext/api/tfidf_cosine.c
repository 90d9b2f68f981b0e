/* tfidf_cosine(a, b): the cosine of two texts by the counts of their words. tfidf_cosine(a, b, model): by the model's
 * words and weights.
 *
 * A constant argument is read once a statement: what it is to the function is kept by sqlite3_set_auxdata(). */
#include <math.h>

#include "../base/memory.h"
#include "../train/text_query.h"
#include "arguments.h"
#include "register.h"

/* What the functions of a connection share. */
typedef struct TextFunctions {
  Connection *connection;
  TermRules rules;    /* of tfidf_cosine(a, b) */
  TermReader *reader; /* made when first needed */
  int references;
} TextFunctions;

static void functions_release(void *context) {
  TextFunctions *functions = context;
  if (--functions->references > 0) return;
  term_reader_close(functions->reader);
  connection_release(functions->connection);
  memory_free(functions);
}

/* ---- two texts --------------------------------------------------------------------------------------------------- */

enum { WORDS_A_POLL = 4096 };

/* How often each word is in a text. */
typedef struct WordCounts {
  TermReader *reader;
  const Cancel *cancel; /* while a text is read */
  Dictionary words;
  double *count; /* of each word */
  size_t read;
  double squares;
} WordCounts;

static void counts_free(void *kept) {
  WordCounts *counts = kept;
  if (!counts) return;
  dictionary_free(&counts->words);
  memory_free(counts->count);
  memory_free(counts);
}

static int count_word(void *context, const char *text, size_t size) {
  WordCounts *counts = context;
  const Id id = {.kind = ID_TEXT, .size = (uint32_t)size, .as.bytes = text};
  size_t before = counts->words.count;
  uint32_t word;
  int code = dictionary_add(&counts->words, &id, &word);
  if (code != SQLITE_OK) return code;
  if (word == before) { /* a new one */
    double *grown = memory_grow(counts->count, before, sizeof *grown);
    if (!grown) return SQLITE_NOMEM;
    counts->count = grown;
    counts->count[word] = 0;
  }
  counts->count[word]++;
  return ++counts->read % WORDS_A_POLL ? SQLITE_OK : cancel_poll(counts->cancel);
}

static int count_text(void *context, const char *text, size_t size) {
  WordCounts *counts = context;
  return term_reader_read(counts->reader, text, size, count_word, counts);
}

static int open_reader(TextFunctions *functions, Error *error) {
  if (functions->reader) return SQLITE_OK;
  ContentOptions options = {0};
  Dictionary none;
  int code = trainer_parse(&tfidf_trainer, "tfidf_cosine", NULL, &options.common, error);
  if (code != SQLITE_OK) return code;
  code = content_rules(&options, "tfidf_cosine", &functions->rules, &none, error);
  functions->rules.stop_words = NULL; /* and there are none */
  if (code == SQLITE_OK)
    code = term_reader_open(&functions->reader, functions->connection->db, &functions->rules, "tfidf_cosine", error);
  return code;
}

/* The counts of argument `which`: *kept where SQLite keeps them, else they are the caller's to free. */
static int counts_of(sqlite3_context *context, TextFunctions *functions, sqlite3_value **values, int which,
                     WordCounts **counted, int *kept, Error *error) {
  WordCounts *counts = sqlite3_get_auxdata(context, which);
  *counted = counts;
  *kept = counts != NULL;
  if (counts) return SQLITE_OK;
  counts = *counted = memory_alloc_zero(1, sizeof *counts);
  if (!counts) return error_no_memory(error);
  counts->reader = functions->reader;
  int code = SQLITE_OK;
  if (sqlite3_value_type(values[which]) != SQLITE_NULL) {
    const char *text = (const char *)sqlite3_value_text(values[which]);
    Interrupt interrupt;
    connection_interrupt(functions->connection, &interrupt);
    counts->cancel = &interrupt.cancel;
    code = text ? flatten_json(text, (size_t)sqlite3_value_bytes(values[which]), count_text, counts) : SQLITE_NOMEM;
    interrupt_end(&interrupt);
  }
  for (size_t word = 0; code == SQLITE_OK && word < counts->words.count; word++)
    counts->squares += counts->count[word] * counts->count[word];
  return code == SQLITE_OK ? SQLITE_OK : text_error(error, code, "tfidf_cosine");
}

static double cosine_of_counts(const WordCounts *a, const WordCounts *b) {
  double sum = 0;
  if (a->words.count > b->words.count) return cosine_of_counts(b, a);
  for (size_t word = 0; word < a->words.count; word++) {
    Id id = dictionary_id(&a->words, word);
    uint32_t other = dictionary_find(&b->words, &id);
    if (other != DICTIONARY_NONE) sum += a->count[word] * b->count[other];
  }
  return sum > 0 ? sum / sqrt(a->squares * b->squares) : 0;
}

static void cosine_of_texts(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  TextFunctions *functions = sqlite3_user_data(context);
  WordCounts *counts[2] = {NULL, NULL};
  int kept[2] = {0, 0};
  Error error = {0};
  if (sqlite3_value_type(values[0]) == SQLITE_NULL || sqlite3_value_type(values[1]) == SQLITE_NULL) return;
  int code = open_reader(functions, &error);
  for (int which = 0; which < 2 && code == SQLITE_OK; which++)
    code = counts_of(context, functions, values, which, &counts[which], &kept[which], &error);
  if (code == SQLITE_OK)
    sqlite3_result_double(context, cosine_of_counts(counts[0], counts[1]));
  else
    scalar_report(context, &error);
  /* From here on SQLite keeps them, or frees them at once. */
  for (int which = 0; which < 2; which++) {
    if (kept[which] || !counts[which]) continue;
    if (code == SQLITE_OK)
      sqlite3_set_auxdata(context, which, counts[which], counts_free);
    else
      counts_free(counts[which]);
  }
}

/* ---- with a model ------------------------------------------------------------------------------------------------ */

static void query_free(void *kept) {
  content_query_free(kept);
  memory_free(kept);
}

/* What an argument is to the model; a step. *kept where SQLite keeps it, else it is the caller's to free. */
static ContentQuery *query_of(sqlite3_context *context, Model *model, const ModelItems *items, sqlite3_value **values,
                              int which, int *kept, Error *error) {
  Connection *connection = ((TextFunctions *)sqlite3_user_data(context))->connection;
  if (error->code) return NULL;
  ContentQuery *query = sqlite3_get_auxdata(context, which);
  *kept = query && query->stamp == items->stamp;
  if (*kept) return query;
  query = memory_alloc_zero(1, sizeof *query);
  if (query)
    content_query(connection, model, items, "tfidf_cosine", values[which], query, error);
  else
    error_no_memory(error);
  return query;
}

static void cosine_in_model(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  TextFunctions *functions = sqlite3_user_data(context);
  ContentQuery *query[2] = {NULL, NULL};
  int kept[2] = {0, 0};
  Error error = {0};
  ModelItems *items = NULL;
  if (sqlite3_value_type(values[0]) == SQLITE_NULL || sqlite3_value_type(values[1]) == SQLITE_NULL) return;
  Model *model = value_model(functions->connection, "tfidf_cosine", ABILITY_TEXT, values[2], &items, &error);
  if (model) {
    for (int which = 0; which < 2; which++)
      query[which] = query_of(context, model, items, values, which, &kept[which], &error);
    if (!error.code) sqlite3_result_double(context, content_cosine(items, query[0], query[1]));
    model_end(model);
    items_release(items);
  }
  int failed = error.code != SQLITE_OK;
  if (failed) scalar_report(context, &error);
  /* From here on SQLite keeps them, or frees them at once. */
  for (int which = 0; which < 2; which++) {
    if (kept[which] || !query[which]) continue;
    if (failed)
      query_free(query[which]);
    else
      sqlite3_set_auxdata(context, which, query[which], query_free);
  }
}

/* ---- registering ------------------------------------------------------------------------------------------------- */

int tfidf_cosine_register(Connection *connection) {
  static const struct {
    const char *name;
    int arguments, flags;
    void (*function)(sqlite3_context *context, int count, sqlite3_value **values);
  } functions[] = {
      {"tfidf_cosine", 2, SQLITE_INNOCUOUS | SQLITE_DETERMINISTIC, cosine_of_texts},
      {"tfidf_cosine", 3, 0, cosine_in_model},
  };
  TextFunctions *shared = memory_alloc_zero(1, sizeof *shared);
  if (!shared) return SQLITE_NOMEM;
  shared->connection = connection;
  connection_retain(connection);
  shared->references = 1;
  int code = SQLITE_OK;
  for (size_t i = 0; i < sizeof functions / sizeof *functions && code == SQLITE_OK; i++) {
    shared->references++;
    code = sqlite3_create_function_v2(connection->db, functions[i].name, functions[i].arguments,
                                      SQLITE_UTF8 | functions[i].flags, shared, functions[i].function, NULL, NULL,
                                      functions_release);
  }
  functions_release(shared);
  return code;
}
