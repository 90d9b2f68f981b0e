/* Content as words: an item is a sparse vector over terms, a user the sum of the items of a history, and a score the
 * cosine of the two. */
#include <math.h>

#include "../../base/memory.h"
#include "../../base/parallel.h"
#include "../blobs.h"
#include "../prediction.h"
#include "../row_changes.h"
#include "../store.h"
#include "../words.h"
#include "item_sums.h"

static int words_fits(const ModelShape *shape) { return shape->cosine && shape->sparse && !shape->clusters; }

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Is it of length 1, over terms that there are, in ascending order? */
static int is_a_vector(const SparseMatrix *vectors, size_t row) {
  double squares = 0;
  size_t start = vectors->start[row], end = vectors->start[row + 1];
  for (size_t e = start; e < end; e++) {
    double weight = (double)vectors->value[e];
    int in_order = e == start || vectors->index[e] > vectors->index[e - 1];
    if (!in_order || vectors->index[e] >= vectors->columns || !(weight > 0)) return 0;
    squares += weight * weight;
  }
  return start == end || fabs(squares - 1) <= 1e-6;
}

/* Appends one chunk's vectors. */
static int unpack_vectors(Reader *reader, sqlite3_stmt *statement, size_t first, size_t n, SparseMatrix *vectors,
                          size_t *capacity, float *length, Error *error) {
  int code = blob_read_vectors(reader, statement, 2, first, n, vectors, capacity, length, error);
  for (size_t item = first; item < first + n && code == SQLITE_OK; item++)
    if (length[item] < 0 || !is_a_vector(vectors, item))
      code = reader_damaged(reader, statement, 2, error,
                            "expected vectors of length 1 over terms that there are, found another for item %d",
                            (int)item);
  return code;
}

static int load_words(Reader *reader, ModelItems *items, Error *error) {
  size_t count = items->ids.count;
  int code = reader_count(reader, "term", items->shape.terms, error);
  if (code != SQLITE_OK) return code;
  SparseMatrix vectors = {.rows = count, .columns = (size_t)items->shape.terms};
  sqlite3_stmt *statement = NULL;
  size_t item = 0, capacity = 1;
  vectors.start = memory_alloc_zero(count + 1, sizeof *vectors.start);
  vectors.index = memory_alloc(1, sizeof *vectors.index);
  vectors.value = memory_alloc(1, sizeof *vectors.value);
  code = vectors.start && vectors.index && vectors.value
             ? reader_statement(reader, STATEMENT_ITEM_CHUNKS, &statement, error)
             : error_no_memory(error);
  while (code == SQLITE_OK && (code = reader_step(reader, statement, error)) == SQLITE_ROW) {
    size_t n = count - item < STORE_CHUNK ? count - item : STORE_CHUNK;
    if (n == 0)
      code = reader_damaged(reader, statement, 0, error, "expected chunks of %lld items, found more",
                            (sqlite3_int64)count);
    else
      code = reader_chunk_head(reader, statement, (int64_t)(item / STORE_CHUNK), n, error);
    if (code == SQLITE_OK) code = unpack_vectors(reader, statement, item, n, &vectors, &capacity, items->norm, error);
    item += n;
  }
  for (size_t i = 0; i < items->forgotten_count && code == SQLITE_DONE; i++)
    if (items->forgotten[i] < item && sparse_row_length(&vectors, items->forgotten[i]))
      code = shadow_damaged(
          error, reader->name,
          "item %u of %s_itemfactor: expected no words, since the item has no id and was forgotten, found %lld",
          items->forgotten[i], reader->name.name, (sqlite3_int64)sparse_row_length(&vectors, items->forgotten[i]));
  if (statement) sqlite3_reset(statement);
  if (code == SQLITE_DONE)
    code = item == count ? SQLITE_OK : reader_no_row(reader, "itemfactor", (int64_t)(item / STORE_CHUNK), error);
  if (code == SQLITE_OK && (code = postings_make(&items->postings, &vectors, parallel_threads(0), NULL)) != SQLITE_OK)
    error_no_memory(error);
  sparse_free(&vectors);
  return code;
}

/* ---- scoring, and what a score is due to ------------------------------------------------------------------------- */

static Scorer words_scorer(const ModelItems *items) { return postings_scorer(&items->postings); }

/* ⟨item a, item b⟩ */
static double vectors_product(const SparseMatrix *vectors, uint32_t a, uint32_t b) {
  size_t i = vectors->start[a], j = vectors->start[b];
  double sum = 0;
  while (i < vectors->start[a + 1] && j < vectors->start[b + 1]) {
    uint32_t s = vectors->index[i], t = vectors->index[j];
    if (s == t) sum += (double)vectors->value[i] * (double)vectors->value[j];
    i += s <= t;
    j += t <= s;
  }
  return sum;
}

