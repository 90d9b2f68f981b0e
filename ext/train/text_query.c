/* Texts as queries: see text_query.h. */
#include "text_query.h"

#include <math.h>
#include <stdlib.h>

#include "../base/memory.h"
#include "../model/store.h"

/* ---- the model's rules ------------------------------------------------------------------------------------------- */

/* What a model's options say, kept with its words. */
typedef struct Analysis {
  ContentOptions options;
  TermRules rules;
  Dictionary stop_words;
  TfidfOptions weights;
  TermReader *reader;
} Analysis;

static void analysis_free(void *kept) {
  Analysis *analysis = kept;
  if (!analysis) return;
  term_reader_close(analysis->reader);
  dictionary_free(&analysis->stop_words);
  trainer_free_options(&tfidf_trainer, &analysis->options.common);
  memory_free(analysis);
}

/* The options were right when the model was trained: what is wrong with them now is damage. The tokenizer is another
 * matter: it may be an application's that is not there. */
static int analyse(sqlite3 *db, Model *model, ModelWords *words, const char *caller, Analysis **analysis,
                   Error *error) {
  *analysis = words->derived;
  if (words->derived) return SQLITE_OK;
  Analysis *made = *analysis = memory_alloc_zero(1, sizeof *made);
  if (!made) return error_no_memory(error);
  Error wrong = {0};
  int code = trainer_parse(&tfidf_trainer, caller, words->options, &made->options.common, &wrong);
  if (code == SQLITE_OK) code = content_rules(&made->options, caller, &made->rules, &made->stop_words, &wrong);
  if (code == SQLITE_NOMEM) error_no_memory(error);
  if (code != SQLITE_OK && code != SQLITE_NOMEM)
    code = shadow_damaged(error, model_name(model), "its options can't be read: %s", wrong.message);
  error_clear(&wrong);
  if (code == SQLITE_OK) {
    made->weights = content_weights(&made->options);
    code = term_reader_open(&made->reader, db, &made->rules, caller, error);
  }
  if (code == SQLITE_OK) {
    words->derived = made;
    words->derived_free = analysis_free;
  } else {
    analysis_free(made);
    *analysis = NULL;
  }
  return code;
}

/* ---- terms ------------------------------------------------------------------------------------------------------- */

enum { TERMS_A_POLL = 4096 };

typedef struct Collecting {
  const Dictionary *known;
  TermReader *reader;
  const Cancel *cancel;
  size_t since_poll;
  uint32_t *term;
  size_t count;
} Collecting;

static int collect_term(void *context, const char *text, size_t size) {
  Collecting *collecting = context;
  const Id id = {.kind = ID_TEXT, .size = (uint32_t)size, .as.bytes = text};
  uint32_t term = dictionary_find(collecting->known, &id);
  if (++collecting->since_poll == TERMS_A_POLL) {
    collecting->since_poll = 0;
    int code = cancel_poll(collecting->cancel);
    if (code != SQLITE_OK) return code;
  }
  if (term == DICTIONARY_NONE) return SQLITE_OK;
  uint32_t *grown = memory_grow(collecting->term, collecting->count, sizeof *grown);
  if (!grown) return SQLITE_NOMEM;
  collecting->term = grown;
  collecting->term[collecting->count++] = term;
  return SQLITE_OK;
}

static int read_text(void *context, const char *text, size_t size) {
  Collecting *collecting = context;
  return term_reader_read(collecting->reader, text, size, collect_term, collecting);
}

