/* top_k.h and item_panel.h against brute force: the order by qsort and a plain comparison, the scores in double. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/sqlite.h"
#include "check.h"
#include "score/item_panel.h"
#include "score/top_k.h"

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static uint64_t drawn;

static size_t draw(size_t below) { return (size_t)(random_bits(7, drawn++) % below); }

/* Normal, or one of a few values so that many scores are equal. */
static float draw_number(int quantised) { return quantised ? (float)draw(3) - 1.0f : (float)random_normal(8, drawn++); }

/* The order, said as plainly as can be; NaN comes last. */
static int compare(const void *left, const void *right) {
  const Scored *a = left, *b = right;
  int a_nan = isnan(a->score), b_nan = isnan(b->score);
  if (a_nan != b_nan) return a_nan - b_nan;
  if (!a_nan && a->score != b->score) return a->score > b->score ? -1 : 1;
  return (a->index > b->index) - (a->index < b->index);
}

static int same(const Scored *a, const Scored *b, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (a[i].index != b[i].index) return 0;
    if (memcmp(&a[i].score, &b[i].score, sizeof(float)) != 0) return 0;
  }
  return 1;
}

static void *copy(const void *from, size_t bytes) {
  void *to = malloc(bytes + 1);
  if (!to) abort();
  return memcpy(to, from, bytes);
}

/* ---- the heap and the sorts -------------------------------------------------------------------------------------- */

enum { NORMAL, FEW_VALUES, ALL_EQUAL, SPECIAL, KINDS };

static float draw_score(int kind) {
  static const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, -NAN, 1e-42f, -1e-42f, 3.4e38f, -3.4e38f};
  switch (kind) {
    case NORMAL: return draw_number(0);
    case FEW_VALUES: return draw_number(1);
    case ALL_EQUAL: return 0.5f;
    default: return special[draw(sizeof special / sizeof *special)];
  }
}

static Scored *draw_entries(size_t n, int kind) {
  Scored *entries = copy("", 0);
  entries = realloc(entries, (n + 1) * sizeof *entries);
  if (!entries) abort();
  for (size_t i = 0; i < n; i++) entries[i] = (Scored){draw_score(kind), (uint32_t)i};
  for (size_t i = n; i > 1; i--) {
    size_t j = draw(i);
    Scored held = entries[i - 1];
    entries[i - 1] = entries[j];
    entries[j] = held;
  }
  return entries;
}

static void check_sorts(size_t n, int kind) {
  Scored *entries = draw_entries(n, kind), *sorted = copy(entries, n * sizeof *entries);
  qsort(sorted, n, sizeof *sorted, compare);

  Scored *all = copy(entries, n * sizeof *entries);
  scored_sort(all, n);
  CHECK(same(all, sorted, n));
  scored_sort(all, n);
  CHECK(same(all, sorted, n));
  free(all);

  size_t front = draw(n + 1);
  Scored *part = copy(entries, n * sizeof *entries);
  scored_sort_front(part, n, front);
  CHECK(same(part, sorted, front));
  scored_sort(part, n); /* nothing was lost behind the front */
  CHECK(same(part, sorted, n));
  free(part);

  Scored *heap = copy(entries, n * sizeof *entries);
  size_t left = n, right = 0;
  scored_heapify(heap, n);
  for (size_t i = 0; i < n; i++) {
    Scored best = scored_pop(heap, &left);
    right += same(&best, &sorted[i], 1) && left == n - i - 1;
  }
  CHECK(right == n);
  free(heap);

  size_t numbers = 0; /* NaN sorts last: what is before may be kept */
  while (numbers < n && !isnan(sorted[numbers].score)) numbers++;
  size_t ks[] = {0, 1, 10, n, n + 5, draw(n + 1)};
  for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
    size_t k = ks[i], expected = k < numbers ? k : numbers;
    Scored *kept = malloc((k + 1) * sizeof *kept);
    if (!kept) abort();
    TopK top;
    top_k_init(&top, kept, k);
    for (size_t j = 0; j < n; j++) top_k_offer(&top, entries[j].score, entries[j].index);
    CHECK(top_k_sort(&top) == expected);
    CHECK(same(kept, sorted, expected));
    free(kept);
  }
  free(sorted);
  free(entries);
}

static void test_sorts(void) {
  for (int kind = 0; kind < KINDS; kind++) {
    for (size_t n = 0; n < 40; n++) check_sorts(n, kind);
    for (int round = 0; round < (SANITIZED ? 5 : 20); round++) check_sorts(draw(5000), kind);
    check_sorts(100000, kind);
  }
}

