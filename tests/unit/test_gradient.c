/* gradient.h: steps against differences of the loss, and the promises of every factorizer. */
#include "factorizing.h"
#include "learn/gradient.h"

static GradientOptions options_of(int rank, int threads) {
  return (GradientOptions){
      .start = {.rank = rank, .biases = 1, .mean = 3, .init_scale = .7, .seed = 42, .threads = threads},
      .penalty = {.02, .05},
      .learning_rate = 1e-3,
      .decay = 1};
}

static int create(Factorizer *fit, const Data *data, int threads, int rank, const Cancel *cancel, Error *error) {
  GradientOptions options = options_of(rank, threads);
  options.momentum = .5;
  options.start.biases = rank % 2;
  return gradient_create(fit, &data->by_user, &data->by_item, &options, cancel, error);
}

static Factors copy_of(const Factors *f) {
  Factors copy;
  CHECK(factors_alloc(&copy, f->users, f->items, f->rank, f->user_bias != NULL) == SQLITE_OK);
  copy.mean = f->mean;
  memcpy(copy.user, f->user, f->users * (size_t)f->stride * sizeof(float));
  memcpy(copy.item, f->item, f->items * (size_t)f->stride * sizeof(float));
  memcpy(copy.user_bias, f->user_bias, f->users * sizeof(float));
  memcpy(copy.item_bias, f->item_bias, f->items * sizeof(float));
  return copy;
}

/* Every unknown's address, in all of them alike. */
static float *unknown(const Factors *f, size_t number) {
  size_t user = f->users * (size_t)f->stride, item = f->items * (size_t)f->stride;
  if (number < user) return &f->user[number];
  if (number < user + item) return &f->item[number - user];
  if (number < user + item + f->users) return &f->user_bias[number - user - item];
  return &f->item_bias[number - user - item - f->users];
}

/* ½ ∂L/∂x by central differences; the loss is quadratic in each unknown, so that they are exact but for rounding. */
static double slope(const Data *data, Factors *f, const DescentPenalty *penalty, size_t number) {
  float *x = unknown(f, number), was = *x;
  double loss[2], at[2];
  for (int side = 0; side < 2; side++) {
    *x = was + (side ? .125f : -.125f);
    at[side] = (double)*x;
    loss[side] = loss_of(data, f, penalty).loss;
  }
  *x = was;
  return (loss[1] - loss[0]) / (at[1] - at[0]) / 2;
}

static void check_steps(double momentum, double decay) {
  Data data = make_data(15, 12, .4, 1);
  GradientOptions options = options_of(3, 2);
  options.momentum = momentum;
  options.decay = decay;
  Factorizer fit;
  Error error = {0};
  FactorizerReport report;
  int done;
  CHECK(gradient_create(&fit, &data.by_user, &data.by_item, &options, NULL, &error) == SQLITE_OK);
  const Factors *now = fit.method->factors(fit.state);
  Factors before = copy_of(now), earlier = copy_of(now);
  size_t unknowns = (before.users + before.items) * ((size_t)before.stride + 1);
  for (int epoch = 0; epoch < 3; epoch++) {
    CHECK(fit.method->epoch(fit.state, &report, &done, NULL, &error) == SQLITE_OK && !done);
    for (size_t number = 0; number < unknowns; number++) {
      if (*unknown(&before, number) == 0 && *unknown(now, number) == 0) continue;
      double was = (double)*unknown(&before, number), step = (double)*unknown(now, number) - was;
      double rate = options.learning_rate * pow(decay, epoch);
      double expected = momentum * (was - (double)*unknown(&earlier, number)) -
                        rate * slope(&data, &before, &options.penalty, number);
      CHECK_NEAR(step, expected, 1e-6 + 1e-3 * fabs(expected));
    }
    factors_free(&earlier);
    earlier = before;
    before = copy_of(now);
  }
  factors_free(&earlier);
  factors_free(&before);
  fit.method->destroy(fit.state);
  free_data(&data);
}

static void test_plain_steps(void) { check_steps(0, 1); }
static void test_momentum_steps(void) { check_steps(.7, 1); }

/* With the default rate and no momentum the loss falls with every epoch. */
static void test_falls(void) {
  Data data = make_data(200, 100, .3, 1);
  GradientOptions options = options_of(8, 2);
  options.learning_rate = gradient_default_rate(&data.by_user, &data.by_item, 1);
  CHECK_NEAR(options.learning_rate, 1 / (2. * (double)sparse_row_length(&data.by_item, 1)), 1e-12);
  Factorizer fit;
  Error error = {0};
  FactorizerReport report;
  double last = INFINITY, first = 0;
  int done;
  assert_int_equal(gradient_create(&fit, &data.by_user, &data.by_item, &options, NULL, &error), SQLITE_OK);
  for (int epoch = 0; epoch < 200; epoch++) {
    CHECK(fit.method->epoch(fit.state, &report, &done, NULL, &error) == SQLITE_OK);
    CHECK(report.loss < last);
    last = report.loss;
    if (epoch == 0) first = last;
  }
  assert_true(last < .8 * first);
  fit.method->destroy(fit.state);
  free_data(&data);
}

static const Method gradient = {create, {.02, .05}, 3, 1};

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_plain_steps), TEST(test_momentum_steps),  TEST(test_falls),
      PROMISES(gradient),     TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
