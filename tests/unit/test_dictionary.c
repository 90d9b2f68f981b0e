/* Ids and their dictionary, against SQLite's own comparisons and an exhaustive search. */
#include <stdlib.h>

#include "base/memory.h"
#include "check.h"
#include "data/dictionary.h"

static sqlite3 *db;

/* The value of an SQL expression, to be freed. */
static sqlite3_value *value_of(const char *expression) {
  char *sql = sqlite3_mprintf("SELECT %s", expression);
  sqlite3_stmt *statement = NULL;
  CHECK(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
  CHECK(sqlite3_step(statement) == SQLITE_ROW);
  sqlite3_value *value = sqlite3_value_dup(sqlite3_column_value(statement, 0));
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  return value;
}

static int integer_of(const char *expression) {
  sqlite3_value *value = value_of(expression);
  int result = sqlite3_value_int(value);
  sqlite3_value_free(value);
  return result;
}

static Id integer_id(int64_t integer) { return (Id){.kind = ID_INTEGER, .as.integer = integer}; }
static Id text_id(const char *text) { return (Id){.kind = ID_TEXT, .size = (uint32_t)strlen(text), .as.bytes = text}; }

/* ---- ids --------------------------------------------------------------------------------------------------------- */

/* Every pair of these is compared by us and by SQLite. */
static const char *const samples[] = {"0",
                                      "-0.0",
                                      "1",
                                      "1.0",
                                      "-1",
                                      "1.5",
                                      "-1.5",
                                      "2",
                                      "0.1",
                                      "9007199254740993",
                                      "9007199254740992.0",
                                      "9007199254740992",
                                      "9223372036854775807",
                                      "-9223372036854775807-1",
                                      "9223372036854775808.0",
                                      "9223372036854774784.0",
                                      "-9223372036854775808.0",
                                      "1e300",
                                      "-1e300",
                                      "9e999",
                                      "-9e999",
                                      "1e-300",
                                      "''",
                                      "'1'",
                                      "'a'",
                                      "'A'",
                                      "'abc'",
                                      "'abcdefgh'",
                                      "'abcdefghi'",
                                      "'abcdefghj'",
                                      "'abcdefg'",
                                      "'ä'",
                                      "'z'",
                                      "x''",
                                      "x'00'",
                                      "x'0000'",
                                      "x'00ff'",
                                      "x'61'",
                                      "CAST(x'610061' AS TEXT)",
                                      "CAST(x'61' AS TEXT)",
                                      "x'6162636465666768'"};
#define SAMPLES ((int)(sizeof samples / sizeof *samples))

static void test_order(void) {
  for (int a = 0; a < SAMPLES; a++) {
    sqlite3_value *first = value_of(samples[a]);
    Id x, y;
    CHECK(id_from_value(first, &x) == 1);
    for (int b = 0; b < SAMPLES; b++) {
      sqlite3_value *second = value_of(samples[b]);
      CHECK(id_from_value(second, &y) == 1);
      char *less = sqlite3_mprintf("(%s) < (%s)", samples[a], samples[b]);
      char *same = sqlite3_mprintf("(%s) = (%s)", samples[a], samples[b]);
      int order = id_compare(&x, &y);
      CHECK((order < 0) == integer_of(less));
      CHECK((order == 0) == integer_of(same));
      CHECK((id_hash(&x) == id_hash(&y)) == (order == 0));
      sqlite3_free(less);
      sqlite3_free(same);
      sqlite3_value_free(second);
    }
    sqlite3_value_free(first);
  }
}

/* Bound and read back it is the same value, but for integral reals. */
static void test_round_trip(void) {
  sqlite3_stmt *statement;
  assert_int_equal(sqlite3_prepare_v2(db, "SELECT ?1", -1, &statement, NULL), SQLITE_OK);
  for (int a = 0; a < SAMPLES; a++) {
    sqlite3_value *value = value_of(samples[a]);
    Id id, back;
    id_from_value(value, &id);
    CHECK(id_bind(statement, 1, &id) == SQLITE_OK);
    CHECK(sqlite3_step(statement) == SQLITE_ROW);
    CHECK(id_from_value(sqlite3_column_value(statement, 0), &back) == 1);
    CHECK(back.kind == id.kind && id_compare(&id, &back) == 0);
    sqlite3_reset(statement);
    sqlite3_value_free(value);
  }
  sqlite3_finalize(statement);
  sqlite3_value *null = value_of("NULL");
  Id id;
  assert_int_equal(id_from_value(null, &id), 0);
  sqlite3_value_free(null);
}

/* id_from_value_as agrees with what a column of the type stores; id_affinity_of with the column's affinity. */
static void test_affinity(void) {
  static const char *const types[] = {"INTEGER", "BIGINT",  "TEXT",  "VARCHAR(20)", "BLOB",       "",
                                      "REAL",    "DOUBLE",  "FLOAT", "NUMERIC",     "DECIMAL(5)", "FLOATING POINT",
                                      "DATE",    "CHARINT", "clob",  "int"};
  static const char *const values[] = {"42",
                                       "'42'",
                                       "42.0",
                                       "'42.0'",
                                       "' 42 '",
                                       "'4.5'",
                                       "4.5",
                                       "'4x'",
                                       "''",
                                       "x'34'",
                                       "'1e3'",
                                       "'0x1F'",
                                       "'9223372036854775808'"};
  for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
    IdAffinity affinity = id_affinity_of(types[t]);
    CHECK(id_affinity_of(id_affinity_name(affinity)) == affinity);
    char *sql = sqlite3_mprintf("DROP TABLE IF EXISTS c; CREATE TABLE c(x %s)", types[t]);
    CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_free(sql);
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
      sql = sqlite3_mprintf("DELETE FROM c; INSERT INTO c VALUES(%s)", values[v]);
      CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
      sqlite3_free(sql);
      sqlite3_value *stored = value_of("(SELECT x FROM c)"), *given = value_of(values[v]);
      Id a, b;
      CHECK(id_from_value(stored, &a) == 1 && id_from_value_as(given, affinity, &b) == 1);
      CHECK(id_compare(&a, &b) == 0);
      sqlite3_value_free(stored);
      sqlite3_value_free(given);
    }
  }
  assert_int_equal(id_affinity_of(NULL), ID_AFFINITY_BLOB);
  assert_int_equal(id_affinity_of("ANY"), ID_AFFINITY_BLOB);
}