/* ---- the panel --------------------------------------------------------------------------------------------------- */

typedef struct Problem {
  size_t count, queries;
  int stride;
  float *vector, *bias, *query; /* bias may be NULL */
  ScorePanel panel;
  Excluded *excluded;
  Scored *order; /* queries × count: all, best first, without the excluded */
  size_t *allowed;
} Problem;

static float *draw_numbers(size_t n, int quantised) {
  float *numbers = memory_alloc_aligned(n, sizeof *numbers);
  if (!numbers) abort();
  for (size_t i = 0; i < n; i++) numbers[i] = draw_number(quantised);
  return numbers;
}

/* Random indexes, the best ones, or all of them, ascending; also some that do not exist. */
static Excluded draw_excluded(const Problem *problem, const Scored *order) {
  size_t n = 0, count = problem->count, kind = draw(4), best = draw(count + 1);
  char *marked = calloc(count + 3, 1);
  uint32_t *index = malloc((count + 3) * sizeof *index);
  if (!marked || !index) abort();
  for (size_t i = 0; i < best && kind == 1; i++) marked[order[i].index] = 1;
  for (size_t i = 0; i < count; i++)
    if (kind == 3 || (kind == 2 && draw(10) == 0)) marked[i] = 1;
  if (kind == 2) marked[count] = marked[count + 2] = 1;
  for (size_t i = 0; i < count + 3; i++)
    if (marked[i]) index[n++] = (uint32_t)i;
  free(marked);
  return (Excluded){index, n};
}

static int compare_index(const void *left, const void *right) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  return (a > b) - (a < b);
}

static size_t leave_out(Scored *order, size_t n, Excluded excluded) {
  size_t left = 0;
  for (size_t i = 0; i < n; i++) {
    int out = isnan(order[i].score);
    out = out || bsearch(&order[i].index, excluded.index, excluded.count, sizeof(uint32_t), compare_index) != NULL;
    if (!out) order[left++] = order[i];
  }
  return left;
}

/* Every way to a score gives the same bytes, near the sum in double. */
static void check_scores(const Problem *problem) {
  const ScorePanel *panel = &problem->panel;
  size_t stride = (size_t)problem->stride, equal = 0, near = 0;
  float *scores = memory_alloc_aligned(problem->count + SCORE_BLOCK, sizeof *scores);
  if (!scores) abort();
  for (size_t q = 0; q < problem->queries; q++) {
    const float *query = problem->query + q * stride;
    score_panel_scores(panel, query, scores);
    for (size_t i = 0; i < problem->count; i++) {
      float one = score_panel_score(panel, i, query);
      equal += memcmp(&one, &scores[i], sizeof one) == 0;
      double sum = problem->bias ? (double)problem->bias[i] : 0, size = fabs(sum);
      for (size_t lane = 0; lane < stride; lane++) {
        double term = (double)query[lane] * (double)problem->vector[i * stride + lane];
        sum += term;
        size += fabs(term);
      }
      near += fabs((double)one - sum) <= 1e-6 * (1 + size) || (isnan(one) && isnan(sum)) || (double)one == sum;
      problem->order[q * problem->count + i] = (Scored){one, (uint32_t)i};
    }
  }
  CHECK(equal == problem->queries * problem->count);
  CHECK(near == problem->queries * problem->count);
  memory_free_aligned(scores);
}

static void problem_make(Problem *problem, size_t count, int stride, size_t queries, int quantised, int biases) {
  *problem = (Problem){.count = count, .stride = stride, .queries = queries};
  problem->vector = draw_numbers(count * (size_t)stride, quantised);
  problem->query = draw_numbers(queries * (size_t)stride, quantised);
  if (biases) problem->bias = draw_numbers(count, quantised);
  if (biases == 2) { /* what a diverged model may hold */
    problem->bias[draw(count)] = NAN;
    problem->bias[draw(count)] = INFINITY;
    problem->bias[draw(count)] = -INFINITY;
  }
  CHECK(score_panel_alloc(&problem->panel, count, stride, biases) == SQLITE_OK);
  float *back = draw_numbers((size_t)stride, 0);
  int kept = 1;
  for (size_t i = 0; i < count; i++) {
    float *vector = problem->vector + i * (size_t)stride;
    int length = draw(4) == 0 ? (int)draw((size_t)stride + 1) : stride; /* a shorter one is filled up with zeros */
    score_panel_set(&problem->panel, i, back, stride);
    score_panel_set(&problem->panel, i, vector, length);
    for (int lane = length; lane < stride; lane++) vector[lane] = 0;
    if (biases) problem->panel.bias[i] = problem->bias[i];
  }
  for (size_t i = 0; i < count; i++) {
    score_panel_get(&problem->panel, i, back);
    kept = kept && memcmp(back, problem->vector + i * (size_t)stride, (size_t)stride * sizeof *back) == 0;
  }
  CHECK(kept);
  memory_free_aligned(back);
  problem->order = malloc(queries * count * sizeof *problem->order);
  problem->excluded = malloc(queries * sizeof *problem->excluded);
  problem->allowed = malloc(queries * sizeof *problem->allowed);
  if (!problem->order || !problem->excluded || !problem->allowed) abort();
  check_scores(problem);
  for (size_t q = 0; q < queries; q++) {
    Scored *order = problem->order + q * count;
    qsort(order, count, sizeof *order, compare);
    problem->excluded[q] = draw_excluded(problem, order);
    problem->allowed[q] = leave_out(order, count, problem->excluded[q]);
  }
}

