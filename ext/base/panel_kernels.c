/* Dense algebra on panels (see panel.h), compiled once for each instruction set.
 *
 * Two patterns carry the load. `apply` needs a row of the panel twice, for its dot product and for its share of the
 * sum: LANES rows are taken at a time, their dot products held as LANES registers and summed across by a transposition,
 * and the rows are still in L1 when they are added up. `gram` holds a tile of the result in registers while the rows
 * of the panel stream past it; Cholesky's trailing update is the same tile with the sign turned. */
#include "panel.h"

#include <math.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float Vector __attribute__((vector_size(4 * LANES), may_alias));

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE Vector load(const float *p) { return *(const Vector *)(const void *)p; }
INLINE void store(float *p, Vector v) { *(Vector *)(void *)p = v; }
INLINE Vector splat(float a) { return a - (Vector){0}; }

/* Runs a function for its `stride` as a constant where that is one of the usual ones. */
#define WITH_STRIDE(function, ...)                   \
  do {                                               \
    switch (stride) {                                \
      case 16: return function(16, __VA_ARGS__);     \
      case 32: return function(32, __VA_ARGS__);     \
      case 48: return function(48, __VA_ARGS__);     \
      case 64: return function(64, __VA_ARGS__);     \
      case 128: return function(128, __VA_ARGS__);   \
      default: return function(stride, __VA_ARGS__); \
    }                                                \
  } while (0)

/* ---- sums across registers --------------------------------------------------------------------------------------- */

#if LANES == 16
#define HALVES(a, b)                                                                       \
  (__builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) + \
   __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
#define QUARTERS(a, b)                                                                       \
  (__builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) + \
   __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31))
#define PAIRS(a, b)                                                                          \
  (__builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29) + \
   __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31))
#elif LANES == 8
#define HALVES(a, b) \
  (__builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11) + __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15))
#define PAIRS(a, b) \
  (__builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13) + __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15))
#else
#define PAIRS(a, b) (__builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7))
#endif

/* Where row i of LANES goes so that sum_across gives the sums in order. */
#if LANES == 16
#define SLOT(i) (((i)&3) | (((i)&4) << 1) | (((i)&8) >> 1))
#else
#define SLOT(i) (i)
#endif

/* The vector of the LANES sums of LANES vectors. */
INLINE Vector sum_across(Vector d[LANES]) {
#if LANES == 16
  UNROLL for (int i = 0; i < 8; i++) d[i] = HALVES(d[i], d[i + 8]);
  UNROLL for (int i = 0; i < 4; i++) d[i] = QUARTERS(d[i], d[i + 4]);
#elif LANES == 8
  UNROLL for (int i = 0; i < 4; i++) d[i] = HALVES(d[i], d[i + 4]);
#endif
  d[0] = PAIRS(d[0], d[2]);
  d[1] = PAIRS(d[1], d[3]);
  return PAIRS(d[0], d[1]);
}

/* The sum of a vector's lanes: halves are folded onto each other. */
INLINE float sum_lanes(Vector v) {
#if LANES == 16
  v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
#elif LANES == 8
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
#else
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1);
#endif
  return v[0] + v[1];
}

/* ---- gathering, dot products and weighted sums of rows ----------------------------------------------------------- */

#define AHEAD 12 /* rows to fetch ahead: they lie anywhere in memory */

INLINE void gather_(const int stride, const float *factors, const uint32_t *index, size_t n, float *panel) {
  for (size_t j = 0; j < n; j++) {
    if (j + AHEAD < n) {
      const float *next = factors + index[j + AHEAD] * (size_t)stride;
      for (int lane = 0; lane < stride; lane += 16) __builtin_prefetch(next + lane);
    }
    const float *row = factors + index[j] * (size_t)stride;
    UNROLL for (int lane = 0; lane < stride; lane += LANES) store(panel + j * stride + lane, load(row + lane));
  }
  memset(panel + n * stride, 0, (panel_padded(n) - n) * stride * sizeof(float));
}

static void panel_gather(const float *factors, int stride, const uint32_t *index, size_t n, float *panel) {
  WITH_STRIDE(gather_, factors, index, n, panel);
}

/* The dot products of LANES rows with x. */
INLINE Vector dots_of_rows(const int stride, const float *rows, const float *x) {
  Vector d[LANES];
  UNROLL for (int i = 0; i < LANES; i++) d[SLOT(i)] = load(rows + i * stride) * load(x);
  for (int lane = LANES; lane < stride; lane += LANES) {
    Vector v = load(x + lane);
    UNROLL for (int i = 0; i < LANES; i++) d[SLOT(i)] += load(rows + i * stride + lane) * v;
  }
  return sum_across(d);
}

