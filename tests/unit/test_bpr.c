/* bpr.h: its kernel against the formulas in double precision; and sampled.h, whose samples are looked at one by one:
 * each item that a user has comes as often as was asked for, never beside another that they have, and the items beside
 * it are drawn evenly. */
#include "factorizing.h"
#include "learn/bpr.h"

static SampledOptions options = {
    .start = {.rank = 9, .biases = 1, .init_scale = .3, .seed = 21},
    .penalty = {.factors = .02, .biases = .05},
    .learning_rate = .2,
    .decay = .9,
    .negatives = 2,
};

static int create(Factorizer *factorizer, const Data *data, int threads, int rank, const Cancel *cancel, Error *error) {
  SampledOptions now = options;
  now.start.threads = threads;
  now.start.rank = rank;
  return bpr_create(factorizer, &data->by_user, &now, cancel, error);
}

static const Method method = {.create = create, .least_polls = 5};

/* ---- the kernel -------------------------------------------------------------------------------------------------- */

enum { USERS = 6, ITEMS = 8, STEPS = 300 };

typedef struct Literal {
  double user[USERS][64], item[ITEMS][64], bias[ITEMS], user_sum[USERS], item_sum[ITEMS], bias_sum[ITEMS];
} Literal;

static double step_of(double rate, double *sum, double square) {
  double now = rate / sqrt(*sum);
  *sum += square;
  return now;
}

static double literal_step(Literal *l, const Sample *sample, const SampledStep *step, int rank, int biases) {
  double *p = l->user[sample->user], *q = l->item[sample->item], *r = l->item[sample->with.other];
  double x = 0, size = 0, difference = 0;
  double *bias = &l->bias[sample->item], *other = &l->bias[sample->with.other];
  for (int f = 0; f < rank; f++) {
    x += p[f] * (q[f] - r[f]);
    size += p[f] * p[f];
    difference += (q[f] - r[f]) * (q[f] - r[f]);
  }
  if (biases) x += *bias - *other;
  double loss = log(1 + exp(-x)), s = 1 / (1 + exp(x)), rate = (double)step->rate;
  double shrink = (double)step->regularization, bias_shrink = (double)step->bias_regularization;
  double rate_p = step_of(rate, &l->user_sum[sample->user], s * s * difference / rank);
  double rate_q = step_of(rate, &l->item_sum[sample->item], s * s * size / rank);
  double rate_r = step_of(rate, &l->item_sum[sample->with.other], s * s * size / rank);
  if (biases) {
    *bias += step_of(rate, &l->bias_sum[sample->item], s * s) * (s - bias_shrink * *bias);
    *other += step_of(rate, &l->bias_sum[sample->with.other], s * s) * (-s - bias_shrink * *other);
  }
  for (int f = 0; f < rank; f++) {
    double a = p[f], b = q[f], c = r[f];
    p[f] += rate_p * (s * (b - c) - shrink * a);
    q[f] += rate_q * (s * a - shrink * b);
    r[f] += rate_r * (-s * a - shrink * c);
  }
  return loss;
}

