/* A part of the interactions: see interactions_subset.h. */
#include "interactions_subset.h"

#include "../base/memory.h"
#include "../base/sqlite.h"

enum { POLL_EVERY = 4096 }; /* rows or ids */

/* Copies the ids that are used, and numbers them: index[old] is the new number. */
static int copy_used(const Dictionary *from, const uint8_t *used, uint32_t *index, Dictionary *to,
                     const Cancel *cancel) {
  int code = SQLITE_OK;
  for (size_t i = 0; i < from->count && code == SQLITE_OK; i++) {
    if (i % POLL_EVERY == 0) code = cancel_poll(cancel);
    if (!used[i] || code != SQLITE_OK) continue;
    Id id = dictionary_id(from, i);
    code = dictionary_add(to, &id, &index[i]);
  }
  return code;
}

/* Marks the users and items that occur, and counts the entries. */
static int mark_used(const SparseMatrix *from, const uint8_t *wanted, uint8_t mark, uint8_t *user_used,
                     uint8_t *item_used, size_t *entries, const Cancel *cancel) {
  int code = SQLITE_OK;
  for (size_t user = 0; user < from->rows && code == SQLITE_OK; user++) {
    if (user % POLL_EVERY == 0) code = cancel_poll(cancel);
    for (size_t e = from->start[user]; e < from->start[user + 1]; e++) {
      if (wanted[e] != mark) continue;
      user_used[user] = item_used[from->index[e]] = 1;
      ++*entries;
    }
  }
  return code;
}

static int copy_entries(const Interactions *all, const uint8_t *wanted, uint8_t mark, const uint32_t *item_index,
                        Interactions *taken, const Cancel *cancel) {
  const SparseMatrix *from = &all->by_user;
  SparseMatrix *to = &taken->by_user;
  size_t at = 0, row = 0;
  int code = SQLITE_OK;
  for (size_t user = 0; user < from->rows && code == SQLITE_OK; user++) {
    size_t first = at;
    if (user % POLL_EVERY == 0) code = cancel_poll(cancel);
    for (size_t e = from->start[user]; e < from->start[user + 1]; e++) {
      if (wanted[e] != mark) continue;
      to->index[at] = item_index[from->index[e]];
      if (to->value) to->value[at] = sparse_value(from, e);
      entry_times_copy(&all->trained_times, e, &taken->trained_times, at);
      at++;
    }
    if (at > first) to->start[++row] = at;
  }
  return code;
}

static void summarize(Interactions *taken) {
  const SparseMatrix *matrix = &taken->by_user;
  size_t entries = matrix->start[matrix->rows];
  double sum = 0;
  for (size_t e = 0; e < entries; e++) {
    double value = (double)sparse_value(matrix, e);
    if (e == 0 || value < taken->minimum) taken->minimum = value;
    if (e == 0 || value > taken->maximum) taken->maximum = value;
    sum += value;
  }
  if (entries) taken->mean = sum / (double)entries;
}

int interactions_take(const Interactions *all, const uint8_t *wanted, uint8_t mark, Interactions *taken,
                      const Cancel *cancel) {
  const SparseMatrix *from = &all->by_user;
  uint8_t *user_used = memory_alloc_zero(from->rows, 1), *item_used = memory_alloc_zero(from->columns, 1);
  uint32_t *user_index = memory_alloc(from->rows, sizeof *user_index);
  uint32_t *item_index = memory_alloc(from->columns, sizeof *item_index);
  size_t entries = 0;
  *taken = (Interactions){.user_affinity = all->user_affinity,
                          .item_affinity = all->item_affinity,
                          .explicit_ratings = all->explicit_ratings,
                          .timestamps = all->timestamps};
  int code = user_used && item_used && user_index && item_index ? SQLITE_OK : SQLITE_NOMEM;
  if (code == SQLITE_OK) code = mark_used(from, wanted, mark, user_used, item_used, &entries, cancel);
  if (code == SQLITE_OK) code = copy_used(&all->users, user_used, user_index, &taken->users, cancel);
  if (code == SQLITE_OK) code = copy_used(&all->items, item_used, item_index, &taken->items, cancel);
  if (code == SQLITE_OK)
    code = sparse_alloc(&taken->by_user, taken->users.count, taken->items.count, entries, from->value != NULL);
  if (code == SQLITE_OK && all->trained_times.time) code = entry_times_alloc(&taken->trained_times, entries);
  if (code == SQLITE_OK) code = copy_entries(all, wanted, mark, item_index, taken, cancel);
  if (code == SQLITE_OK) summarize(taken);
  taken->rows = (int64_t)entries;
  memory_free(user_used);
  memory_free(item_used);
  memory_free(user_index);
  memory_free(item_index);
  return code;
}

/* ---- feedback ---------------------------------------------------------------------------------------------------- */

