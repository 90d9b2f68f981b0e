/* The centroids that k-means begins with: k-means++. */
#ifndef RECOMMEND_LEARN_KMEANS_SEED_H
#define RECOMMEND_LEARN_KMEANS_SEED_H

#include "kmeans_rows.h"

/* Draws the centroids from the rows and packs them. `origin` as for centroids_alloc. CODE_OK, CODE_NOMEM or what
 * cancel says. */
int kmeans_seed(const KmeansRows *rows, Centroids *centroids, const double *origin, uint64_t seed, int threads,
                const Cancel *cancel);

#endif
