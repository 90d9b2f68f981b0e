/* Reading the content of items: see documents.h. */
#include "documents.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "term_counts.h"

enum { ROWS_A_POLL = 256 };

typedef struct Reader {
  const DocumentOptions *options;
  const Cancel *cancel;
  Error *error;
  Documents *documents;
  TermCounter *counter; /* NULL: vectors are read */
  uint32_t *row_item;   /* of each row kept, in order of arrival */
  uint32_t *item_row;   /* the row that counts, + 1; one an item */
  size_t rows;
  size_t vectors_capacity; /* rows that there is room for */
  float *vectors;          /* rows × dimensions */
  uint8_t *empty;          /* one a row: it has no vector */
} Reader;

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* For one row more, and one item. */
static int make_document_room(Reader *reader) {
  uint32_t *row_item = memory_grow(reader->row_item, reader->rows, sizeof *row_item);
  if (row_item) reader->row_item = row_item;
  uint8_t *empty = memory_grow(reader->empty, reader->rows, sizeof *empty);
  if (empty) reader->empty = empty;
  size_t items = reader->documents->items.count;
  uint32_t *item_row = memory_grow(reader->item_row, items, sizeof *item_row);
  if (item_row) reader->item_row = item_row;
  if (!row_item || !empty || !item_row) return SQLITE_NOMEM;
  item_row[items] = 0;
  return SQLITE_OK;
}

/* All that follows are steps by reader->error: see base/error.h. */

/* The item's row; an earlier one of the same id counts no more, or it is an error, or both count. */
static void enter_row(Reader *reader, const Id *id, uint32_t item) {
  char text[ID_FORMAT_SIZE];
  uint32_t earlier = reader->item_row[item];
  SameId same_id = reader->options->same_id;
  if (earlier) reader->documents->repeated++;
  if (earlier && same_id == SAME_ID_ERROR)
    error_set(reader->error, SQLITE_CONSTRAINT, "%s: row %lld has the id %s, which an earlier row has too",
              reader->options->caller, reader->documents->rows, id_format(id, text));
  if (earlier && same_id == SAME_ID_LAST) reader->row_item[earlier - 1] = DICTIONARY_NONE;
  reader->item_row[item] = (uint32_t)(reader->rows + 1);
  reader->row_item[reader->rows++] = item;
}

/* Enters the row's id. 0: it has none, and is left out. */
static int take_document_id(Reader *reader, sqlite3_stmt *statement) {
  Documents *documents = reader->documents;
  Error *error = reader->error;
  Id id;
  uint32_t item = 0;
  if (error->code) return 0;
  documents->rows++;
  int there = make_document_room(reader) == SQLITE_OK ? id_from_column(statement, 0, &id) : -1;
  if (there > 0 && id.kind == ID_TEXT && id.size == 0) there = 0;
  int code = there > 0 ? dictionary_add(&documents->items, &id, &item) : SQLITE_OK;
  documents->left_out += there == 0;
  if (there < 0 || code == SQLITE_NOMEM)
    error_no_memory(error);
  else if (code != SQLITE_OK || reader->rows >= UINT32_MAX - 1)
    error_set(error, SQLITE_TOOBIG, "%s: the source has more than 2147483647 items", reader->options->caller);
  if (error->code || there == 0) return 0;
  enter_row(reader, &id, item);
  return !error->code;
}

static void refuse_value(Reader *reader, sqlite3_stmt *statement, const char *what) {
  char text[ID_FORMAT_SIZE] = "";
  Id id;
  if (id_from_column(statement, 0, &id) < 1)
    error_no_memory(reader->error);
  else
    error_set(reader->error, SQLITE_MISMATCH, "%s: row %lld (id %s) has %s", reader->options->caller,
              reader->documents->rows, id_format(&id, text), what);
}

static int add_text(void *context, const char *text, size_t size) {
  Reader *reader = context;
  return term_counter_add(reader->counter, text, size, reader->error);
}

/* The columns from the second on are texts. */
static void take_texts(Reader *reader, sqlite3_stmt *statement) {
  Error *error = reader->error;
  for (int column = 1; column < sqlite3_column_count(statement) && !error->code; column++) {
    int type = sqlite3_column_type(statement, column);
    if (type == SQLITE_NULL) continue;
    const char *text = type == SQLITE_BLOB ? NULL : (const char *)sqlite3_column_text(statement, column);
    if (type == SQLITE_BLOB)
      refuse_value(reader, statement,
                   "a BLOB where a text should be: name the columns of text with the option \"text\", or that "
                   "of vectors with \"embedding\"");
    else if (!text)
      error_no_memory(error);
    else
      error_from_code(error, flatten_json(text, (size_t)sqlite3_column_bytes(statement, column), add_text, reader));
  }
  if (!error->code) term_counter_end_row(reader->counter, error);
}