static void test_format(void) {
  char text[ID_FORMAT_SIZE];
  Id id = integer_id(-42);
  assert_string_equal(id_format(&id, text), "-42");
  id = (Id){.kind = ID_REAL, .as.real = 1.5};
  assert_string_equal(id_format(&id, text), "1.5");
  id = text_id("O'Hara");
  assert_string_equal(id_format(&id, text), "'O''Hara'");
  id = (Id){.kind = ID_BLOB, .size = 3, .as.bytes = "\0\xff\x10"};
  assert_string_equal(id_format(&id, text), "x'00ff10'");
  char *large = malloc(100000);
  memset(large, '\'', 100000);
  id = (Id){.kind = ID_TEXT, .size = 100000, .as.bytes = large};
  assert_true(strlen(id_format(&id, text)) < ID_FORMAT_SIZE);
  assert_true(strstr(text, "…'"));
  id.kind = ID_BLOB;
  assert_true(strlen(id_format(&id, text)) < ID_FORMAT_SIZE);
  assert_true(strstr(text, "…'"));
  for (int i = 0; i < 50000; i++) memcpy(large + 2 * i, "ä", 2);
  id = (Id){.kind = ID_TEXT, .size = 99999, .as.bytes = large + 1};
  assert_true(strstr(id_format(&id, text), "ä…'"));
  free(large);
}

/* ---- hashes ------------------------------------------------------------------------------------------------------ */

/* Fixed values: these must never change, nor differ between machines. They were computed by an independent program in
 * another language from the definition at the top of id.c. */
static void test_fixed_hashes(void) {
  Id id = integer_id(42), key[2] = {integer_id(42), text_id("tt0111161")};
  assert_true(id_hash(&id) == UINT64_C(0x7dc930b302278a8));
  id = (Id){.kind = ID_REAL, .as.real = 2.5};
  assert_true(id_hash(&id) == UINT64_C(0x997faffafeb2227a));
  id = text_id("tt0111161");
  assert_true(id_hash(&id) == UINT64_C(0xba017a9e03f21464));
  id = (Id){.kind = ID_BLOB, .size = 8, .as.bytes = "\0\1\2\3\4\5\6\7"};
  assert_true(id_hash(&id) == UINT64_C(0x750e3bf3ece189dd));
  CHECK_NEAR(split_uniform(42, key, 2), 0x1.f46be18d7a182p-2, 0);
}

