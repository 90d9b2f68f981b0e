/* Fuzzing what users write as text and what may stand in a file: the first byte says which.
 *
 *     s  a source          SELECT mf_train(<text>, 2, …)
 *     o  options           SELECT mf_train('ratings', 2, <text>)
 *     a  module arguments  CREATE VIRTUAL TABLE t USING recommender(<text>)
 *     m  a model's name    SELECT * FROM recommend(1, 2, <text>)
 *     u  user factors      a blob of m_userfactor, read by every function
 *     i  item factors      likewise
 *     h  a history         likewise
 *     e  evaluation        options of recommend_evaluate
 *     t  a text            an item of tfidf_train, compared with others and searched for
 *     w  options           SELECT tfidf_train('texts', <text>)
 *     v  a vector          an item of tfidf_train with "embedding"
 *     p  a profile         SELECT * FROM recommend_for(<text>, 2)
 *     x  sparse vectors    a blob of m_itemfactor of a model of words
 *
 * Any result will do but a crash, a sanitizer's report, a leak or a connection that can't be closed. */
#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/interrupt.h"
#include "recommend.h"

#ifndef FUZZ_ENTRY
#define FUZZ_ENTRY LLVMFuzzerTestOneInput
#endif
int FUZZ_ENTRY(const uint8_t *data, size_t size);

static const char fuzz_setup[] =
    "CREATE TABLE ratings(user, item, rating); CREATE VIEW seen AS SELECT user, item FROM ratings;"
    "INSERT INTO ratings VALUES(1, 1, 5), (1, 2, 3), (2, 1, 4), (2, 3, 1), (3, 2, 2), (3, 3, 5);"
    "CREATE TABLE texts(item, text); INSERT INTO texts VALUES(1, 'a red fox'), (2, 'the blue fox'), (3, NULL)";

static const char *const fuzz_training[2] = {
    "SELECT mf_train('ratings', 2, '{\"epochs\":1,\"threads\":1}')",
    "SELECT tfidf_train('texts', '{\"threads\":1,\"ratings\":\"ratings\"}')",
};

static const char fuzz_queries[] =
    "SELECT * FROM recommend(1, 2, 'ratings_mf');SELECT * FROM recommend_all(2, 'ratings_mf');"
    "SELECT * FROM user_similar(1, 2, 'ratings_mf');SELECT * FROM item_similar(1, 2, 'ratings_mf');"
    "SELECT * FROM recommend_users(1, 2, 'ratings_mf');SELECT * FROM ratings_mf;SELECT predict(1, 3, 'ratings_mf');"
    "SELECT * FROM recommend_factors('ratings_mf', 'user');SELECT * FROM recommend_models;"
    "INSERT INTO ratings_mf(ratings_mf) VALUES('integrity-check')";

static const char fuzz_content_queries[] =
    "SELECT * FROM recommend(1, 2, 'texts_tfidf');SELECT * FROM recommend_all(2, 'texts_tfidf');"
    "SELECT * FROM user_similar(1, 2, 'texts_tfidf');SELECT * FROM item_similar(1, 2, 'texts_tfidf');"
    "SELECT * FROM recommend_users(1, 2, 'texts_tfidf');SELECT * FROM texts_tfidf;"
    "SELECT predict(1, 3, 'texts_tfidf');SELECT * FROM tfidf_search('red fox', 2, 'texts_tfidf');"
    "SELECT tfidf_cosine('red', text, 'texts_tfidf'), tfidf_vector(text, 'texts_tfidf') FROM texts;"
    "SELECT * FROM recommend_for('[1]', 2, 'texts_tfidf');INSERT INTO texts_tfidf(texts_tfidf) "
    "VALUES('integrity-check')";

/* Ends what would take long: by the steps of SQLite's machine, and by the ticks of a training, one a millisecond. */
static int stop_late(void *steps) { return --*(long *)steps < 0; }

static int count_tick(unsigned event, void *steps, void *statement, void *text) {
  (void)event;
  (void)text;
  if (strncmp(sqlite3_sql(statement), INTERRUPT_TICK, sizeof INTERRUPT_TICK - 1) == 0) *(long *)steps -= 50;
  return 0;
}

/* Runs them all, errors or not. `text` is bound to the parameter. */
static void run_each(sqlite3 *db, const char *sql, const uint8_t *text, size_t size, int as_blob) {
  while (sql && *sql) {
    sqlite3_stmt *statement = NULL;
    const char *here = sql;
    sqlite3_prepare_v2(db, here, -1, &statement, &sql);
    if (sql == here) break; /* nothing could be made of it */
    if (sqlite3_bind_parameter_count(statement)) {
      if (as_blob)
        sqlite3_bind_blob64(statement, 1, text, size, SQLITE_STATIC);
      else
        sqlite3_bind_text64(statement, 1, (const char *)text, size, SQLITE_STATIC, SQLITE_UTF8);
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
    }
    sqlite3_finalize(statement);
  }
}

