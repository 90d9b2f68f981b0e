/* Reading users: one by key, or a run of them. Never cached, so that a folded-in rating is seen at once. See model.h.
 */
#include <string.h>

#include "../base/indexes.h"
#include "../base/memory.h"
#include "all_histories.h"
#include "blobs.h"
#include "in_memory.h"
#include "model.h"
#include "neighbor_rows.h"
#include "store.h"
#include "user_rows.h"

/* ---- vectors ----------------------------------------------------------------------------------------------------- */

static double head_offset(const ModelShape *shape, int head, const float *row) {
  return shape->mean[head] + (shape->biases[head] ? (double)row[store_bias_place(shape, head)] : 0);
}

size_t users_chunk_length(const Model *model, int64_t chunk) {
  int64_t left = model->users - chunk * STORE_CHUNK;
  return left < STORE_CHUNK ? (size_t)left : STORE_CHUNK;
}

/* Steps to the row of chunk `chunk` of a bound statement. */
int users_step_to_chunk(Model *model, const ModelItems *items, sqlite3_stmt *statement, int64_t chunk,
                        const char **data, Error *error) {
  int code = reader_step(&model->reader, statement, error);
  if (code == SQLITE_DONE) return reader_no_row(&model->reader, "userfactor", chunk, error);
  if (code != SQLITE_ROW) return code;
  return reader_chunk(&model->reader, statement, &items->shape, chunk, users_chunk_length(model, chunk), data, error);
}

int users_bind_chunks(Model *model, int64_t first, int64_t last, sqlite3_stmt **statement, Error *error) {
  int code = reader_statement(&model->reader, STATEMENT_USER_CHUNKS, statement, error);
  if (code == SQLITE_OK) {
    sqlite3_bind_int64(*statement, 1, first);
    sqlite3_bind_int64(*statement, 2, last);
  }
  return code;
}

/* ---- neighbours -------------------------------------------------------------------------------------------------- */

int model_neighbors(Model *model, size_t first, size_t count, NeighborLists *lists, Error *error) {
  if (!model->trained) return neighbors_read(&model->reader, first, count, (size_t)model->users, lists, error);
  return in_memory_neighbors(model->trained, first, count, lists) == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
}

/* ---- one user ---------------------------------------------------------------------------------------------------- */

int user_from_row(const ModelShape *shape, const float *row, ModelUser *user) {
  for (int head = 0; head < HEADS; head++) {
    if (!shape_has_panel(shape, head)) continue;
    user->vector[head] = memory_alloc_aligned((size_t)shape_stride(shape, head), sizeof(float));
    if (!user->vector[head]) return SQLITE_NOMEM;
    memcpy(user->vector[head], row + store_factors_place(shape, head), (size_t)shape->rank[head] * sizeof(float));
    user->offset[head] = head_offset(shape, head, row);
  }
  return SQLITE_OK;
}

/* As of a run of one. */
int user_make_query(Model *model, const ModelItems *items, Profile profile, History *history, ModelUser *user,
                    const Cancel *cancel, Error *error) {
  uint8_t blank = 0;
  ModelUsers one = {.first = user->index, .count = 1, .profile = profile, .blank = &blank, .history = history};
  for (int head = 0; head < HEADS; head++) one.vector[head] = user->vector[head];
  int code = items->shape.kind->queries(model, items, &one, cancel, error);
  user->query = one.queries;
  user->own = one.own;
  user->blank = blank;
  return code;
}

static int user_from_factors(Model *model, const ModelItems *items, uint32_t index, ModelUser *user, Error *error) {
  size_t row_floats = store_row_floats(&items->shape);
  float *row = memory_alloc(row_floats, sizeof *row);
  sqlite3_stmt *statement = NULL;
  const char *data = NULL;
  if (row && model->trained) {
    trained_row(model->trained, 1, index, row);
    int made = user_from_row(&items->shape, row, user);
    memory_free(row);
    return made == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
  }
  int code = row ? users_bind_chunks(model, index / STORE_CHUNK, index / STORE_CHUNK, &statement, error)
                 : error_no_memory(error);
  if (code == SQLITE_OK) code = users_step_to_chunk(model, items, statement, index / STORE_CHUNK, &data, error);
  if (code == SQLITE_OK)
    code = blob_get_floats(&model->reader, statement, 2, data, index % STORE_CHUNK * row_floats, row_floats, "factors",
                           row, error);
  if (code == SQLITE_OK && user_from_row(&items->shape, row, user) != SQLITE_OK) code = error_no_memory(error);
  if (statement) sqlite3_reset(statement);
  memory_free(row);
  return code;
}

