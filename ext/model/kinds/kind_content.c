/* Content as dense vectors (latent topics, averages of word vectors, or given as they are): a user is the sum of the
 * items of a history, and a score the cosine of the two. */
#include <math.h>

#include "../../base/memory.h"
#include "../words.h"
#include "item_sums.h"
#include "vector_queries.h"

static int content_fits(const ModelShape *shape) {
  return shape->cosine && !shape->sparse && shape->rank[HEAD_RANKING] > 0 && !shape->clusters;
}

/* A user's vector: the sum of those of the items, made as long as 1. */
static int fold_user_content(ModelItems *items, Profile profile, const float *new_item, const History *history,
                             float *row, const Cancel *cancel) {
  (void)new_item, (void)cancel;
  const ScorePanel *panel = &items->panel[HEAD_RANKING];
  size_t stride = (size_t)panel->stride, rank = (size_t)items->shape.rank[HEAD_RANKING];
  float *item = memory_alloc_aligned(stride, sizeof *item);
  double *sum = memory_alloc_zero(stride, sizeof *sum), squares = 0;
  ItemSum liked;
  int code = item_sum_make(items, profile, history, &liked);
  if (!item || !sum) code = SQLITE_NOMEM;
  for (size_t i = 0; code == SQLITE_OK && i < liked.count; i++) {
    score_panel_get(panel, liked.item[i], item);
    for (size_t lane = 0; lane < stride; lane++) sum[lane] += (double)liked.weight[i] * (double)item[lane];
  }
  for (size_t lane = 0; code == SQLITE_OK && lane < rank; lane++) squares += sum[lane] * sum[lane];
  for (size_t lane = 0; code == SQLITE_OK && lane < rank; lane++)
    row[lane] = squares > 0 ? (float)(sum[lane] / sqrt(squares)) : 0;
  item_sum_free(&liked);
  memory_free_aligned(item);
  memory_free(sum);
  return code;
}

/* The user is Σ w_j v_j / ‖Σ w_j v_j‖, so entry j adds w_j ⟨v_j, v_i⟩ / ‖Σ w_j v_j‖. */
static int contributions_of_content(ModelItems *items, const ModelUser *user, const History *history, uint32_t item,
                                    double *contribution, const Cancel *cancel) {
  (void)user, (void)cancel;
  const ScorePanel *panel = &items->panel[HEAD_RANKING];
  size_t stride = (size_t)panel->stride;
  float *of_target = memory_alloc_aligned(2 * stride, sizeof *of_target),
        *of_entry = of_target ? of_target + stride : NULL;
  double *total = memory_alloc_zero(stride, sizeof *total), length = 0;
  ItemSum sum;
  int code = item_sum_make(items, (Profile)items->shape.profile, history, &sum);
  if (!of_target || !total) code = SQLITE_NOMEM;
  if (code == SQLITE_OK) score_panel_get(panel, item, of_target);
  for (size_t i = 0, j = 0; code == SQLITE_OK && i < sum.count; i++) {
    double product = 0;
    score_panel_get(panel, sum.item[i], of_entry);
    for (size_t lane = 0; lane < stride; lane++) {
      product += (double)of_entry[lane] * (double)of_target[lane];
      total[lane] += (double)sum.weight[i] * (double)of_entry[lane];
    }
    while (history->item[j] != sum.item[i]) j++;
    contribution[j] = (double)sum.weight[i] * product;
  }
  for (size_t lane = 0; code == SQLITE_OK && lane < stride; lane++) length += total[lane] * total[lane];
  length = sqrt(length);
  for (size_t i = 0; i < history->count && length > 0; i++) contribution[i] /= length;
  item_sum_free(&sum);
  memory_free_aligned(of_target);
  memory_free(total);
  return code;
}

const ModelKind kind_content = {
    .name = "content",
    .abilities = ABLE(ABILITY_RECOMMEND) | ABLE(ABILITY_PREDICT) | ABLE(ABILITY_FOLD_IN) | ABLE(ABILITY_SIMILAR_ITEMS) |
                 ABLE(ABILITY_SIMILAR_USERS) | ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE) | ABLE(ABILITY_FORGET) |
                 ABLE(ABILITY_TEXT),
    .without_users = "has no users: name the table of their ratings when it is trained, with the option \"ratings\"",
    .fits = content_fits,
    .scorer = vectors_scorer,
    .queries = vector_queries,
    .fold_user = fold_user_content,
    .contributions = contributions_of_content,
    .predict = predict_vectors,
    .nearest_items = nearest_vectors,
    .of_content = 1,
    .check = words_check,
};
