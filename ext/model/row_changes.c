/* Changing a few rows of a stored model: see row_changes.h, and store.c for what the rows are. */
#include "row_changes.h"

#include <assert.h>
#include <string.h>

#include "../base/bytes.h"
#include "../base/memory.h"
#include "blobs.h"
#include "neighbor_rows.h"
#include "store.h"
#include "user_rows.h"

typedef enum LiveKind {
  LIVE_USER_INSERT,
  LIVE_USER_UPDATE,
  LIVE_USER_DELETE,
  LIVE_USER_CHUNK_INSERT,
  LIVE_USER_CHUNK,
  LIVE_USER_CHUNK_DELETE,
  LIVE_LIST_INSERT,
  LIVE_LIST,
  LIVE_LIST_DELETE,
  LIVE_LINKED,
  LIVE_ITEM_COUNT,
  LIVE_ITEM_LIKED,
  LIVE_RATINGS,
  LIVE_USERS,
  LIVE_USER_STAMP,
  /* These change the item side. */
  LIVE_ITEM_INSERT,
  LIVE_ITEM_CHUNK_INSERT,
  LIVE_ITEM_CHUNK,
  LIVE_ITEMS,
  LIVE_ITEM_FORGET,
  LIVE_WEIGHTS,
  LIVE_TERM,
  LIVE_ITEM_STAMP,
  LIVE_KINDS
} LiveKind;

struct LiveRow {
  LiveKind kind;
  int64_t key, n;
  int has_id;
  Id id;
  char *blob; /* owned, with its checksum; NULL: none */
  size_t size;
};

#define CONFIG(key, value) \
  "UPDATE \"%w\".\"%w_config\" SET key = key, value = " value " WHERE key IN (SELECT '" key "')"

/* ?1 key, ?2 n, ?3 blob, ?4 id.
 *
 * Each has a statement journal, so that where the disk or the memory is full, the statement is undone and not the whole
 * transaction, with what the user did in it before. SQLite gives one to a statement that may write several rows and may
 * run into a constraint: INSERT … SELECT, as in store.c; and UPDATE with a subquery in its WHERE that sets a key, even
 * to what it is. (Never DELETE; but that needs no room.) */
static const char *const texts[LIVE_KINDS] = {
    [LIVE_USER_INSERT] = "INSERT INTO \"%w\".\"%w_user\"(idx, id, n, history) SELECT ?1, ?4, ?2, ?3",
    [LIVE_USER_UPDATE] = "UPDATE \"%w\".\"%w_user\" SET idx = idx, n = ?2, history = ?3 WHERE idx IN (SELECT ?1)",
    [LIVE_USER_DELETE] = "DELETE FROM \"%w\".\"%w_user\" WHERE idx = ?1",
    [LIVE_USER_CHUNK_INSERT] = "INSERT INTO \"%w\".\"%w_userfactor\"(chunk, n, data) SELECT ?1, ?2, ?3",
    [LIVE_USER_CHUNK] =
        "UPDATE \"%w\".\"%w_userfactor\" SET chunk = chunk, n = ?2, data = ?3 WHERE chunk IN (SELECT ?1)",
    [LIVE_USER_CHUNK_DELETE] = "DELETE FROM \"%w\".\"%w_userfactor\" WHERE chunk = ?1",
    [LIVE_LIST_INSERT] = "INSERT INTO \"%w\".\"%w_neighbor\"(idx, n, data) SELECT ?1, ?2, ?3",
    [LIVE_LIST] = "UPDATE \"%w\".\"%w_neighbor\" SET idx = idx, n = ?2, data = ?3 WHERE idx IN (SELECT ?1)",
    [LIVE_LIST_DELETE] = "DELETE FROM \"%w\".\"%w_neighbor\" WHERE idx = ?1",
    [LIVE_LINKED] = CONFIG("linked", "?2"),
    [LIVE_ITEM_COUNT] = "UPDATE \"%w\".\"%w_item\" SET idx = idx, n = n + ?2 WHERE idx IN (SELECT ?1)",
    [LIVE_ITEM_LIKED] = "UPDATE \"%w\".\"%w_item\" SET idx = idx, liked = liked + ?2 WHERE idx IN (SELECT ?1)",
    [LIVE_RATINGS] = CONFIG("ratings", "value + ?2"),
    [LIVE_USERS] = CONFIG("users", "?2"),
    [LIVE_USER_STAMP] = CONFIG("user_stamp", "?2"),
    [LIVE_ITEM_INSERT] = "INSERT INTO \"%w\".\"%w_item\"(idx, id, n, liked) SELECT ?1, ?4, ?2, 0",
    [LIVE_ITEM_CHUNK_INSERT] = "INSERT INTO \"%w\".\"%w_itemfactor\"(chunk, n, data) SELECT ?1, ?2, ?3",
    [LIVE_ITEM_CHUNK] =
        "UPDATE \"%w\".\"%w_itemfactor\" SET chunk = chunk, n = ?2, data = ?3 WHERE chunk IN (SELECT ?1)",
    [LIVE_ITEMS] = CONFIG("items", "?2"),
    [LIVE_ITEM_FORGET] =
        "UPDATE \"%w\".\"%w_item\" SET idx = idx, id = NULL, n = 0, liked = 0 WHERE idx IN (SELECT ?1)",
    [LIVE_WEIGHTS] =
        "UPDATE \"%w\".\"%w_weight\" SET name = name, data = ?3 WHERE name IN (SELECT 'link/' || CAST(?1 AS TEXT))",
    [LIVE_TERM] =
        "UPDATE \"%w\".\"%w_term\" SET idx = idx, term = CASE WHEN df > 1 THEN term END, df = max(df - 1, 0) "
        "WHERE idx IN (SELECT ?1)",
    [LIVE_ITEM_STAMP] = CONFIG("item_stamp", "?2"),
};

