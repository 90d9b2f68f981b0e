/* The options of tfidf_train: see tfidf_options.h. Their names are scikit-learn's where it has them. */
#include "tfidf_options.h"

#include <string.h>

const Option content_options[] = {
    {.name = "id",
     .type = OPTION_TEXT,
     .offset = offsetof(ContentOptions, id),
     .rule = "the first column",
     .meaning = "the source's column of ids"},
    {.name = "text",
     .type = OPTION_TEXTS,
     .offset = offsetof(ContentOptions, text),
     .rule = "all other columns",
     .meaning = "the source's columns of text"},
    {.name = "embedding",
     .type = OPTION_TEXT,
     .offset = offsetof(ContentOptions, embedding),
     .meaning = "a column of vectors in place of the text: float32 BLOBs or JSON arrays"},
    {.name = "same_id",
     .type = OPTION_CHOICE,
     .offset = offsetof(ContentOptions, same_id),
     .choices = "last|join|error",
     .otherwise = "\"last\"",
     .meaning = "rows that share an id: the last counts, or their texts are joined, or that is an error"},
    {.name = "lowercase",
     .type = OPTION_BOOLEAN,
     .offset = offsetof(ContentOptions, lowercase),
     .otherwise = "true",
     .meaning = "\"The\" and \"the\" are one word"},
    {.name = "min_token_length",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, min_token_length),
     .minimum = 1,
     .maximum = 1000,
     .otherwise = "2",
     .meaning = "characters; shorter words are left out"},
    {.name = "ngram_range",
     .type = OPTION_INTEGERS,
     .offset = offsetof(ContentOptions, ngram_range),
     .minimum = 1,
     .maximum = 16,
     .otherwise = "[1, 1]",
     .meaning = "the shortest and the longest run of words that is a term"},
    {.name = "stop_words",
     .type = OPTION_WORDS,
     .offset = offsetof(ContentOptions, stop_words),
     .choices = "english",
     .otherwise = "null",
     .meaning = "words that are left out: the 318 of the Glasgow list, or those of an array"},
    {.name = "tokenize",
     .type = OPTION_TEXT,
     .offset = offsetof(ContentOptions, tokenize),
     .rule = "words as scikit-learn finds them",
     .meaning = "a tokenizer of FTS5 with its options: \"porter\", \"trigram\" …"},
    {.name = "weighting",
     .type = OPTION_CHOICE,
     .offset = offsetof(ContentOptions, weighting),
     .choices = CONTENT_WEIGHTINGS,
     .otherwise = "\"tfidf\"",
     .meaning = "of words in an item: by how few items have them, or their counts, or 1"},
    {.name = "sublinear_tf",
     .type = OPTION_BOOLEAN,
     .offset = offsetof(ContentOptions, sublinear_tf),
     .otherwise = "false",
     .meaning = "1 + ln tf in place of tf"},
    {.name = "smooth_idf",
     .type = OPTION_BOOLEAN,
     .offset = offsetof(ContentOptions, smooth_idf),
     .otherwise = "true",
     .meaning = "idf = ln((n + 1) / (df + 1)) + 1; false: ln(n / df) + 1"},
    {.name = "norm",
     .type = OPTION_CHOICE,
     .offset = offsetof(ContentOptions, norm),
     .choices = CONTENT_NORMS,
     .rule = "\"l2\" of tf-idf, else \"none\"",
     .meaning = "how long an item's vector is when it enters a user's mean"},
    {.name = "min_df",
     .type = OPTION_NUMBER,
     .offset = offsetof(ContentOptions, min_df),
     .maximum = 1e9,
     .otherwise = "1",
     .meaning = "in how many items a word must be: below 1 a share of them, else a number"},
    {.name = "max_df",
     .type = OPTION_NUMBER,
     .offset = offsetof(ContentOptions, max_df),
     .maximum = 1e9,
     .otherwise = "1",
     .meaning = "in how many items a word may be; 1 is all of them"},
    {.name = "max_features",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, max_features),
     .minimum = 1,
     .maximum = 2147483647,
     .meaning = "only so many words are kept, the most frequent"},
    {.name = "ratings",
     .type = OPTION_TEXT,
     .offset = offsetof(ContentOptions, ratings),
     .meaning = "a table, view or SELECT of user, item and rating, by which the model has users"},
    {.name = "profile",
     .type = OPTION_CHOICE,
     .offset = offsetof(ContentOptions, profile),
     .choices = CONTENT_PROFILES,
     .otherwise = "\"mean\"",
     .meaning = "what a user's items weigh: 1, or the rating less the user's mean"},
    {.name = "lsa",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, lsa),
     .minimum = 1,
     .maximum = 1024,
     .meaning = "so many factors by latent semantic analysis, in place of the words"},
    {.name = "word2vec",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, word2vec),
     .minimum = 1,
     .maximum = 1024,
     .meaning = "so many factors by skip-gram with negative sampling, in place of the words"},
};
_Static_assert(sizeof content_options / sizeof *content_options == CONTENT_OPTIONS, "as the header says");

