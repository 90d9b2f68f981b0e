/* The words of a model of content in memory: loaded when a text is to be compared with the model. */
#ifndef RECOMMEND_MODEL_WORDS_H
#define RECOMMEND_MODEL_WORDS_H

#include "model.h"

typedef struct ModelWords {
  int references;
  int64_t stamp;    /* the items' */
  Dictionary terms; /* shape.terms of them, in order; none where the model was made of vectors */
  double *idf;
  float *vector; /* terms × stride of the ranking head, aligned; NULL for a sparse model */
  char *options; /* as the training was given them, a JSON object; owned */
  /* What the user of the words makes of the options, kept with them. */
  void *derived;
  void (*derived_free)(void *derived);
} ModelWords;

/* The words of a model that has begun; to be released. SQLITE_CORRUPT_VTAB for damage. */
int model_words(Model *model, const ModelItems *items, ModelWords **words, Error *error);
void words_release(ModelWords *words); /* NULL is fine */

/* For model/: reads them; and looks whether they are sound, where there are any (ModelKind.check). */
int words_load(Reader *reader, const ModelItems *items, ModelWords **words, Error *error);
int words_check(Model *model, const ModelItems *items, Error *error);

#endif
