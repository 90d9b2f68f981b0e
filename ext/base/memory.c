/* Memory through SQLite's allocator: see memory.h. */
#include "memory.h"

#include <stdint.h>
#include <string.h>

#include "sqlite.h"

#define ALIGNMENT 64

/* Bytes of count * size, or 0 where that overflows or passes what an allocator can give. An empty array still gets a
 * byte, so that NULL always means failure. */
static size_t checked_size(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX - 2 * ALIGNMENT) return 0;
  return bytes ? bytes : 1;
}

void *memory_alloc(size_t count, size_t size) {
  size_t bytes = checked_size(count, size);
  return bytes ? sqlite3_malloc64(bytes) : NULL;
}

void *memory_alloc_zero(size_t count, size_t size) {
  void *block = memory_alloc(count, size);
  if (block) memset(block, 0, count * size);
  return block;
}

void *memory_resize(void *block, size_t count, size_t size) {
  size_t bytes = checked_size(count, size);
  return bytes ? sqlite3_realloc64(block, bytes) : NULL;
}

void memory_free(void *block) { sqlite3_free(block); }

void *memory_grow(void *block, size_t count, size_t size) {
  int full = (count & (count - 1)) == 0; /* 0, or a power of two */
  return full ? memory_resize(block, count ? 2 * count : 1, size) : block;
}

/* The address that the allocator gave is kept in the word before the aligned one. */
void *memory_alloc_aligned(size_t count, size_t size) {
  size_t bytes = checked_size(count, size);
  char *whole = bytes ? sqlite3_malloc64(bytes + ALIGNMENT + sizeof(void *)) : NULL;
  if (!whole) return NULL;
  uintptr_t aligned = ((uintptr_t)whole + sizeof(void *) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  void **block = (void **)aligned;
  block[-1] = whole;
  memset(block, 0, bytes);
  return block;
}

void memory_free_aligned(void *block) {
  if (block) sqlite3_free(((void **)block)[-1]);
}
