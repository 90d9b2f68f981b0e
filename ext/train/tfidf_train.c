/* The trainer tfidf: what items are, by their words or by vectors that are given, and with "ratings" what users like.
 *
 * Items are vectors of length 1: sparse ones of tf-idf weights (learn/tfidf.c), or dense ones (embeddings that are
 * given, or made of the words: term_vectors.c). A user is the mean of the vectors of their items, each weighted by 1 or
 * by its rating less the user's mean rating (Rocchio's centroid: Manning, Raghavan & Schütze, "Introduction to
 * Information Retrieval", ch. 14; Lops, de Gemmis & Semeraro, "Content-based recommender systems", 2011). The score is
 * their cosine. */
#include "tfidf_train.h"

#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../learn/tfidf.h"
#include "../model/trained.h"
#include "ranking_holdout.h"

/* ---- checking ---------------------------------------------------------------------------------------------------- */

/* In how many items a word is: up to 1 a share of them, above it a number of items, of which there are no halves. */
static int check_frequency(const char *name, double frequency, Error *error) {
  if (frequency <= 1 || frequency == floor(frequency)) return SQLITE_OK;
  return error_set(error, SQLITE_ERROR,
                   "tfidf_train: option \"%s\" must be a share of the items, up to 1.0, or a whole number of them, not "
                   "%!.15g",
                   name, frequency);
}

/* Which of content_algorithms. */
static int algorithm_of(const ContentOptions *options, ContentKind kind) {
  return kind == CONTENT_TERMS ? options->weighting : TFIDF_BINARY + (int)kind;
}

