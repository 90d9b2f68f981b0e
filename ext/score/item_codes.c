/* Bounds of scores from eight-bit products: see item_codes.h. For processors with AVX-512 VNNI, whose vpdpbusd adds
 * 64 products of an unsigned and a signed byte at once: the items' codes are stored with 128 added, and what that adds
 * to the sum, 128 Σ c of the query, is taken off at its start. */
#include "item_codes.h"

#include <math.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/simd.h"

enum { SCALE, NORM, REST, UPPER_BIAS, SLACK, TERMS }; /* the rows of ScoreCodes.term; NORM is that of s c */

void score_codes_free(ScoreCodes *codes) {
  memory_free_aligned(codes->code);
  memory_free_aligned(codes->term);
  memory_free_aligned(codes->most);
  *codes = (ScoreCodes){0};
}

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")))
#define TILE_BLOCKS 2   /* 24 of 32 registers hold sums */
#define MAKE_BLOCKS 128 /* a block of work */
#define LARGEST 1e15f   /* numbers up to here can't overflow, in item_panel.h or here */
#define LARGEST_BIAS 1e30f
#define SMALLEST 1e-30f  /* a vector with only smaller numbers has codes of zero, and is all rest */
#define UNDERFLOW 1e-30f /* more than what is lost of all sums to numbers too small for a float */

int score_codes_available(void) { return simd_level() == SIMD_AVX512 && __builtin_cpu_supports("avx512vnni"); }

/* Relative to ‖query‖ ‖item‖ + |bias|. A sum of n terms in float is within n 2^-24 of that; twice as much, and some
 * more, covers the few operations of the bounds as well. */
static float rounding(int stride) { return (float)(stride + 16) * 0x1p-23f; }

/* ---- codes ------------------------------------------------------------------------------------------------------- */

/* Sixteen vectors side by side, as in a panel: lane l of them at vector[l * 16]. */
typedef struct Coded16 {
  __m512 scale, norm, rest; /* norm is that of s c; both are rounded up */
  __mmask16 wild;           /* not finite or too large: the others mean nothing */
} Coded16;

/* words[l / 4 * 16 + vector] = four codes with 128 added to each. With y = v / s the rest is s (y - c); y is
 * known to 127 · 2^-22. */
