/* Work cut into fixed blocks and shared among threads that live only as long as the call.
 *
 * The cut into blocks must not depend on the number of threads, and a result may depend on the block but not on the
 * worker: then any number of threads gives the same bytes. Fork-safe: no thread outlives the call. */
#ifndef RECOMMEND_BASE_PARALLEL_H
#define RECOMMEND_BASE_PARALLEL_H

#include <stddef.h>

#include "cancel.h"

/* Does block `block`; `worker` is in 0 … threads-1 and picks scratch space. Returns a code (code.h); another than
 * CODE_OK stops the whole loop. Must not touch the database: it runs on any thread. A block should take at most a
 * few milliseconds, since the wish to cancel is looked at between blocks. */
typedef int (*ParallelBody)(void *context, size_t block, int worker);

/* Runs body for every block in 0 … blocks-1 on up to `threads` threads, the caller's being one. Blocks are begun in
 * ascending order, and one that has been begun is done even where the loop is to stop: so a block may wait for one of a
 * lower number. They end in no order.
 * Where a thread can't be had the others do its share. Returns CODE_OK, the code a body returned, or the code of
 * the cancellation. */
int parallel_for(int threads, size_t blocks, ParallelBody body, void *context, const Cancel *cancel);

/* The number of threads that the option value `requested` means: 0 is all cores this process may use. At most 256. */
int parallel_threads(int requested);

#endif
