/* SQLite's limits, lowered step by step while models are served, trained and changed.
 *
 * A limit is no damage: a statement succeeds with the right rows, or ends with what SQLite says of the limit. Nothing
 * is changed by a statement that failed, and with the limits as they were everything is right again. */
#include "fault.h"

static long refused;

static const struct {
  int limit;
  int values[8]; /* ends with 0 */
} limits[] = {
    {SQLITE_LIMIT_SQL_LENGTH, {40, 90, 130, 200}}, {SQLITE_LIMIT_COLUMN, {1, 2, 3}},
    {SQLITE_LIMIT_EXPR_DEPTH, {1, 2, 10}},         {SQLITE_LIMIT_COMPOUND_SELECT, {1}},
    {SQLITE_LIMIT_VDBE_OP, {5, 20, 50}},           {SQLITE_LIMIT_FUNCTION_ARG, {1, 2}},
    {SQLITE_LIMIT_VARIABLE_NUMBER, {1, 2}},        {SQLITE_LIMIT_LENGTH, {30, 100, 250}},
};
enum { LIMITS = sizeof limits / sizeof *limits };

/* It answers with a row of what each model said, a refusal too. */
static int answers_all_the_same(const char *sql) { return strstr(sql, "recommend_forget") != NULL; }

/* Limits of the user's own statement are met as it is prepared: it is, before they are lowered. */
static Outcome run_limited(sqlite3 *db, const char *sql, int limit, int value) {
  sqlite3_stmt *statement = NULL;
  Outcome outcome = {.hash = UINT64_C(0xcbf29ce484222325)};
  CHECK(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
  int before = sqlite3_limit(db, limit, value), code;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    for (int column = 0; column < sqlite3_column_count(statement); column++)
      outcome.hash = hash_column(outcome.hash, statement, column);
    outcome.rows++;
  }
  if (code != SQLITE_DONE) {
    outcome.code = sqlite3_extended_errcode(db);
    snprintf(outcome.message, sizeof outcome.message, "%s", sqlite3_errmsg(db));
  }
  sqlite3_finalize(statement);
  sqlite3_limit(db, limit, before);
  return outcome;
}

static void one(const Image *image, const Step *step, const Outcome *expected, int limit, int value) {
  sqlite3 *db = open_image(image);
  uint64_t before = hash_database(db);
  Outcome outcome = run_limited(db, step->sql, limit, value);
  int code = primary(outcome.code);
  int right = code == SQLITE_OK
                  ? step->timed || answers_all_the_same(step->sql) || same_rows(&outcome, expected)
                  : (code == SQLITE_ERROR || code == SQLITE_TOOBIG || code == SQLITE_RANGE || code == SQLITE_NOMEM) &&
                        !strstr(outcome.message, "damaged");
  if (!CHECK(right))
    printf("  limit %d of %d, %.90s: code %d, %s\n", limit, value, step->sql, outcome.code, outcome.message);
  if (outcome.code != SQLITE_OK) {
    refused++;
    CHECK(hash_database(db) == before);
    Outcome again = run(db, step->sql);
    if (!CHECK(again.code == SQLITE_OK && (step->timed || same_rows(&again, expected))))
      printf("  after limit %d of %d, %.90s: code %d, %s\n", limit, value, step->sql, again.code, again.message);
  }
  check_integrity(db);
  must_close(db);
}

static void sweep(const Image *image, const Step step) {
  sqlite3 *db = open_image(image);
  Outcome expected = must(db, step.sql);
  must_close(db);
  for (int i = 0; i < LIMITS; i++)
    for (int v = 0; v < 8 && limits[i].values[v]; v++)
      one(image, &step, &expected, limits[i].limit, limits[i].values[v]);
}

/* Under a sanitizer every third. */
static void serve(const Image *image, const char *const *statements, int count) {
  for (int i = 0; i < count; i += SANITIZED ? 3 : 1) sweep(image, (Step){statements[i], 0});
}

static void serving_ratings(void) { serve(&ratings, serving, SERVING); }
static void serving_content(void) { serve(&content, content_serving, CONTENT_SERVING); }
static void serving_links(void) { serve(&links, link_serving, LINK_SERVING); }

static void training(void) {
  sweep(&ratings, (Step){train_ratings, 1});
  sweep(&links, (Step){train_links[0], 1});
  sweep(&content, (Step){train_content[0], 1});
}

static void changing(void) {
  for (int i = 0; i < CHANGES; i++) sweep(&ratings, rating_changes[i]);
}

static void often_enough(void) {
  printf("%ld statements refused\n", refused);
  assert_true(refused > 500 / FAULT_SLOW);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(serving_ratings), TEST(serving_content), TEST(serving_links),
      TEST(training),        TEST(changing),        TEST(often_enough),
  };
  return cmocka_run_group_tests(tests, make_images, free_images);
}
