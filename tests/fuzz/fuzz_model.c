/* Fuzzing the files that models are in: the input is a small program that damages the shadow tables of one model, with
 * right checksums or wrong ones, and then everything is asked of the model and done to it.
 *
 *     model  which family, see models[]
 *     then, as long as there is input, a damage a time:
 *     kind   PATCH      table, row, place (2 bytes), 4 bytes that go there; sealed by a right checksum
 *            LENGTH     table, row, length (2 bytes) to which the blob is cut or extended; sealed
 *            BREAK      table, row, place (2 bytes), 1 byte; not sealed
 *            CONFIG     a key of m_config, a value
 *            CELL       table, row, column, a value
 *            REMOVE     table, row
 *            DOUBLE     table, row: again under the next free number
 *            ACT        one of the statements below, with two ids from the input
 *     value  its type, then 1, 4 or 8 bytes of a whole number, 8 of a real one, or a text by length; or nothing: NULL
 *
 * Besides what fuzz.h says: the model can be dropped after all, and leaves nothing. */
#include "fuzz.h"

#include "base/bytes.h"

#ifndef FUZZ_ENTRY
#define FUZZ_ENTRY LLVMFuzzerTestOneInput
#endif
int FUZZ_ENTRY(const uint8_t *data, size_t size);

static const char model_setup[] =
    "CREATE TABLE ratings(user, item, rating);"
    "WITH RECURSIVE u(u) AS (SELECT 1 UNION ALL SELECT u + 1 FROM u WHERE u < 6),"
    " i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 7)"
    " INSERT INTO ratings SELECT u, CASE WHEN i < 6 THEN i ELSE 'item ' || i END, 1 + (u * 7 + i * 3) % 5 FROM u, i"
    " WHERE (u * 5 + i * 11) % 4 > 0;"
    "CREATE VIEW plays AS SELECT user, item FROM ratings;"
    "CREATE VIEW dated AS SELECT *, CASE rating WHEN 5 THEN NULL ELSE (user * 3 + rating) % 4 END AS timestamp FROM "
    "ratings;"
    "CREATE TABLE texts(item, text);"
    "INSERT INTO texts SELECT DISTINCT item, 'a red fox and ' || item || ' blue ones' FROM ratings;"
    "CREATE TABLE vectors(item, vector);"
    "INSERT INTO vectors SELECT DISTINCT item, json_array(length(item), 2 - rating) FROM ratings GROUP BY item";

/* Small models of every family, all called m. */
static const char *const models[] = {
    "SELECT mf_train('ratings', 2, '{\"epochs\":2,\"threads\":1,\"model\":\"m\"}')",
    "SELECT mf_train('plays', 2, '{\"epochs\":2,\"threads\":1,\"model\":\"m\",\"test\":0.2}')",
    "SELECT mf_train('ratings', 2, '{\"epochs\":2,\"threads\":1,\"model\":\"m\",\"algorithm\":\"svdpp\"}')",
    "SELECT mf_train('ratings', 2, '{\"threads\":1,\"model\":\"m\",\"algorithm\":\"svd\"}')",
    "SELECT mf_train('ratings', 2, '{\"threads\":1,\"model\":\"m\",\"algorithm\":\"nmf\",\"range\":\"minmax\"}')",
    "SELECT mf_train('plays', 2, '{\"epochs\":2,\"threads\":1,\"model\":\"m\",\"algorithm\":\"bpr\"}')",
    "SELECT knn_train('ratings', 3, '{\"threads\":1,\"model\":\"m\"}')",
    "SELECT knn_train('ratings', 3, '{\"threads\":1,\"model\":\"m\",\"by\":\"user\",\"center\":\"mean\"}')",
    "SELECT knn_train('ratings', 3, '{\"threads\":1,\"model\":\"m\",\"neighbors\":\"raters\",\"center\":\"zscore\"}')",
    "SELECT ease_train('ratings', 3, '{\"threads\":1,\"model\":\"m\"}')",
    "SELECT baseline_train('ratings', '{\"threads\":1,\"model\":\"m\"}')",
    "SELECT kmeans_train('ratings', 2, '{\"threads\":1,\"model\":\"m\",\"starts\":1}')",
    "SELECT kmeans_train('ratings', 2, '{\"threads\":1,\"model\":\"m\",\"starts\":1,\"by\":\"item\"}')",
    "SELECT tfidf_train('texts', '{\"threads\":1,\"model\":\"m\",\"ratings\":\"ratings\",\"profile\":\"weighted\"}')",
    "SELECT tfidf_train('texts', '{\"threads\":1,\"model\":\"m\",\"ratings\":\"ratings\",\"lsa\":2}')",
    "SELECT tfidf_train('vectors', '{\"threads\":1,\"model\":\"m\",\"ratings\":\"ratings\",\"embedding\":\"vector\"}')",
    "SELECT mf_train('dated', 2, '{\"epochs\":2,\"threads\":1,\"model\":\"m\",\"test\":0.2,\"history\":\"timed\"}')",
};
enum { MODELS = sizeof models / sizeof *models };