/* Chi-square of n numbers in 64 equal cells; 63 degrees of freedom: mean 63, standard deviation 11.2. */
static double chi_square(double (*number)(int i), int n) {
  double cells[64] = {0}, sum = 0;
  for (int i = 0; i < n; i++) cells[(int)(number(i) * 64)]++;
  for (int c = 0; c < 64; c++) sum += (cells[c] - n / 64.0) * (cells[c] - n / 64.0) / (n / 64.0);
  return sum;
}

static double of_integer(int i) {
  Id id = integer_id(i);
  return split_uniform(42, &id, 1);
}
static double of_pair(int i) {
  Id key[2] = {integer_id(i / 300), integer_id(i % 300)};
  return split_uniform(42, key, 2);
}
static double of_text(int i) {
  char text[16];
  sqlite3_snprintf(sizeof text, text, "u%d", i);
  Id id = text_id(text);
  return split_uniform(7, &id, 1);
}
static double of_multiple(int i) {
  Id id = integer_id((int64_t)i << 32);
  return split_uniform(0, &id, 1);
}
static double of_seed(int i) {
  Id id = integer_id(1);
  return split_uniform((uint64_t)i, &id, 1);
}
static double low_hash_bits(int i) {
  Id id = integer_id(i);
  return (double)(id_hash(&id) & 63) / 64;
}
static double high_hash_bits(int i) {
  char text[16];
  sqlite3_snprintf(sizeof text, text, "%d", i);
  Id id = text_id(text);
  return (double)(id_hash(&id) >> 58) / 64;
}

static void test_uniformity(void) {
  double (*const numbers[])(int) = {of_integer, of_pair, of_text, of_multiple, of_seed, low_hash_bits, high_hash_bits};
  for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
    double sum = chi_square(numbers[k], 90000);
    CHECK(sum > 63 - 5 * 11.2 && sum < 63 + 5 * 11.2);
  }
  /* The order of a key matters, and neighbours are independent: their correlation is 0 ± 1/sqrt(n). */
  Id key[2] = {integer_id(1), integer_id(2)}, turned[2] = {integer_id(2), integer_id(1)};
  assert_true(split_uniform(1, key, 2) != split_uniform(1, turned, 2));
  double correlation = 0;
  for (int i = 0; i < 90000; i++) correlation += 12 * (of_integer(i) - 0.5) * (of_integer(i + 1) - 0.5) / 90000;
  CHECK_NEAR(correlation, 0, 5 / 300.0);
}

/* ---- the dictionary ---------------------------------------------------------------------------------------------- */

static void test_all_kinds(void) {
  Dictionary dictionary;
  dictionary_init(&dictionary);
  sqlite3_value *values[SAMPLES];
  Id ids[SAMPLES];
  uint32_t index, found[SAMPLES], new_index[SAMPLES];
  size_t distinct = 0;
  for (int a = 0; a < SAMPLES; a++) {
    values[a] = value_of(samples[a]);
    id_from_value(values[a], &ids[a]);
    int before = 0;
    while (before < a && id_compare(&ids[before], &ids[a]) != 0) before++;
    CHECK(dictionary_find(&dictionary, &ids[a]) == (before < a ? found[before] : DICTIONARY_NONE));
    CHECK(dictionary_add(&dictionary, &ids[a], &found[a]) == SQLITE_OK);
    CHECK(found[a] == (before < a ? found[before] : distinct));
    distinct += before == a;
    CHECK(dictionary.count == distinct);
    CHECK(dictionary_add(&dictionary, &ids[a], &index) == SQLITE_OK && index == found[a]);
  }
  assert_int_equal(dictionary_sort(&dictionary, new_index, 2, NULL), SQLITE_OK);
  for (size_t i = 0; i + 1 < distinct; i++) {
    Id a = dictionary_id(&dictionary, i), b = dictionary_id(&dictionary, i + 1);
    CHECK(id_compare(&a, &b) < 0);
  }
  for (int a = 0; a < SAMPLES; a++) {
    index = dictionary_find(&dictionary, &ids[a]);
    CHECK(index == new_index[found[a]]);
    Id same = dictionary_id(&dictionary, index);
    CHECK(same.kind == ids[a].kind && id_compare(&same, &ids[a]) == 0);
    sqlite3_value_free(values[a]);
  }
  dictionary_free(&dictionary);
  assert_int_equal(dictionary.count, 0);
  assert_int_equal(dictionary_find(&dictionary, &ids[0]), DICTIONARY_NONE);
  assert_int_equal(dictionary_sort(&dictionary, new_index, 2, NULL), SQLITE_OK);
}

