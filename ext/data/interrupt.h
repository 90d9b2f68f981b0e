/* The wish to stop, as SQLite knows it: sqlite3_interrupt (Ctrl-C in the shell) and progress handlers.
 *
 * A progress handler runs, and an interrupt is noticed, only while a statement is stepped: so about every millisecond
 * of work one is. */
#ifndef RECOMMEND_DATA_INTERRUPT_H
#define RECOMMEND_DATA_INTERRUPT_H

#include <time.h>

#include "../base/cancel.h"
#include "../base/error.h"
#include "progress.h"

typedef struct Interrupt {
  Cancel cancel; /* hand out &interrupt.cancel */
  sqlite3 *db;
  sqlite3_stmt *tick; /* SELECT 1, prepared at the first millisecond */
  struct timespec last;
  Progress progress; /* what is shown meanwhile, if anybody has said what it is */
} Interrupt;

/* `interrupt` must stay where it is, and be ended before the connection closes. */
void interrupt_begin(Interrupt *interrupt, sqlite3 *db);
void interrupt_end(Interrupt *interrupt);

/* Records the code that parallel_for, cancel_poll and the learners return; SQLITE_OK passes. */
int interrupt_error(Error *error, int code);

#endif
