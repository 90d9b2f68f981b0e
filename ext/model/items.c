/* Loading the item side of a model: m_config, m_item and m_itemfactor. See store.c for the bytes. */
#include "items.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "../base/bytes.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "kind.h"
#include "neighbor_rows.h"
#include "store.h"

#define MOST_TERMS INT32_MAX
#define MOST_RANK 4096
#define MOST_FOLDED 1e36 /* ratings are below 1e30, and floats below 3e38 */

/* ---- m_config ---------------------------------------------------------------------------------------------------- */

typedef struct Config {
  int64_t format, users, items;
  int64_t rank[HEADS], biases[HEADS], range;
  double mean[HEADS], minimum, maximum, average, low, high;
  int64_t rated, estimate;
  int64_t cosine, sparse, profile, terms, links, linked, history;
  int64_t size, centering, raters, similarity, weighting, min_support, sample, seed; /* of neighbours */
  double shrinkage, threshold, bm25_k1, bm25_b;
  int64_t clusters, cluster_side, cluster_columns;
  FoldIn fold[HEADS];
  const char *user_affinity, *item_affinity; /* static names */
  int score_head, prediction_head;
  const ModelKind *kind;
  int64_t abilities;
} Config;

typedef struct ConfigInteger {
  const char *key;
  size_t offset;
  int64_t minimum, maximum;
} ConfigInteger;

static const ConfigInteger config_integers[] = {
    {"format", offsetof(Config, format), 0, INT64_MAX},
    {"users", offsetof(Config, users), 0, STORE_MOST_USERS},
    {"items", offsetof(Config, items), 0, STORE_MOST_ITEMS},
    {"rating_rank", offsetof(Config, rank[HEAD_RATING]), 0, MOST_RANK},
    {"ranking_rank", offsetof(Config, rank[HEAD_RANKING]), 0, MOST_RANK},
    {"rating_biases", offsetof(Config, biases[HEAD_RATING]), 0, 1},
    {"ranking_biases", offsetof(Config, biases[HEAD_RANKING]), 0, 1},
    {"range", offsetof(Config, range), RANGE_NONE, RANGE_MINMAX},
    {"rated", offsetof(Config, rated), 0, 1},
    {"cold_start", offsetof(Config, estimate), 0, 1},
    {"cosine", offsetof(Config, cosine), 0, 1},
    {"sparse", offsetof(Config, sparse), 0, 1},
    {"profile", offsetof(Config, profile), PROFILE_MEAN, PROFILE_RATING},
    {"terms", offsetof(Config, terms), 0, MOST_TERMS},
    {"links", offsetof(Config, links), LINK_NONE, LINK_KINDS - 1},
    {"linked", offsetof(Config, linked), 0, STORE_MOST_ITEMS},
    {"neighbor_size", offsetof(Config, size), 0, INT32_MAX},
    {"neighbor_centering", offsetof(Config, centering), 0, NEIGHBOR_CENTERINGS - 1},
    {"neighbor_raters", offsetof(Config, raters), 0, 1},
    {"neighbor_similarity", offsetof(Config, similarity), 0, NEIGHBOR_SIMILARITIES - 1},
    {"neighbor_weighting", offsetof(Config, weighting), 0, NEIGHBOR_WEIGHTINGS - 1},
    {"neighbor_min_support", offsetof(Config, min_support), 0, INT32_MAX},
    {"neighbor_sample", offsetof(Config, sample), 0, INT32_MAX},
    {"neighbor_seed", offsetof(Config, seed), INT64_MIN, INT64_MAX},
    {"history", offsetof(Config, history), 0, HISTORY_TIMED},
    {"clusters", offsetof(Config, clusters), 0, MOST_RANK},
    {"cluster_side", offsetof(Config, cluster_side), CLUSTER_USERS, CLUSTER_SIDES - 1},
    {"cluster_columns", offsetof(Config, cluster_columns), 0, STORE_MOST_ITEMS},
};

