/* interactions_take against reading only the rows that are wanted. */
#include "data/interactions_subset.h"

#include <stdlib.h>

#include "base/memory.h"
#include "check.h"
#include "failing_memory.h"

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static sqlite3 *db;

static int open_database(void **state) {
  (void)state;
  assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
  assert_int_equal(source_register(db), SQLITE_OK);
  /* Ids of both kinds; the mark of a row is what it is taken by. */
  static const char make[] =
      "CREATE TABLE r(user, item TEXT, rating, mark);"
      "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 1999)"
      " INSERT INTO r SELECT CASE n % 3 WHEN 0 THEN n % 97 ELSE 'user ' || (n % 97) END, 'item ' || (n / 60), "
      " 1 + n % 9 / 2.0, n * 7 % 5 FROM n;";
  assert_int_equal(sqlite3_exec(db, make, NULL, NULL, NULL), SQLITE_OK);
  return 0;
}

static Interactions read_rows(const char *columns, const char *where) {
  Interactions read = {0};
  Source source = {0};
  Error error = {0};
  char *text = sqlite3_mprintf("SELECT %s FROM r WHERE %s", columns, where);
  const InteractionOptions options = {.caller = "test", .duplicates = DUPLICATES_MEAN, .timed = 1, .threads = 1};
  CHECK(source_resolve(db, text, "test", &source, &error) == SQLITE_OK);
  CHECK(interactions_read(db, &source, &options, &read, NULL, &error) == SQLITE_OK);
  source_free(&source);
  error_clear(&error);
  sqlite3_free(text);
  return read;
}

static int same_ids(const Dictionary *a, const Dictionary *b) {
  int same = a->count == b->count;
  for (size_t i = 0; same && i < a->count; i++) {
    Id x = dictionary_id(a, i), y = dictionary_id(b, i);
    same = id_compare(&x, &y) == 0 && dictionary_find(a, &x) == i;
  }
  return same;
}

static float value_at(const SparseMatrix *matrix, size_t e) { return matrix->value ? matrix->value[e] : 1.0F; }

static int same_matrices(const SparseMatrix *a, const SparseMatrix *b) {
  int same = a->rows == b->rows && a->columns == b->columns;
  for (size_t row = 0; same && row <= a->rows; row++) same = a->start[row] == b->start[row];
  for (size_t e = 0; same && e < a->start[a->rows]; e++)
    same = a->index[e] == b->index[e] && value_at(a, e) == value_at(b, e);
  return same;
}

/* The same times in the same order; rows may be numbered differently. */
static int same_times(const Interactions *a, const Interactions *b) {
  uint32_t order[2][128];
  int same = 1;
  for (size_t user = 0; same && user < a->by_user.rows; user++) {
    size_t first = a->by_user.start[user], n = sparse_row_length(&a->by_user, user);
    if (!CHECK(n <= 128)) return 0;
    entry_times_sort(a->trained_times.time + first, a->trained_times.row + first, n, order[0]);
    entry_times_sort(b->trained_times.time + first, b->trained_times.row + first, n, order[1]);
    for (size_t i = 0; i < n; i++)
      same &= order[0][i] == order[1][i] && a->trained_times.time[first + i] == b->trained_times.time[first + i];
  }
  return same;
}

static void check_same(const Interactions *taken, const Interactions *read) {
  CHECK(same_ids(&taken->users, &read->users) && same_ids(&taken->items, &read->items));
  CHECK(same_matrices(&taken->by_user, &read->by_user));
  CHECK(same_times(taken, read) && taken->timestamps == read->timestamps);
  CHECK(taken->user_affinity == read->user_affinity && taken->item_affinity == read->item_affinity);
  CHECK(taken->explicit_ratings == read->explicit_ratings);
  CHECK(taken->minimum == read->minimum && taken->maximum == read->maximum);
  CHECK_NEAR(taken->mean, read->mean, 1e-12);
  CHECK(taken->held_out.start == NULL);
}

/* ---- taking ------------------------------------------------------------------------------------------------------ */

/* The marks of all entries: of n·7 mod 5, kept as their ratings. */
static uint8_t *read_marks(size_t entries) {
  Interactions marks = read_rows("user, item, mark AS rating", "true");
  uint8_t *mark = memory_alloc(entries, 1);
  CHECK(marks.by_user.start[marks.by_user.rows] == entries);
  for (size_t e = 0; e < entries; e++) mark[e] = (uint8_t)value_at(&marks.by_user, e);
  interactions_free(&marks);
  return mark;
}

