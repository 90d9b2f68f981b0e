/* The rows of a trained model. The bytes of their blobs are described, written and read in blobs.c.
 *
 * m_config   a row for each key of config.c
 *
 * m_user     idx 0 … users-1, in order of id but for those who came later: they are at the end until the next training,
 *            and where one is forgotten, the last takes the place; n: the user's entries; history: NULL where no
 *            histories are kept
 *
 * m_item     idx 0 … items-1 in order of id but for those that came later; n: the item's entries, dislikes not
 *            counted; liked: those that like it (shape_likes). An item that was forgotten keeps its place: id NULL, n
 *            and liked 0, zeros for its factors and weights, an empty list of neighbours, no terms
 *
 * m_userfactor, m_itemfactor
 *            chunk c holds the n vectors of rows 64 c … 64 c + n - 1, the last chunk fewer than 64; of models whose
 *            items are sparse vectors those, and no users
 *
 * m_term     idx 0 … terms-1 in order of term (bytes); df: items that it is in; idf: what its count is multiplied by.
 *            term NULL, df 0: only an item that was forgotten had it
 *
 * m_weight   'term/0', 'term/1', …          vectors of terms, STORE_TERMS a row; shape: [vectors, rank]
 *            'link/0', 'link/1', …          of LINK_ITEM_WEIGHTS, the weights from 64 items each; shape: [rows, linked]
 *            'cluster/0', 'cluster/1', …    of models of clusters, STORE_MEMBERS members each; shape: [members]
 *            'centroid/0', 'centroid/1', …  a cluster each; shape: [cluster_columns]
 *
 * m_neighbor idx 0 … linked-1 of the items (LINK_ITEM_NEIGHBORS) or users (LINK_USER_NEIGHBORS); n: how many
 *            neighbours
 *
 * Rows are written by INSERT … SELECT, never VALUES: a single-row VALUES has no statement journal, and where it finds
 * the disk full or no memory, SQLite rolls back the whole transaction, with what the user did in it before.
 *
 * The stamps are hashes of what was written, not random: the same training gives the same bytes, and equal stamps mean
 * equal contents, which is all that a cache needs to know. A change of a few rows (row_changes.c) makes the next stamp
 * of the last and of the rows, which says as much. */
#include "store.h"

#include <assert.h>

#include "../base/bytes.h"
#include "../base/memory.h"
#include "blobs.h"
#include "config.h"

typedef struct Writer {
  sqlite3 *db;
  ModelName name;
  const TrainedModel *model;
  uint64_t hash; /* of everything written so far */
  Error *error;
} Writer;

size_t store_row_floats(const ModelShape *shape) {
  size_t floats = 0;
  for (int head = 0; head < HEADS; head++) floats += (size_t)shape->rank[head] + (size_t)(shape->biases[head] != 0);
  return floats;
}

size_t store_factors_place(const ModelShape *shape, int head) {
  return head == HEAD_RANKING ? (size_t)shape->rank[HEAD_RATING] : 0;
}

size_t store_bias_place(const ModelShape *shape, int head) {
  size_t place = (size_t)shape->rank[HEAD_RATING] + (size_t)shape->rank[HEAD_RANKING];
  return place + (size_t)(head == HEAD_RANKING && shape->biases[HEAD_RATING]);
}

/* Runs a statement whose parameters have been bound with the result `code`. */
static int step_bound(Writer *writer, sqlite3_stmt *statement, int code) {
  if (code == SQLITE_OK) {
    sqlite3_step(statement);
    code = sqlite3_reset(statement);
  }
  return code == SQLITE_OK ? SQLITE_OK : error_from_database(writer->error, writer->db, code, NULL);
}

static void hash_id(Writer *writer, const Id *id) {
  uint64_t hash = id_hash(id);
  writer->hash = bytes_hash(writer->hash, &hash, sizeof hash);
}