static const struct {
  const char *key;
  size_t offset;
} config_reals[] = {
    {"rating_mean", offsetof(Config, mean[HEAD_RATING])},
    {"ranking_mean", offsetof(Config, mean[HEAD_RANKING])},
    {"minimum", offsetof(Config, minimum)},
    {"maximum", offsetof(Config, maximum)},
    {"low", offsetof(Config, low)},
    {"high", offsetof(Config, high)},
    {"average", offsetof(Config, average)},
    {"neighbor_shrinkage", offsetof(Config, shrinkage)},
    {"neighbor_threshold", offsetof(Config, threshold)},
    {"neighbor_bm25_k1", offsetof(Config, bm25_k1)},
    {"neighbor_bm25_b", offsetof(Config, bm25_b)},
};

#define INTEGERS (sizeof config_integers / sizeof *config_integers)
#define REALS (sizeof config_reals / sizeof *config_reals)
enum {
  TEXTS = 6 + HEADS
}; /* kind, answers, user_affinity, item_affinity, score_head, prediction_head, rating_fold, ranking_fold */
enum { FOLD_NUMBERS = HEADS * (STORE_FOLD_REALS + STORE_FOLD_FLAGS) };

static const char *affinity_of_name(const char *text) {
  for (int affinity = ID_AFFINITY_BLOB; affinity <= ID_AFFINITY_REAL; affinity++)
    if (strcmp(text, id_affinity_name((IdAffinity)affinity)) == 0) return id_affinity_name((IdAffinity)affinity);
  return NULL;
}

static int head_of_name(const char *text) {
  for (int head = 0; head < HEADS; head++)
    if (strcmp(text, head_names[head]) == 0) return head;
  return *text ? -2 : -1;
}

/* Whose method of folding in the key names, or -1. */
static int fold_head(const char *key) {
  char text[64];
  for (int head = 0; head < HEADS; head++)
    if (strcmp(key, store_fold_key(text, sizeof text, head, "fold")) == 0) return head;
  return -1;
}

static int fold_of_name(const char *text) {
  for (int method = 0; method < FOLD_METHODS; method++)
    if (strcmp(text, fold_names[method]) == 0) return method;
  return -1;
}

static int finite_real(Reader *reader, sqlite3_stmt *statement, const char *key, double *value, Error *error) {
  *value = sqlite3_column_double(statement, 1);
  int type = sqlite3_column_type(statement, 1);
  if ((type == SQLITE_FLOAT || type == SQLITE_INTEGER) && isfinite(*value)) return SQLITE_OK;
  return shadow_damaged(error, reader->name, "%s is not a finite number", key);
}

/* Takes in a number of a head's FoldIn if the row has one. */
static int fold_number(Reader *reader, sqlite3_stmt *statement, const char *key, Config *config, int *known,
                       Error *error) {
  for (int head = 0; head < HEADS; head++) {
    size_t length = strlen(head_names[head]);
    if (strncmp(key, head_names[head], length) != 0 || key[length] != '_') continue;
    const char *name = key + length + 1;
    char *fold = (char *)&config->fold[head];
    for (int i = 0; i < STORE_FOLD_REALS; i++)
      if (strcmp(name, store_fold_reals[i].key) == 0) {
        ++*known;
        return finite_real(reader, statement, key, (double *)(void *)(fold + store_fold_reals[i].offset), error);
      }
    for (int i = 0; i < STORE_FOLD_FLAGS; i++)
      if (strcmp(name, store_fold_flags[i].key) == 0) {
        int64_t value = 0;
        ++*known;
        int code = reader_integer(reader, statement, 1, 0, 1, key, &value, error);
        *(int *)(void *)(fold + store_fold_flags[i].offset) = (int)value;
        return code;
      }
  }
  return SQLITE_OK;
}

