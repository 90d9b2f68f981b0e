/* Dense algebra, a block at a time: see dense.h. */
#include "dense.h"

#include <math.h>
#include <string.h>

#include "code.h"
#include "dense_kernels.h"
#include "memory.h"
#include "parallel.h"

#define BLOCK_COST 20000000            /* multiplications a block: about a millisecond */
#define PIECES 16                      /* sums of dense_gram that grow side by side, … */
#define PIECES_BYTES ((size_t)1 << 25) /* … fewer where they are large */
#define STRIPE 24                      /* rows of a Gram matrix that share where the diagonal is taken to be */
#define STRIP 128                      /* doubles of a row that are rotated at once */

static size_t least_of(size_t a, size_t b) { return a < b ? a : b; }
static size_t clamp(size_t value, size_t low, size_t high) { return value < low ? low : value > high ? high : value; }

/* ---- tall matrices ----------------------------------------------------------------------------------------------- */

static size_t rows_a_block(size_t n, size_t rows) {
  return clamp(rows, 1, clamp(BLOCK_COST / (n * n + 1), DENSE_DEPTH, 16 * DENSE_DEPTH));
}

typedef struct Gram {
  const Tall *x;
  size_t block;  /* rows */
  size_t first;  /* the row at which this round starts */
  size_t stride; /* n rounded up to whole vectors of doubles */
  double *sum;   /* a matrix a piece, n × stride */
  double *copy;  /* DENSE_DEPTH × stride a worker: some rows as doubles */
  const DenseKernels *kernels;
} Gram;

/* sum += xᵀx of a few rows, right of the diagonal or a little left of it. */
static void gram_rows(const Gram *gram, size_t first, size_t rows, double *copy, double *sum) {
  const Tall *x = gram->x;
  size_t n = x->n, stride = gram->stride;
  for (size_t row = 0; row < rows; row++)
    for (size_t i = 0; i < n; i++) copy[row * stride + i] = (double)x->values[(first + row) * x->width + i];
  for (size_t i = 0; i < n; i += STRIPE) { /* a multiple of the 8 doubles of a vector */
    DoubleProduct product = {.a = copy + i, .a_row = 1, .a_depth = stride, .depth = rows, .b_stride = stride, .add = 1};
    product.rows = least_of(n - i, STRIPE);
    product.width = stride - i;
    product.b = copy + i;
    product.c = sum + i * stride + i;
    product.c_stride = stride;
    gram->kernels->multiply_double(&product);
  }
}

/* Piece p of a round: adds the p-th block of rows to the p-th sum. */
static int gram_piece(void *context, size_t piece, int worker) {
  const Gram *gram = context;
  size_t n = gram->x->n, first = gram->first + piece * gram->block, end = least_of(gram->x->rows, first + gram->block);
  for (; first < end; first += DENSE_DEPTH)
    gram_rows(gram, first, least_of(end - first, DENSE_DEPTH), gram->copy + (size_t)worker * DENSE_DEPTH * gram->stride,
              gram->sum + piece * n * gram->stride);
  return CODE_OK;
}

/* Which block goes to which sum depends on the shape alone, and the sums are added in order. */
int dense_gram(const Tall *x, double *result, int threads, const Cancel *cancel) {
  size_t n = x->n, stride = (n + 7) / 8 * 8, size = n * stride;
  size_t pieces = clamp(PIECES_BYTES / (size * sizeof(double) + 1), 2, PIECES);
  Gram gram = {.x = x, .block = rows_a_block(n, x->rows), .stride = stride, .kernels = dense_kernels()};
  threads = (int)least_of((size_t)threads, pieces);
  gram.sum = memory_alloc_aligned(pieces, size * sizeof *gram.sum);
  gram.copy = memory_alloc_aligned((size_t)threads * DENSE_DEPTH, stride * sizeof *gram.copy);
  int code = gram.sum && gram.copy ? CODE_OK : CODE_NOMEM;
  for (; code == CODE_OK && gram.first < x->rows; gram.first += pieces * gram.block) {
    size_t left = (x->rows - gram.first + gram.block - 1) / gram.block;
    code = parallel_for(threads, least_of(left, pieces), gram_piece, &gram, cancel);
  }
  for (size_t i = 0; code == CODE_OK && i < n; i++)
    for (size_t j = i; j < n; j++) {
      double sum = 0;
      for (size_t piece = 0; piece < pieces; piece++) sum += gram.sum[piece * size + i * stride + j];
      result[i * n + j] = result[j * n + i] = sum;
    }
  memory_free_aligned(gram.sum);
  memory_free_aligned(gram.copy);
  return code;
}

