/* Table-valued functions: see table_function.h. */
#include "table_function.h"

#include <assert.h>
#include <string.h>

#include "../base/bytes.h"
#include "../base/memory.h"
#include "../data/id.h"

/* A function of a connection: shared by the module, its tables, and the scalar function that says how to write it. */
typedef struct Registration {
  int uses;
  const TableFunction *function;
  TableFunction *made; /* the same, where it was made for this registration; else NULL */
  Connection *connection;
} Registration;

typedef struct Table {
  sqlite3_vtab base;
  Registration *registration;
} Table;

typedef struct Cursor {
  sqlite3_vtab_cursor base;
  TableCall call;
  int started; /* the state holds the rows of call.argument */
} Cursor;

static Registration *registration_retain(Registration *registration) {
  registration->uses++;
  return registration;
}

static void registration_release(void *context) {
  Registration *registration = context;
  if (--registration->uses > 0) return;
  connection_release(registration->connection);
  memory_free(registration->made);
  memory_free(registration);
}

/* ---- connecting -------------------------------------------------------------------------------------------------- */

static int table_connect(sqlite3 *db, void *context, int count, const char *const *arguments, sqlite3_vtab **vtab,
                         char **message) {
  (void)count;
  (void)arguments;
  (void)message;
  Registration *registration = context;
  Table *table = memory_alloc_zero(1, sizeof *table);
  int code = table ? sqlite3_declare_vtab(db, registration->function->schema) : SQLITE_NOMEM;
  if (code == SQLITE_OK) {
    if (registration->function->flags & TABLE_FUNCTION_DIRECT_ONLY) sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    table->registration = registration_retain(registration);
    *vtab = &table->base;
  } else {
    memory_free(table);
  }
  return code;
}

static int table_disconnect(sqlite3_vtab *vtab) {
  registration_release(((Table *)vtab)->registration);
  memory_free(vtab);
  return SQLITE_OK;
}

/* ---- planning ---------------------------------------------------------------------------------------------------- */

/* A plan is a text with a letter for each value that xFilter gets, in order: '0' … '3' an argument, 'c' one candidate,
 * 'i' a list of candidates, 'l' the LIMIT. */
typedef struct Plan {
  char letters[MOST_ARGUMENTS + 3];
  int values;
  double rows;
} Plan;

static void use(sqlite3_index_info *info, Plan *plan, int constraint, char letter, int omit) {
  assert(plan->values < MOST_ARGUMENTS + 2 && !info->aConstraintUsage[constraint].argvIndex);
  info->aConstraintUsage[constraint].argvIndex = plan->values + 1;
  info->aConstraintUsage[constraint].omit = (unsigned char)omit;
  plan->letters[plan->values++] = letter;
}

/* LIMIT and OFFSET are not conditions: they say nothing about a row. */
static int has_conditions(const sqlite3_index_info *info) {
  for (int i = 0; i < info->nConstraint; i++)
    if (info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_LIMIT &&
        info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_OFFSET)
      return 1;
  return 0;
}

/* Arguments first. SQLITE_CONSTRAINT: this order of the join can't give them all. */
static int plan_arguments(const TableFunction *function, sqlite3_index_info *info, Plan *plan, int *given) {
  for (int i = 0; i < info->nConstraint; i++) {
    const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];
    int argument = constraint->iColumn - function->outputs;
    if (constraint->op != SQLITE_INDEX_CONSTRAINT_EQ || argument < 0 || argument >= function->arguments) continue;
    if (!constraint->usable) return SQLITE_CONSTRAINT;
    if (*given & 1 << argument) continue;
    *given |= 1 << argument;
    use(info, plan, i, (char)('0' + argument), 1);
  }
  return SQLITE_OK;
}

/* Constraints on the id become the set to choose from. Not called where the rank is asked for, which is that among all.
 */
