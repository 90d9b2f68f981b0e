/* From the rows of a source to the content of items: (id, text…) to counts of terms, or (id, embedding) to vectors.
 *
 * The source is read with one nested SELECT that is finalized before this returns. Items and terms are sorted by id:
 * the result depends on the order of rows only where an id occurs twice, and on the number of threads not at all. */
#ifndef RECOMMEND_DATA_DOCUMENTS_H
#define RECOMMEND_DATA_DOCUMENTS_H

#include "../base/cancel.h"
#include "../base/sparse.h"
#include "options.h"
#include "source.h"
#include "terms.h"

#define DOCUMENTS_MOST_DIMENSIONS 4096

typedef enum SameId { SAME_ID_LAST, SAME_ID_JOIN, SAME_ID_ERROR } SameId; /* rows that share an id */

typedef struct DocumentOptions {
  const char *caller;      /* the function's name, for messages: "tfidf_train" */
  const char *id;          /* a column's name; NULL: the first */
  const OptionTexts *text; /* columns' names; none: all but the id */
  const char *embedding;   /* the column of vectors; not NULL: the text is not read */
  SameId same_id;          /* JOIN: of vectors, their sum */
  const TermRules *rules;
  int keep_words; /* the terms in order of the text, too */
  int threads;    /* already resolved: ≥ 1 */
} DocumentOptions;

typedef struct Documents {
  Dictionary items;
  IdAffinity affinity; /* of the id column */
  /* of text: */
  Dictionary terms;    /* sorted */
  SparseMatrix counts; /* items × terms: how often; start NULL where vectors were read */
  uint32_t *words;     /* with keep_words: indexes of terms, document after document, cut by word_start */
  size_t *word_start;  /* documents + 1 */
  size_t documents;    /* those that count, by rows */
  /* of vectors: */
  float *vectors; /* items × dimensions */
  int dimensions;
  int64_t rows;     /* read */
  int64_t left_out; /* those without an id */
  int64_t repeated; /* those beyond the first of their id */
  int64_t empty;    /* items without a term, or a vector */
} Documents;

/* A value that is a JSON array or object counts as the strings in it; any other as text. Runs of words (n-grams) reach
 * neither from a column to the next nor from a string to the next. Vectors are float32 BLOBs (little-endian) or JSON
 * arrays of numbers; NULL and '' mean that there is no vector.
 * Errors: SQLITE_MISMATCH for a BLOB as text or a value that is not a vector, which name the row; SQLITE_CONSTRAINT for
 * an id that occurs twice under SAME_ID_ERROR; SQLITE_TOOBIG for 2^31 items or terms. On error nothing is kept. */
int documents_read(sqlite3 *db, const Source *source, const DocumentOptions *options, Documents *documents,
                   const Cancel *cancel, Error *error);

void documents_free(Documents *documents); /* cleared memory is fine; leaves it cleared */

/* A vector from a value, a float32 BLOB or a JSON array of numbers: 1 and *vector from memory_alloc, *dimensions at
 * least 1; 0 where it is NULL or ''; -1 where it is neither; -2 where memory ran out. */
int vector_from_value(sqlite3_value *value, float **vector, int *dimensions);

/* Calls `visit` for each string in a JSON array or object, in order, or for the text itself where it is neither.
 * Returns what `visit` does, or SQLITE_NOMEM. */
int flatten_json(const char *text, size_t size, int (*visit)(void *context, const char *text, size_t size),
                 void *context);

#endif