static const Option lsa_options[] = {
    {.name = "epochs",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, epochs),
     .minimum = 1,
     .maximum = 1e5,
     .otherwise = "30",
     .meaning = "of the truncated SVD, at most"},
};

static const Option word2vec_options[] = {
    {.name = "epochs",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, epochs),
     .minimum = 1,
     .maximum = 1e5,
     .otherwise = "5",
     .meaning = "over the texts"},
    {.name = "window",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, window),
     .minimum = 1,
     .maximum = 100,
     .otherwise = "5",
     .meaning = "words on each side that are a word's context"},
    {.name = "negatives",
     .type = OPTION_INTEGER,
     .offset = offsetof(ContentOptions, negatives),
     .minimum = 1,
     .maximum = 100,
     .otherwise = "5",
     .meaning = "words drawn for each pair"},
    {.name = "learning_rate",
     .type = OPTION_NUMBER,
     .offset = offsetof(ContentOptions, learning_rate),
     .minimum = 1e-6,
     .maximum = 1,
     .otherwise = "0.025",
     .meaning = "of the first step; it falls to 0"},
    {.name = "subsample",
     .type = OPTION_NUMBER,
     .offset = offsetof(ContentOptions, subsample),
     .maximum = 1,
     .otherwise = "0.001",
     .meaning = "words above this share of the text are skipped at random"},
};

#define TEXTS .learns_from = "texts"
#define OPTIONS(table) .options = table, .option_count = sizeof table / sizeof *table
static const Algorithm by_tfidf = {
    .name = "tfidf", TEXTS, .kind = &kind_words, .meaning = "words weigh by how few items have them"};
static const Algorithm by_count = {
    .name = "count", TEXTS, .kind = &kind_words, .meaning = "words weigh by how often an item has them"};
static const Algorithm by_word = {.name = "binary", TEXTS, .kind = &kind_words, .meaning = "words weigh 1"};
static const Algorithm by_embedding = {
    .name = "embedding", TEXTS, .kind = &kind_content, .meaning = "vectors that are given"};
static const Algorithm by_lsa = {.name = "lsa",
                                 TEXTS,
                                 .kind = &kind_content,
                                 .meaning = "factors of the words by truncated SVD",
                                 OPTIONS(lsa_options)};
static const Algorithm by_word2vec = {.name = "word2vec",
                                      TEXTS,
                                      .kind = &kind_content,
                                      .meaning = "factors of the words by skip-gram",
                                      OPTIONS(word2vec_options)};
/* In the order of CONTENT_WEIGHTINGS, and then of ContentKind. */
const Algorithm *const content_algorithms[] = {&by_tfidf, &by_count,    &by_word, &by_embedding,
                                               &by_lsa,   &by_word2vec, NULL};

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

/* Counts, and zeros and ones, are not normalized by default, as in scikit-learn. */
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
