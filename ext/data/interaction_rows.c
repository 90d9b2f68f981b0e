/* Reading rows: see interaction_rows.h.
 *
 * Rows are handed over by an aggregate function inside the SELECT, which saves SQLite a third of what a loop of
 * sqlite3_step costs:
 *
 *   WITH … SELECT recommend_collect(?1, c1, c2, c3) FROM …        ?1 a bound pointer to the Reader
 */
#include "interaction_rows.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "choose_columns.h"

#define POINTER_TYPE "recommend_collect"
#define POLL_ROWS 4096 /* rows between two looks at the wish to cancel */
#define WAITING_BYTES 16384

typedef struct Reader {
  const InteractionOptions *options;
  const Cancel *cancel;
  Error *error;
  Interactions *result;
  Rows *rows;

  /* The last rows kept, whose ids are still to be looked up: in batches, since one by one most of the time would go
   * into waiting for memory. Text is copied, as SQLite's is gone with the row. */
  Id users[DICTIONARY_BATCH], items[DICTIONARY_BATCH];
  size_t waiting, waiting_bytes;
  char bytes[WAITING_BYTES];
} Reader;

/* ---- rows -------------------------------------------------------------------------------------------------------- */

enum { EMPTY = 0, FOUND = 1, NOT_A_NUMBER = -1, NO_MEMORY = -2 };

/* A finite number, or text that reads wholly as one. */
static int read_number(sqlite3_value *value, double *number) {
  int type = sqlite3_value_type(value);
  if (type == SQLITE_TEXT) {
    if (sqlite3_value_bytes(value) == 0) return sqlite3_value_text(value) ? EMPTY : NO_MEMORY;
    type = sqlite3_value_numeric_type(value);
  }
  if (type == SQLITE_NULL) return EMPTY;
  if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) return NOT_A_NUMBER;
  *number = sqlite3_value_double(value);
  return isfinite(*number) ? FOUND : NOT_A_NUMBER;
}

/* A value that should have been a number, told with its row. `what` is "rating" or "timestamp"; `wrong` says what is
 * the matter with a number. */
static int mismatch(Reader *reader, const Id *user, const Id *item, sqlite3_value *value, const char *what,
                    const char *wrong, const char *advice) {
  char user_text[ID_FORMAT_SIZE], item_text[ID_FORMAT_SIZE], value_text[ID_FORMAT_SIZE];
  Id shown;
  int found = id_from_value(value, &shown);
  if (found <= 0) return error_no_memory(reader->error);
  int number = shown.kind <= ID_REAL;
  return error_set(reader->error, SQLITE_MISMATCH, "%s: row %lld (user %s, item %s) has the %s %s, which is %s: %s",
                   reader->options->caller, (sqlite3_int64)reader->result->rows, id_format(user, user_text),
                   id_format(item, item_text), what, id_format(&shown, value_text), number ? wrong : "not a number",
                   advice);
}

/* The row's rating: FOUND, EMPTY (leave the row out), or an error is set and the result is below 0. */
static int read_rating(Reader *reader, const Id *user, const Id *item, sqlite3_value *value, float *rating) {
  double number = 0;
  int found = read_number(value, &number);
  if (found == FOUND && fabs(number) > (double)FLT_MAX) found = NOT_A_NUMBER;
  *rating = (float)number;
  if (found == NO_MEMORY) error_no_memory(reader->error);
  if (found == NOT_A_NUMBER)
    mismatch(reader, user, item, value, "rating", "too large",
             "correct it, leave such rows out with a SELECT, or name another column with the option \"rating\" (null: "
             "no ratings)");
  return found;
}

/* A number that is the greater the later the time is: its bits, which run backwards where it is below 0. */
static int64_t order_of(double time) {
  int64_t bits;
  if (time == 0) return 0; /* and -0.0 */
  memcpy(&bits, &time, sizeof bits);
  return bits < 0 ? bits ^ INT64_MAX : bits;
}

/* The row's time, or a number that sorts as it does. An error is set where the value is not a time: in a column that is
 * not named, and of which only the order is asked, nothing counts any more. */
static int64_t read_time(Reader *reader, const Id *user, const Id *item, sqlite3_value *value) {
  static const char advice[] =
      "dates as text can be turned into numbers by a SELECT with unixepoch(…); another column can be named with the "
      "option \"timestamp\" (null: none)";
  int timed = reader->rows->timed;
  double number = -INFINITY;
  int64_t time = NO_TIME;
  int found = read_number(value, &number);
  if (found == NO_MEMORY) error_no_memory(reader->error);
  if (found == FOUND && timed && !(value_is_whole(value, &time) && time != NO_TIME))
    mismatch(reader, user, item, value, "timestamp", "not a whole number of 64 bits",
             "histories keep whole numbers, so let a SELECT turn it into seconds or milliseconds");
  if (found == NOT_A_NUMBER && (timed || reader->options->timestamp))
    mismatch(reader, user, item, value, "timestamp", "too large", advice);
  else if (found == NOT_A_NUMBER)
    reader->rows->times_ignored = 1;
  return timed ? time : order_of(number);
}

