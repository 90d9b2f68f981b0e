/* The wish to stop, as SQLite knows it: sqlite3_interrupt (Ctrl-C in the shell) and progress handlers.
 *
 * A progress handler runs, and an interrupt is noticed, only while a statement is stepped: so about every millisecond
 * of work one is. Handlers are called every so many opcodes, 1,000 of them in Datasette, and a host that sets a limit
 * of time counts on a query to run millions of them a second: so the statement, which reads nothing and allocates
 * nothing, is long enough to be worth some (see TICK_STEPS), and those that a block of work has missed are made up
 * for. SQLite counts on from one run to the next as long as the statement is kept. */
#ifndef RECOMMEND_DATA_INTERRUPT_H
#define RECOMMEND_DATA_INTERRUPT_H

#include <time.h>

#include "../base/cancel.h"
#include "database_error.h"
#include "progress.h"

/* The statement's text begins so, for those who trace what a connection runs. */
#define INTERRUPT_TICK "/* recommend: go on? */ SELECT"

/* A connection's, so that short calls count, too. Begins as {.db = db}. */
typedef struct Tick {
  sqlite3 *db;
  sqlite3_stmt *statement; /* prepared at the first millisecond */
  int times;               /* how often a millisecond */
  int kept;                /* somebody will call tick_end() before the connection closes */
  long owed;               /* nanoseconds of work that were too few */
} Tick;

typedef struct Interrupt {
  Cancel cancel; /* hand out &interrupt.cancel */
  Tick *tick;
  struct timespec last;
  Progress progress; /* what is shown meanwhile, if anybody has said what it is */
} Interrupt;

/* `interrupt` must stay where it is, and be ended before the connection closes. */
void interrupt_begin(Interrupt *interrupt, Tick *tick);
void interrupt_end(Interrupt *interrupt); /* cleared is fine */
void tick_end(Tick *tick);                /* finalizes the statement */

#endif
