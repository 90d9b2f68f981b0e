/* Building interactions from rows: see interactions.h, and interaction_rows.h for how they are read.
 *
 * Rows come in chunks of 64 K as (user, item, value), indexes in order of arrival. Then:
 *
 *   1. the dictionaries are sorted; a counting sort by user turns the chunks, freed one by one, into 64-bit keys
 *          item << 32 | value                        (the value's bits)
 *          item << 32 | row                          (with timestamps, or where entries are timed: row tells where to
 *                                                     find the rest)
 *   2. each user's keys are sorted, by radix, stably; keys of one item are merged by the rule for duplicates, and the
 *      row is parted into what is trained on and what is held out: in parallel by blocks of users
 *   3. the keys are copied into the two sparse matrices */
#include "interactions.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "interaction_rows.h"

#define BLOCK_USERS 256
#define MOST_WORKERS 256 /* as in parallel.h */

/* What one worker of the parallel steps has to itself. */
typedef struct Worker {
  uint64_t *scratch;           /* the longest row's keys */
  uint32_t bad_user, bad_item; /* the first pair that can't be merged, or UINT32_MAX */
} Worker;

typedef struct Build {
  const InteractionOptions *options;
  const Cancel *cancel;
  Error *error;
  Interactions *result;
  Rows rows;
  size_t *start;            /* users + 1 offsets into keys */
  uint64_t *keys;           /* one a row */
  uint32_t *trained, *held; /* of each user, after step 2: the trained keys come first, then those held out */
  int item_bits;            /* enough for every item's index */
  Worker workers[MOST_WORKERS];
  int worker_count;
} Build;

void interactions_free(Interactions *interactions) {
  dictionary_free(&interactions->users);
  dictionary_free(&interactions->items);
  sparse_free(&interactions->by_user);
  sparse_free(&interactions->held_out);
  entry_times_free(&interactions->trained_times);
  entry_times_free(&interactions->held_out_times);
  sqlite3_free(interactions->columns);
  sqlite3_free(interactions->unread);
  *interactions = (Interactions){0};
}

/* ---- from chunks to keys ----------------------------------------------------------------------------------------- */

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
static void scatter(Build *build, size_t c, const uint32_t *item_index) {
  const Chunk *chunk = build->rows.chunks[c];
  size_t n = rows_in_chunk(&build->rows, c);
  size_t *next = build->start;
  for (size_t r = 0; r < n; r++) {
    uint32_t low = rows_are_numbered(&build->rows) ? (uint32_t)(c << CHUNK_BITS | r) : value_bits(chunk->value[r]);
    build->keys[next[chunk->user[r]]++] = (uint64_t)item_index[chunk->item[r]] << 32 | low;
  }
}

/* Step 1. The chunks' users become indexes in order of id while they are counted. */
static int sort_by_user(Build *build) {
  Interactions *result = build->result;
  size_t users = result->users.count, items = result->items.count;
  uint32_t *user_index = memory_alloc(users, sizeof *user_index);
  uint32_t *item_index = memory_alloc(items, sizeof *item_index);
  size_t *counts = memory_alloc_zero(users, sizeof *counts);
  build->start = memory_alloc_zero(users + 1, sizeof *build->start);
  build->keys = memory_alloc(build->rows.kept, sizeof *build->keys);
  int code = SQLITE_NOMEM;
  if (!user_index || !item_index || !counts || !build->start || !build->keys) goto done;
  code = dictionary_sort(&result->users, user_index, build->options->threads, build->cancel);
  if (code == SQLITE_OK) code = dictionary_sort(&result->items, item_index, build->options->threads, build->cancel);
  if (code != SQLITE_OK) goto done;
  while (build->item_bits < 31 && items > (size_t)1 << build->item_bits) build->item_bits++;

  for (size_t c = 0; c < build->rows.chunk_count; c++) {
    size_t n = rows_in_chunk(&build->rows, c);
    uint32_t *user = build->rows.chunks[c]->user;
    for (size_t r = 0; r < n; r++) counts[user[r] = user_index[user[r]]]++;
  }
  size_t sum = 0;
  for (size_t u = 0; u < users; u++) {
    build->start[u] = sum;
    sum += counts[u];
  }
  for (size_t c = 0; c < build->rows.chunk_count && code == SQLITE_OK; c++) {
    scatter(build, c, item_index);
    if (!rows_are_numbered(&build->rows)) { /* the keys hold all of it */
      memory_free(build->rows.chunks[c]);
      build->rows.chunks[c] = NULL;
    }
    code = cancel_poll(build->cancel);
  }
  /* Every start has moved to the next one's place. */
  memmove(build->start + 1, build->start, users * sizeof *build->start);
  build->start[0] = 0;
done:
  memory_free(user_index);
  memory_free(item_index);
  memory_free(counts);
  return code;
}

