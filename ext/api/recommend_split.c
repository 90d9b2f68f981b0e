/* recommend_split(seed, key…): a uniform number in [0, 1) from a hash of the key, the same on every machine:
 *
 *     CREATE VIEW train AS SELECT * FROM ratings WHERE recommend_split(42, user, item) < 0.8;
 *
 * The keys are compared as ids are (1 and 1.0 are the same). NULL anywhere gives NULL. */
#include "../base/memory.h"
#include "register.h"
#include "vtab.h"

static void split(sqlite3_context *context, int count, sqlite3_value **values) {
  if (count < 2) {
    sqlite3_result_error(
        context, "recommend_split: a seed and a key are needed: call it as recommend_split(42, user, item)", -1);
    return;
  }
  int64_t seed = 0;
  if (sqlite3_value_type(values[0]) == SQLITE_NULL) return;
  if (!value_is_whole(values[0], &seed)) {
    sqlite3_result_error(context, "recommend_split: the seed must be a whole number", -1);
    return;
  }
  Id *key = memory_alloc((size_t)count - 1, sizeof *key);
  int there = key ? 1 : -1;
  for (int i = 1; i < count && there > 0; i++) there = id_from_value(values[i], &key[i - 1]);
  if (there < 0) sqlite3_result_error_nomem(context);
  if (there > 0) sqlite3_result_double(context, split_uniform((uint64_t)seed, key, (size_t)count - 1));
  memory_free(key);
}

int recommend_split_register(sqlite3 *db) {
  return sqlite3_create_function_v2(db, "recommend_split", -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                                    NULL, split, NULL, NULL, NULL);
}
