/* A reading of a model that goes on from row to row. Nothing stays open in between: the model is opened afresh for what
 * comes next, and its stamps tell whether it is still the same. */
#ifndef RECOMMEND_MODEL_RESUMABLE_READ_H
#define RECOMMEND_MODEL_RESUMABLE_READ_H

#include "connection.h"

typedef struct Reading {
  Connection *connection;
  char *schema, *name; /* owned */
  ModelItems *items;   /* held */
  int64_t user_stamp, users;
} Reading;

/* Begins the model, and leaves it begun: the caller ends it. */
int reading_start(Reading *reading, Connection *connection, Model *model, Error *error);

/* The same again, later: *model is begun. SQLITE_ABORT where it was changed, trained anew or dropped in between. */
int reading_resume(const Reading *reading, Model **model, Error *error);

void reading_end(Reading *reading); /* cleared is fine; leaves it cleared */

#endif
