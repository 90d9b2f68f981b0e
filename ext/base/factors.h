/* A fitted factorization: what a learner hands over and a model keeps.
 *
 *     ŷ(u, i) = mean + user_bias[u] + item_bias[i] + user[u] · item[i]
 */
#ifndef RECOMMEND_BASE_FACTORS_H
#define RECOMMEND_BASE_FACTORS_H

#include <stddef.h>

typedef struct Factors {
  size_t users, items;
  int rank;
  int stride;       /* floats from one row to the next: rank rounded up to a multiple of 16, the lanes beyond it zero */
  float *user;      /* users × stride, from memory_alloc_aligned */
  float *item;      /* items × stride */
  float *user_bias; /* users (memory_alloc_aligned); both NULL where the model has no biases */
  float *item_bias; /* items */
  double mean;      /* μ, or what a missing cell counts as; 0 where there is none */
} Factors;

static inline int factors_stride(int rank) { return (rank + 15) / 16 * 16; }

/* Allocates everything, cleared. CODE_OK or CODE_NOMEM (nothing is kept). */
int factors_alloc(Factors *factors, size_t users, size_t items, int rank, int biases);
void factors_free(Factors *factors); /* a cleared struct is fine; leaves it cleared */

/* ŷ of one cell. */
float factors_predict(const Factors *factors, size_t user, size_t item);

#endif
