/* Items described by words: sparse vectors of length 1, compared by cosine, and the k best of them for a query.
 *
 *     score(query, i) = Σ_t query[t] vector_i[t] / ‖query‖        (0 where either is empty)
 *
 * The sum is taken in double, over the terms in ascending order; the product of two floats is exact in double, so no
 * instruction set rounds it differently: the score of one cell has the same bytes whichever way it is asked for.
 *
 * The k best are found through inverted lists (for each term the items that have it), without looking at the lists of
 * frequent words where those can't matter: see postings_top_k.c. The answer is the one that sorting all scores gives.
 */
#ifndef RECOMMEND_SCORE_POSTINGS_H
#define RECOMMEND_SCORE_POSTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/cancel.h"
#include "../base/sparse.h"
#include "scorer.h"

#define POSTINGS_BLOCK 65536 /* items a block at most: their numbers within it have 16 bits */
#define POSTINGS_SPARE 8     /* a term in fewer items than this times the blocks is rare */
#define POSTINGS_RARE UINT32_MAX
#define POSTINGS_COLUMN (UINT32_C(1) << 31)
#define POSTINGS_COLUMNS 1024 /* at most */
#define POSTINGS_COLUMN_SCALE 255
#define POSTINGS_LEVELS 12 /* at most */

#define POSTINGS_ITEM_SCALE 65000 /* weights of items as whole numbers of 16 bits, rounded up; 1 may have a rest */

typedef struct Postings {
  SparseMatrix vectors; /* items × terms, both below 2^31; rows of length 1 or empty; weights > 0; owned */

  size_t block; /* items a block, a multiple of 64 */
  size_t blocks;

  /* The lists, that of term t at start[t] … start[t + 1] of `posting`, items ascending. A rare term's entries are
   * items. Another's are the item's number within its block and, in the upper 16 bits, its weight; those of block b
   * are at bound[row[t] * (blocks + 1) + b], counted from the term's start, and end where the next block's begin. */
  size_t *start;
  uint32_t *posting;
  uint32_t *bound;
  uint32_t *row; /* one a term: of bound, POSTINGS_RARE, or POSTINGS_COLUMN + the number of the column */

  /* The most frequent terms have columns in place of lists, one weight for each item: block b of column c starts at
   * column[(b * columns + c) * block]. 255 stands for column_most[b * columns + c], and fractions are rounded up. */
  size_t columns;
  uint8_t *column;
  uint16_t *column_most;

  /* What bounds a part of the score. Terms have levels, 0 … levels, by how many items have them; rest[(g - 1) *
   * blocks * block + i] is the length of item i's vector over the terms of level g and above, in the same scale. */
  int levels;
  uint8_t *level; /* one a term */
  uint16_t *most; /* the largest weight of a term */
  uint16_t *rest;
} Postings;

/* Takes `vectors` over on success and clears the caller's. CODE_OK, CODE_NOMEM or what cancel says; after an error
 * nothing is kept and the caller's matrix is as it was. */
int postings_make(Postings *postings, SparseMatrix *vectors, int threads, const Cancel *cancel);

/* The same with at most `block` items a block (64 … POSTINGS_BLOCK): for tests and measurements. */
int postings_make_blocks(Postings *postings, SparseMatrix *vectors, size_t block, int threads, const Cancel *cancel);

void postings_free(Postings *postings); /* a cleared one is fine; leaves it cleared */

/* A query: terms with their weights or, with of_items, a weighted sum of item vectors (what a user likes). Weights may
 * have any sign. A sum of items is taken in double, in the order of the items, and rounded to float once a term. */
typedef struct PostingsQuery {
  const uint32_t *index; /* terms or items, ascending and distinct */
  const float *weight;   /* NULL: all 1 */
  size_t count;
  int of_items;
} PostingsQuery;

/* A query spread out over the terms, to be scored against single items again and again. */
typedef struct PostingsVector {
  float *weight;  /* one a term */
  uint32_t *term; /* those whose weight is not 0, ascending; room for all */
  size_t count;
  double norm;   /* the length; 0 where there is nothing, or where it is not finite: then the vector is cleared */
  double *sum;   /* for sums of items; NULL: not needed */
  uint64_t *met; /* one bit a term, the same */
} PostingsVector;

/* An empty vector, one that queries of_items can be put into where `of_items` is not 0. CODE_OK or CODE_NOMEM. */
int postings_vector_alloc(const Postings *postings, int of_items, PostingsVector *vector);
void postings_vector_set(const Postings *postings, const PostingsQuery *query, PostingsVector *vector);
void postings_vector_free(PostingsVector *vector); /* a cleared one is fine; leaves it cleared */

/* The two first in one. */
int postings_expand(const Postings *postings, const PostingsQuery *query, PostingsVector *vector);

float postings_score(const Postings *postings, size_t item, const PostingsVector *vector);

/* The scores of all items. CODE_OK or what cancel says. */
int postings_scores(const Postings *postings, const PostingsVector *vector, float *scores, int threads,
                    const Cancel *cancel);

/* For each of `count` queries the k best items that are not excluded, best first, into best[q * k …], and their number,
 * min(k, items left), into found[q]; items that share nothing with the query score 0 and are taken where there is
 * nothing better. `excluded` is NULL or one entry a query. CODE_OK, CODE_NOMEM or what cancel says; after an error
 * best and found hold nothing of use. */
int postings_top_k(const Postings *postings, const PostingsQuery *queries, size_t count, const Excluded *excluded,
                   size_t k, Scored *best, size_t *found, int threads, const Cancel *cancel);

/* All this as a Scorer, whose queries are PostingsQuery. The postings are borrowed. */
Scorer postings_scorer(const Postings *postings);

#endif
