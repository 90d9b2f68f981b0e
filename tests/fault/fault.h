/* What the fault tests share: small data, every statement a user would run on them, what a statement came to, a hash of
 * all that a database holds, and a file system that fails or kills at a given write.
 *
 * Everything is deterministic: a fault is the nth of its kind, never one at a time. FAULT_FULL=1 in the environment
 * tries every n; without it, and under a sanitizer, some are left out, fewer with FAULT_MORE=2 or more, which is what
 * continuous integration has time for. Included by one file of a program. */
#ifndef RECOMMEND_TESTS_FAULT_H
#define RECOMMEND_TESTS_FAULT_H

#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "recommend.h"

#define FAULT_SLOW (SANITIZED ? 14 : 1)

/* ---- how many ---------------------------------------------------------------------------------------------------- */

/* FAULT_MORE=8 in the environment tries some eight times as many as a person waits for. */
static inline long fault_more(void) {
  const char *more = getenv("FAULT_MORE");
  long times = more ? atol(more) : 1;
  return times > 0 ? times : 1;
}

/* The n to try after n: all of them up to half of `dense`, then steps of 2/`fineness` of n. */
static inline long next_fault(long n, long dense, long fineness) {
  if (getenv("FAULT_FULL") || n < dense * fault_more() / (2 * FAULT_SLOW)) return n + 1;
  long step = n * 2 * FAULT_SLOW / (fineness * fault_more());
  return n + (step > 0 ? step : 1);
}

/* How far it is from one to the next where every 2 * `stride`th is tried. A person waits for half as many under a
 * sanitizer. */
static inline long fault_stride(long stride) {
  long more = fault_more(), spared = SANITIZED && more == 1 ? 2 : 1;
  long far = getenv("FAULT_FULL") ? 1 : 2 * stride * FAULT_SLOW * spared / more;
  return far > 0 ? far : 1;
}

/* Whether to try the nth of those of which all are tried, but for a person under a sanitizer, who waits for a third. */
static inline int fault_taken(long n) { return !SANITIZED || fault_more() > 1 || getenv("FAULT_FULL") || n % 3 == 0; }

/* ---- what a statement came to ------------------------------------------------------------------------------------ */

typedef struct Outcome {
  int code; /* extended; SQLITE_OK: ran to its end */
  long rows;
  uint64_t hash; /* of all values of all rows, in order */
  char message[240];
} Outcome;

static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size) { /* FNV-1a */
  const unsigned char *from = bytes;
  for (size_t i = 0; i < size; i++) hash = (hash ^ from[i]) * UINT64_C(0x100000001b3);
  return hash;
}

static inline uint64_t hash_column(uint64_t hash, sqlite3_stmt *statement, int column) {
  char type = (char)sqlite3_column_type(statement, column);
  hash = hash_bytes(hash, &type, 1);
  if (type == SQLITE_INTEGER) {
    sqlite3_int64 value = sqlite3_column_int64(statement, column);
    return hash_bytes(hash, &value, sizeof value);
  }
  if (type == SQLITE_FLOAT) {
    double value = sqlite3_column_double(statement, column);
    return hash_bytes(hash, &value, sizeof value);
  }
  const void *bytes = sqlite3_column_blob(statement, column);
  int size = sqlite3_column_bytes(statement, column);
  hash = hash_bytes(hash, &size, sizeof size);
  return bytes ? hash_bytes(hash, bytes, (size_t)size) : hash;
}

/* Runs every statement of `sql` to its end, or up to the first that fails. */
static inline Outcome run(sqlite3 *db, const char *sql) {
  Outcome outcome = {.hash = UINT64_C(0xcbf29ce484222325)};
  while (*sql && outcome.code == SQLITE_OK) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, &sql);
    if (code == SQLITE_OK && !statement) break; /* blanks behind the last */
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
      for (int column = 0; column < sqlite3_column_count(statement); column++)
        outcome.hash = hash_column(outcome.hash, statement, column);
      outcome.rows++;
      code = SQLITE_OK;
    }
    if (code != SQLITE_OK && code != SQLITE_DONE) {
      outcome.code = sqlite3_extended_errcode(db);
      if ((outcome.code & 0xff) != (code & 0xff)) outcome.code = code;
      snprintf(outcome.message, sizeof outcome.message, "%s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(statement);
  }
  return outcome;
}

static inline int primary(int code) { return code & 0xff; }

static inline int same_rows(const Outcome *a, const Outcome *b) {
  return a->code == SQLITE_OK && b->code == SQLITE_OK && a->rows == b->rows && a->hash == b->hash;
}

/* A statement that must succeed. */
static inline Outcome must(sqlite3 *db, const char *sql) {
  Outcome outcome = run(db, sql);
  if (!CHECK(outcome.code == SQLITE_OK)) printf("  %.100s: code %d, %s\n", sql, outcome.code, outcome.message);
  return outcome;
}

/* Closes, which must succeed: nothing of ours is left open. */
static inline void must_close(sqlite3 *db) { CHECK(sqlite3_close(db) == SQLITE_OK); }

/* ---- data and statements ----------------------------------------------------------------------------------------- */

/* 12 users and 10 items with ratings, and when they were given; and 9 people and 8 songs known only by what was played,
 * ids being texts. */
static const char make_data[] =
    "CREATE TABLE ratings(user INTEGER, item INTEGER, rating REAL);"
    "WITH RECURSIVE u(u) AS (SELECT 1 UNION ALL SELECT u + 1 FROM u WHERE u < 12),"
    " i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 10)"
    " INSERT INTO ratings SELECT u, i, 1 + (u * 7 + i * 3 + (u % 3) * (i % 4)) % 5 FROM u, i WHERE (u * 5 + i * 11) % "
    "3 > 0;"
    "CREATE VIEW dated AS SELECT *, CASE WHEN item % 4 THEN user * item % 5 END AS timestamp FROM ratings;"
    "CREATE TABLE plays(person TEXT, song TEXT);"
    "WITH RECURSIVE u(u) AS (SELECT 1 UNION ALL SELECT u + 1 FROM u WHERE u < 9),"
    " i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 8)"
    " INSERT INTO plays SELECT 'person ' || u, 'song ' || i FROM u, i WHERE (u * 5 + i * 3) % 4 < 2;";

static const char train_ratings[] = "SELECT mf_train('ratings', 3, '{\"threads\":1,\"epochs\":3}')";
static const char train_plays[] = "SELECT mf_train('plays', 3, '{\"threads\":1,\"epochs\":3}')";