/* ---- histories --------------------------------------------------------------------------------------------------- */

static int history_alloc(History *history, size_t count, int with_ratings, int with_marks, int timed) {
  *history = (History){.count = count};
  history->item = memory_alloc(count, sizeof *history->item);
  if (with_ratings) history->rating = memory_alloc(count, sizeof *history->rating);
  if (with_marks) history->held_out = memory_alloc(count, 1);
  if (timed) history->time = memory_alloc(count, sizeof *history->time);
  if (timed) history->order = memory_alloc(count, sizeof *history->order);
  int complete = history->item && (history->rating || !with_ratings) && (history->held_out || !with_marks) &&
                 ((history->time && history->order) || !timed);
  return complete ? SQLITE_OK : SQLITE_NOMEM;
}

static void entry_copy(const History *from, size_t i, History *to, size_t j) {
  to->item[j] = from->item[i];
  if (to->rating) to->rating[j] = from->rating ? from->rating[i] : 1;
  if (to->held_out) to->held_out[j] = from->held_out ? from->held_out[i] : 0;
  if (to->time) to->time[j] = from->time ? from->time[i] : NO_TIME;
}

/* The order of the entries but that at `place`, which is closed up. Returns how many there are. */
static size_t order_without(const History *history, size_t place, uint32_t *order) {
  size_t count = 0;
  for (size_t k = 0; k < history->count; k++)
    if (history->order[k] != place) order[count++] = history->order[k] - (history->order[k] > place);
  return count;
}

/* Puts an entry at `place` into the order of `count` others, behind those that came no later. */
static void order_insert(History *history, size_t count, size_t place) {
  size_t k = count;
  for (size_t i = 0; i < count; i++) history->order[i] += history->order[i] >= place;
  for (; k > 0 && history->time[history->order[k - 1]] > history->time[place]; k--)
    history->order[k] = history->order[k - 1];
  history->order[k] = (uint32_t)place;
}

/* Sets the time and the order of what is written at `place`. */
static void date_entry(const History *history, const HistoryEntry *entry, size_t place, int added, History *extended) {
  size_t others = history->count;
  int moves = !added && !entry->keeps;
  if (moves)
    others = order_without(history, place, extended->order);
  else if (others)
    memcpy(extended->order, history->order, others * sizeof *extended->order);
  if (!added && !moves) return;
  extended->time[place] = entry->keeps ? NO_TIME : entry->time;
  order_insert(extended, others, place);
}

