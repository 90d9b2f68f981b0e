/* Content as words: an item is a sparse vector over terms, a user the sum of the items of a history, and a score the
 * cosine of the two. */
#include "../../base/memory.h"
#include "../prediction.h"
#include "item_sums.h"

static int words_fits(const ModelShape *shape) { return shape->cosine && shape->sparse && !shape->clusters; }

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
};
