/* word2vec.h: gradients against differences of the loss, planted topics and synonyms, and the promises about bytes,
 * memory and cancelling. */
#include <stdlib.h>

#include "base/factors.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/sqlite.h"
#include "cancelling.h"
#include "check.h"
#include "failing_memory.h"
#include "learn/word2vec.h"
#include "learn/word2vec_kernels.h"

/* ---- data -------------------------------------------------------------------------------------------------------- */

typedef struct Corpus {
  uint32_t *words;
  size_t *start;
  size_t documents, terms;
} Corpus;

/* Each document is of one of `topics`, which share no words; words of low number within a topic are frequent. */
static Corpus make_corpus(size_t documents, size_t length, size_t terms, size_t topics) {
  Corpus corpus = {malloc((documents * length + 1) * sizeof(uint32_t)), malloc((documents + 1) * sizeof(size_t)),
                   documents, terms};
  size_t at = 0, each = terms / topics;
  for (size_t d = 0; d < documents; d++) {
    corpus.start[d] = at;
    for (size_t i = 0; i < length - d % 3 % length; i++) {
      double u = random_uniform(3, d * length + i);
      corpus.words[at++] = (uint32_t)((size_t)(u * u * (double)each) * topics + d % topics);
    }
  }
  corpus.start[documents] = at;
  return corpus;
}

static void free_corpus(Corpus *corpus) {
  free(corpus->words);
  free(corpus->start);
}

static Word2vecOptions options_of(int rank) {
  return (Word2vecOptions){.rank = rank,
                           .window = 5,
                           .negatives = 5,
                           .epochs = 5,
                           .learning_rate = .05,
                           .subsample = 0,
                           .seed = 42,
                           .threads = 2};
}

/* Trains, and hands the vectors over as a copy (to be freed). */
static float *train(const Corpus *corpus, const Word2vecOptions *options, double *first, double *last) {
  Word2vec *w;
  Error error = {0};
  double loss = 0;
  CHECK(word2vec_create(&w, corpus->words, corpus->start, corpus->documents, corpus->terms, options, &error) ==
        SQLITE_OK);
  for (int epoch = 0; epoch < options->epochs; epoch++) {
    CHECK(word2vec_epoch(w, &loss, NULL, &error) == SQLITE_OK);
    CHECK(isfinite(loss));
    if (epoch == 0 && first) *first = loss;
  }
  if (last) *last = loss;
  error_clear(&error);
  size_t stride = (size_t)factors_stride(options->rank), size = corpus->terms * stride * sizeof(float);
  float *copy = malloc(size + 1);
  memcpy(copy, word2vec_vectors(w), size);
  int tidy = 1;
  for (size_t term = 0; term < corpus->terms; term++)
    for (size_t lane = (size_t)options->rank; lane < stride; lane++) tidy &= copy[term * stride + lane] == 0;
  CHECK(tidy);
  word2vec_destroy(w);
  return copy;
}

static double cosine(const float *vectors, size_t stride, size_t a, size_t b) {
  double aa = 1e-300, bb = 1e-300, ab = 0;
  for (size_t i = 0; i < stride; i++) {
    double x = (double)vectors[a * stride + i], y = (double)vectors[b * stride + i];
    aa += x * x, bb += y * y, ab += x * y;
  }
  return ab / sqrt(aa * bb);
}

/* ---- one word's loss --------------------------------------------------------------------------------------------- */

enum { MOST = 40, STRIDE = 48 };

typedef struct Sample {
  float *vectors; /* 2 MOST × STRIDE: inputs, then outputs */
  const float *pointer[2 * MOST];
  size_t inputs, outputs;
} Sample;

/* The definition, in double. */
static double sample_loss(const Sample *sample) {
  double loss = 0;
  for (size_t i = 0; i < sample->inputs; i++)
    for (size_t j = 0; j < sample->outputs; j++) {
      double dot = 0;
      for (size_t k = 0; k < STRIDE; k++)
        dot += (double)sample->vectors[i * STRIDE + k] * (double)sample->vectors[(MOST + j) * STRIDE + k];
      loss += log1p(exp(j == 0 ? -dot : dot));
    }
  return loss;
}

