/* What a stored model was trained from and by, as m_config keeps it: what it takes to train it again. Read by itself,
 * since a damaged model, which config_read refuses, is mended by training it again. */
#ifndef RECOMMEND_MODEL_ORIGIN_H
#define RECOMMEND_MODEL_ORIGIN_H

#include "shadow.h"

typedef struct Origin {
  char *family;  /* "mf": the trainer is mf_train */
  char *source;  /* the name of a table or view, or a SELECT */
  int is_query;  /* it is a SELECT: never to be run, since it comes from the database file */
  char *schema;  /* where the source is, the model's schema if nothing else was said; of a SELECT without meaning */
  char *options; /* as they were given, a JSON object */
  double size;   /* rank, k …; 0 where the trainer has none */
} Origin;

/* SQLITE_CORRUPT_VTAB where one of the texts is missing: those that there are can be used then. To be freed in either
 * case. */
int origin_read(sqlite3 *db, ModelName name, Origin *origin, Error *error);

void origin_free(Origin *origin); /* cleared is fine; leaves it cleared */

#endif