/* Binds a blob that is sealed. */
static int bind_blob(Writer *writer, sqlite3_stmt *insert, int parameter, const char *blob, size_t size) {
  uint64_t checksum = blob_checksum(blob, size);
  writer->hash = bytes_hash(writer->hash, &checksum, sizeof checksum);
  return sqlite3_bind_blob64(insert, parameter, blob, size, SQLITE_STATIC);
}

/* ---- dictionaries and histories ---------------------------------------------------------------------------------- */

/* A user's part of what is kept in one matrix; borrowed. */
static History history_of(const TrainedModel *model, size_t user) {
  const SparseMatrix *all = &model->history;
  size_t first = all->start[user];
  return (History){.count = sparse_row_length(all, user),
                   .item = all->index + first,
                   .rating = all->value ? all->value + first : NULL,
                   .held_out = model->held_out ? model->held_out + first : NULL,
                   .time = model->time ? model->time + first : NULL,
                   .order = model->order ? model->order + first : NULL};
}

static int write_history(Writer *writer, sqlite3_stmt *insert, size_t user, char *buffer) {
  const History history = history_of(writer->model, user);
  blob_write_history(&history, buffer);
  return bind_blob(writer, insert, 4, buffer,
                   blob_history_size(history.count, history.rating != NULL, history.time != NULL));
}

static int write_users(Writer *writer) {
  const TrainedModel *model = writer->model;
  size_t longest = 0;
  for (size_t user = 0; user < model->users.count; user++)
    if (model->user_count[user] > longest) longest = model->user_count[user];
  size_t room = blob_history_size(longest, 1, model->time != NULL);
  char *buffer = model->history.start ? memory_alloc(room, 1) : NULL;
  sqlite3_stmt *insert = NULL;
  int code = model->history.start && !buffer ? error_no_memory(writer->error) : SQLITE_OK;
  if (code == SQLITE_OK)
    code = shadow_prepare(writer->db, writer->name, &insert, writer->error,
                          "INSERT INTO \"%w\".\"%w_user\"(idx, id, n, history) SELECT ?1, ?2, ?3, ?4",
                          writer->name.schema, writer->name.name);
  for (size_t user = 0; code == SQLITE_OK && user < model->users.count; user++) {
    Id id = dictionary_id(&model->users, user);
    hash_id(writer, &id);
    sqlite3_bind_int64(insert, 1, (sqlite3_int64)user);
    code = id_bind(insert, 2, &id);
    if (code == SQLITE_OK) code = sqlite3_bind_int64(insert, 3, model->user_count[user]);
    if (code == SQLITE_OK && model->history.start) code = write_history(writer, insert, user, buffer);
    code = step_bound(writer, insert, code);
  }
  sqlite3_finalize(insert);
  memory_free(buffer);
  return code;
}

static int write_items(Writer *writer) {
  const TrainedModel *model = writer->model;
  sqlite3_stmt *insert = NULL;
  int code = shadow_prepare(writer->db, writer->name, &insert, writer->error,
                            "INSERT INTO \"%w\".\"%w_item\"(idx, id, n, liked) SELECT ?1, ?2, ?3, ?4",
                            writer->name.schema, writer->name.name);
  for (size_t item = 0; code == SQLITE_OK && item < model->items.count; item++) {
    Id id = dictionary_id(&model->items, item);
    hash_id(writer, &id);
    sqlite3_bind_int64(insert, 1, (sqlite3_int64)item);
    code = id_bind(insert, 2, &id);
    if (code == SQLITE_OK) code = sqlite3_bind_int64(insert, 3, model->item_count[item]);
    if (code == SQLITE_OK) code = sqlite3_bind_int64(insert, 4, model->item_liked[item]);
    code = step_bound(writer, insert, code);
  }
  sqlite3_finalize(insert);
  return code;
}

/* ---- factors ----------------------------------------------------------------------------------------------------- */

static size_t chunk_rows(size_t rows, size_t first, size_t most) { return rows - first < most ? rows - first : most; }

