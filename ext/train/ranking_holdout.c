/* Testing a ranking: see ranking_holdout.h. */
#include "ranking_holdout.h"

#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../data/interactions_subset.h"
#include "../learn/metrics.h"

enum { MOST_JUDGED_USERS = 4096, TEST_K = 10 };

int holdout_choose(const Training *training, Holdout *holdout) {
  const SparseMatrix *held_out = &training->data.held_out, *trained = &training->data.by_user;
  *holdout = (Holdout){0};
  if (training->dislikes) {
    if (interactions_likes(held_out, &holdout->likes, NULL) != SQLITE_OK) return SQLITE_NOMEM;
    held_out = &holdout->likes;
  }
  size_t users = held_out->rows, step = users / MOST_JUDGED_USERS + 1, most = users / step + 1;
  holdout->user = memory_alloc(most, sizeof *holdout->user);
  holdout->relevant = memory_alloc(most, sizeof *holdout->relevant);
  holdout->excluded = memory_alloc(most, sizeof *holdout->excluded);
  if (!holdout->user || !holdout->relevant || !holdout->excluded) return SQLITE_NOMEM;
  for (size_t user = 0; user < users; user += step) {
    if (sparse_row_length(held_out, user) == 0) continue;
    size_t at = holdout->count++;
    holdout->user[at] = user;
    holdout->relevant[at] = (Excluded){held_out->index + held_out->start[user], sparse_row_length(held_out, user)};
    holdout->excluded[at] = (Excluded){trained->index + trained->start[user], sparse_row_length(trained, user)};
  }
  return SQLITE_OK;
}

void holdout_free(Holdout *holdout) {
  memory_free(holdout->user);
  memory_free(holdout->relevant);
  memory_free(holdout->excluded);
  sparse_free(&holdout->likes);
  *holdout = (Holdout){0};
}

int holdout_judge(Training *training, const Holdout *holdout, const Scorer *scorer, const Queries *queries,
                  double *ndcg, Error *error) {
  RankingProtocol protocol = {.ks = 1, .k = {TEST_K}, .threads = training->threads};
  RankingScores scores = {0};
  RankingUsers block = {
      .count = holdout->count, .queries = *queries, .excluded = holdout->excluded, .relevant = holdout->relevant};
  int code = ranking_scores_add(&scores, scorer, &block, &protocol, NULL, &training->interrupt.cancel);
  *ndcg = scores.users ? scores.sum[METRIC_NDCG][0] / (double)scores.users : NAN;
  return error_from_code(error, code);
}

/* NDCG@10 of factors and the items' biases. */
static int test_ranking(Training *training, const Factors *factors, double *ndcg, Error *error) {
  /* Factors of rank 0 have biases only. */
  size_t length = (size_t)factors->stride, stride = length ? length : SCORE_BLOCK;
  Holdout holdout;
  ScorePanel panel = {0};
  int code = holdout_choose(training, &holdout);
  float *vector = memory_alloc_aligned(holdout.count, stride * sizeof *vector);
  if (code == SQLITE_OK)
    code = vector ? score_panel_alloc(&panel, factors->items, (int)stride, factors->item_bias != NULL) : SQLITE_NOMEM;
  for (size_t item = 0; code == SQLITE_OK && item < factors->items; item++)
    score_panel_set(&panel, item, factors->item + item * length, factors->stride);
  if (code == SQLITE_OK && factors->item_bias) memcpy(panel.bias, factors->item_bias, factors->items * sizeof(float));
  for (size_t i = 0; code == SQLITE_OK && i < holdout.count; i++)
    memcpy(vector + i * stride, factors->user + holdout.user[i] * length, length * sizeof *vector);
  const Scorer scorer = score_panel_scorer(&panel);
  const Queries queries = {.count = holdout.count, .each = vector};
  code = code == SQLITE_OK ? holdout_judge(training, &holdout, &scorer, &queries, ndcg, error) : error_no_memory(error);
  score_panel_free(&panel);
  memory_free_aligned(vector);
  holdout_free(&holdout);
  return code;
}

int holdout_test(Training *training, Head head, const Factors *factors, double *test, Error *error) {
  const Interactions *data = &training->data;
  *test = NAN;
  if (!data->held_out.start) return SQLITE_OK;
  if (head == HEAD_RANKING) return test_ranking(training, factors, test, error);
  RatingErrors errors = rating_errors_of(factors, &data->held_out, data->minimum, data->maximum);
  *test = rating_rmse(&errors);
  return SQLITE_OK;
}