/* What is asked; ?1 and ?2 are a user and an item. */
static const char questions[] =
    "INSERT INTO m(m) VALUES('integrity-check');"
    "SELECT * FROM recommend(?1, 3, 'm');SELECT * FROM recommend_all(2, 'm');SELECT * FROM recommend_users(?2, 3, 'm');"
    "SELECT * FROM item_similar(?2, 3, 'm');SELECT * FROM item_similar_all(2, 'm');"
    "SELECT * FROM user_similar(?1, 3, 'm');SELECT predict(?1, ?2, 'm');SELECT rowid, * FROM m;"
    "SELECT * FROM m WHERE user = ?1 AND seen = 0 ORDER BY score DESC LIMIT 2;"
    "SELECT item FROM recommend WHERE user = ?1 AND model = 'm' AND item IN (1, ?2, 'item 6');"
    "SELECT * FROM recommend_history(?1, 'm');SELECT item, timestamp FROM m WHERE user = ?1 AND seen = 1;"
    "SELECT * FROM recommend_explain(?1, ?2, 3, 'm');SELECT * FROM recommend_for(json_array(?2, 1), 2, 'm');"
    "SELECT * FROM recommend_for(json_object('2', 4, '3', 1), 2, 'm');SELECT * FROM recommend_factors('m', 'user');"
    "SELECT * FROM recommend_factors('m', 'item');SELECT * FROM recommend_models;SELECT * FROM "
    "recommend_neighbors('m');"
    "SELECT * FROM recommend_clusters('m');SELECT * FROM tfidf_search('a blue fox', 2, 'm');"
    "SELECT * FROM tfidf_search('[1, 2]', 2, 'm');SELECT tfidf_cosine('a red fox', 'blue', 'm'), tfidf_vector('fox', "
    "'m');"
    "SELECT * FROM recommend_evaluate('m', 'ratings', '{\"k\":2,\"exclude_seen\":false,\"cold_start\":\"estimate\"}');";

/* What is asked once more after that has been done. */
static const char again[] =
    "INSERT INTO m(m) VALUES('integrity-check');SELECT * FROM recommend_all(2, 'm');SELECT rowid, * FROM m;"
    "SELECT * FROM item_similar_all(2, 'm');SELECT * FROM recommend(?1, 3, 'm')";

/* What is done. */
static const char *const acts[] = {
    "INSERT INTO m(user, item, rating) VALUES(?1, ?2, 4)",
    "INSERT INTO m(user, item, rating) VALUES(?1, ?2, NULL)",
    "INSERT INTO m(user, item, rating) VALUES('somebody', ?2, 1)",
    "INSERT INTO m(user, item, rating) VALUES(?1, 'something', 5)",
    "UPDATE m SET rating = 2 WHERE user = ?1 AND seen = 1",
    "DELETE FROM m WHERE user = ?1 AND item = ?2",
    "DELETE FROM m WHERE user = ?1 AND seen = 1",
    "INSERT INTO m(m, user) VALUES('forget', ?1)",
    "INSERT INTO m(m, item) VALUES('forget', ?2)",
    "INSERT INTO m(m) VALUES('retrain')",
    "SELECT recommend_retrain('m')",
    "SELECT recommend_forget('user', ?1)",
    "SELECT recommend_forget('item', ?2)",
    "ALTER TABLE m RENAME TO m2; ALTER TABLE m2 RENAME TO m",
    "SELECT mf_train('ratings', 2, '{\"epochs\":1,\"threads\":1,\"model\":\"x\",\"item_init\":\"m\"}'); DROP TABLE x",
    "SELECT kmeans_train('ratings', 2, '{\"threads\":1,\"model\":\"x\",\"starts\":1,\"factors\":\"m\"}'); DROP TABLE x",
    "INSERT INTO m(user, item, rating, timestamp) VALUES(?1, ?2, 4, 2)",
    "UPDATE m SET timestamp = 3 WHERE user = ?1 AND seen = 1",
};
enum { ACTS = sizeof acts / sizeof *acts };

/* ---- reading the input ------------------------------------------------------------------------------------------- */

typedef struct Input {
  const uint8_t *at, *end;
} Input;

static unsigned take(Input *input) { return input->at < input->end ? *input->at++ : 0; }
static unsigned take_two(Input *input) {
  unsigned low = take(input);
  return low | take(input) << 8;
}