static void problem_free(Problem *problem) {
  for (size_t q = 0; q < problem->queries; q++) free((void *)problem->excluded[q].index);
  free(problem->excluded);
  free(problem->order);
  free(problem->allowed);
  memory_free_aligned(problem->vector);
  memory_free_aligned(problem->query);
  memory_free_aligned(problem->bias);
  score_panel_free(&problem->panel);
  score_panel_free(&problem->panel);
}

static void check_top_k(const Problem *problem, size_t k, int threads) {
  size_t queries = problem->queries, right = 0;
  Scored *best = malloc((queries * k + 1) * sizeof *best);
  size_t *found = malloc(queries * sizeof *found);
  if (!best || !found) abort();
  CHECK(score_panel_top_k(&problem->panel, problem->query, queries, problem->excluded, k, best, found, threads, NULL) ==
        SQLITE_OK);
  for (size_t q = 0; q < queries; q++) {
    size_t expected = k < problem->allowed[q] ? k : problem->allowed[q];
    right += found[q] == expected && same(best + q * k, problem->order + q * problem->count, expected);
  }
  CHECK(right == queries);
  free(best);
  free(found);
}

/* ---- enough queries for the sieve of item_codes.h, with numbers that are hard on its bounds ---------------------- */

enum {
  SIEVE_NORMAL,
  SIEVE_SIZES, /* of vectors, from 0.01 to 100 */
  SIEVE_TIES,
  SIEVE_NEAR_TIES,
  SIEVE_ONE_LANE, /* far larger than the others, which codes then lose */
  SIEVE_TINY,
  SIEVE_NEGATIVE,
  SIEVE_BIAS,
  SIEVE_BLANKS,
  SIEVE_HUGE,
  SIEVE_ALIGNED_ITEMS, /* what codes lose all points the same way: only the whole bound covers it */
  SIEVE_ALIGNED_QUERIES,
  SIEVE_SPECIAL, /* NaN and infinities here and there */
  SIEVE_KINDS
};

static float draw_hard(int kind, int is_query, int lane, float size) {
  float normal = draw_number(0);
  switch (kind) {
    case SIEVE_SIZES: return normal * size;
    case SIEVE_TIES: return draw_number(1);
    case SIEVE_NEAR_TIES: return is_query ? normal : sinf((float)lane) + 1e-5f * normal;
    case SIEVE_ONE_LANE: return lane == 5 ? 1000 + normal : normal / (is_query ? 1 : 10);
    case SIEVE_TINY: return normal * (is_query ? 1e-3f : size * 1e-35f);
    case SIEVE_NEGATIVE: return is_query ? fabsf(normal) : -fabsf(normal);
    case SIEVE_BLANKS: return size < 0.3f ? 0 : normal;
    case SIEVE_HUGE: return normal * (size > 30 ? 1e20f : 1);
    case SIEVE_ALIGNED_ITEMS:
      if (is_query) return 1;
      if (size > 30) return lane == 0 ? 127 : 0.49f;
      return lane == 0 ? 130 + size / 100 : 0;
    case SIEVE_ALIGNED_QUERIES:
      if (is_query) return lane == 0 ? 127 : 0.49f;
      if (size > 30) return 1;
      return lane == 0 ? 1.02f + size / 1000 : 0;
    case SIEVE_SPECIAL: return draw(9000) == 0 ? draw_score(SPECIAL) : normal;
    default: return normal;
  }
}