/* Takes in one text row of m_config if it is one of ours; *known counts those. */
static int config_text(Reader *reader, const char *key, const char *value, Config *config, int *known, Error *error) {
  int right = 1, head;
  if (strcmp(key, "kind") == 0)
    right = (config->kind = kind_find(value)) != NULL;
  else if (strcmp(key, "answers") == 0)
    right = (config->abilities = abilities_of_text(value)) >= 0;
  else if (strcmp(key, "user_affinity") == 0)
    right = (config->user_affinity = affinity_of_name(value)) != NULL;
  else if (strcmp(key, "item_affinity") == 0)
    right = (config->item_affinity = affinity_of_name(value)) != NULL;
  else if (strcmp(key, "score_head") == 0)
    right = (config->score_head = head_of_name(value)) >= 0;
  else if (strcmp(key, "prediction_head") == 0)
    right = (config->prediction_head = head_of_name(value)) >= -1;
  else if ((head = fold_head(key)) >= 0)
    right = (config->fold[head].method = fold_of_name(value)) >= 0;
  else
    return SQLITE_OK;
  ++*known;
  return right ? SQLITE_OK : shadow_damaged(error, reader->name, "%s can't be \"%s\"", key, value);
}

static int config_row(Reader *reader, sqlite3_stmt *statement, Config *config, int *known, Error *error) {
  const char *key = (const char *)sqlite3_column_text(statement, 0);
  if (!key) return SQLITE_OK;
  for (size_t i = 0; i < INTEGERS; i++) {
    const ConfigInteger *integer = &config_integers[i];
    if (strcmp(key, integer->key) != 0) continue;
    ++*known;
    return reader_integer(reader, statement, 1, integer->minimum, integer->maximum, integer->key,
                          (int64_t *)(void *)((char *)config + integer->offset), error);
  }
  for (size_t i = 0; i < REALS; i++) {
    if (strcmp(key, config_reals[i].key) != 0) continue;
    ++*known;
    return finite_real(reader, statement, key, (double *)(void *)((char *)config + config_reals[i].offset), error);
  }
  if (sqlite3_column_type(statement, 1) != SQLITE_TEXT)
    return fold_number(reader, statement, key, config, known, error);
  const char *value = (const char *)sqlite3_column_text(statement, 1);
  return value ? config_text(reader, key, value, config, known, error) : error_no_memory(error);
}

/* Was the head fitted? As shape_has. */
static int config_has(const Config *config, int head) {
  return config->rank[head] > 0 || config->biases[head] || ((config->sparse || config->links) && head == HEAD_RANKING);
}

/* Could neighbours have been found by these numbers? */
static int check_search(Reader *reader, const Config *config, Error *error) {
  if (config->threshold >= -1 && config->threshold <= 1 && config->shrinkage >= 0 && config->bm25_k1 >= 0 &&
      config->bm25_b >= 0 && config->bm25_b <= 1)
    return SQLITE_OK;
  return shadow_damaged(error, reader->name, "neighbours can't be found by what it says of that");
}

/* Is each of a head's numbers one that a float could be multiplied with? */
static int fold_is_moderate(const FoldIn *fold) {
  for (size_t i = 0; i < STORE_FOLD_REALS; i++) {
    double value;
    memcpy(&value, (const char *)fold + store_fold_reals[i].offset, sizeof value);
    if (fabs(value) > MOST_FOLDED) return 0;
  }
  return 1;
}

/* Could these numbers have been folded with? */
static int check_fold(Reader *reader, const Config *config, Error *error) {
  int right = 1;
  for (int head = 0; head < HEADS; head++) {
    const FoldIn *fold = &config->fold[head];
    if (fold->method == FOLD_NONE) continue;
    right = right && fold_is_moderate(fold) && !config->cosine && fold->nu >= 0 && fold->nu <= 1 &&
            (config->rank[head] > 0 ? fold->regularization > 0 || fold->method == FOLD_PROJECTION
                                    : config->biases[head] && fold->method == FOLD_RATING) &&
            fold->bias_regularization >= 0 && fold->missing_weight >= 0 &&
            !(fold->method == FOLD_RANKING && config->biases[head]);
  }
  return right ? SQLITE_OK : shadow_damaged(error, reader->name, "it can't be folded in with what it says of that");
}