int model_user_at(Model *model, const ModelItems *items, uint32_t index, ModelUser *user, History *history,
                  Error *error) {
  History own = {0}, *read = history ? history : &own;
  int code = SQLITE_OK;
  *user = (ModelUser){.index = index};
  *read = (History){0};
  if (store_row_floats(&items->shape)) code = user_from_factors(model, items, index, user, error);
  if (code == SQLITE_OK && (history || items->shape.kind->by_history))
    code = model_history(model, items, index, read, error);
  if (code == SQLITE_OK) code = user_make_query(model, items, (Profile)items->shape.profile, read, user, NULL, error);
  history_free(&own);
  return code;
}

void user_free(ModelUser *user) {
  for (int head = 0; head < HEADS; head++) memory_free_aligned(user->vector[head]);
  memory_free_aligned(user->own);
  *user = (ModelUser){0};
}

int model_user_neighbors(Model *model, uint32_t user, NeighborLists *lists, Error *error) {
  return model_neighbors(model, user, 1, lists, error);
}

/* ---- ids --------------------------------------------------------------------------------------------------------- */

int model_user_index(Model *model, const Id *id, uint32_t *index, int *found, Error *error) {
  sqlite3_stmt *statement = NULL;
  int64_t value = 0;
  *found = 0;
  if (model->trained) {
    *index = dictionary_find(&model->trained->users, id);
    *found = *index != DICTIONARY_NONE;
    return SQLITE_OK;
  }
  int code = reader_statement(&model->reader, STATEMENT_USER_BY_ID, &statement, error);
  if (code == SQLITE_OK && id_bind(statement, 1, id) != SQLITE_OK) code = error_no_memory(error);
  if (code == SQLITE_OK) {
    code = reader_step(&model->reader, statement, error);
    if (code == SQLITE_ROW) {
      code = reader_integer(&model->reader, statement, 0, 0, model->users - 1, &value, error);
      *found = code == SQLITE_OK; /* an index out of range is no user's */
    } else if (code == SQLITE_DONE) {
      code = SQLITE_OK;
    }
  }
  if (statement) {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement); /* the id's bytes are not ours */
  }
  *index = (uint32_t)value;
  return code;
}

int model_user(Model *model, const ModelItems *items, const Id *id, ModelUser *user, History *history, int *found,
               Error *error) {
  uint32_t index;
  *user = (ModelUser){0};
  if (history) *history = (History){0};
  int code = model_user_index(model, id, &index, found, error);
  return code == SQLITE_OK && *found ? model_user_at(model, items, index, user, history, error) : code;
}

/* ---- histories --------------------------------------------------------------------------------------------------- */

/* Takes the history out of the current row (idx, id, n, history). A model without histories gives empty ones. */
static int history_from_row(Model *model, const ModelItems *items, sqlite3_stmt *statement, History *history,
                            Error *error) {
  *history = (History){0};
  if (sqlite3_column_type(statement, 3) == SQLITE_NULL) return SQLITE_OK;
  int64_t n = 0;
  int code = reader_integer(&model->reader, statement, 2, 0, (int64_t)items->ids.count, &n, error);
  if (code != SQLITE_OK) return code;
  size_t count = (size_t)n;
  code = blob_read_history(&model->reader, statement, 3, count, items->shape.history == HISTORY_TIMED, history, error);
  if (code != SQLITE_OK) return code;
  for (size_t i = 0; i < count; i++)
    if (history->item[i] >= items->ids.count || items_is_forgotten(items, history->item[i]) ||
        (i && history->item[i] <= history->item[i - 1]))
      return reader_damaged(&model->reader, statement, 3, error,
                            "expected items that there are, in ascending order, found item %u behind %d others",
                            history->item[i], (int)i);
  return SQLITE_OK;
}

