/* A part of the interactions: see interactions_take.h. */
#include "interactions_take.h"

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
                        SparseMatrix *to, const Cancel *cancel) {
  const SparseMatrix *from = &all->by_user;
  size_t at = 0, row = 0;
  int code = SQLITE_OK;
  for (size_t user = 0; user < from->rows && code == SQLITE_OK; user++) {
    size_t first = at;
    if (user % POLL_EVERY == 0) code = cancel_poll(cancel);
    for (size_t e = from->start[user]; e < from->start[user + 1]; e++) {
      if (wanted[e] != mark) continue;
      to->index[at] = item_index[from->index[e]];
      if (to->value) to->value[at] = from->value[e];
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
                          .explicit_ratings = all->explicit_ratings};
  int code = user_used && item_used && user_index && item_index ? SQLITE_OK : SQLITE_NOMEM;
  if (code == SQLITE_OK) code = mark_used(from, wanted, mark, user_used, item_used, &entries, cancel);
  if (code == SQLITE_OK) code = copy_used(&all->users, user_used, user_index, &taken->users, cancel);
  if (code == SQLITE_OK) code = copy_used(&all->items, item_used, item_index, &taken->items, cancel);
  if (code == SQLITE_OK)
    code = sparse_alloc(&taken->by_user, taken->users.count, taken->items.count, entries, from->value != NULL);
  if (code == SQLITE_OK) code = copy_entries(all, wanted, mark, item_index, &taken->by_user, cancel);
  if (code == SQLITE_OK) summarize(taken);
  taken->rows = (int64_t)entries;
  memory_free(user_used);
  memory_free(item_used);
  memory_free(user_index);
  memory_free(item_index);
  return code;
}
