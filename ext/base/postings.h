#ifndef RECOMMEND_BASE_POSTINGS_H
#define RECOMMEND_BASE_POSTINGS_H
#include "score.h"
#include "sparse.h"
typedef struct Postings { SparseMatrix vectors; } Postings;
int postings_make(Postings *postings, SparseMatrix *vectors, int threads, const Cancel *cancel);
void postings_free(Postings *postings);
typedef struct PostingsQuery { const uint32_t *index; const float *weight; size_t count; int of_items; } PostingsQuery;
typedef struct PostingsVector { float *weight; uint32_t *term; size_t count; double norm; } PostingsVector;
int postings_expand(const Postings *, const PostingsQuery *, PostingsVector *);
void postings_vector_free(PostingsVector *);
float postings_score(const Postings *, size_t item, const PostingsVector *);
int postings_scores(const Postings *, const PostingsVector *, float *scores);
int postings_top_k(const Postings *, const PostingsQuery *queries, size_t count, const Excluded *excluded, size_t k, Scored *best, size_t *found, int threads, const Cancel *cancel);
#endif
