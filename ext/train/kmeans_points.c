/* What kmeans_train puts into clusters: see kmeans_train.h. Dense points are moved so that their mean is 0, which costs
 * nothing and keeps the digits of columns that are far from it. */
#include <math.h>
#include <string.h>

#include "../base/factors.h"
#include "../base/memory.h"
#include "../model/model.h"
#include "../model/store.h"
#include "kmeans_train.h"

int kmeans_is_table(const KmeansTraining *options) {
  return options->id.name || options->id.is_null || options->columns.count > 0;
}

/* ---- any table --------------------------------------------------------------------------------------------------- */

typedef struct TableColumns {
  int id; /* -1: rows are numbered from 1 */
  int *number;
  int count;
} TableColumns;

/* The id is the first column, if none is named, and the numbers are all others. */
static int choose_columns(const Training *training, const SourceColumns *columns, TableColumns *chosen, Error *error) {
  const KmeansTraining *options = (const KmeansTraining *)training->options;
  const char *caller = training->trainer->function;
  int wanted = options->columns.count, code = SQLITE_OK;
  chosen->number = memory_alloc((size_t)wanted + (size_t)columns->count, sizeof *chosen->number);
  if (!chosen->number) return error_no_memory(error);
  chosen->id = options->id.is_null ? -1 : 0;
  if (options->id.name) chosen->id = source_column(columns, options->id.name, "id", caller, error);
  for (int i = 0; i < wanted && error->code == SQLITE_OK; i++) {
    int column = source_column(columns, options->columns.text[i], "columns", caller, error);
    chosen->number[chosen->count++] = column;
    if (error->code == SQLITE_OK && column == chosen->id && !options->id.name)
      code = error_set(error, SQLITE_ERROR,
                       "%s: the first column, \"%s\", would be both the id and a number: name the column of ids with "
                       "the option \"id\" (null: rows are numbered)",
                       caller, columns->names[column]);
  }
  for (int column = 0; column < columns->count && wanted == 0; column++)
    if (column != chosen->id) chosen->number[chosen->count++] = column;
  if (error->code == SQLITE_OK && chosen->count == 0)
    code = error_set(error, SQLITE_ERROR, "%s: the source has no column beside the id", caller);
  return error->code == SQLITE_OK ? code : error->code;
}

/* A number, or text that reads as one: 1; NULL and '': 0; an error is set: -1. */
static int read_number(const Training *training, sqlite3_stmt *statement, int column, const char *name, double *number,
                       Error *error) {
  sqlite3_value *value = sqlite3_column_value(statement, column);
  int type = sqlite3_value_type(value);
  if (type == SQLITE_NULL || (type == SQLITE_TEXT && sqlite3_value_bytes(value) == 0)) return 0;
  if (type == SQLITE_TEXT) {
    sqlite3_value *copy = sqlite3_value_dup(value);
    if (!copy) error_no_memory(error);
    type = copy ? sqlite3_value_numeric_type(copy) : SQLITE_NULL;
    if (copy) *number = sqlite3_value_double(copy);
    sqlite3_value_free(copy);
  } else {
    *number = sqlite3_column_double(statement, column);
  }
  if ((type == SQLITE_INTEGER || type == SQLITE_FLOAT) && isfinite(*number)) return 1;
  Id shown;
  char text[ID_FORMAT_SIZE];
  if (error->code == SQLITE_OK && id_from_column(statement, column, &shown) > 0)
    error_set(error, SQLITE_MISMATCH,
              "%s: row %lld has %s in the column \"%s\", which is not a number: leave such rows out with a SELECT, or "
              "name the columns of numbers with the option \"columns\"",
              training->trainer->function, training->data.rows, id_format(&shown, text), name);
  else
    error_no_memory(error);
  return -1;
}

