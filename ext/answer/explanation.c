/* Explaining a score: see explanation.h. */
#include "explanation.h"

#include <math.h>
#include <stdlib.h>

#include "../base/memory.h"
#include "fold_in.h"

static int by_size(const void *a, const void *b) {
  const Reason *x = a, *y = b;
  double p = fabs(x->contribution), q = fabs(y->contribution);
  if (p != q) return p > q ? -1 : 1;
  return x->item < y->item ? -1 : x->item > y->item;
}

/* The k largest, and what is left of the score. */
static int explanation_choose(Explanation *explanation, const ModelShape *shape, const History *history,
                              const double *contribution, int64_t k) {
  explanation->reasons = memory_alloc(history->count, sizeof *explanation->reasons);
  if (!explanation->reasons) return SQLITE_NOMEM;
  int due_to_entries = shape->kind->contributions != NULL;
  for (size_t i = 0; i < history->count && due_to_entries; i++) {
    if (history_is_held_out(history, i)) continue;
    explanation->reasons[explanation->count++] =
        (Reason){history->item[i], history_rating(history, i), contribution[i]};
  }
  qsort(explanation->reasons, explanation->count, sizeof *explanation->reasons, by_size);
  if ((int64_t)explanation->count > k) explanation->count = (size_t)k;
  explanation->rest = explanation->score;
  for (size_t i = 0; i < explanation->count; i++) explanation->rest -= explanation->reasons[i].contribution;
  return SQLITE_OK;
}

int explanation_make(Explanation *explanation, Model *model, ModelItems *items, const Id *id, uint32_t item, int64_t k,
                     int *known, const Cancel *cancel, Error *error) {
  ModelUser user = {0};
  History history = {0};
  double *contribution = NULL;
  int head = items->shape.score_head;
  *explanation = (Explanation){0};
  int code = model_user(model, items, id, &user, &history, known, error);
  if (code == SQLITE_OK && *known) {
    const Scorer scorer = items_scorer(items);
    float score = 0;
    code = error_from_code(error, scorer_scores_of(&scorer, user.query.each, &item, 1, &score));
    explanation->score = (double)score + user.offset[head];
    contribution = memory_alloc(history.count, sizeof *contribution);
    if (code == SQLITE_OK)
      code = contribution ? fold_contributions(items, &user, &history, item, contribution, cancel, error)
                          : error_no_memory(error);
    if (code == SQLITE_OK)
      code = error_from_code(error, explanation_choose(explanation, &items->shape, &history, contribution, k));
  }
  memory_free(contribution);
  history_free(&history);
  user_free(&user);
  return code;
}

void explanation_free(Explanation *explanation) {
  memory_free(explanation->reasons);
  *explanation = (Explanation){0};
}