/* ---- sorting and merging one user's keys ------------------------------------------------------------------------- */

/* Sorts keys by the bits low … high-1, stably; the bits above `high` are equal in all of them. */
static void sort_cell_keys(uint64_t *keys, uint64_t *scratch, size_t n, int low, int high) {
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
  sort_cell_keys(keys, scratch, n, 0, 32); /* a sum that does not depend on the order of rows */
  double sum = 0, size = 0;
  for (size_t i = 0; i < n; i++) {
    double value = (double)bits_value((uint32_t)keys[i]);
    sum += value;
    size += fabs(value);
  }
  /* What cancels out is 0, and not what rounding leaves of it: 0.1 + 0.2 - 0.3. */
  if (fabs(sum) <= size * (double)FLT_EPSILON) sum = 0;
  return value_bits((float)(rule == DUPLICATES_SUM ? sum : sum / (double)n));
}

/* ---- keys that name rows ----------------------------------------------------------------------------------------- */

static float *row_value(const Build *build, uint32_t row) {
  return &build->rows.chunks[row >> CHUNK_BITS]->value[row & (CHUNK_ROWS - 1)];
}

static int64_t row_time(const Build *build, uint32_t row) {
  if (!build->rows.with_times || build->rows.times_ignored) return NO_TIME;
  return build->rows.chunks[row >> CHUNK_BITS]->time[row & (CHUNK_ROWS - 1)];
}

/* Of the keys of one item the row that counts: the latest, and of those of one time the last. A row without a time is
 * taken for older than any that has one, so that it never replaces a dated rating. */
static uint32_t latest_row(const Build *build, const uint64_t *keys, size_t n) {
  uint32_t latest = (uint32_t)keys[0];
  int64_t latest_time = INT64_MIN;
  for (size_t i = 0; i < n && n > 1; i++) {
    int64_t time = row_time(build, (uint32_t)keys[i]);
    if (time == NO_TIME) time = INT64_MIN;
    if (time < latest_time) continue;
    latest_time = time;
    latest = (uint32_t)keys[i];
  }
  return latest;
}

/* The low half of the one key for a run of `n`: the value; of timed entries the latest row, which receives it. */
static uint32_t merge_rows(const Build *build, uint64_t *keys, uint64_t *scratch, size_t n) {
  uint32_t row = latest_row(build, keys, n);
  if (!build->rows.timed) return value_bits(*row_value(build, row));
  if (n > 1 && (build->rows.rule == DUPLICATES_SUM || build->rows.rule == DUPLICATES_MEAN)) {
    for (size_t i = 0; i < n; i++) keys[i] = value_bits(*row_value(build, (uint32_t)keys[i]));
    *row_value(build, row) = bits_value(merge_values(build->rows.rule, keys, scratch, n));
  }
  return row;
}

/* The value of a key that is settled. */
static float key_value(const Build *build, uint64_t key) {
  return build->rows.timed ? *row_value(build, (uint32_t)key) : bits_value((uint32_t)key);
}

/* ---- one user ---------------------------------------------------------------------------------------------------- */

/* The number that decides whether an entry is held out. */
static double number_of_entry(const Build *build, const Id *user, uint64_t key) {
  const Id pair[2] = {*user, dictionary_id(&build->result->items, key >> 32)};
  return split_uniform(build->options->seed, pair, 2);
}

