/* The inner loops of item_panel.c, compiled once for each instruction set: see simd.h. */
#ifndef RECOMMEND_SCORE_ITEM_PANEL_KERNELS_H
#define RECOMMEND_SCORE_ITEM_PANEL_KERNELS_H

#include "item_panel.h"

/* The k best of one query so far. Items must come in ascending order: the excluded ones are passed along with them. */
typedef struct Selection {
  TopK top;
  float bound; /* only a score with !(score <= bound) can enter: the worst of k; NaN (all may) before there are k */
  const uint32_t *excluded, *excluded_end; /* those not yet passed */
} Selection;

typedef struct ScoreKernels {
  size_t tile; /* queries that are done at once */

  /* The scores of one query and the blocks first … end-1, 16 a block. */
  void (*scores)(const ScorePanel *panel, const float *query, size_t first, size_t end, float *scores);

  /* Offers the same of several queries (queries × stride) to a selection each. */
  void (*select)(const ScorePanel *panel, const float *query, size_t queries, size_t first, size_t end,
                 Selection *selections);
} ScoreKernels;

extern const ScoreKernels score_kernels_generic;
#if defined(__x86_64__)
extern const ScoreKernels score_kernels_avx2, score_kernels_avx512;
#endif

#endif