/* y[0 … WIDTH·LANES) += Σ c_i rows_i of LANES rows. */
#define ADD_ROWS(WIDTH)                                                                                \
  {                                                                                                    \
    Vector sum[WIDTH];                                                                                 \
    UNROLL for (int v = 0; v < WIDTH; v++) sum[v] = load(y + lane + v * LANES);                        \
    UNROLL for (int i = 0; i < LANES; i++) {                                                           \
      Vector c = splat(coefficient[i]);                                                                \
      UNROLL for (int v = 0; v < WIDTH; v++) sum[v] += c * load(rows + i * stride + lane + v * LANES); \
    }                                                                                                  \
    UNROLL for (int v = 0; v < WIDTH; v++) store(y + lane + v * LANES, sum[v]);                        \
  }

INLINE void add_rows(const int stride, const float *rows, const float *coefficient, float *y) {
  int lane = 0;
  for (; lane + 4 * LANES <= stride; lane += 4 * LANES) ADD_ROWS(4)
  for (; lane < stride; lane += LANES) ADD_ROWS(1)
}

INLINE void dots_(const int stride, const float *panel, size_t n, const float *x, float x_bias, float *dot) {
  for (size_t j = 0; j < panel_padded(n); j += LANES)
    store(dot + j, dots_of_rows(stride, panel + j * stride, x) + x_bias);
  for (size_t j = n; j < panel_padded(n); j++) dot[j] = 0;
}

static void dots(const float *panel, size_t n, int stride, const float *x, float x_bias, float *dot) {
  WITH_STRIDE(dots_, panel, n, x, x_bias, dot);
}

INLINE float apply_(const int stride, const float *panel, size_t n, const float *x, float x_bias, const float *base,
                    const float *weight, float *dot, float *y) {
  Vector sum = {0};
  for (size_t j = 0; j < panel_padded(n); j += LANES) {
    const float *rows = panel + j * stride;
    Vector d = dots_of_rows(stride, rows, x) + x_bias;
    store(dot + j, d);
    Vector c = base ? load(base + j) - load(weight + j) * d : -load(weight + j) * d;
    float coefficient[LANES] __attribute__((aligned(64)));
    store(coefficient, c);
    add_rows(stride, rows, coefficient, y);
    sum += c;
  }
  for (size_t j = n; j < panel_padded(n); j++) dot[j] = 0;
  return sum_lanes(sum);
}

static float apply(const float *panel, size_t n, int stride, const float *x, float x_bias, const float *base,
                   const float *weight, float *dot, float *y) {
  WITH_STRIDE(apply_, panel, n, x, x_bias, base, weight, dot, y);
}

INLINE float sums_(const int stride, const float *panel, size_t n, const float *base, const float *weight, float *y,
                   float *z) {
  Vector sum = {0};
  for (size_t j = 0; j < panel_padded(n); j += LANES) {
    add_rows(stride, panel + j * stride, base + j, y);
    if (z) add_rows(stride, panel + j * stride, weight + j, z);
    sum += load(base + j);
  }
  return sum_lanes(sum);
}

static float sums(const float *panel, size_t n, int stride, const float *base, const float *weight, float *y,
                  float *z) {
  WITH_STRIDE(sums_, panel, n, base, weight, y, z);
}

/* ---- Gram matrices and Cholesky ---------------------------------------------------------------------------------- */

typedef enum GramSign { GRAM_PLUS, GRAM_WEIGHTED, GRAM_MINUS } GramSign;

/* The tile of ROWS × (COLUMNS·LANES) at (row, column) of a += Σ ± weight panel panelᵀ. */
#define GRAM_TILE(ROWS, COLUMNS)                                                                                   \
  INLINE void gram_tile_##ROWS##_##COLUMNS(const int stride, const float *restrict panel, size_t n,                \
                                           const GramSign sign, const float *restrict weight, int row, int column, \
                                           float *restrict a) {                                                    \
    Vector tile[ROWS][COLUMNS];                                                                                    \
    float *corner = a + (size_t)row * stride + column;                                                             \
    UNROLL for (int i = 0; i < ROWS; i++) UNROLL for (int v = 0; v < COLUMNS; v++) tile[i][v] =                    \
        load(corner + (size_t)i * stride + v * LANES);                                                             \
    for (size_t j = 0; j < n; j++) {                                                                               \
      const float *p = panel + j * stride;                                                                         \
      Vector right[COLUMNS];                                                                                       \
      UNROLL for (int v = 0; v < COLUMNS; v++) {                                                                   \
        right[v] = load(p + column + v * LANES);                                                                   \
        if (sign == GRAM_WEIGHTED) right[v] *= weight[j];                                                          \
      }                                                                                                            \
      UNROLL for (int i = 0; i < ROWS; i++) {                                                                      \
        Vector left = splat(p[row + i]);                                                                           \
        UNROLL for (int v = 0; v < COLUMNS; v++) {                                                                 \
          if (sign == GRAM_MINUS)                                                                                  \
            tile[i][v] -= left * right[v];                                                                         \
          else                                                                                                     \
            tile[i][v] += left * right[v];                                                                         \
        }                                                                                                          \
      }                                                                                                            \
    }                                                                                                              \
    UNROLL for (int i = 0; i < ROWS; i++) UNROLL for (int v = 0; v < COLUMNS; v++)                                 \
        store(corner + (size_t)i * stride + v * LANES, tile[i][v]);                                                \
  }

