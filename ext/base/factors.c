/* A fitted factorization: see factors.h. */
#include "factors.h"

#include "code.h"
#include "memory.h"

int factors_alloc(Factors *factors, size_t users, size_t items, int rank, int biases) {
  size_t stride = (size_t)factors_stride(rank);
  *factors = (Factors){.users = users, .items = items, .rank = rank, .stride = (int)stride};
  factors->user = memory_alloc_aligned(users, stride * sizeof(float));
  factors->item = memory_alloc_aligned(items, stride * sizeof(float));
  if (biases) {
    factors->user_bias = memory_alloc_aligned(users, sizeof(float));
    factors->item_bias = memory_alloc_aligned(items, sizeof(float));
  }
  if (factors->user && factors->item && (!biases || (factors->user_bias && factors->item_bias))) return CODE_OK;
  factors_free(factors);
  return CODE_NOMEM;
}

void factors_free(Factors *factors) {
  memory_free_aligned(factors->user);
  memory_free_aligned(factors->item);
  memory_free_aligned(factors->user_bias);
  memory_free_aligned(factors->item_bias);
  *factors = (Factors){0};
}

float factors_predict(const Factors *factors, size_t user, size_t item) {
  const float *p = factors->user + user * (size_t)factors->stride;
  const float *q = factors->item + item * (size_t)factors->stride;
  float sum = 0;
  for (int lane = 0; lane < factors->rank; lane++) sum += p[lane] * q[lane];
  if (factors->user_bias) sum += factors->user_bias[user] + factors->item_bias[item];
  return sum + (float)factors->mean;
}