static void plan_candidates(const TableFunction *function, sqlite3_index_info *info, Plan *plan) {
  for (int i = 0; i < info->nConstraint; i++) {
    const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];
    if (constraint->op != SQLITE_INDEX_CONSTRAINT_EQ || constraint->iColumn != function->candidate_column ||
        !constraint->usable || sqlite3_stricmp(sqlite3_vtab_collation(info, i), "BINARY") != 0)
      continue; /* ids are looked up byte by byte */
    int is_list = sqlite3_vtab_in(info, i, 1);
    use(info, plan, i, is_list ? 'i' : 'c', 1);
    plan->rows = is_list ? 25 : 1;
    return;
  }
}

/* LIMIT says how many rows will be read only where nothing filters them afterwards. */
static void plan_limit(sqlite3_index_info *info, Plan *plan, int ordered) {
  int limit = -1;
  for (int i = 0; i < info->nConstraint; i++) {
    const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];
    if (constraint->op == SQLITE_INDEX_CONSTRAINT_LIMIT && constraint->usable)
      limit = i;
    else if (!info->aConstraintUsage[i].argvIndex)
      return;
  }
  if (limit >= 0 && (info->nOrderBy == 0 || ordered)) use(info, plan, limit, 'l', 0);
}

static int table_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  Table *table = (Table *)vtab;
  const TableFunction *function = table->registration->function;
  Plan plan = {.rows = function->rows};
  int given = 0;
  int code = plan_arguments(function, info, &plan, &given);
  if (code != SQLITE_OK) return code;
  for (int argument = 0; argument < function->required; argument++) {
    if (given & 1 << argument) continue;
    /* Not even the first, but other conditions: the planner is trying one arm of an OR by itself. */
    if (!(given & 1) && has_conditions(info)) return SQLITE_CONSTRAINT;
    sqlite3_free(vtab->zErrMsg);
    vtab->zErrMsg = sqlite3_mprintf("%s: an argument is missing: call it as %s", function->name, function->usage);
    return SQLITE_ERROR;
  }
  int ordered = function->ordered && info->nOrderBy == 1 && info->aOrderBy[0].iColumn == 0 && !info->aOrderBy[0].desc;
  int open_ended = function->limit_argument && !(given & 1 << function->limit_argument);
  if (open_ended && !(info->colUsed & 1)) plan_candidates(function, info, &plan);
  if (open_ended) plan_limit(info, &plan, ordered);
  if (function->limit_argument && !open_ended) plan.rows = 10;
  info->orderByConsumed = ordered;
  info->estimatedRows = (sqlite3_int64)plan.rows;
  info->estimatedCost = function->cost + plan.rows;
  info->idxStr = sqlite3_mprintf("%s", plan.letters);
  info->needToFreeIdxStr = 1;
  return info->idxStr ? SQLITE_OK : SQLITE_NOMEM;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void end_call(Cursor *cursor) {
  TableCall *call = &cursor->call;
  if (call->state && call->function->end) call->function->end(call);
  for (int i = 0; i < MOST_ARGUMENTS; i++) {
    sqlite3_value_free(call->argument[i]);
    call->argument[i] = NULL;
  }
  value_list_free(&call->candidates);
  call->has_candidates = 0;
  call->rows = 0;
  cursor->started = 0;
}

static int same_value(sqlite3_value *a, sqlite3_value *b) {
  if (!a || !b) return a == b;
  int type = sqlite3_value_type(a);
  if (type != sqlite3_value_type(b)) return 0;
  if (type == SQLITE_NULL) return 1;
  if (type == SQLITE_INTEGER) return sqlite3_value_int64(a) == sqlite3_value_int64(b);
  if (type == SQLITE_FLOAT) return sqlite3_value_double(a) == sqlite3_value_double(b);
  const void *x = sqlite3_value_blob(a), *y = sqlite3_value_blob(b);
  int size = sqlite3_value_bytes(a);
  return size == sqlite3_value_bytes(b) && (size == 0 || (x && y && memcmp(x, y, (size_t)size) == 0));
}

