/* A reading that goes on from row to row: see resumable_read.h. */
#include "resumable_read.h"

int reading_start(Reading *reading, Connection *connection, Model *model, Error *error) {
  ModelName name = model_name(model);
  *reading = (Reading){.connection = connection};
  reading->schema = sqlite3_mprintf("%s", name.schema);
  reading->name = sqlite3_mprintf("%s", name.name);
  int code = reading->schema && reading->name ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK) code = model_begin(model, &reading->items, error);
  if (code == SQLITE_OK) {
    reading->user_stamp = model_user_stamp(model);
    reading->users = model_user_count(model);
  }
  return code;
}

int reading_resume(const Reading *reading, Model **resumed, Error *error) {
  ModelName name = {reading->schema, reading->name};
  Model *model = NULL;
  ModelItems *items = NULL;
  int is_model = 0, is_there = 0;
  *resumed = NULL;
  int code = connection_open(reading->connection, name, &model, error);
  if (code == SQLITE_OK) code = model_begin(model, &items, error);
  int same = items && items->stamp == reading->items->stamp && model_user_stamp(model) == reading->user_stamp &&
             model_user_count(model) == reading->users;
  items_release(items);
  if (code == SQLITE_OK && same) {
    *resumed = model;
    return SQLITE_OK;
  }
  if (code == SQLITE_OK) model_end(model);
  /* What looks like damage may be that the model has gone. */
  if ((code & 0xff) == SQLITE_CORRUPT) {
    Error ignored = {0};
    connection_name_exists(reading->connection, name, &is_model, &is_there, &ignored);
    error_clear(&ignored);
    if (is_model) return code;
    error_clear(error);
    code = SQLITE_OK;
  }
  if (code != SQLITE_OK) return code;
  return error_set(error, SQLITE_ABORT, "model \"%s\" was changed while it was being read: run the query again",
                   reading->name);
}

void reading_end(Reading *reading) {
  items_release(reading->items);
  sqlite3_free(reading->schema);
  sqlite3_free(reading->name);
  *reading = (Reading){0};
}
