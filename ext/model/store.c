/* A trained model's bytes on disk. All numbers in blobs are little-endian.
 *
 * m_config   a row for each key of config.c
 *
 * m_user     idx 0 … users-1, in order of id but for those who came later: they are at the end until the next training,
 *            and where one is forgotten, the last takes the place; n: the user's entries; history: n × uint32 item
 *            indexes, ascending, plus 2^31 where the entry was held out from training, then n × float32 ratings (none
 *            where every rating is 1); where they are timed, n × int64 times (2^63 - 1 where there is none) and n ×
 * uint32 places of the entries, oldest first; then the checksum; NULL where no history is kept
 *
 * m_item     idx 0 … items-1 in order of id but for those that came later; n: the item's entries, dislikes not
 *            counted; liked: those that like it (shape_likes). An item that was forgotten keeps its place: id NULL, n
 *            and liked 0, zeros for its factors and weights, an empty list of neighbours, no terms
 *
 * m_userfactor, m_itemfactor
 *
 *            chunk c holds vectors 64 c … 64 c + n - 1; data: n rows of float32, each the rating head's factors, the
 *            ranking head's factors, and each head's bias where it has biases; then the checksum
 *
 *            Of sparse models items only: data is n × uint32 how many terms each vector has, n × float32 how long it
 *            was before it was made 1, then the terms of all vectors (uint32, ascending in each), then their weights
 *            (float32); then the checksum
 *
 * m_term     idx 0 … terms-1 in order of term (bytes); df: items that it is in; idf: what its count is multiplied by.
 *            term NULL, df 0: only an item that was forgotten had it
 *
 * m_weight   'term/0', 'term/1', …: vectors of terms in the space of the item factors, STORE_TERMS a row, float32, then
 *            the checksum; shape: [vectors, rank]
 *
 *            'link/0', 'link/1', …: of LINK_ITEM_WEIGHTS, the weights from 64 of the `linked` items each to all of
 *            these, float32, then the checksum; shape: [rows, linked]
 *
 *            'cluster/0', 'cluster/1', …: of models of clusters, STORE_MEMBERS members (users or items) each: n ×
 *            uint32 their clusters, n × float32 their distances from its centroid, then the checksum; shape: [n]
 *
 *            'centroid/0', …: a cluster's centroid, float32, then the checksum; shape: [cluster_columns]
 *
 * m_neighbor idx 0 … linked-1 of the items (LINK_ITEM_NEIGHBORS) or users (LINK_USER_NEIGHBORS); n: how many
 *            neighbours; data: n × uint32 their indexes, nearest first, n × float32 similarity, n × uint32 support,
 *            then the checksum
 *
 * A blob's checksum is bytes_hash(0, …) of all before it, 8 bytes: a flipped bit in a factor would else be a silently
 * wrong answer.
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
#include "config.h"
#include "history_bytes.h"

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

/* Binds a blob of `size` bytes with its checksum behind it; the buffer has room for it. */
static int bind_checked(Writer *writer, sqlite3_stmt *insert, int parameter, void *blob, size_t size) {
  uint64_t checksum = bytes_hash(0, blob, size);
  bytes_store64((char *)blob + size, checksum);
  writer->hash = bytes_hash(writer->hash, &checksum, sizeof checksum);
  return sqlite3_bind_blob64(insert, parameter, blob, size + STORE_CHECKSUM, SQLITE_STATIC);
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
  return bind_checked(writer, insert, 4, buffer, history_encode(&history, buffer));
}

