/* postings.h against brute force: a plain double loop over dense rows, sorted by qsort. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/sqlite.h"
#include "check.h"
#include "score/postings.h"

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static uint64_t drawn;

static size_t draw(size_t below) { return (size_t)(random_bits(11, drawn++) % below); }

static double draw_uniform(void) { return random_uniform(12, drawn++); }

static void *reserve(size_t bytes) {
  void *block = calloc(bytes + 1, 1);
  if (!block) abort();
  return block;
}

/* The order, said as plainly as can be. */
static int compare(const void *left, const void *right) {
  const Scored *a = left, *b = right;
  if (a->score != b->score) return a->score > b->score ? -1 : 1;
  return (a->index > b->index) - (a->index < b->index);
}

static int compare_index(const void *left, const void *right) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  return (a > b) - (a < b);
}

static int same(const Scored *a, const Scored *b, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (a[i].index != b[i].index) return 0;
    if (memcmp(&a[i].score, &b[i].score, sizeof(float)) != 0) return 0;
  }
  return 1;
}

/* `n` distinct numbers below `below`, ascending; low ones are more likely (skewed as words are) where `skewed`. */
static size_t draw_distinct(size_t n, size_t below, int skewed, uint32_t *out) {
  size_t count = 0;
  for (size_t i = 0; i < n && below > 0; i++)
    out[i] = (uint32_t)(skewed ? (double)below * pow(draw_uniform(), 3.5) : (double)draw(below));
  if (below == 0) return 0;
  qsort(out, n, sizeof *out, compare_index);
  for (size_t i = 0; i < n; i++)
    if (count == 0 || out[i] != out[count - 1]) out[count++] = out[i];
  return count;
}

/* ---- collections ------------------------------------------------------------------------------------------------- */

enum {
  TEXTS,
  TIES,       /* few words, all weights alike */
  DUPLICATES, /* a few texts again and again */
  BLANKS,     /* many empty items */
  OUTLIERS,   /* some texts of one word: frequent words have a weight of 1 there */
  TINY,       /* weights that differ by thirty orders of magnitude */
  KINDS
};