int history_with(const History *history, const HistoryEntry *entry, History *extended, int *added) {
  size_t i = 0, place = 0;
  while (place < history->count && history->item[place] < entry->item) place++;
  *added = place == history->count || history->item[place] != entry->item;
  assert(history->count == 0 || (history->time != NULL) == entry->timed);
  int with_ratings = history->rating || entry->rating != 1;
  int code =
      history_alloc(extended, history->count + (size_t)*added, with_ratings, history->held_out != NULL, entry->timed);
  if (code != SQLITE_OK) return code;
  for (size_t j = 0; j < extended->count; j++) {
    if (j != place || !*added) entry_copy(history, i++, extended, j);
    if (j != place) continue;
    extended->item[j] = entry->item;
    if (extended->rating) extended->rating[j] = entry->rating;
    if (extended->held_out && *added) extended->held_out[j] = 0;
  }
  if (entry->timed) date_entry(history, entry, place, *added, extended);
  return SQLITE_OK;
}

int history_without(const History *history, uint32_t item, History *reduced) {
  size_t place = history_place(history, item);
  int code = history_alloc(reduced, history->count - 1, history->rating != NULL, history->held_out != NULL,
                           history->time != NULL);
  for (size_t i = 0, j = 0; i < history->count && code == SQLITE_OK; i++)
    if (i != place) entry_copy(history, i, reduced, j++);
  if (code == SQLITE_OK && history->time) order_without(history, place, reduced->order);
  return code;
}

/* ---- a batch ----------------------------------------------------------------------------------------------------- */

/* The next row, cleared; NULL where memory runs out. */
static LiveRow *add_row(LiveBatch *batch, LiveKind kind, int64_t key, int64_t n) {
  LiveRow *rows = memory_grow(batch->rows, batch->count, sizeof *rows);
  if (!rows) return NULL;
  batch->rows = rows;
  LiveRow *row = &batch->rows[batch->count++];
  *row = (LiveRow){.kind = kind, .key = key, .n = n};
  return row;
}

static int add_number(LiveBatch *batch, LiveKind kind, int64_t key, int64_t n, Error *error) {
  return add_row(batch, kind, key, n) ? SQLITE_OK : error_no_memory(error);
}

/* Room for a blob of so many bytes. */
static char *add_blob(LiveRow *row, size_t size) {
  row->blob = memory_alloc(size, 1);
  row->size = size;
  return row->blob;
}

void live_free(LiveBatch *batch) {
  for (size_t i = 0; i < batch->count; i++) memory_free(batch->rows[i].blob);
  memory_free(batch->rows);
  *batch = (LiveBatch){0};
}

/* ---- rows of users ----------------------------------------------------------------------------------------------- */

/* m_user's row. `id` only where it is a new row. */
static int add_user(LiveBatch *batch, LiveKind kind, uint32_t user, const Id *id, const History *history,
                    Error *error) {
  size_t n = history->count;
  LiveRow *row = add_row(batch, kind, user, (int64_t)n);
  char *blob = row ? add_blob(row, blob_history_size(n, history->rating != NULL, history->time != NULL)) : NULL;
  if (!blob) return error_no_memory(error);
  if (id) {
    row->has_id = 1;
    row->id = *id;
  }
  blob_write_history(history, blob);
  return SQLITE_OK;
}

/* Copies the stored rows of a chunk of users that is there. */
static int read_chunk(Model *model, const ModelItems *items, int64_t chunk, size_t n, char *to, Error *error) {
  sqlite3_stmt *statement = NULL;
  const char *data = NULL;
  if (n == 0) return SQLITE_OK;
  int code = users_bind_chunks(model, chunk, chunk, &statement, error);
  if (code == SQLITE_OK) code = users_step_to_chunk(model, items, statement, chunk, &data, error);
  if (code == SQLITE_OK) blob_move_floats(to, 0, data, 0, n * store_row_floats(&items->shape));
  if (statement) sqlite3_reset(statement);
  return code;
}

/* A chunk with `count` of its users, of whom the one at `place` gets this row: as floats, or where it is NULL, as the
 * stored row `from` of a blob; where both are, none does. */