int FUZZ_ENTRY(const uint8_t *data, size_t size) {
  if (size < 1 || size > 4096) return 0;
  sqlite3 *db = NULL;
  long steps = 2000;
  if (sqlite3_open(":memory:", &db) != SQLITE_OK || sqlite3_recommend_init(db, NULL, NULL) != SQLITE_OK) abort();
  sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1 << 24);
  sqlite3_hard_heap_limit64(1 << 28);
  int of_content = strchr("twvpx", data[0]) != NULL;
  sqlite3_exec(db, fuzz_setup, NULL, NULL, NULL);
  sqlite3_exec(db, fuzz_training[of_content], NULL, NULL, NULL);
  sqlite3_progress_handler(db, 100, stop_late, &steps);
  sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count_tick, &steps);
  const uint8_t *text = data + 1;
  size--;
  char *sql = NULL;
  switch (data[0]) {
    case 's':
      run_each(db, "SELECT mf_train(?1, 2, '{\"model\":\"m\",\"epochs\":1,\"threads\":1}')", text, size, 0);
      break;
    case 'o': run_each(db, "SELECT mf_train('ratings', 2, ?1)", text, size, 0); break;
    case 'm': run_each(db, "SELECT * FROM recommend(1, 2, ?1)", text, size, 0); break;
    case 'e': run_each(db, "SELECT * FROM recommend_evaluate('ratings_mf', 'ratings', ?1)", text, size, 0); break;
    case 'a':
      sql = sqlite3_mprintf("CREATE VIRTUAL TABLE t USING recommender(%.*s);SELECT * FROM t;DROP TABLE t", (int)size,
                            text);
      sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)0);
      run_each(db, sql, NULL, 0, 0);
      break;
    case 'u': run_each(db, "UPDATE ratings_mf_userfactor SET data = ?1", text, size, 1); break;
    case 'i': run_each(db, "UPDATE ratings_mf_itemfactor SET data = ?1", text, size, 1); break;
    case 'h': run_each(db, "UPDATE ratings_mf_user SET history = ?1 WHERE idx = 0", text, size, 1); break;
    case 't':
      run_each(db,
               "UPDATE texts SET text = ?1 WHERE item = 3;"
               "SELECT tfidf_train('texts', '{\"threads\":1,\"ngram_range\":[1,3],\"ratings\":\"ratings\"}');"
               "SELECT tfidf_cosine(?1, text), tfidf_cosine(?1, text, 'texts_tfidf') FROM texts;"
               "SELECT tfidf_vector(?1, 'texts_tfidf');SELECT * FROM tfidf_search(?1, 2, 'texts_tfidf');"
               "SELECT tfidf_train('texts', '{\"threads\":1,\"tokenize\":\"trigram\",\"lowercase\":false}')",
               text, size, 0);
      break;
    case 'w': run_each(db, "SELECT tfidf_train('texts', ?1)", text, size, 0); break;
    case 'v':
      for (int as_blob = 0; as_blob < 2; as_blob++)
        run_each(db,
                 "UPDATE texts SET text = ?1;SELECT tfidf_train('texts', '{\"threads\":1,\"embedding\":\"text\"}');"
                 "SELECT * FROM tfidf_search(?1, 2, 'texts_tfidf');SELECT tfidf_cosine(?1, ?1, 'texts_tfidf');"
                 "SELECT recommend_vector(?1);SELECT recommend_vector(recommend_vector(?1));"
                 "SELECT recommend_dot(?1, ?1);SELECT recommend_cosine(?1, '[1,0]');SELECT recommend_normalize(?1)",
                 text, size, as_blob);
      break;
    case 'p': run_each(db, "SELECT * FROM recommend_for(?1, 2, 'texts_tfidf')", text, size, 0); break;
    case 'x': run_each(db, "UPDATE texts_tfidf_itemfactor SET data = ?1", text, size, 1); break;
    default: break;
  }
  run_each(db, of_content ? fuzz_content_queries : fuzz_queries, NULL, 0, 0);
  sqlite3_progress_handler(db, 0, NULL, NULL);
  sqlite3_free(sql);
  if (sqlite3_close(db) != SQLITE_OK) abort();
  return 0;
}