static void check_kernel(int rank, int biases) {
  Factors f;
  Literal l = {0};
  SampledRow user_row[USERS], item_row[ITEMS];
  Sample samples[STEPS];
  CHECK(factors_alloc(&f, USERS, ITEMS, rank, biases) == SQLITE_OK);
  for (size_t u = 0; u < USERS; u++) {
    user_row[u] = (SampledRow){1, 1}, l.user_sum[u] = 1;
    descent_draw(f.user + u * (size_t)f.stride, rank, .5, 0, 1, u);
    for (int k = 0; k < rank; k++) l.user[u][k] = (double)f.user[u * (size_t)f.stride + (size_t)k];
  }
  for (size_t i = 0; i < ITEMS; i++) {
    item_row[i] = (SampledRow){1, 1}, l.item_sum[i] = l.bias_sum[i] = 1;
    descent_draw(f.item + i * (size_t)f.stride, rank, .5, 0, 2, i);
    for (int k = 0; k < rank; k++) l.item[i][k] = (double)f.item[i * (size_t)f.stride + (size_t)k];
  }
  for (size_t k = 0; k < STEPS; k++) {
    uint32_t item = (uint32_t)(random_uniform(3, k) * ITEMS),
             ahead = 1 + (uint32_t)(random_uniform(4, k) * (ITEMS - 1));
    samples[k] = (Sample){.user = (uint32_t)(random_uniform(5, k) * USERS), .item = item};
    samples[k].with.other = (item + ahead) % ITEMS;
  }
  SampledSide users = {f.user, f.user_bias, user_row}, items = {f.item, f.item_bias, item_row};
  SampledStep step = {.1F, .02F, .03F, 1 / (float)rank, (size_t)f.stride};
  double expected = 0, loss = sampled_kernels()->pairs(samples, STEPS, &users, &items, &step), worst = 0;
  for (size_t k = 0; k < STEPS; k++) expected += literal_step(&l, &samples[k], &step, rank, biases);
  CHECK_NEAR(loss / expected, 1, 1e-5);
  for (size_t i = 0; i < ITEMS; i++) {
    for (int k = 0; k < rank; k++)
      worst = fmax(worst, fabs(l.item[i][k] - (double)f.item[i * (size_t)f.stride + (size_t)k]));
    if (biases) worst = fmax(worst, fabs(l.bias[i] - (double)f.item_bias[i]));
    CHECK_NEAR((double)item_row[i].sum / l.item_sum[i], 1, 1e-4);
  }
  for (size_t u = 0; u < USERS; u++) {
    for (int k = 0; k < rank; k++)
      worst = fmax(worst, fabs(l.user[u][k] - (double)f.user[u * (size_t)f.stride + (size_t)k]));
    CHECK_NEAR((double)user_row[u].sum / l.user_sum[u], 1, 1e-4);
    if (biases) CHECK(f.user_bias[u] == 0);
  }
  CHECK_NEAR(worst, 0, 1e-5);
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

/* ---- the samples ------------------------------------------------------------------------------------------------- */

static Sample *seen;
static size_t seen_count;

/* In place of a kernel: only looks. Every sample's loss is 1. */
static double look(const Sample *samples, size_t count, const SampledSide *users, const SampledSide *items,
                   const SampledStep *step) {
  (void)users, (void)items, (void)step;
  memcpy(seen + seen_count, samples, count * sizeof *samples);
  seen_count += count;
  return (double)count;
}

static void epoch_seen(const Data *data, int pairs, double alpha, int negatives, int epochs) {
  Factorizer fit;
  Error error = {0};
  FactorizerReport report;
  SampledOptions now = options;
  int done;
  now.start.threads = 1;
  now.penalty = (DescentPenalty){0, 0};
  now.pairs = pairs, now.alpha = alpha, now.negatives = negatives;
  seen = calloc((data->by_user.start[data->by_user.rows] * (size_t)(negatives + 1) + 1) * (size_t)epochs, sizeof *seen);
  seen_count = 0;
  CHECK(sampled_create(&fit, &data->by_user, look, &now, NULL, &error) == SQLITE_OK);
  for (int epoch = 0; epoch < epochs; epoch++)
    CHECK(fit.method->epoch(fit.state, &report, &done, NULL, &error) == SQLITE_OK);
  if (seen_count > 0) CHECK_NEAR(report.loss, 1, 1e-12);
  fit.method->destroy(fit.state);
}

/* Every entry `times` times with something that the user has not. */
static void check_pairs(const Data *data, int negatives) {
  const SparseMatrix *by_user = &data->by_user;
  size_t entries = by_user->start[by_user->rows], wrong = 0;
  int *times = calloc(entries + 1, sizeof *times);
  epoch_seen(data, 1, 0, negatives, 1);
  for (size_t k = 0; k < seen_count; k++) {
    const Sample *sample = &seen[k];
    size_t at = SIZE_MAX;
    for (size_t e = by_user->start[sample->user]; e < by_user->start[sample->user + 1]; e++)
      if (by_user->index[e] == sample->item) at = e;
    wrong += at == SIZE_MAX || has(by_user, sample->user, sample->with.other) || sample->with.other >= by_user->columns;
    if (at != SIZE_MAX) times[at]++;
  }
  CHECK(wrong == 0);
  for (size_t e = 0; e < entries; e++) wrong += times[e] != negatives;
  CHECK(wrong == 0);
  free(times);
  free(seen);
}

/* Each entry once, with its weight, and so many that the user has not. */
static void check_cells(const Data *data, int negatives, double alpha) {
  const SparseMatrix *by_user = &data->by_user;
  size_t wrong = 0, positives = 0;
  epoch_seen(data, 0, alpha, negatives, 1);
  for (size_t k = 0; k < seen_count; k++) {
    const Sample *sample = &seen[k];
    double weight = -1;
    for (size_t e = by_user->start[sample->user]; e < by_user->start[sample->user + 1]; e++)
      if (by_user->index[e] == sample->item) weight = 1 + alpha * entry_value(by_user, e);
    positives += weight > 0;
    wrong += fabs(weight - (double)sample->with.weight) > 1e-6;
  }
  CHECK(wrong == 0);
  CHECK(positives == by_user->start[by_user->rows]);
  CHECK(seen_count == positives * (size_t)(1 + negatives));
  free(seen);
}

/* How often each item is drawn, against even chances among what the users have not. */
static void check_even(const Data *data) {
  const SparseMatrix *by_user = &data->by_user;
  enum { EPOCHS = 40, NEGATIVES = 3 };
  size_t items = by_user->columns;
  double *expected = calloc(items, sizeof *expected), *drawn = calloc(items, sizeof *drawn), worst = 0;
  epoch_seen(data, 1, 0, NEGATIVES, EPOCHS);
  for (size_t k = 0; k < seen_count; k++) drawn[seen[k].with.other]++;
  for (size_t user = 0; user < by_user->rows; user++) {
    double n = (double)sparse_row_length(by_user, user);
    for (size_t item = 0; item < items; item++)
      if (!has(by_user, user, item)) expected[item] += n * NEGATIVES * EPOCHS / ((double)items - n);
  }
  for (size_t item = 0; item < items; item++) worst = fmax(worst, fabs(drawn[item] / expected[item] - 1));
  CHECK(worst < .15);
  free(expected);
  free(drawn);
  free(seen);
}

static void test_samples(void) {
  Data small = make_data(40, 31, .3, 1), large = make_data(700, 300, .1, 1), ones = make_data(30, 20, .4, 0);
  check_pairs(&small, 1);
  check_pairs(&small, 5);
  check_pairs(&large, 3); /* several parts, of users and of items */
  check_cells(&small, 3, .5);
  check_cells(&large, 4, 2);
  check_cells(&ones, 1, 0);
  check_even(&large);
  free_data(&small);
  free_data(&large);
  free_data(&ones);
  /* Who has everything teaches nothing, and does not make others wait. */
  Data all = {0};
  assert_int_equal(sparse_alloc(&all.by_user, 2, 30, 31, 0), SQLITE_OK);
  for (uint32_t item = 0; item < 30; item++) all.by_user.index[item] = item;
  all.by_user.index[30] = 4;
  all.by_user.start[1] = 30, all.by_user.start[2] = 31;
  epoch_seen(&all, 1, 0, 4, 1);
  assert_int_equal(seen_count, 4);
  for (size_t k = 0; k < seen_count; k++) CHECK(seen[k].user == 1 && seen[k].item == 4 && seen[k].with.other != 4);
  free(seen);
  free_data(&all);
}

/* Users in two groups whose items are others: what they have comes out above what the other group has. */
static void test_learns(void) {
  Data data = {0};
  size_t entries = 0;
  assert_int_equal(sparse_alloc(&data.by_user, 60, 40, 60 * 10, 0), SQLITE_OK);
  for (size_t user = 0; user < 60; user++) {
    for (uint32_t item = 0; item < 40; item++)
      if (item / 20 == user % 2 && (item + user / 2) % 2 == 0) data.by_user.index[entries++] = item;
    data.by_user.start[user + 1] = entries;
  }
  FactorizerReport first, last;
  Factors f = fitted(&method, &data, 1, options.start.rank, 1, &first);
  factors_free(&f);
  f = fitted(&method, &data, 2, options.start.rank, 60, &last);
  assert_true(last.loss < first.loss / 2);
  assert_true(isnan(last.train_rmse));
  size_t right = 0, cells = 0;
  for (size_t user = 0; user < 60; user++)
    for (size_t item = 0; item < 20; item++) {
      size_t own = item + 20 * (user % 2), other = item + 20 * (1 - user % 2);
      if (!has(&data.by_user, user, own)) continue;
      right += factors_predict(&f, user, own) > factors_predict(&f, user, other);
      cells++;
    }
  assert_true(right == cells);
  factors_free(&f);
  free_data(&data);
}

static void test_penalty(void) {
  Data data = make_data(40, 31, .3, 1);
  Factorizer fit;
  Error error = {0};
  FactorizerReport report;
  SampledOptions now = options;
  int done;
  now.start.threads = 1, now.pairs = 1;
  seen = calloc(data.by_user.start[40] * 2 + 1, sizeof *seen);
  seen_count = 0;
  assert_int_equal(sampled_create(&fit, &data.by_user, look, &now, NULL, &error), SQLITE_OK);
  assert_int_equal(fit.method->epoch(fit.state, &report, &done, NULL, &error), SQLITE_OK);
  const Factors *f = fit.method->factors(fit.state);
  double sum = 0, entries = (double)data.by_user.start[40];
  for (size_t user = 0; user < 40; user++)
    for (size_t e = data.by_user.start[user]; e < data.by_user.start[user + 1]; e++)
      for (size_t k = 0; k < (size_t)f->stride; k++) {
        double others = 0;
        for (size_t item = 0; item < 31; item++) others += pow((double)f->item[item * (size_t)f->stride + k], 2) / 31;
        sum += pow((double)f->user[user * (size_t)f->stride + k], 2) +
               pow((double)f->item[data.by_user.index[e] * (size_t)f->stride + k], 2) + others;
      }
  CHECK_NEAR(report.loss, 1 + now.penalty.factors / 2 * sum / entries, 1e-6);
  fit.method->destroy(fit.state);
  free(seen);
  free_data(&data);
}

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_kernel),
      TEST(test_samples),
      TEST(test_learns),
      TEST(test_penalty),
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