/* 1 and the id, 0 for NULL and '', -1 where memory ran out. */
static inline int read_id(sqlite3_value *value, IdAffinity affinity, Id *id) {
  int found = id_from_value_as(value, affinity, id);
  return found > 0 && id->kind == ID_TEXT && id->size == 0 ? 0 : found;
}

static int add_chunk(Reader *reader) {
  Chunk **chunks = memory_grow(reader->rows->chunks, reader->rows->chunk_count, sizeof *chunks);
  if (!chunks) return SQLITE_NOMEM;
  reader->rows->chunks = chunks;
  size_t size = sizeof(Chunk) + (reader->rows->with_times ? CHUNK_ROWS * sizeof(int64_t) : 0);
  Chunk *chunk = memory_alloc(1, size);
  if (!chunk) return SQLITE_NOMEM;
  reader->rows->chunks[reader->rows->chunk_count++] = chunk;
  return SQLITE_OK;
}

/* Looks the waiting rows' ids up. */
static int flush(Reader *reader) {
  if (reader->waiting == 0) return SQLITE_OK;
  size_t place = (reader->rows->kept - reader->waiting) & (CHUNK_ROWS - 1);
  Chunk *chunk = reader->rows->chunks[reader->rows->chunk_count - 1];
  assert(place + reader->waiting <= CHUNK_ROWS);
  int code = dictionary_add_batch(&reader->result->users, reader->users, reader->waiting, chunk->user + place);
  if (code == SQLITE_OK)
    code = dictionary_add_batch(&reader->result->items, reader->items, reader->waiting, chunk->item + place);
  reader->waiting = reader->waiting_bytes = 0;
  if (code == SQLITE_OK) return SQLITE_OK;
  if (code == SQLITE_NOMEM) return error_no_memory(reader->error);
  return error_set(reader->error, code, "%s: the source has more than 2147483647 users or items",
                   reader->options->caller);
}

static inline size_t byte_count(const Id *id) { return id->kind >= ID_TEXT ? id->size : 0; }

static inline Id copy_id(Reader *reader, const Id *id) {
  Id copy = *id;
  if (id->kind >= ID_TEXT) {
    assert(reader->waiting_bytes + id->size <= WAITING_BYTES);
    copy.as.bytes = memcpy(reader->bytes + reader->waiting_bytes, id->as.bytes, id->size);
    reader->waiting_bytes += id->size;
  }
  return copy;
}

/* Appends a row that is complete. */
static int keep_row(Reader *reader, const Id *user, const Id *item, float rating, int64_t time) {
  size_t bytes = byte_count(user) + byte_count(item), place = reader->rows->kept & (CHUNK_ROWS - 1);
  int code = SQLITE_OK;
  /* A batch lies within one chunk. */
  if (place == 0 || reader->waiting == DICTIONARY_BATCH || bytes > WAITING_BYTES - reader->waiting_bytes)
    code = flush(reader);
  if (code == SQLITE_OK && place == 0 && add_chunk(reader) != SQLITE_OK) code = error_no_memory(reader->error);
  if (code != SQLITE_OK) return code;
  if (rows_are_numbered(reader->rows) && reader->rows->kept >= UINT32_MAX)
    return error_set(reader->error, SQLITE_TOOBIG, "%s: the source has more than 4294967295 rows with timestamps",
                     reader->options->caller);
  Chunk *chunk = reader->rows->chunks[reader->rows->chunk_count - 1];
  chunk->value[place] = rating;
  if (reader->rows->with_times) chunk->time[place] = time;
  int large = bytes > WAITING_BYTES; /* then it does not wait */
  reader->users[reader->waiting] = large ? *user : copy_id(reader, user);
  reader->items[reader->waiting] = large ? *item : copy_id(reader, item);
  reader->waiting++;
  reader->rows->kept++;
  return large ? flush(reader) : SQLITE_OK;
}

/* Takes one row in: values are user, item[, rating[, time]]. SQLITE_OK, or the code of reader->error. */
static int collect_row(Reader *reader, int count, sqlite3_value **values) {
  Interactions *result = reader->result;
  Id user, item;
  float rating = 1;
  int64_t time = 0;
  result->rows++;
  int has_user = read_id(values[0], reader->options->user_as, &user);
  int has_item = read_id(values[1], reader->options->item_as, &item);
  if (has_user < 0 || has_item < 0) return error_no_memory(reader->error);
  int has_all = has_user && has_item;
  if (has_all && result->explicit_ratings) {
    int found = read_rating(reader, &user, &item, values[2], &rating);
    if (found < 0) return reader->error->code;
    has_all = found == FOUND;
  }
  if (!has_all) {
    result->left_out++;
    return SQLITE_OK;
  }
  if (count > 3 && !reader->rows->times_ignored) time = read_time(reader, &user, &item, values[3]);
  if (reader->error->code != SQLITE_OK) return reader->error->code;
  return keep_row(reader, &user, &item, rating, time);
}