/* Differences of the loss along every coordinate of one vector against a step. */
static void check_step(Sample *sample, size_t vector, const float *step, float bend) {
  double worst = 0, largest = 0;
  for (size_t k = 0; k < STRIDE; k++) {
    float *x = &sample->vectors[vector * STRIDE + k], old = *x;
    *x = old + 0x1.0p-8f;
    double above = sample_loss(sample);
    *x = old - 0x1.0p-8f;
    double below = sample_loss(sample);
    *x = old;
    worst = fmax(worst, fabs((above - below) / 0x1.0p-7 + (double)step[k]));
    largest = fmax(largest, (above + below - 2 * sample_loss(sample)) / 0x1.0p-16);
  }
  CHECK_NEAR(worst, 0, 1e-3);
  CHECK(largest <= (double)bend * 1.01 + 1e-6);
}

static void test_gradients(void) {
  const size_t large = SANITIZED ? 20 : 40, shapes[][2] = {{1, 1}, {1, 6}, {6, 6}, {10, 3}, {large, large}, {7, 2}};
  const char *levels[] = {"generic", "avx2", "avx512"};
  Sample sample = {.vectors = memory_alloc_aligned(2 * MOST, STRIDE * sizeof(float))};
  float *step = memory_alloc_aligned(2 * MOST, STRIDE * sizeof(float)), bend[2 * MOST];
  float *scratch = memory_alloc_aligned(word2vec_scratch(MOST, MOST), sizeof(float));
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int level = 0; level < 3; level += 1 + SANITIZED) {
      double size = s % 2 ? .3 : 1; /* also margins beyond ±10 */
      sample.inputs = shapes[s][0], sample.outputs = shapes[s][1];
      for (size_t i = 0; i < 2 * MOST * STRIDE; i++) sample.vectors[i] = (float)(size * random_normal(s, i));
      for (size_t i = 0; i < 2 * MOST; i++) sample.pointer[i] = sample.vectors + i * STRIDE;
      Word2vecPairs pairs = {.input = sample.pointer,
                             .output = sample.pointer + MOST,
                             .inputs = sample.inputs,
                             .outputs = sample.outputs,
                             .stride = STRIDE,
                             .input_step = step,
                             .output_step = step + MOST * STRIDE,
                             .input_bend = bend,
                             .output_bend = bend + MOST,
                             .scratch = scratch};
      setenv("RECOMMEND_SIMD", levels[level], 1);
      CHECK_NEAR(word2vec_kernels()->pairs(&pairs) / sample_loss(&sample), 1, 1e-5);
      for (size_t i = 0; i < sample.inputs; i++) check_step(&sample, i, step + i * STRIDE, bend[i]);
      for (size_t j = MOST; j < MOST + sample.outputs; j++) check_step(&sample, j, step + j * STRIDE, bend[j]);
    }
  unsetenv("RECOMMEND_SIMD");
  memory_free_aligned(sample.vectors);
  memory_free_aligned(step);
  memory_free_aligned(scratch);
}

/* ---- what is learnt ---------------------------------------------------------------------------------------------- */

/* Words of a topic are nearer to each other than to any of the other, from small corpora as from those in batches. */
static void test_topics(void) {
  const size_t documents[] = {200, 2000, 20000};
  for (size_t d = 0; d < 3 - SANITIZED; d++) {
    Corpus corpus = make_corpus(documents[d], 12, 40, 2);
    Word2vecOptions options = options_of(20);
    if (d == 0) options.epochs = 30;
    double first, last, within = 0, between = 0;
    float *vectors = train(&corpus, &options, &first, &last);
    CHECK(last < first && last < .95 * 6 * log(2));
    for (size_t a = 0; a < 40; a++)
      for (size_t b = 0; b < a; b++)
        *(a % 2 == b % 2 ? &within : &between) += cosine(vectors, 32, a, b) / (a % 2 == b % 2 ? 380 : 400);
    CHECK(within > between + .5);
    free(vectors);
    free_corpus(&corpus);
  }
}