/* Everything that only reads, once both are trained. Their rows are the same each time. */
static const char *const serving[] = {
    "SELECT * FROM recommend_trainers",
    "SELECT * FROM recommend_options('mf')",
    "SELECT * FROM recommend(3, 4, 'ratings_mf')",
    "SELECT * FROM recommend('nobody', 4, 'ratings_mf')",
    "SELECT item, score, reason FROM recommend WHERE _user = 4 AND _model = 'ratings_mf' AND item IN (1, 5, 7, 99)",
    "SELECT * FROM recommend('person 2', 3, 'plays_mf')",
    "SELECT * FROM recommend_all(3, 'ratings_mf')",
    "SELECT * FROM recommend_all(2, 'plays_mf')",
    "SELECT * FROM recommend_users(2, 3, 'ratings_mf')",
    "SELECT * FROM recommend_users('song 3', 3, 'plays_mf')",
    "SELECT * FROM item_similar(2, 3, 'ratings_mf')",
    "SELECT * FROM item_similar(2, 3, 'ratings_mf', 2)",
    "SELECT * FROM item_similar('song 2', 3, 'plays_mf')",
    "SELECT * FROM user_similar(2, 3, 'ratings_mf')",
    "SELECT * FROM user_similar('person 5', 3, 'plays_mf')",
    "SELECT user, item, predict(user, item, 'ratings_mf') FROM ratings WHERE user < 4",
    "SELECT rowid, * FROM ratings_mf",
    "SELECT rowid, * FROM plays_mf",
    "SELECT * FROM ratings_mf WHERE user = 3 AND item = 4",
    "SELECT * FROM ratings_mf WHERE user = 3 AND seen = 0 ORDER BY score DESC LIMIT 3",
    "SELECT * FROM ratings_mf WHERE user = 5 AND rating IS NULL AND item IN (SELECT item FROM ratings WHERE item > 3) "
    "ORDER BY score DESC",
    "SELECT * FROM plays_mf WHERE user = 'person 4' ORDER BY score DESC, item",
    "SELECT * FROM recommend_factors('ratings_mf', 'user')",
    "SELECT * FROM recommend_factors('ratings_mf', 'item', 'rating')",
    "SELECT * FROM recommend_factors('plays_mf', 'item')",
    "SELECT recommend_vector(vector), recommend_vector(recommend_vector(vector)), recommend_dot(vector, '[1, 2, 3]'), "
    "recommend_cosine(vector, vector), recommend_normalize(vector) FROM recommend_factors('ratings_mf', 'item')",
    "SELECT * FROM recommend(3, 4, '\"main\".[ratings_mf]')",
    "SELECT name, schema, family, algorithm, users, items, options, metrics FROM recommend_models",
    "INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')",
    "INSERT INTO plays_mf(plays_mf) VALUES('integrity-check')",
    "SELECT * FROM recommend_for('{\"2\": 5, \"7\": 1.5, \"99\": 1}', 4, 'ratings_mf')",
    "SELECT * FROM recommend_for('[\"song 2\", \"song 4\"]', 3, 'plays_mf')",
    "SELECT * FROM recommend_for('[]', 3, 'plays_mf')",
    "SELECT * FROM recommend_for('SELECT ''song '' || item, rating - 3 FROM ratings WHERE user < 4', 3, 'plays_mf')",
    "SELECT * FROM recommend_explain(3, 4, 5, 'ratings_mf')",
    "SELECT * FROM recommend_explain('person 2', 'song 3', NULL, 'plays_mf')",
    "SELECT * FROM recommend_evaluate('ratings_mf', 'ratings', '{\"k\": 3, \"exclude_seen\": false}')",
};
enum { SERVING = sizeof serving / sizeof *serving };

static inline int has_function(sqlite3 *db, const char *name) {
  sqlite3_stmt *statement = NULL;
  int found = 0;
  if (sqlite3_prepare_v2(db, "SELECT 1 FROM pragma_module_list WHERE name = ?1", -1, &statement, NULL) == SQLITE_OK) {
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    found = sqlite3_step(statement) == SQLITE_ROW;
  }
  sqlite3_finalize(statement);
  return found;
}

/* What changes a rating or a user in one of them; each by itself. */
typedef struct Step {
  const char *sql;
  int timed; /* its rows hold seconds, so they differ from run to run */
} Step;

static const Step rating_changes[] = {
    {"INSERT INTO ratings_mf(user, item, rating) VALUES(3, 4, 5)", 0},
    {"INSERT INTO ratings_mf(user, item, rating) SELECT user, 11 - item, 3 FROM ratings WHERE user IN (1, 12)", 0},
    {"INSERT INTO ratings_mf(user, item, rating) VALUES(99, 4, 5)", 0},
    {"INSERT INTO ratings_mf(user, item, rating) VALUES(3, 77, 2)", 0},
    {"UPDATE ratings_mf SET rating = 1 WHERE user = 2 AND seen = 1 AND item < 4", 0},
    {"INSERT OR IGNORE INTO ratings_mf(user, item, rating) SELECT 3, item, 6 - rating FROM ratings WHERE user = 2 "
     "UNION ALL SELECT 3, NULL, 1 UNION ALL SELECT 98, 4, 'good'",
     0},
    {"UPDATE OR IGNORE ratings_mf SET rating = CASE item WHEN 2 THEN 'good' ELSE 1 END WHERE user = 2 AND seen = 1", 0},
    {"DELETE FROM ratings_mf WHERE user = 5 AND seen = 1", 0},
    {"INSERT INTO ratings_mf(ratings_mf, user) VALUES('forget', 4)", 0},
    {"INSERT INTO plays_mf(plays_mf, user) VALUES('forget', 'person 9')", 0},
    {"INSERT INTO ratings_mf(ratings_mf, item) VALUES('forget', 4)", 0},
    {"INSERT INTO plays_mf(plays_mf, item) VALUES('forget', 'song 3')", 0},
    {"INSERT INTO plays_mf(user, item, rating) VALUES('somebody', 'song 99', NULL)", 0},
    {"INSERT INTO plays_mf(user, item, rating) SELECT 'person 2', 'song ' || item, item % 3 - 1 FROM (SELECT DISTINCT "
     "item "
     "FROM ratings)",
     0},
};
enum { CHANGES = sizeof rating_changes / sizeof *rating_changes };

/* The statement, or NULL where it needs a function that is not registered. */
static inline const char *serving_statement(sqlite3 *db, int which) {
  if (strstr(serving[which], "recommend_evaluate") && !has_function(db, "recommend_evaluate")) return NULL;
  return serving[which];
}

