/* Words and runs of words: see terms.h. */
#include "terms.h"

#include <string.h>

#include "../base/memory.h"

/* Runs of words are put together in a window: the last ngram_maximum words, joined by blanks. */
struct TermReader {
  const TermRules *rules;
  Tokenizer tokenizer;
  Dictionary stop_words; /* those of the rules, as the tokenizer makes them */
  int learning;          /* a stop word is being read into them */
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

static int learn_stop_words(TermReader *reader, const char *caller, Error *error);

int term_reader_open(TermReader **opened, sqlite3 *db, const TermRules *rules, const char *caller, Error *error) {
  TermReader *reader = memory_alloc_zero(1, sizeof *reader);
  int code = reader ? tokenizer_open(&reader->tokenizer, db, rules->tokenize, caller, error) : error_no_memory(error);
  if (code == SQLITE_OK) {
    dictionary_init(&reader->stop_words);
    reader->rules = rules;
    reader->start = memory_alloc((size_t)rules->ngram_maximum, sizeof *reader->start);
    reader->repaired = memory_alloc(TERM_MOST_BYTES, 3); /* a wrong byte becomes three */
    if (!reader->start || !reader->repaired) code = error_no_memory(error);
  }
  if (code == SQLITE_OK && rules->keep_case && reader->tokenizer.stems)
    code = error_set(error, SQLITE_ERROR,
                     "%s: \"porter\" finds the stems of words in lower case only: leave out \"lowercase\": false, or "
                     "take another tokenizer",
                     caller);
  if (code == SQLITE_OK) code = learn_stop_words(reader, caller, error);
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
  dictionary_free(&reader->stop_words);
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

/* The code point of a valid character. */
static uint32_t code_point(const unsigned char *at, int length) {
  static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  uint32_t code = at[0] & first[length];
  for (int i = 1; i < length; i++) code = code << 6 | (at[i] & 0x3f);
  return code;
}

/* Accents and points, which are no characters by themselves: "é" is as long in one piece as it is in two, "שָׁ" as long
 * as "ש". The vowel signs of India and its neighbours are characters, and not here. */
static int is_accent(uint32_t code) {
  static const struct {
    uint32_t first, last;
  } accents[] = {{0x300, 0x36f},   {0x483, 0x487},     {0x591, 0x5bd},    {0x5bf, 0x5bf},   {0x5c1, 0x5c2},
                 {0x5c4, 0x5c5},   {0x5c7, 0x5c7},     {0x610, 0x61a},    {0x64b, 0x65f},   {0x670, 0x670},
                 {0x6d6, 0x6dc},   {0x6df, 0x6e4},     {0x6e7, 0x6e8},    {0x6ea, 0x6ed},   {0x711, 0x711},
                 {0x730, 0x74a},   {0x7eb, 0x7f3},     {0x816, 0x82d},    {0x859, 0x85b},   {0x8ca, 0x8ff},
                 {0x135d, 0x135f}, {0x1ab0, 0x1aff},   {0x1dc0, 0x1dff},  {0x20d0, 0x20f0}, {0x2cef, 0x2cf1},
                 {0x2de0, 0x2dff}, {0x302a, 0x302f},   {0x3099, 0x309a},  {0xa66f, 0xa67d}, {0xfb1e, 0xfb1e},
                 {0xfe20, 0xfe2f}, {0x1d165, 0x1d244}, {0xe0100, 0xe01ef}};
  for (size_t i = 0; i < sizeof accents / sizeof *accents && code >= accents[i].first; i++)
    if (code <= accents[i].last) return 1;
  return 0;
}

/* Characters of a word; what is not UTF-8 is replaced by U+FFFD, in a copy. */
static size_t count_characters(TermReader *reader, const char **word, size_t *size) {
  const unsigned char *at = (const unsigned char *)*word, *end = at + *size;
  size_t characters = 0;
  while (at < end && *at < 0x80) at++, characters++;
  if (at == end) return characters;
  characters = 0;
  char *to = reader->repaired;
  for (at = (const unsigned char *)*word; at < end;) {
    int length = character_length(at, end);
    if (length) {
      characters += !(reader->tokenizer.letters && is_accent(code_point(at, length)));
      memcpy(to, at, (size_t)length);
      to += length;
      at += length;
    } else {
      static const char replacement[] = {'\xef', '\xbf', '\xbd'};
      memcpy(to, replacement, sizeof replacement);
      characters++;
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

static int is_stop_word(const TermReader *reader, const char *word, size_t size) {
  if (reader->stop_words.count == 0) return 0;
  const Id id = {.kind = ID_TEXT, .size = (uint32_t)size, .as.bytes = word};
  return dictionary_find(&reader->stop_words, &id) != DICTIONARY_NONE;
}

static int learn_stop_word(TermReader *reader, const char *word, size_t size) {
  const Id id = {.kind = ID_TEXT, .size = (uint32_t)size, .as.bytes = word};
  uint32_t index;
  return dictionary_add(&reader->stop_words, &id, &index);
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

static int visit_word(TermReader *reader, int flags, const char *word, size_t length) {
  const TermRules *rules = reader->rules;
  size_t size = cut(word, length);
  if (count_characters(reader, &word, &size) < (size_t)rules->min_token_length) return SQLITE_OK;
  if (reader->learning) return learn_stop_word(reader, word, size);
  if (is_stop_word(reader, word, size)) return SQLITE_OK;
  /* A synonym at the same place counts as a word, and is no part of a run. */
  int alone = rules->ngram_maximum == 1 || flags & FTS5_TOKEN_COLOCATED;
  if (alone) return rules->ngram_minimum == 1 ? reader->visit(reader->context, word, size) : SQLITE_OK;
  int code = append_to_window(reader, word, size);
  return code == SQLITE_OK ? visit_runs(reader) : code;
}

/* ---- letters, marks and joiners ---------------------------------------------------------------------------------- */

/* One character of what the default tokenizer gives: see tokenizer.h. Its code is 0 where it
 * is not valid; it becomes U+FFFD. */
typedef struct Character {
  size_t at, length; /* length 0: the end */
  uint32_t code;
} Character;

static Character character_at(const char *text, size_t size, size_t at) {
  const unsigned char *from = (const unsigned char *)text + at, *end = (const unsigned char *)text + size;
  if (from >= end) return (Character){at, 0, 0};
  int length = character_length(from, end);
  return length ? (Character){at, (size_t)length, code_point(from, length)} : (Character){at, 1, 0};
}

static int is_joiner(const Character *character) { return character->code == 0x200c || character->code == 0x200d; }

static int is_letter(const TermReader *reader, const char *text, const Character *character) {
  uint32_t code = character->code;
  if (code < 0x300 || (code >= 0x370 && code < 0x483) || (code >= 0x3400 && code < 0xa000)) return 1;
  if (is_joiner(character) || is_accent(code)) return 0;
  return tokenizer_is_letter(&reader->tokenizer, text + character->at, character->length);
}

/* A vowel sign, or what kills the vowel: a mark that is not an accent. */
static int is_sign(const TermReader *reader, const char *text, const Character *character) {
  return character->length > 0 && !is_joiner(character) && !is_accent(character->code) &&
         !is_letter(reader, text, character);
}

/* A word begins with a letter, and goes on with letters and marks. A joiner is part of it next to a vowel sign, where
 * it shapes a conjunct; elsewhere it ends the word, as in Python. */
static size_t word_end(const TermReader *reader, const char *text, size_t size, size_t at) {
  Character before = {at, 0, 0}, now = character_at(text, size, at);
  for (; now.length; before = now, now = character_at(text, size, now.at + now.length)) {
    if (!is_joiner(&now)) continue;
    const Character after = character_at(text, size, now.at + now.length);
    if (after.length == 0 || is_joiner(&after)) break;
    if (!is_sign(reader, text, &before) && !is_sign(reader, text, &after)) break;
  }
  return now.at;
}

/* Is the text one word without a look at its characters? Only where it begins with a letter and has no joiner. */
static int is_plain(const char *text, size_t size) {
  if ((unsigned char)text[0] >= 0xcc) return 0; /* U+0300 or more */
  for (size_t i = 0; i + 2 < size; i++)
    if (text[i] == '\xe2' && text[i + 1] == '\x80') return 0;
  return 1;
}

/* The words of a run. */
static int visit_words(TermReader *reader, int flags, const char *text, size_t size) {
  int code = SQLITE_OK;
  if (is_plain(text, size)) return visit_word(reader, flags, text, size);
  for (size_t at = 0, next; at < size && code == SQLITE_OK; at = next) {
    const Character first = character_at(text, size, at);
    next = at + first.length;
    if (!is_letter(reader, text, &first)) continue;
    next = word_end(reader, text, size, at);
    code = visit_word(reader, flags, text + at, next - at);
  }
  return code;
}

/* What a visit fails with is kept: a tokenizer of the application's own may not pass it on. */
static int take_word(void *context, int flags, const char *word, int length, int start, int end) {
  TermReader *reader = context;
  size_t size = (size_t)length;
  if (reader->rules->keep_case) {
    word = reader->text + start;
    size = (size_t)(end - start);
  }
  if (reader->code == SQLITE_OK && size > 0)
    reader->code =
        reader->tokenizer.letters ? visit_words(reader, flags, word, size) : visit_word(reader, flags, word, size);
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

/* ---- stop words -------------------------------------------------------------------------------------------------- */

/* A stop word is what the tokenizer makes of it, in the case and the pieces that a text comes in: "isn't" removes
 * "isn". What is too short to be a word, as the "t" is, need not be removed. */
static int learn_stop_words(TermReader *reader, const char *caller, Error *error) {
  const Dictionary *given = reader->rules->stop_words;
  int code = SQLITE_OK;
  if (!given || given->count == 0) return code;
  if (reader->tokenizer.trigrams)
    return error_set(error, SQLITE_ERROR,
                     "%s: \"trigram\" makes pieces of words, among which no stop word can be found: leave out "
                     "\"stop_words\", or take another tokenizer",
                     caller);
  reader->learning = 1;
  for (size_t i = 0; i < given->count && code == SQLITE_OK; i++) {
    const Id id = dictionary_id(given, i);
    code = term_reader_read(reader, id.as.bytes, id.size, NULL, NULL);
  }
  reader->learning = 0;
  if (code == SQLITE_OK) return code;
  return code == SQLITE_NOMEM
             ? error_no_memory(error)
             : error_set(error, code, "%s: the tokenizer failed at a stop word: %s", caller, sqlite3_errstr(code));
}