/* A list of candidates, or a bound by LIMIT, is not compared: such a call always starts afresh. */
static int same_call(const Cursor *cursor, const char *letters, sqlite3_value **values) {
  sqlite3_value *argument[MOST_ARGUMENTS] = {0};
  for (int i = 0; letters[i]; i++) {
    if (letters[i] < '0' || letters[i] >= '0' + MOST_ARGUMENTS) return 0;
    argument[letters[i] - '0'] = values[i];
  }
  for (int i = 0; i < MOST_ARGUMENTS; i++)
    if (!same_value(argument[i], cursor->call.argument[i])) return 0;
  return !cursor->call.has_candidates && cursor->call.limit == INT64_MAX;
}

static int take_arguments(Cursor *cursor, const char *letters, sqlite3_value **values) {
  TableCall *call = &cursor->call;
  int code = SQLITE_OK;
  call->limit = INT64_MAX;
  for (int i = 0; letters[i] && code == SQLITE_OK; i++) {
    switch (letters[i]) {
      case 'c':
        call->has_candidates = 1;
        code = sqlite3_value_type(values[i]) == SQLITE_NULL ? SQLITE_OK : value_list_add(&call->candidates, values[i]);
        break;
      case 'i':
        call->has_candidates = 1;
        code = value_list_add_all(&call->candidates, values[i]);
        break;
      case 'l':
        call->limit = sqlite3_value_int64(values[i]);
        if (call->limit < 0) call->limit = INT64_MAX; /* LIMIT -1 is no limit */
        break;
      default:
        call->argument[letters[i] - '0'] = sqlite3_value_dup(values[i]);
        if (!call->argument[letters[i] - '0']) code = SQLITE_NOMEM;
    }
  }
  return code;
}

static int cursor_filter(sqlite3_vtab_cursor *base, int plan, const char *letters, int count, sqlite3_value **values) {
  (void)plan;
  (void)count;
  Cursor *cursor = (Cursor *)base;
  TableCall *call = &cursor->call;
  Error error = {0};
  call->row = 0;
  if (cursor->started && same_call(cursor, letters, values)) {
    int rewound = call->function->rewind ? call->function->rewind(call, &error) : SQLITE_OK;
    if (rewound == SQLITE_OK) return SQLITE_OK;
    cursor->started = 0;
    error_from_code(&error, rewound);
    return vtab_report(base->pVtab, &error);
  }
  end_call(cursor);
  if (!call->state && !(call->state = memory_alloc_zero(1, call->function->state_size))) return SQLITE_NOMEM;
  int code = take_arguments(cursor, letters, values);
  if (code == SQLITE_OK) code = call->function->start(call, &error);
  assert(code == error.code || error.code == SQLITE_OK); /* an error that was recorded is not lost */
  if (code != SQLITE_OK) {
    error_from_code(&error, code);
    code = vtab_report(base->pVtab, &error);
    end_call(cursor);
    return code;
  }
  cursor->started = 1;
  return SQLITE_OK;
}

static int cursor_eof(sqlite3_vtab_cursor *base) {
  Cursor *cursor = (Cursor *)base;
  const TableCall *call = &cursor->call;
  if (!cursor->started) return 1;
  return call->function->at_end ? call->function->at_end(call) : call->row >= call->rows;
}

static int cursor_next(sqlite3_vtab_cursor *base) {
  Cursor *cursor = (Cursor *)base;
  Error error = {0};
  assert(!cursor_eof(base));
  cursor->call.row++;
  const TableFunction *function = cursor->call.function;
  int code = function->next ? function->next(&cursor->call, &error) : SQLITE_OK;
  assert(code == error.code || error.code == SQLITE_OK);
  if (code == SQLITE_OK) return code;
  cursor->started = 0;
  error_from_code(&error, code);
  return vtab_report(base->pVtab, &error);
}

static int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  Cursor *cursor = (Cursor *)base;
  const TableCall *call = &cursor->call;
  assert(!cursor_eof(base) && column < call->function->outputs + call->function->arguments);
  if (column < call->function->outputs)
    call->function->column(call, context, column);
  else if (call->argument[column - call->function->outputs])
    sqlite3_result_value(context, call->argument[column - call->function->outputs]);
  return SQLITE_OK;
}