/* ---- content: texts, vectors and who likes what ------------------------------------------------------------------ */

/* Ten items that the ratings above speak of, but for one; words, JSON, an empty text, and vectors in both forms. */
static const char make_content[] =
    "CREATE TABLE articles(item INTEGER PRIMARY KEY, title TEXT, body TEXT);"
    "WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 9), w(w, word) AS (VALUES(1, 'red'), "
    "(2, 'fox'), (3, 'the'), (4, 'blue'), (5, 'm\xc3\xa4use'), (6, 'house'), (7, 'garden'), (8, 'green'))"
    " INSERT INTO articles SELECT i, CASE i % 3 WHEN 0 THEN json_array('the ' || i, json_object('k', 'book ' || i % "
    "4)) "
    "ELSE 'the book ' || i % 4 END, (SELECT group_concat(word, ' ') FROM w WHERE (i * w + w) % 5 < 3) || ' fox' FROM i;"
    "INSERT INTO articles VALUES(12, NULL, '');"
    "CREATE TABLE vectors(item INTEGER, vector);"
    "INSERT INTO vectors SELECT item, CASE item % 4 WHEN 1 THEN x'0000803F0000004000004040' WHEN 2 THEN NULL "
    "ELSE json_array(item, 2.5 - item, item % 3) END FROM articles;"
    "CREATE VIEW songs AS SELECT 'song ' || item AS song, title || ' ' || body AS text FROM articles;";

/* A model of words with users, one of vectors with users, one of words without, whose ids are texts, and one of factors
 * made of words. */
static const char *const train_content[] = {
    "SELECT tfidf_train('articles', '{\"threads\":1,\"ratings\":\"ratings\",\"profile\":\"weighted\",\"test\":0.2}')",
    "SELECT tfidf_train('vectors', '{\"threads\":1,\"embedding\":\"vector\",\"ratings\":\"ratings\"}')",
    "SELECT tfidf_train('songs', "
    "'{\"threads\":1,\"ngram_range\":[1,2],\"stop_words\":\"english\",\"norm\":\"l1\",\"max_features\":9}')",
    "SELECT tfidf_train('articles', '{\"threads\":1,\"ratings\":\"ratings\",\"lsa\":3,\"model\":\"latent\"}')",
};
enum { CONTENT_MODELS = sizeof train_content / sizeof *train_content };

static const char *const content_models[CONTENT_MODELS] = {"articles_tfidf", "vectors_tfidf", "songs_tfidf", "latent"};

static const char *const content_serving[] = {
    "SELECT * FROM recommend(3, 4, 'articles_tfidf')",
    "SELECT * FROM recommend(3, 4, 'vectors_tfidf')",
    "SELECT * FROM recommend('nobody', 4, 'articles_tfidf')",
    "SELECT item, score, reason FROM recommend WHERE _user = 4 AND _model = 'articles_tfidf' AND item IN (1, 5, 7, 99)",
    "SELECT * FROM recommend_all(3, 'articles_tfidf')",
    "SELECT * FROM recommend_all(3, 'vectors_tfidf')",
    "SELECT * FROM recommend_users(2, 3, 'articles_tfidf')",
    "SELECT * FROM recommend_users(3, 3, 'vectors_tfidf')",
    "SELECT * FROM item_similar(2, 3, 'articles_tfidf')",
    "SELECT * FROM item_similar(3, 3, 'vectors_tfidf')",
    "SELECT * FROM item_similar('song 2', 3, 'songs_tfidf')",
    "SELECT * FROM item_similar_all(3, 'articles_tfidf')",
    "SELECT * FROM item_similar_all(3, 'articles_tfidf', 1)",
    "SELECT * FROM item_similar_all(3, 'latent')",
    "SELECT * FROM user_similar(2, 3, 'articles_tfidf')",
    "SELECT * FROM user_similar(2, 3, 'vectors_tfidf')",
    "SELECT predict(user, item, 'articles_tfidf'), predict(user, item, 'vectors_tfidf') FROM ratings WHERE user < 3",
    "SELECT rowid, * FROM articles_tfidf",
    "SELECT rowid, * FROM vectors_tfidf",
    "SELECT * FROM articles_tfidf WHERE user = 3 AND item = 4",
    "SELECT * FROM articles_tfidf WHERE user = 3 AND seen = 0 ORDER BY score DESC LIMIT 3",
    "SELECT * FROM vectors_tfidf WHERE user = 3 AND seen = 0 ORDER BY score DESC LIMIT 3",
    "SELECT * FROM recommend_factors('vectors_tfidf', 'item')",
    "SELECT tfidf_cosine('the red fox', body), tfidf_cosine(title, body) FROM articles",
    "SELECT tfidf_cosine('the red fox', body, 'articles_tfidf') FROM articles",
    "SELECT tfidf_cosine(title, body, 'songs_tfidf') FROM articles",
    "SELECT tfidf_cosine('[1, 2, 3]', vector, 'vectors_tfidf') FROM vectors",
    "SELECT tfidf_vector('a red fox and the blue fox', 'articles_tfidf'), tfidf_vector(body, 'songs_tfidf') "
    "FROM articles WHERE item = 4",
    "SELECT * FROM tfidf_search('a red fox', 4, 'articles_tfidf')",
    "SELECT * FROM tfidf_search('[\"red fox\", {\"a\": \"blue\\u0000garden\"}]', 4, 'songs_tfidf')",
    "SELECT * FROM tfidf_search('[1, 0, -1]', 4, 'vectors_tfidf')",
    "SELECT * FROM tfidf_search('a red fox', 4, 'latent')",
    "SELECT tfidf_cosine('the red fox', body, 'latent') FROM articles",
    "SELECT * FROM recommend_for('{\"2\": 5, \"7\": 1.5}', 4, 'latent')",
    "SELECT * FROM recommend_for('[2, 7, 7, 99, null]', 4, 'articles_tfidf')",
    "SELECT * FROM recommend_for('{\"2\": 5, \"7\": 1.5, \"3\": 2}', 4, 'articles_tfidf')",
    "SELECT * FROM recommend_for('SELECT item, rating FROM ratings WHERE user = 2', 4, 'articles_tfidf')",
    "SELECT * FROM recommend_for('SELECT item FROM item_similar(2, 3, ''articles_tfidf'')', 4, 'articles_tfidf')",
    "SELECT * FROM recommend_for('[]', 4, 'articles_tfidf')",
    "SELECT * FROM recommend_explain(3, 4, 5, 'articles_tfidf')",
    "SELECT * FROM recommend_explain(3, 4, NULL, 'latent')",
    "SELECT * FROM recommend_for('[3, 5]', 4, 'vectors_tfidf')",
    "SELECT * FROM recommend_for('SELECT item FROM ratings WHERE user = 2', 4, 'vectors_tfidf')",
    "SELECT name, schema, family, algorithm, users, items, options, metrics FROM recommend_models",
    "INSERT INTO articles_tfidf(articles_tfidf) VALUES('integrity-check')",
    "INSERT INTO vectors_tfidf(vectors_tfidf) VALUES('integrity-check')",
    "INSERT INTO songs_tfidf(songs_tfidf) VALUES('integrity-check')",
    "INSERT INTO latent(latent) VALUES('integrity-check')",
    "SELECT * FROM recommend_evaluate('articles_tfidf', 'ratings', '{\"k\": 3, \"exclude_seen\": false}')",
    "SELECT * FROM recommend_evaluate('vectors_tfidf', 'ratings', '{\"k\": 3}')",
};
enum { CONTENT_SERVING = sizeof content_serving / sizeof *content_serving };