static int compare_terms(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

int text_error(Error *error, int code, const char *caller) {
  if (code == SQLITE_NOMEM || code == SQLITE_INTERRUPT) return error_from_code(error, code);
  return error_set(error, code, "%s: the tokenizer failed: %s", caller, sqlite3_errstr(code));
}

/* Terms as they came become distinct ones with weights. */
static int weigh_terms(const Analysis *analysis, const ModelWords *words, Collecting *collected, TextVector *vector) {
  size_t n = 0;
  if (collected->count) qsort(collected->term, collected->count, sizeof *collected->term, compare_terms);
  vector->weight = memory_alloc(collected->count, 2 * sizeof *vector->weight);
  if (!vector->weight) return SQLITE_NOMEM;
  for (size_t i = 0; i < collected->count; i++) {
    if (i && collected->term[i] == collected->term[i - 1]) {
      vector->weight[n - 1]++;
    } else {
      collected->term[n] = collected->term[i];
      vector->weight[n++] = 1;
    }
  }
  double *idf = vector->weight + collected->count;
  for (size_t i = 0; i < n; i++) idf[i] = words->idf[collected->term[i]];
  double norm = tfidf_weigh(&analysis->weights, vector->weight, idf, n);
  for (size_t i = 0; i < n; i++) vector->weight[i] /= norm;
  vector->count = n;
  return SQLITE_OK;
}

int text_vector(Connection *connection, Model *model, const ModelItems *items, ModelWords *words, const char *caller,
                sqlite3_value *text, TextVector *vector, Error *error) {
  Analysis *analysis = NULL;
  *vector = (TextVector){0};
  if (items->shape.terms == 0)
    return error_set(error, SQLITE_ERROR, "%s: model \"%s\" was made of vectors, and knows no words", caller,
                     model_name(model).name);
  int code = analyse(connection->db, model, words, caller, &analysis, error);
  if (code != SQLITE_OK || sqlite3_value_type(text) == SQLITE_NULL) return code;
  const char *bytes = (const char *)sqlite3_value_text(text);
  if (!bytes) return error_no_memory(error);
  Interrupt interrupt;
  connection_interrupt(connection, &interrupt);
  Collecting collecting = {.known = &words->terms, .reader = analysis->reader, .cancel = &interrupt.cancel};
  code = flatten_json(bytes, (size_t)sqlite3_value_bytes(text), read_text, &collecting);
  if (code == SQLITE_OK) code = weigh_terms(analysis, words, &collecting, vector);
  vector->term = collecting.term;
  interrupt_end(&interrupt);
  if (code == SQLITE_OK) return SQLITE_OK;
  text_vector_free(vector);
  return text_error(error, code, caller);
}

void text_vector_free(TextVector *vector) {
  memory_free(vector->term);
  memory_free(vector->weight);
  *vector = (TextVector){0};
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

static int sparse_query(const TextVector *text, ContentQuery *query) {
  double squares = 0;
  query->term = memory_alloc(text->count, sizeof *query->term);
  query->weight = memory_alloc(text->count, sizeof *query->weight);
  if (!query->term || !query->weight) return SQLITE_NOMEM;
  query->count = text->count;
  for (size_t i = 0; i < text->count; i++) {
    query->term[i] = text->term[i];
    query->weight[i] = (float)text->weight[i];
    squares += (double)query->weight[i] * (double)query->weight[i];
  }
  query->norm = sqrt(squares);
  return SQLITE_OK;
}

/* Makes a sum the query's vector, of length 1. */
static void take_sum(const double *sum, int rank, ContentQuery *query) {
  double squares = 0;
  for (int lane = 0; lane < rank; lane++) squares += sum[lane] * sum[lane];
  query->norm = sqrt(squares);
  for (int lane = 0; lane < rank; lane++) query->vector[lane] = query->norm > 0 ? (float)(sum[lane] / query->norm) : 0;
}

/* Σ weight · vector over the terms: where the SVD, or the mean of word vectors, puts a text. */
static void sum_terms(const ModelItems *items, const ModelWords *words, const TextVector *text, double *sum) {
  int rank = items->shape.rank[HEAD_RANKING];
  size_t stride = (size_t)shape_stride(&items->shape, HEAD_RANKING);
  for (size_t i = 0; i < text->count; i++) {
    const float *vector = words->vector + text->term[i] * stride;
    for (int lane = 0; lane < rank; lane++) sum[lane] += text->weight[i] * (double)vector[lane];
  }
}

static int given_vector(const char *caller, Model *model, const ModelItems *items, sqlite3_value *value, double *sum,
                        Error *error) {
  float *vector = NULL;
  int dimensions = 0, rank = items->shape.rank[HEAD_RANKING], code = SQLITE_OK;
  int found = vector_from_value(value, &vector, &dimensions);
  if (found == -2)
    code = error_no_memory(error);
  else if (found == -1 || (found == 1 && dimensions != rank))
    code = error_set(error, SQLITE_MISMATCH,
                     "%s: model \"%s\" compares vectors of %d numbers: give a BLOB of float32 numbers or a JSON array",
                     caller, model_name(model).name, rank);
  for (int lane = 0; found == 1 && code == SQLITE_OK && lane < rank; lane++) sum[lane] = (double)vector[lane];
  memory_free(vector);
  return code;
}

int content_query(Connection *connection, Model *model, const ModelItems *items, const char *caller,
                  sqlite3_value *value, ContentQuery *query, Error *error) {
  ModelWords *words = NULL;
  TextVector text = {0};
  int rank = items->shape.rank[HEAD_RANKING];
  *query = (ContentQuery){.stamp = items->stamp};
  if (!shape_can(&items->shape, ABILITY_TEXT)) return model_require(model, items, ABILITY_TEXT, caller, error);
  double *sum = memory_alloc_zero((size_t)rank, sizeof *sum);
  query->vector = memory_alloc_aligned((size_t)shape_stride(&items->shape, HEAD_RANKING), sizeof *query->vector);
  int code = sum && query->vector ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK && items->shape.terms == 0) {
    code = given_vector(caller, model, items, value, sum, error);
  } else if (code == SQLITE_OK) {
    code = model_words(model, items, &words, error);
    if (code == SQLITE_OK) code = text_vector(connection, model, items, words, caller, value, &text, error);
    if (code == SQLITE_OK && items->shape.sparse && sparse_query(&text, query) != SQLITE_OK)
      code = error_no_memory(error);
    if (code == SQLITE_OK && !items->shape.sparse) sum_terms(items, words, &text, sum);
  }
  if (code == SQLITE_OK && !items->shape.sparse) take_sum(sum, rank, query);
  text_vector_free(&text);
  words_release(words);
  memory_free(sum);
  if (code != SQLITE_OK) content_query_free(query);
  return code;
}

void content_query_free(ContentQuery *query) {
  memory_free(query->term);
  memory_free(query->weight);
  memory_free_aligned(query->vector);
  *query = (ContentQuery){0};
}

double content_cosine(const ModelItems *items, const ContentQuery *a, const ContentQuery *b) {
  double sum = 0;
  if (!(a->norm > 0) || !(b->norm > 0)) return 0;
  if (!items->shape.sparse) {
    for (int lane = 0; lane < items->shape.rank[HEAD_RANKING]; lane++)
      sum += (double)a->vector[lane] * (double)b->vector[lane];
    return sum;
  }
  for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
    if (a->term[i] == b->term[j])
      sum += (double)a->weight[i++] * (double)b->weight[j++];
    else if (a->term[i] < b->term[j])
      i++;
    else
      j++;
  }
  return sum / (a->norm * b->norm);
}