/* recommend_collect(pointer, user, item[, rating[, time]]): one row. */
static void collect_step(sqlite3_context *context, int count, sqlite3_value **values) {
  Reader *reader = count >= 3 ? sqlite3_value_pointer(values[0], POINTER_TYPE) : NULL;
  if (!reader) {
    sqlite3_result_error(context, "recommend_collect() is for internal use", -1);
    return;
  }
  int code = collect_row(reader, count - 1, values + 1);
  if (code == SQLITE_OK && reader->result->rows % POLL_ROWS == 0) code = cancel_poll(reader->cancel);
  if (code != SQLITE_OK) sqlite3_result_error_code(context, code);
}

static void collect_final(sqlite3_context *context) { sqlite3_result_null(context); }

int source_register(sqlite3 *db) {
  return sqlite3_create_function_v2(db, "recommend_collect", -1, SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL, NULL,
                                    collect_step, collect_final, NULL);
}

/* ---- the statement ----------------------------------------------------------------------------------------------- */

static int choose(Reader *reader, sqlite3 *db, const Source *source, const SourceColumns *columns,
                  ChosenColumns *chosen) {
  int code = choose_columns(db, source, columns, reader->options, chosen, reader->error);
  if (code != SQLITE_OK) return code;
  Interactions *result = reader->result;
  reader->rows->rule = chosen->rule;
  reader->rows->timed = reader->options->timed;
  reader->rows->with_times = chosen->reads_time && chosen->column[COLUMN_TIME] >= 0;
  result->timestamps = reader->rows->with_times;
  result->explicit_ratings = chosen->column[COLUMN_RATING] >= 0;
  result->user_column = chosen->column[COLUMN_USER];
  result->item_column = chosen->column[COLUMN_ITEM];
  result->user_affinity = columns->affinities[result->user_column];
  result->item_affinity = columns->affinities[result->item_column];
  return SQLITE_OK;
}

static char *reading_statement(const SourceColumns *columns, const ChosenColumns *chosen, int with_times) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  sqlite3_str_appendf(sql, "%s SELECT recommend_collect(?1", columns->with);
  for (int role = 0; role < (with_times ? COLUMN_ROLES : COLUMN_TIME); role++) {
    if (chosen->column[role] >= 0)
      sqlite3_str_appendf(sql, ", c%d", chosen->column[role] + 1);
    else if (with_times)
      sqlite3_str_appendall(sql, ", NULL"); /* no rating stands before the time */
  }
  sqlite3_str_appendall(sql, ") FROM \"recommend(rows)\"");
  return sqlite3_str_finish(sql);
}

/* What was taken for what, the rows being read: times that were not all numbers did not count. */
static int tell_columns(Reader *reader, const SourceColumns *columns, ChosenColumns *chosen) {
  Interactions *result = reader->result;
  result->times_ignored = reader->rows->times_ignored;
  if (result->times_ignored) chosen->column[COLUMN_TIME] = -1;
  result->columns = chosen_columns_json(columns, chosen);
  int code = chosen->ratings_missed ? columns_unread(columns, &result->unread) : SQLITE_OK;
  return result->columns && code == SQLITE_OK ? SQLITE_OK : error_no_memory(reader->error);
}

/* Fills the chunks and the dictionaries. */
static int read_interaction_rows(Reader *reader, sqlite3 *db, const Source *source) {
  Error *error = reader->error;
  SourceColumns columns;
  ChosenColumns chosen;
  char *sql = NULL;
  sqlite3_stmt *statement = NULL;
  int code = source_columns(db, source, reader->options->caller, &columns, error);
  if (code == SQLITE_OK) code = choose(reader, db, source, &columns, &chosen);
  if (code != SQLITE_OK) goto done;
  sql = reading_statement(&columns, &chosen, reader->rows->with_times);
  code = sql ? sqlite3_prepare_v2(db, sql, -1, &statement, NULL) : SQLITE_NOMEM;
  if (code == SQLITE_OK) code = sqlite3_bind_pointer(statement, 1, reader, POINTER_TYPE, NULL);
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  if (code == SQLITE_ROW) code = SQLITE_OK;
  code = code == SQLITE_OK ? flush(reader) : error_from_database(error, db, code, reader->options->caller);
  if (code == SQLITE_OK) code = tell_columns(reader, &columns, &chosen);
done:
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  source_columns_free(&columns);
  return code;
}

int rows_read(sqlite3 *db, const Source *source, const InteractionOptions *options, Rows *rows,
              Interactions *interactions, const Cancel *cancel, Error *error) {
  *rows = (Rows){0};
  Reader *reader = memory_alloc_zero(1, sizeof *reader);
  if (!reader) return error_no_memory(error);
  reader->options = options;
  reader->cancel = cancel;
  reader->error = error;
  reader->result = interactions;
  reader->rows = rows;
  int code = read_interaction_rows(reader, db, source);
  memory_free(reader);
  return code;
}

void rows_free(Rows *rows) {
  for (size_t c = 0; c < rows->chunk_count; c++) memory_free(rows->chunks[c]);
  memory_free(rows->chunks);
  rows->chunks = NULL;
  rows->chunk_count = 0;
}
