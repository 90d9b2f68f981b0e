/* What looks wrong in a source without being an error: see source_hints.h. Each hint says what to write if it is.
 *
 * Counts are told from stars by how they are spread. Stars have a ceiling, and people give many of the highest; counts
 * have none, and most are low: the number of times that something was played or bought falls off like a power law
 * (Clauset, Shalizi & Newman, "Power-law distributions in empirical data", 2009). */
#include "source_hints.h"

#include <math.h>

/* ---- the source -------------------------------------------------------------------------------------------------- */

static int has_kind(const Dictionary *ids, IdKind kind) {
  for (size_t i = 0; i < ids->count; i++)
    if (dictionary_id(ids, i).kind == kind) return 1;
  return 0;
}

/* Whether a column takes texts for equal that are not: asked of SQLite by comparing it with some, since only a table's
 * columns could be looked up. No row of the source is read. */
static int collates(sqlite3 *db, const SourceColumns *columns, int column, int *yes) {
  sqlite3_stmt *statement = NULL;
  char *sql = sqlite3_mprintf(
      "%s SELECT x = 'A' OR x = 'a ' OR x = 'á' FROM (SELECT c%d AS x FROM \"recommend(rows)\" WHERE false UNION ALL "
      "SELECT 'a')",
      columns->with, column + 1);
  int code = sql ? sqlite3_prepare_v2(db, sql, -1, &statement, NULL) : SQLITE_NOMEM;
  if (code == SQLITE_OK) {
    code = sqlite3_step(statement);
    *yes = code == SQLITE_ROW && sqlite3_column_int(statement, 0);
    if (code == SQLITE_ROW) code = SQLITE_OK;
  }
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  return code;
}

static int hint_collation(Training *training, const SourceColumns *columns, int column, const char *what,
                          Error *error) {
  int yes = 0, code = collates(training->connection->db, columns, column, &yes);
  if (code != SQLITE_OK) return error_from_database(error, training->connection->db, code, training->trainer->function);
  if (!yes) return SQLITE_OK;
  return training_hint(
      training, error,
      "The column \"%s\" has a collation other than BINARY, which a model does not keep: %ss that are equal only by "
      "that collation ('Bob' and 'bob') are different here. A SELECT with lower() or trim() makes them one.",
      columns->names[column], what);
}

int hint_source(Training *training, const Source *source, Error *error) {
  const Interactions *data = &training->data;
  SourceColumns columns;
  int users = has_kind(&data->users, ID_TEXT), items = has_kind(&data->items, ID_TEXT);
  if (!users && !items) return SQLITE_OK;
  int code = source_columns(training->connection->db, source, training->trainer->function, &columns, error);
  if (code == SQLITE_OK && users && data->user_column < columns.count)
    code = hint_collation(training, &columns, data->user_column, "user", error);
  if (code == SQLITE_OK && items && data->item_column < columns.count)
    code = hint_collation(training, &columns, data->item_column, "item", error);
  source_columns_free(&columns);
  return code;
}

/* ---- ids --------------------------------------------------------------------------------------------------------- */

static int hint_ids(Training *training, const Dictionary *ids, IdAffinity affinity, const char *what, Error *error) {
  int code = SQLITE_OK;
  if (affinity == ID_AFFINITY_REAL || has_kind(ids, ID_REAL))
    code = training_hint(training, error,
                         "Ids of %ss are REAL, which loses the last digits of whole numbers above 9007199254740992: "
                         "make the column INTEGER or TEXT.",
                         what);
  if (code == SQLITE_OK && has_kind(ids, ID_BLOB))
    code = training_hint(training, error,
                         "Ids of %ss are BLOBs, which no number or text is equal to. Python binds NumPy's integers so: "
                         "store int(x) or x.item().",
                         what);
  return code;
}

static int hint_lonely(Training *training, const SparseMatrix *entries, const char *what, Error *error) {
  if (entries->rows < 2 || entries->start[entries->rows] != entries->rows) return SQLITE_OK;
  return training_hint(training, error,
                       "Every %s has one row, so that nothing can be learned about any of them: if another column is "
                       "the %s, name it with the option \"%s\".",
                       what, what, what);
}