static int keep_vector(Reader *reader, const float *vector) {
  assert(reader->rows > 0); /* the vector is that of the last one */
  Documents *documents = reader->documents;
  size_t dimensions = (size_t)documents->dimensions;
  if (reader->vectors_capacity < reader->rows) {
    size_t capacity = reader->rows + reader->rows / 2 + 64;
    float *grown = memory_resize(reader->vectors, capacity, dimensions * sizeof *grown);
    if (!grown) return SQLITE_NOMEM;
    reader->vectors = grown;
    reader->vectors_capacity = capacity;
  }
  memcpy(reader->vectors + (reader->rows - 1) * dimensions, vector, dimensions * sizeof *vector);
  return SQLITE_OK;
}

/* The second column is a vector. */
static void take_vector(Reader *reader, sqlite3_stmt *statement) {
  Documents *documents = reader->documents;
  Error *error = reader->error;
  float *vector = NULL;
  int dimensions = 0;
  int found = vector_from_value(sqlite3_column_value(statement, 1), &vector, &dimensions);
  reader->empty[reader->rows - 1] = found != 1;
  if (found == 1 && documents->dimensions == 0) documents->dimensions = dimensions;
  if (found == -2) error_no_memory(error);
  if (found == -1)
    refuse_value(reader, statement,
                 "a value that is not a vector: a vector is a BLOB of float32 numbers or a JSON array of "
                 "numbers, all finite, at most 4096");
  if (found == 1 && dimensions != documents->dimensions) {
    char *what = sqlite3_mprintf("a vector of %d numbers, but those before have %d", dimensions, documents->dimensions);
    if (what)
      refuse_value(reader, statement, what);
    else
      error_no_memory(error);
    sqlite3_free(what);
  } else if (found == 1) {
    error_from_code(error, keep_vector(reader, vector));
  }
  memory_free(vector);
}

static void read_document_rows(Reader *reader, sqlite3 *db, sqlite3_stmt *statement) {
  Error *error = reader->error;
  int stepped = SQLITE_DONE;
  while (!error->code && (stepped = sqlite3_step(statement)) == SQLITE_ROW) {
    if (take_document_id(reader, statement)) (reader->counter ? take_texts : take_vector)(reader, statement);
    if (reader->documents->rows % ROWS_A_POLL == 0) error_from_code(error, cancel_poll(reader->cancel));
  }
  if (stepped != SQLITE_ROW && stepped != SQLITE_DONE) error_from_database(error, db, stepped, reader->options->caller);
}

/* ---- the statement ----------------------------------------------------------------------------------------------- */

/* SELECT id, text… or id, embedding. */
static char *reading_statement(Reader *reader, const SourceColumns *columns) {
  const DocumentOptions *options = reader->options;
  Error *error = reader->error;
  int id = options->id ? source_column(columns, options->id, "id", options->caller, error) : 0;
  if (id < 0) return NULL;
  if (columns->count < 2) {
    error_set(error, SQLITE_ERROR, "%s: the source has one column, \"%s\": it needs an id and a text at least",
              options->caller, columns->names[0]);
    return NULL;
  }
  reader->documents->affinity = columns->affinities[id];
  sqlite3_str *sql = sqlite3_str_new(NULL);
  sqlite3_str_appendf(sql, "%s SELECT c%d", columns->with, id + 1);
  if (options->embedding) {
    int column = source_column(columns, options->embedding, "embedding", options->caller, error);
    sqlite3_str_appendf(sql, ", c%d", column + 1);
  } else if (options->text->count) {
    for (int i = 0; i < options->text->count && error->code == SQLITE_OK; i++) {
      int column = source_column(columns, options->text->text[i], "text", options->caller, error);
      sqlite3_str_appendf(sql, ", c%d", column + 1);
    }
  } else {
    for (int column = 0; column < columns->count; column++)
      if (column != id) sqlite3_str_appendf(sql, ", c%d", column + 1);
  }
  sqlite3_str_appendall(sql, " FROM \"recommend(rows)\"");
  char *text = sqlite3_str_finish(sql);
  if (!text) error_no_memory(error);
  return text;
}

