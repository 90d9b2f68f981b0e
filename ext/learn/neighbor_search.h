/* What neighbors.c makes of a matrix, for neighbors_all.c to walk. No other file needs it.
 *
 * Rows are numbered anew, longest first (ties: the lower row): `label` is the new number. The rows that most features
 * have then stand together, and so do the sums that are written most. */
#ifndef RECOMMEND_LEARN_NEIGHBOR_SEARCH_H
#define RECOMMEND_LEARN_NEIGHBOR_SEARCH_H

#include "neighbor_kernels.h"
#include "neighbors.h"

/* What one thread walks a row with. */
typedef struct NeighborScratch {
  NeighborSums sums; /* of every label; 0 between rows */
  float *x;          /* the row's values */
} NeighborScratch;

struct NeighborSearch {
  NeighborOptions options;
  const SparseMatrix *rows, *features;
  SparseMatrix drawn_rows, drawn_features; /* what these point to where entries are drawn */
  double *row_part, *feature_part;         /* means, or what a weighting takes from rows and features; NULL: unused */
  uint32_t *order;                         /* the row of a label */
  uint32_t *label;                         /* the label of a row */
  uint32_t *coded, *index;                 /* as features->index, but labels: one of the two, see NeighborFeatures */
  float *value;                            /* weighted, beside index; NULL where only counts matter */
  float *table;                            /* of the codes */
  size_t codes;
  NeighborDense dense; /* whose arrays are these: */
  uint8_t *dense_value;
  uint32_t *dense_place, *dense_below;
  uint32_t *place;              /* of each entry of `rows`: how many lower labels have the feature */
  float *inverse_norm, *length; /* of a label */
  size_t longest;               /* row */
  NeighborScale scale;
  NeighborScratch row_scratch; /* of neighbors_row; allocated when first needed */
};

/* CODE_OK or CODE_NOMEM (freed by neighbor_scratch_free all the same). */
int neighbor_scratch_alloc(NeighborScratch *scratch, const NeighborSearch *search, NeighborSumKind kind);
void neighbor_scratch_free(NeighborScratch *scratch);

/* Adds up the sums of `label` with all labels, or with those below it. */
void neighbor_add(const NeighborSearch *search, size_t label, int below, NeighborSumKind kind,
                  NeighborScratch *scratch);

/* The label of an entry of `features`. */
static inline size_t neighbor_label(const NeighborSearch *search, size_t entry) {
  return search->coded ? search->coded[entry] >> NEIGHBOR_CODE_BITS : search->index[entry];
}

/* Puts the sums of some labels back to 0. */
void neighbor_clear(NeighborSumKind kind, const NeighborSums *sums, size_t first, size_t count);

#endif
