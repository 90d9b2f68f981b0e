/* A training by each algorithm of each trainer that learns from ratings, as recommend_trainers lists them: the sweeps
 * over faults reach a new one the day it has its row. */
#ifndef RECOMMEND_TESTS_TRAINERS_H
#define RECOMMEND_TESTS_TRAINERS_H

#include "fault.h"

enum { MOST_TRAININGS = 64 };

typedef struct Trainings {
  int count;
  char *sql[MOST_TRAININGS];
} Trainings;

/* An algorithm is asked for by the option that has it among its choices; a size is 3, and rounds are few where there is
 * a number of them. */
static const char list_trainings[] =
    "SELECT 'SELECT epoch, loss, test FROM ' || trainer || '(''ratings'', "
    "''{\"threads\":1,\"test\":0.2,\"model\":\"new\"'"
    " || iif(size IS NULL, '', ',\"size\":3')"
    " || ifnull((SELECT ',\"' || option || '\":\"' || algorithm || '\"' FROM recommend_options(trainer)"
    " WHERE instr(range, '\"' || algorithm || '\"') LIMIT 1), '')"
    " || ifnull((SELECT ',\"epochs\":2' FROM recommend_options(trainer)"
    " WHERE option = 'epochs' AND instr(algorithms, algorithm) LIMIT 1), '') || '}'')'"
    " FROM recommend_trainers WHERE learns_from <> 'texts'";

/* To be freed. */
static inline Trainings all_trainings(void) {
  Trainings trainings = {0};
  sqlite3_stmt *statement = NULL;
  sqlite3 *db = open_image(&ratings);
  CHECK(sqlite3_prepare_v2(db, list_trainings, -1, &statement, NULL) == SQLITE_OK);
  while (sqlite3_step(statement) == SQLITE_ROW && trainings.count < MOST_TRAININGS)
    trainings.sql[trainings.count++] = strdup((const char *)sqlite3_column_text(statement, 0));
  CHECK(sqlite3_finalize(statement) == SQLITE_OK);
  must_close(db);
  CHECK(trainings.count > 10 && trainings.count < MOST_TRAININGS);
  return trainings;
}

static inline void trainings_free(Trainings *trainings) {
  while (trainings->count) free(trainings->sql[--trainings->count]);
}

#endif
