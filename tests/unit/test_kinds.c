/* The table of kinds: what a kind says that its models can do it has a method for, so that whoever has asked
 * shape_can() calls it without another look. */
#include <sqlite3.h>

#include "check.h"
#include "model/kind.h"

#define ROW(kind) &kind,
static const ModelKind *const kinds[] = {MODEL_KINDS(ROW)};
#undef ROW

enum { KINDS = sizeof kinds / sizeof *kinds };

static int says(const ModelKind *kind, Ability ability) { return (kind->abilities & ABLE(ability)) != 0; }

static void test_each_is_found_by_its_name(void) {
  for (size_t i = 0; i < KINDS; i++) CHECK(kind_find(kinds[i]->name) == kinds[i]);
  assert_null(kind_find(""));
  assert_null(kind_find("factor"));
}

/* Who has rows of factors or biases is told by the shape and not by the kind: a kind without fold_user must not fit a
 * shape whose users have some. */
static int fits_with_rows(const ModelKind *kind) {
  int fits = 0;
  for (int links = LINK_NONE; links < LINK_KINDS; links++) {
    ModelShape shape = {.kind = kind, .score_head = HEAD_RANKING, .prediction_head = -1, .links = links};
    shape.biases[HEAD_RATING] = 1;
    fits |= kind->fits(&shape);
  }
  return fits;
}

static void test_each_has_what_it_is_able_to(void) {
  for (size_t i = 0; i < KINDS; i++) {
    const ModelKind *kind = kinds[i];
    int held = CHECK(kind->fits && kind->scorer && kind->queries);
    held &= CHECK(!says(kind, ABILITY_PREDICT) || kind->predict);
    held &= CHECK(!says(kind, ABILITY_SIMILAR_ITEMS) || kind->nearest_items);
    held &= CHECK(!says(kind, ABILITY_FOLD_IN) || kind->by_history || kind->fold_user);
    held &= CHECK(!says(kind, ABILITY_LIVE) || kind->fold_user || !fits_with_rows(kind));
    held &= CHECK(!kind->load_items == !kind->copy_items || kind->of_content); /* of which there are none in memory */
    if (!held) printf("  kind \"%s\"\n", kind->name);
  }
}

static void test_abilities_are_words(void) {
  for (size_t i = 0; i < KINDS; i++) {
    char *text = abilities_text(kinds[i]->abilities);
    assert_non_null(text);
    assert_int_equal(abilities_of_text(text), kinds[i]->abilities);
    sqlite3_free(text);
  }
  assert_int_equal(abilities_of_text(""), 0);
  assert_int_equal(abilities_of_text("recommend, fly"), -1);
  assert_int_equal(abilities_of_text("recommend,predict"), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_each_is_found_by_its_name),
      TEST(test_each_has_what_it_is_able_to),
      TEST(test_abilities_are_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
