/* Loading the words of a model: m_term and m_weight. See store.c for the rows. */
#include "words.h"

#include <math.h>

#include "../base/memory.h"
#include "blobs.h"
#include "store.h"

static int load_options(Reader *reader, ModelWords *words, Error *error) {
  sqlite3_stmt *statement = NULL;
  int code = reader_statement(reader, STATEMENT_OPTIONS, &statement, error);
  if (code == SQLITE_OK) code = reader_step(reader, statement, error);
  if (code == SQLITE_DONE)
    code = shadow_damaged(error, reader->name, "%s_config has no row 'options'", reader->name.name);
  if (code == SQLITE_ROW && sqlite3_column_type(statement, 1) != SQLITE_TEXT) {
    code = reader_expected(reader, statement, 1, error, "a text");
  } else if (code == SQLITE_ROW) {
    const char *text = (const char *)sqlite3_column_text(statement, 1);
    words->options = text ? sqlite3_mprintf("%s", text) : NULL;
    code = words->options ? SQLITE_OK : error_no_memory(error);
  }
  if (statement) sqlite3_reset(statement);
  return code;
}

static int load_term(Reader *reader, sqlite3_stmt *statement, const ModelItems *items, ModelWords *words,
                     Error *error) {
  size_t term = words->terms.count;
  int64_t value;
  uint32_t added = 0;
  Id id;
  if ((int64_t)term >= items->shape.terms)
    return reader_damaged(reader, statement, 0, error, "expected %lld rows, found more", items->shape.terms);
  int code = reader_integer(reader, statement, 0, (int64_t)term, (int64_t)term, &value, error);
  int gone = sqlite3_column_type(statement, 1) == SQLITE_NULL; /* of an item that was forgotten, and of no other */
  if (code == SQLITE_OK)
    code = reader_integer(reader, statement, 2, !gone, gone ? 0 : (int64_t)items->ids.count, &value, error);
  if (code != SQLITE_OK) return code;
  if (gone) {
    words->idf[term] = 1;
    return dictionary_add_none(&words->terms) == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
  }
  if (id_from_column(statement, 1, &id) < 0) return error_no_memory(error);
  if (sqlite3_column_type(statement, 1) != SQLITE_TEXT) return reader_expected(reader, statement, 1, error, "a text");
  if (dictionary_add(&words->terms, &id, &added) != SQLITE_OK) return error_no_memory(error);
  if (added != term) return reader_expected(reader, statement, 1, error, "a term that no other row has");
  while (term > 0 && dictionary_is_none(&words->terms, term - 1)) term--;
  if (term > 0) {
    Id before = dictionary_id(&words->terms, term - 1);
    if (id_compare(&before, &id) > 0)
      return reader_expected(reader, statement, 1, error, "a term that comes after the one before");
  }
  term = added;
  words->idf[term] = sqlite3_column_double(statement, 3);
  if (isfinite(words->idf[term]) && words->idf[term] > 0) return SQLITE_OK;
  return reader_expected(reader, statement, 3, error, "a positive number");
}

/* Room for the terms grows as they come: a damaged count must not make anybody ask for terabytes. */
static int load_terms(Reader *reader, const ModelItems *items, ModelWords *words, Error *error) {
  sqlite3_stmt *statement = NULL;
  int code = reader_statement(reader, STATEMENT_TERMS, &statement, error);
  while (code == SQLITE_OK && (code = reader_step(reader, statement, error)) == SQLITE_ROW) {
    double *idf = memory_grow(words->idf, words->terms.count, sizeof *idf);
    if (idf) words->idf = idf;
    code = idf ? load_term(reader, statement, items, words, error) : error_no_memory(error);
  }
  if (statement) sqlite3_reset(statement);
  if (code != SQLITE_DONE) return code;
  if ((int64_t)words->terms.count == items->shape.terms) return SQLITE_OK;
  return reader_wrong_count(reader, "term", items->shape.terms, (int64_t)words->terms.count, error);
}

static int load_vectors(Reader *reader, const ModelItems *items, ModelWords *words, Error *error) {
  size_t terms = words->terms.count, rank = (size_t)items->shape.rank[HEAD_RANKING];
  size_t stride = (size_t)shape_stride(&items->shape, HEAD_RANKING);
  words->vector = memory_alloc_aligned(terms, stride * sizeof *words->vector);
  int code = words->vector ? SQLITE_OK : error_no_memory(error);
  for (size_t first = 0; first < terms && code == SQLITE_OK; first += STORE_TERMS) {
    size_t n = terms - first < STORE_TERMS ? terms - first : STORE_TERMS;
    const void *blob = NULL;
    sqlite3_stmt *row = NULL;
    code = reader_weight(reader, "term", first / STORE_TERMS, blob_floats_size(n * rank), &row, &blob, error);
    for (size_t i = 0; i < n && code == SQLITE_OK; i++)
      code =
          blob_get_floats(reader, row, 1, blob, i * rank, rank, "numbers", words->vector + (first + i) * stride, error);
  }
  return code;
}

int words_load(Reader *reader, const ModelItems *items, ModelWords **loaded, Error *error) {
  ModelWords *words = memory_alloc_zero(1, sizeof *words);
  int code = words ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK) {
    words->references = 1;
    words->stamp = items->stamp;
    code = load_options(reader, words, error);
  }
  if (code == SQLITE_OK) code = load_terms(reader, items, words, error);
  if (code == SQLITE_OK && words->terms.count && !items->shape.sparse) code = load_vectors(reader, items, words, error);
  if (code != SQLITE_OK) {
    words_release(words);
    words = NULL;
  }
  *loaded = words;
  return code;
}

void words_release(ModelWords *words) {
  if (!words || --words->references > 0) return;
  if (words->derived) words->derived_free(words->derived);
  dictionary_free(&words->terms);
  memory_free(words->idf);
  memory_free_aligned(words->vector);
  sqlite3_free(words->options);
  memory_free(words);
}

int words_check(Model *model, const ModelItems *items, Error *error) {
  ModelWords *words = NULL;
  int code = items->shape.terms > 0 ? words_load(&model->reader, items, &words, error) : SQLITE_OK;
  words_release(words);
  return code;
}
