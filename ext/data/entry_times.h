/* When the entries of a matrix came: side by side with its index and values, where histories are timed. */
#ifndef RECOMMEND_DATA_ENTRY_TIMES_H
#define RECOMMEND_DATA_ENTRY_TIMES_H

#include <stddef.h>
#include <stdint.h>

/* The time of an entry that has none. It comes after all that have one, as an entry that is written to a model without
 * a time comes last. */
#define NO_TIME INT64_MAX

typedef struct EntryTimes {
  int64_t *time; /* owned; NULL: the entries are not timed */
  uint32_t *row; /* owned; the row of the source: of two entries of one time, that of the lower row came first */
} EntryTimes;

/* Room for so many entries. CODE_OK or CODE_NOMEM (nothing is kept). */
int entry_times_alloc(EntryTimes *times, size_t entries);
void entry_times_free(EntryTimes *times); /* cleared is fine; leaves it cleared */

static inline void entry_times_copy(const EntryTimes *from, size_t e, EntryTimes *to, size_t place) {
  if (!from->time) return;
  to->time[place] = from->time[e];
  to->row[place] = from->row[e];
}

/* Sorts n entries by when they came, oldest first: order receives 0 … n - 1, their places. */
void entry_times_sort(const int64_t *time, const uint32_t *row, size_t n, uint32_t *order);

#endif
