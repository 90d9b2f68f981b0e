/* Ascending indexes: see indexes.h. */
#include "indexes.h"

#include <stdlib.h>

size_t indexes_place(const uint32_t *index, size_t n, uint32_t wanted) {
  size_t low = 0, high = n;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (index[middle] < wanted)
      low = middle + 1;
    else
      high = middle;
  }
  return low < n && index[low] == wanted ? low : n;
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

void indexes_sort(uint32_t *index, size_t n) { qsort(index, n, sizeof *index, compare); }