static void parts_of_all(const char *columns) {
  Interactions all = read_rows(columns, "true"), copy = read_rows(columns, "true");
  size_t entries = all.by_user.start[all.by_user.rows], sum = 0;
  uint8_t *mark = read_marks(entries);
  for (int part = 0; part < 5; part++) {
    char where[20];
    Interactions taken;
    snprintf(where, sizeof where, "mark = %d", part);
    Interactions read = read_rows(columns, where);
    CHECK(interactions_take(&all, mark, (uint8_t)part, &taken, NULL) == SQLITE_OK);
    check_same(&taken, &read);
    sum += taken.by_user.start[taken.by_user.rows];
    interactions_free(&taken);
    interactions_free(&read);
  }
  CHECK(sum == entries);
  check_same(&all, &copy); /* unchanged */
  memory_free(mark);
  interactions_free(&all);
  interactions_free(&copy);
}

static void all_or_nothing(void) {
  Interactions all = read_rows("user, item, rating", "true"), taken, none = {0};
  size_t entries = all.by_user.start[all.by_user.rows];
  uint8_t *mark = memory_alloc_zero(entries, 1);
  assert_int_equal(interactions_take(&all, mark, 0, &taken, NULL), SQLITE_OK);
  check_same(&taken, &all);
  interactions_free(&taken);
  assert_int_equal(interactions_take(&all, mark, 1, &taken, NULL), SQLITE_OK);
  assert_int_equal(taken.users.count, 0);
  assert_int_equal(taken.items.count, 0);
  assert_int_equal(taken.by_user.start[0], 0);
  assert_true(taken.mean == 0);
  interactions_free(&taken);
  mark[entries / 2] = 1;
  assert_int_equal(interactions_take(&all, mark, 1, &taken, NULL), SQLITE_OK);
  assert_int_equal(taken.users.count, 1);
  assert_int_equal(taken.items.count, 1);
  assert_int_equal(taken.by_user.start[1], 1);
  assert_true(taken.minimum == taken.maximum);
  assert_true(taken.mean == taken.minimum);
  interactions_free(&taken);
  memory_free(mark);
  interactions_free(&all);

  assert_int_equal(sparse_alloc(&none.by_user, 0, 0, 0, 0), SQLITE_OK);
  assert_int_equal(interactions_take(&none, NULL, 0, &taken, NULL), SQLITE_OK);
  assert_int_equal(taken.by_user.start[0], 0);
  interactions_free(&taken);
  interactions_free(&none);
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */

static int cancel_at_once(void *context) { return --*(int *)context < 0 ? SQLITE_INTERRUPT : SQLITE_OK; }

static void faults(void) {
  Interactions all = read_rows("user, item, rating", "true"), taken;
  size_t entries = all.by_user.start[all.by_user.rows];
  uint8_t *mark = read_marks(entries);
  long baseline = outstanding;
  int code = SQLITE_NOMEM;
  for (long n = 0; code != SQLITE_OK; n++) {
    fail_after = n;
    code = interactions_take(&all, mark, 2, &taken, NULL);
    fail_after = -1;
    CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
    CHECK(code == SQLITE_OK ? n > 8 : 1);
    interactions_free(&taken);
    CHECK(outstanding == baseline);
  }
  code = SQLITE_INTERRUPT;
  for (int n = 0; code != SQLITE_OK; n++) {
    int left = n;
    const Cancel cancel = {cancel_at_once, &left};
    code = interactions_take(&all, mark, 2, &taken, &cancel);
    CHECK(code == SQLITE_OK ? n == 4 : code == SQLITE_INTERRUPT); /* rows twice, users and items */
    interactions_free(&taken);
    CHECK(outstanding == baseline);
  }
  memory_free(mark);
  interactions_free(&all);
}

static void test_all_columns(void) { parts_of_all("user, item, rating"); }
static void test_pairs(void) { parts_of_all("user, item"); }
static void test_times(void) { parts_of_all("user, item, rating, 7919 * rowid % 13 AS timestamp"); }
static void test_one_rating(void) { parts_of_all("user, item, 3"); }

static void test_nothing_is_lost(void) {
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
  assert_int_equal(outstanding, 0);
}

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_all_columns), TEST(test_pairs), TEST(test_times),           TEST(test_one_rating),
      TEST(all_or_nothing),   TEST(faults),     TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, open_database, NULL);
}
