/* Products of dense matrices, and what small ones need along their rows: see dense_kernels.h.
 *
 * A product holds a tile of the result in registers while the rows of b, and single elements of a, stream past. */
#include "dense_kernels.h"

typedef double Double8 __attribute__((vector_size(64)));
typedef double Double8Unaligned __attribute__((vector_size(64), aligned(8)));

/* The tile: rows × vectors of one register each, 64 bytes a row or a multiple. (Of a vector of several registers gcc
 * makes moves between registers and the stack, ten times as slow.) */
#if defined(__AVX512F__)
#define REGISTER 64
#define TILE_ROWS 8
#define TILE_VECTORS 2
#elif defined(__AVX2__)
#define REGISTER 32
#define TILE_ROWS 6
#define TILE_VECTORS 2
#else
#define REGISTER 16
#define TILE_ROWS 3
#define TILE_VECTORS 4
#endif

typedef float Floats __attribute__((vector_size(REGISTER)));
typedef double Doubles __attribute__((vector_size(REGISTER)));

#define DEFINE_MULTIPLY(NAME, PRODUCT, SCALAR, VECTOR)                                                                 \
  SIMD_INLINE void NAME##_tile(const int rows, const int vectors, const PRODUCT *p, size_t row, size_t lane) {         \
    const size_t lanes = REGISTER / sizeof(SCALAR);                                                                    \
    const SCALAR *a = p->a + row * p->a_row, *b = p->b + lane;                                                         \
    VECTOR sum[TILE_ROWS][TILE_VECTORS];                                                                               \
    SIMD_UNROLL                                                                                                        \
    for (int i = 0; i < rows; i++) {                                                                                   \
      SIMD_UNROLL                                                                                                      \
      for (int v = 0; v < vectors; v++) sum[i][v] = (VECTOR){0};                                                       \
    }                                                                                                                  \
    for (size_t k = 0; k < p->depth; k++, a += p->a_depth, b += p->b_stride) {                                         \
      VECTOR of_b[TILE_VECTORS];                                                                                       \
      SIMD_UNROLL                                                                                                      \
      for (int v = 0; v < vectors; v++) of_b[v] = *(const VECTOR *)(const void *)(b + v * lanes);                      \
      SIMD_UNROLL                                                                                                      \
      for (int i = 0; i < rows; i++) {                                                                                 \
        SCALAR of_a = a[i * p->a_row];                                                                                 \
        SIMD_UNROLL                                                                                                    \
        for (int v = 0; v < vectors; v++) sum[i][v] += of_a * of_b[v];                                                 \
      }                                                                                                                \
    }                                                                                                                  \
    SIMD_UNROLL                                                                                                        \
    for (int i = 0; i < rows; i++) {                                                                                   \
      SIMD_UNROLL                                                                                                      \
      for (int v = 0; v < vectors; v++) {                                                                              \
        VECTOR *c = (VECTOR *)(void *)(p->c + (row + (size_t)i) * p->c_stride + lane + v * lanes);                     \
        *c = p->add ? *c + sum[i][v] : sum[i][v];                                                                      \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
  SIMD_INLINE void NAME##_lanes(const int vectors, const PRODUCT *p, size_t lane) {                                    \
    size_t row = 0;                                                                                                    \
    for (; row + TILE_ROWS <= p->rows; row += TILE_ROWS) NAME##_tile(TILE_ROWS, vectors, p, row, lane);                \
    for (; row + 2 <= p->rows; row += 2) NAME##_tile(2, vectors, p, row, lane);                                        \
    for (; row < p->rows; row++) NAME##_tile(1, vectors, p, row, lane);                                                \
  }                                                                                                                    \
  static void NAME(const PRODUCT *p) {                                                                                 \
    const size_t lanes = REGISTER / sizeof(SCALAR);                                                                    \
    size_t lane = 0;                                                                                                   \
    for (; lane + TILE_VECTORS * lanes <= p->width; lane += TILE_VECTORS * lanes) NAME##_lanes(TILE_VECTORS, p, lane); \
    for (; lane < p->width; lane += lanes) NAME##_lanes(1, p, lane);                                                   \
  }

DEFINE_MULTIPLY(multiply, FloatProduct, float, Floats)
DEFINE_MULTIPLY(multiply_double, DoubleProduct, double, Doubles)

#define LOAD(pointer) (*(const Double8Unaligned *)(const void *)(pointer))
#define STORE(pointer, v) (*(Double8Unaligned *)(void *)(pointer) = (v))

static double dense_dot(size_t n, const double *x, const double *y) {
  Double8 sum = {0};
  double rest = 0;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) sum += LOAD(x + i) * LOAD(y + i);
  for (; i < n; i++) rest += x[i] * y[i];
  return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7])) + rest;
}

static void dense_add(size_t n, double scale, const double *x, double *y) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) STORE(y + i, LOAD(y + i) + scale * LOAD(x + i));
  for (; i < n; i++) y[i] += scale * x[i];
}

static void rotate(size_t n, double *x, double *y, double cosine, double sine) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    Double8 a = LOAD(x + i), b = LOAD(y + i);
    STORE(x + i, cosine * a + sine * b);
    STORE(y + i, cosine * b - sine * a);
  }
  for (; i < n; i++) {
    double a = x[i], b = y[i];
    x[i] = cosine * a + sine * b;
    y[i] = cosine * b - sine * a;
  }
}

extern const DenseKernels SIMD_NAME(dense_kernels);
const DenseKernels SIMD_NAME(dense_kernels) = {multiply, multiply_double, dense_dot, dense_add, rotate};
