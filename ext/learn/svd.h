/* Truncated singular value decomposition A ≈ U Σ Vᵀ of a matrix that is known by its products with vectors only, so
 * that a sparse matrix never becomes dense, not even a centred one. The method and its sources are at the top of svd.c.
 *
 * Of all matrices of that rank, U Σ Vᵀ is the nearest to A: Σ_cells (a − â)² is least, and is
 *     loss = ‖A‖² − Σ_{j ≤ rank} σ_j² */
#ifndef RECOMMEND_LEARN_SVD_H
#define RECOMMEND_LEARN_SVD_H

#include <stdint.h>

#include "../base/cancel.h"
#include "../base/error.h"
#include "../base/product.h"
#include "../base/sparse.h"

/* A, rows × columns. The products overwrite y; `width` is a multiple of 16, x and y are aligned to 64 bytes. They must
 * give the same bytes for any number of threads, and return an SQLite code: CODE_OK, CODE_NOMEM or what cancel
 * says. */
typedef struct SvdMatrix {
  size_t rows, columns;
  void *context;
  int (*multiply)(void *context, const float *x /* columns × width, row major */, float *y /* rows × width */,
                  size_t width, int threads, const Cancel *cancel); /* y = A x */
  int (*multiply_transposed)(void *context, const float *x /* rows × width */, float *y /* columns × width */,
                             size_t width, int threads, const Cancel *cancel); /* y = Aᵀ x */
  double squared_norm; /* ‖A‖²: Σ of all squared cells; for the loss only */
} SvdMatrix;

/* A sparse matrix and its transpose. */
typedef struct SvdSparse {
  const SparseMatrix *matrix, *transpose;
} SvdSparse;

/* The two matrices that there are as a rule, their norms computed. What is handed in must outlive the result, which
 * points to it. CODE_OK or what cancel says. */
int svd_sparse(SvdMatrix *result, const SvdSparse *sparse, int threads, const Cancel *cancel);
int svd_dense(SvdMatrix *result, const DenseMatrix *dense, int threads, const Cancel *cancel);

typedef struct SvdOptions {
  int rank;         /* ≥ 1; may exceed rows and columns: the surplus is zero */
  double tolerance; /* done when no singular value changes by more than this part of itself; 1e-6 is a good choice */
  int iterations;   /* … or after this many, ≥ 1 */
  uint64_t seed;
  int threads; /* already resolved: ≥ 1 */
} SvdOptions;

typedef struct SvdReport {
  double loss;   /* see above, with the singular values as they stand: it never rises but for rounding */
  double change; /* of the singular value that changed most, as part of itself; 1 in the first iteration */
  int done;      /* converged, or the last iteration that is allowed: the next call should be svd_finish */
} SvdReport;

typedef struct SvdResult {
  size_t rows, columns;
  int rank, stride; /* stride = factors_stride(rank); the lanes beyond the rank are zero */
  float *left;      /* U Σ, rows × stride; memory_alloc_aligned */
  float *right;     /* V, columns × stride: orthonormal columns, the largest component of each positive */
  double *sigma;    /* rank singular values, largest first. One that is not above the rounding, 1e-6 of the largest, is
                       0, and so are its vectors; memory_alloc */
} SvdResult;

typedef struct Svd Svd;

/* Starts. Memory: (rows + 3 columns) × about 1.5 rank floats. `matrix` is copied, what it points to is not. */
int svd_create(Svd **svd, const SvdMatrix *matrix, const SvdOptions *options, Error *error);

/* One iteration, a handful of products with A and as many with Aᵀ. CODE_ERROR where the numbers are no longer
 * finite. After an error the decomposition can only be destroyed. */
int svd_iterate(Svd *svd, SvdReport *report, const Cancel *cancel, Error *error);

/* Hands the result over, to be freed by svd_result_free. At least one iteration must have been made. */
int svd_finish(Svd *svd, SvdResult *result, const Cancel *cancel, Error *error);

void svd_result_free(SvdResult *result); /* a cleared one is fine; leaves it cleared */
void svd_destroy(Svd *svd);              /* NULL is fine */

#endif
