/* sgd.h: single steps by hand, and the promises of every factorizer. */
#include "factorizing.h"
#include "learn/sgd.h"

static SgdOptions options_of(int adaptive, int rank, int threads) {
  return (SgdOptions){.start = {.rank = rank, .biases = 1, .mean = 3, .init_scale = .7, .seed = 42, .threads = threads},
                      .penalty = {.02, .05},
                      .learning_rate = adaptive ? .1 : .01,
                      .adaptive = adaptive,
                      .unit = 1,
                      .decay = 1};
}

static int create_constant(Factorizer *fit, const Data *data, int threads, int rank, const Cancel *cancel,
                           Error *error) {
  SgdOptions options = options_of(0, rank, threads);
  return sgd_create(fit, &data->by_user, &options, cancel, error);
}

static int create_adaptive(Factorizer *fit, const Data *data, int threads, int rank, const Cancel *cancel,
                           Error *error) {
  SgdOptions options = options_of(1, rank, threads);
  options.start.biases = rank % 2; /* with and without, over the ranks */
  return sgd_create(fit, &data->by_user, &options, cancel, error);
}

/* Users and items in pairs, user u having rated item n-1-u only: no rating's step sees another's. */
static Data make_pairs(size_t n) {
  Data data = {0};
  CHECK(sparse_alloc(&data.by_user, n, n, n, 1) == SQLITE_OK);
  for (size_t u = 0; u < n; u++) {
    data.by_user.index[u] = (uint32_t)(n - 1 - u);
    data.by_user.value[u] = (float)(1 + u % 5);
    data.by_user.start[u + 1] = u + 1;
  }
  CHECK(sparse_transpose(&data.by_user, &data.by_item, 1, NULL) == SQLITE_OK);
  return data;
}

/* What is known of one pair while it learns, in double precision. */
typedef struct Pair {
  double p[8], q[8], user_bias, item_bias;
  double sum[2], bias_sum[2];
} Pair;

static Pair pair_of(const Factors *f, size_t user, size_t item, double unit) {
  Pair pair = {.sum = {pow(unit, 3), pow(unit, 3)}, .bias_sum = {unit * unit, unit * unit}};
  for (int lane = 0; lane < f->rank; lane++) {
    pair.p[lane] = (double)f->user[user * (size_t)f->stride + (size_t)lane];
    pair.q[lane] = (double)f->item[item * (size_t)f->stride + (size_t)lane];
  }
  if (f->user_bias) pair.user_bias = (double)f->user_bias[user], pair.item_bias = (double)f->item_bias[item];
  return pair;
}

/* One step, from the formulas at the top of sgd.c; returns the squared error before it. */
static double pair_step(Pair *pair, const SgdOptions *o, double value, int epoch) {
  double wrong = value - o->start.mean - pair->user_bias - pair->item_bias, square[2] = {0, 0};
  double rate = o->learning_rate * pow(o->decay, epoch), rates[4] = {rate, rate, rate, rate};
  int rank = o->start.rank;
  for (int lane = 0; lane < rank; lane++) wrong -= pair->p[lane] * pair->q[lane];
  if (o->adaptive)
    for (int s = 0; s < 2; s++) {
      rates[s] *= sqrt(o->unit) / sqrt(pair->sum[s]);
      rates[2 + s] *= o->unit / sqrt(pair->bias_sum[s]);
    }
  for (int lane = 0; lane < rank; lane++) {
    double p = pair->p[lane], q = pair->q[lane];
    double gradient[2] = {wrong * q - o->penalty.factors * p, wrong * p - o->penalty.factors * q};
    pair->p[lane] += rates[0] * gradient[0];
    pair->q[lane] += rates[1] * gradient[1];
    for (int s = 0; s < 2; s++) square[s] += gradient[s] * gradient[s];
  }
  for (int s = 0; s < 2; s++) {
    pair->sum[s] += square[s] / rank;
    pair->bias_sum[s] += wrong * wrong;
  }
  if (o->start.biases) {
    pair->user_bias += rates[2] * (wrong - o->penalty.biases * pair->user_bias);
    pair->item_bias += rates[3] * (wrong - o->penalty.biases * pair->item_bias);
  }
  return wrong * wrong;
}

