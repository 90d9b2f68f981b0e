/* When entries came: see entry_times.h. */
#include "entry_times.h"

#include "../base/code.h"
#include "../base/memory.h"

int entry_times_alloc(EntryTimes *times, size_t entries) {
  times->time = memory_alloc(entries, sizeof *times->time);
  times->row = memory_alloc(entries, sizeof *times->row);
  if (times->time && times->row) return CODE_OK;
  entry_times_free(times);
  return CODE_NOMEM;
}

void entry_times_free(EntryTimes *times) {
  memory_free(times->time);
  memory_free(times->row);
  *times = (EntryTimes){0};
}

/* ---- heapsort: no memory of its own, and never slow -------------------------------------------------------------- */

typedef struct Sorted {
  const int64_t *time;
  const uint32_t *row;
  uint32_t *order;
} Sorted;

static int is_before(const Sorted *sorted, uint32_t a, uint32_t b) {
  if (sorted->time[a] != sorted->time[b]) return sorted->time[a] < sorted->time[b];
  return sorted->row[a] < sorted->row[b];
}

/* Lets the entry at `place` sink to where no later one is below it, in a heap of n entries whose root is the latest. */
static void sink(const Sorted *sorted, size_t place, size_t n) {
  uint32_t sinking = sorted->order[place];
  for (size_t child; (child = 2 * place + 1) < n; place = child) {
    if (child + 1 < n && is_before(sorted, sorted->order[child], sorted->order[child + 1])) child++;
    if (!is_before(sorted, sinking, sorted->order[child])) break;
    sorted->order[place] = sorted->order[child];
  }
  sorted->order[place] = sinking;
}

void entry_times_sort(const int64_t *time, const uint32_t *row, size_t n, uint32_t *order) {
  const Sorted sorted = {time, row, order};
  for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
  for (size_t place = n / 2; place-- > 0;) sink(&sorted, place, n);
  for (size_t left = n; left > 1;) {
    uint32_t latest = order[0];
    order[0] = order[--left];
    order[left] = latest;
    sink(&sorted, 0, left);
  }
}
