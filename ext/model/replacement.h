/* Storing a trained model under a name: the one nested statement that writes. */
#ifndef RECOMMEND_MODEL_REPLACEMENT_H
#define RECOMMEND_MODEL_REPLACEMENT_H

#include "connection.h"
#include "known_ids.h"

/* What takes a model's place. */
typedef struct Replacement {
  const TrainedModel *trained;
  const Known *known; /* whom the model that is replaced knew when training began */
  const char *caller; /* "mf_train", for messages */
} Replacement;

/* The type under which a Replacement is bound to the model table's column _payload. */
#define PAYLOAD_TYPE "recommend_replacement"

/* SQLITE_ABORT where somebody was forgotten since `known`, which is looked at under the lock of the write. SQLite rolls
 * the statement back as a whole where it fails: INSERT … SELECT 'store' where a model of that name exists
 * (`replaces`), else CREATE VIRTUAL TABLE. (INSERT … VALUES would have no statement journal.) */
int model_store(Connection *connection, ModelName name, const Replacement *replacement, int replaces, Error *error);

/* The nested statement itself: INSERT INTO m(m, _payload) SELECT <command>, <pointer of that type>. */
int model_store_payload(Connection *connection, ModelName name, const char *command, const void *payload,
                        const char *type, Error *error);

/* Can a model be called that? Not like a column of every model, nor like a table-valued function, which it would hide:
 * SQLITE_ERROR and a message. */
int model_check_name(sqlite3 *db, const char *name, Error *error);

#endif
