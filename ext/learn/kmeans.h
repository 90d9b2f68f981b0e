/* k-means: rows in k clusters, so that the inertia is small:
 *
 *     inertia = Σ_rows ‖x − c‖²,    c the centroid nearest to x
 *
 * The methods and their sources are at the top of kmeans.c. The same bytes for any number of threads. */
#ifndef RECOMMEND_LEARN_KMEANS_H
#define RECOMMEND_LEARN_KMEANS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/cancel.h"
#include "../base/error.h"
#include "../base/sparse.h"

/* The points: dense rows, or sparse ones, whose missing cells are 0. At most 2^32 − 2. */
typedef struct KmeansRows {
  size_t rows, columns;
  const float *dense; /* rows × stride, aligned to 64 bytes; the lanes beyond `columns` are zero. NULL: sparse */
  size_t stride;      /* a multiple of 16 */
  const SparseMatrix *sparse; /* rows × columns; value NULL: ones */
} KmeansRows;

typedef struct KmeansOptions {
  size_t k;          /* 1 ≤ k ≤ rows */
  int starts;        /* ≥ 1: so many times from other seeds; the best stays */
  int iterations;    /* ≥ 1, of each start, unless it is done before */
  double tolerance;  /* a start is done when its inertia falls by less than this part of itself in an iteration (0: when
                        no row changes its cluster any more, which ends it always) */
  size_t batch_size; /* 0: all rows in every iteration; else mini-batches of so many rows, and an iteration is as many
                        of them as there are rows */
  uint64_t seed;
  int threads; /* already resolved: ≥ 1 */
} KmeansOptions;

typedef struct KmeansReport {
  int start, iteration; /* from 1; both of the iteration that was made */
  double inertia;       /* about the means of the clusters as they now are: never rises within a start. Of mini-batches:
                           their mean before each took effect, scaled to all rows */
  size_t changed;       /* rows that came into another cluster (0 for mini-batches) */
  int done;             /* the last iteration of the last start: the next call should be kmeans_finish */
} KmeansReport;

typedef struct KmeansResult {
  size_t rows, k, columns;
  uint32_t *cluster; /* rows: the nearest centroid, the lower one of equals; memory_alloc, like the rest */
  float *distance;   /* rows: to it (not squared) */
  double *centroid;  /* k × columns */
  size_t *count;     /* k: rows of each. 0 only where there are fewer different rows than k */
  double inertia;    /* of these centroids and clusters */
} KmeansResult;

typedef struct Kmeans Kmeans;

/* Starts. The rows must outlive the last call. CODE_ERROR with a message where there are fewer rows than clusters,
 * or a value is not finite or too large to be squared; CODE_NOMEM, or what cancel says. Memory: 20 bytes a row and
 * about 40 k × columns. */
int kmeans_create(Kmeans **kmeans, const KmeansRows *rows, const KmeansOptions *options, const Cancel *cancel,
                  Error *error);

/* One iteration. After an error it can only be destroyed. */
int kmeans_iterate(Kmeans *kmeans, KmeansReport *report, const Cancel *cancel, Error *error);

/* The best start so far, to be freed by kmeans_result_free. At least one iteration must have been made. */
int kmeans_finish(Kmeans *kmeans, KmeansResult *result, const Cancel *cancel, Error *error);

void kmeans_result_free(KmeansResult *result); /* a cleared one is fine; leaves it cleared */
void kmeans_destroy(Kmeans *kmeans);           /* NULL is fine */

#endif
