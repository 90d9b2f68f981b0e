/* FTS5's tokenizers: see tokenizer.h. */
#include "tokenizer.h"

#include <stdint.h>
#include <string.h>

enum { MOST_ARGUMENTS = 32 };

/* FTS5 hands its functions over through an SQL function of its own (https://sqlite.org/fts5.html#extending_fts5). */
static int find_fts5(sqlite3 *db, fts5_api **api, const char *caller, Error *error) {
  sqlite3_stmt *statement = NULL;
  *api = NULL;
  int code = sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &statement, NULL);
  if (code == SQLITE_OK) code = sqlite3_bind_pointer(statement, 1, (void *)api, "fts5_api_ptr", NULL);
  if (code == SQLITE_OK) sqlite3_step(statement);
  int finalized = sqlite3_finalize(statement);
  if (code == SQLITE_OK) code = finalized;
  if (code == SQLITE_OK && *api) return SQLITE_OK;
  if (code != SQLITE_OK && strncmp(sqlite3_errmsg(db), "no such function", 16) != 0)
    return error_from_database(error, db, code, caller);
  return error_set(error, SQLITE_ERROR,
                   "%s: texts are split into words by the tokenizers of FTS5, which this SQLite was built without: use "
                   "an SQLite that has FTS5",
                   caller);
}

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Cuts "porter unicode61 tokenchars '_'" into words, in place; '' within quotes is one quote. Returns their number, or
 * -1 where a quote is not closed or there are too many. */
static int cut(char *text, const char *words[MOST_ARGUMENTS]) {
  int count = 0;
  for (;;) {
    while (is_space(*text)) text++;
    if (!*text) return count;
    if (count == MOST_ARGUMENTS) return -1;
    char quote = *text == '\'' || *text == '"' ? *text++ : 0, *to = text;
    words[count++] = to;
    for (; *text && (quote || !is_space(*text)); text++) {
      if (quote && *text == quote) {
        if (text[1] != quote) break;
        text++;
      }
      *to++ = *text;
    }
    if (quote && !*text) return -1;
    if (*text) text++;
    *to = 0;
  }
}

static int is_builtin(const char *name) {
  return sqlite3_stricmp(name, "unicode61") == 0 || sqlite3_stricmp(name, "ascii") == 0 ||
         sqlite3_stricmp(name, "trigram") == 0;
}

/* FTS5's tables are of Unicode 6.1, and what they do not know they take for letters. So the default names the currency
 * signs, symbols, punctuation and emoji that came later, and the places kept for more of them. Of the marks, those that
 * choose how an emoji looks are no part of a word. */
static const struct {
  uint32_t first, last;
} separators[] = {{0x2066, 0x2069}, {0x20ba, 0x20cf},   {0x218a, 0x218b},  {0x23f4, 0x23ff},
                  {0x2427, 0x243f}, {0x2700, 0x2700},   {0x2b4d, 0x2bff},  {0x2e3c, 0x2e7f},
                  {0xfe00, 0xfe0f}, {0x1f000, 0x1f0ff}, {0x1f10d, 0x1fbef}};

static void append_character(sqlite3_str *text, uint32_t c) {
  char bytes[4] = {(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 63)), (char)(0x80 | (c >> 6 & 63)),
                   (char)(0x80 | (c & 63))};
  if (c < 0x10000) bytes[1] = (char)(0xe0 | c >> 12);
  sqlite3_str_append(text, bytes + (c < 0x10000), 3 + (c >= 0x10000));
}

/* Separators from the last to the first: FTS5 sorts them as they come, by insertion, and so at once. */
static char *runs_specification(void) {
  sqlite3_str *text = sqlite3_str_new(NULL);
  sqlite3_str_appendall(
      text, "unicode61 remove_diacritics 0 categories 'L* N* Mn Mc' tokenchars '_" TOKENIZER_JOINERS "' separators '");
  for (size_t i = sizeof separators / sizeof *separators; i > 0; i--)
    for (uint32_t c = separators[i - 1].last; c >= separators[i - 1].first; c--) append_character(text, c);
  sqlite3_str_appendall(text, "'");
  return sqlite3_str_finish(text);
}

