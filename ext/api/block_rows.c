/* Rows that come in blocks: see block_rows.h. */
#include "block_rows.h"

#include <assert.h>

static int enter_block(TableCall *call, size_t first, Error *error) {
  BlockRows *rows = call->state;
  rows->first = first;
  rows->count = rows->member = rows->row = 0;
  return rows->enter(call, error);
}

/* To the next member that has a row, if the current one has none left. */
static int seek_member(TableCall *call, Error *error) {
  BlockRows *rows = call->state;
  int code = SQLITE_OK;
  while (code == SQLITE_OK && rows->count) {
    for (; rows->member < rows->count; rows->member++, rows->row = 0)
      if (rows->row < rows->length(call, rows->member)) return SQLITE_OK;
    code = enter_block(call, rows->first + rows->count, error);
  }
  return code;
}

int block_rows_begin(TableCall *call, Error *error) {
  int code = enter_block(call, 0, error);
  return code == SQLITE_OK ? seek_member(call, error) : code;
}

int block_rows_next(TableCall *call, Error *error) {
  BlockRows *rows = call->state;
  assert(rows->row < rows->length(call, rows->member)); /* not at the end */
  rows->row++;
  return seek_member(call, error);
}

int block_rows_at_end(const TableCall *call) { return ((const BlockRows *)call->state)->count == 0; }
