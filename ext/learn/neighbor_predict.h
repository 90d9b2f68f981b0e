/* A rating from those of neighbours: see neighbor_predict.c for the formulas.
 *
 *     ŷ = base + Σ s (r − b) / Σ |s|          none, mean, bias: b the neighbour's own base
 *     ŷ = base + σ Σ s (r − b) / σ_v / Σ |s|  zscore */
#ifndef RECOMMEND_LEARN_NEIGHBOR_PREDICT_H
#define RECOMMEND_LEARN_NEIGHBOR_PREDICT_H

#include <stddef.h>

typedef enum NeighborCentering {
  CENTERING_NONE,
  CENTERING_MEAN,   /* the row's mean */
  CENTERING_ZSCORE, /* the row's mean and standard deviation */
  CENTERING_BIAS,   /* damped biases: see baseline.h */
  CENTERINGS
} NeighborCentering;

/* One neighbour who has a rating to offer. */
typedef struct NeighborVote {
  float similarity; /* not 0 */
  float deviation;  /* r − b, divided by σ_v for zscore */
} NeighborVote;

/* Σ s d / Σ |s| over the `size` most similar of n votes (ties: the earlier one), summed in the order they come in. 0
 * where n is 0. */
double neighbor_vote(const NeighborVote *votes, size_t n, size_t size);

/* σ of a row's ratings: the root of the mean squared distance from the mean; 1 where that is 0 (Surprise's rule). */
double neighbor_deviation(const float *ratings, size_t n);

#endif
