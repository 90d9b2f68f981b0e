/* What the fuzz targets on databases share: images that are made once and opened for each run, statements that may
 * fail, and a limit of work and memory.
 *
 * With clang's libFuzzer (`make fuzz`) each file of this folder is a program of its own; tests/fault/test_fuzz.c runs
 * all over the inputs that are kept in corpus/, and over changes of them. Any result will do but a crash, a sanitizer's
 * report, a leak, a connection that can't be closed, or whatever else a target says. */
#ifndef RECOMMEND_TESTS_FUZZ_H
#define RECOMMEND_TESTS_FUZZ_H

#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recommend.h"

/* Ends the program as libFuzzer understands it, and says why. */
static inline void fuzz_must(int condition, const char *what, sqlite3 *db) {
  if (condition) return;
  fprintf(stderr, "%s: %s\n", what, db ? sqlite3_errmsg(db) : "");
  abort();
}

typedef struct FuzzImage {
  unsigned char *bytes; /* NULL until it is made; kept to the end of the program */
  sqlite3_int64 size;
} FuzzImage;

static inline sqlite3 *fuzz_open(void) {
  sqlite3 *db = NULL;
  fuzz_must(sqlite3_open(":memory:", &db) == SQLITE_OK, "open", db);
  fuzz_must(sqlite3_recommend_init(db, NULL, NULL) == SQLITE_OK, "load", db);
  return db;
}

/* The database that `setup` and `training` make. */
static inline void fuzz_image_make(FuzzImage *image, const char *setup, const char *training) {
  sqlite3 *db = fuzz_open();
  fuzz_must(sqlite3_exec(db, setup, NULL, NULL, NULL) == SQLITE_OK, setup, db);
  fuzz_must(sqlite3_exec(db, training, NULL, NULL, NULL) == SQLITE_OK, training, db);
  unsigned char *bytes = sqlite3_serialize(db, "main", &image->size, 0);
  image->bytes = malloc((size_t)image->size);
  fuzz_must(bytes && image->bytes, "serialize", db);
  memcpy(image->bytes, bytes, (size_t)image->size);
  sqlite3_free(bytes);
  fuzz_must(sqlite3_close(db) == SQLITE_OK, "close", NULL);
}

/* Work is cut off by the steps of SQLite's machine, which long work of ours takes as well, some hundreds a millisecond.
 */
static int fuzz_stop_late(void *steps) { return --*(long *)steps < 0; }

static inline sqlite3 *fuzz_image_open(const FuzzImage *image, long *steps) {
  sqlite3 *db = fuzz_open();
  unsigned char *copy = sqlite3_malloc64((sqlite3_uint64)image->size);
  fuzz_must(copy != NULL, "copy", db);
  memcpy(copy, image->bytes, (size_t)image->size);
  fuzz_must(sqlite3_deserialize(db, "main", copy, image->size, image->size,
                                SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE) == SQLITE_OK,
            "deserialize", db);
  sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1 << 24);
  sqlite3_hard_heap_limit64(1 << 27);
  sqlite3_progress_handler(db, 100, fuzz_stop_late, steps);
  return db;
}

static inline void fuzz_close(sqlite3 *db) {
  sqlite3_progress_handler(db, 0, NULL, NULL);
  fuzz_must(sqlite3_close(db) == SQLITE_OK, "close", db);
}

/* Runs the statements one by one, errors or not. Values are bound to ?1 and ?2 where they are. */
static inline void fuzz_run(sqlite3 *db, const char *sql, int (*bind)(sqlite3_stmt *statement, const void *context),
                            const void *context) {
  while (sql && *sql) {
    sqlite3_stmt *statement = NULL;
    const char *here = sql;
    sqlite3_prepare_v2(db, here, -1, &statement, &sql);
    if (sql == here) break; /* nothing could be made of it */
    if (statement && bind && sqlite3_bind_parameter_count(statement)) bind(statement, context);
    while (sqlite3_step(statement) == SQLITE_ROW) {
    }
    sqlite3_finalize(statement);
  }
}

#endif
