/* Dense algebra on tall matrices, a few hundred floats wide and millions of rows long, and on the small symmetric ones
 * that belong to them.
 *
 * A tall matrix is row major, `width` floats a row: a multiple of 16, aligned to 64 bytes; the first n columns count,
 * those beyond are zero. A small matrix is n × n doubles without padding, row major, and both halves are there.
 *
 * Everything is cut into blocks of a few milliseconds between which `cancel` is polled, and gives the same bytes for
 * any number of threads. Functions return CODE_OK, CODE_NOMEM, CODE_ERROR where stated, or what cancel says;
 * after an error the results hold nothing of use. */
#ifndef RECOMMEND_BASE_DENSE_H
#define RECOMMEND_BASE_DENSE_H

#include <stddef.h>

#include "cancel.h"

typedef struct Tall {
  float *values; /* rows × width */
  size_t rows, width;
  size_t n; /* columns that count, ≤ width */
} Tall;

/* gram = xᵀx, summed in double. */
int dense_gram(const Tall *x, double *gram, int threads, const Cancel *cancel);

/* x becomes x m. */
int dense_multiply(const Tall *x, const double *m, int threads, const Cancel *cancel);

/* Cholesky's UᵀU of a symmetric matrix in place, zeros left of the diagonal. Where a column depends on those before
 * it, so that its pivot is below `least` times its diagonal, the pivot becomes 1 and the rest of that row of U zero,
 * and dependent[column] is set to 1 (else 0). Returns as above; *count is the number of dependent columns. */
int dense_cholesky(double *a, size_t n, double least, unsigned char *dependent, size_t *count, const Cancel *cancel);

/* b becomes U⁻¹ b. */
int dense_solve_upper(const double *u, double *b, size_t n, const Cancel *cancel);

/* a becomes U⁻ᵀ a U⁻¹: the matrix of the quadratic form a in coordinates in which UᵀU is the identity. */
int dense_congruence(const double *u, double *a, size_t n, const Cancel *cancel);

/* a = W Λ Wᵀ: the eigenvalues into `values`, largest first, and the eigenvectors into the columns of a, in that order.
 * CODE_ERROR where a holds a number that isn't finite. */
int dense_eigen(double *a, size_t n, double *values, const Cancel *cancel);

#endif
