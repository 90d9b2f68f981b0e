/* Arguments of table functions: see arguments.h. */
#include "arguments.h"

#include <assert.h>

int argument_is_given(const TableCall *call, int argument) {
  assert(argument < call->function->arguments);
  sqlite3_value *value = call->argument[argument];
  return value && sqlite3_value_type(value) != SQLITE_NULL;
}

int64_t argument_k(const TableCall *call, int argument, Error *error) {
  return argument_count(call, argument, "k", INT64_MAX, error);
}

int64_t argument_count(const TableCall *call, int argument, const char *name, int64_t otherwise, Error *error) {
  sqlite3_value *value = call->argument[argument];
  int64_t count = otherwise;
  Id shown;
  char text[ID_FORMAT_SIZE];
  if (error->code || !argument_is_given(call, argument)) return otherwise;
  if (value_is_whole(value, &count) && count >= 0) return count;
  if (id_from_value(value, &shown) < 0)
    error_no_memory(error);
  else
    error_set(error, SQLITE_ERROR, "%s: %s must be a whole number from 0, not %s: call it as %s", call->function->name,
              name, id_format(&shown, text), call->function->usage);
  return 0;
}

const char *argument_text(const TableCall *call, int argument, Error *error) {
  if (error->code || !argument_is_given(call, argument)) return NULL;
  const char *text = (const char *)sqlite3_value_text(call->argument[argument]);
  if (!text) error_no_memory(error);
  return text;
}

void argument_source(const TableCall *call, int argument, Source *source, Error *error) {
  const TableFunction *function = call->function;
  const char *text = argument_text(call, argument, error);
  *source = (Source){0};
  if (error->code) return;
  if (text)
    source_resolve(call->connection->db, text, function->name, source, error);
  else
    error_set(error, SQLITE_ERROR, "%s: the source is missing: call it as %s", function->name, function->usage);
}

/* The model, which has not begun. */
static Model *find_model(Connection *connection, const char *caller, Ability need, sqlite3_value *name, Error *error) {
  Model *model = NULL;
  if (error->code) return NULL;
  return connection_model(connection, caller, need, name, &model, error) == SQLITE_OK ? model : NULL;
}

Model *value_model(Connection *connection, const char *caller, Ability need, sqlite3_value *name, ModelItems **items,
                   Error *error) {
  Model *model = find_model(connection, caller, need, name, error);
  return model && model_begin(model, items, error) == SQLITE_OK ? model : NULL;
}

Model *argument_model(const TableCall *call, int argument, Ability need, ModelItems **items, Error *error) {
  assert(argument < call->function->arguments);
  return value_model(call->connection, call->function->name, need, call->argument[argument], items, error);
}

Model *argument_reading(const TableCall *call, int argument, Ability need, Reading *reading, Error *error) {
  assert(argument < call->function->arguments);
  Model *model = find_model(call->connection, call->function->name, need, call->argument[argument], error);
  return model && reading_start(reading, call->connection, model, error) == SQLITE_OK ? model : NULL;
}

uint32_t value_item(sqlite3_value *value, const ModelItems *items, Error *error) {
  Id id;
  if (error->code) return DICTIONARY_NONE;
  int there = id_from_value_as(value, items->item_affinity, &id);
  if (there < 0) error_no_memory(error);
  return there > 0 ? dictionary_find(&items->ids, &id) : DICTIONARY_NONE;
}

int value_user(sqlite3_value *value, const ModelItems *items, Id *id, Error *error) {
  if (error->code) return 0;
  int there = id_from_value_as(value, items->user_affinity, id);
  if (there < 0) error_no_memory(error);
  return there > 0;
}

uint32_t argument_item(const TableCall *call, int argument, const ModelItems *items, Error *error) {
  assert(argument < call->function->required);
  return value_item(call->argument[argument], items, error);
}

int argument_user(const TableCall *call, int argument, const ModelItems *items, Id *id, Error *error) {
  assert(argument < call->function->required);
  return value_user(call->argument[argument], items, id, error);
}
