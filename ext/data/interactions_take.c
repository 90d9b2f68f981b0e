/* A part of the interactions: see interactions_take.h. */
#include "interactions_take.h"

#include "../base/memory.h"
#include "../base/sqlite.h"

/* Copies the ids that are used, and numbers them: index[old] is the new number. */
static int copy_used(const Dictionary *from, const uint8_t *used, uint32_t *index, Dictionary *to) {
  int code = SQLITE_OK;
  for (size_t i = 0; i < from->count && code == SQLITE_OK; i++) {
    if (!used[i]) continue;
    Id id = dictionary_id(from, i);
    code = dictionary_add(to, &id, &index[i]);
  }
  return code;
}

static void copy_entries(const Interactions *all, const uint8_t *wanted, uint8_t mark, const uint32_t *item_index,
                         SparseMatrix *to) {
  const SparseMatrix *from = &all->by_user;
  size_t at = 0, row = 0;
  for (size_t user = 0; user < from->rows; user++) {
    size_t first = at;
    for (size_t e = from->start[user]; e < from->start[user + 1]; e++) {
      if (wanted[e] != mark) continue;
      to->index[at] = item_index[from->index[e]];
      if (to->value) to->value[at] = from->value[e];
      at++;
    }
    if (at > first) to->start[++row] = at;
  }
}

static void summarize(Interactions *taken) {
  const SparseMatrix *matrix = &taken->by_user;
  size_t entries = matrix->start[matrix->rows];
  double sum = 0;
  for (size_t e = 0; e < entries; e++) {
    double value = matrix->value ? (double)matrix->value[e] : 1;
    if (e == 0 || value < taken->minimum) taken->minimum = value;
    if (e == 0 || value > taken->maximum) taken->maximum = value;
    sum += value;
  }
  if (entries) taken->mean = sum / (double)entries;
}

int interactions_take(const Interactions *all, const uint8_t *wanted, uint8_t mark, Interactions *taken) {
  const SparseMatrix *from = &all->by_user;
  uint8_t *user_used = memory_alloc_zero(from->rows, 1), *item_used = memory_alloc_zero(from->columns, 1);
  uint32_t *user_index = memory_alloc(from->rows, sizeof *user_index);
  uint32_t *item_index = memory_alloc(from->columns, sizeof *item_index);
  size_t entries = 0;
  *taken = (Interactions){.user_affinity = all->user_affinity,
                          .item_affinity = all->item_affinity,
                          .explicit_ratings = all->explicit_ratings};
  int code = user_used && item_used && user_index && item_index ? SQLITE_OK : SQLITE_NOMEM;
  for (size_t user = 0; code == SQLITE_OK && user < from->rows; user++)
    for (size_t e = from->start[user]; e < from->start[user + 1]; e++) {
      if (wanted[e] != mark) continue;
      user_used[user] = item_used[from->index[e]] = 1;
      entries++;
    }
  if (code == SQLITE_OK) code = copy_used(&all->users, user_used, user_index, &taken->users);
  if (code == SQLITE_OK) code = copy_used(&all->items, item_used, item_index, &taken->items);
  if (code == SQLITE_OK)
    code = sparse_alloc(&taken->by_user, taken->users.count, taken->items.count, entries, from->value != NULL);
  if (code == SQLITE_OK) {
    copy_entries(all, wanted, mark, item_index, &taken->by_user);
    summarize(taken);
  }
  taken->rows = (int64_t)entries;
  memory_free(user_used);
  memory_free(item_used);
  memory_free(user_index);
  memory_free(item_index);
  return code;
}
