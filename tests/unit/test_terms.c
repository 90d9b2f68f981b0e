/* From texts to terms: words, cases and accents, what is not UTF-8, stop words, runs of words against a plain loop, and
 * tokenizers of an application's own, which say two words at one place, fail, or ask for words amid a text. */
#include "data/terms.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "check.h"

static sqlite3 *db;

static void open_database(void) { CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK); }

static void close_database(void) {
  CHECK(sqlite3_next_stmt(db, NULL) == NULL); /* nothing is left open */
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

static const TermRules plain = {.min_token_length = 2, .ngram_minimum = 1, .ngram_maximum = 1};

/* ---- what a text reads as ---------------------------------------------------------------------------------------- */

typedef struct Said {
  char text[1 << 17]; /* terms, each with a | behind it */
  size_t used;
  long terms, stop_at; /* the visit that fails with `code` */
  int code;
} Said;

static Said said;

static int say(void *context, const char *term, size_t size) {
  Said *to = context;
  to->terms++;
  if (to->stop_at == to->terms) return to->code;
  if (CHECK(to->used + size + 2 < sizeof to->text)) {
    memcpy(to->text + to->used, term, size);
    to->used += size;
    to->text[to->used++] = '|';
    to->text[to->used] = 0;
  }
  return SQLITE_OK;
}

static int read_into(TermReader *reader, const char *text, size_t size) {
  said.used = 0;
  said.terms = 0;
  said.text[0] = 0;
  return term_reader_read(reader, text, size, say, &said);
}

static TermReader *open_reader(const TermRules *rules) {
  TermReader *reader = NULL;
  Error error = {0};
  if (!CHECK(term_reader_open(&reader, db, rules, "caller", &error) == SQLITE_OK)) {
    printf("  %s\n", error.message);
    exit(1);
  }
  return reader;
}

static void reads_bytes(TermRules rules, const char *text, size_t size, const char *expected) {
  TermReader *reader = open_reader(&rules);
  CHECK(read_into(reader, text, size) == SQLITE_OK);
  CHECK_TEXT(said.text, expected);
  CHECK(read_into(reader, text, size) == SQLITE_OK); /* and once more */
  CHECK_TEXT(said.text, expected);
  term_reader_close(reader);
}

static void reads(TermRules rules, const char *text, const char *expected) {
  reads_bytes(rules, text, strlen(text), expected);
}

static void refuses(TermRules rules, const char *parts) {
  TermReader *reader = NULL;
  Error error = {0};
  CHECK(term_reader_open(&reader, db, &rules, "caller", &error) == SQLITE_ERROR);
  CHECK(reader == NULL && error.code == SQLITE_ERROR);
  CHECK(error.message && strncmp(error.message, "caller: ", 8) == 0);
  char *copy = sqlite3_mprintf("%s", parts), *rest = copy;
  for (char *part = strtok_r(rest, "|", &rest); part; part = strtok_r(rest, "|", &rest))
    if (!CHECK(error.message && strstr(error.message, part))) printf("  %s: not in %s\n", part, error.message);
  sqlite3_free(copy);
  error_clear(&error);
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static void test_words(void) {
  TermRules rules = plain;
  open_database();
  reads(plain, "", "");
  reads(plain, " ,.;", "");
  reads(plain, "The quick-brown FOX's 42nd don't a x_1 _ __", "the|quick|brown|fox|42nd|don|x_1|__|");
  reads(plain, "Größe ÉTÉ ångström İ 東京 日 Ωmega", "größe|été|ångström|東京|ωmega|");
  reads(plain, "smile \xf0\x9f\x98\x80 smile\xf0\x9f\x98\x80smile", "smile|smile|smile|");
  reads_bytes(plain, "one\0two", 7, "one|two|");
  rules.min_token_length = 1;
  reads(rules, "a bb é", "a|bb|é|");
  rules.min_token_length = 3; /* characters, not bytes */
  reads(rules, "éé ééé ab abc 東京 東京都", "ééé|abc|東京都|");
  rules = plain;
  rules.keep_case = 1;
  reads(rules, "The FOX Été", "The|FOX|Été|");
  /* Marks go on with a word, and begin none; a joiner is part of it only beside a vowel sign. */
  reads(rules, "फ़िल्म क्‍ष ab\u200dcd \u0301ef e\u0301 \u200d\u093f",
        "फ़िल्म|क्‍ष|ab|cd|ef|");
  reads_bytes(rules, "\u0301\u0301\xcc", 5, "");
  reads_bytes(rules, "ab\u093f\u200d", 8, "ab\u093f|");
  rules = plain;
  rules.tokenize = "unicode61 remove_diacritics 2";
  reads(rules, "Été x_1", "ete|");
  rules.tokenize = "porter unicode61";
  reads(rules, "running runs foxes", "run|run|fox|");
  rules.tokenize = "  'porter'   \"unicode61\" remove_diacritics '2' ";
  reads(rules, "Étés running", "et|run|");
  rules.tokenize = "unicode61 separators 'o''x'";
  reads(rules, "foxes lo'op", "es|"); /* o, ' and x are none of a word: f, es, l, p */
  rules.tokenize = "trigram";
  reads(rules, "abcde", "abc|bcd|cde|");
  close_database();
}

static void test_refusals(void) {
  TermRules rules = plain;
  open_database();
  static const char *const wrong[][2] = {
      {"nonesuch", "there is no tokenizer \"nonesuch\"|unicode61|porter"},
      {"", "option \"tokenize\"|such as"},
      {"   ", "option \"tokenize\""},
      {"unicode61 tokenchars '_", "option \"tokenize\""},
      {"unicode61 nonesuch 1", "does not take these options|nonesuch"},
      {"unicode61 remove_diacritics", "does not take these options"},
      {"'' ''", "there is no tokenizer"},
      {"a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h", "option \"tokenize\""},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    rules.tokenize = wrong[i][0];
    refuses(rules, wrong[i][1]);
  }
  rules.tokenize = "porter unicode61";
  rules.keep_case = 1;
  refuses(rules, "\"porter\"|\"lowercase\"");
  close_database();
}

static void do_nothing(sqlite3_context *context, int count, sqlite3_value **arguments) {
  (void)context, (void)count, (void)arguments;
}

static void fail_always(sqlite3_context *context, int count, sqlite3_value **arguments) {
  (void)count, (void)arguments;
  sqlite3_result_error(context, "no", -1);
}

/* As a SQLite without FTS5: the function that hands its functions over hands over nothing. What it fails with is said.
 */
static void test_without_fts5(void) {
  static void (*const instead[])(sqlite3_context *, int, sqlite3_value **) = {do_nothing, fail_always};
  static const char *const messages[] = {"FTS5|built without", "caller: no"};
  for (size_t i = 0; i < sizeof instead / sizeof *instead; i++) {
    open_database();
    CHECK(sqlite3_create_function(db, "fts5", 1, SQLITE_UTF8, NULL, instead[i], NULL, NULL) == SQLITE_OK);
    refuses(plain, messages[i]);
    close_database();
  }
}

/* ---- what is not UTF-8 ------------------------------------------------------------------------------------------- */

/* A second reader of UTF-8, by the table of Unicode 15, 3-7, row by row. */
static int valid_length(const unsigned char *s, size_t size) {
  static const unsigned char rows[][9] = {
      /* bytes, then the least and the most of each */
      {1, 0x00, 0x7f},
      {2, 0xc2, 0xdf, 0x80, 0xbf},
      {3, 0xe0, 0xe0, 0xa0, 0xbf, 0x80, 0xbf},
      {3, 0xe1, 0xec, 0x80, 0xbf, 0x80, 0xbf},
      {3, 0xed, 0xed, 0x80, 0x9f, 0x80, 0xbf},
      {3, 0xee, 0xef, 0x80, 0xbf, 0x80, 0xbf},
      {4, 0xf0, 0xf0, 0x90, 0xbf, 0x80, 0xbf, 0x80, 0xbf},
      {4, 0xf1, 0xf3, 0x80, 0xbf, 0x80, 0xbf, 0x80, 0xbf},
      {4, 0xf4, 0xf4, 0x80, 0x8f, 0x80, 0xbf, 0x80, 0xbf},
  };
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    int length = rows[r][0], right = size >= (size_t)length;
    for (int i = 0; i < length && right; i++) right = s[i] >= rows[r][1 + 2 * i] && s[i] <= rows[r][2 + 2 * i];
    if (right) return length;
  }
  return 0;
}

static int is_valid(const char *text, size_t size) {
  for (size_t at = 0; at < size;) {
    int length = valid_length((const unsigned char *)text + at, size - at);
    if (!length) return 0;
    at += (size_t)length;
  }
  return 1;
}

/* ---- tokenizers of an application's own -------------------------------------------------------------------------- */

/* Words are what stands between blanks, as it is. "=word" is at the place of the word before; "!" fails with the code
 * in `context`; "?" asks, amid the text, for the words of another; "~" says an empty word. */
typedef struct Odd {
  int code;
  TermReader *other;
  int instances, answers;
  int careless; /* goes on whatever the visit returns */
} Odd;

static Odd odd;

static int odd_create(void *context, const char **arguments, int count, Fts5Tokenizer **instance) {
  (void)arguments;
  if (count) return SQLITE_ERROR;
  odd.instances++;
  *instance = context;
  return SQLITE_OK;
}

static void odd_delete(Fts5Tokenizer *instance) {
  CHECK((void *)instance == &odd);
  odd.instances--;
}

static int ignore_term(void *context, const char *term, size_t size) {
  (void)context, (void)term, (void)size;
  return SQLITE_OK;
}

static int odd_tokenize(Fts5Tokenizer *instance, void *context, int flags, const char *text, int size,
                        int (*visit)(void *, int, const char *, int, int, int)) {
  (void)instance;
  CHECK(flags == FTS5_TOKENIZE_DOCUMENT);
  int code = SQLITE_OK;
  for (int at = 0; at < size && code == SQLITE_OK;) {
    int start = at;
    while (at < size && text[at] != ' ') at++;
    int length = at - start;
    if (length && text[start] == '!')
      code = odd.code;
    else if (length && text[start] == '?')
      odd.answers = term_reader_read(odd.other, "two words", 9, ignore_term, NULL);
    else if (length && text[start] == '~')
      code = visit(context, 0, text + start, 0, start, start);
    else if (length && text[start] == '=')
      code = visit(context, FTS5_TOKEN_COLOCATED, text + start + 1, length - 1, start + 1, at);
    else if (length)
      code = visit(context, 0, text + start, length, start, at);
    while (at < size && text[at] == ' ') at++;
    if (odd.careless) code = SQLITE_OK;
  }
  return code;
}

static void register_odd(void) {
  fts5_api *api = NULL;
  sqlite3_stmt *statement = NULL;
  fts5_tokenizer methods = {odd_create, odd_delete, odd_tokenize};
  CHECK(sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &statement, NULL) == SQLITE_OK);
  sqlite3_bind_pointer(statement, 1, (void *)&api, "fts5_api_ptr", NULL);
  sqlite3_step(statement);
  sqlite3_finalize(statement);
  if (!CHECK(api != NULL)) exit(1);
  CHECK(api->xCreateTokenizer(api, "odd", &odd, &methods, NULL) == SQLITE_OK);
}