static SparseMatrix draw_vectors(int kind, size_t items, size_t terms, size_t words) {
  SparseMatrix vectors;
  uint32_t *word = reserve(words * sizeof *word);
  if (sparse_alloc(&vectors, items, terms, items * words, 1) != SQLITE_OK) abort();
  for (size_t i = 0; i < items; i++) {
    size_t at = vectors.start[i], n = draw(words + 1);
    if (kind == BLANKS && draw(3) != 0) n = 0;
    if (kind == OUTLIERS && draw(20) == 0) n = n > 0;
    if (kind == DUPLICATES && i >= 5 && draw(4) != 0) {
      size_t from = draw(5);
      n = sparse_row_length(&vectors, from);
      for (size_t e = 0; e < n; e++) {
        vectors.index[at + e] = vectors.index[vectors.start[from] + e];
        vectors.value[at + e] = vectors.value[vectors.start[from] + e];
      }
    } else {
      double square = 0;
      n = draw_distinct(n, terms, 1, word);
      for (size_t e = 0; e < n; e++) {
        double weight = kind == TIES ? 1 : (1 + (double)draw(3)) * (1 + log(1 + (double)word[e]));
        if (kind == TINY && draw(2) == 0) weight *= 1e-30;
        vectors.index[at + e] = word[e];
        vectors.value[at + e] = (float)weight;
        square += weight * weight;
      }
      for (size_t e = 0; e < n; e++) vectors.value[at + e] = (float)((double)vectors.value[at + e] / sqrt(square));
    }
    vectors.start[i + 1] = at + n;
  }
  free(word);
  return vectors;
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

enum { A_TEXT, A_FEW_WORDS, SIGNED_WORDS, NOTHING, A_PROFILE, A_SIGNED_PROFILE, UNWEIGHTED, HUGE_WORDS, QUERY_KINDS };

static PostingsQuery draw_query(int kind, const SparseMatrix *vectors) {
  size_t items = vectors->rows, terms = vectors->columns, n = 0;
  uint32_t *index = reserve((terms + items + 40) * sizeof *index);
  float *weight = reserve((terms + items + 40) * sizeof *weight);
  PostingsQuery query = {.index = index, .weight = weight};
  if (kind == A_TEXT && items > 0) {
    size_t item = draw(items);
    n = sparse_row_length(vectors, item);
    if (n > 0) memcpy(index, vectors->index + vectors->start[item], n * sizeof *index);
    if (n > 0) memcpy(weight, vectors->value + vectors->start[item], n * sizeof *weight);
  } else if (kind == A_PROFILE || kind == A_SIGNED_PROFILE) {
    query.of_items = 1;
    n = draw_distinct(1 + draw(8), items, 0, index);
  } else if (kind != NOTHING) {
    n = draw_distinct(1 + draw(kind == SIGNED_WORDS ? 30 : 4), terms, (int)draw(2), index);
  }
  for (size_t i = 0; i < n && kind != A_TEXT; i++) {
    weight[i] = (float)(0.1 + draw_uniform());
    if (kind == HUGE_WORDS) weight[i] = 3e38f;
    if (kind == HUGE_WORDS && draw(6) == 0) weight[i] = draw(2) ? INFINITY : NAN;
    if ((kind == SIGNED_WORDS || kind == A_SIGNED_PROFILE) && draw(3) == 0) weight[i] = draw(5) ? -weight[i] : 0;
  }
  if (kind == UNWEIGHTED) {
    free(weight);
    query.weight = NULL;
    query.of_items = items > 0 && draw(2);
    if (query.of_items) n = draw_distinct(3, items, 0, index);
  }
  query.count = n;
  return query;
}

/* The query over all terms, and its length. */
static double spread(const SparseMatrix *vectors, const PostingsQuery *query, float *weight) {
  double *sum = reserve(vectors->columns * sizeof *sum), norm = 0;
  for (size_t i = 0; i < query->count; i++) {
    double w = query->weight ? (double)query->weight[i] : 1;
    if (!query->of_items) sum[query->index[i]] = w;
    for (size_t e = 0; query->of_items && e < sparse_row_length(vectors, query->index[i]); e++) {
      size_t at = vectors->start[query->index[i]] + e;
      sum[vectors->index[at]] += w * (double)vectors->value[at];
    }
  }
  for (size_t t = 0; t < vectors->columns; t++) {
    weight[t] = (float)sum[t];
    norm += (double)weight[t] * (double)weight[t];
  }
  free(sum);
  return isfinite(norm) ? sqrt(norm) : 0;
}

static Excluded draw_excluded(size_t items, const Scored *order) {
  size_t n = 0, kind = draw(5), best = draw(items + 1);
  char *marked = reserve(items + 3);
  uint32_t *index = reserve((items + 3) * sizeof *index);
  for (size_t i = 0; i < best && kind == 1; i++) marked[order[i].index] = 1;
  for (size_t i = 0; i < items; i++)
    if (kind == 3 || (kind == 2 && draw(10) == 0)) marked[i] = 1;
  if (kind == 4 && items > 0) marked[order[0].index] = 1;
  if (kind == 2) marked[items] = marked[items + 2] = 1;
  for (size_t i = 0; i < items + 3; i++)
    if (marked[i]) index[n++] = (uint32_t)i;
  free(marked);
  return (Excluded){index, n};
}

/* ---- the comparison ---------------------------------------------------------------------------------------------- */

typedef struct Problem {
  Postings postings;
  size_t queries;
  PostingsQuery *query;
  Excluded *excluded;
  Scored *order; /* queries × items: all, best first, without the excluded */
  size_t *allowed;
} Problem;

/* Sorts the right scores, and sees that every other way to them gives the same bytes. */
static void check_scores(Problem *problem, size_t q) {
  const Postings *postings = &problem->postings;
  const SparseMatrix *vectors = &postings->vectors;
  size_t items = vectors->rows, equal = 0;
  Scored *order = problem->order + q * items;
  float *weight = reserve(vectors->columns * sizeof *weight), *scores = reserve(items * sizeof *scores);
  double norm = spread(vectors, &problem->query[q], weight);
  PostingsVector vector;
  CHECK(postings_expand(postings, &problem->query[q], &vector) == SQLITE_OK);
  CHECK(vector.norm == norm);
  CHECK(postings_scores(postings, &vector, scores, 1 + (int)draw(3), NULL) == SQLITE_OK);
  for (size_t i = 0; i < items; i++) {
    double sum = 0;
    for (size_t e = vectors->start[i]; e < vectors->start[i + 1]; e++)
      if (weight[vectors->index[e]] != 0) sum += (double)weight[vectors->index[e]] * (double)vectors->value[e];
    float right = norm > 0 ? (float)(sum / norm) : 0, one = postings_score(postings, i, &vector);
    equal += memcmp(&one, &right, sizeof one) == 0 && memcmp(&scores[i], &right, sizeof one) == 0;
    order[i] = (Scored){right, (uint32_t)i};
  }
  CHECK(equal == items);
  qsort(order, items, sizeof *order, compare);
  postings_vector_free(&vector);
  postings_vector_free(&vector);
  free(weight);
  free(scores);
}

static void leave_out(Problem *problem, size_t q) {
  Excluded excluded = problem->excluded[q];
  size_t items = problem->postings.vectors.rows, left = 0;
  Scored *order = problem->order + q * items;
  for (size_t i = 0; i < items; i++)
    if (!bsearch(&order[i].index, excluded.index, excluded.count, sizeof(uint32_t), compare_index))
      order[left++] = order[i];
  problem->allowed[q] = left;
}

/* Takes the vectors over. */
static void problem_make(Problem *problem, SparseMatrix *vectors, size_t queries, size_t block) {
  size_t items = vectors->rows;
  SparseMatrix kept = *vectors;
  *problem = (Problem){.queries = queries};
  problem->query = reserve(queries * sizeof *problem->query);
  problem->excluded = reserve(queries * sizeof *problem->excluded);
  problem->order = reserve(queries * items * sizeof *problem->order);
  problem->allowed = reserve(queries * sizeof *problem->allowed);
  CHECK((block ? postings_make_blocks(&problem->postings, vectors, block, 1 + (int)draw(3), NULL)
               : postings_make(&problem->postings, vectors, 2, NULL)) == SQLITE_OK);
  CHECK(vectors->start == NULL && problem->postings.vectors.value == kept.value);
  for (size_t q = 0; q < queries; q++) {
    problem->query[q] = draw_query((int)draw(QUERY_KINDS), &problem->postings.vectors);
    check_scores(problem, q);
    problem->excluded[q] = draw_excluded(items, problem->order + q * items);
    leave_out(problem, q);
  }
}

static void problem_free(Problem *problem) {
  for (size_t q = 0; q < problem->queries; q++) {
    free((void *)problem->query[q].index);
    free((void *)problem->query[q].weight);
    free((void *)problem->excluded[q].index);
  }
  free(problem->query);
  free(problem->excluded);
  free(problem->order);
  free(problem->allowed);
  postings_free(&problem->postings);
  postings_free(&problem->postings);
}

/* The first `queries` of the problem. */
static void check_top_k(const Problem *problem, size_t queries, size_t k, int threads) {
  size_t items = problem->postings.vectors.rows, right = 0;
  Scored *best = reserve(queries * k * sizeof *best);
  size_t *found = reserve(queries * sizeof *found);
  CHECK(postings_top_k(&problem->postings, problem->query, queries, problem->excluded, k, best, found, threads, NULL) ==
        SQLITE_OK);
  for (size_t q = 0; q < queries; q++) {
    size_t expected = k < problem->allowed[q] ? k : problem->allowed[q];
    right += found[q] == expected && same(best + q * k, problem->order + q * items, expected);
  }
  CHECK(right == queries);
  free(best);
  free(found);
}

static void test_collection(int kind, size_t items, size_t terms, size_t words, size_t queries, size_t block) {
  static const int threads[] = {1, 2, 5};
  SparseMatrix vectors = draw_vectors(kind, items, terms, words);
  Problem problem;
  problem_make(&problem, &vectors, queries, block);
  size_t ks[] = {0, 1, 2, 10, 1 + draw(items + 1), items, items + 7};
  for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
    for (size_t t = 0; t < 3; t++) {
      check_top_k(&problem, queries, ks[i], threads[t]);
      check_top_k(&problem, 1, ks[i], threads[t]);
    }
  }
  problem_free(&problem);
}

