/* Ratings that come and go in a model that is in use: what INSERT, UPDATE and DELETE on the model table do. */
#ifndef RECOMMEND_ANSWER_RATING_CHANGE_H
#define RECOMMEND_ANSWER_RATING_CHANGE_H

#include "../model/connection.h"
#include "../model/row_changes.h"

/* The type under which a LiveBatch is bound to the model table's column _payload. */
#define LIVE_TYPE "recommend_live_batch"

/* Adds or replaces a rating and folds it in; users and items that are new are added. `rating` NULL counts as 1 where
 * the model was not trained on ratings. `time` is when it came, a whole number or NULL, which only a model with timed
 * histories takes. `conflict`, sqlite3_vtab_on_conflict()'s, says what becomes of a pair that is
 * there: with SQLITE_ABORT (plain INSERT) and SQLITE_REPLACE it is replaced; otherwise it stays, and SQLITE_CONSTRAINT
 * is the answer. */
int live_put(Connection *connection, ModelName name, sqlite3_value *user, sqlite3_value *item, sqlite3_value *rating,
             sqlite3_value *time, int conflict, Error *error);

/* The same for the cell of a rowid. NULL pointers leave the rating or the time as it is; SQLITE_CONSTRAINT where the
 * rating is to stay and there is none. */
int live_put_at(Connection *connection, ModelName name, int64_t rowid, sqlite3_value *rating, sqlite3_value *time,
                Error *error);

/* Takes the rating at a rowid of the model table away; nothing where there is none. */
int live_remove_at(Connection *connection, ModelName name, int64_t rowid, Error *error);

#endif
