/* adam.h: against Adam that goes through every row in every step, and the promises of every factorizer. */
#include "factorizing.h"
#include "learn/adam.h"

static AdamOptions options_of(int rank, int threads, int batch_size) {
  return (AdamOptions){
      .start = {.rank = rank, .biases = 1, .mean = 3, .init_scale = .7, .seed = 42, .threads = threads},
      .penalty = {.02, .05},
      .learning_rate = .01,
      .decay = 1,
      .batch_size = batch_size};
}

static int create(Factorizer *fit, const Data *data, int threads, int rank, const Cancel *cancel, Error *error) {
  AdamOptions options = options_of(rank, threads, 40);
  options.start.biases = rank % 2;
  return adam_create(fit, &data->by_user, &options, cancel, error);
}

static int create_large(Factorizer *fit, const Data *data, int threads, int rank, const Cancel *cancel, Error *error) {
  AdamOptions options = options_of(rank, threads, 10000); /* large enough for threads */
  return adam_create(fit, &data->by_user, &options, cancel, error);
}

/* ---- dense Adam, in double precision ----------------------------------------------------------------------------- */

enum { RANK = 2, USERS = 3, ITEMS = 3, UNKNOWNS = (USERS + ITEMS) * (RANK + 1), RATINGS = 4, EPOCHS = 4 };

/* Rows of users, then of items; the last unknown of each is its bias. */
typedef struct Dense {
  double x[UNKNOWNS], m[UNKNOWNS], v[UNKNOWNS];
  int step;
} Dense;

static void gradient_of(const Dense *dense, const AdamOptions *o, size_t user, size_t item, double value, double *g) {
  const double *p = dense->x + user * (RANK + 1), *q = dense->x + (USERS + item) * (RANK + 1);
  double wrong = value - o->start.mean - p[RANK] - q[RANK];
  for (int i = 0; i < RANK; i++) wrong -= p[i] * q[i];
  for (int i = 0; i <= RANK; i++) {
    double penalty = i < RANK ? o->penalty.factors : o->penalty.biases;
    g[user * (RANK + 1) + (size_t)i] += -wrong * (i < RANK ? q[i] : 1) + penalty * p[i];
    g[(USERS + item) * (RANK + 1) + (size_t)i] += -wrong * (i < RANK ? p[i] : 1) + penalty * q[i];
  }
}

static void dense_step(Dense *dense, double rate, const double *g) {
  double t = ++dense->step, mean = 1 - pow(.9, t), square = 1 - pow(.999, t);
  for (int i = 0; i < UNKNOWNS; i++) {
    dense->m[i] = .9 * dense->m[i] + .1 * g[i];
    dense->v[i] = .999 * dense->v[i] + .001 * g[i] * g[i];
    dense->x[i] -= rate * (dense->m[i] / mean) / (sqrt(dense->v[i] / square) + 1e-8);
  }
}

static void dense_from(Dense *dense, const Factors *f) {
  *dense = (Dense){0};
  for (size_t row = 0; row < USERS + ITEMS; row++) {
    const float *x = row < USERS ? f->user + row * 16 : f->item + (row - USERS) * 16;
    for (int i = 0; i < RANK; i++) dense->x[row * (RANK + 1) + (size_t)i] = (double)x[i];
    dense->x[row * (RANK + 1) + RANK] = (double)(row < USERS ? f->user_bias[row] : f->item_bias[row - USERS]);
  }
}

static double distance(const Dense *dense, const Factors *f) {
  Dense other;
  double worst = 0;
  dense_from(&other, f);
  for (int i = 0; i < UNKNOWNS; i++) worst = fmax(worst, fabs(dense->x[i] - other.x[i]));
  return worst;
}

/* Four ratings among three users and three items, so that every batch leaves rows alone. */
static const uint32_t user_of[RATINGS] = {0, 1, 2, 2}, item_of[RATINGS] = {0, 0, 1, 2};
static const float value_of[RATINGS] = {5, 2, 1, 4};