/* Many, in a scattered order, so that the table grows; then sorted, and added to again. */
static void test_many(void) {
  enum { MANY = 100000 };
  Dictionary dictionary = {0};
  uint32_t index, *new_index = malloc(MANY * sizeof *new_index);
  char text[32];
  int wrong = 0;
  for (uint32_t i = 0; i < MANY; i++) {
    uint32_t n = (uint32_t)((uint64_t)i * 48271 % MANY); /* coprime: each once */
    sqlite3_snprintf(sizeof text, text, "item-%08u", n);
    Id id = i % 2 ? text_id(text) : integer_id((int64_t)n - 50000);
    wrong += dictionary_add(&dictionary, &id, &index) != SQLITE_OK || index != i;
  }
  assert_int_equal(wrong, 0);
  assert_int_equal(dictionary.count, MANY);
  assert_int_equal(dictionary_sort(&dictionary, new_index, 2, NULL), SQLITE_OK);
  for (uint32_t i = 0; i + 1 < MANY; i++) {
    Id a = dictionary_id(&dictionary, i), b = dictionary_id(&dictionary, i + 1);
    wrong += id_compare(&a, &b) >= 0;
  }
  for (uint32_t i = 0; i < MANY; i++) {
    uint32_t n = (uint32_t)((uint64_t)i * 48271 % MANY);
    sqlite3_snprintf(sizeof text, text, "item-%08u", n);
    Id id = i % 2 ? text_id(text) : integer_id((int64_t)n - 50000), absent = integer_id(1000000 + (int64_t)i);
    wrong += dictionary_find(&dictionary, &id) != new_index[i];
    wrong += dictionary_find(&dictionary, &absent) != DICTIONARY_NONE;
  }
  assert_int_equal(wrong, 0);
  Id late = integer_id(-1000000);
  assert_int_equal(dictionary_add(&dictionary, &late, &index), SQLITE_OK);
  assert_int_equal(index, MANY);
  assert_int_equal(dictionary_find(&dictionary, &late), MANY);
  free(new_index);
  dictionary_free(&dictionary);
}

static void test_large_ids(void) {
  enum { LARGE = 100000 };
  Dictionary dictionary = {0};
  char *bytes = calloc(1, LARGE);
  uint32_t index;
  for (uint32_t i = 0; i < 20; i++) { /* differ in the last byte only, and hold NULs */
    bytes[LARGE - 1] = (char)i;
    Id id = {.kind = i % 2 ? ID_BLOB : ID_TEXT, .size = LARGE, .as.bytes = bytes};
    CHECK(dictionary_add(&dictionary, &id, &index) == SQLITE_OK && index == i);
  }
  bytes[LARGE - 1] = 7;
  Id id = {.kind = ID_BLOB, .size = LARGE, .as.bytes = bytes},
     shorter = {.kind = ID_BLOB, .size = 99999, .as.bytes = bytes};
  assert_int_equal(dictionary_find(&dictionary, &id), 7);
  assert_int_equal(dictionary_find(&dictionary, &shorter), DICTIONARY_NONE);
  Id back = dictionary_id(&dictionary, 7);
  assert_int_equal(back.size, LARGE);
  assert_memory_equal(back.as.bytes, bytes, LARGE);
  free(bytes);
  dictionary_free(&dictionary);
}

static int open_database(void **state) {
  (void)state;
  assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
  return 0;
}

static void test_nothing_is_lost(void) {
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
  assert_int_equal(sqlite3_memory_used(), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_order),        TEST(test_round_trip),      TEST(test_affinity),  TEST(test_format),
      TEST(test_fixed_hashes), TEST(test_uniformity),      TEST(test_all_kinds), TEST(test_many),
      TEST(test_large_ids),    TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, open_database, NULL);
}
