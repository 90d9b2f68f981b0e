/* Vectors of items made of their words, for the trainer tfidf.
 *
 * lsa: the truncated SVD X ≈ U Σ Vᵀ of the items' weights; an item is its row of U Σ = X V, and a text with the weights
 * q is q V (Deerwester et al., "Indexing by latent semantic analysis", 1990). word2vec: words by skip-gram with
 * negative sampling over the texts; an item, and a text, is the mean of its words' vectors, each weighed by its tf-idf
 * weight. */
#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../learn/svd.h"
#include "../learn/word2vec.h"
#include "tfidf_train.h"

enum { ITEMS_A_BLOCK = 256 };
#define LSA_TOLERANCE 1e-5

typedef struct TermVectors {
  int epochs;
  Svd *svd;
  SparseMatrix transpose;
  SvdSparse sparse;
  Word2vec *word2vec;
} TermVectors;

/* The rows as long as the norm makes them: what the SVD is of. */
static void restore_lengths(SparseMatrix *vectors, const float *length) {
  for (size_t row = 0; row < vectors->rows; row++)
    for (size_t e = vectors->start[row]; e < vectors->start[row + 1]; e++) vectors->value[e] *= length[row];
}

static int begin_lsa(Training *training, const ContentOptions *options, TermVectors *fit, Error *error) {
  SparseMatrix *vectors = &training->trained.vectors;
  const Cancel *cancel = &training->interrupt.cancel;
  SvdMatrix matrix;
  restore_lengths(vectors, training->trained.length);
  fit->sparse = (SvdSparse){vectors, &fit->transpose};
  int code = sparse_transpose(vectors, &fit->transpose, training->threads, cancel);
  if (code == SQLITE_OK) code = svd_sparse(&matrix, &fit->sparse, training->threads, cancel);
  if (code != SQLITE_OK) return error_from_code(error, code);
  const SvdOptions svd = {
      .rank = options->lsa,
      .tolerance = LSA_TOLERANCE,
      .iterations = fit->epochs,
      .seed = options->common.seed,
      .threads = training->threads,
  };
  return svd_create(&fit->svd, &matrix, &svd, error);
}

static int begin_word2vec(Training *training, const ContentOptions *options, const Documents *documents,
                          TermVectors *fit, Error *error) {
  const Word2vecOptions word2vec = {
      .rank = options->word2vec,
      .window = options->window,
      .negatives = options->negatives,
      .epochs = fit->epochs,
      .learning_rate = options->learning_rate,
      .subsample = options->subsample,
      .seed = options->common.seed,
      .threads = training->threads,
  };
  return word2vec_create(&fit->word2vec, documents->words, documents->word_start, documents->documents,
                         training->trained.terms.count, &word2vec, error);
}

int term_vectors_begin(Training *training, TfidfState *state, Error *error) {
  const ContentOptions *options = (const ContentOptions *)training->options;
  TermVectors *fit = state->fit = memory_alloc_zero(1, sizeof *fit);
  if (!fit) return error_no_memory(error);
  fit->epochs = options->epochs;
  return state->kind == CONTENT_LSA ? begin_lsa(training, options, fit, error)
                                    : begin_word2vec(training, options, &state->documents, fit, error);
}

/* ---- epochs ------------------------------------------------------------------------------------------------------ */

static int step_lsa(Training *training, TermVectors *fit, float **item_vectors, FitRow *row, int *done, Error *error) {
  const Cancel *cancel = &training->interrupt.cancel;
  SvdReport report;
  SvdResult result = {0};
  int code = svd_iterate(fit->svd, &report, cancel, error);
  if (code == SQLITE_OK) {
    row->loss = report.loss;
    *done = report.done;
  }
  if (code == SQLITE_OK && report.done) code = svd_finish(fit->svd, &result, cancel, error);
  if (code == SQLITE_OK && report.done) {
    *item_vectors = result.left;
    training->trained.term_vectors = result.right;
    result.left = result.right = NULL;
  }
  svd_result_free(&result);
  return error_from_code(error, code);
}

