/* Products of queries with packed blocks of vectors, for one instruction set: see item_panel_kernels.h.
 *
 * A tile of TILE_QUERIES × TILE_BLOCKS * 16 sums stays in registers while the lanes go by: each item register loaded
 * serves all queries of the tile, each query's number (broadcast) all its items. A sum is one chain of multiply-adds
 * that starts with the bias, whatever the shape of the tile. */
#include "item_panel_kernels.h"

#include "../base/simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define WIDTH 16
#define TILE_QUERIES 12 /* 24 of 32 registers hold sums */
#define TILE_BLOCKS 2
#elif defined(__AVX2__)
#define WIDTH 8
#define TILE_QUERIES 6 /* 12 of 16 */
#define TILE_BLOCKS 1
#else
#define WIDTH 4
#define TILE_QUERIES 3 /* 12 of 16 or 32 */
#define TILE_BLOCKS 1
#endif

#define PARTS (SCORE_BLOCK / WIDTH) /* registers a block */
#define MASK_PARTS (64 / WIDTH)     /* registers whose scores fit the bits of a mask */
#define ROW_BLOCKS (8 / PARTS)      /* with a single query: chains enough to hide the latency of an addition */

typedef float Vector __attribute__((vector_size(4 * WIDTH), may_alias));

SIMD_INLINE Vector load(const float *from) { return *(const Vector *)(const void *)from; }

SIMD_INLINE void store(float *to, Vector vector) { *(Vector *)(void *)to = vector; }

SIMD_INLINE Vector broadcast(float value) { return value - (Vector){0}; }

/* One bit a score that is not ≤ bound. */
SIMD_INLINE unsigned passing(Vector score, float bound) {
#if defined(__AVX512F__)
  return simd_mask_bits(_mm512_cmp_ps_mask((__m512)score, _mm512_set1_ps(bound), _CMP_NLE_UQ));
#elif defined(__AVX2__)
  return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps((__m256)score, _mm256_set1_ps(bound), _CMP_NLE_UQ));
#elif defined(__SSE2__)
  return (unsigned)_mm_movemask_ps(_mm_cmpnle_ps((__m128)score, _mm_set1_ps(bound)));
#else
  unsigned bits = 0;
  SIMD_UNROLL for (int i = 0; i < WIDTH; i++) bits |= (unsigned)!(score[i] <= bound) << i;
  return bits;
#endif
}

/* sums[q * columns + c] = part c of the scores of query q; `queries` and `blocks` are constants once it is inlined. */
SIMD_INLINE void multiply(const ScorePanel *panel, const float *query, const int queries, size_t block,
                          const int blocks, Vector *sums) {
  const int columns = blocks * PARTS;
  const size_t stride = (size_t)panel->stride;
  const float *packed = panel->packed + block * stride * SCORE_BLOCK;
  SIMD_UNROLL for (int c = 0; c < columns; c++) {
    Vector bias = panel->bias ? load(panel->bias + block * SCORE_BLOCK + c * WIDTH) : broadcast(0);
    SIMD_UNROLL for (int q = 0; q < queries; q++) sums[q * columns + c] = bias;
  }
  for (size_t lane = 0; lane < stride; lane++) {
    Vector item[8];
    SIMD_UNROLL for (int c = 0; c < columns; c++) {
      item[c] = load(packed + ((size_t)(c / PARTS) * stride + lane) * SCORE_BLOCK + c % PARTS * WIDTH);
    }
    SIMD_UNROLL for (int q = 0; q < queries; q++) {
      Vector number = broadcast(query[(size_t)q * stride + lane]);
      SIMD_UNROLL for (int c = 0; c < columns; c++) sums[q * columns + c] += number * item[c];
    }
  }
}

/* ---- all scores -------------------------------------------------------------------------------------------------- */

