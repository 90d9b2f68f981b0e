/* An allocator for SQLite that counts its blocks, and fails when told:
 *
 *     install_memory();                       first of all
 *     fail_after = 3;                         the fourth request from here on gets nothing; -1: all get theirs
 *     CHECK(outstanding == before);           nothing was lost
 *
 * Included by one file of a program. */
#ifndef RECOMMEND_TESTS_FAILING_MEMORY_H
#define RECOMMEND_TESTS_FAILING_MEMORY_H

#include "base/sqlite.h"

static sqlite3_mem_methods real_memory;
static long outstanding, fail_after = -1; /* allocations until one fails; -1: never */

static inline int refuse(void) { return fail_after >= 0 && fail_after-- == 0; }

static inline void *counting_malloc(int size) {
  void *block = refuse() ? NULL : real_memory.xMalloc(size);
  __atomic_add_fetch(&outstanding, block != NULL, __ATOMIC_RELAXED);
  return block;
}

static inline void counting_free(void *block) {
  __atomic_sub_fetch(&outstanding, block != NULL, __ATOMIC_RELAXED);
  real_memory.xFree(block);
}

static inline void *counting_realloc(void *block, int size) {
  return refuse() ? NULL : real_memory.xRealloc(block, size);
}

static inline void install_memory(void) {
  sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
  sqlite3_mem_methods methods = real_memory;
  methods.xMalloc = counting_malloc;
  methods.xFree = counting_free;
  methods.xRealloc = counting_realloc;
  sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
  sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0); /* which would hide small requests */
  sqlite3_initialize();
}

#endif