static void test_sieve(int kind, size_t count, int stride, size_t queries, int biases) {
  Problem problem = {.count = count, .stride = stride, .queries = queries};
  float *vector = draw_numbers((size_t)stride, 0), *scores = draw_numbers(count + SCORE_BLOCK, 0);
  problem.query = draw_numbers(queries * (size_t)stride, 0);
  problem.order = malloc(queries * count * sizeof *problem.order);
  problem.excluded = malloc(queries * sizeof *problem.excluded);
  problem.allowed = malloc(queries * sizeof *problem.allowed);
  if (!problem.order || !problem.excluded || !problem.allowed) abort();
  CHECK(score_panel_alloc(&problem.panel, count, stride, biases) == SQLITE_OK);
  for (size_t i = 0; i < count; i++) {
    float size = powf(10, (float)draw(400) / 100 - 2);
    for (int lane = 0; lane < stride; lane++) vector[lane] = draw_hard(kind, 0, lane, size);
    score_panel_set(&problem.panel, i, vector, stride);
    if (biases) problem.panel.bias[i] = draw_hard(kind, 0, 0, size) * (kind == SIEVE_BIAS ? 1e6f : 1);
  }
  for (size_t q = 0; q < queries; q++) {
    float *query = problem.query + q * (size_t)stride, size = powf(10, (float)draw(400) / 100 - 2);
    for (int lane = 0; lane < stride; lane++) query[lane] = draw_hard(kind, 1, lane, size);
    Scored *order = problem.order + q * count;
    score_panel_scores(&problem.panel, query, scores);
    for (size_t i = 0; i < count; i++) order[i] = (Scored){scores[i], (uint32_t)i};
    qsort(order, count, sizeof *order, compare);
    problem.excluded[q] = draw_excluded(&problem, order);
    problem.allowed[q] = leave_out(order, count, problem.excluded[q]);
  }
  size_t ks[] = {1, count / 800, count / 400};
  for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
    for (int threads = 1; threads <= 3; threads += 1 + SANITIZED) check_top_k(&problem, ks[i], threads);
  memory_free_aligned(vector);
  memory_free_aligned(scores);
  problem_free(&problem);
}

static void test_panel(size_t count, int stride, size_t queries, int quantised, int biases) {
  static const int threads[] = {1, 2, 3, 7};
  Problem problem;
  problem_make(&problem, count, stride, queries, quantised, biases);
  size_t ks[] = {0, 1, 2, 10, 1 + draw(count), count - 1, count, count + 7};
  for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
    for (size_t t = 0; t < 4; t++) check_top_k(&problem, ks[i], threads[t]);
  problem_free(&problem);
}

static void test_level(const void *level) {
  setenv("RECOMMEND_SIMD", level, 1);
  static const int strides[] = {16, 32, 48, 64, 112, 208};
  for (int round = 0; round < 30; round += 1 + 2 * SANITIZED) {
    size_t count = 1 + (round < 15 ? draw(100) : draw(3000));
    test_panel(count, strides[draw(6)], 1 + draw(40), draw(2) == 0, (int)draw(3));
  }
  test_panel(1, 16, 1, 1, 0);
  test_panel(16, 16, 13, 1, 1);
  test_panel(17, 16, 12, 1, 1);
  test_panel(2999, 208, 1, 0, 1);  /* enough work for threads that share the items */
  test_panel(60000, 112, 3, 0, 1); /* so that ranges of items are merged */
  test_panel(60000, 112, 2, 1, 1); /* with ties across their bounds */
  test_panel(3000, 64, 230, 1, 0); /* several groups of queries */
  unsetenv("RECOMMEND_SIMD");
}

static void test_sieves(void) {
  for (int kind = 0; kind < SIEVE_KINDS; kind++) {
    static const int sieve_strides[] = {64, 16, 32, 208};
    for (int round = 0; round < 4; round += 1 + SANITIZED)
      test_sieve(kind, 1280 + draw(3000), sieve_strides[round], 48 + draw(80), (int)draw(2));
  }
  test_sieve(SIEVE_NORMAL, 1281, 4096, 48, 1);
  test_sieve(SIEVE_NORMAL, 20000, 64, 50, 0);
}

/* ---- running out of memory, and stopping ------------------------------------------------------------------------- */

static sqlite3_mem_methods real_memory;
static long allocations_left = -1, allocations_live; /* < 0: no limit */

static void *failing_malloc(int bytes) {
  if (allocations_left == 0) return NULL;
  if (allocations_left > 0) allocations_left--;
  allocations_live++;
  return real_memory.xMalloc(bytes);
}

static void counting_free(void *block) {
  allocations_live--;
  real_memory.xFree(block);
}

