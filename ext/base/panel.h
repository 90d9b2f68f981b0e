/* Dense algebra on panels: a few rows of a factor matrix, gathered once and used again and again from the cache.
 *
 * A panel is n × stride floats; stride is a multiple of 16, panels, vectors and matrices are aligned to 64 bytes, and a
 * panel has room for n rounded up to a multiple of 16 rows, those beyond n zero. Arrays with one number for each row of
 * the panel are padded alike: `base` and `weight` must be zero there. A symmetric matrix is stride × stride; "upper"
 * says that what is left of the diagonal's 16 × 16 blocks is neither read nor written.
 * Any stride is right; 16, 32, 48, 64 and 128 are compiled on their own. */
#ifndef RECOMMEND_BASE_PANEL_H
#define RECOMMEND_BASE_PANEL_H

#include <stddef.h>
#include <stdint.h>

#include "simd.h"

#define PANEL_ROWS 16 /* panels are padded to multiples of this many rows */

typedef struct PanelKernels {
  /* panel_j = factors[index_j], j < n, and zeros up to the padding. */
  void (*gather)(const float *factors, int stride, const uint32_t *index, size_t n, float *panel);

  /* dot_j = panel_j · x + x_bias, j < n, and zeros up to the padding. */
  void (*dots)(const float *panel, size_t n, int stride, const float *x, float x_bias, float *dot);

  /* The same dots, and in the same pass y += Σ c_j panel_j with c_j = base_j − weight_j dot_j (base NULL: zeros).
   * Returns Σ c_j. */
  float (*apply)(const float *panel, size_t n, int stride, const float *x, float x_bias, const float *base,
                 const float *weight, float *dot, float *y);

  /* y += Σ base_j panel_j and z += Σ weight_j panel_j (z NULL: left out). Returns Σ base_j. */
  float (*sums)(const float *panel, size_t n, int stride, const float *base, const float *weight, float *y, float *z);

  /* a += Σ weight_j panel_j panel_jᵀ, upper (weight NULL: ones). */
  void (*gram)(const float *panel, size_t n, int stride, const float *weight, float *a);

  /* Cholesky's UᵀU of an upper matrix in place, 16 rows a call, first = 0, 16, … stride − 16; the diagonal becomes 1/u.
   * Returns 0 where a pivot is below `least`: the rest is then not computed. */
  int (*factorize)(float *a, int stride, int first, float least);

  /* b becomes the solution of UᵀU x = b. */
  void (*solve)(const float *u, int stride, float *b);

  /* One round of coordinate descent on ½ xᵀAx − b·x over x ≥ 0; `a` whole, not just its upper half; gradient = Ax − b
   * is kept up to date. Only the first `rank` coordinates are touched. Returns the largest change times its √a_ii. */
  float (*descend)(const float *a, int stride, int rank, float *gradient, float *x);

  /* y += scale · A x; `a` whole. */
  void (*multiply)(const float *a, int stride, float scale, const float *x, float *y);

  /* Vectors of n floats, n a multiple of 16. */
  float (*dot)(size_t n, const float *x, const float *y);
  void (*add)(size_t n, float scale, const float *x, float *y);       /* y += scale x */
  void (*scale_add)(size_t n, const float *x, float scale, float *y); /* y = x + scale y */

  /* With e = target − dot: *fit += Σ (weight + missing) e² − missing dot², *squared += Σ e². Padded arrays. */
  void (*misfit)(size_t n, const float *target, const float *weight, const float *dot, float missing, double *fit,
                 double *squared);
} PanelKernels;

extern const PanelKernels panel_kernels_generic;
#if defined(__x86_64__)
extern const PanelKernels panel_kernels_avx2, panel_kernels_avx512;
#endif

static inline const PanelKernels *panel_kernels(void) { return SIMD_PICK(panel_kernels); }

static inline size_t panel_padded(size_t n) { return (n + PANEL_ROWS - 1) / PANEL_ROWS * PANEL_ROWS; }

#endif
