/* The options of tfidf_train: see tfidf_options.h. Their names are scikit-learn's where it has them. */
#include "tfidf_options.h"

#include <math.h>
#include <string.h>

const Option content_options[] = {
    TRAIN_OPTIONS(ContentOptions),
    {.name = "id", .type = OPTION_TEXT, .offset = offsetof(ContentOptions, id)},
    {.name = "text", .type = OPTION_TEXTS, .offset = offsetof(ContentOptions, text)},
    {.name = "embedding", .type = OPTION_TEXT, .offset = offsetof(ContentOptions, embedding)},
    {.name = "same_id",
     .type = OPTION_CHOICE,
     .offset = offsetof(ContentOptions, same_id),
     .choices = "last|join|error"},
    {.name = "lowercase", .type = OPTION_BOOLEAN, .offset = offsetof(ContentOptions, lowercase)},
    {.name = "min_token_length",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, min_token_length),
     .minimum = 1,
     .maximum = 1000},
    {.name = "ngram_range",
     .type = OPTION_INTEGERS,
     .offset = offsetof(ContentOptions, ngram_range),
     .minimum = 1,
     .maximum = 16},
    {.name = "stop_words", .type = OPTION_WORDS, .offset = offsetof(ContentOptions, stop_words), .choices = "english"},
    {.name = "tokenize", .type = OPTION_TEXT, .offset = offsetof(ContentOptions, tokenize)},
    {.name = "weighting",
     .type = OPTION_CHOICE,
     .offset = offsetof(ContentOptions, weighting),
     .choices = CONTENT_WEIGHTINGS},
    {.name = "sublinear_tf", .type = OPTION_BOOLEAN, .offset = offsetof(ContentOptions, sublinear_tf)},
    {.name = "smooth_idf", .type = OPTION_BOOLEAN, .offset = offsetof(ContentOptions, smooth_idf)},
    {.name = "norm", .type = OPTION_CHOICE, .offset = offsetof(ContentOptions, norm), .choices = CONTENT_NORMS},
    {.name = "min_df", .type = OPTION_NUMBER, .offset = offsetof(ContentOptions, min_df), .maximum = 1e9},
    {.name = "max_df", .type = OPTION_NUMBER, .offset = offsetof(ContentOptions, max_df), .maximum = 1e9},
    {.name = "max_features",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, max_features),
     .minimum = 1,
     .maximum = 2147483647},
    {.name = "ratings", .type = OPTION_TEXT, .offset = offsetof(ContentOptions, ratings)},
    {.name = "profile",
     .type = OPTION_CHOICE,
     .offset = offsetof(ContentOptions, profile),
     .choices = CONTENT_PROFILES},
    {.name = "lsa", .type = OPTION_INTEGER, .offset = offsetof(ContentOptions, lsa), .minimum = 1, .maximum = 1024},
    {.name = "word2vec",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, word2vec),
     .minimum = 1,
     .maximum = 1024},
    {.name = "epochs",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, epochs),
     .minimum = 1,
     .maximum = 1e5},
    {.name = "window",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, window),
     .minimum = 1,
     .maximum = 100},
    {.name = "negatives",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, negatives),
     .minimum = 1,
     .maximum = 100},
    {.name = "learning_rate",
     .type = OPTION_NUMBER,
     .offset = offsetof(ContentOptions, learning_rate),
     .minimum = 1e-6,
     .maximum = 1},
    {.name = "subsample", .type = OPTION_NUMBER, .offset = offsetof(ContentOptions, subsample), .maximum = 1},
};
_Static_assert(sizeof content_options / sizeof *content_options == CONTENT_OPTIONS, "as the header says");

void content_set_defaults(TrainOptions *common) {
  ContentOptions *options = (ContentOptions *)common;
  options->lowercase = 1;
  options->min_token_length = 2;
  options->ngram_range = (OptionIntegers){2, {1, 1}};
  options->stop_words.choice = -1;
  options->smooth_idf = 1;
  options->norm = TFIDF_NORM_DEFAULT;
  options->min_df = 1;
  options->max_df = 1;
  options->window = 5;
  options->negatives = 5;
  options->learning_rate = 0.025;
  options->subsample = 1e-3;
}

void content_free_options(TrainOptions *common) {
  ContentOptions *options = (ContentOptions *)common;
  sqlite3_free(options->id);
  sqlite3_free(options->embedding);
  option_texts_free(&options->text);
  option_texts_free(&options->stop_words.words);
  sqlite3_free(options->tokenize);
  sqlite3_free(options->ratings);
}

static int fill_stop_words(const OptionWords *given, Dictionary *stop_words) {
  int code = given->choice == 0 ? stop_words_english(stop_words) : SQLITE_OK;
  for (int i = 0; i < given->words.count && code == SQLITE_OK; i++) {
    const char *word = given->words.text[i];
    const Id id = {.kind = ID_TEXT, .size = (uint32_t)strlen(word), .as.bytes = word};
    uint32_t index;
    code = dictionary_add(stop_words, &id, &index);
  }
  return code;
}

int content_rules(const ContentOptions *options, const char *caller, TermRules *rules, Dictionary *stop_words,
                  Error *error) {
  const OptionIntegers *range = &options->ngram_range;
  dictionary_init(stop_words);
  if (range->count != 2 || range->value[0] > range->value[1])
    return error_set(error, SQLITE_ERROR,
                     "%s: option \"ngram_range\" must be two integers, the shortest run of words and the longest, such "
                     "as [1, 2]",
                     caller);
  *rules = (TermRules){
      .tokenize = options->tokenize,
      .keep_case = !options->lowercase,
      .min_token_length = options->min_token_length,
      .ngram_minimum = range->value[0],
      .ngram_maximum = range->value[1],
      .stop_words = stop_words,
  };
  return fill_stop_words(&options->stop_words, stop_words) == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
}

/* Counts and zeros-and-ones are left as they are where nobody says otherwise, as in scikit-learn. */
TfidfOptions content_weights(const ContentOptions *options) {
  TfidfNorm otherwise = options->weighting == TFIDF_TFIDF ? TFIDF_L2 : TFIDF_NONE;
  return (TfidfOptions){
      .weighting = (TfidfWeighting)options->weighting,
      .sublinear_tf = options->sublinear_tf,
      .smooth_idf = options->smooth_idf,
      .norm = options->norm == TFIDF_NORM_DEFAULT ? otherwise : (TfidfNorm)options->norm,
      .min_df = options->min_df,
      .max_df = options->max_df,
      .max_features = options->max_features,
  };
}
