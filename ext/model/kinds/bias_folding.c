/* Folding into biases: see bias_folding.h. */
#include "bias_folding.h"

#include <math.h>

#include "../store.h"

/* A user's bias: what minimises Σ (r − μ − b_i − b)² + λ n^ν b². */
static float fold_bias(const ModelItems *items, int head, const History *history) {
  const FoldIn *fold = &items->shape.fold[head];
  const float *bias = items->panel[head].bias;
  double sum = 0, n = 0;
  for (size_t i = 0; i < history->count && fold->method == FOLD_RATING; i++) {
    uint32_t item = history->item[i];
    if (history_is_held_out(history, i)) continue;
    sum += (double)history_rating(history, i);
    sum -= items->shape.mean[head] + (item < items->ids.count ? (double)bias[item] : 0);
    n++;
  }
  return n > 0 ? (float)(sum / (n + fold->bias_regularization * pow(n, fold->nu))) : 0;
}

int fold_user_biases(ModelItems *items, Profile profile, const float *new_item, const History *history, float *row,
                     const Cancel *cancel) {
  (void)profile, (void)new_item, (void)cancel;
  const ModelShape *shape = &items->shape;
  for (int head = 0; head < HEADS; head++)
    if (shape->biases[head]) row[store_bias_place(shape, head)] = fold_bias(items, head, history);
  return SQLITE_OK;
}