static int prepare_factors(Writer *writer, const char *of, sqlite3_stmt **insert) {
  return shadow_prepare(writer->db, writer->name, insert, writer->error,
                        "INSERT INTO \"%w\".\"%w_%sfactor\"(chunk, n, data) SELECT ?1, ?2, ?3", writer->name.schema,
                        writer->name.name, of);
}

static int write_chunk(Writer *writer, sqlite3_stmt *insert, size_t chunk, size_t n, const char *blob, size_t size) {
  sqlite3_bind_int64(insert, 1, (sqlite3_int64)chunk);
  sqlite3_bind_int64(insert, 2, (sqlite3_int64)n);
  return step_bound(writer, insert, bind_blob(writer, insert, 3, blob, size));
}

static int write_factors(Writer *writer, int of_users) {
  const TrainedModel *model = writer->model;
  size_t rows = of_users ? model->users.count : model->items.count, floats = store_row_floats(&model->shape);
  char *blob = memory_alloc(blob_floats_size(STORE_CHUNK * floats), 1);
  float *row = memory_alloc(floats, sizeof *row);
  sqlite3_stmt *insert = NULL;
  int code =
      blob && row ? prepare_factors(writer, of_users ? "user" : "item", &insert) : error_no_memory(writer->error);
  for (size_t first = 0; code == SQLITE_OK && first < rows; first += STORE_CHUNK) {
    size_t n = chunk_rows(rows, first, STORE_CHUNK), size = blob_floats_size(n * floats);
    for (size_t i = 0; i < n; i++) {
      trained_row(model, of_users, first + i, row);
      blob_put_floats(blob, i * floats, row, floats);
    }
    blob_seal(blob, size);
    code = write_chunk(writer, insert, first / STORE_CHUNK, n, blob, size);
  }
  sqlite3_finalize(insert);
  memory_free(blob);
  memory_free(row);
  return code;
}

/* ---- m_weight ---------------------------------------------------------------------------------------------------- */

static int prepare_weights(Writer *writer, sqlite3_stmt **insert) {
  return shadow_prepare(writer->db, writer->name, insert, writer->error,
                        "INSERT INTO \"%w\".\"%w_weight\"(name, shape, data) SELECT printf('%%s/%%d', ?1, ?2), ?3, ?4",
                        writer->name.schema, writer->name.name);
}

/* The row "<kind>/<number>": `columns` numbers in each of `rows`; columns 0: of one dimension. */
static int write_weight(Writer *writer, sqlite3_stmt *insert, const char *kind, size_t number, size_t rows,
                        size_t columns, const char *blob, size_t size) {
  char shape[48];
  if (columns)
    sqlite3_snprintf(sizeof shape, shape, "[%lld,%lld]", (sqlite3_int64)rows, (sqlite3_int64)columns);
  else
    sqlite3_snprintf(sizeof shape, shape, "[%lld]", (sqlite3_int64)rows);
  sqlite3_bind_text(insert, 1, kind, -1, SQLITE_STATIC);
  sqlite3_bind_int64(insert, 2, (sqlite3_int64)number);
  sqlite3_bind_text(insert, 3, shape, -1, SQLITE_STATIC);
  return step_bound(writer, insert, bind_blob(writer, insert, 4, blob, size));
}

/* ---- content ----------------------------------------------------------------------------------------------------- */

static int write_vectors(Writer *writer) {
  const SparseMatrix *vectors = &writer->model->vectors;
  sqlite3_stmt *insert = NULL;
  size_t room = 0;
  for (size_t first = 0; first < vectors->rows; first += STORE_CHUNK) {
    size_t size = blob_vectors_size(vectors, first, chunk_rows(vectors->rows, first, STORE_CHUNK), SIZE_MAX);
    if (size > room) room = size;
  }
  char *blob = memory_alloc(room, 1);
  int code = blob ? prepare_factors(writer, "item", &insert) : error_no_memory(writer->error);
  for (size_t first = 0; code == SQLITE_OK && first < vectors->rows; first += STORE_CHUNK) {
    size_t n = chunk_rows(vectors->rows, first, STORE_CHUNK);
    blob_write_vectors(vectors, writer->model->length, first, n, SIZE_MAX, blob);
    code = write_chunk(writer, insert, first / STORE_CHUNK, n, blob, blob_vectors_size(vectors, first, n, SIZE_MAX));
  }
  sqlite3_finalize(insert);
  memory_free(blob);
  return code;
}

