/* Large symmetric matrices, a lower triangle cut into panels of rows, and their inverses.
 *
 * Only what is on or left of the diagonal's blocks is kept, 4 n² bytes, in panels that are allocated one by one: so it
 * is a matter of memory alone how large n may be, and not of how large one allocation can get. */
#ifndef RECOMMEND_BASE_INVERSE_H
#define RECOMMEND_BASE_INVERSE_H

#include <stddef.h>
#include <stdint.h>

#include "cancel.h"

#define SYMMETRIC_BLOCK 256 /* rows a panel */

/* Element (i, j), j ≤ i: panel[i / BLOCK][(i % BLOCK) * width + j], where width is symmetric_width of the panel. Right
 * of the diagonal a panel has room to the end of its last row, and to the next multiple of 64 bytes; what is there has
 * no meaning. */
typedef struct SymmetricMatrix {
  size_t n, panels;
  double **panel; /* from memory_alloc_aligned; owned */
} SymmetricMatrix;

/* Allocates a matrix of zeros. CODE_OK or CODE_NOMEM (nothing is kept). */
int symmetric_alloc(SymmetricMatrix *matrix, size_t n);
void symmetric_free(SymmetricMatrix *matrix); /* a cleared one is fine; leaves it cleared */

/* The bytes that symmetric_alloc takes, and those that symmetric_invert takes beside them for as long as it runs;
 * UINT64_MAX where they are more than that. */
uint64_t symmetric_bytes(size_t n);
uint64_t symmetric_invert_bytes(size_t n);

static inline size_t symmetric_width(const SymmetricMatrix *matrix, size_t panel) {
  size_t end = (panel + 1) * SYMMETRIC_BLOCK, all = (matrix->n + 7) / 8 * 8;
  return end < all ? end : all;
}

/* The row in its panel: elements 0 … row of it. */
static inline double *symmetric_row(const SymmetricMatrix *matrix, size_t row) {
  size_t panel = row / SYMMETRIC_BLOCK;
  return matrix->panel[panel] + row % SYMMETRIC_BLOCK * symmetric_width(matrix, panel);
}

/* The matrix becomes its inverse. It must be positive definite: else CODE_ERROR. CODE_NOMEM, or what cancel says,
 * which is polled about every 10 ms. After an error the matrix holds nothing of use. n³ / 2 multiply-adds, and the same
 * bytes for any number of threads. *share is how much of the work is done, 0 … 1, at every poll; NULL: nobody asks. */
int symmetric_invert(SymmetricMatrix *matrix, int threads, double *share, const Cancel *cancel);

/* About how many seconds that takes here and now, by what one tile of it takes: 10 ms are spent on finding out.
 * CODE_OK, CODE_NOMEM or what cancel says. */
int symmetric_invert_seconds(size_t n, int threads, double *seconds, const Cancel *cancel);

#endif
