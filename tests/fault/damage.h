/* Damage: every row of every shadow table deleted, doubled, moved, retyped; every blob cut, extended and flipped; every
 * key of m_config removed or changed; whole tables gone.
 *
 * Asked anything, a damaged model answers with an error that says what is wrong, or rightly: never with a crash, a hang
 * or a giant allocation, and (where the damage can be told from data, as in a blob with its checksum) never with other
 * rows. It can always be dropped, and trained again. The programs test_damage*.c share the work. */
#ifndef RECOMMEND_TESTS_DAMAGE_H
#define RECOMMEND_TESTS_DAMAGE_H

#include <math.h>

#include "base/bytes.h"
#include "fault.h"
#include "model/config.h"

/* What is damaged: an image with its models, what they are asked, and what they then answered. */
typedef struct Patient {
  Image image;
  const char *const *serving;
  int servings;
  const Step *changes; /* what is then done to it */
  int changes_count;
  Outcome undamaged[64];
  const char *const *models;
  int model_count;
  const char *retrain; /* a model's name */
  const char *train;   /* makes it anew */
} Patient;

static Patient patient; /* the one at hand */
static long damages, detected;

_Static_assert(SERVING <= 64 && CONTENT_SERVING <= 64 && LINK_SERVING <= 64, "room for the answers");

typedef enum Expectation {
  ANYTHING, /* well-formed rows or an error: this can't be told from data */
  RIGHT,    /* the undamaged rows, or an error */
  DETECTED, /* as RIGHT, and the integrity check finds it */
  FOUND     /* as ANYTHING, and the integrity check finds it */
} Expectation;

static inline int is_a_fair_error(const Outcome *outcome) {
  int code = primary(outcome->code);
  return (code == SQLITE_CORRUPT || code == SQLITE_ERROR) && outcome->message[0];
}

