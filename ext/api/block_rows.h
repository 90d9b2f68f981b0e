/* Table functions whose rows come in blocks: many users or items, the members of a block, each with a list of rows of
 * its own. A block is read and computed when its first row is asked for, so that memory does not grow with the number
 * of members.
 *
 * The function's state begins with a BlockRows, its `start` ends with block_rows_begin, and these are its rewind, next
 * and at_end: BLOCK_ROWS_FUNCTION. */
#ifndef RECOMMEND_API_BLOCK_ROWS_H
#define RECOMMEND_API_BLOCK_ROWS_H

#include "table_function.h"

typedef struct BlockRows {
  size_t first, count; /* the block has the members first … first + count - 1; count 0: it is behind the last */
  size_t member, row;  /* the current row is row number `row` of the block's member number `member` */
  /* Reads the members from `first` on, and says how many: sets `count`, which is 0. */
  int (*enter)(TableCall *call, Error *error);
  size_t (*length)(const TableCall *call, size_t member); /* how many rows a member of the block has */
} BlockRows;

/* To the first row of the first block. `enter` and `length` are set. */
int block_rows_begin(TableCall *call, Error *error);

int block_rows_next(TableCall *call, Error *error);
int block_rows_at_end(const TableCall *call);

#define BLOCK_ROWS_FUNCTION .rewind = block_rows_begin, .next = block_rows_next, .at_end = block_rows_at_end

#endif