static void check_pairs(SgdOptions options, size_t n) {
  Data data = make_pairs(n);
  Factorizer fit;
  Error error = {0};
  FactorizerReport report;
  int done;
  CHECK(sgd_create(&fit, &data.by_user, &options, NULL, &error) == SQLITE_OK);
  Pair *pairs = malloc(n * sizeof *pairs);
  const Factors *factors = fit.method->factors(fit.state);
  for (size_t u = 0; u < n; u++) pairs[u] = pair_of(factors, u, n - 1 - u, options.unit);
  for (int epoch = 0; epoch < 3; epoch++) {
    double squared = 0, worst = 0;
    for (size_t u = 0; u < n; u++) squared += pair_step(&pairs[u], &options, (double)data.by_user.value[u], epoch);
    CHECK(fit.method->epoch(fit.state, &report, &done, NULL, &error) == SQLITE_OK && !done);
    CHECK_NEAR(report.train_rmse, sqrt(squared / (double)n), 1e-5);
    factors = fit.method->factors(fit.state);
    for (size_t u = 0; u < n; u++) {
      Pair got = pair_of(factors, u, n - 1 - u, options.unit);
      for (int lane = 0; lane < options.start.rank; lane++)
        worst = fmax(worst, fmax(fabs(got.p[lane] - pairs[u].p[lane]), fabs(got.q[lane] - pairs[u].q[lane])));
      worst = fmax(worst, fabs(got.user_bias - pairs[u].user_bias) + fabs(got.item_bias - pairs[u].item_bias));
    }
    CHECK_NEAR(worst, 0, 2e-5);
  }
  free(pairs);
  fit.method->destroy(fit.state);
  free_data(&data);
}

static void test_steps(void) {
  for (int adaptive = 0; adaptive < 2; adaptive++) {
    SgdOptions options = options_of(adaptive, 7, 2);
    check_pairs(options, 50);
    options.start.biases = 0, options.start.uniform = 1, options.decay = .8, options.unit = 2.5;
    check_pairs(options, 50);
    options.start.biases = 1;
    check_pairs(options, 130000); /* more rows than a part may have, several parts */
  }
}

/* Factors begin with the mean and the deviation that they should, and differ with the seed. */
static void test_start(void) {
  Data data = make_pairs(5000);
  for (int uniform = 0; uniform < 2; uniform++) {
    SgdOptions options = options_of(1, 8, 2);
    options.start.uniform = uniform;
    Factorizer fit;
    Error error = {0};
    CHECK(sgd_create(&fit, &data.by_user, &options, NULL, &error) == SQLITE_OK);
    const Factors *f = fit.method->factors(fit.state);
    double sum = 0, square = 0, fourth = 0, n = 0;
    for (size_t row = 0; row < f->users; row++)
      for (int lane = 0; lane < 8; lane++, n++) {
        double x = (double)f->user[row * 16 + (size_t)lane] / (.7 / sqrt(8));
        sum += x, square += x * x, fourth += x * x * x * x;
      }
    CHECK_NEAR(sum / n, 0, .02);
    CHECK_NEAR(square / n, 1, .03);
    CHECK_NEAR(fourth / n, uniform ? 1.8 : 3, .12);
    CHECK(memcmp(f->user, f->item, f->users * 16 * sizeof(float)) != 0);
    float first = f->user[0];
    fit.method->destroy(fit.state);
    options.start.seed = 43;
    CHECK(sgd_create(&fit, &data.by_user, &options, NULL, &error) == SQLITE_OK);
    CHECK(fit.method->factors(fit.state)->user[0] != first);
    fit.method->destroy(fit.state);
  }
  free_data(&data);
}

/* Ratings ten times as large, with the unit, and the penalties as they scale: the same model ten times as large. */
static void test_unit(void) {
  Data data = make_data(75, 43, .3, 1);
  Factors factors[2];
  for (int scaled = 0; scaled < 2; scaled++) {
    double scale = scaled ? 10 : 1;
    SgdOptions options = options_of(1, 5, 1);
    options.start.mean *= scale, options.start.init_scale *= sqrt(scale), options.unit = scale;
    options.penalty.factors *= scale;
    for (size_t e = 0; scaled && e < data.by_user.start[75]; e++) data.by_user.value[e] *= 10;
    Factorizer fit;
    Error error = {0};
    FactorizerReport report;
    int done;
    CHECK(sgd_create(&fit, &data.by_user, &options, NULL, &error) == SQLITE_OK);
    for (int epoch = 0; epoch < 5; epoch++) fit.method->epoch(fit.state, &report, &done, NULL, &error);
    fit.method->take(fit.state, &factors[scaled]);
    fit.method->destroy(fit.state);
  }
  double worst = 0;
  for (size_t u = 0; u < 75; u++)
    for (size_t i = 0; i < 43; i++)
      worst = fmax(worst,
                   fabs((double)factors_predict(&factors[1], u, i) / 10 - (double)factors_predict(&factors[0], u, i)));
  CHECK_NEAR(worst, 0, 1e-3);
  factors_free(&factors[0]);
  factors_free(&factors[1]);
  free_data(&data);
}

static const Method constant = {create_constant, {.02, .05}, 5, 1}, adaptive = {create_adaptive, {.02, .05}, 5, 1};

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_steps),   TEST(test_start),   TEST(test_unit),
      PROMISES(constant), PROMISES(adaptive), TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
