/* All histories in memory: models of user neighbours answer from them, and so do predictions with "neighbors":
 * "raters". Loaded when first asked for, and again once any history has changed. */
#ifndef RECOMMEND_MODEL_ALL_HISTORIES_H
#define RECOMMEND_MODEL_ALL_HISTORIES_H

#include "../base/sparse.h"
#include "model.h"

typedef struct Observed {
  int references;
  int64_t stamp;                 /* the users' */
  SparseMatrix by_user, by_item; /* entries that were trained on; value NULL where every rating is 1 */
  float *user_offset;            /* of the rating head: mean + user bias; NULL where there is no such head */
  /* What the user of it makes of it, kept with it. */
  void *derived;
  void (*derived_free)(void *derived);
} Observed;

/* That of a model that has begun; to be released. */
int model_observed(Model *model, const ModelItems *items, Observed **observed, Error *error);
void observed_release(Observed *observed); /* NULL is fine */

#endif
