/* Out of memory while the extension loads, and over the life of models of ratings and of plays. See memory_fault.h. */
#include "memory_fault.h"

static const Step training[] = {
    {"SELECT mf_train('ratings', 3, '{\"threads\":1,\"epochs\":2,\"test\":0.2,\"model\":\"new\"}')", 1},
    {"SELECT epoch, head, loss, train, test FROM mf_train('ratings', 3, "
     "'{\"threads\":1,\"epochs\":2,\"model\":\"new\"}')",
     0},
    {"SELECT mf_train('SELECT person, song FROM plays', 3, '{\"threads\":1,\"epochs\":2,\"model\":\"new\","
     "\"solver\":\"cholesky\"}')",
     1},
    {"SELECT mf_train('ratings', 3, '{\"threads\":1,\"epochs\":2,\"nonnegative\":true,\"model\":\"new\"}')", 1},
    {"SELECT mf_train('plays', 3, '{\"threads\":1,\"epochs\":2,\"history\":false,\"test\":0.3}')", 1},
    {"CREATE VIRTUAL TABLE taste USING recommender(train=mf, source=ratings, size=3, "
     "options='{\"threads\":1,\"epochs\":2,\"objective\":\"rating\"}')",
     0},
    {"INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')", 0},
    {"SELECT recommend_retrain('ratings_mf', '{\"threads\":1,\"epochs\":2,\"rank\":2}')", 1},
    {"ALTER TABLE ratings_mf RENAME TO other", 0},
    {"DROP TABLE ratings_mf", 0},
};
enum { TRAINING = sizeof training / sizeof *training };

/* Loading itself: sqlite3_open with the extension, and once more on an open connection. */
static void sweep_loading(void) {
  for (int for_good = 0; for_good < 2; for_good++)
    for (long at = 1, count = 1; count > 0; at++) {
      long baseline = atomic_load(&outstanding);
      sqlite3 *db = NULL;
      CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
      arm(at, for_good);
      char *message = NULL;
      int code = sqlite3_recommend_init(db, &message, NULL);
      count = disarm();
      injected += count;
      CHECK(code == SQLITE_OK || (count > 0 && code == SQLITE_NOMEM));
      sqlite3_free(message);
      CHECK(sqlite3_close(db) == SQLITE_OK);
      CHECK(atomic_load(&outstanding) == baseline);
    }
}

static void make_models(void) {
  void *none = NULL;
  assert_int_equal(make_images(&none), 0);
}

static const Life life = {&ratings, serving, SERVING, training, TRAINING, 100};

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(sweep_loading),       TEST(make_models),  TEST_OF(sweep_serving, life), TEST_OF(sweep_training, life),
      TEST_OF(sweep_life, life), TEST(often_enough), TEST(nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, install, free_images);
}
