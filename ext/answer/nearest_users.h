/* The users nearest to a user (user_similar), and the users who would like an item and have not seen it
 * (recommend_users).
 *
 * Nearest means the cosine of the vectors behind `score`; for item neighbours and item weights the cosine of the
 * histories; for user neighbours the stored neighbours. Items are in memory, users are not: all of them are read. */
#ifndef RECOMMEND_ANSWER_NEAREST_USERS_H
#define RECOMMEND_ANSWER_NEAREST_USERS_H

#include "../model/model.h"

typedef struct NearestUsers {
  Scored *entries;     /* best first */
  sqlite3_value **ids; /* of each entry */
  size_t count;
} NearestUsers;

/* The k users nearest to one, who is left out; nobody where the model does not know the id, or it is NULL. SQLITE_ERROR
 * where it has nothing that users could be compared by. The model has begun. To be freed in either case. */
int nearest_users_to(NearestUsers *nearest, Model *model, const ModelItems *items, const Id *user, int64_t k,
                     const char *caller, const Cancel *cancel, Error *error);

/* The k users whose scores of an item are the highest, of those who have not seen it. The same holds. */
int nearest_users_liking(NearestUsers *nearest, Model *model, const ModelItems *items, uint32_t item, int64_t k,
                         const Cancel *cancel, Error *error);

void nearest_users_free(NearestUsers *nearest); /* cleared is fine; leaves it cleared */

#endif
