/* Damage: every row of every shadow table deleted, doubled, moved, retyped; every blob cut, extended and flipped; every
 * key of m_config removed or changed; whole tables gone.
 *
 * Asked anything, a damaged model answers with an error that says what is wrong, or rightly: never with a crash, a hang
 * or a giant allocation, and (where the damage can be told from data, as in a blob with its checksum) never with other
 * rows. It can always be dropped, and trained again. */
#include "fault.h"

static Image image;
static Outcome undamaged[SERVING];
static long damages, detected;

typedef enum Expectation {
  ANYTHING, /* well-formed rows or an error: this can't be told from data */
  RIGHT,    /* the undamaged rows, or an error */
  DETECTED, /* as RIGHT, and the integrity check finds it */
  FOUND     /* as ANYTHING, and the integrity check finds it */
} Expectation;

static int is_a_fair_error(const Outcome *outcome) {
  int code = primary(outcome->code);
  return (code == SQLITE_CORRUPT || code == SQLITE_ERROR) && outcome->message[0];
}

static void ask_everything(sqlite3 *db, const char *damage, Expectation expectation) {
  int found = 0;
  for (int i = 0; i < SERVING; i++) {
    const char *sql = serving_statement(db, i);
    if (!sql) continue;
    Outcome outcome = run(db, sql);
    int free = expectation == ANYTHING || expectation == FOUND ||
               (strstr(sql, "recommend_models") && strstr(damage, "_config"));
    int right = outcome.code == SQLITE_OK ? free || same_rows(&outcome, &undamaged[i]) : is_a_fair_error(&outcome);
    if (!CHECK(right))
      printf("  %s\n    %s: code %d, %s, %ld rows, not %ld\n", damage, sql, outcome.code, outcome.message, outcome.rows,
             undamaged[i].rows);
    if (outcome.code == SQLITE_OK) continue;
    detected++;
    if (strstr(sql, "integrity-check")) {
      found = 1;
      if (!CHECK(strstr(outcome.message, "damaged") || strstr(outcome.message, "format")))
        printf("  %s: the message is %s\n", damage, outcome.message);
    }
  }
  if ((expectation == DETECTED || expectation == FOUND) && !CHECK(found))
    printf("  %s: the integrity check finds nothing\n", damage);
}