/* ---- ratings ----------------------------------------------------------------------------------------------------- */

/* All are within the Unix times of 1980 … 2100, in seconds, milliseconds or microseconds. */
static int are_times(const Interactions *data) {
  static const double units[] = {1, 1e3, 1e6};
  for (int i = 0; i < 3; i++)
    if (data->minimum >= 315532800 * units[i] && data->maximum <= 4102444800 * units[i]) return 1;
  return 0;
}

/* Whole numbers, most of them low: see the top. */
static int are_counts(const Interactions *data) {
  const SparseMatrix *cells = &data->by_user;
  size_t entries = cells->start[cells->rows], lowest = 0;
  if (!cells->value || data->minimum < 0 || data->minimum > 1 || data->maximum < 3) return 0;
  for (size_t e = 0; e < entries; e++) {
    if (cells->value[e] != floorf(cells->value[e])) return 0;
    lowest += (double)cells->value[e] == data->minimum;
  }
  if (data->mean > data->minimum + (data->maximum - data->minimum) / 4) return 0;
  return data->maximum > 100 || (double)lowest >= 0.4 * (double)entries;
}

static int hint_ratings(Training *training, Error *error) {
  const Interactions *data = &training->data;
  if (data->unread)
    return training_hint(training, error,
                         "No column is named like a rating, so every row counts 1. If one of %s is the rating, name it "
                         "with the option \"rating\".",
                         data->unread);
  if (!data->explicit_ratings) return SQLITE_OK;
  if (training->values != VALUES_RATINGS && data->maximum < 0)
    return training_hint(training, error,
                         "All values are below 0, and such values are dislikes here, so that nobody likes anything: "
                         "mf_train with the option \"algorithm\": \"als\" reads them as ratings.");
  if (are_times(data))
    return training_hint(training, error,
                         "The ratings look like Unix times: with the option \"rating\": null every row counts 1.");
  if (training->values == VALUES_RATINGS && training->trainer->reads_ratings && are_counts(data))
    return training_hint(training, error,
                         "The ratings look like counts, whole numbers from %.15g to %.15g and mostly low: mf_train "
                         "with the option \"algorithm\": \"ials\" reads them as counts.",
                         data->minimum, data->maximum);
  return SQLITE_OK;
}

static int hint_times(Training *training, Error *error) {
  const Interactions *data = &training->data;
  if (!data->times_ignored || data->duplicates == 0) return SQLITE_OK;
  return training_hint(training, error,
                       "Not all timestamps are numbers, so none of them is read, and of several ratings of one item by "
                       "one user the last row counts: a SELECT with unixepoch() makes numbers of dates.");
}

static int hint_order(Training *training, Error *error) {
  const Interactions *data = &training->data;
  if (!data->trained_times.time || data->timestamps || training->options->timestamp.is_null) return SQLITE_OK;
  return training_hint(training, error,
                       "No column is taken for the timestamp, so histories are in the order of the source's rows, and "
                       "their times are NULL: if there is one, name it with the option \"timestamp\".");
}

int hint_data(Training *training, Error *error) {
  const Interactions *data = &training->data;
  if (!data->columns) return SQLITE_OK; /* no ratings were read here */
  int code = hint_ids(training, &data->users, data->user_affinity, "user", error);
  if (code == SQLITE_OK) code = hint_ids(training, &data->items, data->item_affinity, "item", error);
  if (code == SQLITE_OK && training->by_item.start) {
    code = hint_lonely(training, &data->by_user, "user", error);
    if (code == SQLITE_OK) code = hint_lonely(training, &training->by_item, "item", error);
  }
  if (code == SQLITE_OK) code = hint_ratings(training, error);
  if (code == SQLITE_OK) code = hint_times(training, error);
  if (code == SQLITE_OK) code = hint_order(training, error);
  return code;
}