static int bind_users(Model *model, int64_t first, int64_t last, sqlite3_stmt **statement, Error *error) {
  int code = reader_statement(&model->reader, STATEMENT_USERS, statement, error);
  if (code == SQLITE_OK) {
    sqlite3_bind_int64(*statement, 1, first);
    sqlite3_bind_int64(*statement, 2, last);
  }
  return code;
}

/* Steps to one user's row (idx, id, n, history): SQLITE_OK, and the caller resets the statement. */
static int step_to_user(Model *model, uint32_t user, sqlite3_stmt **statement, Error *error) {
  int code = bind_users(model, user, user, statement, error);
  if (code == SQLITE_OK) code = reader_step(&model->reader, *statement, error);
  if (code == SQLITE_DONE) code = reader_no_row(&model->reader, "user", user, error);
  return code == SQLITE_ROW ? SQLITE_OK : code;
}

int model_history(Model *model, const ModelItems *items, uint32_t user, History *history, Error *error) {
  sqlite3_stmt *statement = NULL;
  *history = (History){0};
  if (model->trained)
    return in_memory_history(model->trained, user, history) == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
  int code = step_to_user(model, user, &statement, error);
  if (code == SQLITE_OK) code = history_from_row(model, items, statement, history, error);
  if (statement) sqlite3_reset(statement);
  return code;
}

int model_user_row(Model *model, uint32_t user, sqlite3_value **id, int64_t *n, Error *error) {
  sqlite3_stmt *statement = NULL;
  *id = NULL;
  int code = step_to_user(model, user, &statement, error);
  if (code == SQLITE_OK && !(*id = sqlite3_value_dup(sqlite3_column_value(statement, 1))))
    code = error_no_memory(error);
  if (code == SQLITE_OK && n) *n = sqlite3_column_int64(statement, 2);
  if (statement) sqlite3_reset(statement);
  return code;
}

void history_free(History *history) {
  memory_free(history->item);
  memory_free(history->rating);
  memory_free(history->held_out);
  memory_free(history->time);
  memory_free(history->order);
  *history = (History){0};
}

size_t history_place(const History *history, uint32_t item) {
  return indexes_place(history->item, history->count, item);
}

int history_find(const History *history, uint32_t item, double *rating) {
  size_t place = history_place(history, item);
  if (place == history->count) return 0;
  if (rating) *rating = (double)history_rating(history, place);
  return 1;
}

/* ---- runs of users ----------------------------------------------------------------------------------------------- */

/* Spreads a row of floats over a run's arrays. */
static void set_user(const ModelShape *shape, const float *row, size_t user, ModelUsers *users) {
  for (int head = 0; head < HEADS; head++) {
    if (!shape_has_panel(shape, head)) continue;
    memcpy(users->vector[head] + user * (size_t)shape_stride(shape, head), row + store_factors_place(shape, head),
           (size_t)shape->rank[head] * sizeof(float));
    users->offset[head][user] = (float)head_offset(shape, head, row);
  }
}

static int read_vectors(Model *model, const ModelItems *items, size_t first, ModelUsers *users, Error *error) {
  const ModelShape *shape = &items->shape;
  size_t row_floats = store_row_floats(shape);
  float *row = memory_alloc(row_floats, sizeof *row);
  sqlite3_stmt *statement = NULL;
  int code = row ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK && !model->trained)
    code = users_bind_chunks(model, (int64_t)(first / STORE_CHUNK), (int64_t)((first + users->count - 1) / STORE_CHUNK),
                             &statement, error);
  const char *data = NULL;
  for (size_t user = 0; code == SQLITE_OK && user < users->count; user++) {
    size_t place = (first + user) % STORE_CHUNK;
    if (model->trained) {
      trained_row(model->trained, 1, first + user, row);
    } else {
      if (place == 0)
        code = users_step_to_chunk(model, items, statement, (int64_t)((first + user) / STORE_CHUNK), &data, error);
      if (code == SQLITE_OK)
        code =
            blob_get_floats(&model->reader, statement, 2, data, place * row_floats, row_floats, "factors", row, error);
    }
    if (code == SQLITE_OK) set_user(shape, row, user, users);
  }
  if (statement) sqlite3_reset(statement);
  memory_free(row);
  return code;
}

