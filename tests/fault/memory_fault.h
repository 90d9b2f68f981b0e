/* Out of memory: every allocation is failed in turn, once, and all from the nth on, over everything that a user does.
 *
 * A statement ends with SQLITE_NOMEM, or succeeds with the right rows where SQLite could do without. Nothing leaks,
 * sqlite3_close() returns SQLITE_OK, and after a fault that was passing the same connection gives the right rows.
 * (cJSON and OpenBLAS keep their own allocators.) The programs test_memory*.c share the work. */
#ifndef RECOMMEND_TESTS_MEMORY_FAULT_H
#define RECOMMEND_TESTS_MEMORY_FAULT_H

#include "fault.h"

/* ---- an allocator that fails ------------------------------------------------------------------------------------- */

static sqlite3_mem_methods real_memory;
static atomic_long outstanding; /* blocks */
static atomic_long requests, fail_at, faults;
static atomic_int persistent;

static inline int memory_fails(void) {
  long n = atomic_fetch_add(&requests, 1) + 1, at = atomic_load(&fail_at);
  if (!at || n < at || (n > at && !atomic_load(&persistent))) return 0;
  atomic_fetch_add(&faults, 1);
  return 1;
}

static inline void *failing_malloc(int size) {
  void *block = memory_fails() ? NULL : real_memory.xMalloc(size);
  if (block) atomic_fetch_add(&outstanding, 1);
  return block;
}

static inline void *failing_realloc(void *block, int size) {
  return memory_fails() ? NULL : real_memory.xRealloc(block, size);
}

static inline void counting_free(void *block) {
  if (block) atomic_fetch_sub(&outstanding, 1);
  real_memory.xFree(block);
}

/* The set-up of a group, and one that loads the extension too. */
static inline int install(void **state) {
  (void)state;
  CHECK(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) == SQLITE_OK);
  sqlite3_mem_methods failing = real_memory;
  failing.xMalloc = failing_malloc;
  failing.xRealloc = failing_realloc;
  failing.xFree = counting_free;
  CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing) == SQLITE_OK);
  CHECK(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK); /* which would hide small requests */
  return check_failures > 0;
}

static inline int install_and_make_images(void **state) { return install(state) || make_images(state); }

static inline void arm(long at, int for_good) {
  atomic_store(&requests, 0);
  atomic_store(&faults, 0);
  atomic_store(&persistent, for_good);
  atomic_store(&fail_at, at);
}

static inline long disarm(void) {
  atomic_store(&fail_at, 0);
  return atomic_load(&faults);
}

/* ---- sweeps ------------------------------------------------------------------------------------------------------ */

/* SQLite 3.40 reports the failure to connect an eponymous table as SQLITE_ERROR, whatever xConnect returned. */
static inline int is_no_memory(const Outcome *outcome) {
  return primary(outcome->code) == SQLITE_NOMEM || outcome->code == SQLITE_IOERR_NOMEM ||
         (outcome->code == SQLITE_ERROR && strstr(outcome->message, "vtable constructor failed"));
}

static long injected;