/* Sorts one user's keys, merges those of one item, and parts them: trained first, then held out. */
static void settle_user(Build *build, size_t user, Worker *worker) {
  uint64_t *keys = build->keys + build->start[user];
  size_t n = build->start[user + 1] - build->start[user];
  sort_cell_keys(keys, worker->scratch, n, 32, 32 + build->item_bits);
  Id id = dictionary_id(&build->result->users, user);
  size_t trained = 0, held = 0, next;
  for (size_t i = 0; i < n; i = next) {
    uint64_t item = keys[i] >> 32;
    for (next = i + 1; next < n && keys[next] >> 32 == item;) next++;
    uint64_t key = keys[i];
    /* The scratch holds `held` keys, which come before, and has room for these. */
    if (rows_are_numbered(&build->rows))
      key = item << 32 | merge_rows(build, keys + i, worker->scratch + held, next - i);
    else if (next - i > 1)
      key = item << 32 | merge_values(build->rows.rule, keys + i, worker->scratch + held, next - i);
    int bad = build->rows.rule == DUPLICATES_ERROR ? next - i > 1 : !isfinite(key_value(build, key));
    if (bad && user < worker->bad_user) {
      worker->bad_user = (uint32_t)user;
      worker->bad_item = (uint32_t)item;
    }
    if (build->options->test > 0 && number_of_entry(build, &id, key) < build->options->test)
      worker->scratch[held++] = key;
    else
      keys[trained++] = key;
  }
  if (held) memcpy(keys + trained, worker->scratch, held * sizeof *keys);
  build->trained[user] = (uint32_t)trained;
  build->held[user] = (uint32_t)held;
}

static size_t settled_block_end(const Build *build, size_t block) {
  size_t users = build->result->users.count, end = (block + 1) * BLOCK_USERS;
  return end < users ? end : users;
}

static int settle_block(void *context, size_t block, int worker) {
  Build *build = context;
  for (size_t user = block * BLOCK_USERS; user < settled_block_end(build, block); user++)
    settle_user(build, user, &build->workers[worker]);
  return SQLITE_OK;
}

/* As many workers as asked for, but together no more scratch than there are keys. */
static int start_workers(Build *build) {
  size_t longest = 1;
  for (size_t u = 0; u < build->result->users.count; u++) {
    size_t length = build->start[u + 1] - build->start[u];
    if (length > longest) longest = length;
  }
  size_t workers = build->options->threads < 1 ? 1 : (size_t)build->options->threads;
  if (workers > MOST_WORKERS) workers = MOST_WORKERS;
  if (workers > build->rows.kept / longest) workers = build->rows.kept / longest;
  if (workers < 1) workers = 1;
  build->worker_count = (int)workers;
  for (size_t w = 0; w < workers; w++) {
    build->workers[w] = (Worker){NULL, UINT32_MAX, UINT32_MAX};
    build->workers[w].scratch = memory_alloc(longest, sizeof(uint64_t));
    if (!build->workers[w].scratch) return SQLITE_NOMEM;
  }
  return SQLITE_OK;
}

static size_t block_count(const Build *build) { return (build->result->users.count + BLOCK_USERS - 1) / BLOCK_USERS; }

/* The error for the first pair that could not be merged, whichever worker found it. */
static int check_pairs(const Build *build) {
  const Worker *first = &build->workers[0];
  for (int w = 1; w < build->worker_count; w++)
    if (build->workers[w].bad_user < first->bad_user) first = &build->workers[w];
  if (first->bad_user == UINT32_MAX) return SQLITE_OK;
  char user_text[ID_FORMAT_SIZE], item_text[ID_FORMAT_SIZE];
  Id user = dictionary_id(&build->result->users, first->bad_user);
  Id item = dictionary_id(&build->result->items, first->bad_item);
  id_format(&user, user_text);
  id_format(&item, item_text);
  if (build->rows.rule != DUPLICATES_ERROR)
    return error_set(build->error, SQLITE_MISMATCH,
                     "%s: the ratings of user %s and item %s add up to a number too large", build->options->caller,
                     user_text, item_text);
  return error_set(build->error, SQLITE_CONSTRAINT,
                   "%s: user %s and item %s occur together more than once: choose another rule with the option "
                   "\"duplicates\" (last, sum, mean)",
                   build->options->caller, user_text, item_text);
}

