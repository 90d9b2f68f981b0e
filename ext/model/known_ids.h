/* Which users and items a model knew when a training began that is to replace it. A training reads its source and then
 * holds no lock: a user or item that is forgotten meanwhile must not come back with what the training has read. */
#ifndef RECOMMEND_MODEL_KNOWN_IDS_H
#define RECOMMEND_MODEL_KNOWN_IDS_H

#include "connection.h"

typedef struct Known {
  int is_read;
  int64_t stamps[2]; /* of items and users */
  Dictionary users, items;
} Known;

/* Reads who is known; nothing where the model is damaged, which a training may replace all the same. */
int known_read(sqlite3 *db, ModelName name, Known *known, const Cancel *cancel, Error *error);

/* The model's stamps as they are now: *changed where they differ. */
int known_changed(sqlite3 *db, ModelName name, const Known *known, int *changed, Error *error);

/* SQLITE_ABORT and a message where somebody is not known any more. */
int known_check(sqlite3 *db, ModelName name, const Known *known, const char *caller, Error *error);

void known_free(Known *known); /* cleared is fine; leaves it cleared */

#endif
