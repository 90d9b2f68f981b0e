/* The bytes of the blobs in the shadow tables: see blobs.h.
 *
 * Numbers are little-endian on every machine: float32, uint32, int64. Each blob ends in a checksum of eight bytes,
 * which is bytes_hash(0, …) of all before it: a flipped bit in a factor would otherwise be a wrong answer that nobody
 * notices. */
#include "blobs.h"

#include <math.h>

#include "../base/bytes.h"
#include "../base/memory.h"
#include "store.h"

enum { CHECKSUM = 8, WORD = 4, TIME = 8 };

/* ---- checksums --------------------------------------------------------------------------------------------------- */

void blob_seal(char *blob, size_t size) { bytes_store64(blob + size - CHECKSUM, bytes_hash(0, blob, size - CHECKSUM)); }

uint64_t blob_checksum(const char *blob, size_t size) { return bytes_load64(blob + size - CHECKSUM); }

int blob_is_sealed(const char *blob, size_t size) {
  return size >= CHECKSUM && blob_checksum(blob, size) == bytes_hash(0, blob, size - CHECKSUM);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

/* Floats one after the other.
 *
 *   m_userfactor, m_itemfactor   the rows of 64 users or items: of each the rating head's factors, the ranking head's
 *                                factors, then the bias of each head that has biases (store_row_floats)
 *   m_weight 'term/n'            the vectors of STORE_TERMS terms, in the space of the ranking head's item factors
 *            'link/n'            the weights from each of STORE_CHUNK items to all items that were trained on
 *            'centroid/n'        the centroid of cluster n */

size_t blob_floats_size(size_t floats) { return WORD * floats + CHECKSUM; }

size_t blob_chunks_size(size_t rows, size_t floats, size_t chunk) {
  return WORD * rows * floats + (rows + chunk - 1) / chunk * CHECKSUM;
}

void blob_put_floats(char *blob, size_t place, const float *floats, size_t count) {
  bytes_copy_words(blob + WORD * place, floats, count);
}

void blob_move_floats(char *to, size_t to_place, const char *from, size_t from_place, size_t count) {
  memcpy(to + WORD * to_place, from + WORD * from_place, WORD * count);
}

/* Without a way out of the loop, so that it is one for SIMD: every factor that is read comes past here. */
static int are_finite(const float *floats, size_t count) {
  int finite = 1;
  for (size_t i = 0; i < count; i++) finite &= isfinite(floats[i]) != 0;
  return finite;
}

int blob_get_floats(Reader *reader, sqlite3_stmt *row, int column, const void *blob, size_t place, size_t count,
                    const char *what, float *floats, Error *error) {
  bytes_copy_words(floats, (const char *)blob + WORD * place, count);
  if (are_finite(floats, count)) return SQLITE_OK;
  size_t wrong = 0;
  while (isfinite(floats[wrong])) wrong++;
  return reader_damaged(reader, row, column, error, "expected finite %s, found %g", what, (double)floats[wrong]);
}

/* ---- histories --------------------------------------------------------------------------------------------------- */

/* m_user.history, of n entries: n × uint32 items, ascending, with the highest bit set where the entry was held out from
 * training; n × float32 ratings, left out where every rating is 1; and of timed histories n × int64 times, NO_TIME
 * where there is none, and n × uint32 places of the entries, oldest first. */

static const uint32_t held_out_mark = (uint32_t)1 << 31;

size_t blob_history_size(size_t entries, int with_ratings, int timed) {
  size_t entry = WORD + (size_t)(with_ratings ? WORD : 0) + (size_t)(timed ? TIME + WORD : 0);
  return entries * entry + CHECKSUM;
}

void blob_write_history(const History *history, char *blob) {
  size_t n = history->count;
  char *to = blob;
  for (size_t i = 0; i < n; i++, to += WORD) {
    uint32_t item = history->item[i] | (history_is_held_out(history, i) ? held_out_mark : 0);
    bytes_copy_words(to, &item, 1);
  }
  if (history->rating) {
    bytes_copy_words(to, history->rating, n);
    to += WORD * n;
  }
  if (history->time) {
    for (size_t i = 0; i < n; i++, to += TIME) bytes_store64(to, (uint64_t)history->time[i]);
    bytes_copy_words(to, history->order, n);
  }
  blob_seal(blob, blob_history_size(n, history->rating != NULL, history->time != NULL));
}

static int history_room(size_t n, int with_ratings, int timed, History *history) {
  *history = (History){.count = n, .item = memory_alloc(n, sizeof *history->item)};
  if (with_ratings) history->rating = memory_alloc(n, sizeof *history->rating);
  if (timed) history->time = memory_alloc(n, sizeof *history->time);
  if (timed) history->order = memory_alloc(n, sizeof *history->order);
  int complete = history->item && (history->rating || !with_ratings) && ((history->time && history->order) || !timed);
  return complete ? SQLITE_OK : SQLITE_NOMEM;
}

/* Moves the marks of entries that were held out from the items to an array of their own, if there are any. */
static int take_marks(History *history) {
  uint32_t all = 0;
  for (size_t i = 0; i < history->count; i++) all |= history->item[i];
  if (!(all & held_out_mark)) return SQLITE_OK;
  history->held_out = memory_alloc(history->count, 1);
  if (!history->held_out) return SQLITE_NOMEM;
  for (size_t i = 0; i < history->count; i++) {
    history->held_out[i] = (history->item[i] & held_out_mark) != 0;
    history->item[i] &= ~held_out_mark;
  }
  return SQLITE_OK;
}

/* Is it an order of n places, none of them twice, in which times don't fall? -1 where memory ran out. */
static int is_in_order(const History *history) {
  size_t n = history->count;
  uint8_t *there = memory_alloc_zero(n, 1);
  int right = there ? 1 : -1;
  for (size_t k = 0; k < n && right > 0; k++) {
    uint32_t place = history->order[k];
    right = place < n && !there[place] && (k == 0 || history->time[history->order[k - 1]] <= history->time[place]);
    if (right) there[place] = 1;
  }
  memory_free(there);
  return right;
}

int blob_read_history(Reader *reader, sqlite3_stmt *row, int column, size_t entries, int timed, History *history,
                      Error *error) {
  const void *blob = NULL;
  const size_t plain = blob_history_size(entries, 0, timed);
  int with_ratings = entries && (size_t)sqlite3_column_bytes(row, column) != plain, right = 1;
  *history = (History){0};
  int code = reader_blob(reader, row, column, blob_history_size(entries, with_ratings, timed), &blob, error);
  if (code != SQLITE_OK) return code;
  if (history_room(entries, with_ratings, timed, history) != SQLITE_OK) return error_no_memory(error);
  const char *from = blob;
  bytes_copy_words(history->item, from, entries);
  if (take_marks(history) != SQLITE_OK) return error_no_memory(error);
  if (with_ratings)
    code = blob_get_floats(reader, row, column, from, entries, entries, "ratings", history->rating, error);
  if (code != SQLITE_OK || !timed) return code;
  from += WORD * entries * (with_ratings ? 2 : 1);
  for (size_t i = 0; i < entries; i++) history->time[i] = (int64_t)bytes_load64(from + TIME * i);
  bytes_copy_words(history->order, from + TIME * entries, entries);
  right = is_in_order(history);
  if (right < 0) return error_no_memory(error);
  return right ? SQLITE_OK : reader_damaged(reader, row, column, error, "its entries are not in order of their times");
}

/* ---- sparse vectors ---------------------------------------------------------------------------------------------- */

/* m_itemfactor of a model whose items are sparse vectors, n of them: n × uint32 how many terms each has; n × float32
 * how long each was before it was made 1; then of all vectors, one after the other, the terms (uint32, ascending in
 * each), and after them their weights (float32). */

static size_t entries_but(const SparseMatrix *vectors, size_t row, size_t without) {
  return row == without ? 0 : sparse_row_length(vectors, row);
}

static size_t stored_entries(const SparseMatrix *vectors, size_t first, size_t count, size_t without) {
  size_t entries = 0;
  for (size_t i = 0; i < count; i++) entries += entries_but(vectors, first + i, without);
  return entries;
}

static size_t vectors_size(size_t count, size_t entries) { return 2 * WORD * (count + entries) + CHECKSUM; }

size_t blob_vectors_size(const SparseMatrix *vectors, size_t first, size_t count, size_t without) {
  return vectors_size(count, stored_entries(vectors, first, count, without));
}

void blob_write_vectors(const SparseMatrix *vectors, const float *length, size_t first, size_t count, size_t without,
                        char *blob) {
  size_t all = stored_entries(vectors, first, count, without), entries = 0;
  char *lengths = blob + WORD * count, *terms = lengths + WORD * count, *weights = terms + WORD * all;
  for (size_t i = 0; i < count; i++) {
    const size_t row = first + i, start = vectors->start[row];
    uint32_t own = (uint32_t)entries_but(vectors, row, without);
    float long_as = row == without ? 0 : length[row];
    bytes_copy_words(blob + WORD * i, &own, 1);
    bytes_copy_words(lengths + WORD * i, &long_as, 1);
    bytes_copy_words(terms + WORD * entries, vectors->index + start, own);
    bytes_copy_words(weights + WORD * entries, vectors->value + start, own);
    entries += own;
  }
  blob_seal(blob, vectors_size(count, all));
}

int blob_read_vectors(Reader *reader, sqlite3_stmt *row, int column, size_t first, size_t count, SparseMatrix *vectors,
                      size_t *capacity, float *length, Error *error) {
  const char *from = sqlite3_column_blob(row, column);
  const void *checked = NULL;
  uint32_t own[STORE_CHUNK];
  size_t entries = 0, to = vectors->start[first];
  if (!from || (size_t)sqlite3_column_bytes(row, column) < vectors_size(count, 0))
    return reader_expected(reader, row, column, error, "a blob of at least %d bytes", (int)vectors_size(count, 0));
  bytes_copy_words(own, from, count);
  for (size_t i = 0; i < count; i++) entries += own[i];
  int code = reader_blob(reader, row, column, vectors_size(count, entries), &checked, error);
  if (code != SQLITE_OK) return code;
  if (sparse_reserve(vectors, to + entries, capacity) != SQLITE_OK) return error_no_memory(error);
  for (size_t i = 0; i < count; i++) vectors->start[first + i + 1] = vectors->start[first + i] + own[i];
  uint32_t *index = vectors->index + to;
  float *value = vectors->value + to;
  bytes_copy_words(index, from + 2 * WORD * count, entries);
  code = blob_get_floats(reader, row, column, from, count, count, "lengths", length + first, error);
  if (code != SQLITE_OK) return code;
  return blob_get_floats(reader, row, column, from, 2 * count + entries, entries, "weights", value, error);
}

/* ---- neighbours -------------------------------------------------------------------------------------------------- */

/* m_neighbor.data, of n neighbours: n × uint32 their indexes, nearest first; n × float32 their similarities; n × uint32
 * how many entries both have. */

size_t blob_neighbors_size(size_t count) { return 3 * WORD * count + CHECKSUM; }

void blob_write_neighbors(const NeighborLists *lists, size_t first, size_t count, char *blob) {
  bytes_copy_words(blob, lists->neighbor + first, count);
  bytes_copy_words(blob + WORD * count, lists->similarity + first, count);
  bytes_copy_words(blob + 2 * WORD * count, lists->support + first, count);
  blob_seal(blob, blob_neighbors_size(count));
}

static int neighbors_room(NeighborLists *lists, size_t entries, size_t *capacity) {
  if (entries <= *capacity) return SQLITE_OK;
  size_t grown = entries + entries / 2;
  uint32_t *neighbor = memory_resize(lists->neighbor, grown, sizeof *neighbor);
  if (neighbor) lists->neighbor = neighbor;
  float *similarity = memory_resize(lists->similarity, grown, sizeof *similarity);
  if (similarity) lists->similarity = similarity;
  uint32_t *support = memory_resize(lists->support, grown, sizeof *support);
  if (support) lists->support = support;
  if (!neighbor || !similarity || !support) return SQLITE_NOMEM;
  *capacity = grown;
  return SQLITE_OK;
}

int blob_read_neighbors(Reader *reader, sqlite3_stmt *row, int column, size_t count, NeighborLists *lists, size_t first,
                        size_t *capacity, Error *error) {
  const void *blob = NULL;
  int code = reader_blob(reader, row, column, blob_neighbors_size(count), &blob, error);
  if (code != SQLITE_OK) return code;
  if (neighbors_room(lists, first + count, capacity) != SQLITE_OK) return error_no_memory(error);
  bytes_copy_words(lists->neighbor + first, blob, count);
  bytes_copy_words(lists->support + first, (const char *)blob + 2 * WORD * count, count);
  return blob_get_floats(reader, row, column, blob, count, count, "similarities", lists->similarity + first, error);
}

/* ---- members of clusters ----------------------------------------------------------------------------------------- */

/* m_weight 'cluster/m', of n users, items or rows: n × uint32 their clusters; n × float32 how far they are from the
 * centroid. */

size_t blob_members_size(size_t count) { return 2 * WORD * count + CHECKSUM; }

void blob_write_members(const uint32_t *cluster, const float *distance, size_t count, char *blob) {
  bytes_copy_words(blob, cluster, count);
  bytes_copy_words(blob + WORD * count, distance, count);
  blob_seal(blob, blob_members_size(count));
}

int blob_get_members(Reader *reader, sqlite3_stmt *row, const void *blob, size_t count, uint32_t *cluster,
                     float *distance, Error *error) {
  bytes_copy_words(cluster, blob, count);
  return blob_get_floats(reader, row, 1, blob, count, count, "distances", distance, error);
}
