/* Reading interactions: see interactions.h.
 *
 * Rows are handed over by an aggregate function inside the SELECT, which saves SQLite a third of what a loop of
 * sqlite3_step costs:
 *
 *   WITH … SELECT recommend_collect(?1, c1, c2, c3) FROM …        ?1 a bound pointer to the Reader
 *
 * They are kept in chunks of 64 K rows as (user, item, value), indexes in order of arrival. Afterwards:
 *
 *   1. the dictionaries are sorted; a counting sort by user turns the chunks, freed one by one, into 64-bit keys
 *          item << 32 | value                        (the value's bits)
 *          item << 32 | row                          (with timestamps: row tells where to find the rest)
 *   2. each user's keys are sorted, by radix, stably; keys of one item are merged by the rule for duplicates, and the
 *      row is parted into what is trained on and what is held out: in parallel by blocks of users
 *   3. the keys are copied into the two sparse matrices */
#include "interactions.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"

#define POINTER_TYPE "recommend_collect"
#define CHUNK_BITS 16
#define CHUNK_ROWS ((size_t)1 << CHUNK_BITS)
#define POLL_ROWS 4096 /* rows between two looks at the wish to cancel */
#define BLOCK_USERS 256
#define MOST_WORKERS 256 /* as in parallel.h */

typedef struct Chunk {
  uint32_t user[CHUNK_ROWS], item[CHUNK_ROWS];
  float value[CHUNK_ROWS];
  double time[]; /* CHUNK_ROWS, or none */
} Chunk;

/* What one worker of the parallel steps has to itself. */
typedef struct Worker {
  uint64_t *scratch;           /* the longest row's keys */
  uint32_t bad_user, bad_item; /* the first pair that can't be merged, or UINT32_MAX */
} Worker;

typedef struct Reader {
  const InteractionOptions *options;
  const Cancel *cancel;
  Error *error;
  Interactions *result;
  DuplicatesRule rule; /* never DEFAULT */
  int with_times;      /* chunks have times */
  int times_ignored;   /* a value of the fourth column is no time */
  Chunk **chunks;
  size_t chunk_count, chunk_capacity;
  size_t kept; /* rows in the chunks */

  size_t *start;            /* users + 1 offsets into keys */
  uint64_t *keys;           /* kept */
  uint32_t *trained, *held; /* of each user, after step 2: the trained keys come first, then those held out */
  int item_bits;            /* enough for every item's index */
  Worker workers[MOST_WORKERS];
  int worker_count;
} Reader;

