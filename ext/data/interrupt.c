/* The wish to stop: see interrupt.h. */
#include "interrupt.h"

#define MILLISECOND 1000000L

static int poll_database(void *context) {
  Interrupt *interrupt = context;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  long passed = (now.tv_sec - interrupt->last.tv_sec) * 1000 * MILLISECOND + (now.tv_nsec - interrupt->last.tv_nsec);
  if (passed < MILLISECOND) return SQLITE_OK;
  interrupt->last = now;
  progress_show(&interrupt->progress, &now);
  int code = SQLITE_OK;
  if (!interrupt->tick) code = sqlite3_prepare_v2(interrupt->db, "SELECT 1", -1, &interrupt->tick, NULL);
  if (code == SQLITE_OK) {
    sqlite3_step(interrupt->tick);
    code = sqlite3_reset(interrupt->tick);
  }
  return code;
}

void interrupt_begin(Interrupt *interrupt, sqlite3 *db) {
  *interrupt = (Interrupt){.cancel = {poll_database, interrupt}, .db = db};
  clock_gettime(CLOCK_MONOTONIC, &interrupt->last);
  progress_begin(&interrupt->progress);
}

void interrupt_end(Interrupt *interrupt) {
  progress_hide(&interrupt->progress);
  sqlite3_finalize(interrupt->tick);
  interrupt->tick = NULL;
}

int interrupt_error(Error *error, int code) {
  if (code == SQLITE_OK) return code;
  if (code == SQLITE_NOMEM) return error_no_memory(error);
  return error_set(error, code, "%s", code == SQLITE_INTERRUPT ? "interrupted" : sqlite3_errstr(code));
}
