/* Fuzzing what users write as text: the first byte of the input says which, the rest is the text, bound to ?1.
 *
 *     s  a source          SELECT mf_train(<text>, 2, …), and of the other trainers
 *     a  module arguments  CREATE VIRTUAL TABLE t USING recommender(<text>)
 *     m  a model's name    of every function that takes one
 *     o  options           of mf_train; k of knn_train, j ease, b baseline, c kmeans, w tfidf; x of every trainer
 *     n  a trainer's name  recommend_options
 *     f  options           of recommend_cross_validate; F folds; g the grid and G the options of recommend_grid_search
 *     e  options           of recommend_evaluate
 *     t  a text            an item of tfidf_train, compared with others and searched for
 *     v  a vector          an item of tfidf_train with "embedding", and what reads vectors
 *     p  a profile         recommend_for
 *     l  ids               of what is written to a model, as text and as blobs
 *     q  SQL               a condition on a model table */
#include "fuzz.h"
#include "train/trainer.h"

#ifndef FUZZ_ENTRY
#define FUZZ_ENTRY LLVMFuzzerTestOneInput
#endif
int FUZZ_ENTRY(const uint8_t *data, size_t size);

static const char sql_setup[] =
    "CREATE TABLE ratings(user, item, rating); CREATE VIEW seen AS SELECT user, item FROM ratings;"
    "INSERT INTO ratings VALUES(1, 1, 5), (1, 2, 3), (2, 1, 4), (2, 3, 1), (3, 2, 2), (3, 3, 5);"
    "CREATE TABLE texts(item, text); INSERT INTO texts VALUES(1, 'a red fox'), (2, 'the blue fox'), (3, NULL);";

static const char sql_training[] =
    "SELECT mf_train('ratings', 2, '{\"epochs\":1,\"threads\":1}');"
    "SELECT knn_train('ratings', 2, '{\"threads\":1}');"
    "SELECT tfidf_train('texts', '{\"threads\":1,\"ratings\":\"ratings\"}');";

static const struct {
  char letter;
  const char *sql;
} targets[] = {
    {'s',
     "SELECT mf_train(?1, 2, '{\"model\":\"m\",\"epochs\":1,\"threads\":1}');"
     "SELECT kmeans_train(?1, 2, '{\"model\":\"k\",\"threads\":1}');"
     "SELECT tfidf_train(?1, '{\"model\":\"t\",\"threads\":1}');SELECT * FROM recommend_describe(?1);"
     "SELECT * FROM recommend_evaluate('ratings_mf', ?1)"},
    {'m',
     "SELECT * FROM recommend(1, 2, ?1);SELECT * FROM recommend_all(2, ?1);SELECT predict(1, 3, ?1);"
     "SELECT * FROM recommend_factors(?1, 'item');SELECT recommend_retrain(?1);"
     "SELECT mf_train('ratings', 2, json_object('model', ?1, 'epochs', 1, 'threads', 1))"},
    {'o', "SELECT mf_train('ratings', 2, ?1)"},
    {'k', "SELECT knn_train('ratings', 2, ?1)"},
    {'j', "SELECT ease_train('ratings', 2, ?1)"},
    {'b', "SELECT baseline_train('ratings', ?1)"},
    {'c', "SELECT kmeans_train('ratings', 2, ?1)"},
    {'w', "SELECT tfidf_train('texts', ?1)"},
    {'n', "SELECT * FROM recommend_options(?1);SELECT * FROM recommend_trainers WHERE trainer = ?1"},
    {'f',
     "SELECT * FROM recommend_cross_validate('mf', 'ratings', 2, ?1);"
     "SELECT * FROM recommend_cross_validate('knn', 'ratings', 2, ?1)"},
    {'F', "SELECT * FROM recommend_cross_validate('baseline', 'ratings', ?1)"},
    {'g', "SELECT * FROM recommend_grid_search('mf', 'ratings', ?1, '{\"epochs\":1,\"threads\":1}')"},
    {'G', "SELECT * FROM recommend_grid_search('ease', 'ratings', '{\"lambda\":[1,2]}', ?1)"},
    {'e', "SELECT * FROM recommend_evaluate('ratings_mf', 'ratings', ?1)"},
    {'t',
     "UPDATE texts SET text = ?1 WHERE item = 3;"
     "SELECT tfidf_train('texts', '{\"threads\":1,\"ngram_range\":[1,3],\"ratings\":\"ratings\"}');"
     "SELECT tfidf_cosine(?1, text), tfidf_cosine(?1, text, 'texts_tfidf') FROM texts;"
     "SELECT tfidf_vector(?1, 'texts_tfidf');SELECT * FROM tfidf_search(?1, 2, 'texts_tfidf');"
     "SELECT tfidf_train('texts', '{\"threads\":1,\"tokenize\":\"trigram\",\"lowercase\":false}')"},
    {'v',
     "UPDATE texts SET text = ?1;SELECT tfidf_train('texts', '{\"threads\":1,\"embedding\":\"text\"}');"
     "SELECT * FROM tfidf_search(?1, 2, 'texts_tfidf');SELECT tfidf_cosine(?1, ?1, 'texts_tfidf');"
     "SELECT recommend_vector(?1), recommend_dot(?1, ?1), recommend_cosine(?1, '[1, 2]'), recommend_normalize(?1)"},
    {'p',
     "SELECT * FROM recommend_for(?1, 2, 'texts_tfidf');SELECT * FROM recommend_for(?1, 2, 'ratings_mf');"
     "SELECT * FROM recommend_for(?1, 2, 'ratings_knn')"},
    {'l',
     "INSERT INTO ratings_mf(user, item, rating) VALUES(?1, 1, 4), (1, ?1, 2), (2, 2, ?1);"
     "INSERT INTO ratings_knn(user, item, rating) VALUES(?1, ?1, 4);"
     "SELECT * FROM recommend(?1, 2, 'ratings_mf');SELECT * FROM item_similar(?1, ?1, 'ratings_knn');"
     "INSERT INTO ratings_mf(ratings_mf, user) VALUES(?1, ?1);SELECT recommend_split(?1, ?1);"
     "SELECT recommend_forget('user', ?1);SELECT recommend_forget('item', ?1)"},
};
enum { TARGETS = sizeof targets / sizeof *targets };

