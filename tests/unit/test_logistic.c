/* logistic.h: its kernel against the formulas in double precision, and what it learns. What it learns from is looked at
 * in test_bpr.c. */
#include "factorizing.h"
#include "learn/logistic.h"

static SampledOptions options = {
    .start = {.rank = 9, .biases = 1, .init_scale = .3, .seed = 21},
    .penalty = {.factors = .01, .biases = .01},
    .learning_rate = .2,
    .decay = 1,
    .negatives = 3,
    .alpha = 1,
};

static int create(Factorizer *factorizer, const Data *data, int threads, int rank, const Cancel *cancel, Error *error) {
  SampledOptions now = options;
  now.start.threads = threads;
  now.start.rank = rank;
  return logistic_create(factorizer, &data->by_user, &now, cancel, error);
}

static const Method method = {.create = create, .least_polls = 5};

/* ---- the kernel -------------------------------------------------------------------------------------------------- */

enum { ROWS = 7, STEPS = 300 };

typedef struct Side {
  double x[ROWS][64], bias[ROWS], sum[ROWS], bias_sum[ROWS];
} Side;

static double step_of(double rate, double *sum, double square) {
  double now = rate / sqrt(*sum);
  *sum += square;
  return now;
}

static double literal_step(Side *users, Side *items, const Sample *sample, const SampledStep *step, int rank,
                           int biases) {
  size_t u = sample->user, i = sample->item;
  double *p = users->x[u], *q = items->x[i], x = 0, sizes[2] = {0, 0};
  for (int f = 0; f < rank; f++) x += p[f] * q[f], sizes[0] += q[f] * q[f], sizes[1] += p[f] * p[f];
  if (biases) x += users->bias[u] + items->bias[i];
  double weight = (double)sample->with.weight, chance = 1 / (1 + exp(-x)), rate = (double)step->rate;
  double loss = weight > 0 ? -weight * log(chance) : -log(1 - chance);
  double s = weight > 0 ? weight * (1 - chance) : -chance;
  double rate_p = step_of(rate, &users->sum[u], s * s * sizes[0] / rank);
  double rate_q = step_of(rate, &items->sum[i], s * s * sizes[1] / rank);
  if (biases) {
    double shrink = (double)step->bias_regularization;
    users->bias[u] += step_of(rate, &users->bias_sum[u], s * s) * (s - shrink * users->bias[u]);
    items->bias[i] += step_of(rate, &items->bias_sum[i], s * s) * (s - shrink * items->bias[i]);
  }
  for (int f = 0; f < rank; f++) {
    double a = p[f], b = q[f];
    p[f] += rate_p * (s * b - (double)step->regularization * a);
    q[f] += rate_q * (s * a - (double)step->regularization * b);
  }
  return loss;
}

static double worst_of(const Side *side, const float *x, const float *bias, int rank, size_t stride) {
  double worst = 0;
  for (size_t row = 0; row < ROWS; row++) {
    for (int f = 0; f < rank; f++) worst = fmax(worst, fabs(side->x[row][f] - (double)x[row * stride + (size_t)f]));
    if (bias) worst = fmax(worst, fabs(side->bias[row] - (double)bias[row]));
  }
  return worst;
}

