/* Objects of options against what they should be, letter by letter. */
#include "data/option_objects.h"

#include <stdlib.h>

#include "base/sqlite.h"
#include "check.h"
#include "failing_memory.h"

/* The error has this code, and a message that holds `part`. */
static void check_error(Error *error, int code, const char *part) {
  CHECK(error->code == code);
  if (!CHECK(error->message && strstr(error->message, part)))
    printf("  %s: not in %s\n", part, error->message ? error->message : "(null)");
  if (error->message) CHECK(strncmp(error->message, "test: ", 6) == 0);
  error_clear(error);
}

/* ---- parting ----------------------------------------------------------------------------------------------------- */

static const Option options[] = {{.name = "seed"}, {.name = "folds"}, {.name = "k"}};
enum { OPTIONS = sizeof options / sizeof *options };

static void parts(const char *json, const char *named, const char *others) {
  char *ours = NULL, *rest = NULL;
  Error error = {0};
  CHECK(options_part("test", json, options, OPTIONS, "seed|threads", &ours, &rest, &error) == SQLITE_OK);
  CHECK_TEXT(ours, named);
  CHECK_TEXT(rest, others);
  sqlite3_free(ours);
  sqlite3_free(rest);
}

static void does_not_part(const char *json, const char *part) {
  char *ours = NULL, *rest = NULL;
  Error error = {0};
  CHECK(options_part("test", json, options, OPTIONS, "seed|threads", &ours, &rest, &error) == SQLITE_ERROR);
  CHECK(!ours && !rest);
  check_error(&error, SQLITE_ERROR, part);
}

static void parting(void) {
  parts(NULL, "{}", "{}");
  parts("", "{}", "{}");
  parts(" { } ", "{}", "{}");
  parts("{\"k\": 3, \"rank\": 5}", "{\"k\":3}", "{\"rank\":5}");
  parts("{\"rank\": [1, {\"a\": null}], \"seed\": 9007199254740991, \"threads\": 2}", "{\"seed\":9007199254740991}",
        "{\"rank\":[1,{\"a\":null}],\"seed\":9007199254740991,\"threads\":2}");
  parts("{\"see\": 1, \"eed|t\": 2, \"K\": 0.1, \"folds\": 1e-3}", "{\"folds\":0.001}",
        "{\"see\":1,\"eed|t\":2,\"K\":0.1}");
  parts("{\"\": true}", "{}", "{\"\":true}");
  does_not_part("[1]", "the options must be a JSON object");
  does_not_part("{\"k\": 3", "not valid JSON");
  does_not_part("{\"k\": 3} x", "near 'x'");
  does_not_part("{\"k\": 3, \"rank\": 1, \"k\": 3}", "\"k\" is given twice");
  does_not_part("{\"rank\": 3, \"rank\": 1}", "\"rank\" is given twice");
}

