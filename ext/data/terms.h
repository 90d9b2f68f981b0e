/* From a text to its terms: words, less those that don't count, and runs of words. */
#ifndef RECOMMEND_DATA_TERMS_H
#define RECOMMEND_DATA_TERMS_H

#include "dictionary.h"
#include "tokenizer.h"

#define TERM_MOST_BYTES 32768 /* longer words are cut, as in FTS5's own indexes */

typedef struct TermRules {
  const char *tokenize;             /* see tokenizer_open */
  int keep_case;                    /* words as they stand in the text */
  int min_token_length;             /* shorter words are left out; characters */
  int ngram_minimum, ngram_maximum; /* terms are runs of so many words, joined by blanks; 1 and 1: the words */
  const Dictionary *stop_words;     /* words to leave out, or NULL */
} TermRules;

typedef struct TermReader TermReader;

/* `rules` must outlive the reader. Errors as tokenizer_open's, and SQLITE_ERROR where the rules contradict each other.
 */
int term_reader_open(TermReader **reader, sqlite3 *db, const TermRules *rules, const char *caller, Error *error);
void term_reader_close(TermReader *reader);              /* NULL is fine */
int term_reader_is_concurrent(const TermReader *reader); /* others of its kind may read on other threads */

/* Is called with each term: valid UTF-8, without a NUL at its end. */
typedef int (*TermVisit)(void *context, const char *term, size_t size);

/* The terms of one text, in order. SQLITE_OK, SQLITE_NOMEM, or what `visit` returned. SQLITE_MISUSE where the
 * tokenizer, an application's own, asks for the terms of another text amid this one. */
int term_reader_read(TermReader *reader, const char *text, size_t size, TermVisit visit, void *context);

/* The stop words of English, sorted: see stop_words.c. */
int stop_words_english(Dictionary *words); /* SQLITE_OK or SQLITE_NOMEM */

#endif
