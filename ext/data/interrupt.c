/* How the wish to stop reaches the work: see interrupt.h. */
#include "interrupt.h"

#include <string.h>

#define MILLISECOND 1000000L

enum {
  TICK_TERMS = 200, /* of the sum: an opcode reads one, another adds it; 2 µs in all */
  TICK_STEPS = 200, /* opcodes that a millisecond is worth at least */
  SHORT_STEPS = 4,  /* those of a SELECT of one number */
  MOST_MISSED = 100 /* milliseconds that are made up for at once: more, and the user read rows meanwhile */
};

/* Where the connection's limits refuse the sum (SQLITE_LIMIT_EXPR_DEPTH, say), the shortest there is, the oftener. */
static int prepare_tick(Tick *tick) {
  char sql[sizeof INTERRUPT_TICK + 3 * TICK_TERMS + 1];
  size_t length = sizeof INTERRUPT_TICK - 1;
  memcpy(sql, INTERRUPT_TICK, length);
  for (int term = 0; term < TICK_TERMS; term++) {
    sql[length++] = term ? '+' : ' ';
    sql[length++] = '?';
    sql[length++] = '1';
  }
  tick->times = 1;
  int code = sqlite3_prepare_v3(tick->db, sql, (int)length, SQLITE_PREPARE_PERSISTENT, &tick->statement, NULL);
  if (code != SQLITE_ERROR && code != SQLITE_TOOBIG) return code;
  tick->times = TICK_STEPS / SHORT_STEPS;
  return sqlite3_prepare_v3(tick->db, INTERRUPT_TICK " 1", -1, SQLITE_PREPARE_PERSISTENT, &tick->statement, NULL);
}

static long since(struct timespec last) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (now.tv_sec - last.tv_sec) * 1000 * MILLISECOND + (now.tv_nsec - last.tv_nsec);
}

/* `by` may be below 0. */
static void move(struct timespec *time, long by) {
  time->tv_sec += by / (1000 * MILLISECOND);
  time->tv_nsec += by % (1000 * MILLISECOND);
}

static int poll_database(void *context) {
  Interrupt *interrupt = context;
  Tick *tick = interrupt->tick;
  long passed = since(interrupt->last) / MILLISECOND;
  if (passed < 1) return SQLITE_OK;
  move(&interrupt->last, passed * MILLISECOND);
  progress_show(&interrupt->progress, &interrupt->last);
  int code = tick->statement ? SQLITE_OK : prepare_tick(tick);
  long times = (passed < MOST_MISSED ? passed : MOST_MISSED) * tick->times;
  for (long i = 0; i < times && code == SQLITE_OK; i++) {
    sqlite3_step(tick->statement);
    code = sqlite3_reset(tick->statement);
  }
  return code;
}

void interrupt_begin(Interrupt *interrupt, Tick *tick) {
  *interrupt = (Interrupt){.cancel = {poll_database, interrupt}, .tick = tick};
  clock_gettime(CLOCK_MONOTONIC, &interrupt->last);
  move(&interrupt->last, -tick->owed);
  tick->owed = 0;
  progress_begin(&interrupt->progress);
}

void interrupt_end(Interrupt *interrupt) {
  Tick *tick = interrupt->tick;
  if (!tick) return;
  progress_hide(&interrupt->progress);
  long passed = since(interrupt->last);
  tick->owed = passed < MILLISECOND ? passed : MILLISECOND;
  if (!tick->kept) tick_end(tick);
  *interrupt = (Interrupt){0};
}

void tick_end(Tick *tick) {
  sqlite3_finalize(tick->statement);
  tick->statement = NULL;
}