/* One statement with the nth allocation failed, on a connection of its own. Returns how many faults there were. */
static inline long one_fault(const Image *image, const Step *step, const Outcome *expected, uint64_t before,
                             uint64_t after, long at, int for_good) {
  long baseline = atomic_load(&outstanding);
  sqlite3 *db = open_image(image);
  arm(at, for_good);
  Outcome outcome = run(db, step->sql);
  long count = disarm();
  int right =
      outcome.code == SQLITE_OK ? step->timed || same_rows(&outcome, expected) : count > 0 && is_no_memory(&outcome);
  if (!CHECK(right))
    printf("  allocation %ld%s of %.90s: code %d, %s, %ld rows\n", at, for_good ? " and on" : "", step->sql,
           outcome.code, outcome.message, outcome.rows);
  CHECK(sqlite3_get_autocommit(db));
  /* All or nothing. */
  uint64_t left = hash_database(db);
  if (!CHECK(left == (outcome.code == SQLITE_OK ? after : before)))
    printf("  allocation %ld%s of %.90s: code %d, and the database is changed\n", at, for_good ? " and on" : "",
           step->sql, outcome.code);
  if (outcome.code != SQLITE_OK) {
    Outcome again = run(db, step->sql);
    if (!CHECK(again.code == SQLITE_OK && (step->timed || same_rows(&again, expected))))
      printf("  after allocation %ld%s of %.90s: code %d, %s\n", at, for_good ? " and on" : "", step->sql, again.code,
             again.message);
  }
  check_deleted_is_left(db, step->sql); /* put back by the second run, if there was no memory for it in the first */
  int closed = sqlite3_close(db);
  if (!CHECK(closed == SQLITE_OK)) printf("  after allocation %ld of %.90s: not closed\n", at, step->sql);
  if (!CHECK(atomic_load(&outstanding) == baseline))
    printf("  allocation %ld of %.90s: %ld blocks are lost\n", at, step->sql, atomic_load(&outstanding) - baseline);
  injected += count;
  return count;
}

/* Every allocation up to the `dense`th, then some. */
static inline void sweep(const Image *image, Step step, long dense) {
  sqlite3 *db = open_image(image);
  uint64_t before = hash_database(db);
  Outcome expected = must(db, step.sql);
  uint64_t after = hash_database(db);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  for (int for_good = 0; for_good < 2; for_good++) {
    long passes = 0;
    for (long at = 1; one_fault(image, &step, &expected, before, after, at, for_good) > 0;
         at = next_fault(at, dense, 20))
      passes++;
    CHECK(passes > 5);
  }
}

/* What is done to one image. */
typedef struct Life {
  const Image *image;
  const char *const *serving;
  int servings;
  const Step *training;
  int trainings;
  long dense;
} Life;

/* A whole life on one connection, so that a fault meets caches that earlier statements filled. Once a statement has
 * failed the rest may, too (there is no model to ask), but only with an error. */
static inline long live(const Life *life, long at, int for_good) {
  long baseline = atomic_load(&outstanding);
  sqlite3 *db = open_image(life->image);
  arm(at, for_good);
  for (int i = 0; i < life->servings; i++) {
    Outcome outcome = run(db, life->serving[i]);
    if (strstr(life->serving[i], "recommend_evaluate")) continue;
    if (!CHECK(outcome.code == SQLITE_OK || is_no_memory(&outcome)))
      printf("  allocation %ld of a life, %s: code %d, %s\n", at, life->serving[i], outcome.code, outcome.message);
  }
  for (int i = 0; i < life->trainings; i++) {
    Outcome outcome = run(db, life->training[i].sql);
    CHECK(outcome.code == SQLITE_OK || outcome.message[0]);
  }
  long count = disarm();
  injected += count;
  check_integrity(db);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  CHECK(atomic_load(&outstanding) == baseline);
  return count;
}

static inline void sweep_serving(const void *of_life) {
  const Life *life = of_life;
  for (int i = 0; i < life->servings; i++) sweep(life->image, (Step){life->serving[i], 0}, life->dense);
}

static inline void sweep_training(const void *of_life) {
  const Life *life = of_life;
  for (int i = 0; i < life->trainings; i++) sweep(life->image, life->training[i], life->dense);
}

static inline void sweep_life(const void *life) {
  for (int for_good = 0; for_good < 2; for_good++)
    for (long at = 1; live(life, at, for_good) > 0;) at = next_fault(at, 20, 10);
}

/* The last tests of a group. */
static inline void often_enough(void) {
  printf("%ld allocations failed\n", injected);
  assert_true(injected > 1000);
}

static inline void nothing_is_lost(void) {
  sqlite3_reset_auto_extension();
  sqlite3_shutdown();
  assert_int_equal(atomic_load(&outstanding), 0);
}

#endif
