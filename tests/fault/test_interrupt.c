/* Interrupts: a progress handler that says stop at its nth call, for every n, and sqlite3_interrupt() from elsewhere.
 *
 * The statement ends with SQLITE_INTERRUPT, nothing in the database has changed, and the connection goes on working.
 * Only in autocommit mode there is a moment too late: a SELECT that trains has stored and committed before SQLite asks
 * once more, as it hands out the row. Then everything has changed, as it should. */
#include <pthread.h>

#include "data/interrupt.h"
#include "fault.h"
#include "trainers.h"

static long calls, stop_at, stops;

static int progress(void *unused) {
  (void)unused;
  if (!stop_at || ++calls < stop_at) return 0;
  stops++;
  return 1;
}

static const char *const training[] = {
    "SELECT mf_train('ratings', 3, '{\"threads\":1,\"epochs\":1,\"model\":\"new\"}')",
    "SELECT count(*) FROM mf_train('plays', 3, '{\"threads\":1,\"epochs\":1,\"model\":\"new\"}')",
    "SELECT mf_train('ratings', 4, '{\"threads\":1,\"epochs\":1}')",
    "CREATE VIRTUAL TABLE taste USING recommender(train=mf, source=ratings, size=3, "
    "options='{\"threads\":1,\"epochs\":1,\"objective\":\"ranking\"}')",
    "INSERT INTO plays_mf(plays_mf) VALUES('retrain')",
    "SELECT recommend_retrain('plays_mf', '{\"epochs\":1}')",
    "ALTER TABLE ratings_mf RENAME TO other",
    "DROP TABLE ratings_mf",
};
enum { TRAINING = sizeof training / sizeof *training };

/* Whether the nth call came. */
static int one_stop(sqlite3 *db, const char *sql, const Outcome *expected, uint64_t before, uint64_t after, long at,
                    int in_transaction) {
  if (in_transaction) must(db, "BEGIN");
  calls = stops = 0;
  stop_at = at;
  Outcome outcome = run(db, sql);
  stop_at = 0;
  int stopped = stops > 0;
  int right = outcome.code == SQLITE_OK ||
              (stopped && outcome.code == SQLITE_INTERRUPT && strcmp(outcome.message, "interrupted") == 0);
  if (!CHECK(right)) printf("  step %ld of %.90s: code %d, %s\n", at, sql, outcome.code, outcome.message);
  check_deleted_is_left(db, sql);
  if (in_transaction && !sqlite3_get_autocommit(db)) must(db, "ROLLBACK");
  if (outcome.code != SQLITE_OK || in_transaction) {
    uint64_t now = hash_database(db);
    if (!CHECK(now == before || (!in_transaction && now == after)))
      printf("  step %ld of %.90s: the database is changed\n", at, sql);
  }
  if (expected && outcome.code != SQLITE_OK) {
    Outcome again = run(db, sql);
    CHECK(same_rows(&again, expected));
  }
  return stopped;
}

static long interrupted;

static void sweep(const Image *image, const char *sql, int serves) {
  sqlite3 *db = open_image(image);
  uint64_t before = hash_database(db);
  Outcome expected = {0};
  if (serves) expected = must(db, sql);
  must(db, sql);
  uint64_t after = hash_database(db);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  for (int in_transaction = 0; in_transaction < (serves ? 1 : 2); in_transaction++) {
    int stopped = 1;
    for (long at = 1; stopped; at = next_fault(at, 50, 12)) {
      db = open_image(image);
      sqlite3_progress_handler(db, 1, progress, NULL);
      stopped = one_stop(db, sql, serves ? &expected : NULL, before, after, at, in_transaction);
      interrupted += stopped;
      CHECK(sqlite3_close(db) == SQLITE_OK);
    }
  }
}

/* ---- during a long training -------------------------------------------------------------------------------------- */

static const char make_big[] =
    "CREATE TABLE big(user INTEGER, item INTEGER, rating REAL);"
    "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 59999)"
    " INSERT INTO big SELECT n % 1500, (n * 7919) % 401, 1 + (n * 31 + n / 7) % 5 FROM n;";
static const char train_big[] = "SELECT mf_train('big', 8, '{\"threads\":2,\"epochs\":2}')";
/* Hours of work, which only an interrupt ends. */
static const char train_forever[] = "SELECT mf_train('big', 32, '{\"threads\":2,\"epochs\":100000}')";
static const char create_forever[] =
    "CREATE VIRTUAL TABLE taste USING recommender(train=mf, source=big, size=32, "
    "options='{\"threads\":2,\"epochs\":100000}')";
static const char table_forever[] = "SELECT * FROM mf_train('big', 32, '{\"threads\":2,\"epochs\":100000}')";

/* Where to interrupt: after so many of the training's own ticks, or of any statement's steps. */
typedef struct Remote {
  sqlite3 *db;
  long ticks, steps; /* still to come; < 0: never */
  int here;          /* the progress handler says stop, not another thread */
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int reached;
} Remote;

static void *interrupt_remotely(void *argument) {
  Remote *remote = argument;
  pthread_mutex_lock(&remote->mutex);
  while (!remote->reached) pthread_cond_wait(&remote->changed, &remote->mutex);
  pthread_mutex_unlock(&remote->mutex);
  sqlite3_interrupt(remote->db);
  return NULL;
}