static void test_own_tokenizer(void) {
  TermRules rules = plain;
  open_database();
  register_odd();
  rules.tokenize = "odd";
  reads(rules, "Red the =a-synonym ~ fox", "Red|the|a-synonym|fox|");
  rules.ngram_maximum = 2; /* a synonym is a term, and no part of a run */
  reads(rules, "red the =one =two fox", "red|the|red the|one|two|fox|the fox|");
  rules.ngram_minimum = 2;
  reads(rules, "red the =one =two fox", "red the|the fox|");
  reads(rules, "alone", "");
  rules = plain;
  rules.tokenize = "odd";
  TermReader *reader = open_reader(&rules);
  assert_int_equal(odd.instances, 1);
  assert_false(term_reader_is_concurrent(reader)); /* nothing is known of it */
  /* What it fails with comes back, and the reader goes on working. */
  static const int codes[] = {SQLITE_ERROR, SQLITE_NOMEM, SQLITE_INTERRUPT, SQLITE_CORRUPT, 12345};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    odd.code = codes[i];
    CHECK(read_into(reader, "one two ! three", 15) == codes[i]);
    CHECK_TEXT(said.text, "one|two|");
    CHECK(read_into(reader, "one two", 7) == SQLITE_OK);
    CHECK_TEXT(said.text, "one|two|");
  }
  /* It asks the same reader, and another one, for words amid a text. */
  odd.other = reader;
  assert_int_equal(read_into(reader, "one ? two", 9), SQLITE_OK);
  assert_int_equal(odd.answers, SQLITE_MISUSE);
  assert_string_equal(said.text, "one|two|");
  odd.other = open_reader(&plain);
  assert_int_equal(read_into(reader, "one ? two", 9), SQLITE_OK);
  assert_int_equal(odd.answers, SQLITE_OK);
  assert_string_equal(said.text, "one|two|");
  assert_true(term_reader_is_concurrent(odd.other));
  term_reader_close(odd.other);
  term_reader_close(reader);
  assert_int_equal(odd.instances, 0);
  rules.tokenize = "odd with arguments";
  refuses(rules, "tokenizer \"odd\"|does not take");
  /* A visit that fails ends the reading with its code. */
  rules.tokenize = "odd";
  static const char *const tokenizers[] = {"odd", "unicode61", "ascii", "porter", "trigram"};
  for (size_t i = 0; i < sizeof tokenizers / sizeof *tokenizers; i++) {
    rules.tokenize = tokenizers[i];
    reader = open_reader(&rules);
    said.stop_at = 2;
    said.code = SQLITE_NOMEM;
    CHECK(read_into(reader, "first second third", 18) == SQLITE_NOMEM && said.terms == 2);
    said.stop_at = 0;
    CHECK(read_into(reader, "first", 5) == SQLITE_OK && said.terms > 0);
    term_reader_close(reader);
  }
  rules.tokenize = "odd"; /* even where the tokenizer does not pass it on */
  reader = open_reader(&rules);
  odd.careless = 1;
  said.stop_at = 2;
  assert_int_equal(read_into(reader, "first second third", 18), SQLITE_NOMEM);
  assert_int_equal(said.terms, 2);
  said.stop_at = 0;
  odd.careless = 0;
  term_reader_close(reader);
  close_database();
}