/* Step 2. */
static int settle_users(Build *build) {
  size_t users = build->result->users.count;
  build->trained = memory_alloc(users, sizeof *build->trained);
  build->held = memory_alloc(users, sizeof *build->held);
  if (!build->trained || !build->held || start_workers(build) != SQLITE_OK) return SQLITE_NOMEM;
  int code = parallel_for(build->worker_count, block_count(build), settle_block, build, build->cancel);
  return code == SQLITE_OK ? check_pairs(build) : code;
}

/* ---- holding out neither nothing nor all ------------------------------------------------------------------------- */

/* The entry with the least number, or with the greatest; of equal ones the first. */
static int find_extreme(const Build *build, int greatest, size_t *user, size_t *entry) {
  double extreme = NAN;
  int code = SQLITE_OK;
  for (size_t u = 0; u < build->result->users.count && code == SQLITE_OK; u++) {
    const Id id = dictionary_id(&build->result->users, u);
    for (size_t e = 0; e < build->trained[u] + build->held[u]; e++) {
      double number = number_of_entry(build, &id, build->keys[build->start[u] + e]);
      if (!isnan(extreme) && (greatest ? number <= extreme : number >= extreme)) continue;
      extreme = number;
      *user = u;
      *entry = e;
    }
    code = cancel_poll(build->cancel);
  }
  return code;
}

/* Of few entries the hash may hold out none, or all of them: then the one that came nearest to the other side is moved
 * there. */
static int hold_out_some(Build *build) {
  size_t trained = 0, held = 0, user = 0, entry = 0;
  for (size_t u = 0; u < build->result->users.count; u++) {
    trained += build->trained[u];
    held += build->held[u];
  }
  if (build->options->test <= 0 || trained + held == 0 || (trained > 0 && held > 0)) return SQLITE_OK;
  if (trained + held == 1)
    return error_set(build->error, SQLITE_ERROR,
                     "%s: there is only one rating: the option \"test\" takes two or more, to hold one out and train "
                     "on another",
                     build->options->caller);
  int code = find_extreme(build, trained == 0, &user, &entry);
  if (code != SQLITE_OK) return code;
  uint64_t *keys = build->keys + build->start[user], moved = keys[entry];
  if (held == 0) { /* behind those that are trained on */
    memmove(keys + entry, keys + entry + 1, (build->trained[user] - entry - 1) * sizeof *keys);
    keys[--build->trained[user]] = moved;
    build->held[user] = 1;
  } else { /* before those that are held out */
    memmove(keys + 1, keys, entry * sizeof *keys);
    keys[0] = moved;
    build->trained[user] = 1;
    build->held[user]--;
  }
  return SQLITE_OK;
}

/* ---- from keys to matrices --------------------------------------------------------------------------------------- */

static int alloc_matrix(const Build *build, const uint32_t *counts, SparseMatrix *matrix, EntryTimes *times) {
  size_t users = build->result->users.count, entries = 0;
  for (size_t u = 0; u < users; u++) entries += counts[u];
  int code = sparse_alloc(matrix, users, build->result->items.count, entries, 1);
  if (code == SQLITE_OK && build->rows.timed) code = entry_times_alloc(times, entries);
  if (code != SQLITE_OK) return code;
  for (size_t u = 0; u < users; u++) matrix->start[u + 1] = matrix->start[u] + counts[u];
  return SQLITE_OK;
}