static int write_users(Writer *writer) {
  const TrainedModel *model = writer->model;
  size_t longest = 0;
  for (size_t user = 0; user < model->users.count; user++)
    if (model->user_count[user] > longest) longest = model->user_count[user];
  size_t room = history_bytes(longest, 1, model->time != NULL) + STORE_CHECKSUM;
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

static int write_factors(Writer *writer, int of_users) {
  const TrainedModel *model = writer->model;
  size_t rows = of_users ? model->users.count : model->items.count;
  size_t row_floats = store_row_floats(&model->shape);
  float *chunk = memory_alloc(STORE_CHUNK * row_floats + STORE_CHECKSUM / sizeof(float), sizeof *chunk);
  sqlite3_stmt *insert = NULL;
  int code = chunk ? SQLITE_OK : error_no_memory(writer->error);
  if (code == SQLITE_OK)
    code = shadow_prepare(writer->db, writer->name, &insert, writer->error,
                          "INSERT INTO \"%w\".\"%w_%sfactor\"(chunk, n, data) SELECT ?1, ?2, ?3", writer->name.schema,
                          writer->name.name, of_users ? "user" : "item");
  for (size_t first = 0; code == SQLITE_OK && first < rows; first += STORE_CHUNK) {
    size_t n = rows - first < STORE_CHUNK ? rows - first : STORE_CHUNK;
    float *end = chunk;
    for (size_t row = first; row < first + n; row++) end = trained_row(model, of_users, row, end);
    bytes_to_little_endian(chunk, (size_t)(end - chunk));
    sqlite3_bind_int64(insert, 1, (sqlite3_int64)(first / STORE_CHUNK));
    sqlite3_bind_int64(insert, 2, (sqlite3_int64)n);
    code = bind_checked(writer, insert, 3, chunk, n * row_floats * sizeof(float));
    code = step_bound(writer, insert, code);
  }
  sqlite3_finalize(insert);
  memory_free(chunk);
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
                        size_t columns, void *blob, size_t size) {
  char shape[48];
  if (columns)
    sqlite3_snprintf(sizeof shape, shape, "[%lld,%lld]", (sqlite3_int64)rows, (sqlite3_int64)columns);
  else
    sqlite3_snprintf(sizeof shape, shape, "[%lld]", (sqlite3_int64)rows);
  sqlite3_bind_text(insert, 1, kind, -1, SQLITE_STATIC);
  sqlite3_bind_int64(insert, 2, (sqlite3_int64)number);
  sqlite3_bind_text(insert, 3, shape, -1, SQLITE_STATIC);
  return step_bound(writer, insert, bind_checked(writer, insert, 4, blob, size));
}

/* ---- content ----------------------------------------------------------------------------------------------------- */

static size_t chunk_rows(size_t rows, size_t first, size_t most) { return rows - first < most ? rows - first : most; }

static int write_vectors(Writer *writer) {
  const SparseMatrix *vectors = &writer->model->vectors;
  sqlite3_stmt *insert = NULL;
  size_t most = 0;
  for (size_t first = 0; first < vectors->rows; first += STORE_CHUNK) {
    size_t n = chunk_rows(vectors->rows, first, STORE_CHUNK),
           entries = vectors->start[first + n] - vectors->start[first];
    if (entries > most) most = entries;
  }
  char *chunk = memory_alloc(8 * (STORE_CHUNK + most) + STORE_CHECKSUM, 1);
  int code = chunk ? SQLITE_OK : error_no_memory(writer->error);
  if (code == SQLITE_OK)
    code = shadow_prepare(writer->db, writer->name, &insert, writer->error,
                          "INSERT INTO \"%w\".\"%w_itemfactor\"(chunk, n, data) SELECT ?1, ?2, ?3", writer->name.schema,
                          writer->name.name);
  for (size_t first = 0; code == SQLITE_OK && first < vectors->rows; first += STORE_CHUNK) {
    size_t n = chunk_rows(vectors->rows, first, STORE_CHUNK), start = vectors->start[first];
    size_t entries = vectors->start[first + n] - start;
    for (size_t i = 0; i < n; i++) {
      uint32_t row_entries = (uint32_t)sparse_row_length(vectors, first + i);
      bytes_copy_words(chunk + 4 * i, &row_entries, 1);
    }
    bytes_copy_words(chunk + 4 * n, writer->model->length + first, n);
    bytes_copy_words(chunk + 8 * n, vectors->index + start, entries);
    bytes_copy_words(chunk + 8 * n + 4 * entries, vectors->value + start, entries);
    sqlite3_bind_int64(insert, 1, (sqlite3_int64)(first / STORE_CHUNK));
    sqlite3_bind_int64(insert, 2, (sqlite3_int64)n);
    code = bind_checked(writer, insert, 3, chunk, 8 * (n + entries));
    code = step_bound(writer, insert, code);
  }
  sqlite3_finalize(insert);
  memory_free(chunk);
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

static int write_term_vectors(Writer *writer) {
  const TrainedModel *model = writer->model;
  size_t terms = model->term_vectors ? model->terms.count : 0, rank = (size_t)model->shape.rank[HEAD_RANKING];
  size_t stride = (size_t)shape_stride(&model->shape, HEAD_RANKING);
  float *chunk = terms ? memory_alloc(STORE_TERMS * rank + STORE_CHECKSUM / sizeof(float), sizeof *chunk) : NULL;
  sqlite3_stmt *insert = NULL;
  int code = chunk || !terms ? SQLITE_OK : error_no_memory(writer->error);
  if (code == SQLITE_OK && terms) code = prepare_weights(writer, &insert);
  for (size_t first = 0; code == SQLITE_OK && first < terms; first += STORE_TERMS) {
    size_t n = chunk_rows(terms, first, STORE_TERMS);
    for (size_t i = 0; i < n; i++) bytes_copy_words(chunk + i * rank, model->term_vectors + (first + i) * stride, rank);
    code = write_weight(writer, insert, "term", first / STORE_TERMS, n, rank, chunk, n * rank * sizeof(float));
  }
  sqlite3_finalize(insert);
  memory_free(chunk);
  return code;
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
  char *blob = memory_alloc(12 * most + STORE_CHECKSUM, 1);
  int code = blob ? SQLITE_OK : error_no_memory(writer->error);
  if (code == SQLITE_OK)
    code = shadow_prepare(writer->db, writer->name, &insert, writer->error,
                          "INSERT INTO \"%w\".\"%w_neighbor\"(idx, n, data) SELECT ?1, ?2, ?3", writer->name.schema,
                          writer->name.name);
  for (size_t row = 0; code == SQLITE_OK && row < lists->rows; row++) {
    size_t first = lists->start[row], n = lists->start[row + 1] - first;
    bytes_copy_words(blob, lists->neighbor + first, n);
    bytes_copy_words(blob + 4 * n, lists->similarity + first, n);
    bytes_copy_words(blob + 8 * n, lists->support + first, n);
    sqlite3_bind_int64(insert, 1, (sqlite3_int64)row);
    sqlite3_bind_int64(insert, 2, (sqlite3_int64)n);
    code = bind_checked(writer, insert, 3, blob, 12 * n);
    code = step_bound(writer, insert, code);
  }
  sqlite3_finalize(insert);
  memory_free(blob);
  return code;
}

static int write_weights(Writer *writer) {
  const TrainedModel *model = writer->model;
  size_t items = model->weights ? model->items.count : 0;
  float *chunk = items ? memory_alloc(STORE_CHUNK * items + STORE_CHECKSUM / sizeof(float), sizeof *chunk) : NULL;
  sqlite3_stmt *insert = NULL;
  int code = chunk || !items ? SQLITE_OK : error_no_memory(writer->error);
  if (code == SQLITE_OK && items) code = prepare_weights(writer, &insert);
  for (size_t first = 0; code == SQLITE_OK && first < items; first += STORE_CHUNK) {
    size_t n = chunk_rows(items, first, STORE_CHUNK);
    bytes_copy_words(chunk, model->weights + first * items, n * items);
    code = write_weight(writer, insert, "link", first / STORE_CHUNK, n, items, chunk, n * items * sizeof(float));
  }
  sqlite3_finalize(insert);
  memory_free(chunk);
  return code;
}

/* ---- clusters ---------------------------------------------------------------------------------------------------- */

static int write_clusters(Writer *writer) {
  const TrainedModel *model = writer->model;
  const ModelShape *shape = &model->shape;
  size_t members = cluster_members(shape, model->users.count, model->items.count);
  size_t columns = (size_t)shape->cluster_columns, words = columns > 2 * STORE_MEMBERS ? columns : 2 * STORE_MEMBERS;
  sqlite3_stmt *insert = NULL;
  uint32_t *blob = memory_alloc(words + STORE_CHECKSUM / sizeof *blob, sizeof *blob);
  int code = blob ? SQLITE_OK : error_no_memory(writer->error);
  if (code == SQLITE_OK) code = prepare_weights(writer, &insert);
  for (size_t first = 0; code == SQLITE_OK && first < members; first += STORE_MEMBERS) {
    size_t n = chunk_rows(members, first, STORE_MEMBERS);
    bytes_copy_words(blob, model->cluster + first, n);
    bytes_copy_words(blob + n, model->distance + first, n);
    code = write_weight(writer, insert, "cluster", first / STORE_MEMBERS, n, 0, blob, 8 * n);
  }
  for (size_t c = 0; code == SQLITE_OK && c < (size_t)shape->clusters; c++) {
    bytes_copy_words(blob, model->centroid + c * columns, columns);
    code = write_weight(writer, insert, "centroid", c, columns, 0, blob, 4 * columns);
  }
  sqlite3_finalize(insert);
  memory_free(blob);
  return code;
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
  assert(model->shape.kind->fits(&model->shape));
  sqlite3_int64 last_rowid = sqlite3_last_insert_rowid(db);
  int code = shadow_clear(db, name, error);
  if (code == SQLITE_OK) code = write_users(&writer);
  if (code == SQLITE_OK) code = write_items(&writer);
  int has_factors = store_row_floats(&model->shape) > 0;
  if (code == SQLITE_OK && has_factors) code = write_factors(&writer, 1);
  if (code == SQLITE_OK && has_factors) code = write_factors(&writer, 0);
  if (code == SQLITE_OK && model->shape.sparse) code = write_vectors(&writer);
  if (code == SQLITE_OK) code = write_neighbors(&writer);
  if (code == SQLITE_OK) code = write_weights(&writer);
  if (code == SQLITE_OK && model->shape.clusters) code = write_clusters(&writer);
  if (code == SQLITE_OK) code = write_terms(&writer);
  if (code == SQLITE_OK) code = write_term_vectors(&writer);
  if (code == SQLITE_OK) code = write_config(&writer);
  sqlite3_set_last_insert_rowid(db, last_rowid);
  return code;
}
