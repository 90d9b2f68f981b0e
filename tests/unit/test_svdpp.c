/* svdpp.h against the method taken literally: every rating moves the y of all items of its user, in double precision.
 */
#include "factorizing.h"
#include "learn/svdpp.h"

static SvdppOptions options = {
    .start = {.rank = 5, .biases = 1, .mean = 3.2, .init_scale = .3, .seed = 11},
    .penalty = {.factors = .02, .biases = .03},
    .learning_rate = .01,
    .bias_rate = .03,
    .decay = .9,
};

static int create(Factorizer *factorizer, const Data *data, int threads, int rank, const Cancel *cancel, Error *error) {
  SvdppOptions now = options;
  now.start.threads = threads;
  now.start.rank = rank;
  return svdpp_create(factorizer, &data->by_user, &now, cancel, error);
}

static const Method method = {.create = create, .least_polls = 5, .empty_are_zero = 1};

/* ---- the method, literally --------------------------------------------------------------------------------------- */

typedef struct Literal {
  size_t users, items, rank;
  double *p, *q, *y, *user_bias, *item_bias;
  uint32_t *order;
} Literal;

static double *rows_of(const float *from, size_t rows, size_t rank, size_t stride) {
  double *to = calloc(rows * rank + 1, sizeof *to);
  for (size_t row = 0; row < rows; row++)
    for (size_t f = 0; f < rank; f++) to[row * rank + f] = (double)from[row * stride + f];
  return to;
}

/* Begins where the training does. */
static Literal literal_of(const Data *data, const Factors *factors) {
  Literal l = {.users = data->by_user.rows, .items = data->by_user.columns, .rank = (size_t)options.start.rank};
  size_t stride = (size_t)factors->stride;
  float *y = calloc(l.items * stride + 1, sizeof *y);
  for (size_t item = 0; item < l.items; item++)
    if (sparse_row_length(&data->by_item, item) > 0)
      descent_draw(y + item * stride, options.start.rank, options.start.init_scale / sqrt((double)l.rank), 0,
                   random_bits(options.start.seed, 2), item);
  l.p = rows_of(factors->user, l.users, l.rank, stride);
  l.q = rows_of(factors->item, l.items, l.rank, stride);
  l.y = rows_of(y, l.items, l.rank, stride);
  free(y);
  l.user_bias = calloc(l.users + 1, sizeof(double));
  l.item_bias = calloc(l.items + 1, sizeof(double));
  l.order = calloc(l.users + 1, sizeof *l.order);
  for (size_t user = 0; user < l.users; user++) l.order[user] = (uint32_t)user;
  return l;
}

static void literal_free(Literal *l) {
  free(l->p);
  free(l->q);
  free(l->y);
  free(l->user_bias);
  free(l->item_bias);
  free(l->order);
}

static void implicit_sum(const Literal *l, const SparseMatrix *by_user, size_t user, double *z) {
  double n = (double)sparse_row_length(by_user, user);
  for (size_t f = 0; f < l->rank; f++) z[f] = 0;
  for (size_t e = by_user->start[user]; e < by_user->start[user + 1]; e++)
    for (size_t f = 0; f < l->rank; f++) z[f] += l->y[by_user->index[e] * l->rank + f] / sqrt(n);
}

static double wrong_of(const Literal *l, const SparseMatrix *by_user, size_t user, size_t e, const double *z) {
  size_t item = by_user->index[e];
  double wrong = entry_value(by_user, e) - options.start.mean - l->user_bias[user] - l->item_bias[item];
  for (size_t f = 0; f < l->rank; f++) wrong -= l->q[item * l->rank + f] * (l->p[user * l->rank + f] + z[f]);
  return wrong;
}

static void literal_rating(Literal *l, const SparseMatrix *by_user, size_t user, size_t e, double decay) {
  size_t item = by_user->index[e], k = l->rank;
  double rate = options.learning_rate * decay, bias_rate = options.bias_rate * decay;
  double z[16], shrink = options.penalty.factors, root = sqrt((double)sparse_row_length(by_user, user));
  implicit_sum(l, by_user, user, z);
  double wrong = wrong_of(l, by_user, user, e, z);
  if (options.start.biases) {
    l->user_bias[user] += bias_rate * (wrong - options.penalty.biases * l->user_bias[user]);
    l->item_bias[item] += bias_rate * (wrong - options.penalty.biases * l->item_bias[item]);
  }
  for (size_t f = 0; f < k; f++) {
    double p = l->p[user * k + f], q = l->q[item * k + f];
    l->p[user * k + f] += rate * (wrong * q - shrink * p);
    l->q[item * k + f] += rate * (wrong * (p + z[f]) - shrink * q);
    for (size_t j = by_user->start[user]; j < by_user->start[user + 1]; j++) {
      double *y = &l->y[by_user->index[j] * k + f];
      *y += rate * (wrong * q / root - shrink * *y);
    }
  }
}

/* In the order that the training draws for its epoch. */
static void literal_epoch(Literal *l, const SparseMatrix *by_user, int epoch) {
  uint64_t seed = random_bits(random_bits(options.start.seed, 3), (uint64_t)epoch);
  double decay = pow(options.decay, epoch);
  for (size_t k = l->users; k > 1; k--) {
    size_t at = (size_t)(((random_bits(random_bits(seed, 0), k) >> 32) * (uint64_t)k) >> 32);
    uint32_t other = l->order[at];
    l->order[at] = l->order[k - 1];
    l->order[k - 1] = other;
  }
  size_t *entry = calloc(by_user->columns + 1, sizeof *entry);
  for (size_t place = 0; place < l->users; place++) {
    size_t user = l->order[place], first = by_user->start[user], n = sparse_row_length(by_user, user);
    for (size_t k = 0; k < n; k++) {
      size_t at = (size_t)(((random_bits(random_bits(seed, 1), first + k) >> 32) * (uint64_t)(k + 1)) >> 32);
      entry[k] = entry[at];
      entry[at] = first + k;
    }
    for (size_t k = 0; k < n; k++) literal_rating(l, by_user, user, entry[k], decay);
  }
  free(entry);
}