/* Where an OR is answered arm by arm, SQLite knows by the rowid what it has had already: so it depends on the arguments
 * and on what the row is, not on how we came to it. */
static int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  const Cursor *cursor = (const Cursor *)base;
  const TableCall *call = &cursor->call;
  uint64_t hash = 0;
  for (int i = 0; i < MOST_ARGUMENTS; i++) {
    Id id;
    int there = call->argument[i] ? id_from_value(call->argument[i], &id) : 0;
    if (there < 0) return SQLITE_NOMEM;
    uint64_t key = there ? id_hash(&id) : 0;
    hash = bytes_hash(hash, &key, sizeof key);
  }
  int64_t identity = call->function->identity ? call->function->identity(call) : call->row;
  *rowid = (sqlite3_int64)(hash >> 33) * ((sqlite3_int64)1 << 32) + identity;
  return SQLITE_OK;
}

static int cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **base) {
  Table *table = (Table *)vtab;
  Cursor *cursor = memory_alloc_zero(1, sizeof *cursor);
  if (!cursor) return SQLITE_NOMEM;
  cursor->call.function = table->registration->function;
  cursor->call.connection = table->registration->connection;
  *base = &cursor->base;
  return SQLITE_OK;
}

static int cursor_close(sqlite3_vtab_cursor *base) {
  Cursor *cursor = (Cursor *)base;
  end_call(cursor);
  memory_free(cursor->call.state);
  memory_free(cursor);
  return SQLITE_OK;
}

/* ---- registering ------------------------------------------------------------------------------------------------- */

static const sqlite3_module table_module = {
    .xConnect = table_connect, /* and no xCreate: eponymous only */
    .xBestIndex = table_best_index,
    .xDisconnect = table_disconnect,
    .xOpen = cursor_open,
    .xClose = cursor_close,
    .xFilter = cursor_filter,
    .xNext = cursor_next,
    .xEof = cursor_eof,
    .xColumn = cursor_column,
    .xRowid = cursor_rowid,
};

/* Called as a scalar; or with a number of arguments that the scalar of its name does not take. */
static void refuse_scalar(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  (void)values;
  const TableFunction *function = ((const Registration *)sqlite3_user_data(context))->function;
  int scalar_too = (function->flags & TABLE_FUNCTION_SCALAR_TOO) != 0;
  Error error = {0};
  error_set(&error, SQLITE_ERROR, "%s: %s%s", function->name,
            scalar_too ? "call it as " : "it gives rows: write SELECT * FROM ", function->usage);
  scalar_report(context, &error);
}

static int register_function(Connection *connection, const TableFunction *function, TableFunction *made) {
  assert(function->arguments <= MOST_ARGUMENTS && function->required <= function->arguments);
  assert(function->limit_argument < function->arguments || !function->arguments);
  Registration *registration = memory_alloc(1, sizeof *registration);
  if (!registration) memory_free(made);
  if (!registration) return SQLITE_NOMEM;
  *registration = (Registration){1, function, made, connection};
  connection_retain(connection);
  /* SQLite releases what it is given where it fails, too. */
  int code =
      sqlite3_create_function_v2(connection->db, function->name, -1, SQLITE_UTF8 | SQLITE_INNOCUOUS,
                                 registration_retain(registration), refuse_scalar, NULL, NULL, registration_release);
  if (code == SQLITE_OK)
    code = sqlite3_create_module_v2(connection->db, function->name, &table_module, registration_retain(registration),
                                    registration_release);
  registration_release(registration);
  return code;
}

int table_function_register(Connection *connection, const TableFunction *function) {
  return register_function(connection, function, NULL);
}

int table_function_register_copy(Connection *connection, const TableFunction *function) {
  TableFunction *made = memory_alloc(1, sizeof *made);
  if (!made) return SQLITE_NOMEM;
  *made = *function;
  return register_function(connection, made, made);
}