/* Histories of a model that is not stored, which nobody asks for ids. */
static int copy_histories(const Model *model, size_t first, ModelUsers *users, Error *error) {
  for (size_t user = 0; users->history && user < users->count; user++)
    if (in_memory_history(model->trained, (uint32_t)(first + user), &users->history[user]) != SQLITE_OK)
      return error_no_memory(error);
  return SQLITE_OK;
}

static int read_user_rows(Model *model, const ModelItems *items, size_t first, int what, ModelUsers *users,
                          Error *error) {
  sqlite3_stmt *statement = NULL;
  int code = bind_users(model, (int64_t)first, (int64_t)(first + users->count - 1), &statement, error);
  for (size_t user = 0; code == SQLITE_OK && user < users->count; user++) {
    int64_t index;
    code = reader_step(&model->reader, statement, error);
    if (code == SQLITE_DONE) code = reader_no_row(&model->reader, "user", (int64_t)(first + user), error);
    if (code != SQLITE_ROW) break;
    code =
        reader_integer(&model->reader, statement, 0, (int64_t)(first + user), (int64_t)(first + user), &index, error);
    if (code == SQLITE_OK && what & USERS_WITH_IDS) {
      Id id;
      uint32_t added = 0;
      int there = id_from_column(statement, 1, &id);
      if (there == 0) code = reader_expected(&model->reader, statement, 1, error, "an id");
      if (there < 0 || (there > 0 && dictionary_add(&users->ids, &id, &added) != SQLITE_OK))
        code = error_no_memory(error);
      if (code == SQLITE_OK && added != user)
        code = reader_expected(&model->reader, statement, 1, error, "an id that no other row has");
    }
    if (code == SQLITE_OK && what & USERS_WITH_HISTORIES)
      code = history_from_row(model, items, statement, &users->history[user], error);
  }
  if (statement) sqlite3_reset(statement);
  return code;
}

static int users_alloc(const ModelShape *shape, size_t count, int what, ModelUsers *users) {
  users->count = count;
  users->blank = memory_alloc_zero(count, 1);
  int complete = users->blank != NULL;
  for (int head = 0; head < HEADS; head++) {
    if (!shape_has_panel(shape, head)) continue;
    users->vector[head] = memory_alloc_aligned(count, (size_t)shape_stride(shape, head) * sizeof(float));
    users->offset[head] = memory_alloc(count, sizeof(float));
    complete = complete && users->vector[head] && users->offset[head];
  }
  if (what & USERS_WITH_HISTORIES) users->history = memory_alloc_zero(count, sizeof *users->history);
  return complete && (users->history || !(what & USERS_WITH_HISTORIES)) ? SQLITE_OK : SQLITE_NOMEM;
}

int model_users(Model *model, const ModelItems *items, size_t first, size_t count, int what, ModelUsers *users,
                Error *error) {
  *users = (ModelUsers){.first = first, .profile = (Profile)items->shape.profile};
  if ((int64_t)first >= model->users || count == 0) return SQLITE_OK;
  if (count > (size_t)model->users - first) count = (size_t)model->users - first;
  if (items->shape.kind->by_history) what |= USERS_WITH_HISTORIES;
  int code = users_alloc(&items->shape, count, what, users) == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK && store_row_floats(&items->shape)) code = read_vectors(model, items, first, users, error);
  if (code == SQLITE_OK && model->trained) code = copy_histories(model, first, users, error);
  if (code == SQLITE_OK && what && !model->trained) code = read_user_rows(model, items, first, what, users, error);
  if (code == SQLITE_OK && !(what & USERS_PLAIN)) code = items->shape.kind->queries(model, items, users, NULL, error);
  if (code != SQLITE_OK) users_free(users);
  return code;
}

void users_free(ModelUsers *users) {
  for (size_t user = 0; users->history && user < users->count; user++) history_free(&users->history[user]);
  memory_free(users->history);
  memory_free_aligned(users->own);
  memory_free(users->blank);
  for (int head = 0; head < HEADS; head++) {
    memory_free_aligned(users->vector[head]);
    memory_free(users->offset[head]);
  }
  dictionary_free(&users->ids);
  *users = (ModelUsers){0};
}
