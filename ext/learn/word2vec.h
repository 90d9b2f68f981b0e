/* Word vectors by skip-gram with negative sampling. The method and its sources are at the top of word2vec.c.
 *
 * For every word w and every word c near it, with n₁ … n_K drawn from the noise, it lowers
 *     −log σ(v_c · u_w) − Σ_k log σ(−v_c · u_{n_k})
 * so that words which stand in like company get vectors v that point the same way. A document is any sequence: the
 * words of a text, or the items of a user in the order of time. */
#ifndef RECOMMEND_LEARN_WORD2VEC_H
#define RECOMMEND_LEARN_WORD2VEC_H

#include <stddef.h>
#include <stdint.h>

#include "../base/cancel.h"
#include "../base/error.h"

typedef struct Word2vecOptions {
  int rank;             /* length of the vectors, ≥ 1 */
  int window;           /* words on either side, at most; the number is drawn from 1 … window. 1 … 1000 */
  int negatives;        /* K, 1 … 1000; drawn once for a word and all that is near it */
  int epochs;           /* over which the learning rate falls to 0, ≥ 1 */
  double learning_rate; /* at the start, > 0; 0.025 is usual */
  double subsample; /* words that make up more than this part of all are left out at times; 0: never. 1e-3 … 1e-5 */
  uint64_t seed;
  int threads; /* already resolved: ≥ 1 */
} Word2vecOptions;

typedef struct Word2vec Word2vec;

/* Starts a training. Document d is words[start[d]] … words[start[d + 1] - 1], each below `terms`, which is below 2^32;
 * both arrays must outlive the training. Memory: 2 terms × stride floats, and a batch's gradients, 16 MB or so. */
int word2vec_create(Word2vec **word2vec, const uint32_t *words, const size_t *start, size_t documents, size_t terms,
                    const Word2vecOptions *options, Error *error);

/* One pass over all words. *loss is the mean of the above, over all pairs as they came, 0 where there are none.
 * CODE_ERROR where vectors are no longer finite. After an error the training can only be destroyed. */
int word2vec_epoch(Word2vec *word2vec, double *loss, const Cancel *cancel, Error *error);

/* v: terms × factors_stride(rank), aligned to 64 bytes, the lanes beyond the rank zero, and all of a term that never
 * occurs. Owned by the training; zero before the first epoch. */
const float *word2vec_vectors(const Word2vec *word2vec);

void word2vec_destroy(Word2vec *word2vec); /* NULL is fine */

#endif
