/* Reading the neighbours of items or users, and the weights between items. See blobs.c for the bytes. */
#ifndef RECOMMEND_MODEL_NEIGHBOR_ROWS_H
#define RECOMMEND_MODEL_NEIGHBOR_ROWS_H

#include "items.h"
#include "reader.h"

/* The lists of rows first … first + count - 1, whose neighbours are below `rows`. To be freed in either case.
 * SQLITE_CORRUPT_VTAB for damage. */
int neighbors_read(Reader *reader, size_t first, size_t count, size_t rows, NeighborLists *lists, Error *error);

/* ModelKind.load_items: the neighbours of items, or the weights between them, into items->links and what it points to.
 */
int item_neighbors_load(Reader *reader, ModelItems *items, Error *error);
int item_weights_load(Reader *reader, ModelItems *items, Error *error);

/* Points items->links to the neighbours or weights that there are. */
void items_link(ModelItems *items);

#endif
