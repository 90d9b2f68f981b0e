/* Loading the item side of a model: m_config, m_item and m_itemfactor. See store.c for the rows. */
#include "items.h"

#include <math.h>
#include <stddef.h>

#include "../base/memory.h"
#include "blobs.h"
#include "config.h"
#include "store.h"

/* ---- m_item and m_itemfactor ------------------------------------------------------------------------------------ */

/* An item that was forgotten: its place has no id. Members of clusters can't be. */
static int add_forgotten(Reader *reader, sqlite3_stmt *statement, ModelItems *items, Error *error) {
  if (items->shape.clusters) return reader_expected(reader, statement, 1, error, "an id");
  uint32_t *grown = memory_grow(items->forgotten, items->forgotten_count, sizeof *grown);
  if (!grown) return error_no_memory(error);
  items->forgotten = grown;
  items->forgotten[items->forgotten_count++] = (uint32_t)items->ids.count;
  return dictionary_add_none(&items->ids) == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
}

static int add_id(Reader *reader, sqlite3_stmt *statement, size_t item, ModelItems *items, Error *error) {
  Id id;
  uint32_t added = 0;
  int there = id_from_column(statement, 1, &id);
  if (there < 0) return error_no_memory(error);
  if (there == 0) return add_forgotten(reader, statement, items, error);
  if (dictionary_add(&items->ids, &id, &added) != SQLITE_OK) return error_no_memory(error);
  return added == item ? SQLITE_OK : reader_expected(reader, statement, 1, error, "an id that no other row has");
}

static int load_ids(Reader *reader, size_t count, ModelItems *items, Error *error) {
  sqlite3_stmt *statement = NULL;
  size_t item = 0;
  int code = reader_statement(reader, STATEMENT_ITEMS, &statement, error);
  while (code == SQLITE_OK && (code = reader_step(reader, statement, error)) == SQLITE_ROW) {
    int64_t index;
    code = reader_integer(reader, statement, 0, (int64_t)item, (int64_t)item, &index, error);
    if (code == SQLITE_OK && item >= count)
      code = reader_damaged(reader, statement, 0, error, "expected %lld rows, found more", (sqlite3_int64)count);
    if (code == SQLITE_OK) code = add_id(reader, statement, item, items, error);
    if (code == SQLITE_OK) item++;
  }
  sqlite3_reset(statement);
  if (code != SQLITE_DONE) return code;
  return item == count ? SQLITE_OK : reader_wrong_count(reader, "item", (int64_t)count, (int64_t)item, error);
}

/* ‖x‖. Four sums, since one would wait for its addition. */
static float norm(const float *x, int n) {
  double sums[4] = {0};
  for (int i = 0; i < n; i++) sums[i % 4] += (double)x[i] * (double)x[i];
  return (float)sqrt(sums[0] + sums[1] + sums[2] + sums[3]);
}

void items_set(ModelItems *items, size_t item, const float *row) {
  const ModelShape *shape = &items->shape;
  items->norm[item] =
      norm(row + (shape->score_head == HEAD_RANKING ? shape->rank[HEAD_RATING] : 0), shape->rank[shape->score_head]);
  for (int head = 0; head < HEADS; head++) {
    if (shape_has_panel(shape, head)) score_panel_set(&items->panel[head], item, row, shape->rank[head]);
    row += shape->rank[head];
  }
  for (int head = 0; head < HEADS; head++)
    if (shape->biases[head]) items->panel[head].bias[item] = *row++;
}

/* Spreads an item's row, in the chunk that has it, over the heads' panels. `row` is scratch for its floats. */
static int unpack_item(Reader *reader, sqlite3_stmt *statement, ModelItems *items, size_t item, const char *chunk,
                       float *row, Error *error) {
  size_t floats = store_row_floats(&items->shape);
  int code = blob_get_floats(reader, statement, 2, chunk, item % STORE_CHUNK * floats, floats, "factors", row, error);
  for (size_t i = 0; i < floats && code == SQLITE_OK && items_is_forgotten(items, item); i++)
    if (row[i] != 0)
      code = reader_damaged(reader, statement, 2, error, "expected zeros for item %d, which was forgotten, found %g",
                            (int)item, (double)row[i]);
  if (code == SQLITE_OK) items_set(items, item, row);
  return code;
}

static int load_factors(Reader *reader, size_t count, ModelItems *items, Error *error) {
  float *row = memory_alloc(store_row_floats(&items->shape), sizeof *row);
  sqlite3_stmt *statement = NULL;
  size_t item = 0;
  int code = row ? reader_statement(reader, STATEMENT_ITEM_CHUNKS, &statement, error) : error_no_memory(error);
  while (code == SQLITE_OK && (code = reader_step(reader, statement, error)) == SQLITE_ROW) {
    size_t n = count - item < STORE_CHUNK ? count - item : STORE_CHUNK;
    const char *data = NULL;
    if (n == 0)
      code = reader_damaged(reader, statement, 0, error, "expected chunks of %lld items, found more",
                            (sqlite3_int64)count);
    else
      code = reader_chunk(reader, statement, &items->shape, (int64_t)(item / STORE_CHUNK), n, &data, error);
    for (size_t end = item + n; code == SQLITE_OK && item < end; item++)
      code = unpack_item(reader, statement, items, item, data, row, error);
  }
  if (statement) sqlite3_reset(statement);
  memory_free(row);
  if (code != SQLITE_DONE) return code;
  return item == count ? SQLITE_OK : reader_no_row(reader, "itemfactor", (int64_t)(item / STORE_CHUNK), error);
}