typedef struct Averaging {
  const SparseMatrix *weights;
  const float *term_vectors;
  size_t stride;
  float *item_vectors;
} Averaging;

static int average_items(void *context, size_t block, int worker) {
  (void)worker;
  const Averaging *work = context;
  size_t first = block * ITEMS_A_BLOCK, rows = work->weights->rows, stride = work->stride;
  size_t end = first + ITEMS_A_BLOCK < rows ? first + ITEMS_A_BLOCK : rows;
  double *sum = memory_alloc(stride, sizeof *sum);
  if (!sum) return SQLITE_NOMEM;
  for (size_t item = first; item < end; item++) {
    double weights = 0;
    memset(sum, 0, stride * sizeof *sum);
    for (size_t e = work->weights->start[item]; e < work->weights->start[item + 1]; e++) {
      double weight = (double)work->weights->value[e];
      const float *vector = work->term_vectors + work->weights->index[e] * stride;
      for (size_t lane = 0; lane < stride; lane++) sum[lane] += weight * (double)vector[lane];
      weights += weight;
    }
    for (size_t lane = 0; lane < stride; lane++)
      work->item_vectors[item * stride + lane] = weights > 0 ? (float)(sum[lane] / weights) : 0;
  }
  memory_free(sum);
  return SQLITE_OK;
}

static int take_words(Training *training, const TermVectors *fit, float **item_vectors, Error *error) {
  TrainedModel *trained = &training->trained;
  size_t stride = (size_t)shape_stride(&trained->shape, HEAD_RANKING), terms = trained->terms.count;
  trained->term_vectors = memory_alloc_aligned(terms, stride * sizeof *trained->term_vectors);
  *item_vectors = memory_alloc_aligned(trained->vectors.rows, stride * sizeof **item_vectors);
  if (!trained->term_vectors || !*item_vectors) return error_no_memory(error);
  memcpy(trained->term_vectors, word2vec_vectors(fit->word2vec), terms * stride * sizeof(float));
  Averaging work = {&trained->vectors, trained->term_vectors, stride, *item_vectors};
  return error_from_code(
      error, parallel_for(training->threads, (work.weights->rows + ITEMS_A_BLOCK - 1) / ITEMS_A_BLOCK, average_items,
                          &work, &training->interrupt.cancel));
}

/* With vectors that know nothing a word costs −log ½ for each that it is compared with. */
static int check_loss(const Training *training, double loss, Error *error) {
  enum { FAR = 10 };
  const ContentOptions *options = (const ContentOptions *)training->options;
  double start = (1 + options->negatives) * log(2);
  if (loss <= FAR * start) return SQLITE_OK;
  return error_set(error, SQLITE_ERROR,
                   "the training has diverged, and nothing is stored: the loss is %g, and a model that knows nothing "
                   "has about %g: lower \"learning_rate\" (it is %g)",
                   loss, start, options->learning_rate);
}

int term_vectors_step(Training *training, TfidfState *state, float **item_vectors, FitRow *row, int *done,
                      Error *error) {
  TermVectors *fit = state->fit;
  if (state->kind == CONTENT_LSA) return step_lsa(training, fit, item_vectors, row, done, error);
  int code = word2vec_epoch(fit->word2vec, &row->loss, &training->interrupt.cancel, error);
  *done = state->epoch == fit->epochs;
  if (code == SQLITE_OK && *done) code = check_loss(training, row->loss, error);
  if (code == SQLITE_OK && *done) code = take_words(training, fit, item_vectors, error);
  return error_from_code(error, code);
}

void term_vectors_end(TfidfState *state) {
  TermVectors *fit = state->fit;
  if (!fit) return;
  svd_destroy(fit->svd);
  sparse_free(&fit->transpose);
  word2vec_destroy(fit->word2vec);
  memory_free(fit);
  state->fit = NULL;
}