/* Damages a fresh copy by SQL, asks everything, and gets rid of the models. */
static void with_damage(const char *damage, Expectation expectation) {
  sqlite3 *db = open_image(&image);
  Outcome done = run(db, damage);
  if (done.code != SQLITE_OK) { /* a constraint forbids this one */
    CHECK(primary(done.code) == SQLITE_CONSTRAINT || done.code == SQLITE_MISMATCH);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    return;
  }
  damages++;
  ask_everything(db, damage, expectation);
  run(db, "INSERT INTO ratings_mf(ratings_mf) VALUES('retrain')");
  must(db, "DROP TABLE ratings_mf");
  must(db, "DROP TABLE plays_mf");
  Outcome left = must(db, "SELECT name FROM sqlite_schema WHERE name LIKE '%\\_mf%' ESCAPE '\\'");
  if (!CHECK(left.rows == 0)) printf("  %s: DROP TABLE leaves %ld tables\n", damage, left.rows);
  must(db, train_ratings);
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

#define WITH_DAMAGE(expectation, ...)            \
  do {                                           \
    char *damage = sqlite3_mprintf(__VA_ARGS__); \
    with_damage(damage, expectation);            \
    sqlite3_free(damage);                        \
  } while (0)

/* ---- blobs
 * ---------------------------------------------------------------------------------------------------------------- */

typedef struct Cell {
  const char *table, *column, *key;
} Cell;

/* Flips bits of every blob of one column, cuts it and extends it. */
static void damage_blobs(Cell cell, long stride) {
  sqlite3 *db = open_image(&image);
  sqlite3_stmt *rows = NULL;
  char *sql = sqlite3_mprintf("SELECT %s, hex(%s) FROM %s", cell.key, cell.column, cell.table);
  CHECK(sqlite3_prepare_v2(db, sql, -1, &rows, NULL) == SQLITE_OK);
  sqlite3_free(sql);
  long bit = 0;
  while (sqlite3_step(rows) == SQLITE_ROW) {
    int key = sqlite3_column_int(rows, 0);
    char *hex = sqlite3_mprintf("%s", sqlite3_column_text(rows, 1));
    int bytes = (int)strlen(hex) / 2;
    for (; bit < 8 * bytes; bit += stride) {
      char whole[3] = {hex[bit / 8 * 2], hex[bit / 8 * 2 + 1], 0}, flipped[3];
      snprintf(flipped, sizeof flipped, "%02X", (unsigned)strtol(whole, NULL, 16) ^ 1u << bit % 8);
      WITH_DAMAGE(DETECTED, "UPDATE %s SET %s = x'%.*s%s%s' WHERE %s = %d", cell.table, cell.column, (int)(bit / 8 * 2),
                  hex, flipped, hex + bit / 8 * 2 + 2, cell.key, key);
    }
    bit -= 8 * bytes;
    static const int kept[] = {0, 1, 7, 8, 9};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
      WITH_DAMAGE(DETECTED, "UPDATE %s SET %s = x'%.*s' WHERE %s = %d", cell.table, cell.column, 2 * kept[i], hex,
                  cell.key, key);
    WITH_DAMAGE(DETECTED, "UPDATE %s SET %s = x'%.*s' WHERE %s = %d", cell.table, cell.column, 2 * bytes - 2, hex,
                cell.key, key);
    WITH_DAMAGE(DETECTED, "UPDATE %s SET %s = x'%.*s' WHERE %s = %d", cell.table, cell.column, 2 * bytes - 8, hex,
                cell.key, key);
    WITH_DAMAGE(DETECTED, "UPDATE %s SET %s = x'%s00' WHERE %s = %d", cell.table, cell.column, hex, cell.key, key);
    WITH_DAMAGE(DETECTED, "UPDATE %s SET %s = x'%s%s' WHERE %s = %d", cell.table, cell.column, hex, hex, cell.key, key);
    if (key == 0)
      WITH_DAMAGE(DETECTED, "UPDATE %s SET %s = zeroblob(20000000) WHERE %s = 0", cell.table, cell.column, cell.key);
    sqlite3_free(hex);
  }
  sqlite3_finalize(rows);
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

/* ---- rows
 * --------------------------------------------------------------------------------------------------------------------
 */

static const char *const values[] = {"NULL",
                                     "-1",
                                     "0",
                                     "1",
                                     "2",
                                     "3",
                                     "64",
                                     "2147483648",
                                     "9223372036854775807",
                                     "-9223372036854775808",
                                     "1e308",
                                     "9e999",
                                     "-9e999",
                                     "0.5",
                                     "''",
                                     "'nan'",
                                     "'a text'",
                                     "x''",
                                     "x'00'",
                                     "zeroblob(1000)"};
enum { VALUES = sizeof values / sizeof *values };

typedef struct Damaged {
  const char *table, *key;
  const char *columns[5];
  Expectation missing;
} Damaged;

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

static void damage_rows(const Damaged *what, long stride) {
  sqlite3 *db = open_image(&image);
  sqlite3_stmt *rows = NULL;
  char *sql = sqlite3_mprintf("SELECT %s FROM %s", what->key, what->table);
  CHECK(sqlite3_prepare_v2(db, sql, -1, &rows, NULL) == SQLITE_OK);
  sqlite3_free(sql);
  const char *table = what->table, *key = what->key;
  long turn = 0;
  while (sqlite3_step(rows) == SQLITE_ROW) {
    int row = sqlite3_column_int(rows, 0);
    WITH_DAMAGE(ANYTHING, "DELETE FROM %s WHERE %s = %d", table, key, row);
    WITH_DAMAGE(ANYTHING, "UPDATE %s SET %s = %s + 1000 WHERE %s = %d", table, key, key, key, row);
    for (int c = 0; what->columns[c]; c++)
      for (int v = 0; v < VALUES; v++)
        if (turn++ % stride == 0)
          WITH_DAMAGE(ANYTHING, "UPDATE %s SET %s = %s WHERE %s = %d", table, what->columns[c], values[v], key, row);
  }
  sqlite3_finalize(rows);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  /* Rows that are missing, or too many, are found. */
  WITH_DAMAGE(what->missing, "DELETE FROM %s WHERE %s = 0", table, key);
  WITH_DAMAGE(what->missing, "DELETE FROM %s WHERE %s = (SELECT max(%s) FROM %s)", table, key, key, table);
  WITH_DAMAGE(what->missing, "DELETE FROM %s", table);
  WITH_DAMAGE(DETECTED, "INSERT INTO %s(%s) SELECT max(%s) + 1 FROM %s", table, key, key, table);
  WITH_DAMAGE(DETECTED, "INSERT INTO %s(%s) VALUES(-1)", table, key);
}

/* ---- m_config
 * -------------------------------------------------------------------------------------------------------------------
 */

static void damage_config(const char *table, long stride) {
  sqlite3 *db = open_image(&image);
  sqlite3_stmt *keys = NULL;
  char *sql = sqlite3_mprintf("SELECT key FROM %s", table);
  CHECK(sqlite3_prepare_v2(db, sql, -1, &keys, NULL) == SQLITE_OK);
  sqlite3_free(sql);
  static const char *const more[] = {"99",        "4096",   "4097", "100000000", "'rating'",         "'ranking'",
                                     "'INTEGER'", "'TEXT'", "'{'",  "'[[[[[['",  "zeroblob(1000000)"};
  long turn = 0;
  while (sqlite3_step(keys) == SQLITE_ROW) {
    const char *key = (const char *)sqlite3_column_text(keys, 0);
    WITH_DAMAGE(ANYTHING, "DELETE FROM %s WHERE key = %Q", table, key);
    WITH_DAMAGE(ANYTHING, "UPDATE %s SET key = NULL WHERE key = %Q", table, key);
    WITH_DAMAGE(ANYTHING, "UPDATE %s SET key = x'' || key WHERE key = %Q", table, key);
    WITH_DAMAGE(ANYTHING, "INSERT INTO %s SELECT NULL, value FROM %s WHERE key = %Q", table, table, key);
    for (int v = 0; v < VALUES; v++)
      if (turn++ % stride == 0) WITH_DAMAGE(ANYTHING, "UPDATE %s SET value = %s WHERE key = %Q", table, values[v], key);
    for (size_t v = 0; v < sizeof more / sizeof *more; v++)
      if (turn++ % stride == 0) WITH_DAMAGE(ANYTHING, "UPDATE %s SET value = %s WHERE key = %Q", table, more[v], key);
  }
  sqlite3_finalize(keys);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  static const char *const needed[] = {"format",       "users",           "items",      "rating_rank", "ranking_rank",
                                       "score_head",   "prediction_head", "item_stamp", "user_stamp",  "minimum",
                                       "ranking_mean", "user_affinity",   "clip"};
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
    WITH_DAMAGE(DETECTED, "DELETE FROM %s WHERE key = %Q", table, needed[i]);
    WITH_DAMAGE(DETECTED, "UPDATE %s SET value = NULL WHERE key = %Q", table, needed[i]);
    WITH_DAMAGE(DETECTED, "UPDATE %s SET value = 'nan' WHERE key = %Q", table, needed[i]);
  }
  WITH_DAMAGE(DETECTED, "UPDATE %s SET value = 99 WHERE key = 'format'", table);
  WITH_DAMAGE(DETECTED, "UPDATE %s SET value = value + 1 WHERE key = 'users'", table);
  WITH_DAMAGE(DETECTED, "UPDATE %s SET value = value - 1 WHERE key = 'items'", table);
  WITH_DAMAGE(DETECTED, "UPDATE %s SET value = value + 1 WHERE key = 'ranking_rank'", table);
  WITH_DAMAGE(DETECTED, "DELETE FROM %s", table);
}

/* ---- tables
 * -----------------------------------------------------------------------------------------------------------------------
 */

static void damage_tables(void) {
  static const char *const used[] = {"config", "user", "item", "userfactor", "itemfactor"};
  static const char *const unused[] = {"neighbor", "term", "weight"};
  for (size_t i = 0; i < sizeof used / sizeof *used; i++) {
    WITH_DAMAGE(DETECTED, "DROP TABLE ratings_mf_%s", used[i]);
    WITH_DAMAGE(DETECTED, "DROP TABLE ratings_mf_%s; CREATE TABLE ratings_mf_%s(something, other)", used[i], used[i]);
    WITH_DAMAGE(DETECTED,
                "DROP TABLE ratings_mf_%s; CREATE VIEW ratings_mf_%s AS SELECT * FROM nowhere; "
                "DROP VIEW ratings_mf_%s",
                used[i], used[i], used[i]);
    WITH_DAMAGE(ANYTHING,
                "CREATE TABLE kept AS SELECT * FROM plays_mf_%s; DROP TABLE ratings_mf_%s; "
                "ALTER TABLE kept RENAME TO ratings_mf_%s",
                used[i], used[i], used[i]);
  }
  for (size_t i = 0; i < sizeof unused / sizeof *unused; i++) WITH_DAMAGE(RIGHT, "DROP TABLE ratings_mf_%s", unused[i]);
}

int main(void) {
  load_everywhere();
  sqlite3_hard_heap_limit64(256 << 20);
  sqlite3 *db = NULL;
  CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
  must(db, make_data);
  must(db, train_ratings);
  must(db, train_plays);
  image = take_image(db);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  db = open_image(&image);
  for (int i = 0; i < SERVING; i++)
    if (serving_statement(db, i)) undamaged[i] = must(db, serving[i]);
  CHECK(sqlite3_close(db) == SQLITE_OK);

  long full = getenv("FAULT_FULL") != NULL, stride = full ? 1 : 5 * FAULT_SLOW;
  damage_tables();
  damage_blobs((Cell){"ratings_mf_userfactor", "data", "chunk"}, full ? 1 : 7 * FAULT_SLOW);
  damage_blobs((Cell){"ratings_mf_itemfactor", "data", "chunk"}, full ? 1 : 7 * FAULT_SLOW);
  damage_blobs((Cell){"plays_mf_itemfactor", "data", "chunk"}, full ? 1 : 7 * FAULT_SLOW);
  damage_blobs((Cell){"ratings_mf_user", "history", "idx"}, full ? 1 : 13 * FAULT_SLOW);
  damage_blobs((Cell){"plays_mf_user", "history", "idx"}, full ? 1 : 7 * FAULT_SLOW);
  for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) damage_rows(&damaged[i], stride);
  damage_config("ratings_mf_config", full ? 1 : 2 * FAULT_SLOW);
  damage_config("plays_mf_config", full ? 1 : 7 * FAULT_SLOW);
  CHECK(damages > 2000 / FAULT_SLOW && detected > damages);
  printf("%ld damages, %ld errors\n", damages, detected);
  free(image.bytes);
  return check_report();
}
