/* Fuzzing the JSON of options: whatever the text, options_parse gives an error with a message or values in range.
 *
 * With clang's libFuzzer this file is a program of its own; tests/fault/test_fuzz.c runs it over a small corpus. */
#include <stdint.h>
#include <stdlib.h>

#include "data/option_objects.h"
#include "data/options.h"

#ifndef FUZZ_ENTRY
#define FUZZ_ENTRY LLVMFuzzerTestOneInput
#endif
int FUZZ_ENTRY(const uint8_t *data, size_t size);

typedef struct FuzzOptions {
  int integer, boolean, choice;
  uint64_t seed;
  double number, heads[2];
  char *text;
  OptionColumn column;
  OptionIntegers integers;
  OptionTexts texts;
  OptionWords words;
} FuzzOptions;

static const Option fuzz_options[] = {
    {.name = "epochs", .type = OPTION_INTEGER, .offset = offsetof(FuzzOptions, integer), .minimum = 1, .maximum = 1000},
    {.name = "seed", .type = OPTION_SEED, .offset = offsetof(FuzzOptions, seed)},
    {.name = "alpha", .type = OPTION_NUMBER, .offset = offsetof(FuzzOptions, number), .maximum = 1e9},
    {.name = "biases", .type = OPTION_BOOLEAN, .offset = offsetof(FuzzOptions, boolean)},
    {.name = "solver", .type = OPTION_CHOICE, .offset = offsetof(FuzzOptions, choice), .choices = "cg|cholesky"},
    {.name = "model", .type = OPTION_TEXT, .offset = offsetof(FuzzOptions, text)},
    {.name = "rating", .type = OPTION_COLUMN, .offset = offsetof(FuzzOptions, column)},
    {.name = "nu", .type = OPTION_BY_HEAD, .offset = offsetof(FuzzOptions, heads), .maximum = 10},
    {.name = "k", .type = OPTION_INTEGERS, .offset = offsetof(FuzzOptions, integers), .minimum = 1, .maximum = 1e6},
    {.name = "text", .type = OPTION_TEXTS, .offset = offsetof(FuzzOptions, texts)},
    {.name = "stop_words", .type = OPTION_WORDS, .offset = offsetof(FuzzOptions, words), .choices = "english|german"},
};

static void must_hold(int condition) {
  if (!condition) abort(); /* what libFuzzer understands */
}

/* What recommend_retrain does with the options it is given: a text that can be parsed can be put over others. */
static void merge(const char *text, int parsed) {
  Error error = {0};
  char *none = NULL, *all = NULL;
  int code = options_part("fuzz", text, NULL, 0, "", &none, &all, &error);
  must_hold(parsed != SQLITE_OK || code == SQLITE_OK);
  char *merged = code == SQLITE_OK ? options_merge("{\"seed\":7,\"epochs\":3}", all) : NULL;
  if (code == SQLITE_OK) must_hold(merged && options_have(merged, "seed") == 1 && options_have(merged, "epochs") == 1);
  error_clear(&error);
  sqlite3_free(none);
  sqlite3_free(all);
  sqlite3_free(merged);
}

int FUZZ_ENTRY(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  if (!text) return 0;
  for (size_t i = 0; i < size; i++) text[i] = (char)data[i];
  text[size] = 0;
  FuzzOptions options = {.integer = 1, .number = 0};
  Error error = {0};
  int code = options_parse("fuzz", text, fuzz_options, sizeof fuzz_options / sizeof *fuzz_options, &options, &error);
  must_hold(code == error.code && (code == SQLITE_OK || error.message || code == SQLITE_NOMEM));
  if (code == SQLITE_OK) {
    must_hold(options.integer >= 1 && options.integer <= 1000);
    must_hold(options.number >= 0 && options.number <= 1e9);
    must_hold(options.heads[0] >= 0 && options.heads[1] <= 10);
    must_hold(options.choice == 0 || options.choice == 1);
    must_hold(options.integers.count >= 0 && options.integers.count <= OPTION_MOST_INTEGERS);
    must_hold(options.words.choice >= -1 && options.words.choice <= 1);
    must_hold(options.words.choice < 0 || options.words.words.count == 0);
    for (int i = 0; i < options.texts.count; i++) must_hold(options.texts.text[i] != NULL);
    for (int i = 0; i < options.words.words.count; i++) must_hold(options.words.words.text[i] != NULL);
    char *rest = options_without(text, "model");
    must_hold(rest != NULL);
    sqlite3_free(rest);
  }
  merge(text, code);
  error_clear(&error);
  sqlite3_free(options.text);
  sqlite3_free(options.column.name);
  option_texts_free(&options.texts);
  option_texts_free(&options.words.words);
  free(text);
  return 0;
}