static int add_chunk(Model *model, const ModelItems *items, int64_t chunk, size_t count, size_t place, const float *row,
                     const char *stored, size_t from, LiveBatch *batch, Error *error) {
  size_t floats = store_row_floats(&items->shape), there = 0;
  if (chunk * STORE_CHUNK < model->users) there = users_chunk_length(model, chunk);
  LiveRow *added = add_row(batch, there ? LIVE_USER_CHUNK : LIVE_USER_CHUNK_INSERT, chunk, (int64_t)count);
  char *blob = added ? add_blob(added, blob_floats_size(count * floats)) : NULL;
  if (!blob) return error_no_memory(error);
  int code = read_chunk(model, items, chunk, there < count ? there : count, blob, error);
  if (code != SQLITE_OK) return code;
  if (row)
    blob_put_floats(blob, place * floats, row, floats);
  else if (stored)
    blob_move_floats(blob, place * floats, stored, from * floats, floats);
  blob_seal(blob, added->size);
  return SQLITE_OK;
}

/* A list of `n` neighbours, which begins at `first`. */
static int add_list(LiveBatch *batch, LiveKind kind, uint32_t user, const NeighborLists *lists, size_t first, size_t n,
                    Error *error) {
  LiveRow *row = add_row(batch, kind, user, (int64_t)n);
  char *blob = row ? add_blob(row, blob_neighbors_size(n)) : NULL;
  if (!blob) return error_no_memory(error);
  blob_write_neighbors(lists, first, n, blob);
  return SQLITE_OK;
}

int live_rate(Model *model, const ModelItems *items, const LiveUser *user, LiveBatch *batch, Error *error) {
  int is_new = user->index >= model->users;
  int64_t chunk = user->index / STORE_CHUNK;
  int code = SQLITE_OK;
  if (is_new && model->users >= STORE_MOST_USERS)
    return error_set(error, SQLITE_TOOBIG, "model \"%s\" has as many users as a model can have",
                     model_name(model).name);
  if (is_new)
    code = add_user(batch, LIVE_USER_INSERT, user->index, user->id, user->history, error);
  else
    code = add_user(batch, LIVE_USER_UPDATE, user->index, NULL, user->history, error);
  if (code == SQLITE_OK && user->row)
    code = add_chunk(model, items, chunk,
                     is_new ? (size_t)user->index % STORE_CHUNK + 1 : users_chunk_length(model, chunk),
                     user->index % STORE_CHUNK, user->row, NULL, 0, batch, error);
  if (code == SQLITE_OK && user->neighbors)
    code = add_list(batch, is_new ? LIVE_LIST_INSERT : LIVE_LIST, user->index, user->neighbors, 0,
                    user->neighbors->start[1], error);
  if (code == SQLITE_OK && user->neighbors && is_new) code = add_number(batch, LIVE_LINKED, 0, model->users + 1, error);
  if (code == SQLITE_OK && user->counted) code = add_number(batch, LIVE_ITEM_COUNT, user->item, user->counted, error);
  if (code == SQLITE_OK && user->liked) code = add_number(batch, LIVE_ITEM_LIKED, user->item, user->liked, error);
  if (code == SQLITE_OK && user->trained) code = add_number(batch, LIVE_RATINGS, 0, user->trained, error);
  if (code == SQLITE_OK && is_new) code = add_number(batch, LIVE_USERS, 0, model->users + 1, error);
  return code;
}

/* ---- items ------------------------------------------------------------------------------------------------------- */

/* Items first … end - 1 as they are stored, but for `without`, which becomes zeros. */
static int pack_items(const ModelItems *items, size_t first, size_t end, size_t without, char *blob) {
  const ModelShape *shape = &items->shape;
  size_t floats = store_row_floats(shape);
  float *vector = memory_alloc_aligned(
      1, (size_t)(shape_stride(shape, HEAD_RATING) + shape_stride(shape, HEAD_RANKING)) * sizeof *vector);
  float *stored = memory_alloc(floats, sizeof *stored);
  int complete = vector && stored;
  for (size_t i = first; i < end && complete; i++) {
    for (int head = 0; head < HEADS; head++) {
      if (!shape_has_panel(shape, head)) continue;
      score_panel_get(&items->panel[head], i, vector);
      memcpy(stored + store_factors_place(shape, head), vector, (size_t)shape->rank[head] * sizeof *stored);
      if (shape->biases[head]) stored[store_bias_place(shape, head)] = items->panel[head].bias[i];
    }
    if (i == without) memset(stored, 0, floats * sizeof *stored);
    blob_put_floats(blob, (i - first) * floats, stored, floats);
  }
  memory_free_aligned(vector);
  memory_free(stored);
  return complete ? SQLITE_OK : SQLITE_NOMEM;
}

