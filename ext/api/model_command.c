/* What INSERT, UPDATE and DELETE on a model do, and the commands, INSERT INTO model(model) VALUES('…'): see
 * model_table.c for the module.
 *
 * A trigger may do all of this; SQLite does not tell a virtual table whether a trigger asks. So a file from
 * somewhere else can hold a trigger that retrains or forgets, as it can hold one that deletes rows: none can hand over
 * a payload, and nothing runs but what a query of the source's table or view would. */
#include "../answer/forgetting.h"
#include "../answer/rating_change.h"
#include "../data/interrupt.h"
#include "../model/guarded_write.h"
#include "../model/replacement.h"
#include "../model/store.h"
#include "../train/retraining.h"
#include "model_module.h"
#include "vtab.h"

int model_integrity(ModelTable *table, Error *error) {
  Model *model = NULL;
  Interrupt interrupt;
  connection_interrupt(table->connection, &interrupt);
  int code = connection_open(table->connection, table_name(table), &model, error);
  if (code == SQLITE_OK) code = model_check(model, &interrupt.cancel, error);
  interrupt_end(&interrupt);
  return code;
}

/* Of a user or an item. An id that the model does not know is SQLITE_CONSTRAINT: INSERT OR IGNORE passes over it. */
static int command_forget(ModelTable *table, sqlite3_value **values, Error *error) {
  int has_user = sqlite3_value_type(values[COLUMN_USER]) != SQLITE_NULL;
  int has_item = sqlite3_value_type(values[COLUMN_ITEM]) != SQLITE_NULL;
  ForgetSide side = has_item ? FORGET_ITEM : FORGET_USER;
  sqlite3_value *value = values[has_item ? COLUMN_ITEM : COLUMN_USER];
  char text[ID_FORMAT_SIZE];
  Id id;
  int known = 0;
  if (has_user == has_item)
    return error_set(
        error, SQLITE_CONSTRAINT,
        "model \"%s\": 'forget' takes a user or an item, not %s: INSERT INTO m(m, user) VALUES('forget', 42), "
        "or INSERT INTO m(m, item) VALUES('forget', 7)",
        table->name, has_user ? "both" : "NULL");
  int code = forget(table->connection, table_name(table), side, value, &known, error);
  if (code != SQLITE_OK || known) return code;
  if (id_from_value(value, &id) <= 0) return error_no_memory(error);
  return error_set(error, SQLITE_CONSTRAINT, "model \"%s\" knows no %s %s: there is nothing to forget", table->name,
                   forget_sides[side], id_format(&id, text));
}

static int replace(ModelTable *table, const Replacement *replacement, Error *error) {
  sqlite3 *db = table->connection->db;
  ModelName name = table_name(table);
  Writing writing;
  int code = writing_begin(&writing, table->connection, name, 0, error);
  if (code == SQLITE_OK) code = known_check(db, name, replacement->known, replacement->caller, error);
  if (code == SQLITE_OK) code = store_write(db, name, replacement->trained, error);
  return writing_end(&writing, code, error);
}

static int write_batch(ModelTable *table, const LiveBatch *batch, Error *error) {
  Writing writing;
  int code = writing_begin(&writing, table->connection, table_name(table), batch->secure, error);
  if (code == SQLITE_OK) code = live_write(table->connection->db, table_name(table), batch, error);
  return writing_end(&writing, code, error);
}

/* INSERT INTO m(m, …) VALUES('…', …): `values` are the columns. */
static int run_command(ModelTable *table, const char *command, sqlite3_value **values, Error *error) {
  sqlite3_value *payload = values[COLUMN_PAYLOAD];
  if (sqlite3_stricmp(command, "store") == 0) {
    const Replacement *replacement = sqlite3_value_pointer(payload, PAYLOAD_TYPE);
    if (replacement) return replace(table, replacement, error);
  }
  if (sqlite3_stricmp(command, "fold") == 0) {
    const LiveBatch *batch = sqlite3_value_pointer(payload, LIVE_TYPE);
    if (batch) return write_batch(table, batch, error);
  }
  if (sqlite3_stricmp(command, "forget") == 0) return command_forget(table, values, error);
  if (sqlite3_stricmp(command, "retrain") == 0) return retrain_command(table->connection, table_name(table), error);
  if (sqlite3_stricmp(command, "integrity-check") == 0) return model_integrity(table, error);
  return error_set(error, SQLITE_ERROR,
                   "model \"%s\": there is no command '%s'; there are 'retrain', 'integrity-check' and 'forget'",
                   table->name, command);
}