static uint64_t take_bytes(Input *input, int count) {
  uint64_t bits = 0;
  for (int i = 0; i < count; i++) bits |= (uint64_t)take(input) << 8 * i;
  return bits;
}

/* Binds a value out of the input. */
static void bind_value(sqlite3_stmt *statement, int parameter, Input *input) {
  unsigned type = take(input) % 8, length;
  double real;
  uint64_t bits;
  switch (type) {
    case 0:
    case 1: sqlite3_bind_int64(statement, parameter, (int8_t)take(input)); break;
    case 2: sqlite3_bind_int64(statement, parameter, (int32_t)take_bytes(input, 4)); break;
    case 3: sqlite3_bind_int64(statement, parameter, (int64_t)take_bytes(input, 8)); break;
    case 4:
      bits = take_bytes(input, 8);
      memcpy(&real, &bits, sizeof real);
      sqlite3_bind_double(statement, parameter, real);
      break;
    case 5:
    case 6:
      length = take(input) % 40;
      if (length > input->end - input->at) length = (unsigned)(input->end - input->at);
      if (type == 5)
        sqlite3_bind_text(statement, parameter, (const char *)input->at, (int)length, SQLITE_TRANSIENT);
      else
        sqlite3_bind_blob(statement, parameter, input->at, (int)length, SQLITE_TRANSIENT);
      input->at += length;
      break;
    default: sqlite3_bind_null(statement, parameter);
  }
}

/* ---- the damages ------------------------------------------------------------------------------------------------- */

static const struct {
  const char *table, *blob, *columns[4];
} shadows[] = {
    {"m_user", "history", {"idx", "id", "n", "history"}},     {"m_item", NULL, {"idx", "id", "n", "n"}},
    {"m_userfactor", "data", {"chunk", "n", "data", "data"}}, {"m_itemfactor", "data", {"chunk", "n", "data", "data"}},
    {"m_neighbor", "data", {"idx", "n", "data", "data"}},     {"m_weight", "data", {"name", "shape", "data", "name"}},
    {"m_term", NULL, {"idx", "term", "df", "idf"}},           {"m_config", NULL, {"key", "value", "value", "value"}},
};
enum { SHADOWS = sizeof shadows / sizeof *shadows };

/* The rowid of one of the rows, or -1 where there is none. */
static sqlite3_int64 choose_row(sqlite3 *db, const char *table, unsigned which) {
  sqlite3_stmt *statement = NULL;
  sqlite3_int64 row = -1;
  char *sql = sqlite3_mprintf(
      "SELECT rowid FROM %s ORDER BY rowid LIMIT 1 OFFSET ?1 %% max((SELECT count(*) FROM %s), 1)", table, table);
  if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK) {
    sqlite3_bind_int(statement, 1, (int)which);
    if (sqlite3_step(statement) == SQLITE_ROW) row = sqlite3_column_int64(statement, 0);
  }
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  return row;
}

/* Puts a blob with its checksum right, or left as it is. */
static void put_blob(sqlite3 *db, const char *table, const char *column, sqlite3_int64 row, unsigned char *blob,
                     int size, int sealed) {
  enum { CHECKSUM = 8 };
  sqlite3_stmt *statement = NULL;
  if (sealed && size >= CHECKSUM) bytes_store64(blob + size - CHECKSUM, bytes_hash(0, blob, (size_t)size - CHECKSUM));
  char *sql = sqlite3_mprintf("UPDATE %s SET %s = ?1 WHERE rowid = ?2", table, column);
  if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK) {
    sqlite3_bind_blob(statement, 1, blob, size, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, row);
    sqlite3_step(statement);
  }
  sqlite3_finalize(statement);
  sqlite3_free(sql);
}

enum { PATCH, LENGTH, BREAK, CONFIG, CELL, REMOVE, DOUBLE, ACT, KINDS };

static void damage_blob(sqlite3 *db, unsigned kind, Input *input) {
  enum { MOST = 4096 };
  unsigned char blob[MOST];
  unsigned shadow = take(input) % SHADOWS;
  const char *table = shadows[shadow].table, *column = shadows[shadow].blob;
  if (!column) return;
  sqlite3_int64 row = choose_row(db, table, take(input));
  unsigned number = take_two(input);
  sqlite3_stmt *statement = NULL;
  int size = -1;
  char *sql = sqlite3_mprintf("SELECT %s FROM %s WHERE rowid = ?1", column, table);
  if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK) {
    sqlite3_bind_int64(statement, 1, row);
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_bytes(statement, 0) <= MOST) {
      size = sqlite3_column_bytes(statement, 0);
      if (size > 0) memcpy(blob, sqlite3_column_blob(statement, 0), (size_t)size);
    }
  }
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  if (size < 0) return;
  if (kind == LENGTH) {
    int length = (int)(number % MOST);
    if (length > size) memset(blob + size, 0, (size_t)(length - size));
    put_blob(db, table, column, row, blob, length, 1);
    return;
  }
  for (int i = 0; i < (kind == PATCH ? 4 : 1); i++)
    if (size > 0) blob[(number + (unsigned)i) % (unsigned)size] = (unsigned char)take(input);
  put_blob(db, table, column, row, blob, size, kind == PATCH);
}

