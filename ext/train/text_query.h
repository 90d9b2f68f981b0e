/* A text, or a vector, as a query to a model of content. */
#ifndef RECOMMEND_TRAIN_TEXT_QUERY_H
#define RECOMMEND_TRAIN_TEXT_QUERY_H

#include "../model/model.h"
#include "../model/words.h"
#include "tfidf_options.h"

/* The terms of a text that the model knows, ascending, with their weights under the model's norm. */
typedef struct TextVector {
  size_t count;
  uint32_t *term; /* owned, like the weights */
  double *weight;
} TextVector;

/* SQLITE_ERROR where the model was not made of words. `model` must have begun, `words` be its words. */
int text_vector(Connection *connection, Model *model, const ModelItems *items, ModelWords *words, const char *caller,
                sqlite3_value *text, TextVector *vector, Error *error);
/* Records what reading a text failed with. */
int text_error(Error *error, int code, const char *caller);

void text_vector_free(TextVector *vector); /* cleared is fine; leaves it cleared */

/* A text (a vector, where the model was made of those) as what items are scored with: for a sparse model the weights of
 * terms as a query, else a dense vector of length 1. */
typedef struct ContentQuery {
  int64_t stamp; /* of the items that it is for */
  uint32_t *term;
  float *weight;
  size_t count;
  float *vector; /* stride floats, aligned */
  double norm;   /* 0: nothing that the model knows */
} ContentQuery;

/* NULL and '' are queries of norm 0. */
int content_query(Connection *connection, Model *model, const ModelItems *items, const char *caller,
                  sqlite3_value *value, ContentQuery *query, Error *error);
void content_query_free(ContentQuery *query); /* cleared is fine; leaves it cleared */

/* The cosine of two queries of one model. */
double content_cosine(const ModelItems *items, const ContentQuery *a, const ContentQuery *b);

#endif
