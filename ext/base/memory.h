/* All memory of ours: through SQLite's allocator, so that its limits and fault injection reach it,
 * with sizes checked for overflow. Every function returns NULL where memory or the size runs out. */
#ifndef RECOMMEND_BASE_MEMORY_H
#define RECOMMEND_BASE_MEMORY_H

#include <stddef.h>

void *memory_alloc(size_t count, size_t size);      /* count * size bytes, not cleared */
void *memory_alloc_zero(size_t count, size_t size); /* the same, cleared */

/* Grows or shrinks a block of memory_alloc; on failure the old block is left as it was. */
void *memory_resize(void *block, size_t count, size_t size);
void memory_free(void *block); /* NULL is fine */

/* Makes room for one more behind the `count` elements of an array that is appended to, and never shortened: its length
 * doubles wherever the count is a power of two, so that nobody keeps a capacity. Returns the block, which may have
 * moved; on failure the old one is left as it was. An array without elements may be NULL. */
void *memory_grow(void *block, size_t count, size_t size);

/* Aligned to 64 bytes (a cache line, an AVX-512 vector). Cleared. Freed only by memory_free_aligned. */
void *memory_alloc_aligned(size_t count, size_t size);
void memory_free_aligned(void *block);

#endif
