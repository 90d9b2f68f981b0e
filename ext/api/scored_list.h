/* Lists of rank, id and a number, best first: what item_similar(), tfidf_search(), user_similar() and recommend_users()
 * answer. call->rows says how long they are. */
#ifndef RECOMMEND_API_SCORED_LIST_H
#define RECOMMEND_API_SCORED_LIST_H

#include "../answer/nearest_users.h"
#include "table_function.h"

/* The columns. */
enum { SCORED_RANK, SCORED_ID, SCORED_VALUE };

/* Of items. */
typedef struct ScoredItems {
  ModelItems *items;
  Scored *entries; /* best first */
} ScoredItems;

void scored_items_column(const TableCall *call, sqlite3_context *context, int which);
void scored_items_end(TableCall *call);

/* Of users: the state is a NearestUsers. */
void scored_users_column(const TableCall *call, sqlite3_context *context, int which);
void scored_users_end(TableCall *call);

/* All of a TableFunction but what tells the functions apart: name, schema, usage, arguments, start. */
#define SCORED_FUNCTION .outputs = 3, .required = 1, .ordered = 1, .rows = 10, .cost = 1000
#define SCORED_ITEMS_FUNCTION \
  SCORED_FUNCTION, .state_size = sizeof(ScoredItems), .column = scored_items_column, .end = scored_items_end
#define SCORED_USERS_FUNCTION \
  SCORED_FUNCTION, .state_size = sizeof(NearestUsers), .column = scored_users_column, .end = scored_users_end

#endif