static void damage_cell(sqlite3 *db, unsigned kind, Input *input) {
  unsigned shadow = kind == CONFIG ? SHADOWS - 1 : take(input) % SHADOWS;
  const char *table = shadows[shadow].table;
  sqlite3_int64 row = choose_row(db, table, take(input));
  const char *column = kind == CONFIG ? "value" : shadows[shadow].columns[kind == CELL ? take(input) % 4 : 0];
  sqlite3_stmt *statement = NULL;
  char *sql = kind == REMOVE   ? sqlite3_mprintf("DELETE FROM %s WHERE rowid = ?2", table)
              : kind == DOUBLE ? sqlite3_mprintf(
                                     "CREATE TEMP TABLE d AS SELECT * FROM %s WHERE rowid = %lld;"
                                     "UPDATE d SET %s = (SELECT max(%s) + 1 FROM %s);"
                                     "INSERT OR REPLACE INTO %s SELECT * FROM d; DROP TABLE temp.d",
                                     table, row, column, column, table, table)
                               : sqlite3_mprintf("UPDATE OR REPLACE %s SET %s = ?1 WHERE rowid = ?2", table, column);
  if (kind == DOUBLE) {
    sqlite3_exec(db, sql, NULL, NULL, NULL);
  } else if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK) {
    if (kind != REMOVE) bind_value(statement, 1, input);
    sqlite3_bind_int64(statement, 2, row);
    sqlite3_step(statement);
  }
  sqlite3_finalize(statement);
  sqlite3_free(sql);
}

/* ---- one run ----------------------------------------------------------------------------------------------------- */

typedef struct Ids {
  unsigned user, item;
} Ids;

/* Users 1 … 6 and one nobody knows; items 1 … 5, 'item 6', 'item 7', and one more. */
static int bind_ids(sqlite3_stmt *statement, const void *context) {
  const Ids *ids = context;
  sqlite3_bind_int(statement, 1, (int)(1 + ids->user % 7));
  unsigned item = 1 + ids->item % 8;
  char text[16];
  sqlite3_snprintf(sizeof text, text, "item %u", item);
  if (sqlite3_bind_parameter_count(statement) < 2) return SQLITE_OK;
  return item < 6 ? sqlite3_bind_int(statement, 2, (int)item)
                  : sqlite3_bind_text(statement, 2, text, -1, SQLITE_TRANSIENT);
}

static void check_drop(sqlite3 *db) {
  sqlite3_stmt *statement = NULL;
  fuzz_must(sqlite3_exec(db, "DROP TABLE m", NULL, NULL, NULL) == SQLITE_OK, "DROP TABLE m", db);
  fuzz_must(sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE name LIKE 'm\\_%' ESCAPE '\\'", -1, &statement,
                               NULL) == SQLITE_OK,
            "the schema", db);
  fuzz_must(sqlite3_step(statement) == SQLITE_DONE, "DROP TABLE leaves a table", NULL);
  sqlite3_finalize(statement);
}

int FUZZ_ENTRY(const uint8_t *data, size_t size) {
  static FuzzImage images[MODELS];
  if (size < 1 || size > 4096) return 0;
  unsigned model = data[0] % MODELS;
  if (!images[model].bytes) fuzz_image_make(&images[model], model_setup, models[model]);
  long steps = 3000;
  sqlite3 *db = fuzz_image_open(&images[model], &steps);
  Input input = {data + 1, data + size};
  Ids ids = {size > 1 ? data[size - 1] : 0, size > 2 ? data[size - 2] : 0};
  for (int damages = 0; input.at < input.end && damages < 32; damages++) {
    unsigned kind = take(&input) % KINDS;
    if (kind == ACT) {
      const char *act = acts[take(&input) % ACTS];
      ids.user = take(&input);
      ids.item = take(&input);
      fuzz_run(db, act, bind_ids, &ids);
    } else if (kind <= BREAK) {
      damage_blob(db, kind, &input);
    } else {
      damage_cell(db, kind, &input);
    }
  }
  fuzz_run(db, questions, bind_ids, &ids);
  for (unsigned act = 0; act < 9; act++) fuzz_run(db, acts[(act + ids.user) % 9], bind_ids, &ids);
  fuzz_run(db, again, bind_ids, &ids);
  sqlite3_progress_handler(db, 0, NULL, NULL);
  check_drop(db);
  fuzz_close(db);
  return 0;
}
