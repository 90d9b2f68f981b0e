/* Closing: sqlite3_close() returns SQLITE_OK after every kind of use, caches filled, whatever else was done meanwhile:
 * in attached files, after DETACH, DROP, RENAME and ROLLBACK, and by another connection; with the extension loaded
 * twice; from views and triggers; beside tables that bear our names. */
#include "fault.h"

static void serve_all(sqlite3 *db) {
  for (int i = 0; i < SERVING; i++) {
    const char *sql = serving_statement(db, i);
    if (sql) must(db, sql);
  }
}

static sqlite3 *open_file(const char *path) {
  sqlite3 *db = NULL;
  CHECK(sqlite3_open(path, &db) == SQLITE_OK);
  return db;
}

static void closes(sqlite3 *db, const char *after) {
  if (!CHECK(sqlite3_close(db) == SQLITE_OK)) printf("  not closed after: %s\n", after);
}

static void fails(sqlite3 *db, const char *sql, const char *part) {
  Outcome outcome = run(db, sql);
  if (!CHECK(outcome.code != SQLITE_OK && strstr(outcome.message, part)))
    printf("  %s: code %d, %s\n", sql, outcome.code, outcome.message);
}

static void after_each_statement(void) {
  for (int i = 0; i < SERVING; i++) {
    sqlite3 *db = open_image(&ratings);
    const char *sql = serving_statement(db, i);
    if (sql) {
      must(db, sql);
      must(db, sql);
    }
    closes(db, serving[i]);
    /* Left in the middle, then finalized. */
    db = open_image(&ratings);
    sqlite3_stmt *statement = NULL;
    if (sql && CHECK(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK)) sqlite3_step(statement);
    sqlite3_finalize(statement);
    closes(db, "a statement left half way");
  }
  static const char *const changes[] = {
      train_ratings,
      "SELECT * FROM mf_train('ratings', 3, '{\"epochs\":2}')",
      "INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')",
      "SELECT recommend_retrain('ratings_mf')",
      "ALTER TABLE ratings_mf RENAME TO other",
      "DROP TABLE ratings_mf",
      "DROP TABLE ratings_mf; DROP TABLE plays_mf",
      "VACUUM",
      "BEGIN; SELECT mf_train('ratings', 4, '{}'); SELECT * FROM recommend(1, 3, 'ratings_mf'); ROLLBACK; "
      "SELECT * FROM recommend(1, 3, 'ratings_mf')",
      "SAVEPOINT s; DROP TABLE ratings_mf; ROLLBACK TO s; SELECT * FROM recommend(1, 3, 'ratings_mf'); RELEASE s",
      "SAVEPOINT s; ALTER TABLE ratings_mf RENAME TO other; SELECT * FROM recommend(1, 3, 'other'); ROLLBACK TO s; "
      "SELECT * FROM recommend(1, 3, 'ratings_mf'); RELEASE s",
      "SELECT mf_train('nowhere', 3)",
      "SELECT mf_train('ratings', 3, '{\"rnak\":1}')",
      "SELECT * FROM recommend(1, 3)",
  };
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
    for (int warm = 0; warm < 2; warm++) {
      sqlite3 *db = open_image(&ratings);
      if (warm) serve_all(db);
      Outcome outcome = run(db, changes[i]);
      CHECK((outcome.code == SQLITE_OK) == (i + 3 < sizeof changes / sizeof *changes));
      check_integrity(db);
      closes(db, changes[i]);
    }
}

/* Trials keep the data between two rows. */
static void after_trials(void) {
  for (int i = 0; i < TRIALS; i++) {
    sqlite3 *db = open_image(&ratings);
    Outcome first = must(db, trials[i].sql), second = must(db, trials[i].sql);
    CHECK(same_rows(&first, &second) && first.rows > 0);
    check_integrity(db);
    closes(db, trials[i].sql);
    /* Left in the middle, and closed before it is finalized, which SQLite refuses. */
    db = open_image(&ratings);
    sqlite3_stmt *statement = NULL;
    if (CHECK(sqlite3_prepare_v2(db, trials[i].sql, -1, &statement, NULL) == SQLITE_OK))
      CHECK(sqlite3_step(statement) == SQLITE_ROW);
    CHECK(sqlite3_close(db) == SQLITE_BUSY);
    sqlite3_finalize(statement);
    closes(db, "a trial left half way");
  }
}