/* One row: its id at column 0 of the statement, its numbers behind. Rows that lack one are left out. */
static int take_row(Training *training, sqlite3_stmt *statement, const SourceColumns *columns,
                    const TableColumns *chosen, Error *error) {
  KmeansState *state = training->state;
  Interactions *data = &training->data;
  Id id = {.kind = ID_INTEGER, .as.integer = ++data->rows};
  size_t row = data->users.count, width = state->table_columns;
  uint32_t index = 0;
  double *grown = memory_grow(state->table, row, width * sizeof *grown);
  if (!grown) return error_no_memory(error);
  state->table = grown;
  int there = chosen->id < 0 ? 1 : id_from_column(statement, 0, &id);
  if (there < 0) return error_no_memory(error);
  if (there > 0 && id.kind == ID_TEXT && id.size == 0) there = 0;
  for (size_t i = 0; i < width && there > 0; i++)
    there = read_number(training, statement, (int)i + 1, columns->names[chosen->number[i]],
                        &state->table[row * width + i], error);
  if (there < 0) return error->code;
  data->left_out += !there;
  if (!there) return SQLITE_OK;
  if (chosen->id >= 0 && id_from_column(statement, 0, &id) < 0) return error_no_memory(error);
  int code = dictionary_add(&data->users, &id, &index);
  if (code == SQLITE_NOMEM) return error_no_memory(error);
  char text[ID_FORMAT_SIZE];
  if (code == SQLITE_OK && index == row) return SQLITE_OK;
  return error_set(error, SQLITE_CONSTRAINT, "%s: row %lld has the id %s, which an earlier one has too",
                   training->trainer->function, data->rows, id_format(&id, text));
}

static int read_point_rows(Training *training, const SourceColumns *columns, const TableColumns *chosen, Error *error) {
  sqlite3 *db = training->connection->db;
  sqlite3_stmt *statement = NULL;
  sqlite3_str *sql = sqlite3_str_new(db);
  sqlite3_str_appendf(sql, "%s SELECT ", columns->with);
  if (chosen->id < 0)
    sqlite3_str_appendall(sql, "NULL");
  else
    sqlite3_str_appendf(sql, "c%d", chosen->id + 1);
  for (int i = 0; i < chosen->count; i++) sqlite3_str_appendf(sql, ", c%d", chosen->number[i] + 1);
  sqlite3_str_appendall(sql, " FROM \"recommend(rows)\"");
  char *text = sqlite3_str_finish(sql);
  int code = text ? sqlite3_prepare_v2(db, text, -1, &statement, NULL) : SQLITE_NOMEM;
  while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
    code = take_row(training, statement, columns, chosen, error);
  if (code == SQLITE_DONE) code = SQLITE_OK;
  if (code != SQLITE_OK && error->code == SQLITE_OK) error_from_database(error, db, code, training->trainer->function);
  sqlite3_finalize(statement);
  sqlite3_free(text);
  return code;
}

/* In order of id, as everything is. */
static int sort_rows(Training *training, Error *error) {
  KmeansState *state = training->state;
  Interactions *data = &training->data;
  size_t rows = data->users.count, width = state->table_columns;
  uint32_t *place = memory_alloc(rows, sizeof *place);
  double *sorted = memory_alloc(rows, width * sizeof *sorted);
  int code = place && sorted ? dictionary_sort(&data->users, place, training->threads, &training->interrupt.cancel)
                             : SQLITE_NOMEM;
  if (code == SQLITE_OK) {
    for (size_t row = 0; row < rows; row++)
      memcpy(sorted + place[row] * width, state->table + row * width, width * sizeof *sorted);
    memory_free(state->table);
    state->table = sorted;
    sorted = NULL;
  }
  memory_free(place);
  memory_free(sorted);
  return error_from_code(error, code);
}