/* The last chunk of items, with one more. */
static int add_item_chunk(const ModelItems *items, const float *row, LiveBatch *batch, Error *error) {
  const ModelShape *shape = &items->shape;
  if (!shape_has_user_rows(shape)) return SQLITE_OK;
  size_t floats = store_row_floats(shape), item = items->ids.count, first = item / STORE_CHUNK * STORE_CHUNK;
  LiveKind kind = item > first ? LIVE_ITEM_CHUNK : LIVE_ITEM_CHUNK_INSERT;
  LiveRow *added = add_row(batch, kind, (int64_t)(item / STORE_CHUNK), (int64_t)(item - first + 1));
  char *blob = added ? add_blob(added, blob_floats_size((item - first + 1) * floats)) : NULL;
  if (!blob || pack_items(items, first, item, SIZE_MAX, blob) != SQLITE_OK) return error_no_memory(error);
  blob_put_floats(blob, (item - first) * floats, row, floats);
  blob_seal(blob, added->size);
  return SQLITE_OK;
}

int live_add_item(Model *model, const ModelItems *items, const Id *id, const float *row, LiveBatch *batch,
                  Error *error) {
  int64_t count = (int64_t)items->ids.count;
  if (count >= STORE_MOST_ITEMS)
    return error_set(error, SQLITE_TOOBIG, "model \"%s\" has as many items as a model can have",
                     model_name(model).name);
  LiveRow *added = add_row(batch, LIVE_ITEM_INSERT, count, 0);
  if (!added) return error_no_memory(error);
  added->has_id = 1;
  added->id = *id;
  int code = add_item_chunk(items, row, batch, error);
  return code == SQLITE_OK ? add_number(batch, LIVE_ITEMS, 0, count + 1, error) : code;
}

/* ---- forgetting a user ------------------------------------------------------------------------------------------- */

/* The last user's vector goes into the hole, and the last chunk becomes shorter. */
static int move_vector(Model *model, const ModelItems *items, uint32_t user, uint32_t last, LiveBatch *batch,
                       Error *error) {
  size_t left = last % STORE_CHUNK;
  int64_t chunk = user / STORE_CHUNK, last_chunk = last / STORE_CHUNK;
  char *rows = memory_alloc(blob_floats_size((left + 1) * store_row_floats(&items->shape)), 1);
  int code = rows ? read_chunk(model, items, last_chunk, left + 1, rows, error) : error_no_memory(error);
  if (code == SQLITE_OK && chunk != last_chunk)
    code = add_chunk(model, items, chunk, STORE_CHUNK, user % STORE_CHUNK, NULL, rows, left, batch, error);
  if (code == SQLITE_OK && left == 0)
    code = add_number(batch, LIVE_USER_CHUNK_DELETE, last_chunk, 0, error);
  else if (code == SQLITE_OK)
    code = add_chunk(model, items, last_chunk, left, user % STORE_CHUNK, NULL,
                     chunk == last_chunk && user != last ? rows : NULL, left, batch, error);
  memory_free(rows);
  return code;
}

/* Takes a user out of a list, and calls the last one by the new place. Returns how many are left; *changed tells
 * whether any was concerned. */
static size_t edit_list(NeighborLists *lists, size_t row, uint32_t user, uint32_t last, int *changed) {
  size_t to = lists->start[row];
  for (size_t e = lists->start[row]; e < lists->start[row + 1]; e++) {
    uint32_t neighbor = lists->neighbor[e];
    *changed |= neighbor == user || neighbor == last;
    if (neighbor == user) continue;
    lists->neighbor[to] = neighbor == last ? user : neighbor;
    lists->similarity[to] = lists->similarity[e];
    lists->support[to++] = lists->support[e];
  }
  return to - lists->start[row];
}

