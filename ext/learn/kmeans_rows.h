/* What k-means does with single rows, dense and sparse ones alike: distances to centroids, and sums. */
#ifndef RECOMMEND_LEARN_KMEANS_ROWS_H
#define RECOMMEND_LEARN_KMEANS_ROWS_H

#include "../base/cancel.h"
#include "../base/product.h"
#include "kmeans.h"
#include "kmeans_kernels.h"

/* Points in the space of the rows; and, in the form in which distances are taken, floats that are nearest to them:
 * packed for dense rows as kmeans_kernels.h says, for sparse ones columns × width, so that a row's entries pick lines
 * of it. */
typedef struct Centroids {
  size_t count, columns; /* columns of the rows; their stride where they are dense */
  size_t width;          /* count rounded up to a multiple of 16 */
  double *exact;         /* count × columns; memory_alloc_aligned */
  double *square;        /* of each: ‖c‖² */
  float *packed;
  float *origin, *bias; /* of packed dense ones */
  double longest;       /* the largest ‖c‖ of those packed */
  const KmeansKernels *kernels;
} Centroids;

/* CODE_OK or CODE_NOMEM (nothing is kept). All are 0. `origin`, columns numbers near the middle of the rows (NULL:
 * 0), is where dense distances are most exact. */
int centroids_alloc(Centroids *centroids, const KmeansRows *rows, size_t count, const double *origin);
void centroids_free(Centroids *centroids); /* a cleared one is fine; leaves it cleared */

/* To be called after `exact` has changed. */
void centroids_pack(Centroids *centroids, const KmeansRows *rows);
void centroids_set_row(Centroids *centroids, size_t centroid, const KmeansRows *rows, size_t row); /* exact = the row */

/* The nearest centroid of a row, and bounds of distances (not squared) that hold in spite of rounding. */
typedef struct Nearest {
  uint32_t index;
  float least, most; /* of the distance to it */
  float second;      /* no other centroid is nearer than this; INFINITY where there is no other */
} Nearest;

/* Floats of scratch that the next two take, aligned to 64 bytes. */
size_t rows_scratch(const KmeansRows *rows, const Centroids *centroids);

/* For each of the rows index[0 … count − 1]. `distance` is squared, count × centroids->width. */
void rows_nearest(const KmeansRows *rows, const Centroids *centroids, const uint32_t *index, size_t count,
                  float *scratch, Nearest *nearest);
void rows_distances(const KmeansRows *rows, const Centroids *centroids, const uint32_t *index, size_t count,
                    float *scratch, float *distance);

/* The squared distance to one centroid, in double. */
double row_distance(const KmeansRows *rows, const Centroids *centroids, size_t row, size_t centroid);

/* sums[key × columns …] += sign · Σ rows index[start[key] … start[key + 1] − 1]. */
int rows_sum(const KmeansRows *rows, size_t columns, const uint32_t *index, const size_t *start, size_t keys,
             double sign, double *sums, int threads, const Cancel *cancel);

#endif