int kmeans_read_table(Training *training, Error *error) {
  KmeansState *state = training->state;
  Interactions *data = &training->data;
  SourceColumns columns = {0};
  TableColumns chosen = {0};
  sqlite3 *db = training->connection->db;
  int code = source_columns(db, &training->source, training->trainer->function, &columns, error);
  if (code == SQLITE_OK) code = choose_columns(training, &columns, &chosen, error);
  if (code == SQLITE_OK) {
    state->table_columns = (size_t)chosen.count;
    data->user_affinity = chosen.id < 0 ? ID_AFFINITY_INTEGER : columns.affinities[chosen.id];
    code = read_point_rows(training, &columns, &chosen, error);
  }
  if (code == SQLITE_OK && data->users.count == 0)
    code = error_set(error, SQLITE_ERROR,
                     "%s: \"%s\" has no rows to put into clusters (%lld rows, of which %lld lack "
                     "an id or a number)",
                     training->trainer->function, training->source.text, data->rows, data->left_out);
  if (code == SQLITE_OK) code = sort_rows(training, error);
  if (code == SQLITE_OK && sparse_alloc(&data->by_user, data->users.count, 0, 0, 0) != SQLITE_OK)
    code = error_no_memory(error);
  if (code == SQLITE_OK) memset(data->by_user.start, 0, (data->users.count + 1) * sizeof *data->by_user.start);
  memory_free(chosen.number);
  source_columns_free(&columns);
  return code;
}

/* ---- dense points ------------------------------------------------------------------------------------------------ */

/* state->table becomes floats about their means, in units of their standard deviations where that is asked for. */
static int make_dense(Training *training, size_t rows, Error *error) {
  const KmeansTraining *options = (const KmeansTraining *)training->options;
  KmeansState *state = training->state;
  size_t columns = state->table_columns, stride = (size_t)factors_stride((int)columns);
  state->dense = memory_alloc_aligned(rows, stride * sizeof *state->dense);
  state->middle = memory_alloc(columns, sizeof *state->middle);
  state->unit = memory_alloc(columns, sizeof *state->unit);
  if (!state->dense || !state->middle || !state->unit) return error_no_memory(error);
  int code = SQLITE_OK;
  for (size_t column = 0; column < columns && code == SQLITE_OK; column++) {
    double sum = 0, squares = 0;
    for (size_t row = 0; row < rows; row++) sum += state->table[row * columns + column];
    double mean = state->middle[column] = sum / (double)rows;
    for (size_t row = 0; row < rows; row++) {
      double difference = state->table[row * columns + column] - mean;
      squares += difference * difference;
    }
    state->unit[column] = options->scale && squares > 0 ? sqrt(squares / (double)rows) : 1;
    for (size_t row = 0; row < rows; row++)
      state->dense[row * stride + column] =
          (float)((state->table[row * columns + column] - mean) / state->unit[column]);
    code = error_from_code(error, cancel_poll(&training->interrupt.cancel));
  }
  memory_free(state->table);
  state->table = NULL;
  state->rows = (KmeansRows){.rows = rows, .columns = columns, .dense = state->dense, .stride = stride};
  return code;
}

/* ---- factors ----------------------------------------------------------------------------------------------------- */

typedef struct FactorCopy {
  Training *training;
  Model *model;
  ModelItems *items;
  int head;
  size_t found;
} FactorCopy;

static void copy_vector(FactorCopy *copy, const Dictionary *ids, const Id *id, const float *vector) {
  KmeansState *state = copy->training->state;
  uint32_t index = dictionary_find(ids, id);
  if (index == DICTIONARY_NONE) return;
  for (size_t i = 0; i < state->table_columns; i++) state->table[index * state->table_columns + i] = (double)vector[i];
  copy->found++;
}

static int copy_items(FactorCopy *copy, Error *error) {
  const ModelItems *items = copy->items;
  const ScorePanel *panel = &items->panel[copy->head];
  float *vector = memory_alloc((size_t)panel->stride, sizeof *vector);
  if (!vector) return error_no_memory(error);
  for (size_t item = 0; item < items->ids.count; item++) {
    Id id = dictionary_id(&items->ids, item);
    score_panel_get(panel, item, vector);
    copy_vector(copy, &copy->training->data.items, &id, vector);
  }
  memory_free(vector);
  return SQLITE_OK;
}

