/* What a progress handler sees of work that runs no statement: a tick a millisecond, worth 200 opcodes at least, under
 * lowered limits too, and counted on from call to call. Without that a host that sets a limit of time by a handler
 * every 1,000 or 10,000 opcodes waits for ever. */
#include "data/interrupt.h"
#include "fault.h"

typedef struct Watch {
  long ticks, calls; /* so far; calls are counted from the first tick on */
  long stop_at;      /* calls */
} Watch;

static int count_call(void *argument) {
  Watch *watch = argument;
  watch->calls += watch->ticks > 0;
  return watch->calls >= watch->stop_at;
}

static int count_tick(unsigned event, void *argument, void *statement, void *sql) {
  Watch *watch = argument;
  (void)event;
  (void)sql;
  watch->ticks += strncmp(sqlite3_sql(statement), INTERRUPT_TICK, strlen(INTERRUPT_TICK)) == 0;
  return 0;
}

static void watch_it(sqlite3 *db, Watch *watch, int opcodes) {
  sqlite3_progress_handler(db, opcodes, count_call, watch);
  sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count_tick, watch);
}

/* Hours of work end with SQLite's own words, after no more ticks than so many calls are worth. */
static void ends(int limit, int value, long most_ticks) {
  sqlite3 *db = open_image(&ratings);
  Watch watch = {.stop_at = 20};
  if (value) sqlite3_limit(db, limit, value);
  watch_it(db, &watch, 1000);
  Outcome outcome = run(db, "SELECT mf_train('ratings', 8, '{\"threads\":1,\"epochs\":100000}')");
  CHECK(outcome.code == SQLITE_INTERRUPT && strcmp(outcome.message, "interrupted") == 0);
  if (!CHECK(watch.calls == 20 && watch.ticks > 0 && watch.ticks <= most_ticks))
    printf("  %ld calls, %ld ticks, limit %d of %d\n", watch.calls, watch.ticks, limit, value);
  must_close(db);
}

static void ends_in_time(void) { ends(0, 0, 20 * 1000 / 200 + 1); }

/* A tick is SELECT 1 under such limits, the oftener. */
static void ends_under_limits(void) {
  ends(SQLITE_LIMIT_EXPR_DEPTH, 10, 20 * 1000 / 4 + 50);
  ends(SQLITE_LIMIT_SQL_LENGTH, 300, 20 * 1000 / 4 + 50);
}

/* Each training is far too short for one call. */
static void counts_on(void) {
  sqlite3 *db = open_image(&ratings);
  Watch watch = {.ticks = 1, .stop_at = 1};
  Outcome outcome = {0};
  watch_it(db, &watch, 10000);
  for (long i = 0; i < 20000 && outcome.code == SQLITE_OK; i++)
    outcome = run(db, "SELECT mf_train('ratings', 3, '{\"threads\":1,\"epochs\":3}')");
  assert_int_equal(outcome.code, SQLITE_INTERRUPT);
  assert_int_equal(watch.calls, 1);
  must_close(db);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(ends_in_time),
      TEST(ends_under_limits),
      TEST(counts_on),
  };
  return cmocka_run_group_tests(tests, make_images, free_images);
}
