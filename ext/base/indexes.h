/* Lists of indexes, ascending: what a row of a sparse matrix and a history are. */
#ifndef RECOMMEND_BASE_INDEXES_H
#define RECOMMEND_BASE_INDEXES_H

#include <stddef.h>
#include <stdint.h>

/* Where `wanted` stands among n distinct ascending indexes; n where it does not. */
size_t indexes_place(const uint32_t *index, size_t n, uint32_t wanted);

void indexes_sort(uint32_t *index, size_t n);

#endif
