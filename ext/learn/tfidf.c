/* tf-idf weights (Salton & Buckley, "Term-weighting approaches in automatic text retrieval", 1988; Manning, Raghavan &
 * Schütze, "Introduction to Information Retrieval", ch. 6), in the variants and with the names of scikit-learn.
 *
 * For a term that is c times in a document and in df of n documents:
 *
 *     tf     = c, or 1 + ln c (sublinear_tf), or 1 (binary)
 *     idf    = ln((n + 1) / (df + 1)) + 1 (smooth_idf), or ln(n / df) + 1; 1 where the weighting is not tfidf
 *     weight = tf · idf / norm,   norm = sqrt Σ (tf · idf)² (l2), Σ tf · idf (l1), or 1 (none) */
#include "tfidf.h"

#include <math.h>
#include <stdlib.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"

enum { ROWS_A_BLOCK = 512 };

void tfidf_document_frequencies(const SparseMatrix *counts, uint32_t *df) {
  for (size_t term = 0; term < counts->columns; term++) df[term] = 0;
  for (size_t e = 0; e < counts->start[counts->rows]; e++) df[counts->index[e]]++;
}

/* ---- which terms ------------------------------------------------------------------------------------------------- */

typedef struct Frequency {
  double count;
  uint32_t term;
} Frequency;

static int more_frequent_first(const void *a, const void *b) {
  const Frequency *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return x->term < y->term ? -1 : x->term > y->term;
}

/* Marks all but the `most` most frequent of the terms that are marked as kept. What is in a document several times
 * counts so often, unless the weighting is binary. */
static int keep_most_frequent(const SparseMatrix *counts, TfidfWeighting weighting, size_t most, uint32_t *new_index,
                              size_t *kept) {
  Frequency *frequency = memory_alloc(counts->columns, sizeof *frequency);
  if (!frequency) return CODE_NOMEM;
  size_t n = 0;
  for (uint32_t term = 0; term < counts->columns; term++) frequency[term] = (Frequency){0, term};
  for (size_t e = 0; e < counts->start[counts->rows]; e++)
    frequency[counts->index[e]].count += weighting == TFIDF_BINARY ? 1 : (double)counts->value[e];
  for (size_t term = 0; term < counts->columns; term++)
    if (new_index[term] != UINT32_MAX) frequency[n++] = frequency[term];
  qsort(frequency, n, sizeof *frequency, more_frequent_first);
  for (size_t i = most; i < n; i++) new_index[frequency[i].term] = UINT32_MAX;
  *kept = most;
  memory_free(frequency);
  return CODE_OK;
}

int tfidf_select(const SparseMatrix *counts, const uint32_t *df, const TfidfOptions *options, uint32_t *new_index,
                 size_t *kept) {
  double n = (double)counts->rows;
  double least = options->min_df < 1 ? options->min_df * n : options->min_df;
  double most = options->max_df <= 1 ? options->max_df * n : options->max_df;
  int code = CODE_OK;
  *kept = 0;
  for (size_t term = 0; term < counts->columns; term++) {
    int right = df[term] > 0 && (double)df[term] >= least && (double)df[term] <= most;
    new_index[term] = right ? 0 : UINT32_MAX;
    *kept += (size_t)right;
  }
  if (options->max_features && *kept > (size_t)options->max_features)
    code = keep_most_frequent(counts, options->weighting, (size_t)options->max_features, new_index, kept);
  uint32_t next = 0;
  for (size_t term = 0; term < counts->columns; term++)
    if (new_index[term] != UINT32_MAX) new_index[term] = next++;
  return code;
}

void tfidf_keep_columns(SparseMatrix *counts, const uint32_t *new_index, size_t kept) {
  size_t to = 0, from = 0;
  for (size_t row = 0; row < counts->rows; row++) {
    for (; from < counts->start[row + 1]; from++) {
      uint32_t term = new_index[counts->index[from]];
      if (term == UINT32_MAX) continue;
      counts->index[to] = term;
      counts->value[to++] = counts->value[from];
    }
    counts->start[row + 1] = to;
  }
  counts->columns = kept;
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

double tfidf_idf(const TfidfOptions *options, size_t documents, double df) {
  if (options->weighting != TFIDF_TFIDF) return 1;
  double n = (double)documents, smooth = options->smooth_idf ? 1 : 0;
  return log((n + smooth) / (df + smooth)) + 1;
}

double tfidf_weigh(const TfidfOptions *options, double *weight, const double *idf, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    double tf = options->weighting == TFIDF_BINARY ? 1 : options->sublinear_tf ? 1 + log(weight[i]) : weight[i];
    weight[i] = tf * idf[i];
    sum += options->norm == TFIDF_L1 ? weight[i] : weight[i] * weight[i];
  }
  double norm = options->norm == TFIDF_L1 ? sum : options->norm == TFIDF_L2 ? sqrt(sum) : 1;
  return norm > 0 ? norm : 1;
}

typedef struct Weighing {
  SparseMatrix *counts;
  const double *idf;
  const TfidfOptions *options;
  float *length;
} Weighing;

static void weigh_row(const Weighing *work, size_t row, double *weight, double *idf) {
  const SparseMatrix *counts = work->counts;
  size_t first = counts->start[row], n = sparse_row_length(counts, row);
  for (size_t i = 0; i < n; i++) {
    weight[i] = (double)counts->value[first + i];
    idf[i] = work->idf[counts->index[first + i]];
  }
  double norm = tfidf_weigh(work->options, weight, idf, n), squares = 0;
  for (size_t i = 0; i < n; i++) squares += weight[i] * weight[i];
  double length = sqrt(squares);
  for (size_t i = 0; i < n; i++) counts->value[first + i] = (float)(weight[i] / length);
  work->length[row] = (float)(length / norm);
}

static int weigh_rows(void *context, size_t block, int worker) {
  (void)worker;
  const Weighing *work = context;
  size_t first = block * ROWS_A_BLOCK, rows = work->counts->rows, longest = 0;
  size_t end = first + ROWS_A_BLOCK < rows ? first + ROWS_A_BLOCK : rows;
  for (size_t row = first; row < end; row++) {
    size_t n = sparse_row_length(work->counts, row);
    if (n > longest) longest = n;
  }
  double *weight = memory_alloc(longest, 2 * sizeof *weight);
  if (!weight) return CODE_NOMEM;
  for (size_t row = first; row < end; row++) weigh_row(work, row, weight, weight + longest);
  memory_free(weight);
  return CODE_OK;
}

int tfidf_weigh_all(SparseMatrix *counts, const double *idf, const TfidfOptions *options, float *length, int threads,
                    const Cancel *cancel) {
  Weighing work = {counts, idf, options, length};
  return parallel_for(threads, (counts->rows + ROWS_A_BLOCK - 1) / ROWS_A_BLOCK, weigh_rows, &work, cancel);
}