/* A tokenizer that passes bytes on as they come: every wrong one becomes U+FFFD. */
static void test_repair(void) {
  TermRules rules = plain;
  open_database();
  register_odd();
  rules.tokenize = "odd";
  reads_bytes(rules, "a\x80z \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82", 18,
              "a\xef\xbf\xbdz|\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|"
              "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|");
  reads(rules, "\xc3\xa9t\xc3\xa9 \xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9t\xc3\xa9|\xe2\x82\xac\xf0\x9f\x98\x80|");
  /* Random bytes: terms are valid, and those that were valid are unchanged. */
  TermReader *reader = open_reader(&rules);
  static const unsigned char likely[] = {0x41, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0,
                                         0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff, 0x90, 0x8f};
  for (uint64_t turn = 0; turn < 20000; turn++) {
    char text[12];
    size_t size = 2 + random_bits(turn, 0) % 10;
    for (size_t i = 0; i < size; i++) text[i] = (char)likely[random_bits(turn, i + 1) % sizeof likely];
    if (memchr("!?~=", text[0], 4)) continue;
    CHECK(read_into(reader, text, size) == SQLITE_OK);
    if (said.terms == 0) continue; /* one character */
    CHECK(is_valid(said.text, said.used));
    if (is_valid(text, size)) CHECK(said.used == size + 1 && memcmp(said.text, text, size) == 0);
  }
  term_reader_close(reader);
  /* Words of absurd length are cut where a character begins, wrong bytes and all. */
  size_t size = 3 * TERM_MOST_BYTES;
  char *longest = malloc(size);
  for (int kind = 0; kind < 3 && longest; kind++) {
    for (size_t i = 0; i < size; i++) longest[i] = kind == 0 ? 'x' : kind == 1 ? "\xe2\x82\xac"[i % 3] : '\xff';
    reader = open_reader(&rules);
    CHECK(read_into(reader, longest, size) == SQLITE_OK && said.terms == 1);
    size_t expected = kind == 2 ? 3 * (size_t)TERM_MOST_BYTES : kind == 1 ? TERM_MOST_BYTES / 3 * 3 : TERM_MOST_BYTES;
    CHECK(said.used == expected + 1 && is_valid(said.text, said.used));
    term_reader_close(reader);
  }
  free(longest);
  close_database();
}

