/* recommend_describe(source): what is in each column of a table, a view or a SELECT, one row a column, in their order.
 *
 *     column, type, count, nulls, distinct, mean, stddev, min, max
 *
 * As where ratings are read, a value is missing where it is NULL or '', which is what .import leaves of an empty field:
 * those are `nulls`, and all else counts. `type` lists the types of the values that there are, whatever the column is
 * declared as; `distinct` tells values apart as SELECT DISTINCT does (1 and 1.0 are one), by hashes of 64 bits: among
 * ten million values the chance that any two are taken for one is 3e-6. Mean and standard deviation (of a sample: by
 * n − 1) are those of the numbers; text that looks like a number does not count as one; the least and the largest value
 * are so in SQLite's order: numbers, text, blobs; of a long one the beginning is shown, with … behind it.
 *
 * One scan. Memory: 11 to 22 bytes a distinct value. Squares are updated one by one (Welford, "Note on a method for
 * calculating corrected sums of squares and products", Technometrics 4 (1962)), sums keep what rounding takes
 * (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", ZAMM 54 (1974)). */
#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "arguments.h"
#include "register.h"

/* Hashes that were seen: open addressing, 0 is a free place. */
typedef struct HashSet {
  uint64_t *slot;
  size_t capacity, count; /* a power of 2, or 0; at most 3/4 of the slots are taken */
} HashSet;

typedef struct ColumnSummary {
  char *name;   /* owned */
  int found[4]; /* by IdKind */
  int64_t count, nulls, numbers;
  double mean, squares; /* of the numbers: the running mean, and Σ (x − mean)² */
  double sum, lost;     /* of the numbers, and what rounding has taken from it */
  HashSet distinct;
  Id least, largest; /* where count > 0; their bytes are owned */
} ColumnSummary;

typedef struct Description {
  ColumnSummary *columns;
  int count;
} Description;

/* ---- distinct values --------------------------------------------------------------------------------------------- */

static void insert_hash(HashSet *set, uint64_t hash) {
  size_t place = hash & (set->capacity - 1);
  while (set->slot[place] && set->slot[place] != hash) place = (place + 1) & (set->capacity - 1);
  if (!set->slot[place]) set->count++;
  set->slot[place] = hash;
}

static int grow_set(HashSet *set) {
  HashSet larger = {.capacity = set->capacity ? 2 * set->capacity : 64};
  larger.slot = memory_alloc_zero(larger.capacity, sizeof *larger.slot);
  if (!larger.slot) return SQLITE_NOMEM;
  for (size_t i = 0; i < set->capacity; i++)
    if (set->slot[i]) insert_hash(&larger, set->slot[i]);
  memory_free(set->slot);
  *set = larger;
  return SQLITE_OK;
}

static int add_hash(HashSet *set, uint64_t hash) {
  if (4 * (set->count + 1) > 3 * set->capacity && grow_set(set) != SQLITE_OK) return SQLITE_NOMEM;
  insert_hash(set, hash ? hash : 1);
  return SQLITE_OK;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void free_id(Id *id) {
  if (id->kind >= ID_TEXT) memory_free((void *)(uintptr_t)id->as.bytes);
  *id = (Id){0};
}

static int keep_id(Id *kept, const Id *id) {
  Id copy = *id;
  if (id->kind >= ID_TEXT) {
    void *bytes = memory_alloc(id->size, 1);
    if (!bytes) return SQLITE_NOMEM;
    if (id->size) memcpy(bytes, id->as.bytes, id->size);
    copy.as.bytes = bytes;
  }
  free_id(kept);
  *kept = copy;
  return SQLITE_OK;
}

static void add_number(ColumnSummary *column, double x) {
  double sum = column->sum + x;
  column->lost += fabs(column->sum) >= fabs(x) ? (column->sum - sum) + x : (x - sum) + column->sum;
  column->sum = sum;
  double step = x - column->mean;
  column->mean += step / (double)++column->numbers;
  column->squares += step * (x - column->mean);
}

static int add_value(ColumnSummary *column, sqlite3_stmt *statement, int which) {
  Id id;
  int found = id_from_column(statement, which, &id), code = SQLITE_OK;
  if (found < 0) return SQLITE_NOMEM;
  if (found == 0 || (id.kind == ID_TEXT && id.size == 0)) {
    column->nulls++;
    return SQLITE_OK;
  }
  int type = sqlite3_column_type(statement, which); /* an id is an integer where a real could be one */
  column->found[type == SQLITE_FLOAT ? ID_REAL : id.kind] = 1;
  if (type == SQLITE_INTEGER || type == SQLITE_FLOAT) add_number(column, sqlite3_column_double(statement, which));
  if (column->count == 0 || id_compare(&id, &column->least) < 0) code = keep_id(&column->least, &id);
  if (code == SQLITE_OK && (column->count == 0 || id_compare(&id, &column->largest) > 0))
    code = keep_id(&column->largest, &id);
  column->count++;
  return code == SQLITE_OK ? add_hash(&column->distinct, id_hash(&id)) : code;
}

/* ---- the scan ---------------------------------------------------------------------------------------------------- */

static int take_columns(Description *description, const SourceColumns *columns) {
  description->columns = memory_alloc_zero((size_t)columns->count, sizeof *description->columns);
  if (!description->columns) return SQLITE_NOMEM;
  description->count = columns->count;
  for (int c = 0; c < columns->count; c++) {
    description->columns[c].name = sqlite3_mprintf("%s", columns->names[c]);
    if (!description->columns[c].name) return SQLITE_NOMEM;
  }
  return SQLITE_OK;
}

static int scan(TableCall *call, const SourceColumns *columns, Error *error) {
  Description *description = call->state;
  sqlite3 *db = call->connection->db;
  sqlite3_stmt *statement = NULL;
  char *sql = sqlite3_mprintf("%s SELECT * FROM \"recommend(rows)\"", columns->with);
  int code = sql ? sqlite3_prepare_v2(db, sql, -1, &statement, NULL) : SQLITE_NOMEM, read = SQLITE_OK;
  while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
    code = SQLITE_OK;
    for (int c = 0; c < description->count && read == SQLITE_OK; c++)
      read = add_value(&description->columns[c], statement, c);
    if (read != SQLITE_OK) code = read;
  }
  if (code == SQLITE_DONE) code = SQLITE_OK;
  if (read != SQLITE_OK) error_no_memory(error);
  if (code != SQLITE_OK && read == SQLITE_OK) error_from_database(error, db, code, call->function->name);
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  return code;
}

