/* What recommend.c calls: each registers the functions and modules of one file. All return an SQLite code. */
#ifndef RECOMMEND_API_REGISTER_H
#define RECOMMEND_API_REGISTER_H

#include "connection.h"
#include "model_table.h"
#include "train.h"

int about_register(sqlite3 *db); /* about.c: recommend_version, recommend_debug */
/* Has the connection this version of recommend already? An error, and in *why a message to be freed by sqlite3_free,
 * where it has another, or a part of one. */
int about_loaded(sqlite3 *db, int *loaded, char **why);
int split_register(sqlite3 *db);                /* split.c: recommend_split */
int retrain_register(Connection *connection);   /* retrain.c: recommend_retrain */
int vectors_register(sqlite3 *db);              /* vectors.c: recommend_vector, recommend_dot, _cosine, _normalize */
int recommend_register(Connection *connection); /* recommend.c, recommend_all.c */
int recommend_all_register(Connection *connection);
int recommend_for_register(Connection *connection);  /* recommend_for.c */
int similar_register(Connection *connection);        /* similar.c: item_similar, user_similar, recommend_users */
int forget_register(Connection *connection);         /* recommend_forget.c */
int explain_register(Connection *connection);        /* explain.c: recommend_explain */
int similar_all_register(Connection *connection);    /* similar_all.c: item_similar_all */
int predict_register(Connection *connection);        /* predict.c */
int inspect_register(Connection *connection);        /* inspect.c: recommend_models, recommend_factors */
int text_register(Connection *connection);           /* text.c: tfidf_cosine, tfidf_vector */
int search_register(Connection *connection);         /* search.c: tfidf_search */
int describe_register(Connection *connection);       /* describe.c */
int clusters_register(Connection *connection);       /* clusters.c: recommend_clusters */
int evaluate_register(Connection *connection);       /* evaluate.c */
int cross_validate_register(Connection *connection); /* cross_validate.c */
int grid_search_register(Connection *connection);    /* grid_search.c */
int neighbors_register(Connection *connection);      /* neighbors.c: recommend_neighbors */

#endif