/* Takes the zeros out of a matrix, and marks the rows and columns that have something else. */
static int drop_zeros(SparseMatrix *matrix, EntryTimes *times, uint8_t *user_used, uint8_t *item_used,
                      const Cancel *cancel) {
  size_t to = 0, e = 0;
  int code = SQLITE_OK;
  for (size_t user = 0; user < matrix->rows && code == SQLITE_OK; user++) {
    if (user % POLL_EVERY == 0) code = cancel_poll(cancel);
    for (size_t end = matrix->start[user + 1]; e < end; e++) {
      if (sparse_value(matrix, e) == 0) continue;
      user_used[user] = item_used[matrix->index[e]] = 1;
      if (matrix->value) matrix->value[to] = matrix->value[e];
      entry_times_copy(times, e, times, to);
      matrix->index[to++] = matrix->index[e];
    }
    matrix->start[user + 1] = to;
  }
  return code;
}

/* Leaves out the rows and columns that are not used: they have no entries. */
static void drop_unused(SparseMatrix *matrix, const uint8_t *user_used, const uint32_t *item_index, size_t items) {
  size_t rows = 0;
  for (size_t user = 0; user < matrix->rows; user++)
    if (user_used[user]) matrix->start[++rows] = matrix->start[user + 1];
  for (size_t e = 0; e < matrix->start[rows]; e++) matrix->index[e] = item_index[matrix->index[e]];
  matrix->rows = rows;
  matrix->columns = items;
}

/* `ids` less those that are not used; index[old] is the new number. */
static int keep_used(Dictionary *ids, const uint8_t *used, uint32_t *index, const Cancel *cancel) {
  Dictionary kept;
  dictionary_init(&kept);
  int code = copy_used(ids, used, index, &kept, cancel);
  if (code == SQLITE_OK) {
    dictionary_free(ids);
    *ids = kept;
  } else {
    dictionary_free(&kept);
  }
  return code;
}

static size_t entries_of(const SparseMatrix *matrix) { return matrix->start ? matrix->start[matrix->rows] : 0; }

static int has_zeros(const SparseMatrix *matrix) {
  for (size_t e = 0; matrix->value && e < entries_of(matrix); e++)
    if (matrix->value[e] == 0) return 1;
  return 0;
}

static void measure_again(Interactions *data) {
  data->minimum = data->maximum = data->mean = 0;
  summarize(data);
  sparse_drop_ones(&data->by_user);
  sparse_drop_ones(&data->held_out);
}

int interactions_drop_zeros(Interactions *data, const Cancel *cancel) {
  SparseMatrix *trained = &data->by_user, *held_out = &data->held_out;
  size_t users = trained->rows, items = trained->columns, before = entries_of(trained) + entries_of(held_out);
  if (!has_zeros(trained) && !has_zeros(held_out)) return SQLITE_OK;
  uint8_t *user_used = memory_alloc_zero(users, 1), *item_used = memory_alloc_zero(items, 1);
  uint32_t *user_index = memory_alloc(users, sizeof *user_index);
  uint32_t *item_index = memory_alloc(items, sizeof *item_index);
  int code = user_used && item_used && user_index && item_index ? SQLITE_OK : SQLITE_NOMEM;
  if (code == SQLITE_OK) code = drop_zeros(trained, &data->trained_times, user_used, item_used, cancel);
  if (code == SQLITE_OK && held_out->start)
    code = drop_zeros(held_out, &data->held_out_times, user_used, item_used, cancel);
  if (code == SQLITE_OK) code = keep_used(&data->users, user_used, user_index, cancel);
  if (code == SQLITE_OK) code = keep_used(&data->items, item_used, item_index, cancel);
  if (code == SQLITE_OK) {
    drop_unused(trained, user_used, item_index, data->items.count);
    if (held_out->start) drop_unused(held_out, user_used, item_index, data->items.count);
    data->zeros += (int64_t)(before - entries_of(trained) - entries_of(held_out));
    measure_again(data);
  }
  memory_free(user_used);
  memory_free(item_used);
  memory_free(user_index);
  memory_free(item_index);
  return code;
}

int interactions_likes(const SparseMatrix *matrix, SparseMatrix *likes, const Cancel *cancel) {
  size_t count = 0, to = 0;
  *likes = (SparseMatrix){0};
  for (size_t e = 0; e < entries_of(matrix); e++) count += sparse_value(matrix, e) > 0;
  int code = sparse_alloc(likes, matrix->rows, matrix->columns, count, matrix->value != NULL);
  for (size_t row = 0; row < matrix->rows && code == SQLITE_OK; row++) {
    if (row % POLL_EVERY == 0) code = cancel_poll(cancel);
    for (size_t e = matrix->start[row]; e < matrix->start[row + 1]; e++) {
      if (!(sparse_value(matrix, e) > 0)) continue;
      if (likes->value) likes->value[to] = sparse_value(matrix, e);
      likes->index[to++] = matrix->index[e];
    }
    likes->start[row + 1] = to;
  }
  if (code != SQLITE_OK) sparse_free(likes);
  return code;
}
