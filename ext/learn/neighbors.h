/* Similarities between the rows of a sparse matrix, and the nearest of each row: what memory-based collaborative
 * filtering rests on. Rows are items (features: users) or users (features: items). Formulas and sources are at the top
 * of neighbors.c.
 *
 * Similarities are built row by row from sparse rows, never rows × rows: memory is O(rows × size), and O(rows) a
 * thread. The same bytes for any number of threads. */
#ifndef RECOMMEND_LEARN_NEIGHBORS_H
#define RECOMMEND_LEARN_NEIGHBORS_H

#include <stdint.h>

#include "../base/cancel.h"
#include "../base/error.h"
#include "../base/sparse.h"
#include "../score/item_links.h"

typedef enum Similarity {
  SIMILARITY_COSINE,          /* over the full vectors, missing cells being 0 */
  SIMILARITY_ADJUSTED_COSINE, /* the same, each value less the mean of its user */
  SIMILARITY_PEARSON,         /* over the common features, means over the common ones too */
  SIMILARITY_JACCARD,         /* common features / features of either */
  SIMILARITY_MSD,             /* 1 / (1 + mean squared difference over the common features) */
  SIMILARITIES
} Similarity;

typedef enum NeighborWeighting { /* of the values, before cosine */
                                 WEIGHTING_NONE,
                                 WEIGHTING_TFIDF,
                                 WEIGHTING_BM25,
                                 WEIGHTINGS
} NeighborWeighting;

typedef struct NeighborOptions {
  Similarity similarity;
  NeighborWeighting weighting;
  double bm25_k1, bm25_b;
  int rows_are_users; /* for adjusted cosine: whose mean it is */
  size_t size;        /* neighbours a row at most; SIZE_MAX: all above the threshold */
  double threshold;   /* -1 … 1: only similarities above it; -1: all but those of 0, which say nothing */
  size_t most;        /* neighbours of all rows together; 0: any number */
  double shrinkage;   /* β ≥ 0: s becomes s n / (n + β), n the support */
  size_t min_support; /* common features at least; 0 counts as 1 */
  size_t sample;      /* of a feature that more rows have than this, so many are drawn (max_interactions); 0: all */
  uint64_t seed;      /* of that */
  int threads;        /* already resolved: ≥ 1 */
} NeighborOptions;

/* The lowest similarity that is above a threshold. Neighbours are kept from this similarity on, but never those of 0.
 */
float neighbors_least(double threshold);

/* How many neighbours all rows together may have at most, whatever the features. */
size_t neighbors_bound(const SparseMatrix *rows, const SparseMatrix *features);

/* What is worked out once for a matrix: weighted values, norms, means. */
typedef struct NeighborSearch NeighborSearch;

/* `rows` and `features` are each other's transpose, and must outlive the search. CODE_NOMEM, what
 * cancel says, or CODE_ERROR where values are too large for sums of their squares. */
int neighbors_create(NeighborSearch **search, const SparseMatrix *rows, const SparseMatrix *features,
                     const NeighborOptions *options, const Cancel *cancel, Error *error);

/* The neighbours of every row, best first (ties: the lower index), itself left out; to be freed by
 * neighbor_lists_free. CODE_ERROR where they are more than `most`. */
int neighbors_all(NeighborSearch *search, NeighborLists *lists, const Cancel *cancel, Error *error);

/* The similarities of one row with all others, before `size` and `threshold` cut them (but by min_support): similarity
 * [row] and support[row] of every row, 0 where there is none, itself 0. The caller's arrays have one entry a row. The
 * numbers are those of neighbors_all. Scratch is the search's: not for two threads at once. */
int neighbors_row(NeighborSearch *search, size_t row, float *similarity, uint32_t *support);

void neighbors_destroy(NeighborSearch *search); /* NULL is fine */

#endif