/* Trainings that differ from those by defaults, which trainers.h has, on the ratings above. */
static const Step algorithm_training[] = {
    {"SELECT epoch, loss, test FROM mf_train('ratings', 3, '{\"threads\":1,\"epochs\":2,\"test\":0.2,\"model\":\"new\","
     "\"algorithm\":\"adam\",\"batch_size\":20}')",
     0},
    {"SELECT epoch, loss, test FROM mf_train('ratings', 3, '{\"threads\":1,\"epochs\":2,\"test\":0.2,\"model\":\"new\","
     "\"algorithm\":\"svdpp\",\"range\":\"minmax\"}')",
     0},
    {"SELECT epoch, loss, test FROM mf_train('ratings', 3, '{\"threads\":1,\"epochs\":2,\"test\":0.2,\"model\":\"new\","
     "\"algorithm\":\"svd\",\"center\":\"user\",\"missing\":\"zero\"}')",
     0},
    {"SELECT epoch, loss, test FROM mf_train('ratings', 3, '{\"threads\":1,\"epochs\":2,\"test\":0.2,\"model\":\"new\","
     "\"algorithm\":\"svd\",\"center\":\"item\",\"missing\":\"mean\"}')",
     0},
    {"SELECT epoch, loss, test FROM mf_train('plays', 3, '{\"threads\":1,\"epochs\":2,\"test\":0.2,\"model\":\"new\","
     "\"algorithm\":\"logistic\"}')",
     0},
    /* Feedback of all signs; users and items that have only zeros; and systems that floats can't solve. */
    {"SELECT epoch, loss, test FROM mf_train('SELECT user, item, rating - 3 FROM ratings UNION ALL SELECT 50, item + "
     "50, 0 "
     "FROM ratings', 3, '{\"threads\":1,\"epochs\":2,\"test\":0.3,\"model\":\"new\",\"algorithm\":\"bpr\"}')",
     0},
    {"SELECT epoch, loss, test FROM mf_train('SELECT user, item, rating - 3 FROM ratings', 14, "
     "'{\"threads\":1,\"epochs\":2,"
     "\"test\":0.3,\"model\":\"new\",\"algorithm\":\"ials\",\"regularization\":1e-6,\"solver\":\"cholesky\"}')",
     0},
    {"SELECT epoch, loss, test FROM ease_train('SELECT user, item, rating - 3 FROM ratings', 3, "
     "'{\"threads\":1,\"test\":0.3,"
     "\"model\":\"new\"}')",
     0},
    {"SELECT epoch, loss FROM mf_train('ratings', '{\"threads\":1,\"epochs\":2,\"rank\":3,\"stream\":false,"
     "\"objective\":\"rating\",\"model\":\"new\"}')",
     0},
    {"SELECT epoch, loss, test FROM kmeans_train('ratings', 3, '{\"threads\":1,\"starts\":1,\"test\":0.2,"
     "\"center\":\"mean\",\"model\":\"new\"}')",
     0},
    {"SELECT epoch, loss, test FROM kmeans_train('plays', 2, '{\"threads\":1,\"starts\":2,\"iterations\":2,"
     "\"batch_size\":5,\"test\":0.2,\"model\":\"new\"}')",
     0},
    {"SELECT epoch, loss FROM kmeans_train('ratings', 2, '{\"threads\":1,\"starts\":1,\"by\":\"item\","
     "\"factors\":\"ratings_mf\",\"scale\":true,\"model\":\"new\"}')",
     0},
    {"SELECT epoch, loss FROM kmeans_train('SELECT ''u'' || user, item, rating FROM ratings WHERE item = 1', 2, "
     "'{\"threads\":1,\"starts\":1,\"columns\":[\"item\",\"rating\"],\"model\":\"new\"}')",
     0},
    {"SELECT * FROM recommend_describe('SELECT *, ''text'' || item, NULL FROM ratings')", 0},
    {"SELECT baseline_train('SELECT CAST(user AS REAL) / 2 AS user_id, ''b'' || item COLLATE NOCASE AS book, 1 AS "
     "amount "
     "FROM ratings', '{\"threads\":1,\"model\":\"new\"}') ->> '$.hints'",
     0},
};
enum { ALGORITHM_TRAINING = sizeof algorithm_training / sizeof *algorithm_training };