#define TILE(ROWS, COLUMNS, r, c) gram_tile_##ROWS##_##COLUMNS(stride, panel, n, sign, weight, (r), (c), a)

#if LANES == 16
GRAM_TILE(6, 4)
GRAM_TILE(4, 4)
GRAM_TILE(8, 3)
GRAM_TILE(8, 2)
GRAM_TILE(16, 1)

/* Sixteen rows of the upper triangle from `row` on: tiles as wide as there are registers for. */
INLINE void gram_strip(const int stride, const float *panel, size_t n, const GramSign sign, const float *weight,
                       int row, float *a) {
  int column = row;
  for (; stride - column > 3 * LANES; column += 4 * LANES) {
    TILE(6, 4, row, column);
    TILE(6, 4, row + 6, column);
    TILE(4, 4, row + 12, column);
  }
  if (stride - column == 3 * LANES) {
    TILE(8, 3, row, column);
    TILE(8, 3, row + 8, column);
  } else if (stride - column == 2 * LANES) {
    TILE(8, 2, row, column);
    TILE(8, 2, row + 8, column);
  } else if (stride - column == LANES) {
    TILE(16, 1, row, column);
  }
}
#else
GRAM_TILE(6, 2)
GRAM_TILE(4, 2)

INLINE void gram_strip(const int stride, const float *panel, size_t n, const GramSign sign, const float *weight,
                       int row, float *a) {
  for (int column = row; column < stride; column += 2 * LANES) {
    TILE(6, 2, row, column);
    TILE(6, 2, row + 6, column);
    TILE(4, 2, row + 12, column);
  }
}
#endif

#define GRAM_BYTES 20480 /* of the panel at a time: they stay in L1 while the tiles pass over them */

INLINE void gram_(const int stride, const float *panel, size_t n, const GramSign sign, const float *weight, int first,
                  float *a) {
  size_t chunk = GRAM_BYTES / sizeof(float) / (size_t)stride;
  if (chunk < 64) chunk = 64;
  for (size_t begin = 0; begin < n; begin += chunk) {
    size_t count = n - begin < chunk ? n - begin : chunk;
    for (int row = first; row < stride; row += 16)
      gram_strip(stride, panel + begin * stride, count, sign, sign == GRAM_WEIGHTED ? weight + begin : NULL, row, a);
  }
}

static void gram_plain(const float *panel, size_t n, int stride, float *a) {
  WITH_STRIDE(gram_, panel, n, GRAM_PLUS, NULL, 0, a);
}

static void gram_weighted(const float *panel, size_t n, int stride, const float *weight, float *a) {
  WITH_STRIDE(gram_, panel, n, GRAM_WEIGHTED, weight, 0, a);
}

static void gram(const float *panel, size_t n, int stride, const float *weight, float *a) {
  if (weight)
    gram_weighted(panel, n, stride, weight, a);
  else
    gram_plain(panel, n, stride, a);
}

/* LANES columns of 16 rows of U, held in registers: u points to the rows' diagonal block, rows to the columns. In the
 * diagonal block itself, `pivot` is the row whose pivot is the first of these columns, and the pivots' inverses come
 * out; to the right of it they are known. Returns 0 where a pivot is below `least`. */
INLINE int factorize_columns(const int stride, float *u, float *rows, const int diagonal, int pivot, float least,
                             float *inverse) {
  Vector row[16];
  UNROLL for (int i = 0; i < 16; i++) row[i] = load(rows + (size_t)i * stride);
  UNROLL for (int j = 0; j < 16; j++) {
    if (diagonal && j >= pivot && j < pivot + LANES) {
      store(rows + (size_t)j * stride, row[j]);
      float square = rows[(size_t)j * stride + j - pivot];
      if (!(square >= least)) return 0;
      inverse[j] = 1 / sqrtf(square);
    }
    row[j] *= inverse[j];
    store(rows + (size_t)j * stride, row[j]);
    UNROLL for (int i = j + 1; i < 16; i++) row[i] -= u[(size_t)j * stride + i] * row[j];
  }
  return 1;
}