static inline void ask_everything(sqlite3 *db, const char *damage, Expectation expectation) {
  int found = 0;
  for (int i = 0; i < patient.servings; i++) {
    const char *sql = patient.serving[i];
    Outcome outcome = run(db, sql);
    int free = expectation == ANYTHING || expectation == FOUND ||
               (strstr(sql, "recommend_models") && (strstr(damage, "_config") || strstr(damage, "_item")));
    int right =
        outcome.code == SQLITE_OK ? free || same_rows(&outcome, &patient.undamaged[i]) : is_a_fair_error(&outcome);
    if (free && outcome.code == SQLITE_MISMATCH)
      right = outcome.message[0] != 0; /* a model of another kind, it seems */
    if (!CHECK(right))
      printf("  %s\n    %s: code %d, %s, %ld rows, not %ld\n", damage, sql, outcome.code, outcome.message, outcome.rows,
             patient.undamaged[i].rows);
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

/* Ratings that come and go end well or with an error, whatever is wrong. */
static inline void change_everything(sqlite3 *db, const char *damage) {
  for (int i = 0; i < patient.changes_count; i++) {
    Outcome outcome = run(db, patient.changes[i].sql);
    int refused = primary(outcome.code) == SQLITE_CONSTRAINT && (strstr(outcome.message, "as large as that") ||
                                                                 strstr(outcome.message, "there is nothing to forget"));
    if (!CHECK(outcome.code == SQLITE_OK || is_a_fair_error(&outcome) || refused))
      printf("  %s\n    %s: code %d, %s\n", damage, patient.changes[i].sql, outcome.code, outcome.message);
  }
}

/* Damages a fresh copy by SQL, asks everything, and gets rid of the models. */
static inline void with_damage(const char *damage, Expectation expectation) {
  sqlite3 *db = open_image(&patient.image);
  Outcome done = run(db, damage);
  if (done.code != SQLITE_OK) { /* a constraint forbids this one */
    CHECK(primary(done.code) == SQLITE_CONSTRAINT || done.code == SQLITE_MISMATCH);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    return;
  }
  damages++;
  ask_everything(db, damage, expectation);
  change_everything(db, damage);
  char *sql = sqlite3_mprintf("SELECT recommend_retrain('%s', '{\"threads\":1}')", patient.retrain);
  Outcome retrained = run(db, sql);
  if (!CHECK(retrained.code == SQLITE_OK || retrained.code == SQLITE_MISMATCH || is_a_fair_error(&retrained)))
    printf("  %s\n    %s: code %d, %s\n", damage, sql, retrained.code, retrained.message);
  sqlite3_free(sql);
  sql = sqlite3_mprintf("INSERT INTO %s(%s) VALUES('retrain')", patient.retrain, patient.retrain);
  run(db, sql);
  sqlite3_free(sql);
  for (int i = 0; i < patient.model_count; i++) {
    sql = sqlite3_mprintf("DROP TABLE %s", patient.models[i]);
    must(db, sql);
    sqlite3_free(sql);
  }
  Outcome left = must(db,
                      "SELECT name FROM sqlite_schema WHERE name LIKE '%\\_mf%' ESCAPE '\\' OR "
                      "name LIKE '%\\_tfidf%' ESCAPE '\\' OR name LIKE '%\\_knn%' ESCAPE '\\' OR name LIKE "
                      "'%\\_ease%' ESCAPE '\\' OR name LIKE '%\\_baseline%' ESCAPE '\\'");
  if (!CHECK(left.rows == 0)) printf("  %s: DROP TABLE leaves %ld tables\n", damage, left.rows);
  must(db, patient.train);
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

#define WITH_DAMAGE(expectation, ...)            \
  do {                                           \
    char *damage = sqlite3_mprintf(__VA_ARGS__); \
    with_damage(damage, expectation);            \
    sqlite3_free(damage);                        \
  } while (0)

/* ---- blobs ------------------------------------------------------------------------------------------------------- */

typedef struct Cell {
  const char *table, *column, *key;
} Cell;

/* Flips bits of every blob of one column, cuts it and extends it. */
static inline void damage_blobs(Cell cell, long stride) {
  sqlite3 *db = open_image(&patient.image);
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
      if (fault_taken(key + (long)i))
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

/* ---- rows -------------------------------------------------------------------------------------------------------- */

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

static inline void damage_rows(const Damaged *what, long stride) {
  sqlite3 *db = open_image(&patient.image);
  sqlite3_stmt *rows = NULL;
  char *sql = sqlite3_mprintf("SELECT %s FROM %s", what->key, what->table);
  CHECK(sqlite3_prepare_v2(db, sql, -1, &rows, NULL) == SQLITE_OK);
  sqlite3_free(sql);
  const char *table = what->table, *key = what->key;
  long turn = 0, number = 0;
  while (sqlite3_step(rows) == SQLITE_ROW) {
    int row = sqlite3_column_int(rows, 0);
    if (fault_taken(number++)) {
      WITH_DAMAGE(ANYTHING, "DELETE FROM %s WHERE %s = %d", table, key, row);
      WITH_DAMAGE(ANYTHING, "UPDATE %s SET %s = %s + 1000 WHERE %s = %d", table, key, key, key, row);
    }
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

/* ---- m_config ---------------------------------------------------------------------------------------------------- */

/* A key of the table that m_config is read by: gone, of no type that it may have, and beyond its bounds. */
static inline void damage_key(const char *table, const ConfigKey *key) {
  WITH_DAMAGE(DETECTED, "DELETE FROM %s WHERE key = %Q", table, key->key);
  WITH_DAMAGE(DETECTED, "UPDATE %s SET value = x'00' WHERE key = %Q", table, key->key);
  int is_integer = key->type == CONFIG_INT || key->type == CONFIG_INT64;
  if (is_integer && key->highest < INT64_MAX)
    WITH_DAMAGE(DETECTED, "UPDATE %s SET value = %lld WHERE key = %Q", table, key->highest + 1, key->key);
  if (is_integer && key->lowest > INT64_MIN)
    WITH_DAMAGE(DETECTED, "UPDATE %s SET value = %lld WHERE key = %Q", table, key->lowest - 1, key->key);
  if (key->type == CONFIG_REAL) {
    WITH_DAMAGE(DETECTED, "UPDATE %s SET value = 9e999 WHERE key = %Q", table, key->key);
    if (isfinite(key->least))
      WITH_DAMAGE(DETECTED, "UPDATE %s SET value = %!.17g - 1e37 WHERE key = %Q", table, key->least, key->key);
    if (isfinite(key->most))
      WITH_DAMAGE(DETECTED, "UPDATE %s SET value = %!.17g + 1e37 WHERE key = %Q", table, key->most, key->key);
  }
}

static inline void damage_config(const char *table, long stride) {
  sqlite3 *db = open_image(&patient.image);
  sqlite3_stmt *keys = NULL;
  char *sql = sqlite3_mprintf("SELECT key FROM %s", table);
  CHECK(sqlite3_prepare_v2(db, sql, -1, &keys, NULL) == SQLITE_OK);
  sqlite3_free(sql);
  static const char *const more[] = {"99",        "4096",   "4097", "100000000", "'rating'",         "'ranking'",
                                     "'INTEGER'", "'TEXT'", "'{'",  "'[[[[[['",  "zeroblob(1000000)"};
  long turn = 0, keys_seen = 0, fraction = stride > 2 ? 5 : 1;
  while (sqlite3_step(keys) == SQLITE_ROW) {
    const char *key = (const char *)sqlite3_column_text(keys, 0);
    if (keys_seen++ % fraction == 0) {
      WITH_DAMAGE(ANYTHING, "DELETE FROM %s WHERE key = %Q", table, key);
      WITH_DAMAGE(ANYTHING, "UPDATE %s SET key = NULL WHERE key = %Q", table, key);
      WITH_DAMAGE(ANYTHING, "UPDATE %s SET key = x'' || key WHERE key = %Q", table, key);
      WITH_DAMAGE(ANYTHING, "INSERT INTO %s SELECT NULL, value FROM %s WHERE key = %Q", table, table, key);
    }
    for (int v = 0; v < VALUES; v++)
      if (turn++ % stride == 0) WITH_DAMAGE(ANYTHING, "UPDATE %s SET value = %s WHERE key = %Q", table, values[v], key);
    for (size_t v = 0; v < sizeof more / sizeof *more; v++)
      if (turn++ % stride == 0) WITH_DAMAGE(ANYTHING, "UPDATE %s SET value = %s WHERE key = %Q", table, more[v], key);
  }
  sqlite3_finalize(keys);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  for (size_t i = 0; i < config_key_count; i++)
    if (i % (size_t)fraction == 0 && fault_taken((long)i)) damage_key(table, &config_keys[i]);
  WITH_DAMAGE(DETECTED, "UPDATE %s SET value = 99 WHERE key = 'format'", table);
  WITH_DAMAGE(DETECTED, "UPDATE %s SET value = value + 1 WHERE key = 'users'", table);
  WITH_DAMAGE(DETECTED, "UPDATE %s SET value = value - 1 WHERE key = 'items'", table);
  WITH_DAMAGE(DETECTED, "UPDATE %s SET value = value + 1 WHERE key = 'ranking_rank'", table);
  WITH_DAMAGE(DETECTED, "DELETE FROM %s", table);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* `used` and `unused` are lists of suffixes that end with NULL; `other` is a model of another shape. */
static inline void damage_tables(const char *model, const char *const *used, const char *const *unused,
                                 const char *other) {
  for (size_t i = 0; used[i]; i++) {
    WITH_DAMAGE(DETECTED, "DROP TABLE %s_%s", model, used[i]);
    WITH_DAMAGE(DETECTED, "DROP TABLE %s_%s; CREATE TABLE %s_%s(something, other)", model, used[i], model, used[i]);
    WITH_DAMAGE(DETECTED,
                "DROP TABLE %s_%s; CREATE VIEW %s_%s AS SELECT * FROM nowhere; "
                "DROP VIEW %s_%s",
                model, used[i], model, used[i], model, used[i]);
    WITH_DAMAGE(ANYTHING,
                "CREATE TABLE kept AS SELECT * FROM %s_%s; DROP TABLE %s_%s; "
                "ALTER TABLE kept RENAME TO %s_%s",
                other, used[i], model, used[i], model, used[i]);
  }
  for (size_t i = 0; unused[i]; i++) WITH_DAMAGE(RIGHT, "DROP TABLE %s_%s", model, unused[i]);
}

/* ---- bytes that are wrong with a right checksum ------------------------------------------------------------------ */

/* checked(blob): with the checksum that the store would write behind it. */
static inline void with_checksum(sqlite3_context *context, int count, sqlite3_value **arguments) {
  (void)count;
  int size = sqlite3_value_bytes(arguments[0]);
  char *blob = malloc((size_t)size + 8);
  if (!blob) return;
  if (size) memcpy(blob, sqlite3_value_blob(arguments[0]), (size_t)size);
  bytes_store64(blob + size, bytes_hash(0, blob, (size_t)size));
  sqlite3_result_blob(context, blob, size + 8, free);
}

/* unhexed(text): the blob that it names, which SQLite has a function for since 3.41 only. */
static inline void unhex(sqlite3_context *context, int count, sqlite3_value **arguments) {
  (void)count;
  const char *text = (const char *)sqlite3_value_text(arguments[0]);
  size_t size = text ? strlen(text) / 2 : 0;
  unsigned char *blob = malloc(size + 1);
  if (!blob) return;
  for (size_t i = 0; i < size; i++) {
    char byte[3] = {text[2 * i], text[2 * i + 1], 0};
    blob[i] = (unsigned char)strtol(byte, NULL, 16);
  }
  sqlite3_result_blob(context, blob, (int)size, free);
}

static inline int add_functions(sqlite3 *db, char **message, const struct sqlite3_api_routines *api) {
  (void)message;
  (void)api;
  int code = sqlite3_create_function_v2(db, "checked", 1, SQLITE_UTF8, NULL, with_checksum, NULL, NULL, NULL);
  if (code != SQLITE_OK) return code;
  return sqlite3_create_function_v2(db, "unhexed", 1, SQLITE_UTF8, NULL, unhex, NULL, NULL, NULL);
}

/* Every 32-bit word of a blob set to each of some values, under a checksum that fits. What can't be told from data is
 * ANYTHING: a count of terms that moves a boundary between vectors, say, or another weight. */
static inline void damage_words(Cell cell, long stride) {
  static const char *const words[] = {"00000000", "01000000", "FFFFFFFF", "000080BF", "0000C07F",
                                      "0000807F", "00000080", "0000803F", "FFFFFF7F"};
  sqlite3 *db = open_image(&patient.image);
  sqlite3_stmt *rows = NULL;
  char *sql = sqlite3_mprintf("SELECT %s, hex(%s) FROM %s", cell.key, cell.column, cell.table);
  CHECK(sqlite3_prepare_v2(db, sql, -1, &rows, NULL) == SQLITE_OK);
  sqlite3_free(sql);
  long turn = 0;
  while (sqlite3_step(rows) == SQLITE_ROW) {
    const char *hex = (const char *)sqlite3_column_text(rows, 1);
    int length = (int)strlen(hex) / 8 - 2;
    for (int word = 0; word < length; word++)
      for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (turn++ % stride == 0)
          WITH_DAMAGE(ANYTHING, "UPDATE %s SET %s = checked(x'%.*s%s%.*s') WHERE %s = %Q", cell.table, cell.column,
                      8 * word, hex, words[i], 8 * (length - word - 1), hex + 8 * (word + 1), cell.key,
                      sqlite3_column_text(rows, 0));
    if (length < 1) continue;
    WITH_DAMAGE(DETECTED, "UPDATE %s SET %s = checked(x'%.*s') WHERE %s = %Q", cell.table, cell.column,
                8 * (length - 1), hex, cell.key, sqlite3_column_text(rows, 0));
    WITH_DAMAGE(DETECTED, "UPDATE %s SET %s = checked(x'%.*s00000000') WHERE %s = %Q", cell.table, cell.column,
                8 * length, hex, cell.key, sqlite3_column_text(rows, 0));
    WITH_DAMAGE(DETECTED, "UPDATE %s SET %s = checked(x'') WHERE %s = %Q", cell.table, cell.column, cell.key,
                sqlite3_column_text(rows, 0));
  }
  sqlite3_finalize(rows);
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

/* ---- the patients ------------------------------------------------------------------------------------------------ */

static inline void take_in(sqlite3 *db) {
  patient.image = take_image(db);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  db = open_image(&patient.image);
  for (int i = 0; i < patient.servings; i++) patient.undamaged[i] = must(db, patient.serving[i]);
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

static inline sqlite3 *empty_database(void) {
  sqlite3 *db = NULL;
  CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
  return db;
}

static inline void discharge(void) {
  free(patient.image.bytes);
  patient = (Patient){0};
}

/* The set-up of a group, and its last test. */
static inline int begin_damage(void **state) {
  (void)state;
  load_everywhere();
  sqlite3_hard_heap_limit64(256 << 20);
  return sqlite3_auto_extension((void (*)(void))add_functions);
}

static inline void enough_is_damaged(void) {
  printf("%ld damages, %ld errors\n", damages, detected);
  assert_true(damages > 500 / FAULT_SLOW);
  assert_true(detected > damages);
}

#endif
