/* Blocks of a grid that are worked on in parallel, each one after its predecessor in the same row and in the same
 * column and before their successors: of the stripes of users and items, each has a turn, the number of the round that
 * may have it. parallel_for starts blocks in order of their number, and rounds come one after the other, so whoever is
 * waited for has been started. Gemulla, Nijkamp, Haas & Sismanis, "Large-scale matrix factorization with distributed
 * stochastic gradient descent", KDD 2011. */
#ifndef RECOMMEND_LEARN_TURNS_H
#define RECOMMEND_LEARN_TURNS_H

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

/* Waits until a stripe's turn is this round's. */
static inline void turn_await(atomic_size_t *turn, size_t round) {
  while (atomic_load_explicit(turn, memory_order_acquire) != round) sched_yield();
}

/* Leaves the stripe to the next round. */
static inline void turn_pass(atomic_size_t *turn, size_t round) {
  atomic_store_explicit(turn, round + 1, memory_order_release);
}

#endif