static const char sql_queries[] =
    "SELECT * FROM recommend(1, 2, 'ratings_mf');SELECT * FROM recommend_models;"
    "INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check');"
    "INSERT INTO ratings_knn(ratings_knn) VALUES('integrity-check');"
    "INSERT INTO texts_tfidf(texts_tfidf) VALUES('integrity-check')";

typedef struct Text {
  const uint8_t *bytes;
  size_t size;
  int as_blob;
} Text;

static int bind_text(sqlite3_stmt *statement, const void *context) {
  const Text *text = context;
  return text->as_blob
             ? sqlite3_bind_blob64(statement, 1, text->bytes, text->size, SQLITE_STATIC)
             : sqlite3_bind_text64(statement, 1, (const char *)text->bytes, text->size, SQLITE_STATIC, SQLITE_UTF8);
}

/* The text becomes part of a statement, in a database that defends its shadow tables. */
static void run_inside(sqlite3 *db, const char *format, const Text *text) {
  char *sql = sqlite3_mprintf(format, (int)text->size, text->bytes);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)0);
  fuzz_run(db, sql, NULL, NULL);
  sqlite3_free(sql);
}

/* As options of every trainer that there is. */
static void run_trainers(sqlite3 *db, const Text *text) {
  for (int i = 0; trainers[i]; i++) {
    char *sql =
        sqlite3_mprintf("SELECT %s(%Q, ?1)", trainers[i]->function, trainers[i]->reads_ratings ? "ratings" : "texts");
    fuzz_run(db, sql, bind_text, text);
    sqlite3_free(sql);
  }
}

int FUZZ_ENTRY(const uint8_t *data, size_t size) {
  static FuzzImage image;
  if (size < 1 || size > 4096) return 0;
  if (!image.bytes) fuzz_image_make(&image, sql_setup, sql_training);
  long steps = 2000;
  sqlite3 *db = fuzz_image_open(&image, &steps);
  Text text = {data + 1, size - 1, 0};
  for (int i = 0; i < TARGETS; i++)
    if (targets[i].letter == (char)data[0]) {
      fuzz_run(db, targets[i].sql, bind_text, &text);
      text.as_blob = 1;
      if (strchr("vl", targets[i].letter)) fuzz_run(db, targets[i].sql, bind_text, &text);
    }
  if (data[0] == 'x') run_trainers(db, &text);
  if (data[0] == 'a')
    run_inside(db, "CREATE VIRTUAL TABLE t USING recommender(%.*s);SELECT * FROM t;DROP TABLE t", &text);
  if (data[0] == 'q') run_inside(db, "SELECT * FROM ratings_mf WHERE %.*s", &text);
  fuzz_run(db, sql_queries, NULL, NULL);
  fuzz_close(db);
  return 0;
}
