/* Truncated singular value decomposition of a matrix of ratings less its means, as a factorization. The method and its
 * sources are at the top of svd_centered.c.
 *
 *     ŷ = c + p·q,  c the mean taken away from the cell, p the users' rows of U Σ, q the items' of V
 */
#ifndef RECOMMEND_LEARN_SVD_CENTERED_H
#define RECOMMEND_LEARN_SVD_CENTERED_H

#include <stdint.h>

#include "../base/sparse.h"
#include "factorizer.h"

typedef enum SvdCenter { SVD_CENTER_USER, SVD_CENTER_ITEM, SVD_CENTER_GLOBAL, SVD_CENTER_NONE } SvdCenter;

typedef enum SvdMissing {
  SVD_MISSING_ZERO, /* a cell that is not there is 0; means are over all cells */
  SVD_MISSING_MEAN  /* … is its mean, over the cells that are there (of none: over all that are there) */
} SvdMissing;

typedef struct SvdCenteredOptions {
  int rank;         /* ≥ 1 */
  SvdCenter center; /* whose mean is taken away; the factors have biases with SVD_CENTER_USER and SVD_CENTER_ITEM */
  SvdMissing missing;
  double tolerance; /* of svd.h */
  int iterations;   /* of svd.h: epochs, at the most */
  uint64_t seed;
  int threads; /* already resolved: ≥ 1 */
} SvdCenteredOptions;

/* Starts. The two matrices are each other's transpose (values NULL: all 1) and must outlive it. CODE_NOMEM, or what
 * cancel says. There are no factors before the method's finish(); the loss is Σ (a − â)² over all cells, also those
 * that are missing. */
int svd_centered_create(Factorizer *factorizer, const SparseMatrix *by_user, const SparseMatrix *by_item,
                        const SvdCenteredOptions *options, const Cancel *cancel, Error *error);

#endif