/* A tokenizer by its name, words[0], and its options; `shown` is what messages show of it. */
static int create(fts5_api *api, Tokenizer *tokenizer, const char *const *words, int count, Fts5Tokenizer **instance,
                  const char *shown, const char *caller, Error *error) {
  void *context = NULL;
  int code = api->xFindTokenizer(api, words[0], &context, &tokenizer->methods);
  if (code == SQLITE_NOMEM) return error_no_memory(error);
  if (code != SQLITE_OK)
    return error_set(error, SQLITE_ERROR,
                     "%s: there is no tokenizer \"%s\"; SQLite has \"unicode61\", \"ascii\", \"porter\" and "
                     "\"trigram\"",
                     caller, words[0]);
  code = tokenizer->methods.xCreate(context, (const char **)words + 1, count - 1, instance);
  if (code == SQLITE_OK) return code;
  *instance = NULL;
  if (code == SQLITE_NOMEM) return error_no_memory(error);
  return error_set(error, SQLITE_ERROR, "%s: the tokenizer \"%s\" does not take these options: \"%.60s\"", caller,
                   words[0], shown);
}

/* The same from a specification, which is cut in place. */
static int create_from(fts5_api *api, Tokenizer *tokenizer, char *text, Fts5Tokenizer **instance, const char *shown,
                       const char *caller, Error *error) {
  const char *words[MOST_ARGUMENTS] = {NULL};
  if (!text) return error_no_memory(error);
  int count = cut(text, words);
  if (count < 1)
    return error_set(error, SQLITE_ERROR,
                     "%s: option \"tokenize\" must name a tokenizer of FTS5 and its options, such as \"%s\", not "
                     "\"%.60s\"",
                     caller, "porter unicode61 remove_diacritics 2", shown);
  int code = create(api, tokenizer, words, count, instance, shown, caller, error);
  if (code != SQLITE_OK) return code;
  tokenizer->stems = sqlite3_stricmp(words[0], "porter") == 0;
  tokenizer->trigrams = sqlite3_stricmp(words[0], "trigram") == 0;
  tokenizer->concurrent =
      sqlite3_threadsafe() && (tokenizer->stems ? count < 2 || is_builtin(words[1]) : is_builtin(words[0]));
  return SQLITE_OK;
}

int tokenizer_open(Tokenizer *tokenizer, sqlite3 *db, const char *specification, const char *caller, Error *error) {
  *tokenizer = (Tokenizer){0};
  fts5_api *api = NULL;
  const char *shown = specification ? specification : TOKENIZER_DEFAULT;
  char *text = specification ? sqlite3_mprintf("%s", specification) : runs_specification();
  int code = find_fts5(db, &api, caller, error);
  if (api && code == SQLITE_OK) code = create_from(api, tokenizer, text, &tokenizer->instance, shown, caller, error);
  sqlite3_free(text);
  if (code != SQLITE_OK || specification || !api) return code;
  text = sqlite3_mprintf("%s", TOKENIZER_DEFAULT);
  code = create_from(api, tokenizer, text, &tokenizer->letters, shown, caller, error);
  sqlite3_free(text);
  return code;
}

void tokenizer_close(Tokenizer *tokenizer) {
  if (tokenizer->instance) tokenizer->methods.xDelete(tokenizer->instance);
  if (tokenizer->letters) tokenizer->methods.xDelete(tokenizer->letters);
  *tokenizer = (Tokenizer){0};
}

int tokenizer_read(const Tokenizer *tokenizer, const char *text, size_t size, TokenVisit visit, void *context) {
  return tokenizer->methods.xTokenize(tokenizer->instance, context, FTS5_TOKENIZE_DOCUMENT, text, (int)size, visit);
}

static int count_word(void *context, int flags, const char *word, int size, int start, int end) {
  (void)flags;
  (void)word;
  (void)size;
  (void)start;
  (void)end;
  ++*(int *)context;
  return SQLITE_OK;
}

int tokenizer_is_letter(const Tokenizer *tokenizer, const char *character, size_t size) {
  int words = 0;
  tokenizer->methods.xTokenize(tokenizer->letters, &words, FTS5_TOKENIZE_DOCUMENT, character, (int)size, count_word);
  return words > 0;
}
