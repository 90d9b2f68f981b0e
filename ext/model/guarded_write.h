/* Writing into a model's own tables: everything that does, does it between writing_begin and writing_end.
 *
 * In between the model is locked, on this connection: a trigger that somebody has put on one of these tables and that
 * reads or changes the model gets an error, where it would else start the same write again, without end. And PRAGMA
 * secure_delete is on, for the model's schema: what is deleted or moved is overwritten in the file. It has to be on for
 * every write and not only when a user is forgotten: pages are split and rows moved at any time, and what they leave
 * behind is out of reach afterwards. What it was before, 0, 1 or 2, is put back. */
#ifndef RECOMMEND_MODEL_GUARDED_WRITE_H
#define RECOMMEND_MODEL_GUARDED_WRITE_H

#include "connection.h"

typedef struct Writing {
  Connection *connection;
  Model *model;            /* locked */
  struct Secured *secured; /* what is to be put back; NULL: nothing */
} Writing;

/* SQLITE_ERROR where the model is locked already. `promised`: an error where secure_delete can't be set, which is so
 * where the host's authorizer says no; else the write goes on without. To be ended in either case. */
int writing_begin(Writing *writing, Connection *connection, ModelName name, int promised, Error *error);

/* Returns `code`, or the code of what went wrong here where that was SQLITE_OK. */
int writing_end(Writing *writing, int code, Error *error);

/* SQLITE_ERROR where the model is being written. */
int writing_check(Connection *connection, ModelName name, Error *error);

/* Forgets what could not be put back: the connection ends. */
void writing_forget(Connection *connection);

#endif
