/* How the wish to stop reaches the work: sqlite3_interrupt (Ctrl-C in the shell) and progress handlers.
 *
 * SQLite calls a progress handler, and notices an interrupt, only while a statement is stepped: so about every
 * millisecond of work one is stepped. Handlers are called every so many opcodes, 1,000 of them in Datasette, and a
 * host that limits time this way expects a query to run millions of opcodes a second. So the statement, which reads
 * nothing and allocates nothing, runs many opcodes (see TICK_STEPS), and after a block of work that took longer it is
 * stepped as often as was missed. SQLite counts on from one run to the next as long as the statement is kept. */
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
