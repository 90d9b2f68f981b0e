/* Damage to models of ratings and of plays. See damage.h. */
#include "damage.h"

static const char *const rating_models[] = {"ratings_mf", "plays_mf"};

/* A user whose row is missing is to a query the same as one who never was. */
static const Damaged damaged[] = {
    {"ratings_mf_user", "idx", {"idx", "id", "n", "history"}, FOUND},
    {"plays_mf_user", "idx", {"idx", "id", "n", "history"}, FOUND},
    {"ratings_mf_item", "idx", {"idx", "id", "n"}, DETECTED},
    {"plays_mf_item", "idx", {"idx", "id", "n"}, DETECTED},
    {"ratings_mf_userfactor", "chunk", {"chunk", "n", "data"}, DETECTED},
    {"ratings_mf_itemfactor", "chunk", {"chunk", "n", "data"}, DETECTED},
    {"plays_mf_userfactor", "chunk", {"chunk", "n", "data"}, DETECTED},
    {"plays_mf_itemfactor", "chunk", {"chunk", "n", "data"}, DETECTED},
};

static void damage_ratings(void) {
  static const char *const used[] = {"config", "user", "item", "userfactor", "itemfactor", NULL};
  static const char *const unused[] = {"neighbor", "term", "weight", NULL};
  sqlite3 *db = empty_database();
  must(db, make_data);
  must(db, train_ratings);
  must(db, train_plays);
  patient = (Patient){.serving = serving,
                      .servings = SERVING,
                      .changes = rating_changes,
                      .changes_count = CHANGES,
                      .models = rating_models,
                      .model_count = 2,
                      .retrain = "ratings_mf",
                      .train = train_ratings};
  take_in(db);
  damage_tables("ratings_mf", used, unused, "plays_mf");
  WITH_DAMAGE(DETECTED, "UPDATE ratings_mf_config SET value = 1 WHERE key = 'cosine'");
  WITH_DAMAGE(DETECTED, "UPDATE plays_mf_config SET value = 1 WHERE key = 'cosine'");
  WITH_DAMAGE(DETECTED, "UPDATE plays_mf_config SET value = 1 WHERE key = 'sparse'");
  damage_blobs((Cell){"ratings_mf_userfactor", "data", "chunk"}, fault_stride(7));
  damage_blobs((Cell){"ratings_mf_itemfactor", "data", "chunk"}, fault_stride(7));
  damage_blobs((Cell){"plays_mf_itemfactor", "data", "chunk"}, fault_stride(7));
  damage_blobs((Cell){"ratings_mf_user", "history", "idx"}, fault_stride(13));
  damage_blobs((Cell){"plays_mf_user", "history", "idx"}, fault_stride(7));
  for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) damage_rows(&damaged[i], fault_stride(5));
  damage_config("ratings_mf_config", fault_stride(2));
  damage_config("plays_mf_config", fault_stride(7));
  discharge();
}

/* Of an item that was forgotten there is a place, and nothing else: see items.c. */
static void damage_forgotten(void) {
  static const Damaged rows[] = {{"ratings_mf_item", "idx", {"idx", "id", "n"}, DETECTED},
                                 {"plays_mf_item", "idx", {"idx", "id", "n"}, DETECTED}};
  sqlite3 *db = empty_database();
  must(db, make_data);
  must(db, train_ratings);
  must(db, train_plays);
  must(db, "INSERT INTO ratings_mf(ratings_mf, item) VALUES('forget', 10)");
  must(db, "INSERT INTO ratings_mf(ratings_mf, item) VALUES('forget', 1)");
  must(db, "INSERT INTO plays_mf(plays_mf, item) VALUES('forget', 'song 5')");
  patient = (Patient){.serving = serving,
                      .servings = SERVING,
                      .changes = rating_changes,
                      .changes_count = CHANGES,
                      .models = rating_models,
                      .model_count = 2,
                      .retrain = "ratings_mf",
                      .train = train_ratings};
  take_in(db);
  WITH_DAMAGE(FOUND, "UPDATE ratings_mf_item SET id = NULL WHERE idx = 3");
  WITH_DAMAGE(FOUND, "UPDATE ratings_mf_item SET id = NULL");
  WITH_DAMAGE(FOUND, "UPDATE ratings_mf_item SET n = 1 WHERE id IS NULL");
  WITH_DAMAGE(DETECTED, "DELETE FROM plays_mf_item WHERE id IS NULL");
  damage_words((Cell){"ratings_mf_itemfactor", "data", "chunk"}, fault_stride(7));
  damage_words((Cell){"plays_mf_itemfactor", "data", "chunk"}, fault_stride(7));
  damage_words((Cell){"ratings_mf_user", "history", "idx"}, fault_stride(29));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) damage_rows(&rows[i], fault_stride(3));
  discharge();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(damage_ratings),
      TEST(damage_forgotten),
      TEST(enough_is_damaged),
  };
  return cmocka_run_group_tests(tests, begin_damage, NULL);
}