/* Models of content: words and tokenizers are cached, and texts that are constant in a statement. */
static void after_content(void) {
  sqlite3 *db = open_image(&content);
  for (int i = 0; i < CONTENT_SERVING; i++) {
    must(db, content_serving[i]);
    must(db, content_serving[i]);
  }
  closes(db, "serving content");
  for (int i = 0; i < CONTENT_SERVING; i++) {
    db = open_image(&content);
    must(db, content_serving[i]);
    closes(db, content_serving[i]);
    /* Left in the middle, then finalized. */
    db = open_image(&content);
    sqlite3_stmt *statement = NULL;
    if (CHECK(sqlite3_prepare_v2(db, content_serving[i], -1, &statement, NULL) == SQLITE_OK)) sqlite3_step(statement);
    sqlite3_finalize(statement);
    closes(db, "a statement left half way");
  }
  static const char *const more[] = {
      "SELECT tfidf_train('articles', '{\"nonesuch\":1}')",
      "SELECT tfidf_train('articles', '{\"tokenize\":\"nonesuch\"}')",
      "SELECT * FROM tfidf_search('fox', 3, 'nonesuch')",
      "SELECT tfidf_cosine('fox', 'fox', 'ratings')",
      "SELECT * FROM recommend_for('[1', 3, 'articles_tfidf')",
      "BEGIN; SELECT tfidf_train('articles', '{\"min_df\":2}'); SELECT tfidf_vector('red fox', 'articles_tfidf'); "
      "ROLLBACK; SELECT tfidf_vector('red fox', 'articles_tfidf')",
  };
  for (int i = 0; i < CONTENT_TRAINING + (int)(sizeof more / sizeof *more); i++)
    for (int warm = 0; warm < 2; warm++) {
      const char *sql = i < CONTENT_TRAINING ? content_training[i].sql : more[i - CONTENT_TRAINING];
      db = open_image(&content);
      for (int s = 0; s < CONTENT_SERVING && warm; s++) must(db, content_serving[s]);
      Outcome outcome = run(db, sql);
      int fails_as_meant = i >= CONTENT_TRAINING && !strstr(sql, "BEGIN");
      if (!CHECK((outcome.code != SQLITE_OK) == fails_as_meant))
        printf("  %s: code %d, %s\n", sql, outcome.code, outcome.message);
      check_integrity(db);
      closes(db, sql);
    }
  /* The extension loaded once more, words and tokenizers being cached. */
  db = open_image(&content);
  for (int i = 0; i < CONTENT_SERVING; i++) must(db, content_serving[i]);
  assert_int_equal(sqlite3_recommend_init(db, NULL, NULL), SQLITE_OK);
  for (int i = 0; i < CONTENT_SERVING; i++) must(db, content_serving[i]);
  closes(db, "loading twice");
  /* And amid a statement that keeps what its constant text is. */
  db = open_image(&content);
  sqlite3_stmt *statement = NULL;
  assert_int_equal(
      sqlite3_prepare_v2(db,
                         "SELECT tfidf_cosine('red fox', body), tfidf_cosine('red fox', body, 'articles_tfidf') "
                         "FROM articles",
                         -1, &statement, NULL),
      SQLITE_OK);
  assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
  assert_int_equal(sqlite3_recommend_init(db, NULL, NULL), SQLITE_OK);
  sqlite3_step(statement);
  sqlite3_finalize(statement);
  must(db, "SELECT tfidf_cosine('red fox', body) FROM articles");
  closes(db, "loading amid a statement");
}

/* Constant texts are kept by the statement, and forgotten when the model changes between its rows. */
static void kept_texts(void) {
  sqlite3 *db = open_image(&content);
  sqlite3_stmt *statement = NULL;
  assert_int_equal(sqlite3_prepare_v2(db, "SELECT tfidf_cosine('the red fox', body, 'articles_tfidf') FROM articles",
                                      -1, &statement, NULL),
                   SQLITE_OK);
  double before[3], between[3];
  for (int i = 0; i < 3 && CHECK(sqlite3_step(statement) == SQLITE_ROW); i++)
    before[i] = sqlite3_column_double(statement, 0);
  sqlite3_reset(statement);
  assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
  between[0] = sqlite3_column_double(statement, 0);
  must(db, "SELECT tfidf_train('articles', '{\"stop_words\":[\"fox\"],\"weighting\":\"count\"}')");
  for (int i = 1; i < 3 && CHECK(sqlite3_step(statement) == SQLITE_ROW); i++)
    between[i] = sqlite3_column_double(statement, 0);
  sqlite3_finalize(statement);
  assert_true(between[0] == before[0]);
  assert_true(between[1] != before[1]);
  assert_true(between[2] != before[2]);
  assert_int_equal(sqlite3_prepare_v2(db, "SELECT tfidf_cosine('the red fox', body, 'articles_tfidf') FROM articles",
                                      -1, &statement, NULL),
                   SQLITE_OK);
  for (int i = 0; i < 3 && CHECK(sqlite3_step(statement) == SQLITE_ROW); i++)
    if (i) CHECK(sqlite3_column_double(statement, 0) == between[i]);
  sqlite3_finalize(statement);
  closes(db, "a model trained between two rows");
}

