/* Why an item has the score that it has for a user: what each entry of the user's history adds to it, by
 * fold_contributions(), which says what that is. No entry contributes to a baseline's scores. */
#ifndef RECOMMEND_ANSWER_EXPLANATION_H
#define RECOMMEND_ANSWER_EXPLANATION_H

#include "../model/model.h"

/* An entry of the history. */
typedef struct Reason {
  uint32_t item;
  float rating;
  double contribution;
} Reason;

typedef struct Explanation {
  Reason *reasons; /* those that matter most, either way, the largest first */
  size_t count;
  double rest;  /* what is due to no entry, or to those that are not among the reasons */
  double score; /* the sum of the contributions and the rest */
} Explanation;

/* By k reasons at most. *known: 0 where the model does not know the user's id. The model has begun, and has
 * ABILITY_EXPLAIN. To be freed in either case. */
int explanation_make(Explanation *explanation, Model *model, ModelItems *items, const Id *user, uint32_t item,
                     int64_t k, int *known, const Cancel *cancel, Error *error);

void explanation_free(Explanation *explanation); /* cleared is fine; leaves it cleared */

#endif
