/* What ext/recommend.c calls: each registers the functions and modules of the file of its name, which says what they
 * are. All return an SQLite code. */
#ifndef RECOMMEND_API_REGISTER_H
#define RECOMMEND_API_REGISTER_H

#include "../model/connection.h"
#include "model_table.h"

int recommend_version_register(sqlite3 *db);
/* Has the connection this version of recommend already? An error, and in *why a message to be freed by sqlite3_free,
 * where it has another, or a part of one. */
int recommend_version_loaded(sqlite3 *db, int *loaded, char **why);

int recommend_split_register(sqlite3 *db);
int recommend_vector_register(sqlite3 *db);
int train_functions_register(Connection *connection); /* X_train of every family */
int recommend_trainers_register(Connection *connection);
int recommend_options_register(Connection *connection);
int recommend_retrain_register(Connection *connection);
int recommend_user_register(Connection *connection);
int recommend_all_register(Connection *connection);
int recommend_for_register(Connection *connection);
int item_similar_register(Connection *connection);
int item_similar_all_register(Connection *connection);
int user_similar_register(Connection *connection);
int recommend_users_register(Connection *connection);
int recommend_neighbors_register(Connection *connection);
int recommend_forget_register(Connection *connection);
int recommend_explain_register(Connection *connection);
int recommend_history_register(Connection *connection);
int predict_register(Connection *connection);
int recommend_models_register(Connection *connection);
int recommend_factors_register(Connection *connection);
int tfidf_cosine_register(Connection *connection);
int tfidf_vector_register(Connection *connection);
int tfidf_search_register(Connection *connection);
int recommend_describe_register(Connection *connection);
int recommend_clusters_register(Connection *connection);
int recommend_evaluate_register(Connection *connection);
int recommend_cross_validate_register(Connection *connection);
int recommend_grid_search_register(Connection *connection);

#endif