/* Nobody has the user as a neighbour any more; the last one's list goes into the hole. */
static int forget_neighbor(Model *model, uint32_t user, uint32_t last, LiveBatch *batch, Error *error) {
  enum { BLOCK = 64 * STORE_CHUNK };
  size_t users = (size_t)model->users;
  int code = SQLITE_OK;
  for (size_t first = 0; first < users && code == SQLITE_OK; first += BLOCK) {
    NeighborLists lists = {0};
    size_t count = users - first < BLOCK ? users - first : BLOCK;
    code = neighbors_read(&model->reader, first, count, users, &lists, error);
    for (size_t row = 0; row < count && code == SQLITE_OK; row++) {
      uint32_t index = (uint32_t)(first + row);
      int changed = index == last;
      if (index == user) continue;
      size_t n = edit_list(&lists, row, user, last, &changed);
      if (changed) code = add_list(batch, LIVE_LIST, index == last ? user : index, &lists, lists.start[row], n, error);
    }
    neighbor_lists_free(&lists);
  }
  if (code == SQLITE_OK) code = add_number(batch, LIVE_LIST_DELETE, last, 0, error);
  return code == SQLITE_OK ? add_number(batch, LIVE_LINKED, 0, model->users - 1, error) : code;
}

int live_forget(Model *model, const ModelItems *items, uint32_t user, const History *history, sqlite3_value **last_id,
                LiveBatch *batch, Error *error) {
  uint32_t last = (uint32_t)(model->users - 1);
  int64_t trained = 0;
  int code = SQLITE_OK;
  batch->secure = 1;
  *last_id = NULL;
  for (size_t i = 0; i < history->count && code == SQLITE_OK; i++) {
    trained += !history->held_out || !history->held_out[i];
    if (!shape_is_feedback(&items->shape) || history_rating(history, i) > 0)
      code = add_number(batch, LIVE_ITEM_COUNT, history->item[i], -1, error);
  }
  for (size_t i = 0; i < history->count && code == SQLITE_OK; i++)
    if (shape_likes(&items->shape, history_rating(history, i)))
      code = add_number(batch, LIVE_ITEM_LIKED, history->item[i], -1, error);
  if (code == SQLITE_OK && trained) code = add_number(batch, LIVE_RATINGS, 0, -trained, error);
  if (code == SQLITE_OK) code = add_number(batch, LIVE_USER_DELETE, user, 0, error);
  if (code == SQLITE_OK && user != last) {
    History moved = {0};
    Id id;
    code = model_user_row(model, last, last_id, NULL, error);
    if (code == SQLITE_OK && id_from_value(*last_id, &id) <= 0)
      code = shadow_damaged(error, model_name(model), "a user has no id");
    if (code == SQLITE_OK) code = model_history(model, items, last, &moved, error);
    if (code == SQLITE_OK) code = add_number(batch, LIVE_USER_DELETE, last, 0, error);
    if (code == SQLITE_OK) code = add_user(batch, LIVE_USER_INSERT, user, &id, &moved, error);
    history_free(&moved);
  }
  if (code == SQLITE_OK && shape_has_user_rows(&items->shape))
    code = move_vector(model, items, user, last, batch, error);
  if (code == SQLITE_OK && items->shape.kind->neighbors_of_users)
    code = forget_neighbor(model, user, last, batch, error);
  return code == SQLITE_OK ? add_number(batch, LIVE_USERS, 0, model->users - 1, error) : code;
}

/* ---- forgetting an item ------------------------------------------------------------------------------------------ */

int live_reduce_user(uint32_t user, const History *history, LiveBatch *batch, Error *error) {
  return add_user(batch, LIVE_USER_UPDATE, user, NULL, history, error);
}

int live_new_list(uint32_t user, const NeighborLists *lists, LiveBatch *batch, Error *error) {
  return add_list(batch, LIVE_LIST, user, lists, 0, lists->start[1], error);
}

int live_new_rows(Model *model, const ModelItems *items, int64_t chunk, const uint8_t *changed, const float *rows,
                  LiveBatch *batch, Error *error) {
  size_t floats = store_row_floats(&items->shape), count = users_chunk_length(model, chunk);
  LiveRow *added = add_row(batch, LIVE_USER_CHUNK, chunk, (int64_t)count);
  char *blob = added ? add_blob(added, blob_floats_size(count * floats)) : NULL;
  int code = blob ? read_chunk(model, items, chunk, count, blob, error) : error_no_memory(error);
  if (code != SQLITE_OK) return code;
  for (size_t place = 0; place < count; place++)
    if (changed[place]) blob_put_floats(blob, place * floats, rows + place * floats, floats);
  blob_seal(blob, added->size);
  return SQLITE_OK;
}