static int check_config(Reader *reader, const Config *config, int known, Error *error) {
  ModelName name = reader->name;
  if (config->format != STORE_FORMAT)
    return error_set(error, SQLITE_CORRUPT_VTAB,
                     "model \"%s\" has format %lld, and this version of recommend reads format %d: train it again, or "
                     "load the version that wrote it",
                     name.name, config->format, STORE_FORMAT);
  if (known != (int)(INTEGERS + REALS) + TEXTS + FOLD_NUMBERS)
    return shadow_damaged(error, name, "its configuration is incomplete");
  if (config->abilities & ~(int64_t)config->kind->abilities)
    return shadow_damaged(error, name, "it can't do all that it says it can, being one of %s", config->kind->name);
  if (!config_has(config, config->score_head) ||
      (config->prediction_head >= 0 && !config_has(config, config->prediction_head)))
    return shadow_damaged(error, name, "its configuration names a head that was not fitted");
  for (int head = 0; head < HEADS; head++)
    if ((config->sparse && (config->biases[head] || config->links)) ||
        ((config->sparse || config->links) && config->rank[head]))
      return shadow_damaged(error, name, "its configuration has both factors and other vectors");
  if (config->clusters && config->clusters != config->rank[config->score_head])
    return shadow_damaged(error, name, "it has %lld clusters, and factors for %lld", config->clusters,
                          config->rank[config->score_head]);
  int of_ratings = config->rank[HEAD_RATING] || config->biases[HEAD_RATING] || config->biases[HEAD_RANKING] ||
                   config->score_head != HEAD_RANKING || config->prediction_head != HEAD_RANKING;
  if (config->cosine && config->profile == PROFILE_RATING)
    return shadow_damaged(error, name, "a model of content can't have its profile");
  if (config->cosine ? of_ratings : config->sparse)
    return shadow_damaged(error, name, "its configuration is half one of content and half one of ratings");
  if (config->links &&
      (config->score_head != HEAD_RANKING || config->prediction_head == HEAD_RANKING || config->biases[HEAD_RANKING] ||
       (config->links == LINK_ITEM_WEIGHTS && config->prediction_head >= 0)))
    return shadow_damaged(error, name, "its configuration has both links and heads");
  if (config->estimate && (config->cosine || config->prediction_head < 0))
    return shadow_damaged(error, name, "its configuration has estimates of ratings that it does not predict");
  int64_t rows = config->links == LINK_USER_NEIGHBORS ? config->users : config->items;
  if (config->links ? config->linked > rows || (config->links == LINK_USER_NEIGHBORS && config->linked < rows)
                    : config->linked != 0)
    return shadow_damaged(error, name, "its configuration has links of more or fewer than there are");
  int code = check_search(reader, config, error);
  return code == SQLITE_OK ? check_fold(reader, config, error) : code;
}

static int load_config(Reader *reader, Config *config, Error *error) {
  *config = (Config){.format = -1};
  sqlite3_stmt *statement = NULL;
  int known = 0;
  int code = reader_statement(reader, STATEMENT_CONFIG, &statement, error);
  while (code == SQLITE_OK && (code = reader_step(reader, statement, error)) == SQLITE_ROW)
    code = config_row(reader, statement, config, &known, error);
  sqlite3_reset(statement);
  return code == SQLITE_DONE ? check_config(reader, config, known, error) : code;
}

