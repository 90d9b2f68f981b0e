/* The words of a text, by the tokenizers of SQLite's FTS5, which an application may add its own to:
 * https://sqlite.org/fts5.html#tokenizers. */
#ifndef RECOMMEND_DATA_TOKENIZER_H
#define RECOMMEND_DATA_TOKENIZER_H

#include <stddef.h>

#include "database_error.h"

/* The tokenizer where no other is named: letters, numbers and '_', in lower case, accents kept, which is what the
 * pattern \w+ of Python and of scikit-learn matches. */
#define TOKENIZER_DEFAULT "unicode61 remove_diacritics 0 categories 'L* N*' tokenchars '_'"
#define TOKENIZER_JOINERS "\xe2\x80\x8c\xe2\x80\x8d" /* U+200C, U+200D */

/* But combining marks (Mn, Mc) then belong to their word, which they would end otherwise: without that Hindi and Tamil
 * are cut at every vowel sign, pointed Hebrew and marked Arabic at every point. FTS5 can only be told that a mark is as
 * good as a letter, wherever it stands. So it gives runs of letters, marks and joiners, and terms.c finds the words in
 * them. Symbols that FTS5 does not know end a word, too. */
typedef struct Tokenizer {
  struct fts5_tokenizer methods;
  Fts5Tokenizer *instance;
  Fts5Tokenizer *letters; /* TOKENIZER_DEFAULT itself, where no other is named and runs are read; else NULL */
  int stems;              /* its words are not pieces of the text */
  int trigrams;           /* its words are pieces of words */
  int concurrent;         /* instances of it may run on several threads: SQLite's own do, of others nothing is known */
} Tokenizer;

/* Makes one as FTS5's option `tokenize` would ("porter unicode61 remove_diacritics 2"; NULL: as above).
 * SQLITE_ERROR with a message where SQLite has no FTS5, or no such tokenizer. To be closed before the connection. */
int tokenizer_open(Tokenizer *tokenizer, sqlite3 *db, const char *specification, const char *caller, Error *error);
void tokenizer_close(Tokenizer *tokenizer); /* cleared is fine; leaves it cleared */

/* One word: `start` and `end` say where in the text it comes from. Another code than SQLITE_OK ends the reading. */
typedef int (*TokenVisit)(void *context, int flags, const char *word, int size, int start, int end);

/* SQLITE_OK, what `visit` returned, or what the tokenizer fails with. The text is below 2^31 bytes, as all of SQLite's
 * are; invalid UTF-8 and NULs are taken as they come. */
int tokenizer_read(const Tokenizer *tokenizer, const char *text, size_t size, TokenVisit visit, void *context);

/* Whether a character of a run is what words begin with, not a mark or a joiner. */
int tokenizer_is_letter(const Tokenizer *tokenizer, const char *character, size_t size);

#endif
