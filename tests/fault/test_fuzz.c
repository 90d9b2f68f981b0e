/* The fuzz targets over a built-in corpus and its mutations, the same every time: what libFuzzer does without knowing
 * where to look, for some seconds in every run of the tests. */
#include <string.h>

#include "base/random.h"
#include "fault.h"

#define FUZZ_ENTRY fuzz_options_once
#include "../fuzz/fuzz_options.c"
#undef FUZZ_ENTRY
#define FUZZ_ENTRY fuzz_sql_once
#include "../fuzz/fuzz_sql.c"

static const char *const json[] = {
    "{\"epochs\": 20, \"seed\": 7, \"alpha\": 1.5, \"biases\": true, \"solver\": \"cg\"}",
    "{\"nu\": {\"rating\": 1, \"ranking\": 0.5}, \"k\": [1, 5, 10], \"model\": \"main.taste\", \"rating\": null}",
    "{\"epochs\": 1e999, \"seed\": -0, \"k\": [], \"nu\": {}}",
    "{\"text\": [\"title\", \"body\"], \"stop_words\": [\"the\", \"a\"], \"k\": [1, 2]}",
    "{\"text\": \"title\", \"stop_words\": \"english\"}",
    "[{\"\\u00e9\\ud83d\\ude00\": [[[[[[[[1]]]]]]]]}]",
};

static const char *const sql[] = {
    "sratings",
    "s\"main\".\"seen\"",
    "sSELECT user, item, rating FROM ratings -- all of them",
    "s/* a comment */ WITH r AS (SELECT * FROM ratings) SELECT user, item FROM r ORDER BY 1;",
    "s(VALUES(1, 2), ('a', x'00'), (NULL, 3.5))",
    "o{\"epochs\": 2, \"threads\": 1, \"rank\": 3, \"test\": 0.5}",
    "o{\"algorithm\": \"als\", \"objective\": \"both\", \"regularization\": {\"rating\": 0.1}, \"nonnegative\": true}",
    "o{\"algorithm\": \"svd\", \"center\": \"user\", \"missing\": \"zero\", \"range\": \"minmax\"}",
    "o{\"algorithm\": \"logistic\", \"negatives\": 2, \"alpha\": 0.5, \"biases\": false}",
    "o{\"algorithm\": \"sgd\", \"schedule\": \"constant\", \"learning_rate\": 0.01, \"init\": \"uniform\", \"decay\": "
    "0.9}",
    "o{\"user\": \"item\", \"item\": \"user\", \"rating\": null, \"model\": \"temp.x\", \"duplicates\": \"sum\"}",
    "atrain=mf, source=ratings, size=2, options='{\"epochs\": 1}'",
    "atrain = mf, source=(SELECT * FROM ratings), size=2",
    "atrain=\"mf\", source=[seen], size=2, options=''",
    "mratings_mf",
    "mmain.\"ratings_mf\"",
    "ta red fox, and the \xc3\xa9t\xc3\xa9 of 42 foxes_1",
    "t\xff\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xe6\x9d\xb1\xe4\xba\xac \xf0\x9f\x98\x80 a\xcc\x81",
    "t[\"red fox\", {\"deep\": [[\"blue \\u00e9\\ud83d\\ude00\"], 7, null]}]",
    "w{\"ngram_range\": [1, 2], \"stop_words\": \"english\", \"min_df\": 0.5, \"max_df\": 1.0, \"threads\": 1}",
    "w{\"tokenize\": \"porter unicode61 remove_diacritics 2 tokenchars '_'\", \"norm\": \"l1\", \"max_features\": 2}",
    "w{\"ratings\": \"ratings\", \"profile\": \"weighted\", \"test\": 0.5, \"weighting\": \"count\", \"threads\": 1}",
    "w{\"text\": [\"text\"], \"id\": \"item\", \"same_id\": \"join\", \"stop_words\": [\"red\"], \"sublinear_tf\": "
    "true}",
    "v[1, 2.5, -3e10]",
    "v\x01\x02\x03\x04",
    "p[1, 2, 2.0, \"3\", null]",
    "p{\"1\": 5, \"2\": 1.5}",
    "pSELECT item, rating FROM ratings WHERE user = 2",
    "e{\"k\": [1, 2], \"threshold\": 3, \"exclude_seen\": false}",
};

static long runs;

typedef int (*Target)(const uint8_t *data, size_t size);

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

static void fuzz(Target target, const void *input, size_t size, long times) {
  uint8_t bytes[2048];
  for (long turn = 0; turn < times; turn++) {
    memcpy(bytes, input, size);
    size_t mutated = turn ? mutate(bytes, size, sizeof bytes, (uint64_t)turn) : size;
    CHECK(target(bytes, mutated) == 0);
    runs++;
  }
}

/* Blobs as they are stored, but for what is changed. */
static void fuzz_blobs(long times) {
  sqlite3 *db = NULL;
  CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK && sqlite3_recommend_init(db, NULL, NULL) == SQLITE_OK);
  must(db, fuzz_setup);
  for (int i = 0; i < 2; i++) must(db, fuzz_training[i]);
  static const char *const blobs[][2] = {{"u", "SELECT data FROM ratings_mf_userfactor"},
                                         {"i", "SELECT data FROM ratings_mf_itemfactor"},
                                         {"h", "SELECT history FROM ratings_mf_user WHERE idx = 0"},
                                         {"x", "SELECT data FROM texts_tfidf_itemfactor"}};
  for (size_t i = 0; i < sizeof blobs / sizeof *blobs; i++) {
    uint8_t input[1024];
    sqlite3_stmt *statement = NULL;
    CHECK(sqlite3_prepare_v2(db, blobs[i][1], -1, &statement, NULL) == SQLITE_OK &&
          sqlite3_step(statement) == SQLITE_ROW);
    size_t size = (size_t)sqlite3_column_bytes(statement, 0);
    if (CHECK(size > 0 && size < sizeof input)) {
      input[0] = (uint8_t)*blobs[i][0];
      memcpy(input + 1, sqlite3_column_blob(statement, 0), size);
      fuzz(fuzz_sql_once, input, size + 1, times);
    }
    sqlite3_finalize(statement);
  }
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

int main(void) {
  long times = getenv("FAULT_FULL") ? 20000 : 150 / FAULT_SLOW;
  for (size_t i = 0; i < sizeof json / sizeof *json; i++)
    fuzz(fuzz_options_once, json[i], strlen(json[i]), 100 * times);
  for (size_t i = 0; i < sizeof sql / sizeof *sql; i++) fuzz(fuzz_sql_once, sql[i], strlen(sql[i]), times);
  fuzz_blobs(times);
  sqlite3_hard_heap_limit64(0);
  CHECK(sqlite3_memory_used() == 0);
  printf("%ld runs\n", runs);
  return check_report();
}
