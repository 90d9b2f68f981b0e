/* Loading the shared library, as sqlite3_load_extension() does, with every allocation failed in turn: once, and all
 * from the nth on.
 *
 * Whatever was registered before the failure can be called, the library being still there; the next load makes the
 * connection whole; it closes, and nothing leaks. This program is not linked with the extension. */
#include <dlfcn.h>

#include "memory_fault.h"

#if defined(__APPLE__)
#define LIBRARY_FILE RECOMMEND_LIBRARY ".dylib"
#else
#define LIBRARY_FILE RECOMMEND_LIBRARY ".so"
#endif

/* The fault is the nth allocation; 0: none. Returns how many there were. */
static long load(sqlite3 *db, long at, int for_good, int *code) {
  char *message = NULL;
  CHECK(sqlite3_enable_load_extension(db, 1) == SQLITE_OK);
  arm(at, for_good);
  *code = sqlite3_load_extension(db, RECOMMEND_LIBRARY, NULL, &message);
  long count = disarm();
  if (!CHECK(*code == SQLITE_OK || (count > 0 && (*code == SQLITE_ERROR || *code == SQLITE_NOMEM))))
    printf("  allocation %ld of loading: code %d, %s\n", at, *code, message ? message : "no message");
  sqlite3_free(message);
  return count;
}

static void must_load(sqlite3 *db) {
  int code;
  load(db, 0, 0, &code);
  CHECK(code == SQLITE_OK);
}

/* The very first load fails half way: had the library been unmapped, what it registered would point into nothing. */
static void stays_mapped(void) {
  sqlite3 *db = NULL;
  int code;
  assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
  assert_true(load(db, 120, 1, &code) > 0);
  assert_int_not_equal(code, SQLITE_OK);
  void *library = dlopen(LIBRARY_FILE, RTLD_LAZY | RTLD_NOLOAD);
  if (CHECK(library != NULL)) dlclose(library);
  assert_true(must(db, "SELECT 1 FROM pragma_function_list WHERE name = 'recommend_split'").rows > 0);
  must(db, "SELECT recommend_split(1, 2)");
  must_close(db);
}

static Image trained_image(void) {
  sqlite3 *db = NULL;
  CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
  must_load(db);
  must(db, make_data);
  must(db, train_ratings);
  must(db, train_plays);
  Image image = take_image(db);
  must_close(db);
  return image;
}

/* An error is as good as rows, if it says something. */
static void call(sqlite3 *db, const char *sql) {
  Outcome outcome = run(db, sql);
  if (!CHECK(outcome.code == SQLITE_OK || outcome.message[0])) printf("  %s: code %d\n", sql, outcome.code);
}

/* Functions with as many arguments as they take, tables with none and with some; then what a user would do. */
static void call_everything(sqlite3 *db) {
  static const char functions[] =
      "SELECT 'SELECT ' || name || '(' || substr('''ratings'',2,''{}'',4,5', 1, CASE narg WHEN 0 THEN 0 WHEN 1 THEN 9 "
      "WHEN 2 THEN 11 WHEN 3 THEN 16 ELSE 20 END) || ')' FROM pragma_function_list WHERE NOT builtin";
  static const char tables[] =
      "SELECT 'SELECT * FROM ' || name || arguments FROM pragma_module_list, (SELECT '' AS arguments UNION ALL "
      "VALUES('(1)'), ('(1, 2)'), ('(''ratings'', 2)'), ('(''mf'', ''ratings'', 2)')) WHERE name NOT GLOB 'pragma*' "
      "AND (name GLOB '*_train' OR name GLOB 'recommend*' OR name GLOB '*similar*' OR name GLOB 'tfidf*')";
  const char *lists[] = {functions, tables};
  for (int i = 0; i < 2; i++) {
    sqlite3_stmt *list = NULL;
    CHECK(sqlite3_prepare_v2(db, lists[i], -1, &list, NULL) == SQLITE_OK);
    while (sqlite3_step(list) == SQLITE_ROW) call(db, (const char *)sqlite3_column_text(list, 0));
    sqlite3_finalize(list);
  }
  for (int i = 0; i < SERVING; i++) call(db, serving[i]);
  call(db, train_ratings);
  for (int i = 0; i < CHANGES; i++) call(db, rating_changes[i].sql);
}

/* A load after one that failed: nothing had been registered, or it says what to do. By SQL a statement is running, amid
 * which SQLite replaces no function. */
static int load_again(sqlite3 *db, const char *how) {
  Outcome again = run(db, how);
  if (!CHECK(again.code == SQLITE_OK || strstr(again.message, "open the connection anew")))
    printf("  %s: code %d, %s\n", how, again.code, again.message);
  return again.code == SQLITE_OK;
}

/* Whether the nth allocation came. */
static int one_failure(const Image *image, long at, int for_good, const Outcome expected[]) {
  long baseline = atomic_load(&outstanding);
  sqlite3 *db = open_image(image);
  int code;
  long count = load(db, at, for_good, &code);
  injected += count;
  if (code != SQLITE_OK) {
    must(db, "SAVEPOINT s");
    call_everything(db);
    must(db, "ROLLBACK TO s; RELEASE s");
  }
  if (code == SQLITE_OK || load_again(db, "SELECT load_extension('" RECOMMEND_LIBRARY "')")) {
    must(db, "SELECT recommend_version()");
    for (int i = 0; i < SERVING && !for_good; i++) {
      Outcome outcome = run(db, serving[i]);
      if (!CHECK(same_rows(&outcome, &expected[i])))
        printf("  after allocation %ld of loading, %s: code %d, %s\n", at, serving[i], outcome.code, outcome.message);
    }
  }
  must_close(db);
  if (!CHECK(atomic_load(&outstanding) == baseline))
    printf("  allocation %ld of loading: %ld blocks are lost\n", at, atomic_load(&outstanding) - baseline);
  return count > 0;
}

static void sweep_library(void) {
  Image image = trained_image();
  Outcome expected[SERVING];
  sqlite3 *db = open_image(&image);
  must_load(db);
  for (int i = 0; i < SERVING; i++) expected[i] = must(db, serving[i]);
  must_close(db);
  for (int for_good = 0; for_good < 2; for_good++)
    for (long at = 1; one_failure(&image, at, for_good, expected);) at = next_fault(at, 1000, 100);
  free(image.bytes);
}

static void enough_have_failed(void) {
  printf("%ld allocations failed\n", injected);
  assert_true(injected > 150 / FAULT_SLOW);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(stays_mapped),
      TEST(sweep_library),
      TEST(enough_have_failed),
  };
  return cmocka_run_group_tests(tests, install, NULL);
}