static void read_documents(Reader *reader, sqlite3 *db, const Source *source) {
  Error *error = reader->error;
  SourceColumns columns = {0};
  sqlite3_stmt *statement = NULL;
  if (error->code || source_columns(db, source, reader->options->caller, &columns, error) != SQLITE_OK) return;
  char *sql = reading_statement(reader, &columns);
  int code = sql ? sqlite3_prepare_v2(db, sql, -1, &statement, NULL) : SQLITE_OK;
  if (code != SQLITE_OK) error_from_database(error, db, code, reader->options->caller);
  read_document_rows(reader, db, statement);
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  source_columns_free(&columns);
}

/* ---- in order of id ---------------------------------------------------------------------------------------------- */

static void sort_items(Reader *reader) {
  Documents *documents = reader->documents;
  Error *error = reader->error;
  if (error->code) return;
  uint32_t *new_index = memory_alloc(documents->items.count, sizeof *new_index);
  int code = new_index ? dictionary_sort(&documents->items, new_index, reader->options->threads, reader->cancel)
                       : SQLITE_NOMEM;
  for (size_t row = 0; row < reader->rows && code == SQLITE_OK; row++)
    if (reader->row_item[row] != DICTIONARY_NONE) reader->row_item[row] = new_index[reader->row_item[row]];
  memory_free(new_index);
  error_from_code(error, code);
}

static void gather_terms(Reader *reader) {
  Documents *documents = reader->documents;
  if (reader->error->code) return;
  term_counter_finish(reader->counter, reader->row_item, reader->rows, documents, reader->error);
  for (size_t item = 0; !reader->error->code && item < documents->items.count; item++)
    documents->empty += sparse_row_length(&documents->counts, item) == 0;
}

/* The vectors of an item's rows are added up. */
static void gather_vectors(Reader *reader) {
  Documents *documents = reader->documents;
  Error *error = reader->error;
  size_t items = documents->items.count, dimensions = (size_t)documents->dimensions, numbers = items * dimensions;
  if (error->code) return;
  uint8_t *filled = memory_alloc_zero(items, 1);
  documents->vectors = memory_alloc(items, dimensions * sizeof *documents->vectors);
  if (!filled || !documents->vectors) error_no_memory(error);
  if (!error->code && numbers) memset(documents->vectors, 0, numbers * sizeof *documents->vectors);
  for (size_t row = 0; row < reader->rows && !error->code; row++) {
    uint32_t item = reader->row_item[row];
    if (item == DICTIONARY_NONE || reader->empty[row]) continue;
    float *to = documents->vectors + (size_t)item * dimensions;
    for (size_t i = 0; i < dimensions; i++) to[i] += reader->vectors[row * dimensions + i];
    filled[item] = 1;
  }
  for (size_t i = 0; i < numbers && !error->code; i++)
    if (!isfinite(documents->vectors[i]))
      error_set(error, SQLITE_MISMATCH,
                "%s: the vectors that share an id add up to numbers beyond float32: scale them, or leave out "
                "\"same_id\": \"join\"",
                reader->options->caller);
  for (size_t item = 0; item < items && !error->code; item++) documents->empty += !filled[item];
  memory_free(filled);
}

int documents_read(sqlite3 *db, const Source *source, const DocumentOptions *options, Documents *documents,
                   const Cancel *cancel, Error *error) {
  *documents = (Documents){0};
  Reader reader = {.options = options, .cancel = cancel, .error = error, .documents = documents};
  if (!options->embedding) term_counter_create(&reader.counter, db, options, cancel, error);
  read_documents(&reader, db, source);
  sort_items(&reader);
  if (options->embedding)
    gather_vectors(&reader);
  else
    gather_terms(&reader);
  term_counter_destroy(reader.counter);
  memory_free(reader.row_item);
  memory_free(reader.item_row);
  memory_free(reader.vectors);
  memory_free(reader.empty);
  if (error->code) documents_free(documents);
  return error->code;
}

void documents_free(Documents *documents) {
  dictionary_free(&documents->items);
  dictionary_free(&documents->terms);
  sparse_free(&documents->counts);
  memory_free(documents->words);
  memory_free(documents->word_start);
  memory_free(documents->vectors);
  *documents = (Documents){0};
}