static void test_level(const void *level) {
  setenv("RECOMMEND_SIMD", level, 1);
  for (int kind = 0; kind < KINDS; kind++) {
    for (int round = 0; round < (SANITIZED ? 4 : 12); round++) {
      size_t items = 1 + draw(round < 6 ? 60 : 3000), terms = 1 + draw(round % 2 ? 40 : 2000);
      test_collection(kind, items, terms, 1 + draw(60), 1 + draw(20), 64 + draw(1000));
    }
  }
  for (int kind = 0; kind < KINDS; kind++) test_collection(kind, 4000, 5000, 100, 40, 1024);
  test_collection(TEXTS, 70, 1, 1, 9, 64); /* one term */
  test_collection(TIES, 1000, 3, 3, 20, 128);
  test_collection(TEXTS, 40, 0, 0, 9, 64); /* none */
  test_collection(TEXTS, 0, 30, 10, 9, 64);
  unsetenv("RECOMMEND_SIMD");
}

/* More than one block of the usual size, and work enough for threads that share the items or the queries. */
static void test_large(void) {
  static const size_t ks[] = {1, 10, 300};
  for (int kind = TEXTS; kind <= TIES; kind++) {
    SparseMatrix vectors = draw_vectors(kind, 800000, 3000, 6);
    Problem problem;
    problem_make(&problem, &vectors, 5, 0);
    CHECK(problem.postings.blocks > 2);
    for (int i = 0; i < 3; i++)
      for (int threads = 1; threads <= 5; threads += 2) check_top_k(&problem, i == 0 ? 5 : 2, ks[i], threads);
    problem_free(&problem);
  }
}