static Data make_four(void) {
  Data data = {0};
  CHECK(sparse_alloc(&data.by_user, USERS, ITEMS, RATINGS, 1) == SQLITE_OK);
  for (size_t e = 0; e < RATINGS; e++) {
    data.by_user.index[e] = item_of[e];
    data.by_user.value[e] = value_of[e];
    data.by_user.start[user_of[e] + 1] = e + 1;
  }
  CHECK(sparse_transpose(&data.by_user, &data.by_item, 1, NULL) == SQLITE_OK);
  return data;
}

/* The epoch's order is drawn: of all orders in which dense Adam could have gone from the state before, one must lead to
 * what the epoch led to. Leaves the dense state there. */
static double nearest_order(Dense *dense, const AdamOptions *options, double rate, const Factors *now) {
  double best = INFINITY;
  Dense nearest = *dense;
  for (int order = 0; order < 256; order++) {
    const int place[RATINGS] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6};
    int used = 0;
    for (int k = 0; k < RATINGS; k++) used |= 1 << place[k];
    if (used != 15) continue;
    Dense trial = *dense;
    for (int k = 0; k < RATINGS; k++) {
      double g[UNKNOWNS] = {0};
      gradient_of(&trial, options, user_of[place[k]], item_of[place[k]], (double)value_of[place[k]], g);
      dense_step(&trial, rate, g);
    }
    double far = distance(&trial, now);
    if (far < best) {
      best = far;
      nearest = trial;
    }
  }
  *dense = nearest;
  return best;
}

static void test_dense(void) {
  Data data = make_four();
  AdamOptions options = options_of(RANK, 1, 1);
  Factorizer fit;
  Error error = {0};
  FactorizerReport report;
  Dense dense;
  int done;
  assert_int_equal(adam_create(&fit, &data.by_user, &options, NULL, &error), SQLITE_OK);
  dense_from(&dense, fit.method->factors(fit.state));
  for (int epoch = 0; epoch < 200; epoch++) {
    CHECK(fit.method->epoch(fit.state, &report, &done, NULL, &error) == SQLITE_OK && !done);
    CHECK_NEAR(nearest_order(&dense, &options, options.learning_rate, fit.method->factors(fit.state)), 0, 1e-4);
  }
  fit.method->destroy(fit.state);
  free_data(&data);
}

/* All ratings in one batch: their mean gradient, and a rate that falls. */
static void test_one_batch(void) {
  Data data = make_four();
  AdamOptions options = options_of(RANK, 2, 1000);
  options.decay = .9;
  Factorizer fit;
  Error error = {0};
  FactorizerReport report;
  Dense dense;
  int done;
  assert_int_equal(adam_create(&fit, &data.by_user, &options, NULL, &error), SQLITE_OK);
  dense_from(&dense, fit.method->factors(fit.state));
  for (int epoch = 0; epoch < 50; epoch++) {
    double g[UNKNOWNS] = {0};
    for (int e = 0; e < RATINGS; e++) gradient_of(&dense, &options, user_of[e], item_of[e], (double)value_of[e], g);
    for (int i = 0; i < UNKNOWNS; i++) g[i] /= RATINGS;
    dense_step(&dense, .01 * pow(.9, epoch), g);
    CHECK(fit.method->epoch(fit.state, &report, &done, NULL, &error) == SQLITE_OK);
    CHECK_NEAR(distance(&dense, fit.method->factors(fit.state)), 0, 2e-5);
  }
  fit.method->destroy(fit.state);
  free_data(&data);
}

/* It learns: the same from a batch of any size, in as many epochs as that takes. */
static void test_learns(void) {
  Data data = make_data(75, 43, .3, 1);
  for (int size = 1; size < 1000; size *= 10) {
    AdamOptions options = options_of(4, 1, size);
    Factorizer fit;
    Error error = {0};
    FactorizerReport report = {0};
    int done;
    CHECK(adam_create(&fit, &data.by_user, &options, NULL, &error) == SQLITE_OK);
    for (int epoch = 0; epoch < 30 + size; epoch++) fit.method->epoch(fit.state, &report, &done, NULL, &error);
    CHECK(report.train_rmse < .6);
    fit.method->destroy(fit.state);
  }
  free_data(&data);
}

static const Method small_batches = {create, {.02, .05}, 100, 1}, large_batches = {create_large, {.02, .05}, 20, 1};

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_dense),        TEST(test_one_batch),    TEST(test_learns),
      PROMISES(small_batches), PROMISES(large_batches), TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
