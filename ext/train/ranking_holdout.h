/* The test of a model while it is trained, by what the option `test` held out. Lists are judged by NDCG@10, among all
 * items but those trained on, of up to 4,096 users spread over all. */
#ifndef RECOMMEND_TRAIN_RANKING_HOLDOUT_H
#define RECOMMEND_TRAIN_RANKING_HOLDOUT_H

#include "../score/scorer.h"
#include "training.h"

typedef struct Holdout {
  size_t count; /* users judged */
  size_t *user; /* their indexes */
  Excluded *relevant, *excluded;
  SparseMatrix likes; /* what `relevant` points to, where dislikes were held out too */
} Holdout;

/* Chooses the users. SQLITE_OK or SQLITE_NOMEM; to be freed in either case. */
int holdout_choose(const Training *training, Holdout *holdout);
void holdout_free(Holdout *holdout);

/* `queries` are the users', in order. *ndcg is NaN where no user is evaluated. */
int holdout_judge(Training *training, const Holdout *holdout, const Scorer *scorer, const Queries *queries,
                  double *ndcg, Error *error);

/* How well a head's factors do on what was held out: NDCG@10 of the ranking head, RMSE of the rating head, its
 * predictions clipped to the range of ratings. *test is NaN where nothing was. */
int holdout_test(Training *training, Head head, const Factors *factors, double *test, Error *error);

#endif