void interactions_free(Interactions *interactions) {
  dictionary_free(&interactions->users);
  dictionary_free(&interactions->items);
  sparse_free(&interactions->by_user);
  sparse_free(&interactions->held_out);
  *interactions = (Interactions){0};
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

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

/* A value that should have been a number, told with its row. `what` is "rating" or "timestamp". */
static int mismatch(Reader *reader, const Id *user, const Id *item, sqlite3_value *value, const char *what,
                    const char *advice) {
  char user_text[ID_FORMAT_SIZE], item_text[ID_FORMAT_SIZE], value_text[ID_FORMAT_SIZE];
  Id shown;
  int found = id_from_value(value, &shown);
  if (found <= 0) return error_no_memory(reader->error);
  int number = shown.kind <= ID_REAL;
  return error_set(reader->error, SQLITE_MISMATCH, "%s: row %lld (user %s, item %s) has the %s %s, which is %s: %s",
                   reader->options->caller, (sqlite3_int64)reader->result->rows, id_format(user, user_text),
                   id_format(item, item_text), what, id_format(&shown, value_text),
                   number ? "too large" : "not a number", advice);
}

/* The row's rating: FOUND, EMPTY (leave the row out), or an error is set and the result is below 0. */
static int read_rating(Reader *reader, const Id *user, const Id *item, sqlite3_value *value, float *rating) {
  double number = 0;
  int found = read_number(value, &number);
  if (found == FOUND && fabs(number) > (double)FLT_MAX) found = NOT_A_NUMBER;
  *rating = (float)number;
  if (found == NO_MEMORY) error_no_memory(reader->error);
  if (found == NOT_A_NUMBER)
    mismatch(reader, user, item, value, "rating",
             "correct it, leave such rows out with a SELECT, or name another column with the option \"rating\" (null: "
             "no ratings)");
  return found;
}

/* The row's time; -INFINITY where it has none. An error is set where a named column has something else. */
static double read_time(Reader *reader, const Id *user, const Id *item, sqlite3_value *value) {
  double time = -INFINITY;
  int found = read_number(value, &time);
  if (found == NO_MEMORY) error_no_memory(reader->error);
  if (found != NOT_A_NUMBER) return time;
  if (reader->options->timestamp)
    mismatch(reader, user, item, value, "timestamp",
             "dates as text can be turned into numbers by a SELECT with unixepoch(…)");
  else
    reader->times_ignored = 1;
  return -INFINITY;
}

/* 1 and the id, 0 for NULL and '', -1 where memory ran out. */
static inline int read_id(sqlite3_value *value, Id *id) {
  int found = id_from_value(value, id);
  return found > 0 && id->kind == ID_TEXT && id->size == 0 ? 0 : found;
}

static int add_chunk(Reader *reader) {
  if (reader->chunk_count == reader->chunk_capacity) {
    size_t capacity = reader->chunk_capacity ? 2 * reader->chunk_capacity : 16;
    Chunk **chunks = memory_resize(reader->chunks, capacity, sizeof *chunks);
    if (!chunks) return SQLITE_NOMEM;
    reader->chunks = chunks;
    reader->chunk_capacity = capacity;
  }
  size_t size = sizeof(Chunk) + (reader->with_times ? CHUNK_ROWS * sizeof(double) : 0);
  Chunk *chunk = memory_alloc(1, size);
  if (!chunk) return SQLITE_NOMEM;
  reader->chunks[reader->chunk_count++] = chunk;
  return SQLITE_OK;
}

/* Takes one row in: values are user, item[, rating[, time]]. SQLITE_OK, or the code of reader->error. */
static int collect_row(Reader *reader, int count, sqlite3_value **values) {
  Interactions *result = reader->result;
  Id user, item;
  float rating = 1;
  double time = 0;
  result->rows++;
  int has_user = read_id(values[0], &user), has_item = read_id(values[1], &item);
  if (has_user < 0 || has_item < 0) return error_no_memory(reader->error);
  int has_all = has_user && has_item;
  if (has_all && count > 2) {
    int found = read_rating(reader, &user, &item, values[2], &rating);
    if (found < 0) return reader->error->code;
    has_all = found == FOUND;
  }
  if (!has_all) {
    result->left_out++;
    return SQLITE_OK;
  }
  if (count > 3 && !reader->times_ignored) time = read_time(reader, &user, &item, values[3]);
  if (reader->error->code != SQLITE_OK) return reader->error->code;
  size_t place = reader->kept & (CHUNK_ROWS - 1);
  if (place == 0 && add_chunk(reader) != SQLITE_OK) return error_no_memory(reader->error);
  Chunk *chunk = reader->chunks[reader->chunk_count - 1];
  int code = dictionary_add(&result->users, &user, &chunk->user[place]);
  if (code == SQLITE_OK) code = dictionary_add(&result->items, &item, &chunk->item[place]);
  if (code == SQLITE_NOMEM) return error_no_memory(reader->error);
  if (code != SQLITE_OK || (reader->with_times && reader->kept >= UINT32_MAX))
    return error_set(reader->error, SQLITE_TOOBIG, "%s: the source has too many rows or ids", reader->options->caller);
  chunk->value[place] = rating;
  if (reader->with_times) chunk->time[place] = time;
  reader->kept++;
  return SQLITE_OK;
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

/* ---- the statement --------------------------------------------------------------------------------------------- */

typedef struct Columns {
  int user, item, rating, time; /* indexes; -1: none */
} Columns;

/* A role's column: by name where the options name one, else by position; -1 where there is none. */
static int choose(const SourceColumns *columns, const char *name, int position, const char *role, const char *caller,
                  Error *error) {
  if (name) return source_column(columns, name, role, caller, error);
  return position < columns->count ? position : -1;
}

/* An error where two roles fall on one column, as when only one of several is named. */
static int check_distinct(const SourceColumns *columns, const Columns *chosen, const char *caller, Error *error) {
  int twice = -1;
  if (chosen->user == chosen->item) twice = chosen->item;
  if (chosen->rating >= 0 && (chosen->rating == chosen->user || chosen->rating == chosen->item)) twice = chosen->rating;
  if (twice < 0) return SQLITE_OK;
  return error_set(error, SQLITE_ERROR,
                   "%s: the column \"%s\" would be two of user, item and rating: name all columns with the options "
                   "\"user\", \"item\" and \"rating\" (null: no ratings)",
                   caller, columns->names[twice]);
}

static int choose_columns(Reader *reader, const SourceColumns *columns, Columns *chosen) {
  const InteractionOptions *options = reader->options;
  const char *caller = options->caller;
  Error *error = reader->error;
  *chosen = (Columns){-1, -1, -1, -1};
  if (columns->count < 2)
    return error_set(error, SQLITE_ERROR, "%s: the source has one column, \"%s\": it needs a user and an item at least",
                     caller, columns->names[0]);
  chosen->user = choose(columns, options->user, 0, "user", caller, error);
  chosen->item = choose(columns, options->item, 1, "item", caller, error);
  if (!options->implicit) chosen->rating = choose(columns, options->rating, 2, "rating", caller, error);
  chosen->time = choose(columns, options->timestamp, 3, "timestamp", caller, error);
  if (error->code != SQLITE_OK) return error->code;

  reader->rule = options->duplicates;
  if (reader->rule == DUPLICATES_DEFAULT) reader->rule = chosen->rating >= 0 ? DUPLICATES_LAST : DUPLICATES_SUM;
  int taken = chosen->time == chosen->user || chosen->time == chosen->item || chosen->time == chosen->rating;
  if (chosen->rating < 0 || reader->rule != DUPLICATES_LAST || (taken && !options->timestamp)) chosen->time = -1;
  reader->with_times = chosen->time >= 0;
  reader->result->explicit_ratings = chosen->rating >= 0;
  reader->result->user_affinity = columns->affinities[chosen->user];
  reader->result->item_affinity = columns->affinities[chosen->item];
  return check_distinct(columns, chosen, caller, error);
}

static char *reading_statement(const SourceColumns *columns, const Columns *chosen) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  sqlite3_str_appendf(sql, "%s SELECT recommend_collect(?1, c%d, c%d", columns->with, chosen->user + 1,
                      chosen->item + 1);
  if (chosen->rating >= 0) sqlite3_str_appendf(sql, ", c%d", chosen->rating + 1);
  if (chosen->time >= 0) sqlite3_str_appendf(sql, ", c%d", chosen->time + 1);
  sqlite3_str_appendall(sql, ") FROM \"recommend(rows)\"");
  return sqlite3_str_finish(sql);
}

/* Fills the chunks and the dictionaries. */
static int read_rows(Reader *reader, sqlite3 *db, const Source *source) {
  Error *error = reader->error;
  SourceColumns columns;
  Columns chosen;
  char *sql = NULL;
  sqlite3_stmt *statement = NULL;
  int code = source_columns(db, source, reader->options->caller, &columns, error);
  if (code == SQLITE_OK) code = choose_columns(reader, &columns, &chosen);
  if (code != SQLITE_OK) goto done;
  sql = reading_statement(&columns, &chosen);
  code = sql ? sqlite3_prepare_v2(db, sql, -1, &statement, NULL) : SQLITE_NOMEM;
  if (code == SQLITE_OK) code = sqlite3_bind_pointer(statement, 1, reader, POINTER_TYPE, NULL);
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  if (code == SQLITE_ROW) code = SQLITE_OK;
  if (code != SQLITE_OK) code = error_from_database(error, db, code, reader->options->caller);
done:
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  source_columns_free(&columns);
  return code;
}

/* ---- from chunks to keys --------------------------------------------------------------------------------------- */

static void free_chunks(Reader *reader) {
  for (size_t c = 0; c < reader->chunk_count; c++) memory_free(reader->chunks[c]);
  memory_free(reader->chunks);
  reader->chunks = NULL;
  reader->chunk_count = reader->chunk_capacity = 0;
}

static size_t chunk_length(const Reader *reader, size_t c) {
  return c + 1 < reader->chunk_count ? CHUNK_ROWS : reader->kept - c * CHUNK_ROWS;
}

static inline uint32_t value_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline float bits_value(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Puts the keys of one chunk where start says the user's next one goes. */
static void scatter(Reader *reader, size_t c, const uint32_t *item_index) {
  const Chunk *chunk = reader->chunks[c];
  size_t n = chunk_length(reader, c);
  size_t *next = reader->start;
  for (size_t r = 0; r < n; r++) {
    uint32_t low = reader->with_times ? (uint32_t)(c << CHUNK_BITS | r) : value_bits(chunk->value[r]);
    reader->keys[next[chunk->user[r]]++] = (uint64_t)item_index[chunk->item[r]] << 32 | low;
  }
}

/* Step 1. */
static int sort_by_user(Reader *reader) {
  Interactions *result = reader->result;
  size_t users = result->users.count, items = result->items.count;
  uint32_t *user_index = memory_alloc(users, sizeof *user_index);
  uint32_t *item_index = memory_alloc(items, sizeof *item_index);
  size_t *counts = memory_alloc_zero(users, sizeof *counts);
  reader->start = memory_alloc_zero(users + 1, sizeof *reader->start);
  reader->keys = memory_alloc(reader->kept, sizeof *reader->keys);
  int code = SQLITE_NOMEM;
  if (!user_index || !item_index || !counts || !reader->start || !reader->keys) goto done;
  if (dictionary_sort(&result->users, user_index) != SQLITE_OK) goto done;
  if (dictionary_sort(&result->items, item_index) != SQLITE_OK) goto done;
  while (reader->item_bits < 31 && items > (size_t)1 << reader->item_bits) reader->item_bits++;

  for (size_t c = 0; c < reader->chunk_count; c++) {
    size_t n = chunk_length(reader, c);
    uint32_t *user = reader->chunks[c]->user;
    for (size_t r = 0; r < n; r++) counts[user[r] = user_index[user[r]]]++;
  }
  size_t sum = 0;
  for (size_t u = 0; u < users; u++) {
    reader->start[u] = sum;
    sum += counts[u];
  }
  code = SQLITE_OK;
  for (size_t c = 0; c < reader->chunk_count && code == SQLITE_OK; c++) {
    scatter(reader, c, item_index);
    if (!reader->with_times) { /* the keys hold all of it */
      memory_free(reader->chunks[c]);
      reader->chunks[c] = NULL;
    }
    code = cancel_poll(reader->cancel);
  }
  /* Every start has moved to the next one's place. */
  memmove(reader->start + 1, reader->start, users * sizeof *reader->start);
  reader->start[0] = 0;
done:
  memory_free(user_index);
  memory_free(item_index);
  memory_free(counts);
  return code;
}

/* ---- sorting and merging one user's keys ----------------------------------------------------------------------- */

/* Sorts keys by the bits low … high-1, stably; the bits above `high` are equal in all of them. */
static void sort_keys(uint64_t *keys, uint64_t *scratch, size_t n, int low, int high) {
  size_t sorted = 1;
  while (sorted < n && keys[sorted - 1] >> low <= keys[sorted] >> low) sorted++;
  if (sorted >= n) return;
  if (n <= 40) {
    for (size_t i = sorted; i < n; i++) {
      uint64_t key = keys[i];
      size_t j = i;
      for (; j > 0 && keys[j - 1] >> low > key >> low; j--) keys[j] = keys[j - 1];
      keys[j] = key;
    }
    return;
  }
  int passes = (high - low + 7) / 8, bits = (high - low + passes - 1) / passes;
  uint64_t mask = (UINT64_C(1) << bits) - 1, *from = keys, *to = scratch;
  for (int pass = 0; pass < passes; pass++) {
    int shift = low + pass * bits;
    size_t place[257] = {0};
    for (size_t i = 0; i < n; i++) place[(from[i] >> shift & mask) + 1]++;
    for (size_t d = 0; d < mask; d++) place[d + 1] += place[d];
    for (size_t i = 0; i < n; i++) to[place[from[i] >> shift & mask]++] = from[i];
    uint64_t *filled = to;
    to = from;
    from = filled;
  }
  if (from != keys) memcpy(keys, from, n * sizeof *keys);
}

/* The low half of the key for a run of `n` keys of one item, in order of arrival, with value bits. */
static uint32_t merge_values(DuplicatesRule rule, uint64_t *keys, uint64_t *scratch, size_t n) {
  if (rule != DUPLICATES_SUM && rule != DUPLICATES_MEAN) return (uint32_t)keys[n - 1];
  sort_keys(keys, scratch, n, 0, 32); /* a sum that does not depend on the order of rows */
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += (double)bits_value((uint32_t)keys[i]);
  return value_bits((float)(rule == DUPLICATES_SUM ? sum : sum / (double)n));
}

/* The same for keys with row numbers: the value of the latest row. */
static uint32_t latest_value(const Reader *reader, const uint64_t *keys, size_t n) {
  float value = 0;
  double latest = -INFINITY;
  for (size_t i = 0; i < n; i++) {
    uint32_t row = (uint32_t)keys[i];
    const Chunk *chunk = reader->chunks[row >> CHUNK_BITS];
    double time = reader->times_ignored || n == 1 ? -INFINITY : chunk->time[row & (CHUNK_ROWS - 1)];
    if (time < latest) continue;
    latest = time;
    value = chunk->value[row & (CHUNK_ROWS - 1)];
  }
  return value_bits(value);
}

static int is_held_out(const Reader *reader, const Id *user, uint64_t key) {
  const Id pair[2] = {*user, dictionary_id(&reader->result->items, key >> 32)};
  return split_uniform(reader->options->seed, pair, 2) < reader->options->test;
}

/* Sorts one user's keys, merges those of one item, and parts them: trained first, then held out. */
static void settle_user(Reader *reader, size_t user, Worker *worker) {
  uint64_t *keys = reader->keys + reader->start[user];
  size_t n = reader->start[user + 1] - reader->start[user];
  sort_keys(keys, worker->scratch, n, 32, 32 + reader->item_bits);
  Id id = dictionary_id(&reader->result->users, user);
  size_t trained = 0, held = 0, next;
  for (size_t i = 0; i < n; i = next) {
    uint64_t item = keys[i] >> 32;
    for (next = i + 1; next < n && keys[next] >> 32 == item;) next++;
    uint64_t key = keys[i];
    if (reader->with_times)
      key = item << 32 | latest_value(reader, keys + i, next - i);
    else if (next - i > 1) /* the scratch holds `held` keys, which come before, and has room for these */
      key = item << 32 | merge_values(reader->rule, keys + i, worker->scratch + held, next - i);
    int bad = reader->rule == DUPLICATES_ERROR ? next - i > 1 : !isfinite(bits_value((uint32_t)key));
    if (bad && user < worker->bad_user) {
      worker->bad_user = (uint32_t)user;
      worker->bad_item = (uint32_t)item;
    }
    if (reader->options->test > 0 && is_held_out(reader, &id, key))
      worker->scratch[held++] = key;
    else
      keys[trained++] = key;
  }
  if (held) memcpy(keys + trained, worker->scratch, held * sizeof *keys);
  reader->trained[user] = (uint32_t)trained;
  reader->held[user] = (uint32_t)held;
}

static size_t block_end(const Reader *reader, size_t block) {
  size_t users = reader->result->users.count, end = (block + 1) * BLOCK_USERS;
  return end < users ? end : users;
}

static int settle_block(void *context, size_t block, int worker) {
  Reader *reader = context;
  for (size_t user = block * BLOCK_USERS; user < block_end(reader, block); user++)
    settle_user(reader, user, &reader->workers[worker]);
  return SQLITE_OK;
}

/* As many workers as asked for, but together no more scratch than there are keys. */
static int start_workers(Reader *reader) {
  size_t longest = 1;
  for (size_t u = 0; u < reader->result->users.count; u++) {
    size_t length = reader->start[u + 1] - reader->start[u];
    if (length > longest) longest = length;
  }
  size_t workers = reader->options->threads < 1 ? 1 : (size_t)reader->options->threads;
  if (workers > MOST_WORKERS) workers = MOST_WORKERS;
  if (workers > reader->kept / longest) workers = reader->kept / longest;
  if (workers < 1) workers = 1;
  reader->worker_count = (int)workers;
  for (size_t w = 0; w < workers; w++) {
    reader->workers[w] = (Worker){NULL, UINT32_MAX, UINT32_MAX};
    reader->workers[w].scratch = memory_alloc(longest, sizeof(uint64_t));
    if (!reader->workers[w].scratch) return SQLITE_NOMEM;
  }
  return SQLITE_OK;
}

static size_t block_count(const Reader *reader) {
  return (reader->result->users.count + BLOCK_USERS - 1) / BLOCK_USERS;
}

/* The error for the first pair that could not be merged, whichever worker found it. */
static int check_pairs(const Reader *reader) {
  const Worker *first = &reader->workers[0];
  for (int w = 1; w < reader->worker_count; w++)
    if (reader->workers[w].bad_user < first->bad_user) first = &reader->workers[w];
  if (first->bad_user == UINT32_MAX) return SQLITE_OK;
  char user_text[ID_FORMAT_SIZE], item_text[ID_FORMAT_SIZE];
  Id user = dictionary_id(&reader->result->users, first->bad_user);
  Id item = dictionary_id(&reader->result->items, first->bad_item);
  id_format(&user, user_text);
  id_format(&item, item_text);
  if (reader->rule != DUPLICATES_ERROR)
    return error_set(reader->error, SQLITE_MISMATCH,
                     "%s: the ratings of user %s and item %s add up to a number too large", reader->options->caller,
                     user_text, item_text);
  return error_set(reader->error, SQLITE_CONSTRAINT,
                   "%s: user %s and item %s occur together more than once: choose another rule with the option "
                   "\"duplicates\" (last, sum, mean)",
                   reader->options->caller, user_text, item_text);
}

/* Step 2. */
static int settle_users(Reader *reader) {
  size_t users = reader->result->users.count;
  reader->trained = memory_alloc(users, sizeof *reader->trained);
  reader->held = memory_alloc(users, sizeof *reader->held);
  if (!reader->trained || !reader->held || start_workers(reader) != SQLITE_OK) return SQLITE_NOMEM;
  int code = parallel_for(reader->worker_count, block_count(reader), settle_block, reader, reader->cancel);
  return code == SQLITE_OK ? check_pairs(reader) : code;
}

/* ---- from keys to matrices ------------------------------------------------------------------------------------- */

static int alloc_matrix(const Reader *reader, const uint32_t *counts, SparseMatrix *matrix) {
  size_t users = reader->result->users.count, entries = 0;
  for (size_t u = 0; u < users; u++) entries += counts[u];
  int code = sparse_alloc(matrix, users, reader->result->items.count, entries, 1);
  if (code != SQLITE_OK) return code;
  for (size_t u = 0; u < users; u++) matrix->start[u + 1] = matrix->start[u] + counts[u];
  return SQLITE_OK;
}

static void copy_row(const uint64_t *keys, size_t n, SparseMatrix *matrix, size_t user) {
  uint32_t *index = matrix->index + matrix->start[user];
  float *value = matrix->value + matrix->start[user];
  for (size_t i = 0; i < n; i++) {
    index[i] = (uint32_t)(keys[i] >> 32);
    value[i] = bits_value((uint32_t)keys[i]);
  }
}

static int copy_block(void *context, size_t block, int worker) {
  Reader *reader = context;
  (void)worker;
  for (size_t user = block * BLOCK_USERS; user < block_end(reader, block); user++) {
    const uint64_t *keys = reader->keys + reader->start[user];
    copy_row(keys, reader->trained[user], &reader->result->by_user, user);
    if (reader->held[user]) copy_row(keys + reader->trained[user], reader->held[user], &reader->result->held_out, user);
  }
  return SQLITE_OK;
}

/* Ones need no values. */
static void drop_ones(SparseMatrix *matrix) {
  if (!matrix->value) return;
  size_t entries = matrix->start[matrix->rows];
  for (size_t e = 0; e < entries; e++)
    if (matrix->value[e] != 1.0F) return;
  memory_free(matrix->value);
  matrix->value = NULL;
}

static void summarize(Interactions *result) {
  const SparseMatrix *matrix = &result->by_user;
  size_t entries = matrix->start[matrix->rows];
  if (entries == 0) return;
  float minimum = matrix->value[0], maximum = minimum;
  double sum = 0;
  for (size_t e = 0; e < entries; e++) {
    float value = matrix->value[e];
    minimum = value < minimum ? value : minimum;
    maximum = value > maximum ? value : maximum;
    sum += (double)value;
  }
  result->minimum = (double)minimum;
  result->maximum = (double)maximum;
  result->mean = sum / (double)entries;
}

/* Step 3. */
static int fill_matrices(Reader *reader) {
  Interactions *result = reader->result;
  int code = alloc_matrix(reader, reader->trained, &result->by_user);
  if (code == SQLITE_OK && reader->options->test > 0) code = alloc_matrix(reader, reader->held, &result->held_out);
  if (code != SQLITE_OK) return code;
  size_t held = result->held_out.start ? result->held_out.start[result->users.count] : 0;
  result->duplicates = (int64_t)(reader->kept - result->by_user.start[result->users.count] - held);
  code = parallel_for(reader->options->threads, block_count(reader), copy_block, reader, reader->cancel);
  if (code != SQLITE_OK) return code;
  summarize(result);
  drop_ones(&result->by_user);
  drop_ones(&result->held_out);
  return SQLITE_OK;
}

static void reader_free(Reader *reader) {
  if (!reader) return;
  free_chunks(reader);
  for (int w = 0; w < reader->worker_count; w++) memory_free(reader->workers[w].scratch);
  memory_free(reader->start);
  memory_free(reader->keys);
  memory_free(reader->trained);
  memory_free(reader->held);
  memory_free(reader);
}

int interactions_read(sqlite3 *db, const Source *source, const InteractionOptions *options, Interactions *interactions,
                      const Cancel *cancel, Error *error) {
  *interactions = (Interactions){0};
  Reader *reader = memory_alloc_zero(1, sizeof *reader);
  if (!reader) return error_no_memory(error);
  reader->options = options;
  reader->cancel = cancel;
  reader->error = error;
  reader->result = interactions;
  int code = read_rows(reader, db, source);
  if (code == SQLITE_OK) code = sort_by_user(reader);
  if (code == SQLITE_OK) code = settle_users(reader);
  if (reader->with_times) free_chunks(reader);
  if (code == SQLITE_OK) code = fill_matrices(reader);
  if (code == SQLITE_NOMEM) error_no_memory(error);
  if (code != SQLITE_OK) error_set(error, code, "%s: %s", options->caller, sqlite3_errstr(code)); /* interrupted */
  if (code != SQLITE_OK) interactions_free(interactions);
  reader_free(reader);
  return code;
}
