/* The test of a ranking while it is trained: NDCG@10 of what the option `test` held out, among all items but those
 * trained on, of up to 4,096 users spread over all. */
#ifndef RECOMMEND_API_HOLDOUT_H
#define RECOMMEND_API_HOLDOUT_H

#include "../base/scorer.h"
#include "train.h"

typedef struct Holdout {
  size_t count; /* users judged */
  size_t *user; /* their indexes */
  Excluded *relevant, *excluded;
} Holdout;

/* Chooses the users. SQLITE_OK or SQLITE_NOMEM; to be freed in either case. */
int holdout_choose(const Training *training, Holdout *holdout);
void holdout_free(Holdout *holdout);

/* `queries` are the users', in order. *ndcg is NaN where nobody is judged. */
int holdout_judge(Training *training, const Holdout *holdout, const Scorer *scorer, const Queries *queries,
                  double *ndcg, Error *error);

/* All of it for factors without biases. */
int holdout_test_factors(Training *training, const Factors *factors, double *ndcg, Error *error);

#endif
