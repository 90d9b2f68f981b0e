/* Damage to models of neighbours and of item weights. See damage.h. */
#include "damage.h"

static const Damaged damaged_links[] = {
    {"ratings_knn_neighbor", "idx", {"idx", "n", "data"}, DETECTED},
    {"users_knn_neighbor", "idx", {"idx", "n", "data"}, DETECTED},
    {"users_knn_user", "idx", {"idx", "id", "n", "history"}, FOUND},
    {"ratings_knn_user", "idx", {"idx", "id", "n", "history"}, FOUND}, /* timed histories */
    {"ratings_baseline_itemfactor", "chunk", {"chunk", "n", "data"}, DETECTED},
};

static void damage_links(void) {
  static const char *const used[] = {"config", "user", "item", "userfactor", "itemfactor", "neighbor", NULL};
  static const char *const unused[] = {"term", "weight", NULL};
  static const char *const used_dense[] = {"config", "user", "item", "weight", NULL};
  static const char *const unused_dense[] = {"userfactor", "itemfactor", "neighbor", "term", NULL};
  sqlite3 *db = empty_database();
  must(db, make_data);
  for (int i = 0; i < LINK_MODELS; i++) must(db, train_links[i]);
  patient = (Patient){.serving = link_serving,
                      .servings = LINK_SERVING,
                      .changes = link_changes,
                      .changes_count = LINK_CHANGES,
                      .models = link_models,
                      .model_count = LINK_MODELS,
                      .retrain = "ratings_knn",
                      .train = train_links[0]};
  take_in(db);
  damage_tables("ratings_knn", used, unused, "plays_ease");
  damage_tables("users_knn", used, unused, "ratings_knn");
  damage_tables("plays_ease", used_dense, unused_dense, "ratings_knn");
  damage_blobs((Cell){"ratings_knn_neighbor", "data", "idx"}, fault_stride(97));
  damage_blobs((Cell){"users_knn_neighbor", "data", "idx"}, fault_stride(97));
  damage_blobs((Cell){"plays_ease_weight", "data", "rowid"}, fault_stride(29));
  damage_blobs((Cell){"ratings_knn_user", "history", "idx"}, fault_stride(97));
  damage_words((Cell){"ratings_knn_user", "history", "idx"}, fault_stride(23));
  damage_words((Cell){"ratings_knn_neighbor", "data", "idx"}, fault_stride(17));
  damage_words((Cell){"users_knn_neighbor", "data", "idx"}, fault_stride(17));
  damage_words((Cell){"plays_ease_weight", "data", "rowid"}, fault_stride(11));
  for (size_t i = 0; i < sizeof damaged_links / sizeof *damaged_links; i++)
    damage_rows(&damaged_links[i], fault_stride(9));
  for (int kind = 0; kind < 5; kind++)
    for (int model = 0; model < LINK_MODELS; model++)
      WITH_DAMAGE(ANYTHING, "UPDATE %s_config SET value = %d WHERE key = 'links'", link_models[model], kind);
  for (int model = 0; model < LINK_MODELS - 1; model++) {
    WITH_DAMAGE(DETECTED, "UPDATE %s_config SET value = 0 WHERE key = 'links'", link_models[model]);
    /* As if some items had come after the training. */
    WITH_DAMAGE(FOUND, "UPDATE %s_config SET value = value - 1 WHERE key = 'linked'", link_models[model]);
    WITH_DAMAGE(FOUND, "UPDATE %s_config SET value = 0 WHERE key = 'linked'", link_models[model]);
    WITH_DAMAGE(DETECTED, "UPDATE %s_config SET value = value + 1 WHERE key = 'linked'", link_models[model]);
    WITH_DAMAGE(DETECTED, "DELETE FROM %s_config WHERE key LIKE 'neighbor%%'", link_models[model]);
  }
  for (int history = 0; history < 4; history++) {
    if (history != 2) WITH_DAMAGE(DETECTED, "UPDATE ratings_knn_config SET value = %d WHERE key = 'history'", history);
    if (history >= 2) WITH_DAMAGE(DETECTED, "UPDATE users_knn_config SET value = %d WHERE key = 'history'", history);
  }
  WITH_DAMAGE(DETECTED, "UPDATE plays_ease_weight SET name = 'link/1'");
  WITH_DAMAGE(DETECTED, "UPDATE plays_ease_weight SET name = NULL");
  WITH_DAMAGE(DETECTED, "INSERT INTO plays_ease_weight SELECT 'link/9', shape, data FROM plays_ease_weight");
  WITH_DAMAGE(DETECTED, "DELETE FROM plays_ease_weight");
  WITH_DAMAGE(DETECTED, "UPDATE plays_ease_weight SET data = 'a text'");
  WITH_DAMAGE(DETECTED, "UPDATE plays_ease_weight SET data = NULL");
  /* Rows of users, which nothing could fold a rating into. */
  WITH_DAMAGE(DETECTED,
              "UPDATE plays_ease_config SET value = 1 WHERE key = 'rating_biases'; "
              "INSERT INTO plays_ease_itemfactor SELECT 0, count(*), checked(zeroblob(4 * count(*))) FROM "
              "plays_ease_item; "
              "INSERT INTO plays_ease_userfactor SELECT 0, count(*), checked(zeroblob(4 * count(*))) FROM "
              "plays_ease_user");
  WITH_DAMAGE(DETECTED, "UPDATE users_knn_config SET value = 'ranking' WHERE key = 'prediction_head'");
  WITH_DAMAGE(DETECTED, "UPDATE users_knn_config SET value = 'rating' WHERE key = 'score_head'");
  WITH_DAMAGE(DETECTED, "UPDATE users_knn_config SET value = 5 WHERE key = 'neighbor_similarity'");
  WITH_DAMAGE(DETECTED, "UPDATE users_knn_config SET value = -1 WHERE key = 'neighbor_shrinkage'");
  WITH_DAMAGE(DETECTED, "UPDATE users_knn_config SET value = 1.5 WHERE key = 'neighbor_bm25_b'");
  damage_config("users_knn_config", fault_stride(19));
  if (FAULT_SLOW == 1) damage_config("plays_ease_config", fault_stride(31));
  discharge();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(damage_links),
      TEST(enough_is_damaged),
  };
  return cmocka_run_group_tests(tests, begin_damage, NULL);
}