static int tfidf_check(const Training *training, Error *error) {
  const ContentOptions *options = (const ContentOptions *)training->options;
  TfidfState *state = training->state;
  const char *wrong = NULL;
  state->kind = options->embedding  ? CONTENT_EMBEDDING
                : options->lsa      ? CONTENT_LSA
                : options->word2vec ? CONTENT_WORD2VEC
                                    : CONTENT_TERMS;
  if (options->lsa && options->word2vec)
    wrong = "options \"lsa\" and \"word2vec\" exclude each other: train two models";
  else if (options->embedding && (options->lsa || options->word2vec || options->text.count))
    wrong = "option \"embedding\" stands for the text: leave out \"text\", \"lsa\" and \"word2vec\"";
  else if (options->word2vec && options->ngram_range.value[options->ngram_range.count - 1] > 1)
    wrong = "option \"word2vec\" is of single words: leave out \"ngram_range\"";
  else if (options->ratings && !options->common.history)
    wrong = "users are what they have rated: option \"history\" can't be false with \"ratings\"";
  else if (!options->ratings && options->common.test > 0)
    wrong = "option \"test\" holds out ratings: name their table with the option \"ratings\"";
  if (wrong) return error_set(error, SQLITE_ERROR, "tfidf_train: %s", wrong);
  const OptionUse uses[] = {
      {"epochs", state->kind == CONTENT_WORD2VEC || state->kind == CONTENT_LSA, "with \"word2vec\" or \"lsa\""},
      {"window|negatives|learning_rate|subsample", state->kind == CONTENT_WORD2VEC, "with \"word2vec\""},
      {"user|item|rating|timestamp|duplicates|profile|history", options->ratings != NULL, "with \"ratings\""},
      {"lowercase|min_token_length|ngram_range|stop_words|tokenize|weighting|sublinear_tf|smooth_idf|norm|"
       "min_df|max_df|max_features",
       state->kind != CONTENT_EMBEDDING, "of words, not with \"embedding\""},
      {"smooth_idf", options->weighting == TFIDF_TFIDF, "with \"weighting\": \"tfidf\""},
      {"sublinear_tf", options->weighting != TFIDF_BINARY,
       "where words are counted, not with \"weighting\": \"binary\""},
  };
  int code = training_check_uses(training, uses, sizeof uses / sizeof *uses, error);
  if (code == SQLITE_OK) code = training_set_defaults(training, algorithm_of(options, state->kind), error);
  if (code == SQLITE_OK) code = check_frequency("min_df", options->min_df, error);
  if (code == SQLITE_OK) code = check_frequency("max_df", options->max_df, error);
  if (code != SQLITE_OK) return code;
  return content_rules(options, "tfidf_train", &state->rules, &state->stop_words, error);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Keeps of a matrix of ratings, and of when they came, what is of known items, under their new indexes, in place.
 * Returns how many go. */
static size_t keep_known(SparseMatrix *cells, EntryTimes *times, const uint32_t *new_index, size_t columns) {
  size_t to = 0, from = 0, before = cells->start[cells->rows];
  for (size_t user = 0; user < cells->rows; user++) {
    for (; from < cells->start[user + 1]; from++) {
      uint32_t item = new_index[cells->index[from]];
      if (item == DICTIONARY_NONE) continue;
      cells->index[to] = item;
      if (cells->value) cells->value[to] = cells->value[from];
      entry_times_copy(times, from, times, to);
      to++;
    }
    cells->start[user + 1] = to;
  }
  cells->columns = columns;
  return before - to;
}

/* The ratings, of the items that there are. Both dictionaries are in order of id: rows stay ascending. */
static int match_items(Training *training, TfidfState *state, Error *error) {
  Interactions *data = &training->data;
  Dictionary *items = &state->documents.items;
  uint32_t *new_index = memory_alloc(data->items.count, sizeof *new_index);
  if (!new_index) return error_no_memory(error);
  for (size_t item = 0; item < data->items.count; item++) {
    Id id = dictionary_id(&data->items, item);
    new_index[item] = dictionary_find(items, &id);
  }
  state->unknown_items += (int64_t)keep_known(&data->by_user, &data->trained_times, new_index, items->count);
  if (data->held_out.start)
    state->unknown_items += (int64_t)keep_known(&data->held_out, &data->held_out_times, new_index, items->count);
  memory_free(new_index);
  return SQLITE_OK;
}

static int read_ratings(Training *training, TfidfState *state, const char *text, Error *error) {
  Source source = {0};
  sqlite3 *db = training->connection->db;
  int code = SQLITE_ERROR, stored = training_option_is_stored(training, "ratings");
  if (stored < 0) return error_no_memory(error);
  if (stored) {
    /* What a stored option names is where the model is: a table of that name elsewhere, in temp or main, is another. */
    Error none = {0};
    char *beside = sqlite3_mprintf("\"%w\".%s", training->schema, text);
    code = beside ? source_resolve(db, beside, "tfidf_train", &source, &none) : error_no_memory(error);
    sqlite3_free(beside);
    error_clear(&none);
    if (code != SQLITE_OK && code != SQLITE_ERROR) return error_from_code(error, code);
  }
  if (code != SQLITE_OK) code = source_resolve(db, text, "tfidf_train", &source, error);
  /* Nothing that is stored in the file is ever run as SQL. */
  if (code == SQLITE_OK && stored && source.is_query)
    code = error_set(error, SQLITE_ERROR,
                     "retrain: the option \"ratings\" is a SELECT, which is not run again: make it a view, and train "
                     "with the view");
  if (code == SQLITE_OK) code = training_read_ratings(training, &source, state->documents.affinity, error);
  if (code == SQLITE_OK) code = match_items(training, state, error);
  if (code == SQLITE_OK && training->data.by_user.start[training->data.by_user.rows] == 0)
    code = error_set(
        error, SQLITE_ERROR,
        "tfidf_train: none of the %lld ratings in \"%s\" is for an item of \"%s\": are their ids of the same type?",
        state->unknown_items, text, training->source.text);
  source_free(&source);
  return code;
}

static int read_content(Training *training, Error *error) {
  const ContentOptions *options = (const ContentOptions *)training->options;
  TfidfState *state = training->state;
  Interactions *data = &training->data;
  const DocumentOptions reading = {
      .caller = "tfidf_train",
      .id = options->id,
      .text = &options->text,
      .embedding = options->embedding,
      .same_id = (SameId)options->same_id,
      .rules = &state->rules,
      .keep_words = state->kind == CONTENT_WORD2VEC,
      .threads = training->threads,
  };
  int code = documents_read(training->connection->db, &training->source, &reading, &state->documents,
                            &training->interrupt.cancel, error);
  size_t items = state->documents.items.count;
  if (code == SQLITE_OK && items == 0)
    code = error_set(error, SQLITE_ERROR, "tfidf_train: \"%s\" has no items (%lld rows, of which %lld lack an id)",
                     training->source.text, state->documents.rows, state->documents.left_out);
  if (code == SQLITE_OK && options->embedding && state->documents.dimensions == 0)
    code = error_set(error, SQLITE_ERROR, "tfidf_train: the column \"%s\" has no vectors", options->embedding);
  if (code != SQLITE_OK) return code;
  if (options->ratings)
    code = read_ratings(training, state, options->ratings, error);
  else if (sparse_alloc(&data->by_user, 0, items, 0, 0) != SQLITE_OK)
    code = error_no_memory(error);
  dictionary_free(&data->items);
  data->items = state->documents.items;
  data->item_affinity = state->documents.affinity;
  dictionary_init(&state->documents.items);
  return code;
}

/* ---- terms ------------------------------------------------------------------------------------------------------- */

/* The dictionary less the terms without a new index. */
static int keep_terms(const Dictionary *terms, const uint32_t *new_index, Dictionary *kept) {
  int code = SQLITE_OK;
  for (size_t term = 0; term < terms->count && code == SQLITE_OK; term++) {
    uint32_t index;
    Id id = dictionary_id(terms, term);
    if (new_index[term] != UINT32_MAX) code = dictionary_add(kept, &id, &index);
  }
  return code;
}

static void keep_words(Documents *documents, const uint32_t *new_index) {
  size_t to = 0, from = 0;
  for (size_t document = 0; document < documents->documents; document++) {
    for (; from < documents->word_start[document + 1]; from++) {
      uint32_t term = new_index[documents->words[from]];
      if (term != UINT32_MAX) documents->words[to++] = term;
    }
    documents->word_start[document + 1] = to;
  }
}

/* Which terms count, and their idf: into the model. */
static int choose_terms(Training *training, TfidfState *state, const TfidfOptions *weights, Error *error) {
  TrainedModel *trained = &training->trained;
  Documents *documents = &state->documents;
  size_t terms = documents->terms.count, kept = 0;
  uint32_t *df = memory_alloc(terms, sizeof *df), *new_index = memory_alloc(terms, sizeof *new_index);
  trained->df = memory_alloc(terms, sizeof *trained->df);
  trained->idf = memory_alloc(terms, sizeof *trained->idf);
  int code = df && new_index && trained->df && trained->idf ? SQLITE_OK : SQLITE_NOMEM;
  if (code == SQLITE_OK) {
    tfidf_document_frequencies(&documents->counts, df);
    code = tfidf_select(&documents->counts, df, weights, new_index, &kept);
  }
  if (code == SQLITE_OK) {
    tfidf_keep_columns(&documents->counts, new_index, kept);
    if (documents->words) keep_words(documents, new_index);
    for (size_t term = 0; term < terms; term++) {
      if (new_index[term] == UINT32_MAX) continue;
      trained->df[new_index[term]] = df[term];
      trained->idf[new_index[term]] = tfidf_idf(weights, documents->counts.rows, (double)df[term]);
    }
    code = keep_terms(&documents->terms, new_index, &trained->terms);
    dictionary_free(&documents->terms);
  }
  memory_free(df);
  memory_free(new_index);
  if (code != SQLITE_OK) return error_no_memory(error);
  if (kept) return SQLITE_OK;
  return error_set(error, SQLITE_ERROR,
                   terms
                       ? "tfidf_train: none of the %lld terms is left: loosen \"min_df\", \"max_df\" or \"stop_words\""
                       : "tfidf_train: there are no words in the text (terms: %lld): see the options \"text\", "
                         "\"tokenize\", \"min_token_length\", \"ngram_range\" and \"stop_words\"",
                   (sqlite3_int64)terms);
}

static int weigh_terms(Training *training, TfidfState *state, const TfidfOptions *weights, Error *error) {
  TrainedModel *trained = &training->trained;
  trained->length = memory_alloc(state->documents.counts.rows, sizeof *trained->length);
  if (!trained->length) return error_no_memory(error);
  int code = tfidf_weigh_all(&state->documents.counts, trained->idf, weights, trained->length, training->threads,
                             &training->interrupt.cancel);
  trained->vectors = state->documents.counts;
  state->documents.counts = (SparseMatrix){0};
  return error_from_code(error, code);
}

/* ---- describing -------------------------------------------------------------------------------------------------- */

static const char *yes_or_no(int value) { return value ? "true" : "false"; }

/* The options as they were resolved, a JSON object, and the trainer's counts. */
static int describe(Training *training, TfidfState *state, const TfidfOptions *weights, Error *error) {
  const ContentOptions *options = (const ContentOptions *)training->options;
  const Documents *documents = &state->documents;
  char *weighting = options_choice(CONTENT_WEIGHTINGS, options->weighting);
  char *norm = options_choice(CONTENT_NORMS, weights->norm);
  char *profile = options_choice(CONTENT_PROFILES, options->profile);
  sqlite3_str *text = sqlite3_str_new(NULL);
  sqlite3_str_appendf(text, "{\"vectors\":\"%s\"", training->trained.algorithm);
  if (state->kind != CONTENT_EMBEDDING)
    sqlite3_str_appendf(text,
                        ",\"weighting\":\"%s\",\"sublinear_tf\":%s,\"smooth_idf\":%s,\"norm\":\"%s\",\"min_df\":%!.15g,"
                        "\"max_df\":%!.15g,\"ngram_range\":[%d,%d],\"lowercase\":%s,\"min_token_length\":%d",
                        weighting, yes_or_no(weights->sublinear_tf), yes_or_no(weights->smooth_idf), norm,
                        weights->min_df, weights->max_df, state->rules.ngram_minimum, state->rules.ngram_maximum,
                        yes_or_no(options->lowercase), options->min_token_length);
  if (training->trained.shape.rank[HEAD_RANKING])
    sqlite3_str_appendf(text, ",\"rank\":%d", training->trained.shape.rank[HEAD_RANKING]);
  if (options->ratings) sqlite3_str_appendf(text, ",\"profile\":\"%s\"", profile);
  sqlite3_str_appendf(text, ",\"test\":%!.15g,\"seed\":%llu}", options->common.test, options->common.seed);
  training->trained.resolved = sqlite3_str_finish(text);
  training->counts = sqlite3_mprintf(
      "{\"terms\":%lld,\"rows\":%lld,\"rows_left_out\":%lld,\"same_id\":%lld,\"empty\":%lld,\"unknown_items\":%lld}",
      training->trained.shape.terms, documents->rows, documents->left_out, documents->repeated, documents->empty,
      state->unknown_items);
  int complete = weighting && norm && profile && training->trained.resolved && training->counts;
  sqlite3_free(weighting);
  sqlite3_free(norm);
  sqlite3_free(profile);
  return complete ? SQLITE_OK : error_no_memory(error);
}

static void tfidf_shape(Training *training, const TfidfState *state) {
  const ContentOptions *options = (const ContentOptions *)training->options;
  ModelShape *shape = &training->trained.shape;
  *shape = (ModelShape){
      .kind = state->kind == CONTENT_TERMS ? &kind_words : &kind_content,
      .score_head = HEAD_RANKING,
      .prediction_head = HEAD_RANKING,
      .minimum = training->data.minimum,
      .maximum = training->data.maximum,
      .average = training->data.mean,
      .rated = training->data.explicit_ratings,
      .cosine = 1,
      .sparse = state->kind == CONTENT_TERMS,
      .profile = options->profile,
      .terms = (int64_t)training->trained.terms.count,
  };
  shape->rank[HEAD_RANKING] = state->kind == CONTENT_EMBEDDING  ? state->documents.dimensions
                              : state->kind == CONTENT_LSA      ? options->lsa
                              : state->kind == CONTENT_WORD2VEC ? options->word2vec
                                                                : 0;
}

static int tfidf_start(Training *training, Error *error) {
  const ContentOptions *options = (const ContentOptions *)training->options;
  TfidfState *state = training->state;
  const TfidfOptions weights = content_weights(options);
  int code = SQLITE_OK;
  if (options->profile == PROFILE_WEIGHTED && options->ratings && !training->data.explicit_ratings)
    return error_set(error, SQLITE_ERROR,
                     "tfidf_train: the profile \"weighted\" needs ratings, and \"%s\" has none: name their column with "
                     "the option \"rating\", or leave \"profile\" out",
                     options->ratings);
  training->trained.algorithm = content_algorithms[algorithm_of(options, state->kind)]->name;
  if (state->kind != CONTENT_EMBEDDING) {
    code = choose_terms(training, state, &weights, error);
    if (code == SQLITE_OK) code = weigh_terms(training, state, &weights, error);
  }
  if (code == SQLITE_OK) {
    tfidf_shape(training, state);
    code = describe(training, state, &weights, error);
  }
  if (code == SQLITE_OK && (state->kind == CONTENT_LSA || state->kind == CONTENT_WORD2VEC))
    code = term_vectors_begin(training, state, error);
  return code;
}

/* ---- dense vectors ----------------------------------------------------------------------------------------------- */

/* Makes a vector as long as 1, unless it is zero; returns how long it was. */
static float normalize(float *vector, int rank) {
  double squares = 0;
  for (int i = 0; i < rank; i++) squares += (double)vector[i] * (double)vector[i];
  double length = sqrt(squares);
  if (!(length > 0)) return 0;
  for (int i = 0; i < rank; i++) vector[i] = (float)((double)vector[i] / length);
  return (float)length;
}

/* Users are sums of items; both become vectors of length 1. `item` (items × stride, aligned) goes into the model. */
static int fill_factors(Training *training, float *item, Error *error) {
  TrainedModel *trained = &training->trained;
  const SparseMatrix *cells = &training->data.by_user;
  int rank = trained->shape.rank[HEAD_RANKING], stride = shape_stride(&trained->shape, HEAD_RANKING);
  Factors *factors = &trained->heads[HEAD_RANKING];
  size_t longest = 0;
  *factors = (Factors){.users = cells->rows, .items = cells->columns, .rank = rank, .stride = stride, .item = item};
  for (size_t user = 0; user < cells->rows; user++)
    if (sparse_row_length(cells, user) > longest) longest = sparse_row_length(cells, user);
  factors->user = memory_alloc_aligned(cells->rows, (size_t)stride * sizeof(float));
  float *length = memory_alloc(cells->columns, sizeof *length), *weight = memory_alloc(longest, sizeof *weight);
  uint32_t *items = memory_alloc(longest, sizeof *items);
  double *sum = memory_alloc((size_t)rank, sizeof *sum);
  int code = factors->user && length && weight && items && sum ? SQLITE_OK : SQLITE_NOMEM;
  for (size_t i = 0; i < cells->columns && code == SQLITE_OK; i++)
    length[i] =
        normalize(item + i * (size_t)stride, rank) > 0 ? 1 : 0; /* what of the items is kept is their direction */
  for (size_t user = 0; user < cells->rows && code == SQLITE_OK; user++) {
    size_t first = cells->start[user];
    size_t n = profile_sum((Profile)trained->shape.profile, length, sparse_row_length(cells, user),
                           cells->index + first, cells->value ? cells->value + first : NULL, NULL, items, weight);
    memset(sum, 0, (size_t)rank * sizeof *sum);
    for (size_t i = 0; i < n; i++)
      for (int lane = 0; lane < rank; lane++)
        sum[lane] += (double)weight[i] * (double)item[items[i] * (size_t)stride + (size_t)lane];
    float *vector = factors->user + user * (size_t)stride;
    for (int lane = 0; lane < rank; lane++) vector[lane] = (float)sum[lane];
    normalize(vector, rank);
    if (user % 64 == 0) code = cancel_poll(&training->interrupt.cancel);
  }
  memory_free(length);
  memory_free(weight);
  memory_free(items);
  memory_free(sum);
  return error_from_code(error, code);
}

/* The embeddings as they were given, in rows of stride floats. */
static int take_embeddings(TfidfState *state, size_t items, int stride, float **item, Error *error) {
  Documents *documents = &state->documents;
  size_t dimensions = (size_t)documents->dimensions;
  *item = memory_alloc_aligned(items, (size_t)stride * sizeof(float));
  if (!*item) return error_no_memory(error);
  for (size_t i = 0; i < items; i++)
    memcpy(*item + i * (size_t)stride, documents->vectors + i * dimensions, dimensions * sizeof(float));
  memory_free(documents->vectors);
  documents->vectors = NULL;
  return SQLITE_OK;
}

/* ---- testing ----------------------------------------------------------------------------------------------------- */

/* NDCG of the held-out ratings with sparse vectors. */
static int test_sparse(Training *training, double *ndcg, Error *error) {
  TrainedModel *trained = &training->trained;
  const SparseMatrix *cells = &training->data.by_user;
  Holdout holdout;
  Postings postings = {0};
  int code = holdout_choose(training, &holdout);
  size_t entries = cells->start[cells->rows], to = 0;
  uint32_t *items = memory_alloc(entries, sizeof *items);
  float *weight = memory_alloc(entries, sizeof *weight);
  PostingsQuery *queries = memory_alloc(holdout.count, sizeof *queries);
  if (code == SQLITE_OK && !(items && weight && queries)) code = SQLITE_NOMEM;
  for (size_t i = 0; i < holdout.count && code == SQLITE_OK; i++) {
    size_t user = holdout.user[i], first = cells->start[user];
    size_t n =
        profile_sum((Profile)trained->shape.profile, trained->length, sparse_row_length(cells, user),
                    cells->index + first, cells->value ? cells->value + first : NULL, NULL, items + to, weight + to);
    queries[i] = (PostingsQuery){.index = items + to, .weight = weight + to, .count = n, .of_items = 1};
    to += n;
  }
  if (code == SQLITE_OK)
    code = postings_make(&postings, &trained->vectors, training->threads, &training->interrupt.cancel);
  if (code == SQLITE_OK) {
    const Scorer scorer = postings_scorer(&postings);
    const Queries all = {.count = holdout.count, .each = queries};
    code = holdout_judge(training, &holdout, &scorer, &all, ndcg, error);
    trained->vectors = postings.vectors; /* they were only borrowed */
    postings.vectors = (SparseMatrix){0};
  } else {
    error_from_code(error, code);
  }
  postings_free(&postings);
  memory_free(items);
  memory_free(weight);
  memory_free(queries);
  holdout_free(&holdout);
  return code;
}

static int test(Training *training, double *ndcg, Error *error) {
  const SparseMatrix *held_out = &training->data.held_out;
  if (!held_out->start || held_out->start[held_out->rows] == 0) return SQLITE_OK;
  if (training->trained.shape.sparse) return test_sparse(training, ndcg, error);
  return holdout_test(training, HEAD_RANKING, &training->trained.heads[HEAD_RANKING], ndcg, error);
}

/* ---- epochs ------------------------------------------------------------------------------------------------------ */

static int tfidf_step(Training *training, FitRow *row, int *done, Error *error) {
  TfidfState *state = training->state;
  int stride = shape_stride(&training->trained.shape, HEAD_RANKING), code = SQLITE_OK;
  float *item = NULL;
  *done = 1;
  row->head = HEAD_RANKING;
  state->epoch = row->epoch;
  if (state->kind == CONTENT_EMBEDDING)
    code = take_embeddings(state, training->data.items.count, stride, &item, error);
  else if (state->kind != CONTENT_TERMS)
    code = term_vectors_step(training, state, &item, row, done, error);
  if (code == SQLITE_OK && item)
    code = fill_factors(training, item, error); /* owns them now, whatever happens */
  else
    memory_free_aligned(item);
  if (code == SQLITE_OK && *done) code = test(training, &row->test, error);
  return code;
}

static void tfidf_end(Training *training) {
  TfidfState *state = training->state;
  term_vectors_end(state);
  documents_free(&state->documents);
  dictionary_free(&state->stop_words);
}

const Trainer tfidf_trainer = {
    TRAINER_CALL("tfidf", "", ""),
    .algorithms = content_algorithms,
    .options = content_options,
    .option_count = CONTENT_OPTIONS,
    .options_size = sizeof(ContentOptions),
    .state_size = sizeof(TfidfState),
    .check = tfidf_check,
    .read = read_content,
    .start = tfidf_start,
    .step = tfidf_step,
    .end = tfidf_end,
    .free_options = content_free_options,
};