/* ---- stop words and runs of words -------------------------------------------------------------------------------- */

static void add_word(Dictionary *words, const char *word) {
  const Id id = {.kind = ID_TEXT, .size = (uint32_t)strlen(word), .as.bytes = word};
  uint32_t index;
  CHECK(dictionary_add(words, &id, &index) == SQLITE_OK);
}

static void test_stop_words(void) {
  Dictionary english = {0}, own = {0};
  TermRules rules = plain;
  open_database();
  assert_int_equal(stop_words_english(&english), SQLITE_OK);
  assert_int_equal(english.count, 318); /* as many as scikit-learn has */
  rules.stop_words = &english;
  reads(rules, "The fox AND the hound were there", "fox|hound|");
  for (size_t i = 1; i < english.count; i++) {
    Id before = dictionary_id(&english, i - 1), here = dictionary_id(&english, i);
    CHECK(id_compare(&before, &here) < 0);
  }
  add_word(&own, "été");
  add_word(&own, "fox");
  rules.stop_words = &own;
  rules.ngram_maximum = 2; /* runs go over the gaps, as in scikit-learn */
  reads(rules, "the FOX ate Été grapes", "the|ate|the ate|grapes|ate grapes|");
  dictionary_free(&english);
  dictionary_free(&own);
  close_database();
}