static void copy_row(const Build *build, const uint64_t *keys, size_t n, SparseMatrix *matrix, EntryTimes *times,
                     size_t user) {
  size_t first = matrix->start[user];
  for (size_t i = 0; i < n; i++) {
    matrix->index[first + i] = (uint32_t)(keys[i] >> 32);
    matrix->value[first + i] = key_value(build, keys[i]);
    if (!build->rows.timed) continue;
    times->row[first + i] = (uint32_t)keys[i];
    times->time[first + i] = row_time(build, (uint32_t)keys[i]);
  }
}

static int copy_block(void *context, size_t block, int worker) {
  Build *build = context;
  (void)worker;
  for (size_t user = block * BLOCK_USERS; user < settled_block_end(build, block); user++) {
    const uint64_t *keys = build->keys + build->start[user];
    Interactions *result = build->result;
    copy_row(build, keys, build->trained[user], &result->by_user, &result->trained_times, user);
    if (build->held[user])
      copy_row(build, keys + build->trained[user], build->held[user], &result->held_out, &result->held_out_times, user);
  }
  return SQLITE_OK;
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
static int fill_matrices(Build *build) {
  Interactions *result = build->result;
  int code = alloc_matrix(build, build->trained, &result->by_user, &result->trained_times);
  if (code == SQLITE_OK && build->options->test > 0)
    code = alloc_matrix(build, build->held, &result->held_out, &result->held_out_times);
  if (code != SQLITE_OK) return code;
  size_t held = result->held_out.start ? result->held_out.start[result->users.count] : 0;
  result->duplicates = (int64_t)(build->rows.kept - result->by_user.start[result->users.count] - held);
  code = parallel_for(build->options->threads, block_count(build), copy_block, build, build->cancel);
  if (code != SQLITE_OK) return code;
  summarize(result);
  sparse_drop_ones(&result->by_user);
  sparse_drop_ones(&result->held_out);
  return SQLITE_OK;
}

/* Stars are whole or half ones up to 5 or 10, and most people give what they liked: their mean is high. Of counts most
 * are 1. */
static int look_like_stars(const Rows *rows) {
  double sum = 0;
  float most = 0;
  for (size_t c = 0; c < rows->chunk_count; c++) {
    const float *value = rows->chunks[c]->value;
    for (size_t r = 0, n = rows_in_chunk(rows, c); r < n; r++) {
      if (!(value[r] > 0 && value[r] <= 10) || 2 * value[r] != floorf(2 * value[r])) return 0;
      if (value[r] > most) most = value[r];
      sum += (double)value[r];
    }
  }
  return (most == 5 || most == 10) && sum >= 0.55 * (double)most * (double)rows->kept;
}

static void build_free(Build *build) {
  if (!build) return;
  rows_free(&build->rows);
  for (int w = 0; w < build->worker_count; w++) memory_free(build->workers[w].scratch);
  memory_free(build->start);
  memory_free(build->keys);
  memory_free(build->trained);
  memory_free(build->held);
  memory_free(build);
}

int interactions_read(sqlite3 *db, const Source *source, const InteractionOptions *options, Interactions *interactions,
                      const Cancel *cancel, Error *error) {
  *interactions = (Interactions){0};
  Build *build = memory_alloc_zero(1, sizeof *build);
  if (!build) return error_no_memory(error);
  build->options = options;
  build->cancel = cancel;
  build->error = error;
  build->result = interactions;
  int code = rows_read(db, source, options, &build->rows, interactions, cancel, error);
  int stars = code == SQLITE_OK && build->rows.rule == DUPLICATES_SUM && look_like_stars(&build->rows);
  if (code == SQLITE_OK) code = sort_by_user(build);
  if (code == SQLITE_OK) code = settle_users(build);
  if (code == SQLITE_OK) code = hold_out_some(build);
  if (!build->rows.timed) rows_free(&build->rows);
  if (code == SQLITE_OK) code = fill_matrices(build);
  interactions->stars_added_up = code == SQLITE_OK && stars && interactions->duplicates > 0;
  error_from_code(error, code);
  assert(code != SQLITE_OK || (interactions->by_user.rows == interactions->users.count &&
                               interactions->by_user.columns == interactions->items.count));
  if (code != SQLITE_OK) interactions_free(interactions);
  build_free(build);
  return code;
}