static int copy_users(FactorCopy *copy, Error *error) {
  enum { USERS_A_BLOCK = 64 * STORE_CHUNK };
  size_t stride = (size_t)shape_stride(&copy->items->shape, copy->head);
  int code = SQLITE_OK;
  for (size_t first = 0; code == SQLITE_OK && (int64_t)first < model_user_count(copy->model); first += USERS_A_BLOCK) {
    ModelUsers users;
    code = model_users(copy->model, copy->items, first, USERS_A_BLOCK, USERS_WITH_IDS, &users, error);
    for (size_t user = 0; code == SQLITE_OK && user < users.count; user++) {
      Id id = dictionary_id(&users.ids, user);
      copy_vector(copy, &copy->training->data.users, &id, users.vector[copy->head] + user * stride);
    }
    users_free(&users);
    if (code == SQLITE_OK) code = error_from_code(error, cancel_poll(&copy->training->interrupt.cancel));
  }
  return code;
}

/* Users or items that are in the ratings and not in the model stay at 0, where factorizations put rows without
 * entries. */
static int read_factors(Training *training, size_t members, Error *error) {
  const KmeansTraining *options = (const KmeansTraining *)training->options;
  KmeansState *state = training->state;
  FactorCopy copy = {.training = training};
  const char *caller = training->trainer->function;
  int code = training_model(training, "factors", options->factors, ABILITY_ANY, &copy.model, error);
  if (code == SQLITE_OK) code = model_begin(copy.model, &copy.items, error);
  if (code != SQLITE_OK) return code;
  copy.head = copy.items->shape.score_head;
  state->table_columns = (size_t)copy.items->shape.rank[copy.head];
  if (state->table_columns == 0)
    code = error_set(error, SQLITE_ERROR,
                     "%s: option \"factors\": model \"%s\" has no factors: name a model that mf_train made", caller,
                     options->factors);
  state->table = memory_alloc_zero(members, state->table_columns * sizeof *state->table);
  if (code == SQLITE_OK && !state->table) code = error_no_memory(error);
  if (code == SQLITE_OK) code = options->by ? copy_items(&copy, error) : copy_users(&copy, error);
  if (code == SQLITE_OK && copy.found == 0)
    code =
        error_set(error, SQLITE_ERROR,
                  "%s: option \"factors\": model \"%s\" has none of the %s of the ratings: are their ids of the same "
                  "type?",
                  caller, options->factors, options->by ? "items" : "users");
  model_end(copy.model);
  items_release(copy.items);
  return code;
}

/* ---- rows of ratings --------------------------------------------------------------------------------------------- */

static int rating_rows(Training *training, const SparseMatrix *rows, Error *error) {
  const KmeansTraining *options = (const KmeansTraining *)training->options;
  KmeansState *state = training->state;
  state->sparse = *rows;
  state->sparse.value = NULL;
  if (options->center && rows->value) {
    state->sparse.value = memory_alloc(rows->start[rows->rows], sizeof *state->sparse.value);
    if (!state->sparse.value) return error_no_memory(error);
    for (size_t row = 0; row < rows->rows; row++) {
      double sum = 0;
      for (size_t e = rows->start[row]; e < rows->start[row + 1]; e++) sum += (double)rows->value[e];
      double mean = sum / (double)sparse_row_length(rows, row);
      for (size_t e = rows->start[row]; e < rows->start[row + 1]; e++)
        state->sparse.value[e] = (float)((double)rows->value[e] - mean);
    }
    state->rows.sparse = &state->sparse;
  } else {
    state->rows.sparse = rows;
  }
  state->rows.rows = rows->rows;
  state->rows.columns = rows->columns;
  return SQLITE_OK;
}

int kmeans_points(Training *training, Error *error) {
  const KmeansTraining *options = (const KmeansTraining *)training->options;
  KmeansState *state = training->state;
  const SparseMatrix *rows = options->by ? &training->by_item : &training->data.by_user;
  int code = SQLITE_OK;
  if (options->factors) code = read_factors(training, rows->rows, error);
  if (code != SQLITE_OK) return code;
  return state->table ? make_dense(training, rows->rows, error) : rating_rows(training, rows, error);
}