/* Trials, which store nothing but what a grid search says. */
static const Step trials[] = {
    {"SELECT fold, trained, tested, cold, rmse, ndcg FROM recommend_cross_validate('mf', 'ratings', 3, "
     "'{\"threads\":1,\"rank\":2,\"epochs\":1,\"cold_start\":\"estimate\"}')",
     0},
    {"SELECT fold, trained, tested, cold, auc FROM recommend_cross_validate('knn_train', 'plays', 2, "
     "'{\"threads\":1,\"size\":3,\"by\":\"user\",\"split\":\"users\"}')",
     0},
    {"SELECT fold, tested, rmse, map FROM recommend_cross_validate('knn', 'SELECT *, (user + item) % 3 AS fold FROM "
     "ratings', 'fold', '{\"threads\":1,\"size\":3,\"neighbors\":\"raters\"}')",
     0},
    {"SELECT fold, tested, mrr FROM recommend_cross_validate('ease', 'plays', 'leave-one-out', "
     "'{\"threads\":1,\"lambda\":3}')",
     0},
    {"SELECT combination, rmse FROM recommend_grid_search('mf', 'ratings', "
     "'{\"rank\":[2,3],\"regularization\":[1,3]}', "
     "'{\"threads\":1,\"epochs\":1,\"folds\":2}')",
     0},
    {"SELECT combination, rmse FROM recommend_grid_search('baseline', 'dated', '{\"method\":[\"user\"]}', "
     "'{\"threads\":1,\"history\":\"timed\",\"model\":\"best\"}')",
     0},
    {"SELECT combination, ndcg FROM recommend_grid_search('mf', 'SELECT user, item, rating - 3 FROM ratings', "
     "'{\"algorithm\":[\"als\",\"ials\"]}', '{\"threads\":1,\"rank\":2,\"epochs\":1}')",
     0},
    {"SELECT combination, rmse FROM recommend_grid_search('baseline', 'ratings', '{\"method\":[\"user\",\"bias\"]}', "
     "'{\"threads\":1,\"best_first\":true,\"model\":\"best\"}')",
     0},
    {"SELECT combination, rmse FROM recommend_grid_search('mf', 'ratings', '{\"rank\":[2]}', "
     "'{\"threads\":1,\"epochs\":1,\"lists\":false,\"model\":\"ratings_mf\"}')", /* which is replaced */
     0},
};
enum { TRIALS = sizeof trials / sizeof *trials };

/* What trains, changes, renames or drops one of them; the sweeps over faults take every row. */
static const Step content_training[] = {
    {"SELECT tfidf_train('articles', '{\"threads\":1,\"model\":\"new\"}')", 1},
    {"SELECT tfidf_train('SELECT item, json_array(title, body) FROM articles', '{\"threads\":1,\"ngram_range\":[1,2],"
     "\"stop_words\":[\"the\",\"fox\"],\"ratings\":\"ratings\",\"test\":0.3,\"model\":\"articles_tfidf\"}')",
     1},
    {"SELECT epoch, head, test FROM tfidf_train('articles', '{\"threads\":1,\"ratings\":\"ratings\",\"test\":0.3,"
     "\"tokenize\":\"porter unicode61\",\"model\":\"new\"}')",
     0},
    {"SELECT tfidf_train('vectors', '{\"threads\":1,\"embedding\":\"vector\",\"ratings\":\"ratings\",\"test\":0.3,"
     "\"profile\":\"weighted\"}')",
     1},
    {"SELECT epoch, head FROM tfidf_train('songs', '{\"threads\":1,\"same_id\":\"join\"}')", 0},
    {"CREATE VIRTUAL TABLE taste USING recommender(train=tfidf, source=articles, options='{\"threads\":1,"
     "\"ratings\":\"ratings\",\"stop_words\":\"english\"}')",
     0},
    {"SELECT epoch, loss FROM tfidf_train('articles', '{\"threads\":1,\"ratings\":\"ratings\",\"lsa\":3,\"test\":0.3,"
     "\"epochs\":2,\"model\":\"latent\"}')",
     0},
    {"SELECT epoch, loss FROM tfidf_train('articles', '{\"threads\":1,\"ratings\":\"ratings\",\"word2vec\":4,"
     "\"epochs\":2,\"model\":\"new\"}')",
     0},
    {"SELECT epoch, loss FROM mf_train('ratings', 2, '{\"threads\":1,\"epochs\":2,\"model\":\"new\","
     "\"item_init\":\"articles_tfidf\",\"user_init\":\"articles_tfidf\"}')",
     0},
    {"SELECT epoch, loss FROM mf_train('ratings', 2, '{\"threads\":1,\"epochs\":2,\"model\":\"new\","
     "\"user_init\":\"vectors_tfidf\"}')",
     0},
    {"INSERT INTO articles_tfidf(articles_tfidf) VALUES('retrain')", 0},
    {"SELECT recommend_retrain('articles_tfidf', '{\"threads\":1,\"ratings\":\"SELECT * FROM ratings\"}')", 1},
    {"INSERT INTO articles_tfidf(user, item, rating) VALUES(3, 9, 2)", 0},
    {"INSERT INTO latent(user, item, rating) VALUES(33, 5, 2)", 0},
    {"DELETE FROM vectors_tfidf WHERE user = 2 AND seen = 1 AND item < 5", 0},
    {"INSERT INTO latent(latent, user) VALUES('forget', 2)", 0},
    {"INSERT INTO latent(latent, item) VALUES('forget', 2)", 0},
    {"INSERT INTO articles_tfidf(articles_tfidf, item) VALUES('forget', 2)", 0},
    {"ALTER TABLE articles_tfidf RENAME TO other", 0},
    {"DROP TABLE vectors_tfidf", 0},
};
enum { CONTENT_TRAINING = sizeof content_training / sizeof *content_training };

/* ---- links: neighbours, weights between items, baselines --------------------------------------------------------- */

/* On the ratings and plays above. */
static const char *const train_links[] = {
    "SELECT knn_train('dated', 4, '{\"threads\":1,\"test\":0.1,\"history\":\"timed\",\"model\":\"ratings_knn\"}')",
    "SELECT knn_train('ratings', 3, '{\"threads\":1,\"by\":\"user\",\"similarity\":\"pearson\",\"center\":\"zscore\","
    "\"model\":\"users_knn\"}')",
    "SELECT knn_train('ratings', 3, '{\"threads\":1,\"similarity\":\"msd\",\"neighbors\":\"raters\","
    "\"model\":\"raters_knn\"}')",
    "SELECT ease_train('plays', 5, '{\"threads\":1}')",
    "SELECT baseline_train('ratings', '{\"threads\":1}')",
};
enum { LINK_MODELS = sizeof train_links / sizeof *train_links };

static const char *const link_models[LINK_MODELS] = {"ratings_knn", "users_knn", "raters_knn", "plays_ease",
                                                     "ratings_baseline"};

