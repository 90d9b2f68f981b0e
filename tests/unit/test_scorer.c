/* What a scorer that gives nothing but all scores of a query gets for free: the k best, some items, one item for many
 * queries. It is one that no panel, words or links could stand for: its query is an ordered list of items, and no score
 * is a product of two vectors. */
#include "score/scorer.h"

#include "base/code.h"
#include "base/memory.h"
#include "base/random.h"
#include "check.h"
#include "failing_memory.h"

enum { ITEMS = 301, QUERIES = 40, LONGEST = 6 };

/* A session, oldest first. */
typedef struct Session {
  uint32_t item[LONGEST];
  size_t count;
} Session;

static Session sessions[QUERIES];

static void make_sessions(void) {
  for (size_t q = 0; q < QUERIES; q++) {
    sessions[q].count = q % (LONGEST + 1);
    for (size_t i = 0; i < sessions[q].count; i++) sessions[q].item[i] = (uint32_t)(random_bits(7, q * 10 + i) % ITEMS);
  }
}

/* Items near the last one of the session are what comes next; those before it count half as much each. */
static float follows(const Session *session, size_t item) {
  float score = 0, weight = 1;
  for (size_t i = session->count; i-- > 0; weight /= 2)
    score += weight / (1 + fabsf((float)item - (float)session->item[i]));
  return score;
}

static int session_scores(const Scorer *scorer, const void *query, float *scores) {
  for (size_t item = 0; item < scorer->count; item++) scores[item] = follows(query, item);
  return CODE_OK;
}

static const ScorerMethods session_methods = {.scores = session_scores};

static Scorer session_scorer(void) {
  return (Scorer){.methods = &session_methods, .count = ITEMS, .query_size = sizeof(Session)};
}

static int lists(Excluded excluded, uint32_t item) {
  for (size_t i = 0; i < excluded.count; i++)
    if (excluded.index[i] == item) return 1;
  return 0;
}

/* All that a query may get, sorted. */
static size_t sort_all(const Session *session, Excluded gone, Excluded excluded, Scored *sorted) {
  size_t count = 0;
  for (uint32_t item = 0; item < ITEMS; item++)
    if (!lists(gone, item) && !lists(excluded, item)) sorted[count++] = (Scored){follows(session, item), item};
  scored_sort(sorted, count);
  return count;
}

static void test_the_best_are_those_of_all_scores(void) {
  static const uint32_t gone[] = {0, 17, 300}, seen[] = {17, 18, 150};
  static Scored best[QUERIES * (ITEMS + 5)], sorted[ITEMS];
  static const size_t ks[] = {0, 1, 10, ITEMS, ITEMS + 5};
  Excluded excluded[QUERIES];
  size_t found[QUERIES];
  const Queries queries = {QUERIES, sessions};
  make_sessions();
  for (size_t q = 0; q < QUERIES; q++) excluded[q] = (Excluded){seen, q % 2 ? 3 : 0};
  for (int turn = 0; turn < 12; turn++) {
    Scorer scorer = session_scorer();
    int with_gone = turn & 1, with_excluded = turn >> 1 & 1, threads = turn < 4 ? 1 : turn < 8 ? 3 : 64;
    scorer.gone = (Excluded){gone, with_gone ? 3 : 0};
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
      size_t k = ks[i];
      assert_int_equal(scorer_top_k(&scorer, &queries, with_excluded ? excluded : NULL, k, best, found, threads, NULL),
                       CODE_OK);
      for (size_t q = 0; q < QUERIES; q++) {
        size_t all = sort_all(&sessions[q], scorer.gone, with_excluded ? excluded[q] : (Excluded){NULL, 0}, sorted);
        CHECK(found[q] == (k < all ? k : all));
        CHECK(memcmp(best + q * k, sorted, found[q] * sizeof *best) == 0);
      }
    }
  }
}

static void test_one_cell_has_one_score(void) {
  static const uint32_t some[] = {0, 3, 299, 300};
  const Scorer scorer = session_scorer();
  const Queries queries = {QUERIES, sessions};
  float scores[4], of_one[QUERIES];
  make_sessions();
  for (size_t q = 0; q < QUERIES; q++) {
    assert_int_equal(scorer_scores_of(&scorer, scorer_query(&scorer, &queries, q), some, 4, scores), CODE_OK);
    for (size_t i = 0; i < 4; i++) CHECK(scores[i] == follows(&sessions[q], some[i]));
  }
  assert_int_equal(scorer_scores_for(&scorer, 42, &queries, of_one, NULL), CODE_OK);
  for (size_t q = 0; q < QUERIES; q++) CHECK(of_one[q] == follows(&sessions[q], 42));
}

static int stop(void *context) { return ++*(int *)context > 3 ? CODE_INTERRUPT : CODE_OK; }

static void test_cancel_ends_it(void) {
  static Scored best[QUERIES];
  size_t found[QUERIES];
  float scores[QUERIES];
  int polls = 0;
  const Scorer scorer = session_scorer();
  const Queries queries = {QUERIES, sessions};
  make_sessions();
  assert_int_equal(scorer_top_k(&scorer, &queries, NULL, 1, best, found, 1, &(Cancel){stop, &polls}), CODE_INTERRUPT);
  polls = 0;
  assert_int_equal(scorer_scores_for(&scorer, 1, &queries, scores, &(Cancel){stop, &polls}), CODE_INTERRUPT);
}

/* Every request for memory fails once; nothing is lost. */
static void test_without_memory(void) {
  static const uint32_t gone[] = {5}, some[] = {7};
  static Scored best[QUERIES * 3];
  size_t found[QUERIES];
  float scores[QUERIES];
  Scorer scorer = session_scorer();
  const Queries queries = {QUERIES, sessions};
  int code = CODE_NOMEM, failures = 0;
  scorer.gone = (Excluded){gone, 1};
  make_sessions();
  long before = outstanding;
  for (long place = 0; code != CODE_OK; place++, failures++) {
    fail_after = place;
    code = scorer_top_k(&scorer, &queries, NULL, 3, best, found, 2, NULL);
    if (code == CODE_OK) code = scorer_scores_of(&scorer, sessions, some, 1, scores);
    fail_after = -1;
    CHECK(code == CODE_OK || code == CODE_NOMEM);
    CHECK(outstanding == before);
  }
  CHECK(failures > 3);
}

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {TEST(test_the_best_are_those_of_all_scores), TEST(test_one_cell_has_one_score),
                                     TEST(test_cancel_ends_it), TEST(test_without_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
