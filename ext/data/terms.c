/* Words and runs of words: see terms.h. */
#include "terms.h"

#include <string.h>

#include "../base/memory.h"

/* Runs of words are put together in a window: the last ngram_maximum words, joined by blanks. */
struct TermReader {
  const TermRules *rules;
  Tokenizer tokenizer;
  int reading;
  /* while a text is read: */
  const char *text;
  TermVisit visit;
  void *context;
  int code; /* of the visit that failed */
  char *window;
  size_t used, capacity;
  size_t *start; /* of each word in the window; room for ngram_maximum */
  int words;
  char *repaired; /* room for one word made valid */
};

int term_reader_open(TermReader **opened, sqlite3 *db, const TermRules *rules, const char *caller, Error *error) {
  TermReader *reader = memory_alloc_zero(1, sizeof *reader);
  int code = reader ? tokenizer_open(&reader->tokenizer, db, rules->tokenize, caller, error) : error_no_memory(error);
  if (code == SQLITE_OK) {
    reader->rules = rules;
    reader->start = memory_alloc((size_t)rules->ngram_maximum, sizeof *reader->start);
    reader->repaired = memory_alloc(TERM_MOST_BYTES, 3); /* a wrong byte becomes three */
    if (!reader->start || !reader->repaired) code = error_no_memory(error);
  }
  if (code == SQLITE_OK && rules->keep_case && reader->tokenizer.stems)
    code =
        error_set(error, SQLITE_ERROR,
                  "%s: \"porter\" finds the stems of words in small letters: leave out \"lowercase\": false, or take "
                  "another tokenizer",
                  caller);
  if (code != SQLITE_OK) {
    term_reader_close(reader);
    reader = NULL;
  }
  *opened = reader;
  return code;
}

void term_reader_close(TermReader *reader) {
  if (!reader) return;
  tokenizer_close(&reader->tokenizer);
  memory_free(reader->window);
  memory_free(reader->start);
  memory_free(reader->repaired);
  memory_free(reader);
}

int term_reader_is_concurrent(const TermReader *reader) { return reader->tokenizer.concurrent; }

/* ---- words ------------------------------------------------------------------------------------------------------- */

/* How many bytes at `at` are one valid character of UTF-8; 0: none. */
static int character_length(const unsigned char *at, const unsigned char *end) {
  unsigned char first = *at;
  int length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length == 0 || end - at < length) return 0;
  for (int i = 1; i < length; i++)
    if ((at[i] & 0xc0) != 0x80) return 0;
  if (first == 0xe0 && at[1] < 0xa0) return 0; /* could be shorter */
  if (first == 0xed && at[1] > 0x9f) return 0; /* half of a surrogate pair */
  if (first == 0xf0 && at[1] < 0x90) return 0;
  if (first == 0xf4 && at[1] > 0x8f) return 0;
  return length;
}

/* Characters of a word; what is not UTF-8 is replaced by U+FFFD, in a copy. */
static size_t count_characters(TermReader *reader, const char **word, size_t *size) {
  const unsigned char *at = (const unsigned char *)*word, *end = at + *size;
  size_t characters = 0;
  while (at < end && *at < 0x80) at++, characters++;
  if (at == end) return characters;
  characters = 0;
  char *to = reader->repaired;
  for (at = (const unsigned char *)*word; at < end; characters++) {
    int length = character_length(at, end);
    if (length) {
      memcpy(to, at, (size_t)length);
      to += length;
      at += length;
    } else {
      static const char replacement[] = {'\xef', '\xbf', '\xbd'};
      memcpy(to, replacement, sizeof replacement);
      to += 3;
      at++;
    }
  }
  *word = reader->repaired;
  *size = (size_t)(to - reader->repaired);
  return characters;
}

/* Cuts a word of absurd length where a character begins. */
static size_t cut(const char *word, size_t size) {
  if (size <= TERM_MOST_BYTES) return size;
  size = TERM_MOST_BYTES;
  while (size > TERM_MOST_BYTES - 4 && ((unsigned char)word[size] & 0xc0) == 0x80) size--;
  return size;
}

static int is_stop_word(const TermRules *rules, const char *word, size_t size) {
  if (!rules->stop_words || rules->stop_words->count == 0) return 0;
  const Id id = {.kind = ID_TEXT, .size = (uint32_t)size, .as.bytes = word};
  return dictionary_find(rules->stop_words, &id) != DICTIONARY_NONE;
}

/* ---- runs of words ----------------------------------------------------------------------------------------------- */

static int append_to_window(TermReader *reader, const char *word, size_t size) {
  if (reader->words == reader->rules->ngram_maximum) { /* the oldest word goes */
    size_t gone = reader->words > 1 ? reader->start[1] : reader->used;
    memmove(reader->window, reader->window + gone, reader->used - gone);
    reader->used -= gone;
    for (int i = 1; i < reader->words; i++) reader->start[i - 1] = reader->start[i] - gone;
    reader->words--;
  }
  size_t needed = reader->used + 1 + size;
  if (needed > reader->capacity) {
    char *grown = memory_resize(reader->window, 2 * needed, 1);
    if (!grown) return SQLITE_NOMEM;
    reader->window = grown;
    reader->capacity = 2 * needed;
  }
  if (reader->words) reader->window[reader->used++] = ' ';
  reader->start[reader->words++] = reader->used;
  memcpy(reader->window + reader->used, word, size);
  reader->used += size;
  return SQLITE_OK;
}

/* All runs that end with the newest word. */
static int visit_runs(TermReader *reader) {
  int code = SQLITE_OK;
  for (int length = reader->rules->ngram_minimum; length <= reader->words && code == SQLITE_OK; length++) {
    size_t start = reader->start[reader->words - length];
    code = reader->visit(reader->context, reader->window + start, reader->used - start);
  }
  return code;
}

static int visit_word(TermReader *reader, int flags, const char *word, int length, int start, int end) {
  const TermRules *rules = reader->rules;
  if (rules->keep_case) {
    word = reader->text + start;
    length = end - start;
  }
  size_t size = cut(word, (size_t)length);
  if (count_characters(reader, &word, &size) < (size_t)rules->min_token_length || is_stop_word(rules, word, size))
    return SQLITE_OK;
  /* A synonym at the same place counts as a word, and is no part of a run. */
  int alone = rules->ngram_maximum == 1 || flags & FTS5_TOKEN_COLOCATED;
  if (alone) return rules->ngram_minimum == 1 ? reader->visit(reader->context, word, size) : SQLITE_OK;
  int code = append_to_window(reader, word, size);
  return code == SQLITE_OK ? visit_runs(reader) : code;
}

/* What a visit fails with is kept: a tokenizer of the application's own may not pass it on. */
static int take_word(void *context, int flags, const char *word, int length, int start, int end) {
  TermReader *reader = context;
  if (reader->code == SQLITE_OK) reader->code = visit_word(reader, flags, word, length, start, end);
  return reader->code;
}

int term_reader_read(TermReader *reader, const char *text, size_t size, TermVisit visit, void *context) {
  if (reader->reading) return SQLITE_MISUSE;
  if (size == 0) return SQLITE_OK;
  reader->reading = 1;
  reader->text = text;
  reader->visit = visit;
  reader->context = context;
  reader->code = SQLITE_OK;
  reader->used = 0;
  reader->words = 0;
  int code = tokenizer_read(&reader->tokenizer, text, size, take_word, reader);
  reader->reading = 0;
  return reader->code == SQLITE_OK ? code : reader->code;
}