static const char *const link_serving[] = {
    "SELECT * FROM recommend(3, 4, 'ratings_knn')",
    "SELECT * FROM recommend(3, 4, 'users_knn')",
    "SELECT * FROM recommend('person 2', 3, 'plays_ease')",
    "SELECT * FROM recommend(3, 4, 'ratings_baseline')",
    "SELECT * FROM recommend('nobody', 4, 'users_knn')",
    "SELECT * FROM recommend_all(3, 'ratings_knn')",
    "SELECT * FROM recommend_all(3, 'users_knn')",
    "SELECT * FROM recommend_all(2, 'plays_ease')",
    "SELECT * FROM recommend_users(2, 3, 'ratings_knn')",
    "SELECT * FROM recommend_users(2, 3, 'users_knn')",
    "SELECT * FROM recommend_users('song 3', 3, 'plays_ease')",
    "SELECT * FROM recommend_users(2, 3, 'ratings_baseline')",
    "SELECT * FROM recommend_neighbors('ratings_knn')",
    "SELECT * FROM recommend_neighbors('users_knn')",
    "SELECT * FROM item_similar(2, 3, 'ratings_knn')",
    "SELECT * FROM item_similar(2, 3, 'ratings_knn', 2)",
    "SELECT * FROM item_similar('song 2', 3, 'plays_ease')",
    "SELECT * FROM item_similar_all(2, 'ratings_knn')",
    "SELECT * FROM item_similar_all(2, 'plays_ease')",
    "SELECT * FROM user_similar(2, 3, 'ratings_knn')",
    "SELECT * FROM user_similar(2, 3, 'users_knn')",
    "SELECT * FROM user_similar('person 5', 3, 'plays_ease')",
    "SELECT predict(user, item, 'ratings_knn'), predict(user, item, 'users_knn'), predict(user, item, 'raters_knn') "
    "FROM ratings WHERE user = 2",
    "SELECT rowid, * FROM ratings_knn",
    "SELECT rowid, * FROM users_knn WHERE user < 4",
    "SELECT rowid, * FROM raters_knn WHERE user < 4",
    "SELECT rowid, * FROM plays_ease",
    "SELECT * FROM ratings_baseline WHERE user = 3 AND seen = 0 ORDER BY score DESC LIMIT 3",
    "SELECT * FROM recommend_for('{\"2\": 5, \"7\": 1.5}', 4, 'ratings_knn')",
    "SELECT * FROM recommend_for('SELECT item, rating FROM ratings WHERE user = 2', 4, 'users_knn')",
    "SELECT * FROM recommend_for('[\"song 2\", \"song 5\"]', 4, 'plays_ease')",
    "SELECT * FROM recommend_for('[2, 7]', 4, 'ratings_baseline')",
    "SELECT * FROM recommend_explain(3, 4, 9, 'ratings_knn')",
    "SELECT * FROM recommend_explain('person 2', 'song 3', 9, 'plays_ease')",
    "SELECT * FROM recommend_explain(3, 4, 9, 'ratings_baseline')",
    "SELECT * FROM recommend_history(3, 'ratings_knn')",
    "SELECT * FROM recommend_history('person 2', 'plays_ease')",
    "SELECT item, timestamp FROM ratings_knn WHERE user = 3 AND seen = 1",
    "SELECT * FROM recommend_factors('ratings_baseline', 'user', 'rating')",
    "SELECT * FROM recommend_factors('ratings_knn', 'item', 'rating')",
    "INSERT INTO ratings_knn(ratings_knn) VALUES('integrity-check')",
    "INSERT INTO users_knn(users_knn) VALUES('integrity-check')",
    "INSERT INTO raters_knn(raters_knn) VALUES('integrity-check')",
    "INSERT INTO plays_ease(plays_ease) VALUES('integrity-check')",
    "INSERT INTO ratings_baseline(ratings_baseline) VALUES('integrity-check')",
    "SELECT * FROM recommend_evaluate('ratings_knn', 'ratings', '{\"k\": 3, \"exclude_seen\": false}')",
    "SELECT * FROM recommend_evaluate('users_knn', 'ratings', '{\"k\": 3, \"exclude_seen\": false}')",
    "SELECT * FROM recommend_evaluate('raters_knn', 'ratings', '{\"k\": 3}')",
};
enum { LINK_SERVING = sizeof link_serving / sizeof *link_serving };

static const Step link_training[] = {
    {"SELECT knn_train('ratings', 2, '{\"threads\":1}')", 1}, /* in the place of one */
    {"SELECT epoch, test FROM knn_train('ratings', 0, '{\"threads\":1,\"similarity\":\"pearson\",\"threshold\":-1,"
     "\"cold_start\":\"estimate\",\"model\":\"new\"}')",
     0},
    {"SELECT epoch, head, test FROM knn_train('plays', 3, '{\"threads\":1,\"weighting\":\"bm25\",\"test\":0.3,"
     "\"max_interactions\":4}')",
     0},
    {"SELECT epoch, test FROM knn_train('ratings', 3, '{\"threads\":1,\"by\":\"user\",\"similarity\":"
     "\"adjusted_cosine\",\"center\":\"mean\",\"model\":\"new\"}')",
     0},
    {"SELECT epoch, test FROM ease_train('ratings', 2.5, '{\"threads\":1,\"values\":\"ratings\",\"test\":0.3}')", 0},
    {"SELECT epoch, test FROM ease_train('SELECT user, item, rating - 3 AS rating FROM ratings UNION ALL SELECT user, "
     "item, 1 FROM ratings', 3, '{\"threads\":1,\"test\":0.3,\"history\":\"timed\",\"duplicates\":\"sum\","
     "\"model\":\"new\"}')",
     0},
    {"SELECT epoch, loss, test FROM baseline_train('ratings', '{\"threads\":1,\"test\":0.3,\"model\":\"new\"}')", 0},
    {"SELECT epoch, loss, test FROM baseline_train('plays', '{\"threads\":1,\"test\":0.3}')", 0},
    {"CREATE VIRTUAL TABLE taste USING recommender(train=ease, source=plays, size=3, options='{\"threads\":1}')", 0},
    {"INSERT INTO users_knn(users_knn) VALUES('retrain')", 0},
    {"SELECT recommend_retrain('main.users_knn', '{\"threads\":1}')", 1},
    {"ALTER TABLE plays_ease RENAME TO other", 0},
    {"DROP TABLE users_knn", 0},
};
enum { LINK_TRAINING = sizeof link_training / sizeof *link_training };