/* A column's new value; NULL where it stays as it is. */
static sqlite3_value *changed(sqlite3_value *value) { return sqlite3_value_nochange(value) ? NULL : value; }

/* SQLITE_OK where an UPDATE changes the rating, the timestamp or both, and nothing else: the cursor marks what stays as
 * it is. `values` are the rowid, the new rowid and the columns. */
static int check_update(ModelTable *table, sqlite3_value **values, Error *error) {
  int moves = sqlite3_value_int64(values[0]) != sqlite3_value_int64(values[1]), others = 0;
  sqlite3_value **columns = values + 2;
  for (int column = 0; column <= COLUMN_PAYLOAD; column++)
    others += column != COLUMN_RATING && column != COLUMN_TIMESTAMP && !sqlite3_value_nochange(columns[column]);
  if (!moves && !others && (changed(columns[COLUMN_RATING]) || changed(columns[COLUMN_TIMESTAMP]))) return SQLITE_OK;
  return error_set(error, SQLITE_ERROR,
                   "model \"%s\": only the rating of a cell and its timestamp can be changed: the other columns follow "
                   "from the ratings",
                   table->name);
}

static int insert_row(ModelTable *table, sqlite3_value **values, int conflict, Error *error) {
  static const int computed[] = {COLUMN_SCORE, COLUMN_PREDICTION, COLUMN_SEEN, COLUMN_PAYLOAD};
  for (size_t i = 0; i < sizeof computed / sizeof *computed; i++)
    if (sqlite3_value_type(values[computed[i]]) != SQLITE_NULL)
      return error_set(error, SQLITE_ERROR,
                       "model \"%s\" takes user, item and rating, and a timestamp where it keeps times: the rest "
                       "follows from the ratings",
                       table->name);
  return live_put(table->connection, table_name(table), values[COLUMN_USER], values[COLUMN_ITEM], values[COLUMN_RATING],
                  values[COLUMN_TIMESTAMP], conflict, error);
}

int model_update(sqlite3_vtab *vtab, int count, sqlite3_value **values, sqlite3_int64 *rowid) {
  ModelTable *table = (ModelTable *)vtab;
  Error error = {0};
  int conflict = sqlite3_vtab_on_conflict(table->connection->db); /* before any nested statement has its own */
  *rowid = sqlite3_last_insert_rowid(table->connection->db);      /* what SQLite will set it to: unchanged */
  int code = writing_check(table->connection, table_name(table), &error);
  if (code != SQLITE_OK) return vtab_report(vtab, &error);
  int inserts = count > 1 && sqlite3_value_type(values[0]) == SQLITE_NULL;
  sqlite3_value **columns = values + 2;
  if (inserts && sqlite3_value_type(columns[COLUMN_COMMAND]) != SQLITE_NULL) {
    const char *text = (const char *)sqlite3_value_text(columns[COLUMN_COMMAND]);
    code = text ? run_command(table, text, columns, &error) : error_no_memory(&error);
  } else if (inserts) {
    code = insert_row(table, columns, conflict, &error);
  } else if (count == 1) {
    code = live_remove_at(table->connection, table_name(table), sqlite3_value_int64(values[0]), &error);
  } else {
    code = check_update(table, values, &error);
    if (code == SQLITE_OK)
      code = live_put_at(table->connection, table_name(table), sqlite3_value_int64(values[0]),
                         changed(columns[COLUMN_RATING]), changed(columns[COLUMN_TIMESTAMP]), &error);
  }
  /* SQLite passes over the row and keeps the message, which would hide what it says of an interrupt later. */
  if (code == SQLITE_CONSTRAINT && conflict == SQLITE_IGNORE) {
    error_clear(&error);
    return SQLITE_CONSTRAINT;
  }
  return code == SQLITE_OK ? SQLITE_OK : vtab_report(vtab, &error);
}
