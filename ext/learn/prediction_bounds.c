/* The range of predictions: see prediction_bounds.h.
 *
 * A user's highest prediction is that of their best item, which score_panel_top_k finds without looking closely at most
 * items; the lowest is found as the best of items whose vectors and biases have the opposite sign. */
#include "prediction_bounds.h"

#include <math.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../score/item_panel.h"

enum { USERS_A_BLOCK = 4096 };

/* Makes a panel of the items, or of what is opposite to them. */
static int fill_panel(const Factors *factors, float sign, ScorePanel *panel) {
  size_t stride = (size_t)factors->stride;
  float *row = memory_alloc_aligned(1, stride * sizeof *row);
  int code = row ? score_panel_alloc(panel, factors->items, factors->stride, factors->item_bias != NULL) : CODE_NOMEM;
  for (size_t item = 0; item < factors->items && code == CODE_OK; item++) {
    for (size_t lane = 0; lane < stride; lane++) row[lane] = sign * factors->item[item * stride + lane];
    score_panel_set(panel, item, row, factors->stride);
    if (factors->item_bias) panel->bias[item] = sign * factors->item_bias[item];
  }
  memory_free_aligned(row);
  return code;
}

/* The best that any user gets from the panel, whose scores have the sign `sign`. */
static int best_of(const Factors *factors, const ScorePanel *panel, float sign, double *best, int threads,
                   const Cancel *cancel) {
  size_t most = factors->users < USERS_A_BLOCK ? factors->users : USERS_A_BLOCK, stride = (size_t)factors->stride;
  Scored *first = memory_alloc(most, sizeof *first);
  size_t *found = memory_alloc(most, sizeof *found);
  int code = first && found ? CODE_OK : CODE_NOMEM;
  *best = -INFINITY;
  for (size_t user = 0; user < factors->users && code == CODE_OK; user += most) {
    size_t count = factors->users - user < most ? factors->users - user : most;
    code = score_panel_top_k(panel, factors->user + user * stride, count, NULL, 1, first, found, threads, cancel);
    for (size_t i = 0; i < count && code == CODE_OK; i++) {
      double offset = factors->user_bias ? (double)factors->user_bias[user + i] : 0;
      *best = fmax(*best, (double)first[i].score + (double)sign * offset);
    }
  }
  memory_free(first);
  memory_free(found);
  return code;
}

int factors_extent(const Factors *factors, double *low, double *high, int threads, const Cancel *cancel) {
  int code = CODE_OK;
  *low = *high = 0;
  if (factors->users == 0 || factors->items == 0) return code;
  for (int lowest = 0; lowest < 2 && code == CODE_OK; lowest++) {
    ScorePanel panel = {0};
    float sign = lowest ? -1 : 1;
    double best = 0;
    code = fill_panel(factors, sign, &panel);
    if (code == CODE_OK) code = best_of(factors, &panel, sign, &best, threads, cancel);
    *(lowest ? low : high) = (double)sign * best + factors->mean;
    score_panel_free(&panel);
  }
  return code;
}
