/* Reading items: what a plain loop over the same rows counts, whatever the threads, batches and rows that share an id;
 * JSON, vectors, errors that name the row, and the wish to stop. */
#include "data/documents.h"

#include <stdlib.h>

#include "base/memory.h"
#include "check.h"

static sqlite3 *db;

static void run(const char *sql) {
  char *message = NULL;
  if (!CHECK(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK)) printf("  %.100s: %s\n", sql, message);
  sqlite3_free(message);
}

static void open_database(void) { CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK); }

static void close_database(void) {
  CHECK(sqlite3_next_stmt(db, NULL) == NULL); /* nothing is left open */
  CHECK(sqlite3_get_autocommit(db));
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

static TermRules rules = {.min_token_length = 2, .ngram_minimum = 1, .ngram_maximum = 1};
static const OptionTexts all_columns;

static int read_with(const char *text, DocumentOptions options, Documents *documents, const Cancel *cancel,
                     Error *error) {
  Source source;
  options.caller = "tfidf_train";
  options.rules = &rules;
  if (!options.text) options.text = &all_columns;
  if (!options.threads) options.threads = 1;
  memset(documents, 0, sizeof *documents);
  int code = source_resolve(db, text, options.caller, &source, error);
  if (code == SQLITE_OK) code = documents_read(db, &source, &options, documents, cancel, error);
  source_free(&source);
  CHECK(code == error->code);
  return code;
}

static Documents read_source(const char *text, DocumentOptions options) {
  Documents documents;
  Error error = {0};
  if (!CHECK(read_with(text, options, &documents, NULL, &error) == SQLITE_OK))
    printf("  %.100s: %s\n", text, error.message ? error.message : "?");
  error_clear(&error);
  return documents;
}

static void fails(const char *text, DocumentOptions options, int code, const char *parts) {
  Documents documents;
  Error error = {0};
  int got = read_with(text, options, &documents, NULL, &error);
  if (!CHECK(got == code)) printf("  %.100s: code %d, %s\n", text, got, error.message ? error.message : "?");
  char *copy = sqlite3_mprintf("%s", parts), *rest = copy;
  for (char *part = strtok_r(rest, "|", &rest); part; part = strtok_r(rest, "|", &rest))
    if (!CHECK(error.message && strstr(error.message, part)))
      printf("  %s: not in %s\n", part, error.message ? error.message : "?");
  sqlite3_free(copy);
  CHECK(documents.items.count == 0 && documents.counts.start == NULL && documents.vectors == NULL);
  CHECK(sqlite3_next_stmt(db, NULL) == NULL);
  error_clear(&error);
}

/* ---- as a text: "id: term×count …; …" ---------------------------------------------------------------------------- */

static void append_id(sqlite3_str *to, const Dictionary *dictionary, size_t index) {
  char text[ID_FORMAT_SIZE];
  Id id = dictionary_id(dictionary, index);
  if (id.kind == ID_TEXT)
    sqlite3_str_append(to, id.as.bytes, (int)id.size);
  else
    sqlite3_str_appendall(to, id_format(&id, text));
}

static char *as_text(const Documents *documents) {
  sqlite3_str *to = sqlite3_str_new(NULL);
  for (size_t item = 0; item < documents->items.count; item++) {
    append_id(to, &documents->items, item);
    sqlite3_str_appendchar(to, 1, ':');
    if (documents->counts.start) {
      for (size_t e = documents->counts.start[item]; e < documents->counts.start[item + 1]; e++) {
        sqlite3_str_appendchar(to, 1, ' ');
        append_id(to, &documents->terms, documents->counts.index[e]);
        if (documents->counts.value[e] != 1) sqlite3_str_appendf(to, "*%g", (double)documents->counts.value[e]);
      }
    } else {
      for (int i = 0; i < documents->dimensions; i++)
        sqlite3_str_appendf(to, " %g", (double)documents->vectors[item * (size_t)documents->dimensions + (size_t)i]);
    }
    sqlite3_str_appendall(to, "; ");
  }
  char *text = sqlite3_str_finish(to);
  return text ? text : sqlite3_mprintf("");
}

static void is_read_as(const char *source, DocumentOptions options, const char *expected) {
  Documents documents = read_source(source, options);
  char *text = as_text(&documents);
  CHECK_TEXT(text, expected);
  sqlite3_free(text);
  documents_free(&documents);
}

/* ---- small sources ----------------------------------------------------------------------------------------------- */

static void test_columns(void) {
  static char *body[] = {"body"}, *both[] = {"body", "TITLE"}, *none[] = {"nonesuch"};
  static const OptionTexts only = {1, body}, two = {2, both}, wrong = {1, none};
  open_database();
  run("CREATE TABLE t(key INTEGER, title TEXT, body, more);"
      "INSERT INTO t VALUES(2, 'Red fox', 'a red house', NULL), (1, NULL, 42, 1.5), (NULL, 'lost', '', ''),"
      " (3, '', NULL, NULL), ('', 'lost', '', '')");
  is_read_as("t", (DocumentOptions){0}, "1: 42; 2: fox house red*2; 3:; ");
  is_read_as("t", (DocumentOptions){.text = &only}, "1: 42; 2: house red; 3:; ");
  is_read_as("t", (DocumentOptions){.text = &two}, "1: 42; 2: fox house red*2; 3:; ");
  is_read_as("t", (DocumentOptions){.id = "TITLE"}, "Red fox: house red; lost:; ");
  is_read_as("SELECT key, title FROM t ORDER BY key DESC", (DocumentOptions){0}, "1:; 2: fox red; 3:; ");
  Documents documents = read_source("t", (DocumentOptions){0});
  assert_int_equal(documents.rows, 5);
  assert_int_equal(documents.left_out, 2);
  assert_int_equal(documents.repeated, 0);
  assert_int_equal(documents.empty, 1);
  assert_int_equal(documents.affinity, ID_AFFINITY_INTEGER);
  assert_null(documents.words);
  assert_int_equal(documents.documents, 0);
  documents_free(&documents);
  documents_free(&documents); /* cleared is fine */
  fails("t", (DocumentOptions){.text = &wrong}, SQLITE_ERROR, "tfidf_train: |\"text\"|nonesuch|\"title\"");
  fails("t", (DocumentOptions){.id = "nonesuch"}, SQLITE_ERROR, "tfidf_train: |\"id\"|nonesuch");
  fails("t", (DocumentOptions){.embedding = "nonesuch"}, SQLITE_ERROR, "tfidf_train: |\"embedding\"|nonesuch");
  fails("SELECT key FROM t", (DocumentOptions){0}, SQLITE_ERROR, "one column, \"key\"");
  fails("SELECT 1, 'a' UNION ALL SELECT 'x', x'00'", (DocumentOptions){0}, SQLITE_MISMATCH,
        "row 2|id 'x'|BLOB|\"embedding\"");
  fails("SELECT 1, abs(-9223372036854775808)", (DocumentOptions){0}, SQLITE_ERROR, "overflow");
  is_read_as("SELECT 1, 'a' WHERE 0", (DocumentOptions){0}, "");
  close_database();
}

static void test_json(void) {
  open_database();
  is_read_as("SELECT 1, ' [\"red fox\", {\"key\": \"blue\", \"n\": 77, \"deep\": [[\"fox\"]]}, null, true] '",
             (DocumentOptions){0}, "1: blue fox*2 red; ");
  is_read_as("SELECT 1, '[\"red\", \"fox\"'", (DocumentOptions){0}, "1: fox red; "); /* not JSON: a text */
  is_read_as("SELECT 1, '[\"red\"] fox'", (DocumentOptions){0}, "1: fox red; ");
  is_read_as("SELECT 1, '\"red fox\"'", (DocumentOptions){0}, "1: fox red; ");
  is_read_as("SELECT 1, '[]', '{}'", (DocumentOptions){0}, "1:; ");
  is_read_as("SELECT 1, '[\"gr\\u00fcn \\ud83d\\ude00\"]'", (DocumentOptions){0}, "1: grün; ");
  is_read_as("SELECT 1, '[\"red\\u0000fox\", \"\\\\u0000\", \"blue\"]'", (DocumentOptions){0},
             "1: blue fox red u0000; ");
  /* Runs reach neither from a column to the next nor from a string to the next. */
  rules.ngram_maximum = 2;
  is_read_as("SELECT 1, 'aa bb', 'cc dd'", (DocumentOptions){0}, "1: aa aa bb bb cc cc dd dd; ");
  is_read_as("SELECT 1, '[\"aa bb\", \"cc\"]'", (DocumentOptions){0}, "1: aa aa bb bb cc; ");
  rules.ngram_maximum = 1;
  close_database();
}

static void test_same_id(void) {
  open_database();
  run("CREATE TABLE t(id, text); INSERT INTO t VALUES(1, 'one fox'), ('1', 'text'), (1.0, 'two fox'), (2, 'deer'),"
      " (x'31', 'blob'), (1, NULL)");
  const DocumentOptions join = {.same_id = SAME_ID_JOIN, .keep_words = 1}, last = {.same_id = SAME_ID_LAST};
  is_read_as("t", last, "1:; 2: deer; 1: text; x'31': blob; ");
  is_read_as("SELECT * FROM t WHERE text IS NOT NULL", last, "1: fox two; 2: deer; 1: text; x'31': blob; ");
  is_read_as("t", join, "1: fox*2 one two; 2: deer; 1: text; x'31': blob; ");
  Documents documents = read_source("t", join);
  assert_int_equal(documents.rows, 6);
  assert_int_equal(documents.repeated, 2);
  assert_int_equal(documents.documents, 6);
  /* The words in order of the rows. */
  sqlite3_str *words = sqlite3_str_new(NULL);
  for (size_t d = 0; d < documents.documents; d++) {
    for (size_t w = documents.word_start[d]; w < documents.word_start[d + 1]; w++) {
      append_id(words, &documents.terms, documents.words[w]);
      sqlite3_str_appendchar(words, 1, ' ');
    }
    sqlite3_str_appendchar(words, 1, '|');
  }
  char *text = sqlite3_str_finish(words);
  assert_string_equal(text, "one fox |text |two fox |deer |blob ||");
  sqlite3_free(text);
  documents_free(&documents);
  documents = read_source("t", last);
  assert_int_equal(documents.repeated, 2);
  assert_int_equal(documents.empty, 1);
  assert_int_equal(documents.terms.count, 6); /* "one" and "two" too, which are in no item: see tfidf_select */
  documents_free(&documents);
  fails("t", (DocumentOptions){.same_id = SAME_ID_ERROR}, SQLITE_CONSTRAINT, "row 3|id 1,|earlier");
  close_database();
}

/* ---- vectors ----------------------------------------------------------------------------------------------------- */

static void test_vectors(void) {
  const DocumentOptions last = {.embedding = "v"}, join = {.embedding = "v", .same_id = SAME_ID_JOIN};
  open_database();
  run("CREATE TABLE t(id, v); INSERT INTO t VALUES(3, NULL), (1, '[1, -2.5]'), (2, x'0000803F00000040'), (1, '[3, 4]'),"
      " (4, ''), (4, x'')");
  is_read_as("t", last, "1: 3 4; 2: 1 2; 3: 0 0; 4: 0 0; ");
  is_read_as("t", join, "1: 4 1.5; 2: 1 2; 3: 0 0; 4: 0 0; ");
  Documents documents = read_source("t", last);
  assert_int_equal(documents.dimensions, 2);
  assert_int_equal(documents.empty, 2);
  assert_int_equal(documents.repeated, 2);
  assert_int_equal(documents.rows, 6);
  assert_null(documents.counts.start);
  assert_int_equal(documents.terms.count, 0);
  documents_free(&documents);
  is_read_as("SELECT 1 id, NULL v", last, "1:; ");
  static const char *const wrong[] = {"'a text'",     "'[1, \"2\"]'",    "'[]'",   "'[1, 1e39]'", "'[1,'",
                                      "'{\"a\": 1}'", "x'000000'",       "7",      "x'0000807F'", "x'0000C07F'",
                                      "'[1] [2]'",    "zeroblob(16388)", "'[[1]]'"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char *sql = sqlite3_mprintf("SELECT 5 id, NULL v UNION ALL SELECT 'x', %s", wrong[i]);
    fails(sql, last, SQLITE_MISMATCH, "row 2 (id 'x')|a value that is not a vector");
    sqlite3_free(sql);
  }
  fails("SELECT 1 id, '[1]' v UNION ALL SELECT 2, '[1, 2]'", last, SQLITE_MISMATCH, "row 2|of 2 numbers|have 1");
  fails("SELECT 1 id, '[3e38]' v UNION ALL SELECT 1, '[3e38]'", join, SQLITE_MISMATCH, "add up|\"join\"");
  is_read_as("SELECT 1 id, '[3e38]' v UNION ALL SELECT 1, '[3e38]'", last, "1: 3e+38; ");
  /* More rows than the arrays have room for at first, the empty ones first. */
  documents = read_source(
      "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 4999) "
      "SELECT 4999 - n id, CASE WHEN n >= 2000 THEN json_array(n, -n, 1) END v FROM n",
      last);
  int differ = documents.items.count != 5000 || documents.dimensions != 3;
  for (size_t i = 0; i < 5000 && !differ; i++) {
    float n = i < 3000 ? (float)(4999 - i) : 0, one = i < 3000;
    const float *vector = documents.vectors + 3 * i;
    differ = vector[0] != n || vector[1] != -n || vector[2] != one;
  }
  assert_false(differ);
  assert_int_equal(documents.empty, 2000);
  documents_free(&documents);
  close_database();
}

/* ---- much text: batches, threads and blocks ---------------------------------------------------------------------- */

enum { ROWS = 9000, WORDS = 160, VOCABULARY = 3000, ITEMS = 7000 };

/* The w-th word of row r, 'w' and a number, or -1 for one that is too short. */
static int word_of(int r, int w) {
  unsigned bits = (unsigned)r * 2654435761U + (unsigned)w * 40503U;
  bits ^= bits >> 13;
  bits *= 2246822519U;
  bits ^= bits >> 11;
  return bits % 17 == 0 ? -1 : (int)(bits % 7 < 3 ? bits % 50 : bits % VOCABULARY);
}

static int item_of(int r) { return (int)((long)r * 7919 % ITEMS); }

/* word(r, w): for the SELECT that is read. */
static void text_function(sqlite3_context *context, int count, sqlite3_value **arguments) {
  (void)count;
  char text[WORDS * 8];
  int used = 0, row = sqlite3_value_int(arguments[0]);
  for (int w = 0; w < WORDS - row % 60; w++) {
    int word = word_of(row, w);
    used += snprintf(text + used, sizeof text - (size_t)used, word < 0 ? "x " : "W%d ", word);
  }
  sqlite3_result_text(context, text, used, SQLITE_TRANSIENT);
}

static const char much[] =
    "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 8999) "
    "SELECT n * 7919 % 7000, much_text(n) FROM n";

static int same_dictionary(const Dictionary *a, const Dictionary *b) {
  if (a->count != b->count) return 0;
  for (size_t i = 0; i < a->count; i++) {
    Id x = dictionary_id(a, i), y = dictionary_id(b, i);
    if (id_compare(&x, &y) != 0) return 0;
  }
  return 1;
}

static int same_documents(const Documents *a, const Documents *b) {
  size_t rows = a->counts.rows, entries = a->counts.start[rows];
  return same_dictionary(&a->items, &b->items) && same_dictionary(&a->terms, &b->terms) &&
         memcmp(a->counts.start, b->counts.start, (rows + 1) * sizeof(size_t)) == 0 &&
         memcmp(a->counts.index, b->counts.index, entries * sizeof(uint32_t)) == 0 &&
         memcmp(a->counts.value, b->counts.value, entries * sizeof(float)) == 0 && a->documents == b->documents &&
         memcmp(a->word_start, b->word_start, (a->documents + 1) * sizeof(size_t)) == 0 &&
         memcmp(a->words, b->words, a->word_start[a->documents] * sizeof(uint32_t)) == 0;
}

/* The counts by a plain loop over the rows; `join` adds up the rows of an item, else the last one counts. */
static void compare_with_loop(const Documents *documents, int join) {
  float *expected = calloc((size_t)ITEMS * VOCABULARY, sizeof *expected);
  int *number = malloc(documents->terms.count * sizeof *number), wrong = 0;
  size_t entries = 0, found = 0;
  if (!CHECK(expected && number)) exit(1);
  for (size_t t = 0; t < documents->terms.count; t++) {
    Id id = dictionary_id(&documents->terms, t);
    char text[16] = "";
    if (CHECK(id.size > 1 && id.size < sizeof text)) memcpy(text, id.as.bytes, id.size);
    CHECK(text[0] == 'w'); /* in small letters */
    number[t] = atoi(text + 1);
  }
  for (int r = 0; r < ROWS; r++) {
    float *row = expected + (size_t)item_of(r) * VOCABULARY;
    if (!join) memset(row, 0, VOCABULARY * sizeof *row);
    for (int w = 0; w < WORDS - r % 60; w++)
      if (word_of(r, w) >= 0) row[word_of(r, w)]++;
  }
  for (size_t e = 0; e < (size_t)ITEMS * VOCABULARY; e++) entries += expected[e] != 0;
  CHECK(documents->items.count == ITEMS && documents->counts.rows == ITEMS);
  for (size_t item = 0; item < documents->items.count; item++) {
    Id id = dictionary_id(&documents->items, item);
    wrong += id.kind != ID_INTEGER || id.as.integer != (int64_t)item;
    for (size_t e = documents->counts.start[item]; e < documents->counts.start[item + 1]; e++, found++) {
      uint32_t term = documents->counts.index[e];
      wrong += documents->counts.value[e] != expected[item * VOCABULARY + (size_t)number[term]];
      wrong += e > documents->counts.start[item] && term <= documents->counts.index[e - 1];
    }
  }
  CHECK(wrong == 0 && found == entries);
  free(expected);
  free(number);
}

static int polls, stop_at;

static int poll(void *context) {
  (void)context;
  return ++polls == stop_at ? SQLITE_INTERRUPT : SQLITE_OK;
}

static void test_much(void) {
  open_database();
  assert_int_equal(sqlite3_create_function(db, "much_text", 1, SQLITE_UTF8, NULL, text_function, NULL, NULL),
                   SQLITE_OK);
  for (int join = 0; join < 2; join++) {
    DocumentOptions options = {.same_id = join ? SAME_ID_JOIN : SAME_ID_LAST, .keep_words = 1, .threads = 1};
    Documents one = read_source(much, options);
    CHECK(one.rows == ROWS && one.repeated == ROWS - ITEMS && one.documents == (join ? ROWS : ITEMS));
    compare_with_loop(&one, join);
    static const int threads[] = {2, 5};
    for (size_t i = 0; i < 2; i++) {
      options.threads = threads[i];
      Documents more = read_source(much, options);
      CHECK(same_documents(&one, &more));
      documents_free(&more);
    }
    documents_free(&one);
  }
  /* Stopped at any of its polls: no error but that one, and nothing is kept. */
  const Cancel cancel = {poll, NULL};
  long stops = 0;
  for (int threads = 1; threads <= 3; threads += 2)
    for (stop_at = 1;; stop_at += 1 + stop_at / 2) {
      Documents documents;
      Error error = {0};
      polls = 0;
      int code = read_with(much, (DocumentOptions){.threads = threads}, &documents, &cancel, &error);
      if (polls < stop_at) {
        CHECK(code == SQLITE_OK);
        documents_free(&documents);
        break;
      }
      stops++;
      CHECK(code == SQLITE_INTERRUPT && error.message && strstr(error.message, "interrupted"));
      CHECK(documents.items.count == 0 && documents.terms.count == 0 && documents.counts.start == NULL);
      error_clear(&error);
    }
  assert_true(stops > 10);
  close_database();
}

/* More short rows than a batch takes, and one text that is larger than a batch. */
static void test_many_rows(void) {
  open_database();
  Documents first = {0};
  static const char many[] =
      "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 149999) "
      "SELECT n, CASE n % 5 WHEN 0 THEN NULL ELSE 'w' || (n % 1000) END FROM n";
  for (int threads = 1; threads < 4; threads += 2) {
    Documents documents = read_source(many, (DocumentOptions){.threads = threads, .keep_words = 1});
    CHECK(documents.items.count == 150000 && documents.terms.count == 800 && documents.empty == 30000);
    CHECK(documents.counts.start[150000] == 120000);
    if (threads == 1) {
      first = documents;
    } else {
      CHECK(same_documents(&first, &documents));
      documents_free(&documents);
    }
  }
  documents_free(&first);
  for (int threads = 1; threads < 4; threads += 2) {
    Documents documents =
        read_source("SELECT 1, replace(hex(zeroblob(1500000)), '00', 'red ') || 'fox' UNION ALL SELECT 2, 'fox'",
                    (DocumentOptions){.threads = threads});
    char *text = as_text(&documents);
    CHECK_TEXT(text, "1: fox red*1.5e+06; 2: fox; ");
    sqlite3_free(text);
    documents_free(&documents);
  }
  close_database();
}

/* Words longer than what waits to be looked up, and very many distinct ones. */
static void test_terms(void) {
  open_database();
  rules.ngram_maximum = 4;
  Documents documents = read_source(
      "WITH w(w) AS (SELECT replace(hex(zeroblob(2500)), '0', 'x')) SELECT 1, w || ' ' || w || ' aa ' || w || 'y' FROM "
      "w",
      (DocumentOptions){0});
  assert_int_equal(documents.terms.count, 9);
  assert_int_equal(documents.counts.start[1], 9); /* 4 + 3 + 2 + 1 runs, one word twice */
  double total = 0;
  for (size_t e = 0; e < documents.counts.start[1]; e++) total += (double)documents.counts.value[e];
  assert_true(total == 10);
  documents_free(&documents);
  rules.ngram_maximum = 1;
  documents = read_source(
      "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 299) "
      "SELECT n, (WITH RECURSIVE m(m) AS (SELECT 0 UNION ALL SELECT m + 1 FROM m WHERE m < 999) "
      "SELECT group_concat('t' || (n * 1000 + m), ' ') FROM m) FROM n",
      (DocumentOptions){.threads = 2});
  assert_int_equal(documents.terms.count, 300000);
  assert_int_equal(documents.counts.start[300], 300000);
  documents_free(&documents);
  close_database();
}

static void test_nothing_is_lost(void) { assert_int_equal(sqlite3_memory_used(), 0); }

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_columns), TEST(test_json),      TEST(test_same_id), TEST(test_vectors),
      TEST(test_much),    TEST(test_many_rows), TEST(test_terms),   TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