/* All runs of min … max words, by their ends, the plain way. */
static void expect_runs(char words[][8], int count, int minimum, int maximum, char *to) {
  *to = 0;
  for (int end = 1; end <= count; end++)
    for (int length = minimum; length <= maximum && length <= end; length++) {
      for (int i = end - length; i < end; i++) {
        strcat(to, words[i]);
        strcat(to, i + 1 < end ? " " : "|");
      }
    }
}

static void test_runs(void) {
  static char words[40][8], expected[1 << 16], text[1024];
  open_database();
  for (int minimum = 1; minimum <= 6; minimum++)
    for (int maximum = minimum; maximum <= 16; maximum++)
      for (int count = 0; count <= 40; count += count < 4 ? 1 : 12) {
        TermRules rules = plain;
        text[0] = 0;
        for (int i = 0; i < count && i < 40; i++) {
          snprintf(words[i], sizeof words[i], "w%d", (i * 7 + count) % 120);
          strcat(text, words[i]);
          strcat(text, i % 3 ? " " : ", x "); /* x is too short, and no part of a run */
        }
        rules.ngram_minimum = minimum;
        rules.ngram_maximum = maximum;
        expect_runs(words, count > 40 ? 40 : count, minimum, maximum, expected);
        reads(rules, text, expected);
      }
  close_database();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_words),  TEST(test_refusals),   TEST(test_without_fts5), TEST(test_own_tokenizer),
      TEST(test_repair), TEST(test_stop_words), TEST(test_runs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
