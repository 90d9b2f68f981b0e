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
};