static void shape_from_config(const Config *config, ModelItems *items) {
  ModelShape *shape = &items->shape;
  for (int head = 0; head < HEADS; head++) {
    shape->rank[head] = (int)config->rank[head];
    shape->biases[head] = (int)config->biases[head];
    shape->mean[head] = config->mean[head];
    shape->fold[head] = config->fold[head];
  }
  shape->kind = config->kind;
  shape->abilities = (unsigned)config->abilities;
  shape->score_head = config->score_head;
  shape->prediction_head = config->prediction_head;
  shape->range = (PredictionRange)config->range;
  shape->minimum = config->minimum;
  shape->maximum = config->maximum;
  shape->low = config->low;
  shape->high = config->high;
  shape->average = config->average;
  shape->rated = (int)config->rated;
  shape->estimate = (int)config->estimate;
  shape->cosine = (int)config->cosine;
  shape->sparse = (int)config->sparse;
  shape->profile = (int)config->profile;
  shape->terms = config->terms;
  shape->links = (int)config->links;
  shape->linked = config->linked;
  shape->neighbors = (NeighborShape){
      .size = (int)config->size,
      .centering = (int)config->centering,
      .raters = (int)config->raters,
      .similarity = (int)config->similarity,
      .weighting = (int)config->weighting,
      .min_support = (int)config->min_support,
      .sample = (int)config->sample,
      .seed = config->seed,
      .shrinkage = config->shrinkage,
      .threshold = config->threshold,
      .bm25_k1 = config->bm25_k1,
      .bm25_b = config->bm25_b,
  };
  shape->clusters = (int)config->clusters;
  shape->cluster_side = (int)config->cluster_side;
  shape->cluster_columns = config->cluster_columns;
  shape->history = (int)config->history;
  items->user_affinity = id_affinity_of(config->user_affinity);
  items->item_affinity = id_affinity_of(config->item_affinity);
}

/* ---- m_item and m_itemfactor ------------------------------------------------------------------------------------ */

/* An item that was forgotten: its place has no id. Members of clusters can't be. */
static int add_forgotten(Reader *reader, ModelItems *items, Error *error) {
  if (items->shape.clusters) return shadow_damaged(error, reader->name, "an item has no id");
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
  if (there == 0) return add_forgotten(reader, items, error);
  if (dictionary_add(&items->ids, &id, &added) != SQLITE_OK) return error_no_memory(error);
  return added == item ? SQLITE_OK : shadow_damaged(error, reader->name, "two items share an id");
}