static const Step link_changes[] = {
    {"INSERT INTO ratings_knn(user, item, rating) VALUES(3, 4, 5)", 0},
    {"INSERT INTO ratings_knn(user, item, rating) VALUES(99, 77, 2)", 0},
    {"INSERT INTO ratings_knn(user, item, rating, timestamp) VALUES(3, 5, 5, 2)", 0},
    {"UPDATE ratings_knn SET timestamp = item % 3 WHERE user = 6 AND seen = 1", 0},
    {"DELETE FROM ratings_knn WHERE user = 5 AND seen = 1", 0},
    {"INSERT INTO plays_ease(user, item) VALUES('somebody', 'song 99')", 0},
    {"INSERT INTO plays_ease(plays_ease, user) VALUES('forget', 'person 9')", 0},
    {"INSERT INTO ratings_baseline(user, item, rating) VALUES(99, 4, 1)", 0},
    {"INSERT INTO users_knn(user, item, rating) VALUES(3, 77, 5)", 0},
    {"INSERT INTO users_knn(user, item, rating) VALUES(99, 4, 5)", 0},
    {"INSERT INTO users_knn(users_knn, user) VALUES('forget', 3)", 0},
    {"INSERT INTO users_knn(users_knn, item) VALUES('forget', 2)", 0},
    {"INSERT INTO ratings_knn(ratings_knn, item) VALUES('forget', 2)", 0},
    {"INSERT INTO plays_ease(plays_ease, item) VALUES('forget', 'song 2')", 0},
    {"INSERT INTO ratings_baseline(ratings_baseline, item) VALUES('forget', 2)", 0},
};
enum { LINK_CHANGES = sizeof link_changes / sizeof *link_changes };

/* ---- images: a database as bytes, opened as often as needed ------------------------------------------------------ */

typedef struct Image {
  unsigned char *bytes;
  sqlite3_int64 size;
} Image;

static inline Image take_image(sqlite3 *db) {
  Image image = {0};
  unsigned char *bytes = sqlite3_serialize(db, "main", &image.size, 0);
  image.bytes = malloc((size_t)image.size + 1); /* outside SQLite's allocator, which the tests watch */
  CHECK(bytes && image.bytes);
  if (bytes && image.bytes) memcpy(image.bytes, bytes, (size_t)image.size);
  sqlite3_free(bytes);
  return image;
}

/* PRAGMA secure_delete as SQLite has it by default, and Debian's has not: what writes to a model turns it on for as
 * long as that takes. */
static inline void leave_deleted(sqlite3 *db) { must(db, "PRAGMA secure_delete = OFF"); }

/* It must be as it was, whatever has happened. */
static inline void check_deleted_is_left(sqlite3 *db, const char *after) {
  Outcome off = run(db, "SELECT 0"), found = run(db, "PRAGMA secure_delete");
  if (!CHECK(same_rows(&off, &found))) printf("  %.90s leaves secure_delete on\n", after);
}

static inline sqlite3 *open_image(const Image *image) {
  sqlite3 *db = NULL;
  unsigned char *copy = sqlite3_malloc64((sqlite3_uint64)image->size);
  if (!CHECK(copy && sqlite3_open(":memory:", &db) == SQLITE_OK)) exit(1);
  memcpy(copy, image->bytes, (size_t)image->size);
  CHECK(sqlite3_deserialize(db, "main", copy, image->size, image->size,
                            SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE) == SQLITE_OK);
  leave_deleted(db);
  return db;
}

/* The tables of content, and their models if `trained`. */
static inline void fill_with_content(sqlite3 *db, int trained) {
  must(db, make_data);
  must(db, make_content);
  for (int i = 0; i < CONTENT_MODELS && trained; i++) must(db, train_content[i]);
}

static inline Image make_content_image(int trained) {
  sqlite3 *db = NULL;
  CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
  fill_with_content(db, trained);
  Image image = take_image(db);
  must_close(db);
  return image;
}

/* The tables, and these models. */
static inline Image make_link_image(void) {
  sqlite3 *db = NULL;
  CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
  must(db, make_data);
  for (int i = 0; i < LINK_MODELS; i++) must(db, train_links[i]);
  Image image = take_image(db);
  must_close(db);
  return image;
}

/* Both tables, and both models if `trained`. */
static inline Image make_image(int trained) {
  sqlite3 *db = NULL;
  CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
  must(db, make_data);
  if (trained) {
    must(db, train_ratings);
    must(db, train_plays);
  }
  Image image = take_image(db);
  must_close(db);
  return image;
}

/* ---- all that a database holds ----------------------------------------------------------------------------------- */

/* The schema and every row of every table that is not virtual, but for the time of training. */
static inline uint64_t hash_database(sqlite3 *db) {
  uint64_t hash = must(db, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").hash;
  sqlite3_stmt *tables = NULL;
  CHECK(
      sqlite3_prepare_v2(db,
                         "SELECT name, name LIKE '%\\_config' ESCAPE '\\' FROM sqlite_schema WHERE type = 'table' AND "
                         "sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name",
                         -1, &tables, NULL) == SQLITE_OK);
  while (sqlite3_step(tables) == SQLITE_ROW) {
    char *sql = sqlite3_mprintf("SELECT rowid, * FROM \"%w\" %s ORDER BY 2, 1", sqlite3_column_text(tables, 0),
                                sqlite3_column_int(tables, 1) ? "WHERE key <> 'trained_at'" : "");
    uint64_t rows = must(db, sql).hash;
    hash = hash_bytes(hash, &rows, sizeof rows);
    sqlite3_free(sql);
  }
  sqlite3_finalize(tables);
  return hash;
}

/* SQLite's own check, and ours of every model there is. */
static inline void check_integrity(sqlite3 *db) {
  Outcome fine = run(db, "SELECT 'ok'"), found = run(db, "PRAGMA integrity_check");
  if (!CHECK(same_rows(&fine, &found))) printf("  integrity_check: %d, %s\n", found.code, found.message);
  sqlite3_stmt *models = NULL;
  CHECK(sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL%recommender%'", -1,
                           &models, NULL) == SQLITE_OK);
  while (sqlite3_step(models) == SQLITE_ROW) {
    char *sql = sqlite3_mprintf("INSERT INTO \"%w\"(\"%w\") VALUES('integrity-check')", sqlite3_column_text(models, 0),
                                sqlite3_column_text(models, 0));
    must(db, sql);
    sqlite3_free(sql);
  }
  sqlite3_finalize(models);
}

/* ---- a file system with faults ----------------------------------------------------------------------------------- */

enum { DISK_WRITE = 1, DISK_READ = 2, DISK_SYNC = 4, DISK_TRUNCATE = 8 };

/* The nth operation of the kinds in `what` fails, with those after it if `persistent`; or the process is killed. */
static struct {
  int what, persistent, kill;
  long at;   /* 0: never */
  long seen; /* operations of these kinds since disk_arm */
  long faults;
} disk;

