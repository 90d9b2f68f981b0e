/* Forgetting a user or an item: INSERT INTO m(m, user) VALUES('forget', 42), INSERT INTO m(m, item) VALUES('forget',
 * 7), and recommend_forget(), which asks all models. */
#ifndef RECOMMEND_ANSWER_FORGETTING_H
#define RECOMMEND_ANSWER_FORGETTING_H

#include "../model/connection.h"

typedef enum ForgetSide { FORGET_USER, FORGET_ITEM } ForgetSide;

extern const char *const forget_sides[2]; /* "user", "item" */

/* Removes what the model knows of a user or an item, at one stroke. *known: 0 where it does not know the id, and
 * nothing is done. An error that says what to do instead where the model can't do without them, or where the id is
 * NULL. */
int forget(Connection *connection, ModelName name, ForgetSide side, sqlite3_value *id, int *known, Error *error);

#endif
