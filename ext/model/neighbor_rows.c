/* Reading neighbours and weights: see neighbor_rows.h. */
#include "neighbor_rows.h"

#include "../base/memory.h"
#include "blobs.h"
#include "store.h"

/* ---- neighbours -------------------------------------------------------------------------------------------------- */

/* Appends one row's list. */
static int take_list(Reader *reader, sqlite3_stmt *statement, size_t self, size_t rows, size_t *to, size_t *capacity,
                     NeighborLists *lists, Error *error) {
  int64_t index, count;
  int code = reader_integer(reader, statement, 0, (int64_t)self, (int64_t)self, &index, error);
  if (code == SQLITE_OK) code = reader_integer(reader, statement, 1, 0, (int64_t)rows, &count, error);
  if (code != SQLITE_OK) return code;
  size_t n = (size_t)count, first = *to;
  code = blob_read_neighbors(reader, statement, 2, n, lists, first, capacity, error);
  if (code != SQLITE_OK) return code;
  for (size_t i = first; i < first + n; i++)
    if (lists->neighbor[i] >= rows || lists->neighbor[i] == self ||
        (i > first && lists->similarity[i] > lists->similarity[i - 1]))
      return reader_damaged(
          reader, statement, 2, error,
          "expected neighbours that there are, nearest first, found row %u with similarity %g in place %d",
          lists->neighbor[i], (double)lists->similarity[i], (int)(i - first));
  *to += n;
  return SQLITE_OK;
}

int neighbors_read(Reader *reader, size_t first, size_t count, size_t rows, NeighborLists *lists, Error *error) {
  sqlite3_stmt *statement = NULL;
  size_t to = 0, capacity = 1;
  *lists = (NeighborLists){.rows = count};
  lists->start = memory_alloc_zero(count + 1, sizeof *lists->start);
  lists->neighbor = memory_alloc(1, sizeof *lists->neighbor);
  lists->similarity = memory_alloc(1, sizeof *lists->similarity);
  lists->support = memory_alloc(1, sizeof *lists->support);
  if (!lists->start || !lists->neighbor || !lists->similarity || !lists->support) return error_no_memory(error);
  int code = reader_statement(reader, STATEMENT_NEIGHBORS, &statement, error);
  if (code == SQLITE_OK) {
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)first);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)(first + count) - 1);
  }
  for (size_t row = 0; row < count && code == SQLITE_OK; row++) {
    code = reader_step(reader, statement, error);
    if (code == SQLITE_DONE) code = reader_no_row(reader, "neighbor", (int64_t)(first + row), error);
    if (code == SQLITE_ROW) code = take_list(reader, statement, first + row, rows, &to, &capacity, lists, error);
    lists->start[row + 1] = to;
  }
  if (statement) sqlite3_reset(statement);
  return code;
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* Those of the items that were there when the model was trained. */
static int load_weights(Reader *reader, ModelItems *items, Error *error) {
  size_t count = (size_t)items->shape.linked;
  int code = reader_bytes(reader, "weight", blob_chunks_size(count, count, STORE_CHUNK), error);
  if (code == SQLITE_OK && !(items->weights = memory_alloc(count, count * sizeof *items->weights)))
    code = error_no_memory(error);
  for (size_t first = 0; first < count && code == SQLITE_OK; first += STORE_CHUNK) {
    size_t n = count - first < STORE_CHUNK ? count - first : STORE_CHUNK;
    const void *blob = NULL;
    sqlite3_stmt *row = NULL;
    code = reader_weight(reader, "link", first / STORE_CHUNK, blob_floats_size(n * count), &row, &blob, error);
    if (code == SQLITE_OK)
      code = blob_get_floats(reader, row, 1, blob, 0, n * count, "weights", items->weights + first * count, error);
  }
  return code;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

/* Items that came after the training have empty lists. */
static int load_neighbors(Reader *reader, ModelItems *items, Error *error) {
  size_t all = items->ids.count, count = (size_t)items->shape.linked;
  NeighborLists *lists = &items->neighbors;
  int code = neighbors_read(reader, 0, count, count, lists, error);
  size_t *start = code == SQLITE_OK ? memory_resize(lists->start, all + 1, sizeof *start) : NULL;
  if (code != SQLITE_OK) return code;
  if (!start) return error_no_memory(error);
  for (size_t row = count; row < all; row++) start[row + 1] = start[count];
  lists->start = start;
  lists->rows = all;
  return SQLITE_OK;
}

/* Is an item that was forgotten linked to anything, or anything to it? */
static int links_to_forgotten(const ModelItems *items) {
  const NeighborLists *lists = &items->neighbors;
  size_t linked = (size_t)items->shape.linked, entries = lists->start ? lists->start[items->ids.count] : 0;
  if (!items->forgotten_count) return 0;
  for (size_t e = 0; e < entries; e++)
    if (items_is_forgotten(items, lists->neighbor[e])) return 1;
  for (size_t i = 0; i < items->forgotten_count; i++) {
    size_t item = items->forgotten[i];
    if (lists->start && lists->start[item] < lists->start[item + 1]) return 1;
    for (size_t other = 0; items->weights && item < linked && other < linked; other++)
      if (items->weights[item * linked + other] != 0 || items->weights[other * linked + item] != 0) return 1;
  }
  return 0;
}

/* The end of both. */
static int links_end(Reader *reader, ModelItems *items, int code, Error *error) {
  if (code == SQLITE_OK && links_to_forgotten(items))
    code = shadow_damaged(error, reader->name, "an item without an id is linked to others");
  items_link(items);
  return code;
}

int item_neighbors_load(Reader *reader, ModelItems *items, Error *error) {
  return links_end(reader, items, load_neighbors(reader, items, error), error);
}

int item_weights_load(Reader *reader, ModelItems *items, Error *error) {
  return links_end(reader, items, load_weights(reader, items, error), error);
}

void items_link(ModelItems *items) {
  items->links = (Links){.items = items->ids.count,
                         .dense = items->weights,
                         .linked = (size_t)items->shape.linked,
                         .start = items->neighbors.start,
                         .index = items->neighbors.neighbor,
                         .weight = items->neighbors.similarity};
}