static void attached(void) {
  const char *path = temporary_path("close");
  write_image(&ratings, path);
  sqlite3 *db = open_file(":memory:");
  char *attach = sqlite3_mprintf("ATTACH %Q AS more", path);
  must(db, attach);
  Outcome first = must(db, "SELECT * FROM recommend(3, 4, 'more.ratings_mf')");
  must(db,
       "SELECT * FROM recommend_all(3, 'ratings_mf'); SELECT * FROM recommend_models; "
       "SELECT * FROM more.ratings_mf WHERE user = 2");
  must(db, "SELECT mf_train('more.ratings', 3, '{\"model\": \"more.second\"}')");
  must(db, "SELECT * FROM recommend(3, 4, 'second')");
  must(db, "DETACH more");
  fails(db, "SELECT * FROM recommend(3, 4, 'ratings_mf')", "model");
  must(db, attach);
  Outcome again = must(db, "SELECT * FROM recommend(3, 4, 'ratings_mf')");
  assert_true(same_rows(&first, &again));
  /* Another file under the same name. */
  must(db, "DETACH more");
  must(db, "ATTACH ':memory:' AS more");
  fails(db, "SELECT * FROM recommend(3, 4, 'ratings_mf')", "model");
  closes(db, "DETACH and ATTACH");
  sqlite3_free(attach);
  remove_database(path);
}

/* What another connection does to the file is seen by the next query. */
static void two_connections(void) {
  const char *path = temporary_path("close");
  static const char *const others[] = {
      "SELECT mf_train('ratings', 4, '{\"epochs\":2}')", "INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')",
      "SELECT recommend_retrain('ratings_mf')",          "DROP TABLE ratings_mf",
      "ALTER TABLE ratings_mf RENAME TO other",          "DROP TABLE ratings_mf; CREATE TABLE ratings_mf(user, item)"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    write_image(&ratings, path);
    sqlite3 *db = open_file(path), *other = open_file(path);
    serve_all(db);
    serve_all(other);
    sqlite3_stmt *kept = NULL;
    CHECK(sqlite3_prepare_v2(db, "SELECT count(*), sum(score) FROM recommend(3, 4, 'ratings_mf')", -1, &kept, NULL) ==
          SQLITE_OK);
    CHECK(sqlite3_step(kept) == SQLITE_ROW && sqlite3_reset(kept) == SQLITE_OK);
    must(other, others[i]);
    int stepped = sqlite3_step(kept);
    CHECK(stepped == (strstr(others[i], "train") ? SQLITE_ROW : SQLITE_ERROR));
    sqlite3_finalize(kept);
    Outcome mine = run(db, "SELECT * FROM recommend(3, 4, 'ratings_mf')");
    Outcome theirs = run(other, "SELECT * FROM recommend(3, 4, 'ratings_mf')");
    CHECK(mine.code == theirs.code && mine.hash == theirs.hash);
    if (strstr(others[i], "RENAME")) must(db, "SELECT * FROM recommend(3, 4, 'other')");
    closes(db, others[i]);
    closes(other, others[i]);
  }
  remove_database(path);
}

static void loaded_twice(void) {
  sqlite3 *db = open_image(&ratings);
  Outcome first = must(db, serving[0]);
  char *message = NULL;
  assert_int_equal(sqlite3_recommend_init(db, &message, NULL), SQLITE_OK);
  sqlite3_free(message);
  Outcome second = must(db, serving[0]);
  assert_true(same_rows(&first, &second));
  serve_all(db);
  must(db, train_ratings);
  closes(db, "loading twice");
}

static void views_and_triggers(void) {
  sqlite3 *db = open_image(&ratings);
  must(db,
       "CREATE VIEW top AS SELECT u.user, r.item, r.rank FROM (SELECT DISTINCT user FROM ratings) u, "
       "recommend(u.user, 3, 'ratings_mf') r");
  must(db, "CREATE TABLE log(item, score)");
  must(db,
       "CREATE TRIGGER ask AFTER INSERT ON plays BEGIN INSERT INTO log SELECT item, score FROM ratings_mf "
       "WHERE user = 3 AND seen = 0 ORDER BY score DESC LIMIT 2; "
       "INSERT INTO log VALUES(predict(1, 2, 'ratings_mf'), 1); END");
  assert_true(must(db, "SELECT * FROM top ORDER BY user, rank").rows > 12);
  must(db, "INSERT INTO plays VALUES('x', 'y')");
  assert_int_equal(must(db, "SELECT * FROM log").rows, 3);
  /* Training runs what its arguments say: not from a schema that somebody else wrote. */
  must(db, "CREATE VIEW trains AS SELECT mf_train('ratings', 3)");
  fails(db, "SELECT * FROM trains", "unsafe use of mf_train");
  must(db, "CREATE VIEW trains_too AS SELECT * FROM mf_train('ratings', 3)");
  fails(db, "SELECT * FROM trains_too", "unsafe use of virtual table");
  check_integrity(db);
  closes(db, "views and triggers");
}