/* The item's own list becomes empty, and it is in nobody's. */
int live_forget_lists(Model *model, const ModelItems *items, uint32_t item, LiveBatch *batch, Error *error) {
  enum { BLOCK = 64 * STORE_CHUNK };
  size_t linked = item < items->shape.linked ? (size_t)items->shape.linked : 0;
  int code = SQLITE_OK;
  for (size_t first = 0; first < linked && code == SQLITE_OK; first += BLOCK) {
    NeighborLists lists = {0};
    size_t count = linked - first < BLOCK ? linked - first : BLOCK;
    code = neighbors_read(&model->reader, first, count, linked, &lists, error);
    for (size_t row = 0; row < count && code == SQLITE_OK; row++) {
      uint32_t index = (uint32_t)(first + row);
      int changed = index == item;
      size_t n = edit_list(&lists, row, item, item, &changed);
      if (changed) code = add_list(batch, LIVE_LIST, index, &lists, lists.start[row], index == item ? 0 : n, error);
    }
    neighbor_lists_free(&lists);
  }
  return code;
}

/* Its chunk of factors. */
static int forget_factors(const ModelItems *items, uint32_t item, LiveBatch *batch, Error *error) {
  size_t first = item / STORE_CHUNK * STORE_CHUNK, left = items->ids.count - first;
  size_t n = left < STORE_CHUNK ? left : STORE_CHUNK;
  LiveRow *row = add_row(batch, LIVE_ITEM_CHUNK, item / STORE_CHUNK, (int64_t)n);
  char *blob = row ? add_blob(row, blob_floats_size(n * store_row_floats(&items->shape))) : NULL;
  if (!blob || pack_items(items, first, first + n, item, blob) != SQLITE_OK) return error_no_memory(error);
  blob_seal(blob, row->size);
  return SQLITE_OK;
}

/* Its chunk of sparse vectors, and its words, of which those that no other item has are forgotten too. */
int live_forget_words(Model *model, const ModelItems *items, uint32_t item, LiveBatch *batch, Error *error) {
  (void)model;
  const SparseMatrix *vectors = &items->postings.vectors;
  size_t first = item / STORE_CHUNK * STORE_CHUNK, left = items->ids.count - first;
  size_t n = left < STORE_CHUNK ? left : STORE_CHUNK;
  LiveRow *row = add_row(batch, LIVE_ITEM_CHUNK, item / STORE_CHUNK, (int64_t)n);
  char *blob = row ? add_blob(row, blob_vectors_size(vectors, first, n, item)) : NULL;
  if (!blob) return error_no_memory(error);
  blob_write_vectors(vectors, items->norm, first, n, item, blob);
  int code = SQLITE_OK;
  for (size_t e = vectors->start[item]; e < vectors->start[item + 1] && code == SQLITE_OK; e++)
    code = add_number(batch, LIVE_TERM, vectors->index[e], 0, error);
  return code;
}

/* As large as all weights are: they are made when they are written. */
int live_forget_weights(Model *model, const ModelItems *items, uint32_t item, LiveBatch *batch, Error *error) {
  (void)model;
  size_t linked = item < items->shape.linked ? (size_t)items->shape.linked : 0;
  int code = SQLITE_OK;
  batch->items = items;
  batch->without = item;
  for (size_t row = 0; row < linked && code == SQLITE_OK; row += STORE_CHUNK)
    code = add_number(batch, LIVE_WEIGHTS, (int64_t)(row / STORE_CHUNK), 0, error);
  return code;
}

int live_forget_item(Model *model, const ModelItems *items, uint32_t item, int64_t trained, LiveBatch *batch,
                     Error *error) {
  const ModelKind *kind = items->shape.kind;
  int code = SQLITE_OK;
  batch->secure = 1;
  if (trained) code = add_number(batch, LIVE_RATINGS, 0, -trained, error);
  if (code == SQLITE_OK) code = add_number(batch, LIVE_ITEM_FORGET, item, 0, error);
  if (code == SQLITE_OK && store_row_floats(&items->shape)) code = forget_factors(items, item, batch, error);
  if (code == SQLITE_OK && kind->forget_item) code = kind->forget_item(model, items, item, batch, error);
  return code;
}

