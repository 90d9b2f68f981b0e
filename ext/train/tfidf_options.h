/* The options of tfidf_train, which say how a text becomes a vector: read when the model is trained, and again from
 * the model when a text is compared with it. */
#ifndef RECOMMEND_TRAIN_TFIDF_OPTIONS_H
#define RECOMMEND_TRAIN_TFIDF_OPTIONS_H

#include "../data/documents.h"
#include "../learn/tfidf.h"
#include "training.h"

typedef struct ContentOptions {
  TrainOptions common;
  /* the source */
  char *id, *embedding;
  OptionTexts text;
  int same_id;
  /* terms */
  int lowercase, min_token_length;
  OptionIntegers ngram_range;
  OptionWords stop_words;
  char *tokenize;
  /* weights */
  int weighting, sublinear_tf, smooth_idf, norm;
  double min_df, max_df;
  int max_features;
  /* users */
  char *ratings;
  int profile;
  /* factors made of the words */
  int lsa, word2vec; /* their rank; 0: none */
  int epochs, window, negatives;
  double learning_rate, subsample;
} ContentOptions;

enum { CONTENT_OPTIONS = 20 };
extern const Option content_options[]; /* so many */
extern const Algorithm *const content_algorithms[];

#define CONTENT_WEIGHTINGS "tfidf|count|binary"
#define CONTENT_NORMS "l2|l1|none"
#define CONTENT_PROFILES "mean|weighted"

void content_free_options(TrainOptions *options); /* all but the common ones */

/* What the options say of terms and weights. The rules borrow from the options and from stop_words, which is filled
 * here and to be freed. SQLITE_ERROR where an option is of no use with another. */
int content_rules(const ContentOptions *options, const char *caller, TermRules *rules, Dictionary *stop_words,
                  Error *error);
TfidfOptions content_weights(const ContentOptions *options);

#endif
