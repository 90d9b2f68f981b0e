/* A list of recommendations as a table function: what recommend() and recommend_for() share. */
#ifndef RECOMMEND_API_RECOMMENDATION_LIST_H
#define RECOMMEND_API_RECOMMENDATION_LIST_H

#include "../answer/ranking.h"
#include "table_function.h"

/* The columns. */
enum { RECOMMENDATION_RANK, RECOMMENDATION_ITEM, RECOMMENDATION_SCORE, RECOMMENDATION_REASON };
#define RECOMMENDATION_COLUMNS "rank INTEGER, item, score REAL, reason TEXT"

typedef struct Recommendation {
  ModelItems *items;
  Ranking ranking;
  int popular;            /* nothing is known of the user: by popularity … */
  Popularity *popularity; /* … which is this */
  int64_t k;
} Recommendation;

/* Ranks what `history` does not have for a user, NULL: by state's popularity. */
int recommendation_rank(TableCall *call, const ModelUser *user, const History *history, const Cancel *cancel,
                        Error *error);

int recommendation_rewind(TableCall *call, Error *error);
int recommendation_next(TableCall *call, Error *error);
int recommendation_at_end(const TableCall *call);
void recommendation_column(const TableCall *call, sqlite3_context *context, int which);
int64_t recommendation_identity(const TableCall *call);
void recommendation_end(TableCall *call);

/* All of a TableFunction but what tells the functions apart: name, schema, usage, flags, start. */
#define RECOMMENDATION_FUNCTION                                                                              \
  .outputs = 4, .arguments = 3, .required = 1, .ordered = 1, .limit_argument = 1,                            \
  .candidate_column = RECOMMENDATION_ITEM, .rows = 5000, .cost = 1000, .state_size = sizeof(Recommendation), \
  .rewind = recommendation_rewind, .next = recommendation_next, .at_end = recommendation_at_end,             \
  .column = recommendation_column, .identity = recommendation_identity, .end = recommendation_end

#endif