/* The user is Σ w_j v_j / ‖Σ w_j v_j‖, so entry j adds w_j ⟨v_j, v_i⟩ / ‖Σ w_j v_j‖. */
static int contributions_of_words(ModelItems *items, const ModelUser *user, const History *history, uint32_t item,
                                  double *contribution, const Cancel *cancel) {
  (void)cancel;
  const PostingsQuery *sum = user->query.each;
  PostingsVector spread;
  int code = postings_expand(&items->postings, sum, &spread);
  for (size_t i = 0, j = 0; code == SQLITE_OK && i < sum->count; i++) {
    while (history->item[j] != sum->index[i]) j++;
    contribution[j] = (double)sum->weight[i] * vectors_product(&items->postings.vectors, sum->index[i], item);
  }
  for (size_t i = 0; i < history->count && spread.norm > 0; i++) contribution[i] /= spread.norm;
  postings_vector_free(&spread);
  return code;
}

/* The user's query, spread out: a prediction is a score. */
static void predict_end_words(Predictor *predictor) {
  PostingsVector *spread = predictor->state;
  if (spread) postings_vector_free(spread);
  memory_free(spread);
  predictor->state = NULL;
}

static int predict_user_words(Predictor *predictor, Model *model, Error *error) {
  (void)model;
  predict_end_words(predictor);
  PostingsVector *spread = predictor->state = memory_alloc_zero(1, sizeof *spread);
  if (!spread) return error_no_memory(error);
  return error_from_code(error, postings_expand(&predictor->items->postings, predictor->user.query, spread));
}

static int predict_words(Predictor *predictor, uint32_t item, double *rating, Error *error) {
  (void)error;
  *rating = (double)postings_score(&predictor->items->postings, item, predictor->state);
  return SQLITE_OK;
}

/* ---- nearest items ----------------------------------------------------------------------------------------------- */

/* Where some may not be neighbours: item by item, since each has a list of these. */
static int nearest_with_weights(const ModelItems *items, const float *weight, uint32_t first, size_t count, size_t k,
                                Scored *best, size_t *found, int threads, const Cancel *cancel) {
  uint32_t *list = memory_alloc(items->ids.count, sizeof *list);
  int code = list ? SQLITE_OK : SQLITE_NOMEM;
  for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
    const uint32_t self = first + (uint32_t)i;
    const PostingsQuery query = {.index = &self, .count = 1, .of_items = 1};
    Excluded excluded = {list, 0};
    for (uint32_t other = 0; other < items->ids.count; other++)
      if (other == self || items_neighbor_weight(items, weight, other) < 0) list[excluded.count++] = other;
    code = postings_top_k(&items->postings, &query, 1, &excluded, k, best + i * k, &found[i], threads, cancel);
  }
  memory_free(list);
  return code;
}

/* Scores are cosines. */
static int nearest_words(const ModelItems *items, const float *weight, uint32_t first, size_t count, size_t k,
                         Scored *best, size_t *found, int threads, const Cancel *cancel) {
  if (weight) return nearest_with_weights(items, weight, first, count, k, best, found, threads, cancel);
  uint32_t *self = memory_alloc(count, sizeof *self);
  PostingsQuery *query = memory_alloc(count, sizeof *query);
  Excluded *excluded = memory_alloc(count, sizeof *excluded);
  const Scorer scorer = items_scorer(items);
  const Queries queries = {count, query};
  int code = self && query && excluded ? SQLITE_OK : SQLITE_NOMEM;
  for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
    self[i] = first + (uint32_t)i;
    query[i] = (PostingsQuery){.index = &self[i], .count = 1, .of_items = 1};
    excluded[i] = (Excluded){&self[i], 1};
  }
  if (code == SQLITE_OK) code = scorer_top_k(&scorer, &queries, excluded, k, best, found, threads, cancel);
  memory_free(self);
  memory_free(query);
  memory_free(excluded);
  return code;
}

const ModelKind kind_words = {
    .name = "words",
    .abilities = ABLE(ABILITY_RECOMMEND) | ABLE(ABILITY_PREDICT) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_SIMILAR_ITEMS) |
                 ABLE(ABILITY_SIMILAR_USERS) | ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE) | ABLE(ABILITY_FORGET) |
                 ABLE(ABILITY_TEXT),
    .without_users = "has no users: name the table of their ratings when it is trained, with the option \"ratings\"",
    .fits = words_fits,
    .scorer = words_scorer,
    .queries = item_sums_queries,
    .by_history = 1,
    .contributions = contributions_of_words,
    .predicts_by_query = 1,
    .predict_user = predict_user_words,
    .predict = predict_words,
    .predict_end = predict_end_words,
    .nearest_items = nearest_words,
    .of_content = 1,
    .load_items = load_words,
    .check = words_check,
    .forget_item = live_forget_words,
};