typedef struct Multiply {
  const Tall *x;
  size_t block;
  const float *m; /* n × width */
  float *copy;    /* block × width a worker */
  const DenseKernels *kernels;
} Multiply;

static int multiply_block(void *context, size_t index, int worker) {
  const Multiply *multiply = context;
  const Tall *x = multiply->x;
  size_t width = x->width, first = index * multiply->block, rows = least_of(x->rows - first, multiply->block);
  float *copy = multiply->copy + (size_t)worker * multiply->block * width, *target = x->values + first * width;
  memcpy(copy, target, rows * width * sizeof *copy);
  for (size_t k = 0; k < x->n; k += DENSE_DEPTH) {
    FloatProduct product = {.a = copy + k, .a_row = width, .a_depth = 1, .rows = rows, .b_stride = width};
    product.depth = least_of(x->n - k, DENSE_DEPTH);
    product.b = multiply->m + k * width;
    product.width = product.c_stride = width;
    product.c = target;
    product.add = k > 0;
    multiply->kernels->multiply(&product);
  }
  return CODE_OK;
}

int dense_multiply(const Tall *x, const double *m, int threads, const Cancel *cancel) {
  size_t n = x->n, width = x->width, block = rows_a_block(n, least_of(x->rows, 4 * DENSE_DEPTH));
  float *matrix = memory_alloc_aligned(n, width * sizeof *matrix);
  float *copy = memory_alloc_aligned((size_t)threads * block, width * sizeof *copy);
  int code = matrix && copy ? CODE_OK : CODE_NOMEM;
  if (code == CODE_OK) {
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < n; j++) matrix[i * width + j] = (float)m[i * n + j];
    Multiply multiply = {x, block, matrix, copy, dense_kernels()};
    code = parallel_for(threads, (x->rows + block - 1) / block, multiply_block, &multiply, cancel);
  }
  memory_free_aligned(matrix);
  memory_free_aligned(copy);
  return code;
}

/* ---- small triangular ones --------------------------------------------------------------------------------------- */

static void scale_row(double *row, size_t n, double scale) {
  for (size_t i = 0; i < n; i++) row[i] *= scale;
}

int dense_cholesky(double *a, size_t n, double least, unsigned char *dependent, size_t *count, const Cancel *cancel) {
  const DenseKernels *kernels = dense_kernels();
  int code = CODE_OK;
  *count = 0;
  for (size_t j = 0; j < n && code == CODE_OK; j++) {
    double *row = a + j * n, diagonal = row[j];
    for (size_t i = 0; i < j; i++) /* less what the rows of U before it explain */
      if (a[i * n + j] != 0) kernels->add(n - j, -a[i * n + j], a + i * n + j, row + j);
    dependent[j] = !(row[j] > least * diagonal);
    *count += dependent[j];
    if (dependent[j]) {
      memset(row + j, 0, (n - j) * sizeof *row);
      row[j] = 1;
    } else {
      scale_row(row + j, n - j, 1 / sqrt(row[j]));
    }
    code = cancel_poll(cancel);
  }
  for (size_t i = 1; i < n && code == CODE_OK; i++) memset(a + i * n, 0, i * sizeof *a);
  return code;
}

int dense_solve_upper(const double *u, double *b, size_t n, const Cancel *cancel) {
  const DenseKernels *kernels = dense_kernels();
  int code = CODE_OK;
  for (size_t i = n; i-- > 0 && code == CODE_OK;) {
    for (size_t k = i + 1; k < n; k++)
      if (u[i * n + k] != 0) kernels->add(n, -u[i * n + k], b + k * n, b + i * n);
    scale_row(b + i * n, n, 1 / u[i * n + i]);
    code = cancel_poll(cancel);
  }
  return code;
}

/* b becomes U⁻ᵀ b. */
static int solve_lower(const double *u, double *b, size_t n, const Cancel *cancel) {
  const DenseKernels *kernels = dense_kernels();
  int code = CODE_OK;
  for (size_t i = 0; i < n && code == CODE_OK; i++) {
    for (size_t k = 0; k < i; k++)
      if (u[k * n + i] != 0) kernels->add(n, -u[k * n + i], b + k * n, b + i * n);
    scale_row(b + i * n, n, 1 / u[i * n + i]);
    code = cancel_poll(cancel);
  }
  return code;
}