static void limit_memory(void) {
  sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
  sqlite3_mem_methods failing = real_memory;
  failing.xMalloc = failing_malloc;
  failing.xFree = counting_free;
  sqlite3_config(SQLITE_CONFIG_MALLOC, &failing);
}

static void test_no_memory(void) {
  ScorePanel panel;
  for (int n = 0; n < 2; n++) {
    long before = allocations_live;
    allocations_left = n;
    CHECK(score_panel_alloc(&panel, 100, 16, 1) == SQLITE_NOMEM);
    CHECK(panel.packed == NULL && panel.bias == NULL && allocations_live == before);
    allocations_left = -1;
  }
  assert_int_equal(score_panel_alloc(&panel, SIZE_MAX / 64, 64, 0), SQLITE_NOMEM);

  Problem problem;
  problem_make(&problem, 60000, 64, 3, 0, 1);
  size_t found[3];
  Scored *best = malloc(3 * problem.count * sizeof *best);
  static const size_t ks[] = {10, 60000}; /* ranges merged, and sorting */
  for (int i = 0; i < 2; i++) {
    int code = SQLITE_NOMEM;
    long before = allocations_live;
    for (int n = 0; n < 10 && code == SQLITE_NOMEM; n++) {
      allocations_left = n;
      code = score_panel_top_k(&problem.panel, problem.query, 3, NULL, ks[i], best, found, 2, NULL);
      CHECK(n > 0 || code == SQLITE_NOMEM);
      CHECK(allocations_live == before);
    }
    allocations_left = -1;
    CHECK(code == SQLITE_OK);
    CHECK(found[0] == ks[i] && found[2] == ks[i]);
  }
  free(best);
  problem_free(&problem);
}

/* Without room for the sieve the answer is the same. */
static void test_no_memory_for_sieve(void) {
  Problem problem;
  problem_make(&problem, 4000, 64, 48, 0, 1);
  for (long n = 0; n < 8; n++) {
    long before = allocations_live;
    allocations_left = n;
    check_top_k(&problem, 10, 2);
    CHECK(allocations_live == before);
  }
  allocations_left = -1;
  problem_free(&problem);
}

static int countdown(void *context) {
  int *left = context;
  return (*left)-- <= 0 ? SQLITE_INTERRUPT : SQLITE_OK;
}

static void test_cancel(void) {
  Problem problem;
  problem_make(&problem, 20000, 64, 40, 0, 0);
  Scored *best = malloc(problem.queries * problem.count * sizeof *best);
  size_t *found = malloc(problem.queries * sizeof *found);
  static const size_t ks[] = {10, 20000};
  for (int i = 0; i < 2; i++) {
    for (int threads = 1; threads <= 3; threads++) {
      for (int left = 0; left < 4; left++) {
        int polls = left;
        Cancel cancel = {countdown, &polls};
        for (size_t queries = 1; queries <= 40; queries += 39)
          if (threads == 1 || queries > 1) /* with threads the caller's may come too late for the work */
            CHECK(score_panel_top_k(&problem.panel, problem.query, queries, NULL, ks[i], best, found, threads,
                                    &cancel) == SQLITE_INTERRUPT ||
                  (threads > 1 && left > 0));
      }
    }
  }
  free(best);
  free(found);
  problem_free(&problem);
}

static void test_nothing(void) {
  ScorePanel panel;
  float query[16] __attribute__((aligned(64))) = {0};
  Scored best[3];
  size_t found = 9;
  assert_int_equal(score_panel_alloc(&panel, 0, 16, 1), SQLITE_OK);
  assert_int_equal(score_panel_top_k(&panel, query, 1, NULL, 3, best, &found, 2, NULL), SQLITE_OK);
  assert_int_equal(found, 0);
  score_panel_scores(&panel, query, query);
  assert_int_equal(score_panel_top_k(&panel, query, 0, NULL, 3, best, &found, 2, NULL), SQLITE_OK);
  score_panel_free(&panel);
}

static void test_nothing_is_lost(void) { assert_int_equal(allocations_live, 0); }

static const char generic[] = "generic", best[] = "avx512";

static void test_avx2(void) {
  if (SANITIZED) skip();
  test_level("avx2");
}

int main(void) {
  limit_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_sorts),
      TEST(test_nothing),
      TEST_OF(test_level, generic),
      TEST(test_avx2),
      TEST_OF(test_level, best),
      TEST(test_sieves),
      TEST(test_no_memory),
      TEST(test_no_memory_for_sieve),
      TEST(test_cancel),
      TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