static int write_terms(Writer *writer) {
  const TrainedModel *model = writer->model;
  sqlite3_stmt *insert = NULL;
  int code = shadow_prepare(writer->db, writer->name, &insert, writer->error,
                            "INSERT INTO \"%w\".\"%w_term\"(idx, term, df, idf) SELECT ?1, ?2, ?3, ?4",
                            writer->name.schema, writer->name.name);
  for (size_t term = 0; code == SQLITE_OK && term < model->terms.count; term++) {
    Id id = dictionary_id(&model->terms, term);
    hash_id(writer, &id);
    writer->hash = bytes_hash(writer->hash, &model->idf[term], sizeof model->idf[term]);
    sqlite3_bind_int64(insert, 1, (sqlite3_int64)term);
    code = id_bind(insert, 2, &id);
    if (code == SQLITE_OK) code = sqlite3_bind_int64(insert, 3, model->df[term]);
    if (code == SQLITE_OK) code = sqlite3_bind_double(insert, 4, model->idf[term]);
    code = step_bound(writer, insert, code);
  }
  sqlite3_finalize(insert);
  return code;
}

/* Rows of floats, `stride` apart, `chunk` of them in each of the rows "<kind>/0", "<kind>/1", … */
static int write_matrix(Writer *writer, const char *kind, const float *matrix, size_t rows, size_t columns,
                        size_t stride, size_t chunk) {
  char *blob = memory_alloc(blob_floats_size((rows < chunk ? rows : chunk) * columns), 1);
  sqlite3_stmt *insert = NULL;
  int code = blob ? prepare_weights(writer, &insert) : error_no_memory(writer->error);
  for (size_t first = 0; code == SQLITE_OK && first < rows; first += chunk) {
    size_t n = chunk_rows(rows, first, chunk), size = blob_floats_size(n * columns);
    for (size_t i = 0; i < n; i++) blob_put_floats(blob, i * columns, matrix + (first + i) * stride, columns);
    blob_seal(blob, size);
    code = write_weight(writer, insert, kind, first / chunk, chunk == 1 ? columns : n, chunk == 1 ? 0 : columns, blob,
                        size);
  }
  sqlite3_finalize(insert);
  memory_free(blob);
  return code;
}

static int write_term_vectors(Writer *writer) {
  const TrainedModel *model = writer->model;
  return write_matrix(writer, "term", model->term_vectors, model->terms.count, (size_t)model->shape.rank[HEAD_RANKING],
                      (size_t)shape_stride(&model->shape, HEAD_RANKING), STORE_TERMS);
}

/* ---- links ------------------------------------------------------------------------------------------------------- */

static int write_neighbors(Writer *writer) {
  const NeighborLists *lists = &writer->model->neighbors;
  sqlite3_stmt *insert = NULL;
  size_t most = 0;
  for (size_t row = 0; row < lists->rows; row++) {
    size_t n = lists->start[row + 1] - lists->start[row];
    if (n > most) most = n;
  }
  char *blob = memory_alloc(blob_neighbors_size(most), 1);
  int code = blob ? SQLITE_OK : error_no_memory(writer->error);
  if (code == SQLITE_OK)
    code = shadow_prepare(writer->db, writer->name, &insert, writer->error,
                          "INSERT INTO \"%w\".\"%w_neighbor\"(idx, n, data) SELECT ?1, ?2, ?3", writer->name.schema,
                          writer->name.name);
  for (size_t row = 0; code == SQLITE_OK && row < lists->rows; row++) {
    size_t first = lists->start[row], n = lists->start[row + 1] - first;
    blob_write_neighbors(lists, first, n, blob);
    code = write_chunk(writer, insert, row, n, blob, blob_neighbors_size(n));
  }
  sqlite3_finalize(insert);
  memory_free(blob);
  return code;
}