/* A chunk of weights without the item's row and column. */
static int make_weights(const LiveBatch *batch, LiveRow *row) {
  const ModelItems *items = batch->items;
  size_t linked = (size_t)items->shape.linked, first = (size_t)row->key * STORE_CHUNK;
  size_t n = linked - first < STORE_CHUNK ? linked - first : STORE_CHUNK;
  float *zeros = memory_alloc_zero(linked, sizeof *zeros);
  char *blob = zeros ? add_blob(row, blob_floats_size(n * linked)) : NULL;
  if (blob) {
    blob_put_floats(blob, 0, items->weights + first * linked, n * linked);
    for (size_t i = 0; i < n; i++) {
      int is_own = first + i == batch->without;
      blob_put_floats(blob, i * linked + (is_own ? 0 : batch->without), zeros, is_own ? linked : 1);
    }
    blob_seal(blob, row->size);
  }
  memory_free(zeros);
  return blob ? SQLITE_OK : SQLITE_NOMEM;
}

/* ---- stamps and writing ------------------------------------------------------------------------------------------ */

static uint64_t hash_row(uint64_t hash, const LiveRow *row) {
  uint64_t parts[5] = {(uint64_t)row->kind, (uint64_t)row->key, (uint64_t)row->n, row->has_id ? id_hash(&row->id) : 0,
                       row->blob ? blob_checksum(row->blob, row->size) : 0};
  return bytes_hash(hash, parts, sizeof parts);
}

int live_stamp(const Model *model, const ModelItems *items, LiveBatch *batch, Error *error) {
  uint64_t user_stamp = (uint64_t)model->user_stamp, item_stamp = (uint64_t)items->stamp;
  int of_items = 0;
  for (size_t i = 0; i < batch->count; i++) {
    const LiveRow *row = &batch->rows[i];
    user_stamp = hash_row(user_stamp, row);
    if (row->kind < LIVE_ITEM_INSERT) continue;
    item_stamp = hash_row(item_stamp, row);
    of_items = 1;
  }
  int code = add_number(batch, LIVE_USER_STAMP, 0, (int64_t)user_stamp, error);
  if (code == SQLITE_OK && of_items) code = add_number(batch, LIVE_ITEM_STAMP, 0, (int64_t)item_stamp, error);
  return code;
}

static int write_row(sqlite3 *db, sqlite3_stmt *statement, const LiveRow *row, Error *error) {
  sqlite3_bind_int64(statement, 1, row->key);
  int count = sqlite3_bind_parameter_count(statement), code = SQLITE_OK;
  if (count >= 2) sqlite3_bind_int64(statement, 2, row->n);
  if (count >= 3 && row->blob) code = sqlite3_bind_blob64(statement, 3, row->blob, row->size, SQLITE_STATIC);
  if (code == SQLITE_OK && count >= 4 && row->has_id) code = id_bind(statement, 4, &row->id);
  if (code == SQLITE_OK) sqlite3_step(statement);
  int reset = sqlite3_reset(statement);
  if (code == SQLITE_OK) code = reset;
  return code == SQLITE_OK ? SQLITE_OK : error_from_database(error, db, code, NULL);
}

static int write_rows(sqlite3 *db, ModelName name, const LiveBatch *batch, Error *error) {
  sqlite3_stmt *statement = NULL;
  int code = SQLITE_OK;
  for (size_t i = 0; i < batch->count && code == SQLITE_OK; i++) {
    LiveRow *row = &batch->rows[i];
    if (i == 0 || row->kind != batch->rows[i - 1].kind) {
      sqlite3_finalize(statement);
      statement = NULL;
      code = shadow_prepare(db, name, &statement, error, texts[row->kind], name.schema, name.name);
    }
    if (code == SQLITE_OK && row->kind == LIVE_WEIGHTS && make_weights(batch, row) != SQLITE_OK)
      code = error_no_memory(error);
    if (code == SQLITE_OK) code = write_row(db, statement, row, error);
    if (row->kind != LIVE_WEIGHTS) continue;
    memory_free(row->blob);
    row->blob = NULL;
  }
  sqlite3_finalize(statement);
  return code;
}

int live_write(sqlite3 *db, ModelName name, const LiveBatch *batch, Error *error) {
  sqlite3_int64 last_rowid = sqlite3_last_insert_rowid(db);
  int code = write_rows(db, name, batch, error);
  sqlite3_set_last_insert_rowid(db, last_rowid);
  return code;
}