INLINE int factorize_(const int stride, float *a, int first, float least) {
  float *u = a + (size_t)first * stride + first, inverse[16] = {0};
  for (int column = 0; column < 16; column += LANES)
    if (!factorize_columns(stride, u, u + column, 1, column, least, inverse)) return 0;
  for (int column = 16; column < stride - first; column += LANES)
    factorize_columns(stride, u, u + column, 0, 0, least, inverse);
  gram_(stride, a + (size_t)first * stride, 16, GRAM_MINUS, NULL, first + 16, a);
  for (int j = 0; j < 16; j++) u[(size_t)j * stride + j] = inverse[j];
  return 1;
}

static int factorize(float *a, int stride, int first, float least) { WITH_STRIDE(factorize_, a, first, least); }

/* Forward with Uᵀ by rows of U, then backward with U by dot products of its rows. What a row has left of the diagonal
 * within the diagonal's block is left over from the factorization: those lanes are gone through one by one. */
INLINE void solve_(const int stride, const float *u, float *b) {
  for (int j = 0; j < stride; j++) {
    const float *row = u + (size_t)j * stride;
    float x = b[j] *= row[j];
    int whole = (j / 16 + 1) * 16;
    for (int i = j + 1; i < whole; i++) b[i] -= x * row[i];
    for (int lane = whole; lane < stride; lane += LANES) store(b + lane, load(b + lane) - x * load(row + lane));
  }
  for (int j = stride - 1; j >= 0; j--) {
    const float *row = u + (size_t)j * stride;
    int whole = (j / 16 + 1) * 16;
    Vector sum = {0};
    for (int lane = whole; lane < stride; lane += LANES) sum += load(row + lane) * load(b + lane);
    float x = b[j] - sum_lanes(sum);
    for (int i = j + 1; i < whole; i++) x -= row[i] * b[i];
    b[j] = x * row[j];
  }
}

static void solve(const float *u, int stride, float *b) { WITH_STRIDE(solve_, u, b); }

static float descend(const float *a, int stride, int rank, float *gradient, float *x) {
  float largest = 0;
  for (int i = 0; i < rank; i++) {
    const float *row = a + (size_t)i * stride;
    float next = x[i] - gradient[i] / row[i];
    float change = (next > 0 ? next : 0) - x[i];
    if (change == 0) continue;
    x[i] = next > 0 ? next : 0;
    for (int lane = 0; lane < stride; lane += LANES)
      store(gradient + lane, load(gradient + lane) + change * load(row + lane));
    float size = fabsf(change) * sqrtf(row[i]);
    if (size > largest) largest = size;
  }
  return largest;
}

/* ---- vectors ----------------------------------------------------------------------------------------------------- */

INLINE void multiply_(const int stride, const float *a, float scale, const float *x, float *y) {
  for (int row = 0; row < stride; row += LANES) {
    float coefficient[LANES] __attribute__((aligned(64)));
    store(coefficient, load(x + row) * scale);
    add_rows(stride, a + (size_t)row * stride, coefficient, y);
  }
}

static void multiply(const float *a, int stride, float scale, const float *x, float *y) {
  WITH_STRIDE(multiply_, a, scale, x, y);
}

static float panel_dot(size_t n, const float *x, const float *y) {
  Vector sum = {0};
  for (size_t i = 0; i < n; i += LANES) sum += load(x + i) * load(y + i);
  return sum_lanes(sum);
}

static void panel_add(size_t n, float scale, const float *x, float *y) {
  for (size_t i = 0; i < n; i += LANES) store(y + i, load(y + i) + scale * load(x + i));
}

static void scale_add(size_t n, const float *x, float scale, float *y) {
  for (size_t i = 0; i < n; i += LANES) store(y + i, load(x + i) + scale * load(y + i));
}

static void misfit(size_t n, const float *target, const float *weight, const float *dot_, float missing, double *fit,
                   double *squared) {
  Vector all_fit = {0}, all_squared = {0};
  for (size_t j = 0; j < n; j += LANES) {
    Vector d = load(dot_ + j), e = load(target + j) - d, square = e * e;
    all_squared += square;
    all_fit += (load(weight + j) + missing) * square - missing * d * d;
  }
  *fit += (double)sum_lanes(all_fit);
  *squared += (double)sum_lanes(all_squared);
}

const PanelKernels SIMD_NAME(panel_kernels) = {
    .gather = panel_gather,
    .dots = dots,
    .apply = apply,
    .sums = sums,
    .gram = gram,
    .factorize = factorize,
    .solve = solve,
    .descend = descend,
    .multiply = multiply,
    .dot = panel_dot,
    .add = panel_add,
    .scale_add = scale_add,
    .misfit = misfit,
};