static int write_weights(Writer *writer) {
  size_t items = writer->model->items.count;
  return write_matrix(writer, "link", writer->model->weights, items, items, items, STORE_CHUNK);
}

/* ---- clusters ---------------------------------------------------------------------------------------------------- */

static int write_clusters(Writer *writer) {
  const TrainedModel *model = writer->model;
  const ModelShape *shape = &model->shape;
  size_t members = cluster_members(shape, model->users.count, model->items.count);
  size_t columns = (size_t)shape->cluster_columns;
  sqlite3_stmt *insert = NULL;
  char *blob = memory_alloc(blob_members_size(STORE_MEMBERS), 1);
  int code = blob ? prepare_weights(writer, &insert) : error_no_memory(writer->error);
  for (size_t first = 0; code == SQLITE_OK && first < members; first += STORE_MEMBERS) {
    size_t n = chunk_rows(members, first, STORE_MEMBERS);
    blob_write_members(model->cluster + first, model->distance + first, n, blob);
    code = write_weight(writer, insert, "cluster", first / STORE_MEMBERS, n, 0, blob, blob_members_size(n));
  }
  sqlite3_finalize(insert);
  memory_free(blob);
  if (code != SQLITE_OK) return code;
  return write_matrix(writer, "centroid", model->centroid, (size_t)shape->clusters, columns, columns, 1);
}

/* ---- m_config ---------------------------------------------------------------------------------------------------- */

/* The stamps are of all that was written before; the time is no part of them. */
static int write_config(Writer *writer) {
  ModelConfig config = config_of(writer->model);
  sqlite3_stmt *now = NULL;
  config.item_stamp = config.user_stamp = (int64_t)config_hash(&config, writer->hash);
  int code = sqlite3_prepare_v2(writer->db, "SELECT strftime('%Y-%m-%d %H:%M:%S', 'now')", -1, &now, NULL);
  if (code == SQLITE_OK && (code = sqlite3_step(now)) == SQLITE_ROW) code = SQLITE_OK;
  config.trained_at = code == SQLITE_OK ? (const char *)sqlite3_column_text(now, 0) : NULL;
  if (code == SQLITE_OK && !config.trained_at) code = SQLITE_NOMEM;
  if (code != SQLITE_OK) error_from_database(writer->error, writer->db, code, NULL);
  if (code == SQLITE_OK) code = config_write(writer->db, writer->name, &config, writer->error);
  sqlite3_finalize(now);
  return code;
}

int store_write(sqlite3 *db, ModelName name, const TrainedModel *model, Error *error) {
  Writer writer = {.db = db, .name = name, .model = model, .error = error};
  trained_assert(model);
  assert(model->family && model->algorithm && model->source && model->source_schema);
  assert(model->options && model->resolved && model->metrics);
  sqlite3_int64 last_rowid = sqlite3_last_insert_rowid(db);
  int code = shadow_clear(db, name, error);
  if (code == SQLITE_OK) code = write_users(&writer);
  if (code == SQLITE_OK) code = write_items(&writer);
  int has_factors = store_row_floats(&model->shape) > 0;
  if (code == SQLITE_OK && has_factors) code = write_factors(&writer, 1);
  if (code == SQLITE_OK && has_factors) code = write_factors(&writer, 0);
  if (code == SQLITE_OK && model->shape.sparse) code = write_vectors(&writer);
  if (code == SQLITE_OK) code = write_neighbors(&writer);
  if (code == SQLITE_OK && model->weights) code = write_weights(&writer);
  if (code == SQLITE_OK && model->shape.clusters) code = write_clusters(&writer);
  if (code == SQLITE_OK) code = write_terms(&writer);
  if (code == SQLITE_OK && model->term_vectors) code = write_term_vectors(&writer);
  if (code == SQLITE_OK) code = write_config(&writer);
  sqlite3_set_last_insert_rowid(db, last_rowid);
  return code;
}