/* What the training reports at its end, over every rating. */
static FactorizerReport literal_report(const Literal *l, const SparseMatrix *by_user) {
  double squared = 0, penalty = 0, z[16];
  for (size_t user = 0; user < l->users; user++) {
    implicit_sum(l, by_user, user, z);
    for (size_t e = by_user->start[user]; e < by_user->start[user + 1]; e++) {
      size_t item = by_user->index[e];
      squared += pow(wrong_of(l, by_user, user, e, z), 2);
      penalty += options.penalty.biases * (pow(l->user_bias[user], 2) + pow(l->item_bias[item], 2));
      for (size_t f = 0; f < l->rank; f++) {
        penalty += options.penalty.factors * (pow(l->p[user * l->rank + f], 2) + pow(l->q[item * l->rank + f], 2));
        for (size_t j = by_user->start[user]; j < by_user->start[user + 1]; j++)
          penalty += options.penalty.factors * pow(l->y[by_user->index[j] * l->rank + f], 2);
      }
    }
  }
  double entries = (double)by_user->start[by_user->rows];
  return (FactorizerReport){squared + penalty, sqrt(squared / entries)};
}

static void check_literally(const Data *data, int epochs) {
  Factorizer fit;
  Error error = {0};
  FactorizerReport report;
  int done;
  CHECK(create(&fit, data, 2, options.start.rank, NULL, &error) == SQLITE_OK);
  const Factors *factors = fit.method->factors(fit.state);
  Literal l = literal_of(data, factors);
  for (int epoch = 0; epoch < epochs; epoch++) {
    CHECK(fit.method->epoch(fit.state, &report, &done, NULL, &error) == SQLITE_OK && !done);
    literal_epoch(&l, &data->by_user, epoch);
  }
  CHECK(fit.method->finish(fit.state, &report, NULL, &error) == SQLITE_OK);
  double worst = 0, worst_bias = 0, z[16];
  size_t stride = (size_t)factors->stride;
  for (size_t user = 0; user < l.users; user++) {
    int there = sparse_row_length(&data->by_user, user) > 0;
    implicit_sum(&l, &data->by_user, user, z);
    for (size_t f = 0; f < l.rank; f++) {
      double expected = there ? l.p[user * l.rank + f] + z[f] : 0;
      worst = fmax(worst, fabs((double)factors->user[user * stride + f] - expected));
    }
    if (factors->user_bias) worst_bias = fmax(worst_bias, fabs((double)factors->user_bias[user] - l.user_bias[user]));
  }
  for (size_t item = 0; item < l.items; item++) {
    for (size_t f = 0; f < l.rank; f++)
      worst = fmax(worst, fabs((double)factors->item[item * stride + f] - l.q[item * l.rank + f]));
    if (factors->item_bias) worst_bias = fmax(worst_bias, fabs((double)factors->item_bias[item] - l.item_bias[item]));
  }
  CHECK_NEAR(worst, 0, 1e-5);
  CHECK_NEAR(worst_bias, 0, 1e-5);
  FactorizerReport expected = literal_report(&l, &data->by_user);
  CHECK_NEAR(report.loss / expected.loss, 1, 1e-5);
  CHECK_NEAR(report.train_rmse, expected.train_rmse, 1e-5);
  literal_free(&l);
  fit.method->destroy(fit.state);
  error_clear(&error);
}

static void test_literally(void) {
  Data data = make_data(40, 31, .3, 1), ones = make_data(20, 12, .5, 0);
  check_literally(&data, 1);
  check_literally(&data, 6);
  check_literally(&ones, 3);
  SvdppOptions before = options;
  options.start.biases = 0, options.start.mean = 0;
  check_literally(&data, 4);
  options = before;
  options.start.uniform = 1;
  options.start.rank = 16;
  Factors factors = fitted(&method, &data, 1, options.start.rank, 1, &(FactorizerReport){0});
  assert_int_equal(factors.rank, 16);
  factors_free(&factors);
  options = before;
  free_data(&data);
  free_data(&ones);
}

static void test_not_finite(void) {
  Data data = make_data(40, 31, .3, 1);
  Factorizer fit;
  Error error = {0};
  FactorizerReport report;
  SvdppOptions before = options;
  int done, code = SQLITE_OK;
  options.learning_rate = options.bias_rate = 100;
  assert_int_equal(create(&fit, &data, 1, options.start.rank, NULL, &error), SQLITE_OK);
  for (int epoch = 0; epoch < 20 && code == SQLITE_OK; epoch++)
    code = fit.method->epoch(fit.state, &report, &done, NULL, &error);
  assert_int_equal(code, SQLITE_ERROR);
  assert_true(error.message);
  assert_true(strstr(error.message, "no longer finite after epoch"));
  fit.method->destroy(fit.state);
  error_clear(&error);
  options = before;
  free_data(&data);
}

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_literally),
      TEST(test_not_finite),
      TEST_OF(check_finite_shapes, method),
      TEST_OF(check_levels, method),
      TEST_OF(check_memory, method),
      TEST_OF(check_cancel, method),
      TEST_OF(check_drawing, method),
      TEST_OF(check_not_finite, method),
      TEST_OF(check_threads, method),
      TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
