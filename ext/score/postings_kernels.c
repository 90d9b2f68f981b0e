/* Scans over the sums of a block, sixteen at a time, for one instruction set: see postings_kernels.h. */
#include "postings_kernels.h"

#include "../base/simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define WIDTH 16
#elif defined(__AVX2__)
#define WIDTH 8
#else
#define WIDTH 4
#endif
#define PARTS 4 /* registers of sums */

typedef int32_t Vector __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

/* One register's weights of a column. The compilers' own conversion goes number by number. */
SIMD_INLINE Vector widened(const uint8_t *from) {
#if defined(__AVX512F__)
  return (Vector)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
#elif defined(__AVX2__)
  return (Vector)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from));
#else
  return (Vector){from[0], from[1], from[2], from[3]};
#endif
}

/* Adds a few columns to a few sums, which stay in registers meanwhile. */
SIMD_INLINE void add_tile(const uint8_t *const *column, const int32_t *weight, size_t columns, size_t i, int32_t *sum) {
  Vector part[PARTS], *to = (Vector *)(void *)(sum + i);
  SIMD_UNROLL for (int p = 0; p < PARTS; p++) part[p] = to[p];
  for (size_t c = 0; c < columns; c++) {
    Vector factor = weight[c] - (Vector){0};
    SIMD_UNROLL for (int p = 0; p < PARTS; p++) part[p] += factor * widened(column[c] + i + p * WIDTH);
  }
  SIMD_UNROLL for (int p = 0; p < PARTS; p++) to[p] = part[p];
}

/* Four columns at a time over sums that stay in the first-level cache: the processor fetches ahead for a few streams,
 * not for dozens. */
static void add_columns(const uint8_t *const *column, const int32_t *weight, size_t columns, size_t n, int32_t *sum) {
  enum { SUMS = 1024, STREAMS = 4 };
  for (size_t first = 0; first < n; first += SUMS) {
    size_t end = first + SUMS < n ? first + SUMS : n;
    for (size_t c = 0; c < columns; c += STREAMS)
      for (size_t i = first; i < end; i += PARTS * WIDTH)
        add_tile(column + c, weight + c, columns - c < STREAMS ? columns - c : STREAMS, i, sum);
  }
}

/* One bit for each of 16 sums that reaches the limit together with its bounded rest. */
SIMD_INLINE unsigned reaching(const int32_t *sum, const uint16_t *rest, int32_t scale, int32_t cap, int32_t limit) {
#if defined(__AVX512F__)
  __m512i more = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)rest));
  more = _mm512_min_epi32(_mm512_mullo_epi32(more, _mm512_set1_epi32(scale)), _mm512_set1_epi32(cap));
  more = _mm512_add_epi32(more, _mm512_loadu_si512(sum));
  return simd_mask_bits(_mm512_cmpge_epi32_mask(more, _mm512_set1_epi32(limit)));
#elif defined(__AVX2__)
  unsigned bits = 0;
  SIMD_UNROLL for (int i = 0; i < 16; i += 8) {
    __m256i more = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(rest + i)));
    more = _mm256_min_epi32(_mm256_mullo_epi32(more, _mm256_set1_epi32(scale)), _mm256_set1_epi32(cap));
    more = _mm256_add_epi32(more, _mm256_loadu_si256((const __m256i *)(const void *)(sum + i)));
    __m256i reaches = _mm256_cmpgt_epi32(more, _mm256_set1_epi32(limit - 1));
    bits |= (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(reaches)) << i;
  }
  return bits;
#else
  unsigned bits = 0;
  for (int i = 0; i < 16; i++) {
    int32_t more = rest[i] * scale;
    bits |= (unsigned)(sum[i] + (more < cap ? more : cap) >= limit) << i;
  }
  return bits;
#endif
}

/* One bit for each of 16 sums that is above the bound. */
SIMD_INLINE unsigned above(const int32_t *sum, int32_t bound) {
#if defined(__AVX512F__)
  return simd_mask_bits(_mm512_cmpgt_epi32_mask(_mm512_loadu_si512(sum), _mm512_set1_epi32(bound)));
#elif defined(__AVX2__)
  unsigned bits = 0;
  SIMD_UNROLL for (int i = 0; i < 16; i += 8) {
    __m256i is =
        _mm256_cmpgt_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(sum + i)), _mm256_set1_epi32(bound));
    bits |= (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(is)) << i;
  }
  return bits;
#else
  unsigned bits = 0;
  for (int i = 0; i < 16; i++) bits |= (unsigned)(sum[i] > bound) << i;
  return bits;
#endif
}

static size_t candidates(const int32_t *sum, const uint16_t *rest, int32_t scale, int32_t cap, int32_t limit, size_t n,
                         uint32_t *out, size_t most) {
  size_t found = 0;
  for (size_t i = 0; i < n && found <= most; i += 16)
    for (unsigned bits = reaching(sum + i, rest + i, scale, cap, limit); bits; bits &= bits - 1)
      out[found++] = (uint32_t)i + (uint32_t)__builtin_ctz(bits);
  return found;
}

static void largest(const int32_t *sum, size_t n, TopK *top) {
  int32_t bound = 0;
  for (size_t i = 0; i < n; i += 16) {
    for (unsigned bits = above(sum + i, bound); bits; bits &= bits - 1) {
      uint32_t place = (uint32_t)i + (uint32_t)__builtin_ctz(bits);
      top_k_offer(top, (float)sum[place], place);
    }
    if (top->count == top->capacity) bound = (int32_t)top->heap[0].score;
  }
}

const PostingsKernels SIMD_NAME(postings_kernels) = {add_columns, candidates, largest};
