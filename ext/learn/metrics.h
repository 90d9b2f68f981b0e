/* How good a recommender is: errors of predicted ratings, and the quality of ranked lists.
 *
 * The formulas are at the top of metrics.c. */
#ifndef RECOMMEND_LEARN_METRICS_H
#define RECOMMEND_LEARN_METRICS_H

#include "../base/cancel.h"
#include "../base/factors.h"
#include "../base/sparse.h"
#include "../score/scorer.h"

/* ---- predicted ratings ------------------------------------------------------------------------------------------- */

typedef struct RatingErrors {
  double squares;   /* Σ e² */
  double absolutes; /* Σ |e| */
  int64_t within;   /* |e| ≤ 0.5 */
  int64_t count;
} RatingErrors;

void rating_errors_add(RatingErrors *errors, double predicted, double actual);

/* Over the entries of a users × items matrix, predictions clipped to [minimum, maximum]. */
RatingErrors rating_errors_of(const Factors *factors, const SparseMatrix *cells, double minimum, double maximum);

double rating_rmse(const RatingErrors *errors); /* NaN where there are none */

/* ---- ranked lists ------------------------------------------------------------------------------------------------ */

enum { METRICS_MOST_K = 16 };

typedef enum RankingMetric {
  METRIC_PRECISION,
  METRIC_RECALL,
  METRIC_MAP,
  METRIC_NDCG,
  METRIC_MRR,
  METRIC_HIT_RATE,
  METRIC_NOVELTY,
  RANKING_METRICS
} RankingMetric;

typedef struct RankingProtocol {
  int ks; /* how many list lengths */
  int k[METRICS_MOST_K];
  int recall_by_shorter; /* recall's denominator is min(k, relevant), not the number of relevant items */
  int threads;
  const double *surprise; /* −log2 of each item's share of users, for novelty, or NULL */
} RankingProtocol;

typedef struct RankingScores {
  double sum[RANKING_METRICS][METRICS_MOST_K]; /* over users; divide by `users` */
  double auc;                                  /* sum over `auc_users` */
  int64_t users;                               /* with at least one relevant item */
  int64_t auc_users;                           /* those who also have a candidate that is not relevant */
} RankingScores;

/* A block of users to be judged. */
typedef struct RankingUsers {
  size_t count;
  Queries queries;          /* count of them, for the scorer */
  const Excluded *excluded; /* count: items that may not be recommended; NULL: none */
  const Excluded *relevant; /* count: what the user went on to like, ascending; excluded ones are no part of it */
  const uint32_t *unknown;  /* count: relevant items that the model has never seen: missed too; NULL: none */
} RankingUsers;

/* Adds a block of users to the scores; `recommended` (items, or NULL) is set where an item is in somebody's first
 * k[0] … k[ks-1]: bit j for k[j]. CODE_OK, CODE_NOMEM or what cancel says. */
int ranking_scores_add(RankingScores *scores, const Scorer *scorer, const RankingUsers *users,
                       const RankingProtocol *protocol, uint16_t *recommended, const Cancel *cancel);

#endif