static inline void disk_arm(int what, long at, int persistent, int kill_at) {
  disk.what = what;
  disk.at = at;
  disk.persistent = persistent;
  disk.kill = kill_at;
  disk.seen = disk.faults = 0;
}

static inline void disk_disarm(void) { disk.at = 0; }

static inline int disk_fails(int what) {
  if (!(disk.what & what)) return 0;
  long n = ++disk.seen;
  if (!disk.at || n < disk.at || (n > disk.at && !disk.persistent)) return 0;
  if (disk.kill) kill(getpid(), SIGKILL);
  disk.faults++;
  return 1;
}

typedef struct DiskFile {
  sqlite3_file base;
  sqlite3_file *real; /* lies behind this struct */
} DiskFile;

static sqlite3_file *real_file(sqlite3_file *file) { return ((DiskFile *)file)->real; }

static int disk_close(sqlite3_file *file) { return real_file(file)->pMethods->xClose(real_file(file)); }

static int disk_read(sqlite3_file *file, void *to, int size, sqlite3_int64 offset) {
  if (disk_fails(DISK_READ)) return SQLITE_IOERR_READ;
  return real_file(file)->pMethods->xRead(real_file(file), to, size, offset);
}

static int disk_write(sqlite3_file *file, const void *from, int size, sqlite3_int64 offset) {
  if (disk_fails(DISK_WRITE)) return SQLITE_IOERR_WRITE;
  return real_file(file)->pMethods->xWrite(real_file(file), from, size, offset);
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size) {
  if (disk_fails(DISK_TRUNCATE)) return SQLITE_IOERR_TRUNCATE;
  return real_file(file)->pMethods->xTruncate(real_file(file), size);
}

static int disk_sync(sqlite3_file *file, int flags) {
  if (disk_fails(DISK_SYNC)) return SQLITE_IOERR_FSYNC;
  return real_file(file)->pMethods->xSync(real_file(file), flags);
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *size) {
  return real_file(file)->pMethods->xFileSize(real_file(file), size);
}

static int disk_lock(sqlite3_file *file, int lock) { return real_file(file)->pMethods->xLock(real_file(file), lock); }
static int disk_unlock(sqlite3_file *file, int lock) {
  return real_file(file)->pMethods->xUnlock(real_file(file), lock);
}

static int disk_reserved(sqlite3_file *file, int *reserved) {
  return real_file(file)->pMethods->xCheckReservedLock(real_file(file), reserved);
}

static int disk_control(sqlite3_file *file, int what, void *argument) {
  return real_file(file)->pMethods->xFileControl(real_file(file), what, argument);
}

static int disk_sector(sqlite3_file *file) { return real_file(file)->pMethods->xSectorSize(real_file(file)); }

static int disk_device(sqlite3_file *file) {
  return real_file(file)->pMethods->xDeviceCharacteristics(real_file(file));
}

static int disk_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **to) {
  return real_file(file)->pMethods->xShmMap(real_file(file), page, size, extend, to);
}

static int disk_shm_lock(sqlite3_file *file, int offset, int n, int flags) {
  return real_file(file)->pMethods->xShmLock(real_file(file), offset, n, flags);
}

static void disk_shm_barrier(sqlite3_file *file) { real_file(file)->pMethods->xShmBarrier(real_file(file)); }

static int disk_shm_unmap(sqlite3_file *file, int remove) {
  return real_file(file)->pMethods->xShmUnmap(real_file(file), remove);
}

/* Version 2: no memory mapping, so that every read and write passes here. */
static const sqlite3_io_methods disk_methods = {
    .iVersion = 2,
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_size,
    .xLock = disk_lock,
    .xUnlock = disk_unlock,
    .xCheckReservedLock = disk_reserved,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector,
    .xDeviceCharacteristics = disk_device,
    .xShmMap = disk_shm_map,
    .xShmLock = disk_shm_lock,
    .xShmBarrier = disk_shm_barrier,
    .xShmUnmap = disk_shm_unmap,
};

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
  sqlite3_vfs *real = vfs->pAppData;
  DiskFile *wrapped = (DiskFile *)file;
  wrapped->real = (sqlite3_file *)(wrapped + 1);
  int code = real->xOpen(real, name, wrapped->real, flags, out_flags);
  file->pMethods = code == SQLITE_OK || wrapped->real->pMethods ? &disk_methods : NULL;
  return code;
}

/* The default file system with a shim, as "disk"; not the default. */
static inline void disk_register(void) {
  static sqlite3_vfs shim;
  sqlite3_vfs *real = sqlite3_vfs_find(NULL);
  shim = *real;
  shim.zName = "disk";
  shim.pNext = NULL;
  shim.pAppData = real;
  shim.szOsFile = real->szOsFile + (int)sizeof(DiskFile);
  shim.xOpen = disk_open;
  CHECK(sqlite3_vfs_register(&shim, 0) == SQLITE_OK);
}

static inline sqlite3 *disk_database(const char *path) {
  sqlite3 *db = NULL;
  CHECK(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "disk") == SQLITE_OK);
  return db;
}

/* A name for this program's own database, in $TMPDIR. */
static inline const char *temporary_path(const char *what) {
  static char path[512];
  const char *directory = getenv("TMPDIR");
  snprintf(path, sizeof path, "%s/recommend-%s-%ld.db", directory ? directory : "/tmp", what, (long)getpid());
  return path;
}

static inline void remove_database(const char *path) {
  static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};
  for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
    char name[600];
    snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
    unlink(name);
  }
}

/* The image as a file, with its journal mode. */
static inline void write_image(const Image *image, const char *path) {
  remove_database(path);
  FILE *file = fopen(path, "wb");
  CHECK(file && fwrite(image->bytes, 1, (size_t)image->size, file) == (size_t)image->size);
  if (file) CHECK(fclose(file) == 0);
}

/* Every connection opened from now on has the extension. */
static inline void load_everywhere(void) {
  CHECK(sqlite3_auto_extension((void (*)(void))sqlite3_recommend_init) == SQLITE_OK);
}

/* ---- the set-up of a group of tests ------------------------------------------------------------------------------ */

/* Trained models of each sort, to be copied by open_image(). */
static Image ratings, content, links;

static inline int make_images(void **state) {
  (void)state;
  load_everywhere();
  ratings = make_image(1);
  content = make_content_image(1);
  links = make_link_image();
  return check_failures > 0;
}

static inline int free_images(void **state) {
  (void)state;
  free(ratings.bytes);
  free(content.bytes);
  free(links.bytes);
  return 0;
}

#endif
