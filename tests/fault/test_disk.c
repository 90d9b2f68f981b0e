/* A full disk at every page limit, and a disk that fails at every write, read, sync and truncation.
 *
 * Full: SQLITE_FULL, the old model as it was, and what the user had done earlier in the transaction still there.
 * Failing: an error of SQLite's I/O family or success, and afterwards the old model or the new one, complete. */
#include "fault.h"

static long full, failed;

static sqlite3_int64 number(sqlite3 *db, const char *sql) {
  sqlite3_stmt *statement = NULL;
  sqlite3_int64 value = -1;
  CHECK(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
  if (CHECK(sqlite3_step(statement) == SQLITE_ROW)) value = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return value;
}

/* ---- full -------------------------------------------------------------------------------------------------------- */

/* Small pages, so that there are many limits. */
static Image small_pages(int trained, int of_content) {
  sqlite3 *db = NULL;
  CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
  must(db, "PRAGMA page_size = 512");
  if (of_content) {
    fill_with_content(db, trained);
    Image filled = take_image(db);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    return filled;
  }
  must(db, make_data);
  if (trained) {
    must(db, train_ratings);
    must(db, train_plays);
  }
  Image image = take_image(db);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  return image;
}

static const char earlier[] = "INSERT INTO ratings VALUES(100, 1, 3); CREATE TABLE mine(x); INSERT INTO mine VALUES(7)";

/* A query that reads tables ends the transaction when it fails with SQLITE_FULL: that is SQLite's own rule, and holds
 * for table-valued training. Everything else must leave the transaction open. */
static int may_end_transaction(const char *sql) {
  return strstr(sql, "FROM mf_train") || strstr(sql, "FROM tfidf_train");
}

/* Whether it succeeded with `room` more pages than there are. */
static int with_room(const Image *image, const char *sql, sqlite3_int64 room, int in_transaction) {
  sqlite3 *db = open_image(image);
  uint64_t at_first = hash_database(db);
  if (in_transaction) {
    must(db, "BEGIN");
    must(db, earlier);
  }
  uint64_t before = hash_database(db);
  char *limit = sqlite3_mprintf("PRAGMA max_page_count = %lld", number(db, "PRAGMA page_count") + room);
  must(db, limit);
  sqlite3_free(limit);
  Outcome outcome = run(db, sql);
  if (outcome.code != SQLITE_OK) {
    full++;
    if (!CHECK(primary(outcome.code) == SQLITE_FULL))
      printf("  %s with %lld pages: code %d, %s\n", sql, room, outcome.code, outcome.message);
    if (in_transaction && sqlite3_get_autocommit(db)) {
      if (!CHECK(may_end_transaction(sql)))
        printf("  %.60s with %lld pages: the user's transaction was ended\n", sql, room);
      in_transaction = 0;
      before = at_first;
    }
    CHECK(hash_database(db) == before);
  }
  must(db, "PRAGMA max_page_count = 1000000");
  check_integrity(db);
  if (in_transaction) {
    CHECK(number(db, "SELECT x FROM mine") == 7 && number(db, "SELECT count(*) FROM ratings WHERE user = 100") == 1);
    must(db, "COMMIT");
    check_integrity(db);
  }
  CHECK(sqlite3_close(db) == SQLITE_OK);
  return outcome.code == SQLITE_OK;
}

static void sweep_full(const Image *image, const char *sql) {
  for (int in_transaction = 0; in_transaction < 2; in_transaction++) {
    long before = full;
    for (long room = 0; !with_room(image, sql, room, in_transaction);) room = next_fault(room, 30, 10);
    CHECK(full > before);
  }
}

/* ---- failing ----------------------------------------------------------------------------------------------------- */

static const char new_model[] = "SELECT mf_train('ratings', 3, '{\"threads\":1,\"epochs\":1,\"model\":\"new\"}')";

static sqlite3 *open_disk(const char *path, const char *mode) {
  sqlite3 *db = disk_database(path);
  must(db, mode);
  leave_deleted(db);
  must(db, "PRAGMA cache_size = 2; PRAGMA cache_spill = 2"); /* dirty pages are written early */
  return db;
}

static uint64_t hash_of(const char *path) {
  sqlite3 *db = disk_database(path);
  uint64_t hash = hash_database(db);
  check_integrity(db);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  return hash;
}

/* One failure; returns how many there were. `sql` changes the database at one stroke. */
static long one_failure(const Image *image, const char *path, const char *mode, const char *sql, int what, long at,
                        int persistent, const uint64_t states[2]) {
  write_image(image, path);
  sqlite3 *db = open_disk(path, mode);
  must(db, "SELECT count(*) FROM sqlite_schema");
  disk_arm(what, at, persistent, 0);
  Outcome outcome = run(db, sql);
  disk_disarm();
  long faults = disk.faults;
  failed += faults;
  int code = primary(outcome.code);
  if (!CHECK(code == SQLITE_OK || (faults && (code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_FULL))))
    printf("  operation %ld of %.60s: code %d, %s\n", at, sql, outcome.code, outcome.message);
  check_deleted_is_left(db, sql);
  if (!sqlite3_get_autocommit(db)) run(db, "ROLLBACK");
  CHECK(sqlite3_close(db) == SQLITE_OK);
  uint64_t hash = hash_of(path);
  if (!CHECK(hash == states[1] || (outcome.code != SQLITE_OK && hash == states[0])))
    printf("  operation %ld of kind %d of %.60s (%s): code %d, and neither the old nor the new model is there\n", at,
           what, sql, mode, outcome.code);
  return faults;
}

static void sweep_failing(const Image *image, const char *path, const char *mode, const char *sql) {
  uint64_t states[2];
  write_image(image, path);
  states[0] = hash_of(path);
  sqlite3 *db = open_disk(path, mode);
  must(db, sql);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  states[1] = hash_of(path);
  static const int kinds[] = {DISK_WRITE, DISK_READ, DISK_SYNC, DISK_TRUNCATE};
  for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
    for (int persistent = 0; persistent < 2; persistent++)
      for (long at = 1; one_failure(image, path, mode, sql, kinds[kind], at, persistent, states) > 0;)
        at = next_fault(at, 30, 8);
}

/* Serving from a disk that can't be read. */
static void sweep_serving(const Image *image, const char *path, const char *mode, const char *const *statements,
                          int count) {
  write_image(image, path);
  sqlite3 *db = open_disk(path, mode);
  for (int i = 0; i < count; i++) {
    const char *sql = statements[i];
    Outcome expected = must(db, sql);
    long faults = 1;
    for (long at = 1; faults > 0; at = next_fault(at, 20, 4)) {
      sqlite3 *other = open_disk(path, mode);
      disk_arm(DISK_READ, at, 0, 0);
      Outcome outcome = run(other, sql);
      disk_disarm();
      faults = disk.faults;
      failed += faults;
      if (!CHECK(same_rows(&outcome, &expected) || (faults && primary(outcome.code) == SQLITE_IOERR)))
        printf("  read %ld of %s: code %d, %s\n", at, sql, outcome.code, outcome.message);
      Outcome again = run(other, sql);
      CHECK(same_rows(&again, &expected));
      CHECK(sqlite3_close(other) == SQLITE_OK);
    }
  }
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

static Image untrained, small, texts, small_content;

static int make_disk(void **state) {
  disk_register();
  int code = make_images(state);
  untrained = small_pages(0, 0);
  small = small_pages(1, 0);
  texts = small_pages(0, 1);
  small_content = small_pages(1, 1);
  return code || check_failures > 0;
}

static int free_disk(void **state) {
  free(untrained.bytes);
  free(small.bytes);
  free(texts.bytes);
  free(small_content.bytes);
  return free_images(state);
}

static void full_ratings(void) {
  sweep_full(&untrained, train_ratings);
  sweep_full(&untrained,
             "CREATE VIRTUAL TABLE taste USING recommender(train=mf, source=plays, size=3, "
             "options='{\"threads\":1,\"epochs\":1}')");
  sweep_full(&untrained, "SELECT count(*) FROM mf_train('plays', 3, '{\"threads\":1,\"epochs\":1}')");
  sweep_full(&small, "SELECT mf_train('ratings', 32, '{\"threads\":1,\"epochs\":1}')");
  sweep_full(&small, "INSERT INTO ratings_mf(user, item, rating) SELECT user + 1000, item, rating FROM ratings");
  sweep_full(&small, "INSERT INTO ratings_mf(user, item, rating) SELECT printf('x%99999d', 1), 4, 5");
  sweep_full(&small, "INSERT INTO ratings_mf(user, item, rating) SELECT 3, printf('x%99999d', 1), 5");
}

static void full_content(void) {
  for (int i = 0; i < CONTENT_MODELS; i++) sweep_full(&texts, train_content[i]);
  sweep_full(&small_content,
             "SELECT count(*) FROM tfidf_train('songs', '{\"threads\":1,\"ngram_range\":[1,5],\"model\":\"x\"}')");
  sweep_full(&small_content,
             "SELECT tfidf_train('songs', '{\"threads\":1,\"ngram_range\":[1,5],\"model\":\"songs_tfidf\"}')");
  sweep_full(&texts,
             "CREATE VIRTUAL TABLE taste USING recommender(train=tfidf, source=articles, "
             "options='{\"threads\":1,\"ratings\":\"ratings\"}')");
}

static void full_links(void) {
  for (int i = 0; i < LINK_MODELS; i++) sweep_full(&untrained, train_links[i]);
}

static const char rollback[] = "PRAGMA journal_mode = DELETE", wal[] = "PRAGMA journal_mode = WAL";

static void failing_ratings(const void *mode) {
  const char *path = temporary_path("disk");
  sweep_failing(&small, path, mode, new_model);
  sweep_failing(&small, path, mode, "SELECT mf_train('ratings', 4, '{\"threads\":1,\"epochs\":1}')");
  sweep_failing(&small, path, mode, "DROP TABLE ratings_mf");
  for (int i = 0; i < CHANGES; i++) sweep_failing(&small, path, mode, rating_changes[i].sql);
  sweep_serving(&small, path, mode, serving, SERVING);
  remove_database(path);
}

static void failing_content(const void *mode) {
  const char *path = temporary_path("disk");
  sweep_failing(&small_content, path, mode, content_training[0].sql); /* a new model */
  sweep_failing(&small_content, path, mode, content_training[1].sql); /* in the place of one */
  sweep_serving(&small_content, path, mode, content_serving, CONTENT_SERVING);
  remove_database(path);
}

static void failing_links(const void *mode) {
  const char *path = temporary_path("disk");
  sweep_failing(&links, path, mode, link_training[0].sql); /* in the place of one */
  for (int i = 0; i < LINK_CHANGES; i++) sweep_failing(&links, path, mode, link_changes[i].sql);
  sweep_serving(&links, path, mode, link_serving, LINK_SERVING);
  remove_database(path);
}

static void often_enough(void) {
  printf("the disk was full %ld times and failed %ld times\n", full, failed);
  assert_true(full > 50);
  assert_true(failed > 200);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(full_ratings),
      TEST(full_content),
      TEST(full_links),
      TEST_OF(failing_ratings, rollback),
      TEST_OF(failing_content, rollback),
      TEST_OF(failing_links, rollback),
      TEST_OF(failing_ratings, wal),
      TEST_OF(failing_content, wal),
      TEST_OF(failing_links, wal),
      TEST(often_enough),
  };
  return cmocka_run_group_tests(tests, make_disk, free_disk);
}