int items_alloc(size_t count, ModelItems *items) {
  const ModelShape *shape = &items->shape;
  items->norm = memory_alloc(count, sizeof *items->norm);
  int code = items->norm ? SQLITE_OK : SQLITE_NOMEM;
  for (int head = 0; head < HEADS && code == SQLITE_OK; head++)
    if (shape_has_panel(shape, head))
      code = score_panel_alloc(&items->panel[head], count, shape_stride(shape, head), shape->biases[head]);
  return code;
}

/* A damaged count must not make anybody ask for terabytes. Here the last rows of the dictionaries are looked at, which
 * costs nothing; before memory is sized by a count, its rows are counted, or have been read, and the bytes of the
 * vectors are added up. */
static int check_counts(Reader *reader, const ModelConfig *config, Error *error) {
  sqlite3_stmt *statement = NULL;
  int64_t items = 0, users = 0;
  int code = shadow_prepare(reader->db, reader->name, &statement, error,
                            "SELECT (SELECT max(idx) + 1 FROM \"%w\".\"%w_item\"), "
                            "(SELECT max(idx) + 1 FROM \"%w\".\"%w_user\")",
                            reader->name.schema, reader->name.name, reader->name.schema, reader->name.name);
  if (code == SQLITE_OK && (code = reader_step(reader, statement, error)) == SQLITE_ROW) {
    items = sqlite3_column_int64(statement, 0);
    users = sqlite3_column_int64(statement, 1);
    code = SQLITE_OK;
  }
  sqlite3_finalize(statement);
  if (code == SQLITE_OK && items != config->items)
    code = reader_wrong_count(reader, "item", config->items, items, error);
  if (code == SQLITE_OK && users != config->users)
    code = reader_wrong_count(reader, "user", config->users, users, error);
  return code;
}

/* Are there vectors of that length? */
static int check_sizes(Reader *reader, const ModelConfig *config, const ModelShape *shape, Error *error) {
  size_t floats = store_row_floats(shape);
  if (!floats) return SQLITE_OK;
  return reader_bytes(reader, "itemfactor", blob_chunks_size((size_t)config->items, floats, STORE_CHUNK), error);
}

int items_load(Reader *reader, int64_t stamp, ModelItems **loaded, Error *error) {
  ModelConfig config;
  ModelItems *items = NULL;
  int code = config_read(reader, &config, error);
  if (code == SQLITE_OK && !(items = memory_alloc_zero(1, sizeof *items))) code = error_no_memory(error);
  if (code == SQLITE_OK) {
    items->references = 1;
    items->stamp = stamp;
    items->shape = config.shape;
    items->user_affinity = config.user_affinity;
    items->item_affinity = config.item_affinity;
    code = check_counts(reader, &config, error);
  }
  if (code == SQLITE_OK) code = load_ids(reader, (size_t)config.items, items, error);
  if (code == SQLITE_OK) code = check_sizes(reader, &config, &items->shape, error);
  if (code == SQLITE_OK && items_alloc((size_t)config.items, items) != SQLITE_OK) code = error_no_memory(error);
  if (code == SQLITE_OK && store_row_floats(&items->shape))
    code = load_factors(reader, (size_t)config.items, items, error);
  if (code == SQLITE_OK && items->shape.kind->load_items) code = items->shape.kind->load_items(reader, items, error);
  if (code != SQLITE_OK) {
    items_release(items);
    items = NULL;
  }
  *loaded = items;
  return code;
}

void items_release(ModelItems *items) {
  if (!items || --items->references > 0) return;
  dictionary_free(&items->ids);
  memory_free(items->forgotten);
  memory_free(items->norm);
  for (int head = 0; head < HEADS; head++) score_panel_free(&items->panel[head]);
  postings_free(&items->postings);
  neighbor_lists_free(&items->neighbors);
  memory_free(items->weights);
  for (int head = 0; head < HEADS; head++) memory_free(items->gram[head]);
  memory_free(items);
}

int items_without(const ModelItems *items, size_t item, ModelItems *without) {
  const float nothing = 0;
  int code = SQLITE_OK;
  *without = *items;
  without->forgotten_count++;
  for (int head = 0; head < HEADS; head++) {
    without->panel[head] = (ScorePanel){0};
    without->gram[head] = NULL;
  }
  for (int head = 0; head < HEADS && code == SQLITE_OK; head++) {
    if (!shape_has_panel(&items->shape, head)) continue;
    code = score_panel_copy(&items->panel[head], &without->panel[head]);
    if (code == SQLITE_OK) score_panel_set(&without->panel[head], item, &nothing, 0);
    if (code == SQLITE_OK && without->panel[head].bias) without->panel[head].bias[item] = 0;
  }
  return code;
}

void items_without_free(ModelItems *without) {
  for (int head = 0; head < HEADS; head++) {
    score_panel_free(&without->panel[head]);
    memory_free(without->gram[head]);
    without->gram[head] = NULL;
  }
}
