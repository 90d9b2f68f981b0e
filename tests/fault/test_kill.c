/* Killed while it stores: a child process trains and is killed with SIGKILL inside its nth write, sync or truncation.
 * The parent opens the file afterwards: the old model or the new one, complete. */
#include <sys/wait.h>

#include "fault.h"

static long killed;

/* Runs the statement in a child that dies at operation `at`; 1 where it did, 0 where it came to its end first. */
static int killed_at(const char *path, const char *sql, long at) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    sqlite3 *db = disk_database(path);
    run(db,
        "PRAGMA cache_size = 2; PRAGMA cache_spill = 2; PRAGMA wal_autocheckpoint = 10; SELECT * FROM sqlite_schema");
    disk_arm(DISK_WRITE | DISK_SYNC | DISK_TRUNCATE, at, 0, 1);
    int code = run(db, sql).code;
    sqlite3_close(db); /* a checkpoint in WAL mode */
    _exit(code == SQLITE_OK ? 0 : 1);
  }
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
  return WIFSIGNALED(status);
}

static uint64_t hash_of(const char *path) {
  sqlite3 *db = NULL;
  CHECK(sqlite3_open(path, &db) == SQLITE_OK);
  uint64_t hash = hash_database(db);
  check_integrity(db);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  return hash;
}

static void sweep(const Image *image, const char *mode, const char *sql) {
  const char *path = temporary_path("kill");
  uint64_t states[2];
  long found[2] = {0, 0};
  for (int state = 0; state < 2; state++) {
    write_image(image, path);
    sqlite3 *db = disk_database(path);
    must(db, mode);
    if (state == 1) must(db, sql);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    states[state] = hash_of(path);
  }
  CHECK(states[0] != states[1]);
  int died = 1;
  for (long at = 1; died; at = next_fault(at, 60, 10)) {
    write_image(image, path);
    sqlite3 *db = disk_database(path);
    must(db, mode);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    died = killed_at(path, sql, at);
    killed += died;
    uint64_t hash = hash_of(path);
    int state = hash == states[1];
    if (!CHECK(state || (died && hash == states[0])))
      printf("  killed at %ld of %.60s (%s): neither the old nor the new model is there\n", at, sql, mode);
    found[state] += died;
  }
  CHECK(found[0] > 0); /* some died early enough to lose the new model */
  if (FAULT_SLOW == 1)
    printf("%-28s %.40s…: %ld times the old model, %ld times the new\n", mode, sql, found[0], found[1]);
  remove_database(path);
}

static int make_disk(void **state) {
  disk_register();
  return make_images(state);
}

static const char rollback[] = "PRAGMA journal_mode = DELETE", wal[] = "PRAGMA journal_mode = WAL";

static void storing_is_killed(const void *mode) {
  sweep(&ratings, mode, "SELECT mf_train('ratings', 3, '{\"threads\":1,\"epochs\":1,\"model\":\"new\"}')");
  sweep(&ratings, mode, "SELECT mf_train('ratings', 40, '{\"threads\":1,\"epochs\":1}')");
  sweep(&ratings, mode, "DROP TABLE ratings_mf");
  sweep(&ratings, mode, "ALTER TABLE ratings_mf RENAME TO other");
  for (int i = 0; i < CHANGES; i++) sweep(&ratings, mode, rating_changes[i].sql);
  sweep(&content, mode, content_training[1].sql); /* replaces a model */
  sweep(&links, mode, link_training[0].sql);
  sweep(&links, mode, "INSERT INTO ratings_knn(user, item, rating) VALUES(99, 77, 2)");
}

static void often_enough(void) { assert_true(killed > 100 / FAULT_SLOW); }

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST_OF(storing_is_killed, rollback),
      TEST_OF(storing_is_killed, wal),
      TEST(often_enough),
  };
  return cmocka_run_group_tests(tests, make_disk, free_images);
}