static int load_ids(Reader *reader, size_t count, ModelItems *items, Error *error) {
  sqlite3_stmt *statement = NULL;
  size_t item = 0;
  int code = reader_statement(reader, STATEMENT_ITEMS, &statement, error);
  while (code == SQLITE_OK && (code = reader_step(reader, statement, error)) == SQLITE_ROW) {
    int64_t index;
    code = reader_integer(reader, statement, 0, (int64_t)item, (int64_t)item, "the index of an item", &index, error);
    if (code == SQLITE_OK && item >= count) code = shadow_damaged(error, reader->name, "it has too many items");
    if (code == SQLITE_OK) code = add_id(reader, statement, item, items, error);
    if (code == SQLITE_OK) item++;
  }
  sqlite3_reset(statement);
  if (code != SQLITE_DONE) return code;
  return item == count ? SQLITE_OK
                       : shadow_damaged(error, reader->name, "it has %lld items, not %lld", (sqlite3_int64)item,
                                        (sqlite3_int64)count);
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

/* Spreads one stored row over the heads' panels. `row` is scratch for its floats. */
static int unpack_item(Reader *reader, ModelItems *items, size_t item, const char *from, float *row, Error *error) {
  size_t floats = store_row_floats(&items->shape);
  int code = reader_floats(reader, from, floats, "an item's factor", row, error);
  for (size_t i = 0; i < floats && code == SQLITE_OK && items_is_forgotten(items, item); i++)
    if (row[i] != 0) code = shadow_damaged(error, reader->name, "an item without an id has factors");
  if (code == SQLITE_OK) items_set(items, item, row);
  return code;
}

static int load_factors(Reader *reader, size_t count, ModelItems *items, Error *error) {
  size_t row_floats = store_row_floats(&items->shape);
  float *row = memory_alloc(row_floats, sizeof *row);
  sqlite3_stmt *statement = NULL;
  size_t item = 0;
  int code = row ? reader_statement(reader, STATEMENT_ITEM_CHUNKS, &statement, error) : error_no_memory(error);
  while (code == SQLITE_OK && (code = reader_step(reader, statement, error)) == SQLITE_ROW) {
    size_t n = count - item < STORE_CHUNK ? count - item : STORE_CHUNK;
    const char *data = NULL;
    if (n == 0)
      code = shadow_damaged(error, reader->name, "it has too many item factors");
    else
      code = reader_chunk(reader, statement, &items->shape, (int64_t)(item / STORE_CHUNK), n, &data, error);
    for (size_t end = item + n; code == SQLITE_OK && item < end; item++, data += row_floats * sizeof(float))
      code = unpack_item(reader, items, item, data, row, error);
  }
  if (statement) sqlite3_reset(statement);
  memory_free(row);
  if (code != SQLITE_DONE) return code;
  return item == count ? SQLITE_OK : shadow_damaged(error, reader->name, "item factors are missing");
}

/* ---- sparse vectors ---------------------------------------------------------------------------------------------- */

/* Appends one chunk's vectors; see store.c for its bytes. */
static int unpack_vectors(Reader *reader, sqlite3_stmt *statement, size_t first, size_t n, SparseMatrix *vectors,
                          size_t *capacity, float *length, Error *error) {
  const char *blob = sqlite3_column_blob(statement, 2);
  size_t bytes = (size_t)sqlite3_column_bytes(statement, 2), entries = 0;
  const void *checked = NULL;
  uint32_t row_entries[STORE_CHUNK];
  if (!blob || bytes < n * 8 + STORE_CHECKSUM)
    return shadow_damaged(error, reader->name, "a chunk of vectors is too short");
  bytes_copy_words(row_entries, blob, n);
  for (size_t i = 0; i < n; i++) entries += row_entries[i];
  int code = reader_blob(reader, statement, 2, n * 8 + entries * 8, "a chunk of vectors", &checked, error);
  if (code != SQLITE_OK) return code;
  size_t to = vectors->start[first];
  if (sparse_reserve(vectors, to + entries, capacity) != SQLITE_OK) return error_no_memory(error);
  uint32_t *index = vectors->index;
  float *value = vectors->value;
  code = reader_floats(reader, blob + 4 * n, n, "the length of a vector", length + first, error);
  bytes_copy_words(index + to, blob + 8 * n, entries);
  if (code == SQLITE_OK)
    code = reader_floats(reader, blob + 8 * n + 4 * entries, entries, "a term's weight", value + to, error);
  for (size_t i = 0; i < n && code == SQLITE_OK; i++) {
    size_t start = vectors->start[first + i], end = vectors->start[first + i + 1] = start + row_entries[i];
    double squares = 0;
    int right = length[first + i] >= 0;
    for (size_t e = start; e < end; e++) {
      right = right && index[e] < vectors->columns && (e == start || index[e] > index[e - 1]) && value[e] > 0;
      squares += (double)value[e] * (double)value[e];
    }
    if (!right || (end > start && fabs(squares - 1) > 1e-6))
      code = shadow_damaged(error, reader->name, "an item's vector is not one of length 1 over its terms");
  }
  return code;
}

static int load_vectors(Reader *reader, size_t count, ModelItems *items, Error *error) {
  SparseMatrix vectors = {.rows = count, .columns = (size_t)items->shape.terms};
  sqlite3_stmt *statement = NULL;
  size_t item = 0, capacity = 1;
  vectors.start = memory_alloc_zero(count + 1, sizeof *vectors.start);
  vectors.index = memory_alloc(1, sizeof *vectors.index);
  vectors.value = memory_alloc(1, sizeof *vectors.value);
  int code = vectors.start && vectors.index && vectors.value
                 ? reader_statement(reader, STATEMENT_ITEM_CHUNKS, &statement, error)
                 : error_no_memory(error);
  while (code == SQLITE_OK && (code = reader_step(reader, statement, error)) == SQLITE_ROW) {
    size_t n = count - item < STORE_CHUNK ? count - item : STORE_CHUNK;
    if (n == 0)
      code = shadow_damaged(error, reader->name, "it has too many item vectors");
    else
      code = reader_chunk_head(reader, statement, (int64_t)(item / STORE_CHUNK), n, error);
    if (code == SQLITE_OK) code = unpack_vectors(reader, statement, item, n, &vectors, &capacity, items->norm, error);
    item += n;
  }
  for (size_t i = 0; i < items->forgotten_count && code == SQLITE_DONE; i++)
    if (items->forgotten[i] < item && sparse_row_length(&vectors, items->forgotten[i]))
      code = shadow_damaged(error, reader->name, "an item without an id has words");
  if (statement) sqlite3_reset(statement);
  if (code == SQLITE_DONE)
    code = item == count ? SQLITE_OK : shadow_damaged(error, reader->name, "item vectors are missing");
  if (code == SQLITE_OK && (code = postings_make(&items->postings, &vectors, parallel_threads(0), NULL)) != SQLITE_OK)
    error_no_memory(error);
  sparse_free(&vectors);
  return code;
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
static int check_counts(Reader *reader, const Config *config, Error *error) {
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
    code = shadow_damaged(error, reader->name, "it has %lld items, not %lld", items, config->items);
  if (code == SQLITE_OK && users != config->users)
    code = shadow_damaged(error, reader->name, "it has %lld users, not %lld", users, config->users);
  return code;
}

/* Are there so many terms, and vectors of that length? */
static int check_sizes(Reader *reader, const Config *config, const ModelShape *shape, Error *error) {
  size_t items = (size_t)config->items, chunks = (items + STORE_CHUNK - 1) / STORE_CHUNK;
  size_t row_bytes = store_row_floats(shape) * sizeof(float);
  int code = SQLITE_OK;
  if (shape->sparse) code = reader_count(reader, "term", config->terms, "terms", error);
  if (code == SQLITE_OK && row_bytes)
    code = reader_bytes(reader, "itemfactor", items * row_bytes + chunks * STORE_CHECKSUM, "the factors of its items",
                        error);
  return code;
}

int items_load(Reader *reader, int64_t stamp, ModelItems **loaded, Error *error) {
  Config config;
  ModelItems *items = NULL;
  int code = load_config(reader, &config, error);
  if (code == SQLITE_OK && !(items = memory_alloc_zero(1, sizeof *items))) code = error_no_memory(error);
  if (code == SQLITE_OK) {
    items->references = 1;
    items->stamp = stamp;
    shape_from_config(&config, items);
    if (!config.kind->fits(&items->shape))
      code = shadow_damaged(error, reader->name, "its configuration is not one of %s", config.kind->name);
    if (code == SQLITE_OK) code = check_counts(reader, &config, error);
  }
  if (code == SQLITE_OK) code = load_ids(reader, (size_t)config.items, items, error);
  if (code == SQLITE_OK) code = check_sizes(reader, &config, &items->shape, error);
  if (code == SQLITE_OK && items_alloc((size_t)config.items, items) != SQLITE_OK) code = error_no_memory(error);
  if (code == SQLITE_OK && items->shape.sparse) code = load_vectors(reader, (size_t)config.items, items, error);
  if (code == SQLITE_OK && store_row_floats(&items->shape))
    code = load_factors(reader, (size_t)config.items, items, error);
  if (code == SQLITE_OK && items->shape.links) code = links_load(reader, items, error);
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