SIMD_INLINE void score_blocks(const ScorePanel *panel, const float *query, size_t block, const int blocks,
                              float *scores) {
  Vector sums[8];
  multiply(panel, query, 1, block, blocks, sums);
  SIMD_UNROLL for (int c = 0; c < blocks * PARTS; c++) store(scores + c * WIDTH, sums[c]);
}

static void scores_of_blocks(const ScorePanel *panel, const float *query, size_t first, size_t end, float *scores) {
  size_t block = first;
  for (; block + ROW_BLOCKS <= end; block += ROW_BLOCKS, scores += ROW_BLOCKS * SCORE_BLOCK)
    score_blocks(panel, query, block, ROW_BLOCKS, scores);
  for (; block < end; block++, scores += SCORE_BLOCK) score_blocks(panel, query, block, 1, scores);
}

/* ---- selection --------------------------------------------------------------------------------------------------- */

/* The few scores that passed: the bits set in `bits`, of the items from `index` on. */
static __attribute__((noinline)) void offer(Selection *selection, const float *scores, uint64_t bits, size_t index,
                                            size_t count) {
  for (; bits; bits &= bits - 1) {
    int i = __builtin_ctzll(bits);
    uint32_t candidate = (uint32_t)(index + (size_t)i);
    if (index + (size_t)i >= count) return; /* padding */
    if (scores[i] <= selection->bound) continue;
    while (selection->excluded < selection->excluded_end && *selection->excluded < candidate) selection->excluded++;
    if (selection->excluded < selection->excluded_end && *selection->excluded == candidate) continue;
    top_k_offer(&selection->top, scores[i], candidate);
    if (selection->top.count == selection->top.capacity) selection->bound = selection->top.heap[0].score;
  }
}

SIMD_INLINE void select_tile(const ScorePanel *panel, const float *query, const int queries, size_t block,
                             const int blocks, Selection *selections) {
  const int columns = blocks * PARTS;
  Vector sums[24];
  multiply(panel, query, queries, block, blocks, sums);
  SIMD_UNROLL for (int q = 0; q < queries; q++) {
    SIMD_UNROLL for (int start = 0; start < columns; start += MASK_PARTS) {
      const int parts = columns - start < MASK_PARTS ? columns - start : MASK_PARTS;
      const Vector *sum = sums + q * columns + start;
      uint64_t bits = 0;
      SIMD_UNROLL for (int c = 0; c < parts; c++) bits |= (uint64_t)passing(sum[c], selections[q].bound) << c * WIDTH;
      if (__builtin_expect(bits != 0, 0)) {
        float scores[64] __attribute__((aligned(64)));
        SIMD_UNROLL for (int c = 0; c < parts; c++) store(scores + c * WIDTH, sum[c]);
        offer(&selections[q], scores, bits, block * SCORE_BLOCK + (size_t)start * WIDTH, panel->count);
      }
    }
  }
}

/* Whole tiles first, then the queries that are left one by one. */
static void select_of_blocks(const ScorePanel *panel, const float *query, size_t queries, size_t first, size_t end,
                             Selection *selections) {
  size_t stride = (size_t)panel->stride, q = 0;
  for (; q + TILE_QUERIES <= queries; q += TILE_QUERIES) {
    size_t block = first;
    for (; block + TILE_BLOCKS <= end; block += TILE_BLOCKS)
      select_tile(panel, query + q * stride, TILE_QUERIES, block, TILE_BLOCKS, selections + q);
    for (; block < end; block++) select_tile(panel, query + q * stride, TILE_QUERIES, block, 1, selections + q);
  }
  for (; q < queries; q++) {
    size_t block = first;
    for (; block + ROW_BLOCKS <= end; block += ROW_BLOCKS)
      select_tile(panel, query + q * stride, 1, block, ROW_BLOCKS, selections + q);
    for (; block < end; block++) select_tile(panel, query + q * stride, 1, block, 1, selections + q);
  }
}

const ScoreKernels SIMD_NAME(score_kernels) = {TILE_QUERIES, scores_of_blocks, select_of_blocks};