/* A query of more terms than lists are added up for. */
static void test_long_query(void) {
  size_t terms = 300000;
  SparseMatrix vectors = draw_vectors(TEXTS, 300, terms, 2000);
  Problem problem;
  problem_make(&problem, &vectors, 1, 64);
  free((void *)problem.query[0].index);
  free((void *)problem.query[0].weight);
  uint32_t *index = reserve(terms * sizeof *index);
  for (size_t t = 0; t < terms; t++) index[t] = (uint32_t)t;
  problem.query[0] = (PostingsQuery){.index = index, .count = terms};
  check_scores(&problem, 0);
  leave_out(&problem, 0);
  check_top_k(&problem, 1, 10, 1);
  check_top_k(&problem, 1, 500, 2);
  problem_free(&problem);
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

static int untouched(const SparseMatrix *vectors, const SparseMatrix *before) {
  return memcmp(vectors, before, sizeof *vectors) == 0;
}

static void test_no_memory(void) {
  SparseMatrix vectors = draw_vectors(TEXTS, 3000, 500, 30), before = vectors;
  Postings postings;
  int code = SQLITE_NOMEM;
  for (long n = 0; n < 40 && code == SQLITE_NOMEM; n++) {
    long live = allocations_live;
    allocations_left = n;
    code = postings_make_blocks(&postings, &vectors, 512, 2, NULL);
    allocations_left = -1;
    CHECK(code == SQLITE_OK || (code == SQLITE_NOMEM && allocations_live == live && postings.start == NULL));
    CHECK(code == SQLITE_OK || untouched(&vectors, &before));
  }
  assert_int_equal(code, SQLITE_OK);

  static const uint32_t index[] = {1, 5, 9};
  PostingsQuery query[] = {{.index = index, .count = 3, .of_items = 1}, {.index = index, .count = 3}};
  PostingsVector vector;
  code = SQLITE_NOMEM;
  for (long n = 0; n < 10 && code == SQLITE_NOMEM; n++) {
    long live = allocations_live;
    allocations_left = n;
    code = postings_expand(&postings, query, &vector);
    allocations_left = -1;
    CHECK(code == SQLITE_OK || (allocations_live == live && vector.weight == NULL));
  }
  assert_int_equal(code, SQLITE_OK);
  postings_vector_free(&vector);

  Scored best[20];
  size_t found[2];
  code = SQLITE_NOMEM;
  for (long n = 0; n < 60 && code == SQLITE_NOMEM; n++) {
    long live = allocations_live;
    allocations_left = n;
    code = postings_top_k(&postings, query, 2, NULL, 10, best, found, 2, NULL);
    allocations_left = -1;
    CHECK(allocations_live == live);
  }
  assert_int_equal(code, SQLITE_OK);
  assert_int_equal(found[0], 10);
  assert_int_equal(found[1], 10);
  postings_free(&postings);
}

static int countdown(void *context) {
  int *left = context;
  return (*left)-- <= 0 ? SQLITE_INTERRUPT : SQLITE_OK;
}

static void test_cancel(void) {
  SparseMatrix vectors = draw_vectors(TEXTS, 400000, 500, 5), before = vectors;
  Postings postings;
  for (int left = 0; left < 4; left++) {
    int polls = left;
    long live = allocations_live;
    CHECK(postings_make(&postings, &vectors, 1, &(Cancel){countdown, &polls}) == SQLITE_INTERRUPT);
    CHECK(untouched(&vectors, &before) && allocations_live == live && postings.start == NULL);
  }
  assert_int_equal(postings_make(&postings, &vectors, 2, NULL), SQLITE_OK);
  static const uint32_t index[] = {1, 5, 9};
  PostingsQuery query[40];
  for (int q = 0; q < 40; q++) query[q] = (PostingsQuery){.index = index, .count = 3};
  Scored *best = reserve(40 * 10 * sizeof *best);
  float *scores = reserve(400000 * sizeof *scores);
  size_t found[40];
  for (int threads = 1; threads <= 3; threads++) {
    for (int left = 0; left < 4; left++) {
      for (size_t queries = 1; queries <= 40; queries += 39) {
        int polls = left;
        int code =
            postings_top_k(&postings, query, queries, NULL, 10, best, found, threads, &(Cancel){countdown, &polls});
        CHECK(code == SQLITE_INTERRUPT || (threads > 1 && left > 0)); /* the caller's may come too late for the work */
      }
    }
  }
  PostingsVector vector;
  int polls = 1;
  assert_int_equal(postings_expand(&postings, query, &vector), SQLITE_OK);
  assert_int_equal(postings_scores(&postings, &vector, scores, 1, &(Cancel){countdown, &polls}), SQLITE_INTERRUPT);
  postings_vector_free(&vector);
  postings_free(&postings);
  free(best);
  free(scores);
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
      TEST_OF(test_level, generic), TEST(test_avx2),      TEST_OF(test_level, best), TEST(test_large),
      TEST(test_long_query),        TEST(test_no_memory), TEST(test_cancel),         TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