static void having(void) {
  assert_int_equal(options_have(NULL, "k"), 0);
  assert_int_equal(options_have("", "k"), 0);
  assert_int_equal(options_have("{\"j\":{\"k\":1}}", "k"), 0);
  assert_int_equal(options_have("{\"j\":1,\"k\":null}", "k"), 1);
  assert_int_equal(options_have("{\"K\":1}", "k"), 0);
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

static void merges(const char *base, const char *more, const char *expected) {
  char *merged = options_merge(base, more);
  CHECK_TEXT(merged, expected);
  sqlite3_free(merged);
}

static void making(void) {
  char *made = options_object("model", "my \"best\"\n");
  assert_string_equal(made, "{\"model\":\"my \\\"best\\\"\\n\"}");
  sqlite3_free(made);
  merges(NULL, "{\"a\":1}", "{\"a\":1}");
  merges("", "{}", "{}");
  merges("{\"a\":1,\"b\":[2]}", "{}", "{\"a\":1,\"b\":[2]}");
  merges("{\"a\":1,\"b\":[2],\"c\":0}", "{\"d\":4,\"b\":{\"x\":3}}", "{\"a\":1,\"c\":0,\"d\":4,\"b\":{\"x\":3}}");
  merges("{\"a\":1}", "{\"A\":2}", "{\"a\":1,\"A\":2}");
}

static void taking(void) {
  char *json = sqlite3_mprintf("{\"rank\": 2.5, \"k\": \"3\"}");
  double value = -1;
  int found = -1;
  Error error = {0};
  assert_int_equal(options_take_number("test", &json, "lambda", &value, &found, &error), SQLITE_OK);
  assert_false(found);
  assert_true(value == -1);
  assert_int_equal(options_take_number("test", &json, "rank", &value, &found, &error), SQLITE_OK);
  assert_true(found);
  assert_true(value == 2.5);
  assert_string_equal(json, "{\"k\":\"3\"}");
  assert_int_equal(options_take_number("test", &json, "rank", &value, &found, &error), SQLITE_OK);
  assert_false(found);
  assert_int_equal(options_take_number("test", &json, "k", &value, &found, &error), SQLITE_ERROR);
  check_error(&error, SQLITE_ERROR, "option \"k\" must be a number");
  sqlite3_free(json);
}

static void naming(void) {
  Error error = {0};
  assert_int_equal(options_check_names("test", NULL, options, OPTIONS, &error), SQLITE_OK);
  assert_int_equal(options_check_names("test", "{\"k\":1,\"folds\":[]}", options, OPTIONS, &error), SQLITE_OK);
  assert_int_equal(options_check_names("test", "{\"k\":1,\"flods\":[]}", options, OPTIONS, &error), SQLITE_ERROR);
  check_error(&error, SQLITE_ERROR, "option \"flods\" is unknown, did you mean \"folds\"?");
  assert_int_equal(options_check_names("test", "{\"xyzzyabc\":1}", options, OPTIONS, &error), SQLITE_ERROR);
  check_error(&error, SQLITE_ERROR, "there are seed, folds, k");
}

/* ---- grids ------------------------------------------------------------------------------------------------------- */

/* `expected`: the combinations, with a blank between two. */
static void combines(const char *json, const char *expected) {
  OptionGrid grid;
  Error error = {0};
  CHECK(option_grid_parse("test", json, &grid, &error) == SQLITE_OK);
  sqlite3_str *text = sqlite3_str_new(NULL);
  for (size_t i = 0; i < grid.count; i++) sqlite3_str_appendf(text, "%s%s", i ? " " : "", grid.combination[i]);
  char *all = sqlite3_str_finish(text);
  CHECK_TEXT(all, expected);
  sqlite3_free(all);
  option_grid_free(&grid);
  CHECK(grid.count == 0 && !grid.combination);
}

static void does_not_combine(const char *json, const char *part) {
  OptionGrid grid;
  Error error = {0};
  CHECK(option_grid_parse("test", json, &grid, &error) == SQLITE_ERROR);
  check_error(&error, SQLITE_ERROR, part);
  option_grid_free(&grid);
}

static void grids(void) {
  combines("{}", "{}");
  combines("{\"a\": 5}", "{\"a\":5}");
  combines("{\"a\": [1, 2]}", "{\"a\":1} {\"a\":2}");
  combines("{\"a\": [1, 2], \"b\": \"x\", \"c\": [null, [3], true]}",
           "{\"a\":1,\"b\":\"x\",\"c\":null} {\"a\":1,\"b\":\"x\",\"c\":[3]} {\"a\":1,\"b\":\"x\",\"c\":true} "
           "{\"a\":2,\"b\":\"x\",\"c\":null} {\"a\":2,\"b\":\"x\",\"c\":[3]} {\"a\":2,\"b\":\"x\",\"c\":true}");
  combines("{\"a\": {\"rating\": 1}, \"b\": [0.1, 1e300]}",
           "{\"a\":{\"rating\":1},\"b\":0.1} {\"a\":{\"rating\":1},\"b\":1e+300}");
  does_not_combine("[1]", "the grid must be a JSON object");
  does_not_combine("{\"a\": [}", "the grid must be a JSON object, but is not valid JSON near '}'");
  does_not_combine("{\"a\": [1], \"b\": []}", "the list of \"b\" is empty");
  does_not_combine("{\"a\": [1], \"a\": [2]}", "\"a\" is in the grid twice");

  /* 46 · 46 · 47 are below the limit, twice as many beyond. */
  sqlite3_str *text = sqlite3_str_new(NULL);
  for (int member = 0; member < 3; member++) {
    sqlite3_str_appendf(text, "%s\"%c\":[0", member ? "," : "{", 'a' + member);
    for (int i = 1; i < (member == 2 ? 47 : 46); i++) sqlite3_str_appendf(text, ",%d", i);
    sqlite3_str_appendall(text, "]");
  }
  char *large = sqlite3_mprintf("%s}", sqlite3_str_value(text));
  char *larger = sqlite3_mprintf("%s,\"d\":[1,2]}", sqlite3_str_value(text));
  sqlite3_free(sqlite3_str_finish(text));
  OptionGrid grid;
  Error error = {0};
  assert_int_equal(option_grid_parse("test", large, &grid, &error), SQLITE_OK);
  assert_int_equal(grid.count, 46 * 46 * 47);
  assert_string_equal(grid.combination[(size_t)(7 * 46 + 9) * 47 + 11], "{\"a\":7,\"b\":9,\"c\":11}");
  assert_string_equal(grid.combination[grid.count - 1], "{\"a\":45,\"b\":45,\"c\":46}");
  option_grid_free(&grid);
  does_not_combine(larger, "more than 100000 combinations");
  sqlite3_free(large);
  sqlite3_free(larger);
}

/* ---- out of memory ----------------------------------------------------------------------------------------------- */

/* One of everything; SQLITE_NOMEM where anything failed. */
static int everything(void) {
  Error error = {0};
  char *named = NULL, *others = NULL, *made = NULL, *merged = NULL;
  OptionGrid grid = {0};
  double value;
  int found;
  int code = options_part("test", "{\"k\":1,\"rank\":2}", options, OPTIONS, "seed", &named, &others, &error);
  if (code == SQLITE_OK) code = option_grid_parse("test", "{\"a\":[1,2],\"b\":[3,4]}", &grid, &error);
  if (code == SQLITE_OK) code = options_take_number("test", &others, "rank", &value, &found, &error);
  if (code == SQLITE_OK && !(made = options_object("a", "b"))) code = error_no_memory(&error);
  if (code == SQLITE_OK && !(merged = options_merge(made, "{\"c\":1}"))) code = error_no_memory(&error);
  CHECK(code == error.code && !error.message);
  sqlite3_free(named);
  sqlite3_free(others);
  sqlite3_free(made);
  sqlite3_free(merged);
  option_grid_free(&grid);
  return code;
}

static void faults(void) {
  long baseline = outstanding;
  int code = SQLITE_NOMEM;
  for (long n = 0; code != SQLITE_OK; n++) {
    fail_after = n;
    code = everything();
    fail_after = -1;
    CHECK(code == SQLITE_OK ? n > 8 : code == SQLITE_NOMEM);
    CHECK(outstanding == baseline);
  }
}

static void test_nothing_is_lost(void) {
  sqlite3_shutdown();
  assert_int_equal(outstanding, 0);
}

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(parting), TEST(having), TEST(making), TEST(taking),
      TEST(naming),  TEST(grids),  TEST(faults), TEST(test_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
