/* Table-valued functions: SELECT … FROM recommend(42, 10).
 *
 * A function is described by a TableFunction; table_function.c does the planning and the bookkeeping of the planner's
 * contract (ext/README.md): an argument that can't be used yet makes the planner look for another order of the join,
 * hidden columns give back the arguments, a second run with the same arguments rewinds, rows come in order of `rank`.
 */
#ifndef RECOMMEND_API_TABLE_FUNCTION_H
#define RECOMMEND_API_TABLE_FUNCTION_H

#include "../model/connection.h"
#include "vtab.h"

enum { MOST_ARGUMENTS = 4 };

/* One run of a function: its arguments, and the rows that it hands out. */
typedef struct TableCall {
  const struct TableFunction *function;
  Connection *connection;
  sqlite3_value *argument[MOST_ARGUMENTS]; /* NULL: not given */
  /* What the planner pushed down, for functions with a `candidates` column; see there. */
  int has_candidates;
  ValueList candidates;
  int64_t limit;     /* no more rows than this will be read; INT64_MAX: unknown */
  int64_t row, rows; /* the current row, and how many `start` found, for functions that know it */
  void *state;       /* the function's own, `state_size` bytes, cleared at the first start */
} TableCall;

typedef struct TableFunction {
  const char *name;
  /* CREATE TABLE x(outputs…, _arguments HIDDEN…). Hidden columns can be named and clash like others, so each begins
   * with an underscore: `trainer` in a query is the user's own column. An id is BLOB HIDDEN: HIDDEN alone would give it
   * the affinity NUMERIC, and IN would compare '007' as 7. */
  const char *schema;
  int outputs;       /* columns before the arguments */
  int arguments;     /* hidden columns */
  int required;      /* of the arguments, the first so many must be given */
  const char *usage; /* "recommend(user, k [, model])" */
  int ordered;       /* rows come in ascending order of column 0 (rank) */
  /* Where argument number `limit_argument` (k) is absent, constraints `= ?` and `IN (…)` on column `candidate_column`
   * are taken as the set to choose from, unless column 0 is used, and LIMIT bounds the rows. 0: never. */
  int limit_argument;
  int candidate_column;
  double rows; /* how many rows to expect where k is not given */
  double cost;
  unsigned flags;      /* TABLE_FUNCTION_DIRECT_ONLY */
  const void *context; /* what several functions of one `start` are told apart by */
  size_t state_size;
  /* Computes what is needed for the first row. Called again, on the same state, for other arguments. */
  int (*start)(TableCall *call, Error *error);
  /* Back to the first row, which call->row is already; on to the next, likewise; behind the last? NULL where call->row
   * and call->rows say it all. */
  int (*rewind)(TableCall *call, Error *error);
  int (*next)(TableCall *call, Error *error);
  int (*at_end)(const TableCall *call);
  void (*column)(const TableCall *call, sqlite3_context *context, int column);
  /* Tells the current row from the others of any call with the same arguments, whatever the candidates; NULL where its
   * number does, there being none. */
  int64_t (*identity)(const TableCall *call);
  void (*end)(TableCall *call); /* frees what the state holds, and leaves it cleared; NULL: it owns nothing */
} TableFunction;

enum {
  TABLE_FUNCTION_DIRECT_ONLY = 1, /* not from views and triggers: it runs SQL that its arguments hold */
  TABLE_FUNCTION_SCALAR_TOO = 2   /* there is a scalar function of its name */
};

/* Registers also a scalar function of the name, for any number of arguments, which says how to write it: SELECT
 * recommend(42, 10) is what everybody types first. `function` must live as long as the connection: a static constant.
 */
int table_function_register(Connection *connection, const TableFunction *function);

/* The same of a copy, for functions that are made from rows of another table: only the texts and functions that it
 * points to must live as long as the connection. */
int table_function_register_copy(Connection *connection, const TableFunction *function);

#endif
