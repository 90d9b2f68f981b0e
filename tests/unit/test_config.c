/* What becomes of keys of m_config that a model does not have: see config.h. Nothing has been added to the oldest
 * format yet, so that this is tried on a table of its own. */
#include "model/config.h"

#include "check.h"

typedef struct Pretended {
  int old, flag;
  int64_t count;
  double share;
} Pretended;

static const ConfigKey pretended_keys[] = {
    {"old", CONFIG_INT, .since = 2, .offset = offsetof(Pretended, old)},
    {"flag", CONFIG_INT, .since = 3, .preset = 1, .offset = offsetof(Pretended, flag)},
    {"count", CONFIG_INT64, .since = 3, .preset = 7, .offset = offsetof(Pretended, count)},
    {"share", CONFIG_REAL, .since = 4, .preset = 0.25, .offset = offsetof(Pretended, share)},
};

static void test_keys_of_later_formats_have_presets(void) {
  const unsigned char seen[] = {1, 0, 0, 0};
  Pretended config = {.old = 5, .flag = 9, .count = 9, .share = 9};
  assert_null(config_complete(pretended_keys, 4, seen, 2, &config));
  assert_int_equal(config.old, 5);
  assert_int_equal(config.flag, 1);
  assert_int_equal(config.count, 7);
  assert_true(config.share == 0.25);
}

static void test_keys_that_are_there_keep_their_values(void) {
  const unsigned char seen[] = {1, 1, 0, 1};
  Pretended config = {.flag = 9, .share = 9};
  assert_null(config_complete(pretended_keys, 4, seen, 2, &config));
  assert_int_equal(config.flag, 9);
  assert_true(config.share == 9);
}

static void test_keys_of_the_format_must_be_there(void) {
  Pretended config = {0};
  const unsigned char none[] = {0, 0, 0, 0}, first[] = {1, 0, 1, 0}, all_but_last[] = {1, 1, 1, 0};
  assert_string_equal(config_complete(pretended_keys, 4, none, 2, &config)->key, "old");
  assert_string_equal(config_complete(pretended_keys, 4, first, 3, &config)->key, "flag");
  assert_null(config_complete(pretended_keys, 4, all_but_last, 3, &config));
  assert_string_equal(config_complete(pretended_keys, 4, all_but_last, 4, &config)->key, "share");
}

/* The table itself: every key once, none of a format to come, presets only where they are needed. */
static void test_the_table_is_sound(void) {
  for (size_t i = 0; i < config_key_count; i++) {
    const ConfigKey *key = &config_keys[i];
    for (size_t other = 0; other < i; other++) assert_string_not_equal(key->key, config_keys[other].key);
    assert_in_range(key->since, STORE_OLDEST, STORE_FORMAT);
    assert_true(key->lowest <= key->highest && key->least <= key->most);
    assert_true((key->word != NULL) == (key->type == CONFIG_WORD));
    assert_true(key->since > STORE_OLDEST || key->preset == 0);
    if (key->since > STORE_OLDEST) assert_true(key->type != CONFIG_KIND && key->type != CONFIG_ABLE);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_keys_of_later_formats_have_presets),
      TEST(test_keys_that_are_there_keep_their_values),
      TEST(test_keys_of_the_format_must_be_there),
      TEST(test_the_table_is_sound),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