/* The other side is the same once more, since the result is its own transpose. */
int dense_congruence(const double *u, double *a, size_t n, const Cancel *cancel) {
  int code = solve_lower(u, a, n, cancel);
  for (size_t i = 0; i < n && code == CODE_OK; i++)
    for (size_t j = 0; j < i; j++) {
      double old = a[i * n + j];
      a[i * n + j] = a[j * n + i];
      a[j * n + i] = old;
    }
  if (code == CODE_OK) code = solve_lower(u, a, n, cancel);
  for (size_t i = 0; i < n && code == CODE_OK; i++) /* but for rounding */
    for (size_t j = 0; j < i; j++) a[i * n + j] = a[j * n + i];
  return code;
}

/* ---- eigenvalues ---------------------------------------------------------------------------------------------------
 *
 * LAPACK's own would need Fortran's library. This is the classical pair: Householder's reflections make the matrix
 * tridiagonal, implicitly shifted QR steps make it diagonal (Golub & Van Loan, "Matrix Computations", 4th ed.,
 * algorithms 8.3.1 and 8.3.2), with the vectors as rows, so that rotations run along memory. */

typedef struct Eigen {
  size_t n;
  const DenseKernels *kernels;
  double *a;                 /* the reflections' vectors end up right of its diagonal */
  double *vectors;           /* n × n, a vector a row */
  double *diagonal, *beside; /* of the tridiagonal matrix */
  double *tau;               /* reflection k is 1 − tau_k v vᵀ, v = a[k][k + 1 … n) */
  double *cosine, *sine;     /* of a step's rotations */
  double *work;
} Eigen;

/* Reflects row k, right of the diagonal, onto its first place; what is below and right of it gets the reflection from
 * both sides. */
static void reflect(Eigen *eigen, size_t k) {
  const DenseKernels *kernels = eigen->kernels;
  size_t n = eigen->n, left = n - k - 1;
  double *v = eigen->a + k * n + k + 1, *rest = eigen->a + (k + 1) * (n + 1), *p = eigen->work, largest = 0;
  for (size_t i = 1; i < left; i++) largest = fmax(largest, fabs(v[i]));
  eigen->tau[k] = 0;
  eigen->beside[k] = v[0];
  if (largest == 0) return;
  largest = fmax(largest, fabs(v[0])); /* brought to 1, so that no square is lost */
  for (size_t i = 0; i < left; i++) v[i] /= largest;
  double length = sqrt(kernels->dot(left, v, v)), first = v[0] > 0 ? -length : length;
  eigen->beside[k] = first * largest;
  v[0] -= first;
  double tau = 2 / kernels->dot(left, v, v);
  eigen->tau[k] = tau;
  for (size_t i = 0; i < left; i++) p[i] = tau * kernels->dot(left, rest + i * n, v);
  kernels->add(left, -tau / 2 * kernels->dot(left, p, v), v, p);
  for (size_t i = 0; i < left; i++) {
    kernels->add(left, -v[i], p, rest + i * n);
    kernels->add(left, -p[i], v, rest + i * n);
  }
}

/* a = Q T Qᵀ, and vectors = Qᵀ: the reflections one after the other, from the last, which touches the fewest. */
static int tridiagonalize(Eigen *eigen, const Cancel *cancel) {
  const DenseKernels *kernels = eigen->kernels;
  size_t n = eigen->n;
  int code = CODE_OK;
  for (size_t k = 0; k + 1 < n && code == CODE_OK; k++) {
    reflect(eigen, k);
    code = cancel_poll(cancel);
  }
  for (size_t k = 0; k < n; k++) {
    eigen->diagonal[k] = eigen->a[k * (n + 1)];
    eigen->vectors[k * (n + 1)] = 1;
  }
  for (size_t k = n - 1; k-- > 0 && code == CODE_OK;) {
    double *v = eigen->a + k * n + k + 1, *block = eigen->vectors + (k + 1) * (n + 1);
    size_t left = n - k - 1;
    for (size_t i = 0; i < left && eigen->tau[k] != 0; i++)
      kernels->add(left, -eigen->tau[k] * kernels->dot(left, block + i * n, v), v, block + i * n);
    code = cancel_poll(cancel);
  }
  return code;
}