static void names_taken(void) {
  sqlite3 *db = open_file(":memory:");
  must(db, make_data);
  must(db, "CREATE TABLE ratings_mf_user(mine); INSERT INTO ratings_mf_user VALUES(1)");
  fails(db, train_ratings, "ratings_mf_user");
  assert_int_equal(must(db, "SELECT * FROM ratings_mf_user").rows, 1);
  assert_int_equal(must(db, "SELECT * FROM sqlite_schema WHERE name LIKE 'ratings%'").rows, 2);
  must(db, "DROP TABLE ratings_mf_user; CREATE TABLE ratings_mf(user, item)");
  fails(db, train_ratings, "is not a model");
  must(db, "DROP TABLE ratings_mf");
  must(db, train_ratings);
  must(db, "CREATE TABLE recommend_models(mine); CREATE TABLE recommend(mine)");
  must(db, "SELECT * FROM recommend_users(2, 3)");
  must(db, "DROP TABLE recommend");
  must(db, "SELECT * FROM recommend(2, 3)");
  must(db, "CREATE TABLE recommend_connection(mine)");
  run(db, "SELECT * FROM recommend(2, 3)");
  closes(db, "names that are taken");
  db = open_image(&ratings);
  must(db, "CREATE TABLE recommend_connection(mine)");
  fails(db, "SELECT * FROM recommend(2, 3, 'ratings_mf')", "recommend_connection");
  closes(db, "a table called recommend_connection");
}

/* Models of links: all histories and the users' neighbours are cached. */
static void after_links(void) {
  sqlite3 *db = open_image(&links);
  for (int i = 0; i < LINK_SERVING; i++) {
    must(db, link_serving[i]);
    must(db, link_serving[i]);
  }
  closes(db, "serving links");
  for (int i = 0; i < LINK_SERVING; i++) {
    db = open_image(&links);
    sqlite3_stmt *statement = NULL;
    if (CHECK(sqlite3_prepare_v2(db, link_serving[i], -1, &statement, NULL) == SQLITE_OK)) sqlite3_step(statement);
    sqlite3_finalize(statement);
    closes(db, link_serving[i]);
  }
  for (int i = 0; i < LINK_TRAINING + LINK_CHANGES; i++)
    for (int warm = 0; warm < 2; warm++) {
      const char *sql = i < LINK_TRAINING ? link_training[i].sql : link_changes[i - LINK_TRAINING].sql;
      db = open_image(&links);
      for (int s = 0; s < LINK_SERVING && warm; s++) must(db, link_serving[s]);
      must(db, sql);
      check_integrity(db);
      closes(db, sql);
    }
  static const char *const refused[] = {
      "SELECT ease_train('ratings', 1, '{\"max_memory\":0}')", "SELECT knn_train('ratings', 0, '{\"threshold\":2}')",
      "SELECT knn_train('plays', 3, '{\"center\":\"bias\"}')", "SELECT * FROM recommend_neighbors('plays_ease')",
      "SELECT * FROM recommend_explain(3, 4, 9, 'users_knn')", "SELECT * FROM item_similar(2, 3, 'users_knn')",
      "SELECT * FROM user_similar(2, 3, 'ratings_baseline')",  "SELECT * FROM recommend_factors('ratings_knn', 'item')",
  };
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    db = open_image(&links);
    Outcome outcome = run(db, refused[i]);
    if (!CHECK(primary(outcome.code) == SQLITE_ERROR && outcome.message[0]))
      printf("  %s: code %d, %s\n", refused[i], outcome.code, outcome.message);
    closes(db, refused[i]);
  }
}

static void nothing_is_lost(void) {
  sqlite3_reset_auto_extension();
  sqlite3_shutdown();
  assert_int_equal(sqlite3_memory_used(), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(after_each_statement), TEST(after_trials), TEST(after_content),   TEST(after_links),
      TEST(kept_texts),           TEST(attached),     TEST(two_connections), TEST(loaded_twice),
      TEST(views_and_triggers),   TEST(names_taken),  TEST(nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, make_images, free_images);
}
