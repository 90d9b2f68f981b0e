/* Sources and interactions, against what SQLite's own GROUP BY and window functions make of the same rows. */
#include <stdlib.h>

#include "base/memory.h"
#include "check.h"
#include "data/interactions.h"

static sqlite3 *db;

static void run(const char *sql) {
  char *message = NULL;
  if (!CHECK(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK)) printf("  %s: %s\n", sql, message);
  sqlite3_free(message);
}

static void open_database(void) {
  CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
  CHECK(source_register(db) == SQLITE_OK);
}

static void close_database(void) {
  CHECK(sqlite3_next_stmt(db, NULL) == NULL); /* nothing is left open */
  CHECK(sqlite3_get_autocommit(db));
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

static int read_with(const char *text, const InteractionOptions *options, Interactions *interactions,
                     const Cancel *cancel, Error *error) {
  Source source;
  InteractionOptions named = *options;
  named.caller = "mf_train";
  memset(interactions, 0, sizeof *interactions);
  int code = source_resolve(db, text, named.caller, &source, error);
  if (code == SQLITE_OK) code = interactions_read(db, &source, &named, interactions, cancel, error);
  source_free(&source);
  CHECK(code == error->code);
  return code;
}

/* Reads what must be readable. */
static Interactions read_source(const char *text, InteractionOptions options) {
  Interactions interactions;
  Error error = {0};
  if (!CHECK(read_with(text, &options, &interactions, NULL, &error) == SQLITE_OK))
    printf("  %s: %s\n", text, error.message ? error.message : "?");
  error_clear(&error);
  return interactions;
}

/* Reading `text` fails with this code, and a message that has all `parts` (divided by |). */
static void fails(const char *text, InteractionOptions options, int code, const char *parts) {
  Interactions interactions;
  Error error = {0};
  int got = read_with(text, &options, &interactions, NULL, &error);
  if (!CHECK(got == code)) printf("  %s: code %d, %s\n", text, got, error.message ? error.message : "?");
  char *copy = sqlite3_mprintf("%s", parts), *rest = copy;
  for (char *part = strtok_r(rest, "|", &rest); part; part = strtok_r(rest, "|", &rest))
    if (!CHECK(error.message && strstr(error.message, part))) printf("  %s: not in %s\n", part, error.message);
  sqlite3_free(copy);
  CHECK(interactions.users.count == 0 && interactions.by_user.start == NULL && interactions.held_out.start == NULL);
  CHECK(sqlite3_next_stmt(db, NULL) == NULL);
  error_clear(&error);
  interactions_free(&interactions);
}

static float value_at(const SparseMatrix *matrix, size_t entry) { return matrix->value ? matrix->value[entry] : 1.0F; }

/* The matrix holds just the rows (user, item, value) of a SELECT, in their order. */
static void check_rows(const Interactions *interactions, const SparseMatrix *matrix, const char *sql) {
  sqlite3_stmt *statement = NULL;
  if (!CHECK(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK)) printf("  %s\n", sqlite3_errmsg(db));
  size_t entry = 0, row = 0;
  int wrong = 0, ones = 1;
  CHECK(matrix->rows == interactions->users.count && matrix->columns == interactions->items.count);
  while (sqlite3_step(statement) == SQLITE_ROW) {
    Id user, item;
    id_from_value(sqlite3_column_value(statement, 0), &user);
    id_from_value(sqlite3_column_value(statement, 1), &item);
    if (entry >= matrix->start[matrix->rows]) {
      wrong++;
      break;
    }
    while (entry >= matrix->start[row + 1]) row++;
    Id our_user = dictionary_id(&interactions->users, row);
    Id our_item = dictionary_id(&interactions->items, matrix->index[entry]);
    float value = (float)sqlite3_column_double(statement, 2);
    wrong += id_compare(&user, &our_user) != 0 || id_compare(&item, &our_item) != 0;
    wrong += value != value_at(matrix, entry);
    ones = ones && value == 1.0F;
    entry++;
  }
  if (!CHECK(wrong == 0)) printf("  %d differ from %s\n", wrong, sql);
  CHECK(entry == matrix->start[matrix->rows]);
  CHECK((matrix->value == NULL) == ones || entry == 0);
  sqlite3_finalize(statement);
}

static void check_trained(const char *text, InteractionOptions options, const char *sql) {
  Interactions interactions = read_source(text, options);
  check_rows(&interactions, &interactions.by_user, sql);
  interactions_free(&interactions);
}

static const InteractionOptions plain;

/* ---- what a source is -------------------------------------------------------------------------------------------- */

static void resolves(const char *text, const char *schema, const char *name) {
  Source source;
  Error error = {0};
  if (!CHECK(source_resolve(db, text, "mf_train", &source, &error) == SQLITE_OK)) printf("  %s\n", error.message);
  CHECK_TEXT(source.schema, schema);
  CHECK_TEXT(source.name, name);
  CHECK(source.is_query == (name == NULL));
  CHECK_TEXT(source.text, text);
  source_free(&source);
  error_clear(&error);
}

static void test_names(void) {
  open_database();
  run("CREATE TABLE ratings(u, i, r); CREATE VIEW liked AS SELECT * FROM ratings; CREATE TABLE \"a.b\"(u, i);"
      "CREATE TABLE \"sel\"\"ect\"(u, i); CREATE TABLE \"Größe\"(u, i); CREATE TABLE \"values\"(u, i);"
      "CREATE TABLE \"wide space\"(u, i); CREATE TABLE \"o'clock\"(u, i); CREATE TABLE \"[x]\"(u, i);"
      "ATTACH ':memory:' AS aux; ATTACH ':memory:' AS \"odd \"\"schema\"; CREATE TABLE aux.ratings(u, i);"
      "CREATE TABLE aux.only(u, i); CREATE TABLE aux.\"c.d\"(u, i); CREATE TABLE main.\"aux.dotted\"(u, i);"
      "CREATE TABLE aux.dotted(u, i); CREATE TABLE \"odd \"\"schema\".t(u, i)");
  resolves("ratings", "main", "ratings");
  resolves("RATINGS", "main", "ratings");
  resolves(" ratings ", "main", "ratings");
  resolves("liked", "main", "liked");
  resolves("main.liked", "main", "liked");
  resolves("a.b", "main", "a.b");
  resolves("main.a.b", "main", "a.b");
  resolves("\"a.b\"", "main", "a.b");
  resolves("main.\"a.b\"", "main", "a.b");
  resolves("sel\"ect", "main", "sel\"ect");
  resolves("\"sel\"\"ect\"", "main", "sel\"ect");
  resolves("Größe", "main", "Größe");
  resolves("values", "main", "values");
  resolves("wide space", "main", "wide space");
  resolves("o'clock", "main", "o'clock");
  resolves("[x]", "main", "[x]");
  resolves("[wide space]", "main", "wide space");
  resolves("`only`", "aux", "only");
  resolves("only", "aux", "only");
  resolves("AUX.ratings", "aux", "ratings");
  resolves("aux . ratings", "aux", "ratings");
  resolves("aux.c.d", "aux", "c.d");
  resolves("c.d", "aux", "c.d");
  resolves("aux.dotted", "main", "aux.dotted");
  resolves("\"aux\".\"dotted\"", "aux", "dotted");
  resolves("\"odd \"\"schema\".t", "odd \"schema", "t");
  resolves("t", "odd \"schema", "t");
  run("CREATE TEMP TABLE ratings(u, i)");
  resolves("ratings", "temp", "ratings");
  resolves("main.ratings", "main", "ratings");
  resolves("temp.ratings", "temp", "ratings");
  resolves("SELECT 1, 2", NULL, NULL);
  resolves(" /* x */ -- y\n ( wiTh a AS (SELECT 1) SELECT 1, 2 FROM a)", NULL, NULL);
  resolves("values(1,2)", NULL, NULL);
  fails("ratngs", plain, SQLITE_ERROR, "mf_train: there is no table or view \"ratngs\"|did you mean \"|ratings\"?");
  fails("aux.onyl", plain, SQLITE_ERROR, "no table or view \"onyl\"|\"aux\"|did you mean \"only\"?");
  fails("nowhere.ratings", plain, SQLITE_ERROR, "no table or view \"nowhere.ratings\"");
  fails("completely different", plain, SQLITE_ERROR, "give the name of one, or a SELECT");
  fails("onlly", plain, SQLITE_ERROR, "did you mean \"aux.only\"?");
  fails("\"ratings", plain, SQLITE_ERROR, "no table or view");
  fails("\"ratings\" x", plain, SQLITE_ERROR, "no table or view");
  fails("", plain, SQLITE_ERROR, "is empty");
  fails(" -- nothing", plain, SQLITE_ERROR, "is empty");
  close_database();
}

static void test_queries(void) {
  open_database();
  run("CREATE TABLE ratings(user INTEGER, item TEXT, rating REAL); INSERT INTO ratings VALUES(1,'a',2),(1,'b',3),"
      "(2,'a',4); CREATE TABLE source AS SELECT * FROM ratings; CREATE TABLE rows AS SELECT * FROM ratings");
  static const char *const same[] = {
      "ratings",
      "source",
      "SELECT * FROM ratings",
      "SELECT * FROM source",
      "select user, item, rating from rows;",
      "SELECT user, item, rating FROM ratings -- all of them",
      "SELECT user, item, rating FROM ratings -- all; of them;",
      "SELECT user, item, rating FROM ratings; -- all of them\n /* yes */ ; ;",
      "(SELECT user, item, rating FROM ratings)",
      "((SELECT user, item, rating FROM ratings)) ;",
      "WITH source(x, y, z) AS (SELECT * FROM ratings) SELECT z + 1 - 1, y, x FROM source",
      "VALUES(1,'a',2),(1,'b',3),(2,'a',4)",
      "SELECT user, item, rating FROM ratings ORDER BY rating DESC LIMIT 10",
      "SELECT 1 u, 'a' u, 2 u UNION ALL SELECT 1, 'b', 3 UNION ALL SELECT 2, 'a', 4",
  };
  for (size_t s = 0; s < sizeof same / sizeof *same; s++) {
    InteractionOptions options = plain;
    if (strstr(same[s], "z + 1")) { /* its columns come in another order */
      options.user = "X";
      options.item = "Y";
      options.rating = "z + 1 - 1";
    }
    check_trained(same[s], options, "SELECT * FROM ratings ORDER BY 1, 2");
  }
  Interactions interactions = read_source("ratings", plain);
  assert_int_equal(interactions.user_affinity, ID_AFFINITY_INTEGER);
  assert_int_equal(interactions.item_affinity, ID_AFFINITY_TEXT);
  assert_true(interactions.explicit_ratings);
  CHECK_NEAR(interactions.mean, 3, 0);
  CHECK_NEAR(interactions.minimum, 2, 0);
  CHECK_NEAR(interactions.maximum, 4, 0);
  interactions_free(&interactions);
  interactions = read_source("SELECT item AS a, user + 0 FROM ratings", plain);
  assert_int_equal(interactions.user_affinity, ID_AFFINITY_TEXT);
  assert_int_equal(interactions.item_affinity, ID_AFFINITY_BLOB);
  assert_false(interactions.explicit_ratings);
  interactions_free(&interactions);

  fails("SELECT 1, 2; SELECT 3, 4", plain, SQLITE_ERROR, "mf_train: |one SELECT|SELECT 3, 4");
  fails("SELECT 1, 2; DROP TABLE ratings", plain, SQLITE_ERROR, "one SELECT|DROP");
  fails("SELECT 1, 2) SELECT (3", plain, SQLITE_ERROR, "mf_train: |syntax error");
  fails("SELECT user, itm FROM ratings", plain, SQLITE_ERROR, "mf_train: |itm");
  fails("SELECT ?1, ?2", plain, SQLITE_ERROR, "parameters");
  fails("SELECT :a, 2", plain, SQLITE_ERROR, "parameters");
  fails("WITH a AS (SELECT 1) INSERT INTO ratings SELECT 7, 7, 7 RETURNING *", plain, SQLITE_ERROR, "only reads");
  fails("WITH a AS (SELECT 1) DELETE FROM ratings", plain, SQLITE_ERROR, "only reads");
  fails("INSERT INTO ratings VALUES(7, 7, 7) RETURNING *", plain, SQLITE_ERROR, "no table or view");
  fails("SELECT user FROM ratings", plain, SQLITE_ERROR, "one column, \"user\"");
  fails("SELECT * FROM (", plain, SQLITE_ERROR, "incomplete");
  fails("SELECT 1, abs(-9223372036854775808)", plain, SQLITE_ERROR, "overflow");
  run("SELECT CASE count(*) WHEN 3 THEN 1 ELSE abs(-9223372036854775808) END FROM ratings"); /* all still there */
  assert_int_equal(sqlite3_exec(db, "SELECT recommend_collect(1, 2, 3)", NULL, NULL, NULL), SQLITE_ERROR);
  assert_true(sqlite3_exec(db, "SELECT recommend_collect()", NULL, NULL, NULL) == SQLITE_OK ||
              strstr(sqlite3_errmsg(db), "internal"));
  close_database();
}

static void test_columns(void) {
  open_database();
  run("CREATE TABLE log(stars, who, \"what \"\"thing\", at); INSERT INTO log VALUES(5, 'x', 'y', 1), (4, 'x', 'z', 2)");
  InteractionOptions named = {.user = "WHO", .item = "what \"thing", .rating = "stars"};
  check_trained("log", named, "SELECT who, \"what \"\"thing\", stars FROM log ORDER BY 1, 2");
  named.rating = NULL; /* the third column is taken by the item */
  fails("log", named, SQLITE_ERROR, "two of user, item and rating");
  named.implicit = 1;
  check_trained("log", named, "SELECT who, \"what \"\"thing\", 1 FROM log ORDER BY 1, 2");
  fails("log", (InteractionOptions){.user = "whom"}, SQLITE_ERROR,
        "mf_train: option \"user\" names the column \"whom\"|\"stars\", \"who\", \"what \"thing\", \"at\"");
  fails("log", (InteractionOptions){.item = "a"}, SQLITE_ERROR, "option \"item\"");
  fails("log", (InteractionOptions){.rating = "a"}, SQLITE_ERROR, "option \"rating\"");
  fails("log", (InteractionOptions){.timestamp = "a"}, SQLITE_ERROR, "option \"timestamp\"");
  fails("log", (InteractionOptions){.user = "who"}, SQLITE_ERROR, "the column \"who\" would be two");
  fails("log", (InteractionOptions){.rating = "who"}, SQLITE_ERROR, "the column \"who\" would be two");
  /* What to write, as JSON in an SQL string. */
  fails("log", (InteractionOptions){.rating = "stars"}, SQLITE_ERROR,
        "'{\"user\": \"who\", \"item\": \"what \\\"thing\", \"rating\": \"stars\", \"timestamp\": \"at\"}'");
  close_database();
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void test_values(void) {
  open_database();
  run("CREATE TABLE r(user, item, rating); INSERT INTO r VALUES(1,1,1),(1.0,2,'2'),(NULL,1,1),('',1,1),(1,NULL,1),"
      "(1,'',1),(3,1,NULL),(4,1,''),('1',1,' 3.5 '),(x'31',1,4),(1.5,1,'1e1'),(x'',1,6),('1',x'00',-7),(-1,1,0),"
      "(9007199254740993,1,1),(9007199254740992.0,1,2),('ä','Ä',3),('a' || char(0) || 'b',1,1)");
  Interactions interactions = read_source("r", plain);
  check_rows(&interactions, &interactions.by_user,
             "SELECT user, item, CAST(rating AS REAL) FROM r WHERE user IS NOT NULL AND user <> '' AND item <> '' AND "
             "rating <> '' ORDER BY user, item");
  assert_int_equal(interactions.rows, 18);
  assert_int_equal(interactions.left_out, 6);
  assert_int_equal(interactions.duplicates, 0);
  Id three = {.kind = ID_INTEGER, .as.integer = 3}; /* its only row was left out */
  assert_int_equal(dictionary_find(&interactions.users, &three), DICTIONARY_NONE);
  interactions_free(&interactions);
  /* Without ratings the third column does not matter. */
  interactions = read_source("r", (InteractionOptions){.implicit = 1});
  assert_int_equal(interactions.left_out, 4);
  assert_null(interactions.by_user.value);
  assert_false(interactions.explicit_ratings);
  CHECK_NEAR(interactions.mean, 1, 0);
  interactions_free(&interactions);

  fails("VALUES(1,2,3),(42,'tt01','abc')", plain, SQLITE_MISMATCH,
        "mf_train: row 2 (user 42, item 'tt01') has the rating 'abc', which is not a number|SELECT");
  fails("VALUES(1,2,x'31')", plain, SQLITE_MISMATCH, "row 1 (user 1, item 2)|x'31'");
  fails("VALUES(1,2,9e999)", plain, SQLITE_MISMATCH, "row 1|Inf|too large");
  fails("VALUES(1,2,'-9e999')", plain, SQLITE_MISMATCH, "row 1|Inf|too large");
  fails("VALUES(1,2,1e39)", plain, SQLITE_MISMATCH, "row 1|1.0e+39|too large");
  fails("VALUES(1,2,'nan')", plain, SQLITE_MISMATCH, "'nan'");
  fails("VALUES(1,2,'  ')", plain, SQLITE_MISMATCH, "not a number");
  fails("VALUES(1,2,'5 stars')", plain, SQLITE_MISMATCH, "'5 stars'");
  fails("VALUES(1,2,3e38),(1,2,3e38)", (InteractionOptions){.duplicates = DUPLICATES_SUM}, SQLITE_MISMATCH,
        "user 1 and item 2|too large");

  run("CREATE TABLE empty(user, item, rating)");
  interactions = read_source("empty", (InteractionOptions){.test = 0.5});
  assert_int_equal(interactions.rows, 0);
  assert_int_equal(interactions.by_user.rows, 0);
  assert_int_equal(interactions.by_user.start[0], 0);
  assert_true(interactions.held_out.start);
  assert_int_equal(interactions.held_out.start[0], 0);
  assert_true(interactions.mean == 0);
  assert_true(interactions.explicit_ratings);
  interactions_free(&interactions);
  interactions = read_source("SELECT NULL, NULL", plain);
  assert_int_equal(interactions.rows, 1);
  assert_int_equal(interactions.left_out, 1);
  assert_int_equal(interactions.by_user.rows, 0);
  interactions_free(&interactions);

  run("CREATE TABLE large(user, item); WITH n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 30) INSERT INTO "
      "large SELECT CAST(printf('%0100000d', n % 7) AS TEXT), CAST(zeroblob(100000) || (n % 5) AS BLOB) FROM n");
  check_trained("large", plain, "SELECT user, item, count(*) FROM large GROUP BY 1, 2 ORDER BY 1, 2");
  check_trained("SELECT zeroblob(3), zeroblob(0)", plain, "SELECT x'000000', x'', 1");
  close_database();
}

/* UTF-16 text is the same text. */
static void test_utf16(void) {
  open_database();
  run("PRAGMA encoding = 'UTF-16'; CREATE TABLE r(user TEXT, item TEXT, rating); INSERT INTO r VALUES('ä','x','2'),"
      "('b','',1),('c','€','')");
  Interactions interactions = read_source("r", plain);
  check_rows(&interactions, &interactions.by_user, "SELECT 'ä', 'x', 2");
  assert_int_equal(interactions.left_out, 2);
  interactions_free(&interactions);
  close_database();
}

/* ---- duplicates -------------------------------------------------------------------------------------------------- */

#define TIMED(last)                                                                                     \
  "SELECT user, item, rating FROM (SELECT *, row_number() OVER (PARTITION BY user, item ORDER BY " last \
  ") AS n FROM r) WHERE n = 1 ORDER BY user, item"

static void test_duplicates(void) {
  open_database();
  /* 20,000 rows on 40 × 60 pairs in a scattered order, ratings in quarters so that sums are exact, times with ties. */
  run("CREATE TABLE r(user, item, rating, time); WITH n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT 20000) "
      "INSERT INTO r SELECT n * 7919 % 20011 % 40, 'i' || (n * 104729 % 20011 % 61), n * 31 % 17 / 4.0, "
      "n * 48271 % 7 FROM n; CREATE INDEX covering ON r(user, item, rating, time)");
  InteractionOptions options = {0};
  check_trained("SELECT user, item, rating FROM r", options, TIMED("rowid DESC"));
  check_trained("r", options, TIMED("time DESC, rowid DESC"));
  options.timestamp = "time";
  check_trained("SELECT time, user, item, rating FROM r",
                (InteractionOptions){.user = "user", .item = "item", .rating = "rating", .timestamp = "time"},
                TIMED("time DESC, rowid DESC"));
  options.duplicates = DUPLICATES_SUM;
  check_trained("r", options, "SELECT user, item, sum(rating) FROM r GROUP BY 1, 2 ORDER BY 1, 2");
  options.duplicates = DUPLICATES_MEAN;
  check_trained("r", options, "SELECT user, item, avg(rating) FROM r GROUP BY 1, 2 ORDER BY 1, 2");
  check_trained("SELECT user, item FROM r", plain, "SELECT user, item, count(*) FROM r GROUP BY 1, 2 ORDER BY 1, 2");
  options.implicit = 1;
  check_trained("r", options, "SELECT user, item, 1 FROM r GROUP BY 1, 2 ORDER BY 1, 2");
  Interactions interactions = read_source("r", options);
  assert_true(interactions.duplicates == 20000 - (int64_t)interactions.by_user.start[interactions.by_user.rows]);
  assert_true(interactions.duplicates > 10000);
  assert_null(interactions.by_user.value);
  interactions_free(&interactions);

  /* The order of rows is the query's, or the table's whatever indexes there are. */
  run("CREATE TABLE three(user, item, rating); INSERT INTO three SELECT user, item, rating FROM r; CREATE INDEX other "
      "ON three(user, item, rating)");
  check_trained("three", plain, TIMED("rowid DESC"));
  check_trained("SELECT user, item, rating FROM r ORDER BY rating, rowid", plain, TIMED("rating DESC, rowid DESC"));
  check_trained("(SELECT user, item, rating FROM r ORDER BY rating DESC, rowid)", plain, TIMED("rating, rowid DESC"));

  fails("r", (InteractionOptions){.duplicates = DUPLICATES_ERROR, .threads = 3}, SQLITE_CONSTRAINT,
        "mf_train: user 0 and item 'i0' occur together more than once|\"duplicates\"");
  check_trained("SELECT DISTINCT user, item FROM r", (InteractionOptions){.duplicates = DUPLICATES_ERROR},
                "SELECT user, item, 1 FROM r GROUP BY 1, 2 ORDER BY 1, 2");
  close_database();
}

static void test_timestamps(void) {
  open_database();
  run("CREATE TABLE r(user, item, rating, time); INSERT INTO r VALUES(1,1,1,'30'),(1,1,2,20),(1,1,3,NULL),(1,1,4,'')");
  check_trained("r", plain, "VALUES(1,1,1)");
  check_trained("SELECT * FROM r WHERE rating > 2", plain, "VALUES(1,1,4)");
  run("INSERT INTO r VALUES(2,1,5,'2020-02-02'),(2,1,6,'2020-01-01')"); /* no timestamp at all, then */
  check_trained("r", plain, "VALUES(1,1,4),(2,1,6)");
  fails("r", (InteractionOptions){.timestamp = "time"}, SQLITE_MISMATCH,
        "row 5 (user 2, item 1) has the timestamp '2020-02-02'|unixepoch");
  check_trained("r", (InteractionOptions){.timestamp = "time", .duplicates = DUPLICATES_SUM},
                "VALUES(1,1,10),(2,1,11)");
  close_database();
}

/* Each user's entries, oldest first, are the rows (item, time) of a SELECT. */
static void check_order(const char *text, InteractionOptions options, const char *sql) {
  Interactions got = read_source(text, options);
  uint32_t order[128];
  sqlite3_stmt *statement = NULL;
  if (!CHECK(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK)) printf("  %s\n", sqlite3_errmsg(db));
  CHECK(got.trained_times.time && got.trained_times.row && !got.held_out_times.time);
  int wrong = 0;
  for (size_t user = 0; user < got.by_user.rows; user++) {
    size_t first = got.by_user.start[user], n = sparse_row_length(&got.by_user, user);
    if (!CHECK(n <= sizeof order / sizeof *order)) break;
    entry_times_sort(got.trained_times.time + first, got.trained_times.row + first, n, order);
    for (size_t k = 0; k < n; k++) {
      size_t e = first + order[k];
      Id item, ours = dictionary_id(&got.items, got.by_user.index[e]);
      if (!CHECK(sqlite3_step(statement) == SQLITE_ROW)) break;
      id_from_value(sqlite3_column_value(statement, 0), &item);
      int timed = sqlite3_column_type(statement, 1) != SQLITE_NULL;
      wrong += id_compare(&item, &ours) != 0;
      wrong += got.trained_times.time[e] != (timed ? sqlite3_column_int64(statement, 1) : NO_TIME);
    }
  }
  if (!CHECK(wrong == 0)) printf("  %d differ from %s\n", wrong, sql);
  CHECK(sqlite3_step(statement) == SQLITE_DONE);
  sqlite3_finalize(statement);
  interactions_free(&got);
}

#define LATEST(last, time)                                                                                        \
  "SELECT item, " time " FROM (SELECT *, rowid AS row, row_number() OVER (PARTITION BY user, item ORDER BY " last \
  ") AS n FROM r) WHERE n = 1 ORDER BY user, " time " NULLS LAST, row"

static void test_timed(void) {
  open_database();
  run("CREATE TABLE r(user, item, rating, time); WITH n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT 20000) "
      "INSERT INTO r SELECT n * 7919 % 20011 % 40, 'i' || (n * 104729 % 20011 % 61), n * 31 % 17 / 4.0, "
      "nullif(n * 48271 % 9 - 4, 2) FROM n");
  for (int threads = 1; threads <= 3; threads += 2) {
    for (DuplicatesRule rule = DUPLICATES_LAST; rule <= DUPLICATES_MEAN; rule++) {
      InteractionOptions options = {.timed = 1, .duplicates = rule, .threads = threads};
      check_order("r", options, LATEST("time DESC NULLS LAST, rowid DESC", "time"));
      options.no_timestamp = 1;
      check_order("r", options, LATEST("rowid DESC", "NULL"));
    }
    check_order("SELECT user, item FROM r", (InteractionOptions){.timed = 1, .threads = threads},
                LATEST("rowid DESC", "NULL"));
  }
  /* The values are those of a reading without times. */
  check_trained("r", (InteractionOptions){.timed = 1}, TIMED("time DESC, rowid DESC"));
  check_trained("r", (InteractionOptions){.timed = 1, .duplicates = DUPLICATES_SUM},
                "SELECT user, item, sum(rating) FROM r GROUP BY 1, 2 ORDER BY 1, 2");
  run("DELETE FROM r; INSERT INTO r "
      "VALUES(1,1,1,9007199254740993),(1,2,1,'-9223372036854775808'),(1,3,1,7.0),(1,4,1,'')");
  check_order("r", (InteractionOptions){.timed = 1},
              "VALUES(2, -9223372036854775808),(3, 7),(1, 9007199254740993),(4, NULL)");
  run("INSERT INTO r VALUES(2, 1, 5, 1.5)");
  fails("r", (InteractionOptions){.timed = 1}, SQLITE_MISMATCH, "row 5 (user 2, item 1) has the timestamp 1.5|whole");
  close_database();
}

/* ---- order, threads, the split ----------------------------------------------------------------------------------- */

static int equal_matrices(const SparseMatrix *a, const SparseMatrix *b) {
  if (a->rows != b->rows || a->columns != b->columns || !a->start != !b->start) return 0;
  if (!a->start) return 1;
  size_t n = a->start[a->rows];
  return memcmp(a->start, b->start, (a->rows + 1) * sizeof *a->start) == 0 && memcmp(a->index, b->index, n * 4) == 0 &&
         !a->value == !b->value && (!a->value || memcmp(a->value, b->value, n * 4) == 0);
}

static void test_determinism(void) {
  open_database();
  run("CREATE TABLE r(user, item, rating); WITH n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT 150000) INSERT "
      "INTO r SELECT CASE n % 3 WHEN 0 THEN n * 7919 % 149993 % 3000 WHEN 1 THEN 'u' || (n * 7919 % 149993 % 3000) "
      "ELSE "
      "0.5 + n % 100 END, n * 104729 % 149993 % 1000, (n * 7907 % 1009) / 7.0 FROM n");
  static const char *const orders[] = {"rowid", "rowid DESC", "rating", "item, rating DESC", "user, item"};
  for (DuplicatesRule rule = DUPLICATES_SUM; rule <= DUPLICATES_MEAN; rule++) {
    Interactions first = {0};
    for (int o = 0; o < 5; o++) {
      char *text = sqlite3_mprintf("SELECT * FROM r ORDER BY %s", orders[o]);
      Interactions interactions =
          read_source(text, (InteractionOptions){.duplicates = rule, .threads = o + 1, .test = 0.25, .seed = 9});
      sqlite3_free(text);
      if (o == 0) {
        first = interactions;
        CHECK(first.duplicates > 1000);
        continue;
      }
      CHECK(equal_matrices(&first.by_user, &interactions.by_user));
      CHECK(equal_matrices(&first.held_out, &interactions.held_out));
      CHECK(first.mean == interactions.mean && first.minimum == interactions.minimum);
      interactions_free(&interactions);
    }
    interactions_free(&first);
  }
  close_database();
}

/* recommend_split, as the matrix's entries would be asked for it. */
static void split_function(sqlite3_context *context, int count, sqlite3_value **values) {
  Id key[2];
  (void)count;
  for (int i = 0; i < 2; i++) id_from_value(values[1 + i], &key[i]);
  sqlite3_result_double(context, split_uniform((uint64_t)sqlite3_value_int64(values[0]), key, 2));
}

static void test_hold_out(void) {
  open_database();
  assert_int_equal(sqlite3_create_function(db, "split", 3, SQLITE_UTF8, NULL, split_function, NULL, NULL), SQLITE_OK);
  run("CREATE TABLE r(user, item, rating); WITH n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT 40000) INSERT "
      "INTO r SELECT n / 100, 'i' || (n % 100), 1 + n % 5 FROM n");
  Interactions interactions = read_source("r", (InteractionOptions){.test = 0.2, .seed = 42, .threads = 2});
  check_rows(&interactions, &interactions.held_out, "SELECT * FROM r WHERE split(42, user, item) < .2 ORDER BY 1, 2");
  check_rows(&interactions, &interactions.by_user, "SELECT * FROM r WHERE split(42, user, item) >= .2 ORDER BY 1, 2");
  /* 8,000 ± 5 standard deviations of 80 */
  CHECK_NEAR(interactions.held_out.start[interactions.held_out.rows], 8000, 400);
  sqlite3_stmt *statement;
  assert_int_equal(
      sqlite3_prepare_v2(db, "SELECT avg(rating) FROM r WHERE split(42, user, item) >= .2", -1, &statement, NULL), 0);
  assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
  CHECK_NEAR(interactions.mean, sqlite3_column_double(statement, 0), 1e-12);
  sqlite3_finalize(statement);
  interactions_free(&interactions);
  interactions = read_source("r", plain);
  assert_null(interactions.held_out.start);
  interactions_free(&interactions);
  close_database();
}

/* Rows of every length, also those that are sorted by radix, of one item, and of very many. */
static void test_shapes(void) {
  open_database();
  run("CREATE TABLE r(user, item, rating); WITH n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT 70000) INSERT "
      "INTO r SELECT 'long', n * 48271 % 70001, n FROM n; WITH n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT "
      "40000) INSERT INTO r SELECT n % 300, n * 7919 % 1009 % (n % 300 + 1), n FROM n; INSERT INTO r VALUES(-1, -1, "
      "5)");
  check_trained("r", plain, TIMED("rowid DESC"));
  check_trained("SELECT user, 'one', rating FROM r", plain,
                "SELECT user, 'one', rating FROM r WHERE rowid IN (SELECT max(rowid) FROM r GROUP BY user) ORDER BY 1");
  check_trained("SELECT 'one', item, rating FROM r", plain,
                "SELECT 'one', item, rating FROM r WHERE rowid IN (SELECT max(rowid) FROM r GROUP BY item) ORDER BY 2");
  close_database();
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */

static int countdown(void *context) { return --*(int *)context == 0 ? SQLITE_INTERRUPT : SQLITE_OK; }
static int progress(void *context) { return --*(int *)context == 0; }

static void test_cancel(void) {
  open_database();
  run("CREATE TABLE r(user, item, rating); WITH n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT 70000) INSERT "
      "INTO r SELECT n % 1000, n / 1000, 1 FROM n");
  InteractionOptions options = {.threads = 2};
  Interactions interactions;
  int polls = 0, finished = 0;
  while (!finished && polls < 1000) {
    int left = ++polls;
    Error error = {0};
    int code = read_with("r", &options, &interactions, &(Cancel){countdown, &left}, &error);
    CHECK(code == SQLITE_INTERRUPT || (code == SQLITE_OK && left > 0));
    finished = code == SQLITE_OK;
    CHECK(sqlite3_next_stmt(db, NULL) == NULL);
    error_clear(&error);
    interactions_free(&interactions);
  }
  assert_true(finished);
  assert_true(polls > 20); /* 17 of them while reading */
  int steps = 100;
  Error error = {0};
  sqlite3_progress_handler(db, 1000, progress, &steps);
  assert_int_equal(read_with("r", &options, &interactions, NULL, &error), SQLITE_INTERRUPT);
  sqlite3_progress_handler(db, 0, NULL, NULL);
  error_clear(&error);
  close_database();
}

static sqlite3_mem_methods memory;
static long allocations_left = -1; /* -1: never fail; from 0 on all fail */

static int may_allocate(void) {
  if (allocations_left < 0) return 1;
  if (allocations_left == 0) return 0;
  allocations_left--;
  return 1;
}
static void *failing_malloc(int size) { return may_allocate() ? memory.xMalloc(size) : NULL; }
static void *failing_realloc(void *block, int size) { return may_allocate() ? memory.xRealloc(block, size) : NULL; }

static void sweep(const char *text, InteractionOptions options, int expected) {
  int code = SQLITE_NOMEM;
  for (long n = 0; code == SQLITE_NOMEM && n < 20000; n++) {
    Interactions interactions;
    Error error = {0};
    sqlite3_int64 before = sqlite3_memory_used();
    allocations_left = n;
    code = read_with(text, &options, &interactions, NULL, &error);
    int failed = allocations_left == 0;
    allocations_left = -1;
    CHECK(failed ? code == SQLITE_NOMEM || code == expected : code == expected);
    CHECK(sqlite3_next_stmt(db, NULL) == NULL);
    interactions_free(&interactions);
    error_clear(&error);
    sqlite3_db_release_memory(db);
    CHECK(sqlite3_memory_used() <= before + 20000); /* SQLite's own caches may have grown */
  }
  CHECK(code == expected);
}

static void test_out_of_memory(void) {
  open_database();
  sqlite3_db_config(db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
  run("CREATE TABLE r(user TEXT, item, rating, time); WITH n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 400) "
      "INSERT INTO r SELECT 'user number ' || n % 200, n % 77, n % 5, n FROM n; ATTACH ':memory:' AS aux;"
      "CREATE TABLE aux.other(user, item)");
  sweep("r", (InteractionOptions){.test = 0.3}, SQLITE_OK);
  sweep("r", (InteractionOptions){.duplicates = DUPLICATES_SUM}, SQLITE_OK);
  sweep("\"main\".\"r\"", (InteractionOptions){.implicit = 1}, SQLITE_OK);
  sweep("r", (InteractionOptions){.test = 0.3, .timed = 1, .duplicates = DUPLICATES_SUM}, SQLITE_OK);
  sweep("(SELECT user, item FROM r ORDER BY time)", plain, SQLITE_OK);
  sweep("oter", plain, SQLITE_ERROR);
  sweep("r", (InteractionOptions){.user = "no"}, SQLITE_ERROR);
  sweep("SELECT 'a', 'b', 'c'", plain, SQLITE_MISMATCH);
  sweep("r", (InteractionOptions){.duplicates = DUPLICATES_ERROR}, SQLITE_CONSTRAINT);
  /* Columns by their names, and what is asked where they leave a doubt. */
  run("CREATE TABLE key(id INTEGER PRIMARY KEY, who, what, \"how \"\"much\"\"\")");
  sweep("SELECT time AS at, item, user, 1 AS amount FROM r", plain, SQLITE_OK);
  sweep("key", plain, SQLITE_ERROR);
  sweep("SELECT user AS a, item AS b, time AS ts FROM r", plain, SQLITE_ERROR);
  sweep("SELECT user, item, item AS asin FROM r", plain, SQLITE_ERROR);
  sweep("SELECT rating AS a, item, item AS asin FROM r", plain, SQLITE_ERROR);
  close_database();
}

static void limit_memory(void) {
  sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory);
  sqlite3_mem_methods failing = memory;
  failing.xMalloc = failing_malloc;
  failing.xRealloc = failing_realloc;
  sqlite3_config(SQLITE_CONFIG_MALLOC, &failing);
}

static void test_nothing_is_lost(void) { assert_int_equal(sqlite3_memory_used(), 0); }

int main(void) {
  limit_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_names),    TEST(test_queries),         TEST(test_columns),    TEST(test_values),
      TEST(test_utf16),    TEST(test_duplicates),      TEST(test_timestamps), TEST(test_determinism),
      TEST(test_hold_out), TEST(test_shapes),          TEST(test_cancel),     TEST(test_out_of_memory),
      TEST(test_timed),    TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