/* One QR step on the rows first … last of the tridiagonal matrix, shifted by the eigenvalue of its last corner that is
 * nearer to the last element (Wilkinson). */
static void qr_step(Eigen *eigen, size_t first, size_t last) {
  double *d = eigen->diagonal, *e = eigen->beside;
  double half = (d[last - 1] - d[last]) / 2, corner = e[last - 1];
  double shift = d[last] - corner * (corner / (half + copysign(hypot(half, corner), half)));
  double x = d[first] - shift, z = e[first];
  for (size_t k = first; k < last; k++) {
    double r = hypot(x, z), c = r > 0 ? x / r : 1, s = r > 0 ? z / r : 0, old = d[k], beside = e[k];
    if (k > first) e[k - 1] = r;
    d[k] = c * c * old + 2 * c * s * beside + s * s * d[k + 1];
    e[k] = c * s * (d[k + 1] - old) + (c * c - s * s) * beside;
    d[k + 1] = s * s * old - 2 * c * s * beside + c * c * d[k + 1];
    x = e[k];
    z = 0;
    if (k + 1 < last) {
      z = s * e[k + 1];
      e[k + 1] *= c;
    }
    eigen->cosine[k] = c;
    eigen->sine[k] = s;
  }
  size_t n = eigen->n;
  for (size_t column = 0; column < n; column += STRIP) /* so that the rows stay in the cache */
    for (size_t k = first; k < last; k++)
      eigen->kernels->rotate(least_of(n - column, STRIP), eigen->vectors + k * n + column,
                             eigen->vectors + (k + 1) * n + column, eigen->cosine[k], eigen->sine[k]);
}

static int negligible(const Eigen *eigen, size_t k) {
  return fabs(eigen->beside[k]) <= 0x1.0p-53 * (fabs(eigen->diagonal[k]) + fabs(eigen->diagonal[k + 1]));
}

static int diagonalize(Eigen *eigen, const Cancel *cancel) {
  int code = CODE_OK;
  size_t last = eigen->n - 1, steps = 0;
  while (last > 0 && code == CODE_OK) {
    size_t first = last;
    while (first > 0 && !negligible(eigen, first - 1)) first--;
    if (first == last) {
      eigen->beside[--last] = 0;
      continue;
    }
    qr_step(eigen, first, last);
    code = cancel_poll(cancel);
    if (++steps > 60 * eigen->n) code = CODE_ERROR; /* two a vector is usual */
  }
  return code;
}

/* Vectors become columns, largest eigenvalue first. */
static void sort_eigen(const Eigen *eigen, double *a, double *values) {
  size_t n = eigen->n;
  for (size_t i = 0; i < n; i++) {
    size_t place = 0;
    for (size_t j = 0; j < n; j++)
      place += eigen->diagonal[j] > eigen->diagonal[i] || (j < i && eigen->diagonal[j] == eigen->diagonal[i]);
    values[place] = eigen->diagonal[i];
    for (size_t k = 0; k < n; k++) a[k * n + place] = eigen->vectors[i * n + k];
  }
}

int dense_eigen(double *a, size_t n, double *values, const Cancel *cancel) {
  for (size_t i = 0; i < n * n; i++)
    if (!isfinite(a[i])) return CODE_ERROR;
  if (n == 0) return CODE_OK;
  Eigen eigen = {.n = n, .kernels = dense_kernels(), .a = a};
  eigen.vectors = memory_alloc_zero(n, n * sizeof *eigen.vectors);
  eigen.diagonal = memory_alloc_zero(n, 6 * sizeof *eigen.diagonal);
  int code = eigen.vectors && eigen.diagonal ? CODE_OK : CODE_NOMEM;
  if (code == CODE_OK) {
    eigen.beside = eigen.diagonal + n;
    eigen.tau = eigen.beside + n;
    eigen.cosine = eigen.tau + n;
    eigen.sine = eigen.cosine + n;
    eigen.work = eigen.sine + n;
    code = tridiagonalize(&eigen, cancel);
  }
  if (code == CODE_OK) code = diagonalize(&eigen, cancel);
  if (code == CODE_OK) sort_eigen(&eigen, a, values);
  memory_free(eigen.vectors);
  memory_free(eigen.diagonal);
  return code;
}
