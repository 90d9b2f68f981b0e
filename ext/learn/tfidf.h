/* From counts of terms to the weights of the vector space model. The formulas are at the top of tfidf.c. */
#ifndef RECOMMEND_LEARN_TFIDF_H
#define RECOMMEND_LEARN_TFIDF_H

#include "../base/cancel.h"
#include "../base/sparse.h"

typedef enum TfidfWeighting { TFIDF_TFIDF, TFIDF_COUNT, TFIDF_BINARY } TfidfWeighting;
typedef enum TfidfNorm { TFIDF_NORM_DEFAULT = -1, TFIDF_L2, TFIDF_L1, TFIDF_NONE } TfidfNorm;

typedef struct TfidfOptions {
  TfidfWeighting weighting;
  int sublinear_tf;
  int smooth_idf;
  TfidfNorm norm;        /* not DEFAULT */
  double min_df, max_df; /* how many documents a term must and may be in: see tfidf_select */
  int max_features;      /* 0: all */
} TfidfOptions;

/* In how many rows each column occurs; df has room for counts->columns. */
void tfidf_document_frequencies(const SparseMatrix *counts, uint32_t *df);

/* Which terms count: those in at least min_df and at most max_df documents (a number below 1 is a share of them, and so
 * is a max_df of just 1; what is in none is no term, whatever min_df says), and of these the max_features most frequent
 * ones (ties to the lower index). new_index (counts->columns) receives each one's new index, or UINT32_MAX; *kept their
 * number. CODE_OK or CODE_NOMEM. */
int tfidf_select(const SparseMatrix *counts, const uint32_t *df, const TfidfOptions *options, uint32_t *new_index,
                 size_t *kept);

/* Drops the columns without a new index, in place, and renumbers the others. */
void tfidf_keep_columns(SparseMatrix *counts, const uint32_t *new_index, size_t kept);

/* What a term weighs besides its count: 1 unless the weighting is tfidf. */
double tfidf_idf(const TfidfOptions *options, size_t documents, double df);

/* Turns n counts of a document, with its terms' idf, into weights before the norm, in place; returns what the norm
 * divides them by (1 for an empty document). */
double tfidf_weigh(const TfidfOptions *options, double *weight, const double *idf, size_t n);

/* Turns all counts into rows of length 1, in place; length[row] receives the length that the row has under the norm. */
int tfidf_weigh_all(SparseMatrix *counts, const double *idf, const TfidfOptions *options, float *length, int threads,
                    const Cancel *cancel);

#endif