TARGET static Coded16 code_vectors(const float *vector, int stride, uint32_t *words) {
  Coded16 coded = {.wild = 0};
  __m512 largest = _mm512_setzero_ps();
  for (int lane = 0; lane < stride; lane++) {
    __m512 size = _mm512_abs_ps(_mm512_load_ps(vector + (size_t)lane * SCORE_BLOCK));
    coded.wild |= _mm512_cmp_ps_mask(size, _mm512_set1_ps(LARGEST), _CMP_NLE_UQ);
    largest = _mm512_max_ps(largest, size);
  }
  __mmask16 usual = _mm512_cmp_ps_mask(largest, _mm512_set1_ps(SMALLEST), _CMP_GE_OQ) & (__mmask16)~coded.wild;
  __m512 inverse = _mm512_maskz_div_ps(usual, _mm512_set1_ps(127), largest);
  __m512 rests = _mm512_setzero_ps();
  __m512i squares = _mm512_setzero_si512();
  for (int lane = 0; lane < stride; lane += 4) {
    __m512i word = _mm512_setzero_si512();
    for (int part = 0; part < 4; part++) {
      __m512 number = _mm512_load_ps(vector + (size_t)(lane + part) * SCORE_BLOCK);
      __m512 y = _mm512_maskz_mul_ps(usual, number, inverse);
      __m512i c = _mm512_cvt_roundps_epi32(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
      __m512 rest = _mm512_sub_ps(y, _mm512_cvtepi32_ps(c));
      rests = _mm512_fmadd_ps(rest, rest, rests);
      squares = _mm512_add_epi32(squares, _mm512_mullo_epi32(c, c));
      __m512i byte = _mm512_and_si512(_mm512_add_epi32(c, _mm512_set1_epi32(128)), _mm512_set1_epi32(255));
      word = _mm512_or_si512(word, _mm512_sll_epi32(byte, _mm_cvtsi32_si128(8 * part)));
    }
    _mm512_store_si512(words + (size_t)lane / 4 * SCORE_BLOCK, word);
  }
  __m512 up = _mm512_set1_ps(1 + rounding(stride)), root = _mm512_set1_ps(sqrtf((float)stride) * 1.001f);
  __m512 unsure = _mm512_mul_ps(root, _mm512_set1_ps(127 * 0x1p-21f));
  coded.scale = _mm512_maskz_div_ps(usual, largest, _mm512_set1_ps(127));
  coded.norm = _mm512_mul_ps(_mm512_mul_ps(_mm512_sqrt_ps(_mm512_cvtepi32_ps(squares)), up), coded.scale);
  coded.rest = _mm512_mul_ps(_mm512_fmadd_ps(_mm512_sqrt_ps(rests), up, unsure), coded.scale);
  coded.rest = _mm512_mask_mul_ps(coded.rest, (__mmask16)~usual, largest, root);
  return coded;
}

static float larger(float a, float b) { return a > b ? a : b; }

/* The terms of a block's bounds. Those of a score's rounding go with the rest and the bias. A bias of NaN lets an item
 * pass whatever the threshold, one of -infinity only where there is none. */
TARGET static int make_body(void *context, size_t piece, int worker) {
  (void)worker;
  const ScoreCodes *codes = context;
  const ScorePanel *panel = codes->panel;
  size_t stride = (size_t)panel->stride, packed = (panel->count + SCORE_BLOCK - 1) / SCORE_BLOCK;
  __m512 share = _mm512_set1_ps(rounding(panel->stride));
  for (size_t block = piece * MAKE_BLOCKS; block < codes->blocks && block < (piece + 1) * MAKE_BLOCKS; block++) {
    float *term = codes->term + block * TERMS * SCORE_BLOCK;
    size_t left = panel->count > block * SCORE_BLOCK ? panel->count - block * SCORE_BLOCK : 0;
    __mmask16 present = (__mmask16)(left < SCORE_BLOCK ? (1u << left) - 1 : 0xffff);
    __m512 upper = _mm512_set1_ps(-INFINITY);
    float *most = codes->most + block / TILE_BLOCKS * 2;
    if (block < packed) {
      uint32_t *words = (uint32_t *)(void *)(codes->code + block * stride * SCORE_BLOCK);
      Coded16 coded = code_vectors(panel->packed + block * stride * SCORE_BLOCK, panel->stride, words);
      __m512 bias = panel->bias ? _mm512_load_ps(panel->bias + block * SCORE_BLOCK) : _mm512_setzero_ps();
      __m512 slack = _mm512_fmadd_ps(_mm512_abs_ps(bias), share, _mm512_set1_ps(UNDERFLOW));
      __m512 size = _mm512_add_ps(coded.norm, coded.rest);
      coded.wild |= _mm512_cmp_ps_mask(_mm512_abs_ps(bias), _mm512_set1_ps(LARGEST_BIAS), _CMP_NLE_UQ);
      upper = _mm512_mask_add_ps(upper, present, bias, slack);
      upper = _mm512_mask_mov_ps(upper, coded.wild & present, _mm512_set1_ps(NAN));
      _mm512_store_ps(term + SCALE * SCORE_BLOCK, coded.scale);
      coded.norm = _mm512_maskz_mov_ps((__mmask16)~coded.wild, coded.norm);
      coded.rest = _mm512_maskz_fmadd_ps((__mmask16)~coded.wild, size, share, coded.rest);
      _mm512_store_ps(term + NORM * SCORE_BLOCK, coded.norm);
      _mm512_store_ps(term + REST * SCORE_BLOCK, coded.rest);
      most[0] = larger(most[0], _mm512_reduce_max_ps(coded.norm));
      most[1] = larger(most[1], _mm512_reduce_max_ps(coded.rest));
      _mm512_store_ps(term + SLACK * SCORE_BLOCK, slack);
    }
    _mm512_store_ps(term + UPPER_BIAS * SCORE_BLOCK, upper);
  }
  return CODE_OK;
}

int score_codes_make(ScoreCodes *codes, const ScorePanel *panel, int threads, const Cancel *cancel) {
  size_t blocks = (panel->count + SCORE_BLOCK * TILE_BLOCKS - 1) / (SCORE_BLOCK * TILE_BLOCKS) * TILE_BLOCKS;
  *codes = (ScoreCodes){.panel = panel, .blocks = blocks};
  codes->code = memory_alloc_aligned(blocks * SCORE_BLOCK, (size_t)panel->stride);
  codes->term = memory_alloc_aligned(blocks, TERMS * SCORE_BLOCK * sizeof(float));
  codes->most = memory_alloc_aligned(blocks / TILE_BLOCKS, 2 * sizeof(float));
  int code = codes->code && codes->term && codes->most ? CODE_OK : CODE_NOMEM;
  if (code == CODE_OK) code = parallel_for(threads, (blocks + MAKE_BLOCKS - 1) / MAKE_BLOCKS, make_body, codes, cancel);
  if (code != CODE_OK) score_codes_free(codes);
  return code;
}

/* One vector on its own, by the same steps. */
TARGET void score_codes_query(CodedTile *tile, int place, const float *query, int stride, int8_t *code) {
  float largest = 0, inverse = 0, rests = 0, squares = 0, sum = 0;
  int wild = !query;
  for (int lane = 0; lane < stride && !wild; lane++) {
    wild = !(fabsf(query[lane]) <= LARGEST);
    largest = larger(largest, fabsf(query[lane]));
  }
  if (largest >= SMALLEST) inverse = 127 / largest;
  for (int lane = 0; lane < stride; lane++) {
    float y = wild ? 0 : query[lane] * inverse, c = nearbyintf(y);
    c = c > 127 ? 127 : c < -127 ? -127 : c;
    rests += (y - c) * (y - c);
    squares += c * c;
    sum += c;
    code[lane] = (int8_t)c;
  }
  float up = 1 + rounding(stride), root = sqrtf((float)stride) * 1.001f;
  float scale = inverse > 0 ? largest / 127 : 0;
  float rest = inverse > 0 ? (sqrtf(rests) * up + root * (127 * 0x1p-21f)) * scale : largest * root;
  tile->scale[place] = scale;
  tile->rest[place] = wild ? 0 : rest;
  tile->norm[place] = wild ? 0 : (sqrtf(squares) * up * scale + rest) * up;
  tile->threshold[place] = wild ? INFINITY : -INFINITY;
  tile->start[place] = -128 * (int32_t)sum;
  tile->query[place] = (CodedQuery){.given_up = wild};
}

/* ---- selection --------------------------------------------------------------------------------------------------- */

/* Makes room by what the threshold has ruled out since; gives up where that is not much. */
static void thin_out(CodedQuery *query, float *threshold) {
  size_t kept = 0;
  for (size_t i = 0; i < query->candidates; i++) {
    query->candidate[kept] = query->candidate[i];
    kept += !(query->candidate[i].score < *threshold);
  }
  query->candidates = kept;
  if (kept <= query->capacity / 2) return;
  query->given_up = 1;
  *threshold = INFINITY;
}

/* Puts a bound in the place of the least and returns which is the least then. */
TARGET static float replace_least(CodedQuery *query, float bound) {
  size_t place = 0;
  __m512 least = _mm512_set1_ps(INFINITY);
  query->lower[query->least] = bound;
  for (size_t i = 0; i < query->k; i += 16) least = _mm512_min_ps(least, _mm512_loadu_ps(query->lower + i));
  float threshold = _mm512_reduce_min_ps(least);
  __mmask16 found = 0;
  for (size_t i = 0; i < query->k && !found; i += 16) {
    place = i;
    found = _mm512_cmp_ps_mask(_mm512_loadu_ps(query->lower + i), _mm512_set1_ps(threshold), _CMP_EQ_OQ);
  }
  query->least = place + (size_t)__builtin_ctz(simd_mask_bits(found));
  return threshold;
}

/* The few that passed, with s s' c · c' + the upper bias; now each by its own bounds. */
TARGET static __attribute__((noinline)) void keep(const ScoreCodes *codes, CodedTile *tile, int q, const float *middle,
                                                  uint32_t bits, size_t block) {
  CodedQuery *query = &tile->query[q];
  for (; bits && !query->given_up; bits &= bits - 1) {
    int i = __builtin_ctz(bits);
    size_t index = block * SCORE_BLOCK + (size_t)i;
    if (index >= codes->panel->count) return; /* padding */
    const float *term = codes->term + index / SCORE_BLOCK * TERMS * SCORE_BLOCK + index % SCORE_BLOCK;
    float reach = tile->rest[q] * term[NORM * SCORE_BLOCK] + tile->norm[q] * term[REST * SCORE_BLOCK];
    float upper = middle[i] + reach, lower = middle[i] - reach - 2 * term[SLACK * SCORE_BLOCK];
    if (upper < tile->threshold[q]) continue;
    while (query->excluded < query->excluded_end && *query->excluded < index) query->excluded++;
    if (query->excluded < query->excluded_end && *query->excluded == index) continue;
    if (lower > tile->threshold[q]) tile->threshold[q] = replace_least(query, lower);
    query->candidate[query->candidates++] = (Scored){upper, (uint32_t)index};
    if (query->candidates == query->capacity) thin_out(query, &tile->threshold[q]);
  }
}

/* sums[q * TILE_BLOCKS + b] = c · c' of query q and the vectors of block b. */
TARGET SIMD_INLINE void multiply(const uint8_t *item_code, const int8_t *query_code, size_t stride,
                                 const int32_t *start, __m512i *sums) {
  SIMD_UNROLL for (int q = 0; q < CODES_TILE; q++) {
    SIMD_UNROLL for (int b = 0; b < TILE_BLOCKS; b++) sums[q * TILE_BLOCKS + b] = _mm512_set1_epi32(start[q]);
  }
  for (size_t lane = 0; lane < stride; lane += 4) {
    __m512i item[TILE_BLOCKS];
    SIMD_UNROLL for (int b = 0; b < TILE_BLOCKS; b++) item[b] =
        _mm512_load_si512(item_code + ((size_t)b * stride + lane) * SCORE_BLOCK);
    SIMD_UNROLL for (int q = 0; q < CODES_TILE; q++) {
      __m512i number = _mm512_set1_epi32(*(const int32_t *)(const void *)(query_code + (size_t)q * stride + lane));
      SIMD_UNROLL for (int b = 0; b < TILE_BLOCKS; b++) sums[q * TILE_BLOCKS + b] =
          _mm512_dpbusd_epi32(sums[q * TILE_BLOCKS + b], item[b], number);
    }
  }
  /* Without this gcc keeps a copy of every sum in memory, and writes it each time. */
  SIMD_UNROLL for (int i = 0; i < CODES_TILE * TILE_BLOCKS; i++) __asm__("" : "+v"(sums[i]));
}

TARGET static void select_tile(const ScoreCodes *codes, const int8_t *query_code, size_t block, CodedTile *tile) {
  size_t stride = (size_t)codes->panel->stride;
  const float *term = codes->term + block * TERMS * SCORE_BLOCK, *most = codes->most + block / TILE_BLOCKS * 2;
  __m512i sums[CODES_TILE * TILE_BLOCKS];
  multiply(codes->code + block * stride * SCORE_BLOCK, query_code, stride, tile->start, sums);
  /* The thresholds, less what the bounds of any of these items can add: a lane a query. */
  float enough[16] __attribute__((aligned(64)));
  __m512 reach = _mm512_mul_ps(_mm512_load_ps(tile->rest), _mm512_set1_ps(most[0]));
  reach = _mm512_fmadd_ps(_mm512_load_ps(tile->norm), _mm512_set1_ps(most[1]), reach);
  _mm512_store_ps(enough, _mm512_sub_ps(_mm512_load_ps(tile->threshold), reach));
  __m512 scale[TILE_BLOCKS], bias[TILE_BLOCKS];
  SIMD_UNROLL for (int b = 0; b < TILE_BLOCKS; b++) {
    scale[b] = _mm512_load_ps(term + (b * TERMS + SCALE) * SCORE_BLOCK);
    bias[b] = _mm512_load_ps(term + (b * TERMS + UPPER_BIAS) * SCORE_BLOCK);
  }
  SIMD_UNROLL for (int q = 0; q < CODES_TILE; q++) {
    __m512 middle[TILE_BLOCKS];
    uint32_t bits = 0;
    SIMD_UNROLL for (int b = 0; b < TILE_BLOCKS; b++) {
      __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[q * TILE_BLOCKS + b]), scale[b]);
      middle[b] = _mm512_fmadd_ps(product, _mm512_set1_ps(tile->scale[q]), bias[b]);
      bits |= simd_mask_bits(_mm512_cmp_ps_mask(middle[b], _mm512_set1_ps(enough[q]), _CMP_NLT_UQ)) << b * SCORE_BLOCK;
    }
    if (__builtin_expect(bits != 0, 0)) {
      float numbers[TILE_BLOCKS * SCORE_BLOCK] __attribute__((aligned(64)));
      SIMD_UNROLL for (int b = 0; b < TILE_BLOCKS; b++) _mm512_store_ps(numbers + b * SCORE_BLOCK, middle[b]);
      keep(codes, tile, q, numbers, bits, block);
    }
  }
}

void score_codes_select(const ScoreCodes *codes, const int8_t *query_code, size_t tiles, size_t first, size_t end,
                        CodedTile *tile) {
  for (size_t t = 0; t < tiles; t++)
    for (size_t block = first; block < end; block += TILE_BLOCKS)
      select_tile(codes, query_code + t * CODES_TILE * (size_t)codes->panel->stride, block, &tile[t]);
}

#else

int score_codes_available(void) { return 0; }

int score_codes_make(ScoreCodes *codes, const ScorePanel *panel, int threads, const Cancel *cancel) {
  (void)panel, (void)threads, (void)cancel;
  *codes = (ScoreCodes){0};
  return CODE_NOMEM;
}

void score_codes_query(CodedTile *tile, int place, const float *query, int stride, int8_t *code) {
  (void)query, (void)stride, (void)code;
  tile->query[place] = (CodedQuery){.given_up = 1};
}

void score_codes_select(const ScoreCodes *codes, const int8_t *query_code, size_t tiles, size_t first, size_t end,
                        CodedTile *tile) {
  (void)codes, (void)query_code, (void)tiles, (void)first, (void)end, (void)tile;
}

#endif
