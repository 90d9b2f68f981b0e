/* Damage to models of content: of words, and of vectors. See damage.h. */
#include "damage.h"

/* A user whose row is missing is to a query the same as one who never was. */
static const Damaged damaged_content[] = {
    {"articles_tfidf_user", "idx", {"idx", "id", "n", "history"}, FOUND},
    {"articles_tfidf_item", "idx", {"idx", "id", "n"}, DETECTED},
    {"articles_tfidf_itemfactor", "chunk", {"chunk", "n", "data"}, DETECTED},
    {"articles_tfidf_term", "idx", {"idx", "term", "df", "idf"}, DETECTED},
    {"vectors_tfidf_userfactor", "chunk", {"chunk", "n", "data"}, DETECTED},
    {"vectors_tfidf_itemfactor", "chunk", {"chunk", "n", "data"}, DETECTED},
    {"latent_term", "idx", {"idx", "term", "df", "idf"}, DETECTED},
    {"songs_tfidf_itemfactor", "chunk", {"chunk", "n", "data"}, DETECTED},
};

/* A sparse vector's parts, of the first chunk of articles: counts of terms, lengths, terms, weights. */
static void damage_sparse_vectors(void) {
  static const char *const wrong[] = {
      "x'FFFFFFFF' || substr(data, 5, length(data) - 12)",                         /* more terms than there are bytes */
      "substr(data, 1, 40) || x'000080BF' || substr(data, 45, length(data) - 52)", /* a negative length */
      "substr(data, 1, 40) || x'0000C07F' || substr(data, 45, length(data) - 52)", /* none that is a number */
      "substr(data, 1, 80) || x'FFFFFF7F' || substr(data, 85, length(data) - 92)", /* a term that is not there */
      "substr(data, 1, 80) || substr(data, 85, 4) || substr(data, 81, 4) || substr(data, 89, length(data) - 96)",
      "substr(data, 1, length(data) - 12) || x'00000000'", /* a weight of 0, */
      "substr(data, 1, length(data) - 12) || x'000000BF'", /* below it, */
      "substr(data, 1, length(data) - 12) || x'00000040'", /* or longer than 1 */
      "substr(data, 1, length(data) - 12) || x'0000807F'",
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    WITH_DAMAGE(DETECTED, "UPDATE articles_tfidf_itemfactor SET data = checked(CAST(%s AS BLOB)) WHERE chunk = 0",
                wrong[i]);
}

/* As "lsa" and "word2vec" make them: terms, each with a vector in the space of the items'. */
static const char make_latent[] =
    "SELECT tfidf_train('vectors', '{\"threads\":1,\"embedding\":\"vector\",\"model\":\"latent\"}');"
    "INSERT INTO latent_term SELECT * FROM songs_tfidf_term;"
    "UPDATE latent_config SET value = (SELECT count(*) FROM latent_term) WHERE key = 'terms';"
    "UPDATE latent_config SET value = '{}' WHERE key = 'options';"
    "WITH RECURSIVE b(n, bytes) AS (SELECT 0, '' UNION ALL SELECT n + 1, bytes || CASE n % 3 WHEN 0 THEN '0000803F' "
    "WHEN 1 THEN '000000BF' ELSE '0000003E' END FROM b WHERE n < 27) "
    "INSERT INTO latent_weight SELECT 'term/0', '[9,3]', checked(unhexed(bytes)) FROM b WHERE n = 27";

static const char *const latent_serving[] = {
    "SELECT * FROM tfidf_search('a red fox', 4, 'latent')", "SELECT tfidf_cosine(title, body, 'latent') FROM articles",
    "SELECT tfidf_vector(body, 'latent') FROM articles",    "SELECT * FROM item_similar(3, 3, 'latent')",
    "SELECT * FROM recommend_for('[3, 5]', 4, 'latent')",   "INSERT INTO latent(latent) VALUES('integrity-check')",
};

static void damage_content(void) {
  static const char *const used[] = {"config", "user", "item", "itemfactor", "term", NULL};
  static const char *const unused[] = {"neighbor", "weight", NULL};
  static const char *const used_dense[] = {"config", "user", "item", "userfactor", "itemfactor", NULL};
  static const char *const unused_dense[] = {"neighbor", "weight", "term", NULL};
  sqlite3 *db = empty_database();
  fill_with_content(db, 1);
  patient = (Patient){.serving = content_serving,
                      .servings = CONTENT_SERVING,
                      .models = content_models,
                      .model_count = CONTENT_MODELS,
                      .retrain = "articles_tfidf",
                      .train = train_content[0]};
  take_in(db);
  damage_tables("articles_tfidf", used, unused, "songs_tfidf");
  damage_tables("vectors_tfidf", used_dense, unused_dense, "articles_tfidf");
  damage_blobs((Cell){"articles_tfidf_itemfactor", "data", "chunk"}, fault_stride(29));
  damage_blobs((Cell){"vectors_tfidf_itemfactor", "data", "chunk"}, fault_stride(29));
  damage_blobs((Cell){"vectors_tfidf_userfactor", "data", "chunk"}, fault_stride(29));
  if (FAULT_SLOW == 1) damage_blobs((Cell){"articles_tfidf_user", "history", "idx"}, fault_stride(41));
  damage_words((Cell){"articles_tfidf_itemfactor", "data", "chunk"}, fault_stride(7));
  damage_words((Cell){"vectors_tfidf_itemfactor", "data", "chunk"}, fault_stride(3));
  damage_words((Cell){"vectors_tfidf_userfactor", "data", "chunk"}, fault_stride(5));
  damage_sparse_vectors();
  WITH_DAMAGE(DETECTED, "UPDATE articles_tfidf_config SET value = 0 WHERE key = 'cosine'");
  WITH_DAMAGE(DETECTED, "UPDATE articles_tfidf_config SET value = 0 WHERE key = 'sparse'");
  WITH_DAMAGE(DETECTED, "UPDATE articles_tfidf_config SET value = value + 1 WHERE key = 'terms'");
  WITH_DAMAGE(DETECTED, "UPDATE articles_tfidf_config SET value = value - 1 WHERE key = 'terms'");
  WITH_DAMAGE(DETECTED, "UPDATE articles_tfidf_config SET value = 2 WHERE key = 'profile'");
  WITH_DAMAGE(DETECTED, "UPDATE vectors_tfidf_config SET value = 1 WHERE key = 'sparse'");
  WITH_DAMAGE(DETECTED, "UPDATE vectors_tfidf_config SET value = 1 WHERE key = 'terms'");
  WITH_DAMAGE(DETECTED, "UPDATE articles_tfidf_term SET term = 'zzz' WHERE idx = 0");
  WITH_DAMAGE(DETECTED,
              "UPDATE articles_tfidf_term SET idx = -1 WHERE idx = 0; UPDATE articles_tfidf_term SET idx = 0 WHERE "
              "idx = 1; UPDATE articles_tfidf_term SET idx = 1 WHERE idx = -1"); /* two change places */
  for (size_t i = 0; i < sizeof damaged_content / sizeof *damaged_content; i++)
    if (!strstr(damaged_content[i].table, "latent")) damage_rows(&damaged_content[i], fault_stride(7));
  damage_config("articles_tfidf_config", fault_stride(7));
  if (FAULT_SLOW == 1) damage_config("vectors_tfidf_config", fault_stride(9));
  discharge();
}

static void damage_latent(void) {
  static const char *const used[] = {"term", "weight", NULL}, *const unused[] = {NULL};
  static const char *const models[] = {"latent", "songs_tfidf"};
  sqlite3 *db = empty_database();
  must(db, make_data);
  must(db, make_content);
  must(db, train_content[2]);
  must(db, make_latent);
  patient = (Patient){.serving = latent_serving,
                      .servings = sizeof latent_serving / sizeof *latent_serving,
                      .models = models,
                      .model_count = 2,
                      .retrain = "latent",
                      .train = train_content[1]};
  take_in(db);
  damage_tables("latent", used, unused, "songs_tfidf");
  damage_blobs((Cell){"latent_weight", "data", "rowid"}, fault_stride(7));
  damage_words((Cell){"latent_weight", "data", "name"}, fault_stride(2));
  for (size_t i = 0; i < sizeof damaged_content / sizeof *damaged_content; i++)
    if (strstr(damaged_content[i].table, "latent")) damage_rows(&damaged_content[i], fault_stride(3));
  WITH_DAMAGE(DETECTED, "UPDATE latent_weight SET name = 'term/1'");
  WITH_DAMAGE(DETECTED, "UPDATE latent_weight SET name = NULL");
  WITH_DAMAGE(DETECTED, "DELETE FROM latent_weight");
  WITH_DAMAGE(DETECTED, "UPDATE latent_weight SET data = 'a text'");
  static const char *const no_options[] = {
      "NULL", "7", "x'00'", "'{'", "'[]'", "'{\"tokenize\": 1}'", "'{\"nonesuch\": 1}'"};
  for (size_t i = 0; i < sizeof no_options / sizeof *no_options; i++)
    WITH_DAMAGE(RIGHT, "UPDATE latent_config SET value = %s WHERE key = 'options'", no_options[i]);
  damage_config("latent_config", fault_stride(9));
  discharge();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(damage_content),
      TEST(damage_latent),
      TEST(enough_is_damaged),
  };
  return cmocka_run_group_tests(tests, begin_damage, NULL);
}
