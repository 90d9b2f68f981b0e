/* The fuzz targets of tests/fuzz over the inputs that are kept there and changes of these, the same every time: what
 * libFuzzer does (`make fuzz`) without knowing where to look, for some seconds in every run of the tests. */
#include <dirent.h>

#include "base/random.h"
#include "fault.h"

#define FUZZ_ENTRY fuzz_options_once
#include "../fuzz/fuzz_options.c"
#undef FUZZ_ENTRY
#define FUZZ_ENTRY fuzz_sql_once
#include "../fuzz/fuzz_sql.c"
#undef FUZZ_ENTRY
#define FUZZ_ENTRY fuzz_model_once
#include "../fuzz/fuzz_model.c"

typedef int (*Target)(const uint8_t *data, size_t size);

enum { LONGEST = 4096 };
static long runs;

/* Changes, drops, doubles or inserts up to eight bytes of the input, or splices it with itself. */
static size_t mutate(uint8_t *bytes, size_t size, size_t room, uint64_t seed) {
  static const char letters[] = "{}[]\"'`(),;=.:-\\ \n0129eE+xXaZ\x00\x7f\x80\xff%_*";
  size_t changes = 1 + random_bits(seed, 0) % 8;
  for (size_t change = 1; change <= changes && size > 1; change++) {
    uint64_t bits = random_bits(seed, change);
    size_t place = 1 + (bits >> 8) % (size - 1);
    uint8_t letter = (uint8_t)letters[(bits >> 40) % (sizeof letters - 1)];
    switch (bits % 5) {
      case 0: bytes[place] = letter; break;
      case 1: bytes[place] ^= (uint8_t)(1u << (bits >> 50) % 8); break;
      case 2:
        memmove(bytes + place, bytes + place + 1, size - place - 1);
        size--;
        break;
      case 3:
        if (size == room) break;
        memmove(bytes + place + 1, bytes + place, size - place);
        bytes[place] = letter;
        size++;
        break;
      default: {
        size_t length = (bits >> 32) % (size - place) + 1;
        if (size + length > room) break;
        memmove(bytes + place + length, bytes + place, size - place);
        size += length;
      }
    }
  }
  return size;
}

static void fuzz(Target target, const uint8_t *input, size_t size, long times, uint64_t seed) {
  uint8_t bytes[LONGEST];
  for (long turn = 0; turn < times; turn++) {
    memcpy(bytes, input, size);
    size_t mutated = turn ? mutate(bytes, size, sizeof bytes, seed + (uint64_t)turn) : size;
    CHECK(target(bytes, mutated) == 0);
    runs++;
  }
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* Every file of tests/fuzz/corpus/<name>. */
static void fuzz_corpus(Target target, const char *name, long times) {
  struct dirent **files = NULL;
  char path[512];
  snprintf(path, sizeof path, "tests/fuzz/corpus/%s", name);
  int count = scandir(path, &files, NULL, by_name), read = 0;
  for (int i = 0; i < count; i++) {
    uint8_t input[LONGEST];
    snprintf(path, sizeof path, "tests/fuzz/corpus/%s/%s", name, files[i]->d_name);
    FILE *file = files[i]->d_name[0] == '.' ? NULL : fopen(path, "rb");
    free(files[i]);
    if (!file) continue;
    size_t size = fread(input, 1, sizeof input, file);
    fclose(file);
    fuzz(target, input, size, times, (uint64_t)i << 32);
    read++;
  }
  free(files);
  if (!CHECK(read > 10)) printf("  no inputs in tests/fuzz/corpus/%s: run from the top of the repository\n", name);
}

/* Seconds of it for a person, minutes where more is asked for. */
static long times(long some) {
  long more = fault_more() > 1 ? 2 * fault_more() : 1;
  if (getenv("FAULT_FULL")) more = 64;
  return some * more / FAULT_SLOW;
}

static void options(void) { fuzz_corpus(fuzz_options_once, "options", times(10000)); }
static void sql(void) { fuzz_corpus(fuzz_sql_once, "sql", times(28)); }
static void model(void) { fuzz_corpus(fuzz_model_once, "model", times(14)); }

static void nothing_is_lost(void) {
  printf("%ld runs\n", runs);
  sqlite3_hard_heap_limit64(0);
  assert_int_equal(sqlite3_memory_used(), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(options),
      TEST(sql),
      TEST(model),
      TEST(nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