/* Words 0 and 1 never meet, but keep the same company; so do 2 and 3. */
static void test_synonyms(void) {
  Corpus corpus = {malloc(3 * 6000 * sizeof(uint32_t)), malloc(6001 * sizeof(size_t)), 6000, 24};
  for (size_t d = 0; d <= 6000; d++) corpus.start[d] = 3 * d;
  for (size_t d = 0; d < 6000; d++) {
    uint32_t word = (uint32_t)(d % 4), company = 4 + 10 * (word / 2);
    corpus.words[3 * d] = company + (uint32_t)(random_bits(1, d) % 10);
    corpus.words[3 * d + 1] = word;
    corpus.words[3 * d + 2] = company + (uint32_t)(random_bits(2, d) % 10);
  }
  Word2vecOptions options = options_of(10);
  options.epochs = 15;
  float *vectors = train(&corpus, &options, NULL, NULL);
  assert_true(cosine(vectors, 16, 0, 1) > .8);
  assert_true(cosine(vectors, 16, 2, 3) > .8);
  assert_true(cosine(vectors, 16, 0, 2) < .5);
  assert_true(cosine(vectors, 16, 1, 3) < .5);
  free(vectors);
  free_corpus(&corpus);
}

/* Frequent words are left out at times, and the rest learns all the same. */
static void test_subsample(void) {
  Corpus corpus = make_corpus(3000, 12, 40, 2);
  Word2vecOptions options = options_of(20);
  options.subsample = .01;
  options.epochs = 10;
  double first, last;
  float *vectors = train(&corpus, &options, &first, &last);
  assert_true(last < first);
  assert_true(cosine(vectors, 32, 30, 32) > cosine(vectors, 32, 30, 33) + .3);
  free(vectors);
  options.subsample = 1e-12; /* hardly a word is kept */
  vectors = train(&corpus, &options, &first, &last);
  free(vectors);
  free_corpus(&corpus);
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

static void test_small(void) {
  uint32_t words[] = {0, 1, 2, 3, 1, 2, 0, 3, 2, 1, 0, 3, 0, 2, 1};
  const size_t three[] = {0, 3, 6, 9, 12, 15}, ones[] = {0, 1, 2, 3, 4, 5}, empty[] = {0, 0, 0, 4, 4, 15};
  const size_t nothing[] = {0, 0, 0, 0, 0, 0};
  const size_t *starts[] = {three, ones, empty, nothing};
  for (size_t s = 0; s < 4; s++)
    for (size_t terms = 4; terms <= 9; terms += 5) {
      Corpus corpus = {words, (size_t *)starts[s], 5, terms};
      Word2vecOptions options = options_of(3);
      double first, last;
      options.epochs = 50;
      float *vectors = train(&corpus, &options, &first, &last);
      CHECK(s == 1 || s == 3 ? first == 0 && last == 0 : last < first);
      for (size_t i = 4 * 16; i < terms * 16; i++) CHECK(vectors[i] == 0); /* these never occur */
      free(vectors);
    }
  uint32_t same[12] = {0};
  const size_t whole[] = {0, 12};
  for (size_t documents = 0; documents < 2; documents++) { /* one term: no noise; no documents */
    Corpus corpus = {same, (size_t *)whole, documents, documents};
    Word2vecOptions options = options_of(1);
    double last;
    float *vectors = train(&corpus, &options, NULL, &last);
    CHECK(last >= 0);
    free(vectors);
  }
}

static void test_many_terms(void) {
  Corpus corpus = make_corpus(30, 10, 1000000, 2);
  Word2vecOptions options = options_of(2);
  options.epochs = 2;
  float *vectors = train(&corpus, &options, NULL, NULL);
  free(vectors);
  free_corpus(&corpus);
}

/* One word is nearly all of a large corpus, and the learning rate far too high: no step overshoots. */
static void test_one_word(void) {
  Corpus corpus = make_corpus(10000, 12, 40, 2);
  for (size_t i = 0; i < corpus.start[10000]; i++)
    if (i % 10) corpus.words[i] = 0;
  Word2vecOptions options = options_of(10);
  for (int high = 0; high < 2; high++) {
    double first, last;
    options.learning_rate = high ? 1 : .05;
    float *vectors = train(&corpus, &options, &first, &last);
    CHECK(last < 6 * log(2));
    free(vectors);
  }
  free_corpus(&corpus);
}

/* ---- promises ---------------------------------------------------------------------------------------------------- */

static void test_threads(void) {
  Corpus corpus = make_corpus(30000, 12, 500, 5);
  const int threads[] = {1, 2, 5, 2};
  float *first = NULL;
  for (size_t t = 0; t < 4 - 2 * SANITIZED; t++) {
    Word2vecOptions options = options_of(20);
    options.subsample = 1e-2;
    options.epochs = 2;
    options.threads = threads[t];
    float *vectors = train(&corpus, &options, NULL, NULL);
    if (t == 0)
      first = vectors;
    else
      CHECK(memcmp(first, vectors, 500 * 32 * sizeof(float)) == 0);
    if (t > 0) free(vectors);
  }
  free(first);
  free_corpus(&corpus);
}

static int whole(const Corpus *corpus, const Cancel *cancel) {
  Word2vecOptions options = options_of(5);
  Word2vec *w = NULL;
  Error error = {0};
  double loss;
  int code = word2vec_create(&w, corpus->words, corpus->start, corpus->documents, corpus->terms, &options, &error);
  for (int epoch = 0; epoch < 2 && code == SQLITE_OK; epoch++) code = word2vec_epoch(w, &loss, cancel, &error);
  CHECK(code == error.code);
  word2vec_destroy(w);
  error_clear(&error);
  return code;
}

static void test_memory(void) {
  Corpus corpus = make_corpus(100, 8, 30, 2);
  int code = SQLITE_NOMEM;
  long before = outstanding, n = 0;
  for (; code != SQLITE_OK && n < 1000; n++) {
    fail_after = n;
    code = whole(&corpus, NULL);
    fail_after = -1;
    CHECK(code == SQLITE_OK || code == SQLITE_NOMEM);
    CHECK(outstanding == before);
  }
  assert_int_equal(code, SQLITE_OK);
  assert_true(n > 15);
  free_corpus(&corpus);
}

static void test_cancel(void) {
  Corpus corpus = make_corpus(3000, 8, 30, 2);
  long polls = 0, before = outstanding;
  int code = SQLITE_INTERRUPT;
  for (; code == SQLITE_INTERRUPT && polls < 1000000; polls += 1 + polls) {
    long left = polls;
    Cancel cancel = {count_down, &left};
    code = whole(&corpus, &cancel);
    CHECK(code == SQLITE_OK || code == SQLITE_INTERRUPT);
    CHECK(outstanding == before);
  }
  assert_int_equal(code, SQLITE_OK);
  assert_true(polls > 500);
  free_corpus(&corpus);
}

static void test_not_finite(void) {
  Corpus corpus = make_corpus(100, 8, 30, 2);
  Word2vecOptions options = options_of(5);
  options.learning_rate = INFINITY;
  Word2vec *w;
  Error error = {0};
  double loss;
  assert_int_equal(word2vec_create(&w, corpus.words, corpus.start, corpus.documents, corpus.terms, &options, &error),
                   SQLITE_OK);
  assert_int_equal(word2vec_epoch(w, &loss, NULL, &error), SQLITE_ERROR);
  assert_true(error.message);
  assert_true(strstr(error.message, "no longer finite after epoch 1"));
  error_clear(&error);
  word2vec_destroy(w);
  free_corpus(&corpus);
}

static void test_nothing_is_lost(void) { assert_int_equal(outstanding, 0); }

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(test_gradients), TEST(test_topics),     TEST(test_synonyms),   TEST(test_subsample),
      TEST(test_small),     TEST(test_many_terms), TEST(test_one_word),   TEST(test_threads),
      TEST(test_memory),    TEST(test_cancel),     TEST(test_not_finite), TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
