/* A trained model read from memory: see in_memory.h. */
#include "in_memory.h"

#include <string.h>

#include "../base/memory.h"
#include "items.h"
#include "kind.h"
#include "store.h"

int in_memory_history(const TrainedModel *trained, uint32_t user, History *history) {
  const SparseMatrix *all = &trained->history;
  size_t first = all->start[user], n = sparse_row_length(all, user);
  *history = (History){.item = memory_alloc(n, sizeof *history->item)};
  if (all->value) history->rating = memory_alloc(n, sizeof *history->rating);
  if (trained->held_out) history->held_out = memory_alloc(n, 1);
  if (trained->time) history->time = memory_alloc(n, sizeof *history->time);
  if (trained->time) history->order = memory_alloc(n, sizeof *history->order);
  if (!history->item || (all->value && !history->rating) || (trained->held_out && !history->held_out) ||
      (trained->time && (!history->time || !history->order)))
    return SQLITE_NOMEM;
  history->count = n;
  memcpy(history->item, all->index + first, n * sizeof *history->item);
  if (all->value) memcpy(history->rating, all->value + first, n * sizeof *history->rating);
  if (trained->held_out) memcpy(history->held_out, trained->held_out + first, n);
  if (trained->time) memcpy(history->time, trained->time + first, n * sizeof *history->time);
  if (trained->time) memcpy(history->order, trained->order + first, n * sizeof *history->order);
  return SQLITE_OK;
}

int in_memory_neighbors(const TrainedModel *trained, size_t first, size_t count, NeighborLists *lists) {
  const NeighborLists *all = &trained->neighbors;
  size_t from = all->start[first], n = all->start[first + count] - from;
  *lists = (NeighborLists){.rows = count,
                           .start = memory_alloc(count + 1, sizeof *lists->start),
                           .neighbor = memory_alloc(n, sizeof *lists->neighbor),
                           .similarity = memory_alloc(n, sizeof *lists->similarity),
                           .support = memory_alloc(n, sizeof *lists->support)};
  if (!lists->start || !lists->neighbor || !lists->similarity || !lists->support) return SQLITE_NOMEM;
  for (size_t row = 0; row <= count; row++) lists->start[row] = all->start[first + row] - from;
  memcpy(lists->neighbor, all->neighbor + from, n * sizeof *lists->neighbor);
  memcpy(lists->similarity, all->similarity + from, n * sizeof *lists->similarity);
  memcpy(lists->support, all->support + from, n * sizeof *lists->support);
  return SQLITE_OK;
}

static int copy_ids(const Dictionary *from, Dictionary *to) {
  int code = SQLITE_OK;
  for (size_t i = 0; i < from->count && code == SQLITE_OK; i++) {
    Id id = dictionary_id(from, i);
    uint32_t index;
    code = dictionary_add(to, &id, &index);
  }
  return code;
}

static int make_items(const TrainedModel *trained, ModelItems *items) {
  size_t count = trained->items.count, floats = store_row_floats(&trained->shape);
  float *row = memory_alloc(floats, sizeof *row);
  trained_assert(trained);
  items->references = 1;
  items->shape = trained->shape;
  items->shape.abilities = kind_abilities(&trained->shape, (int64_t)trained->users.count);
  items->shape.linked = (int64_t)(trained->weights ? count : trained->neighbors.rows);
  items->user_affinity = trained->user_affinity;
  items->item_affinity = trained->item_affinity;
  int code = row ? copy_ids(&trained->items, &items->ids) : SQLITE_NOMEM;
  if (code == SQLITE_OK) code = items_alloc(count, items);
  for (size_t item = 0; item < count && floats && code == SQLITE_OK; item++) {
    trained_row(trained, 0, item, row);
    items_set(items, item, row);
  }
  if (code == SQLITE_OK && items->shape.kind->copy_items) code = items->shape.kind->copy_items(trained, items);
  memory_free(row);
  return code;
}

static int make_popularity(const TrainedModel *trained, Popularity **popularity) {
  size_t count = trained->items.count;
  *popularity = popularity_alloc(count);
  if (!*popularity) return SQLITE_NOMEM;
  memcpy((*popularity)->count, trained->item_count, count * sizeof *trained->item_count);
  memcpy((*popularity)->liked, trained->item_liked, count * sizeof *trained->item_liked);
  return SQLITE_OK;
}

int model_of_trained(Model **made, const TrainedModel *trained, Error *error) {
  Model *model = memory_alloc_zero(1, sizeof *model);
  ModelItems *items = model ? memory_alloc_zero(1, sizeof *items) : NULL;
  int code = items ? make_items(trained, items) : SQLITE_NOMEM;
  if (model) {
    model->trained = trained;
    model->items = items;
    model->users = (int64_t)trained->users.count;
    if (code == SQLITE_OK) code = make_popularity(trained, &model->popularity);
  }
  if (code != SQLITE_OK) {
    model_destroy(model);
    model = NULL;
    error_no_memory(error);
  }
  *made = model;
  return code;
}
