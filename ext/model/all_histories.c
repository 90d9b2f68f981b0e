/* All histories as a matrix: see all_histories.h. */
#include "all_histories.h"

#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "store.h"

enum { BLOCK = 64 * STORE_CHUNK };

/* Appends what a user was trained on. */
static int append_user(SparseMatrix *matrix, size_t user, const History *history, size_t *capacity, int *rated) {
  size_t to = matrix->start[user];
  if (sparse_reserve(matrix, to + history->count, capacity) != SQLITE_OK) return SQLITE_NOMEM;
  for (size_t i = 0; i < history->count; i++) {
    if (history_is_held_out(history, i)) continue;
    matrix->index[to] = history->item[i];
    matrix->value[to++] = history_rating(history, i);
  }
  *rated |= history->rating != NULL;
  matrix->start[user + 1] = to;
  return SQLITE_OK;
}

static int read_all(Model *model, const ModelItems *items, Observed *observed, Error *error) {
  int code = model_count_users(model, error);
  if (code != SQLITE_OK) return code;
  SparseMatrix *by_user = &observed->by_user;
  size_t users = (size_t)model->users, capacity = 1;
  int with_offset = items->shape.biases[HEAD_RATING], rated = 0;
  *by_user = (SparseMatrix){.rows = users, .columns = items->ids.count};
  by_user->start = memory_alloc_zero(users + 1, sizeof *by_user->start);
  by_user->index = memory_alloc(1, sizeof *by_user->index);
  by_user->value = memory_alloc(1, sizeof *by_user->value);
  if (with_offset) observed->user_offset = memory_alloc(users, sizeof *observed->user_offset);
  code = by_user->start && by_user->index && by_user->value && (observed->user_offset || !with_offset)
             ? SQLITE_OK
             : error_no_memory(error);
  for (size_t first = 0; first < users && code == SQLITE_OK; first += BLOCK) {
    ModelUsers run;
    code = model_users(model, items, first, BLOCK, USERS_WITH_HISTORIES | USERS_PLAIN, &run, error);
    for (size_t user = 0; user < run.count && code == SQLITE_OK; user++)
      if (append_user(by_user, first + user, &run.history[user], &capacity, &rated) != SQLITE_OK)
        code = error_no_memory(error);
    if (code == SQLITE_OK && with_offset)
      memcpy(observed->user_offset + first, run.offset[HEAD_RATING], run.count * sizeof *observed->user_offset);
    users_free(&run);
  }
  if (!rated) {
    memory_free(by_user->value);
    by_user->value = NULL;
  }
  if (code == SQLITE_OK && sparse_transpose(by_user, &observed->by_item, parallel_threads(0), NULL) != SQLITE_OK)
    code = error_no_memory(error);
  return code;
}

/* The stamp says all there is to say, unless somebody has written into the shadow tables; but sizes must fit. */
static int is_valid(const Model *model, const ModelItems *items, const Observed *observed) {
  return observed->stamp == model_user_stamp(model) && observed->by_user.rows == (size_t)model->users &&
         observed->by_user.columns == items->ids.count;
}

int model_observed(Model *model, const ModelItems *items, Observed **observed, Error *error) {
  int code = SQLITE_OK;
  if (model->observed && !is_valid(model, items, model->observed)) {
    observed_release(model->observed);
    model->observed = NULL;
  }
  if (!model->observed) {
    Observed *made = memory_alloc_zero(1, sizeof *made);
    code = made ? SQLITE_OK : error_no_memory(error);
    if (made) {
      made->references = 1;
      made->stamp = model_user_stamp(model);
      code = read_all(model, items, made, error);
    }
    if (code == SQLITE_OK)
      model->observed = made;
    else
      observed_release(made);
  }
  *observed = model->observed;
  if (code == SQLITE_OK) model->observed->references++;
  return code;
}

void observed_release(Observed *observed) {
  if (!observed || --observed->references > 0) return;
  if (observed->derived) observed->derived_free(observed->derived);
  sparse_free(&observed->by_user);
  sparse_free(&observed->by_item);
  memory_free(observed->user_offset);
  memory_free(observed);
}