static int describe_start(TableCall *call, Error *error) {
  Source source = {0};
  SourceColumns columns = {0};
  argument_source(call, 0, &source, error);
  int code = error->code;
  if (code == SQLITE_OK) code = source_columns(call->connection->db, &source, call->function->name, &columns, error);
  if (code == SQLITE_OK) code = error_from_code(error, take_columns(call->state, &columns));
  if (code == SQLITE_OK) code = scan(call, &columns, error);
  if (code == SQLITE_OK) call->rows = columns.count;
  source_columns_free(&columns);
  source_free(&source);
  return code;
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

/* Long texts would push the other columns out of sight. */
enum { SHOWN_CHARACTERS = 60 };

/* The least or largest value; of a long text the beginning, and of a long blob as much of its literal. */
static void result_shown(sqlite3_context *context, const Id *id) {
  char text[ID_FORMAT_SIZE];
  const char *bytes = id->as.bytes;
  size_t size = id->size, end = 0;
  if (id->kind == ID_BLOB && size > SHOWN_CHARACTERS / 2) {
    sqlite3_result_text(context, id_format(id, text), -1, SQLITE_TRANSIENT);
    return;
  }
  for (int shown = 0; id->kind == ID_TEXT && end < size; end++) /* UTF-8: counted by first bytes */
    if ((bytes[end] & 0xc0) != 0x80 && shown++ == SHOWN_CHARACTERS) break;
  if (id->kind != ID_TEXT || end == size) {
    id_result(context, id);
    return;
  }
  sqlite3_str *cut = sqlite3_str_new(NULL);
  sqlite3_str_append(cut, bytes, (int)end);
  sqlite3_str_appendall(cut, "…");
  char *made = sqlite3_str_finish(cut);
  if (made)
    sqlite3_result_text(context, made, -1, sqlite3_free);
  else
    sqlite3_result_error_nomem(context);
}

static void result_types(sqlite3_context *context, const ColumnSummary *column) {
  static const char *const names[] = {"integer", "real", "text", "blob"}; /* by IdKind */
  char types[40] = "";
  for (int kind = 0; kind < 4; kind++) {
    if (!column->found[kind]) continue;
    size_t length = strlen(types);
    sqlite3_snprintf((int)(sizeof types - length), types + length, "%s%s", length ? ", " : "", names[kind]);
  }
  sqlite3_result_text(context, *types ? types : "null", -1, SQLITE_TRANSIENT);
}

static void result_number(sqlite3_context *context, double value, int there) {
  if (there && isfinite(value)) sqlite3_result_double(context, value);
}

static void describe_column(const TableCall *call, sqlite3_context *context, int which) {
  const ColumnSummary *summary = &((const Description *)call->state)->columns[call->row];
  switch (which) {
    case 0: sqlite3_result_text(context, summary->name, -1, SQLITE_TRANSIENT); break;
    case 1: result_types(context, summary); break;
    case 2: sqlite3_result_int64(context, summary->count); break;
    case 3: sqlite3_result_int64(context, summary->nulls); break;
    case 4: sqlite3_result_int64(context, (sqlite3_int64)summary->distinct.count); break;
    case 5:
      result_number(context, (summary->sum + summary->lost) / (double)summary->numbers, summary->numbers > 0);
      break;
    case 6:
      result_number(context, sqrt(summary->squares / (double)(summary->numbers - 1)), summary->numbers > 1);
      break;
    case 7:
      if (summary->count > 0) result_shown(context, &summary->least);
      break;
    case 8:
      if (summary->count > 0) result_shown(context, &summary->largest);
      break;
  }
}

static void describe_end(TableCall *call) {
  Description *description = call->state;
  for (int c = 0; c < description->count; c++) {
    ColumnSummary *summary = &description->columns[c];
    sqlite3_free(summary->name);
    memory_free(summary->distinct.slot);
    free_id(&summary->least);
    free_id(&summary->largest);
  }
  memory_free(description->columns);
  *description = (Description){0};
}

static const TableFunction describe_function = {
    .name = "recommend_describe",
    .schema =
        "CREATE TABLE x(column TEXT, type TEXT, count INTEGER, nulls INTEGER, \"distinct\" INTEGER, mean REAL, "
        "stddev REAL, min BLOB, max BLOB, _source HIDDEN)",
    .usage = "recommend_describe(source)",
    .outputs = 9,
    .arguments = 1,
    .required = 1,
    .rows = 5,
    .cost = 1e7,
    .flags = TABLE_FUNCTION_DIRECT_ONLY,
    .state_size = sizeof(Description),
    .start = describe_start,
    .column = describe_column,
    .end = describe_end,
};

int recommend_describe_register(Connection *connection) {
  return table_function_register(connection, &describe_function);
}