static void reach(Remote *remote) {
  pthread_mutex_lock(&remote->mutex);
  remote->reached = 1;
  pthread_cond_signal(&remote->changed);
  pthread_mutex_unlock(&remote->mutex);
}

static int count_step(void *argument) {
  Remote *remote = argument;
  if (--remote->steps == 0) reach(remote);
  return remote->here && remote->reached;
}

static int count_tick(unsigned event, void *argument, void *statement, void *sql) {
  Remote *remote = argument;
  (void)event;
  (void)sql;
  if (strncmp(sqlite3_sql(statement), INTERRUPT_TICK, strlen(INTERRUPT_TICK)) == 0 && --remote->ticks == 0)
    reach(remote);
  return 0;
}

static void interrupt_training(sqlite3 *db, const char *sql, Remote where) {
  uint64_t before = hash_database(db);
  where.db = db;
  pthread_mutex_init(&where.mutex, NULL);
  pthread_cond_init(&where.changed, NULL);
  if (!where.here) CHECK(pthread_create(&where.thread, NULL, interrupt_remotely, &where) == 0);
  sqlite3_progress_handler(db, 1, count_step, &where);
  sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count_tick, &where);
  Outcome outcome = run(db, sql);
  sqlite3_trace_v2(db, 0, NULL, NULL);
  sqlite3_progress_handler(db, 0, NULL, NULL);
  CHECK(where.reached);
  if (!where.reached) reach(&where);
  if (!where.here) pthread_join(where.thread, NULL);
  if (!CHECK(outcome.code == SQLITE_INTERRUPT && strcmp(outcome.message, "interrupted") == 0))
    printf("  %.90s: code %d, %s\n", sql, outcome.code, outcome.message);
  CHECK(sqlite3_get_autocommit(db));
  CHECK(hash_database(db) == before);
  pthread_cond_destroy(&where.changed);
  pthread_mutex_destroy(&where.mutex);
}

static void long_training(void) {
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
  must(db, make_big);
  must(db, train_big);
  Outcome model = must(db, "SELECT * FROM big_mf WHERE user < 3");
  static const char *const statements[] = {train_forever, create_forever, table_forever};
  for (int i = 0; i < 3; i++)
    for (int here = 0; here < 2; here++) {
      interrupt_training(db, statements[i],
                         (Remote){.steps = 1000, .ticks = -1, .here = here}); /* reading the source */
      interrupt_training(db, statements[i], (Remote){.steps = -1, .ticks = 1, .here = here});
      interrupt_training(db, statements[i], (Remote){.steps = -1, .ticks = 200, .here = here}); /* training */
    }
  Outcome again = must(db, "SELECT * FROM big_mf WHERE user < 3");
  assert_true(same_rows(&model, &again));
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void serving_ratings(void) {
  sqlite3 *db = open_image(&ratings);
  for (int i = 0; i < SERVING; i++)
    if (serving_statement(db, i)) sweep(&ratings, serving[i], 1);
  must_close(db);
}

static void training_ratings(void) {
  for (int i = 0; i < TRAINING; i++) sweep(&ratings, training[i], 0);
}

static void every_algorithm(void) {
  for (int i = 0; i < ALGORITHM_TRAINING; i++) sweep(&ratings, algorithm_training[i].sql, 0);
}

static void every_trainer(void) {
  Trainings trainings = all_trainings();
  for (int i = 0; i < trainings.count; i++) sweep(&ratings, trainings.sql[i], 0);
  trainings_free(&trainings);
}

static void changes_of_ratings(void) {
  for (int i = 0; i < CHANGES; i++) sweep(&ratings, rating_changes[i].sql, 0);
}

static void every_trial(void) {
  for (int i = 0; i < TRIALS; i++) sweep(&ratings, trials[i].sql, 0);
}

static void serving_content(void) {
  for (int i = 0; i < CONTENT_SERVING; i++) sweep(&content, content_serving[i], 1);
}

static void training_content(void) {
  for (int i = 0; i < CONTENT_TRAINING; i++) sweep(&content, content_training[i].sql, 0);
}

static void serving_links(void) {
  for (int i = 0; i < LINK_SERVING; i++) sweep(&links, link_serving[i], 1);
}

static void training_links(void) {
  for (int i = 0; i < LINK_TRAINING; i++) sweep(&links, link_training[i].sql, 0);
}

static void changes_of_links(void) {
  for (int i = 0; i < LINK_CHANGES; i++) sweep(&links, link_changes[i].sql, 0);
}

static void often_enough(void) {
  printf("%ld interrupts\n", interrupted);
  assert_true(interrupted > 500);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(serving_ratings),    TEST(training_ratings), TEST(every_algorithm),  TEST(every_trainer),
      TEST(changes_of_ratings), TEST(every_trial),      TEST(serving_content),  TEST(training_content),
      TEST(serving_links),      TEST(training_links),   TEST(changes_of_links), TEST(often_enough),
      TEST(long_training),
  };
  return cmocka_run_group_tests(tests, make_images, free_images);
}