static void check_kernel(int rank, int biases) {
  Factors f;
  Side users = {0}, items = {0};
  SampledRow user_row[ROWS], item_row[ROWS];
  Sample samples[STEPS];
  CHECK(factors_alloc(&f, ROWS, ROWS, rank, biases) == SQLITE_OK);
  for (size_t row = 0; row < ROWS; row++) {
    user_row[row] = item_row[row] = (SampledRow){1, 1};
    users.sum[row] = users.bias_sum[row] = items.sum[row] = items.bias_sum[row] = 1;
    descent_draw(f.user + row * (size_t)f.stride, rank, .5, 0, 1, row);
    descent_draw(f.item + row * (size_t)f.stride, rank, .5, 0, 2, row);
    for (int k = 0; k < rank; k++) {
      users.x[row][k] = (double)f.user[row * (size_t)f.stride + (size_t)k];
      items.x[row][k] = (double)f.item[row * (size_t)f.stride + (size_t)k];
    }
  }
  for (size_t k = 0; k < STEPS; k++) {
    samples[k] =
        (Sample){.user = (uint32_t)(random_uniform(5, k) * ROWS), .item = (uint32_t)(random_uniform(3, k) * ROWS)};
    samples[k].with.weight = k % 3 ? -1 : 1 + (float)(k % 5);
  }
  SampledSide user_side = {f.user, f.user_bias, user_row}, item_side = {f.item, f.item_bias, item_row};
  SampledStep step = {.1F, .02F, .03F, 1 / (float)rank, (size_t)f.stride};
  double expected = 0, loss = sampled_kernels()->cells(samples, STEPS, &user_side, &item_side, &step);
  for (size_t k = 0; k < STEPS; k++) expected += literal_step(&users, &items, &samples[k], &step, rank, biases);
  CHECK_NEAR(loss / expected, 1, 1e-5);
  CHECK_NEAR(worst_of(&users, f.user, f.user_bias, rank, (size_t)f.stride), 0, 1e-5);
  CHECK_NEAR(worst_of(&items, f.item, f.item_bias, rank, (size_t)f.stride), 0, 1e-5);
  for (size_t row = 0; row < ROWS; row++) {
    CHECK_NEAR((double)user_row[row].sum / users.sum[row], 1, 1e-4);
    CHECK_NEAR((double)item_row[row].sum / items.sum[row], 1, 1e-4);
  }
  factors_free(&f);
}

static void test_kernel(void) {
  const char *levels[] = {"generic", "avx2", "avx512"};
  const int ranks[] = {1, 16, 20, 40, 64};
  for (int level = 0; level < 3; level += 1 + SANITIZED) {
    setenv("RECOMMEND_SIMD", levels[level], 1);
    for (int r = 0; r < 5; r++)
      for (int biases = 0; biases < 2; biases++) check_kernel(ranks[r], biases);
  }
  unsetenv("RECOMMEND_SIMD");
}

/* What users have comes out likelier than what they have not, the more so the more it weighs. */
static void test_learns(void) {
  Data data = make_data(60, 40, .25, 1);
  FactorizerReport report;
  double gap[2];
  for (int heavy = 0; heavy < 2; heavy++) {
    double sum[2] = {0, 0}, count[2] = {0, 0};
    options.alpha = heavy * 10;
    Factors f = fitted(&method, &data, 2, options.start.rank, 40, &report);
    for (size_t user = 0; user < 60; user++)
      for (size_t item = 0; item < 40; item++) {
        int there = has(&data.by_user, user, item);
        sum[there] += (double)factors_predict(&f, user, item);
        count[there]++;
      }
    gap[heavy] = sum[1] / count[1];
    CHECK(sum[1] / count[1] > sum[0] / count[0] + 2);
    factors_free(&f);
  }
  assert_true(gap[1] > gap[0]);
  options.alpha = 1;
  free_data(&data);
}

static void test_not_finite(void) {
  Data data = make_data(60, 40, .25, 1);
  Error error = {0};
  Factorizer fit;
  FactorizerReport report;
  int done;
  for (size_t e = 0; e < data.by_user.start[60]; e++) data.by_user.value[e] = 3e38F;
  options.alpha = 10;
  assert_int_equal(create(&fit, &data, 1, options.start.rank, NULL, &error), SQLITE_OK);
  assert_int_equal(fit.method->epoch(fit.state, &report, &done, NULL, &error), SQLITE_ERROR);
  assert_true(error.message);
  assert_true(strstr(error.message, "no longer finite after epoch 1"));
  fit.method->destroy(fit.state);
  error_clear(&error);
  options.alpha = 1;
  free_data(&data);
}

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_kernel),
      TEST(test_learns),
      TEST(test_not_finite),
      TEST_OF(check_finite_shapes, method),
      TEST_OF(check_levels, method),
      TEST_OF(check_memory, method),
      TEST_OF(check_cancel, method),
      TEST_OF(check_drawing, method),
      TEST_OF(check_threads, method),
      TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
