/* The trainer tfidf: models of what items are. */
#ifndef RECOMMEND_TRAIN_TFIDF_TRAIN_H
#define RECOMMEND_TRAIN_TFIDF_TRAIN_H

#include "tfidf_options.h"
#include "training.h"

/* What the vectors of items are made of. */
typedef enum ContentKind {
  CONTENT_TERMS,     /* sparse vectors of weights of terms */
  CONTENT_EMBEDDING, /* given */
  CONTENT_LSA,       /* of the terms, by truncated SVD */
  CONTENT_WORD2VEC   /* of the terms, by skip-gram with negative sampling */
} ContentKind;

typedef struct TfidfState {
  ContentKind kind;
  Documents documents;
  TermRules rules;
  Dictionary stop_words;
  int64_t unknown_items;   /* ratings of items that the source does not have */
  struct TermVectors *fit; /* LSA, WORD2VEC: see term_vectors.c */
  int epoch;
} TfidfState;

/* term_vectors.c: vectors of items made of their words. begin takes the weights, one row an item; step makes an epoch,
 * and with the last one the items' vectors, items × stride, and those of terms, into training->trained. */
int term_vectors_begin(Training *training, TfidfState *state, Error *error);
int term_vectors_step(Training *training, TfidfState *state, float **item_vectors, FitRow *row, int *done,
                      Error *error);
void term_vectors_end(TfidfState *state);

#endif
