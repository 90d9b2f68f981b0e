/* Errors and lists: see vtab.h. */
#include "vtab.h"

#include "../base/memory.h"

int vtab_report(sqlite3_vtab *vtab, Error *error) {
  int code = error->code;
  if (error->message) {
    sqlite3_free(vtab->zErrMsg);
    vtab->zErrMsg = error->message;
    error->message = NULL;
  }
  error_clear(error);
  return code;
}

void scalar_report(sqlite3_context *context, Error *error) {
  if (error->message) sqlite3_result_error(context, error->message, -1);
  sqlite3_result_error_code(context, error->code);
  error_clear(error);
}

void result_id(sqlite3_context *context, const Dictionary *ids, size_t index) {
  Id id = dictionary_id(ids, index);
  id_result(context, &id);
}

int value_list_add(ValueList *list, sqlite3_value *value) {
  sqlite3_value **values = memory_grow(list->values, list->count, sizeof *values);
  if (!values) return SQLITE_NOMEM;
  list->values = values;
  sqlite3_value *copy = sqlite3_value_dup(value);
  if (!copy) return SQLITE_NOMEM;
  list->values[list->count++] = copy;
  return SQLITE_OK;
}

int value_list_add_all(ValueList *list, sqlite3_value *in_list) {
  sqlite3_value *value = NULL;
  int code = sqlite3_vtab_in_first(in_list, &value);
  for (; code == SQLITE_OK && value; code = sqlite3_vtab_in_next(in_list, &value))
    if (value_list_add(list, value) != SQLITE_OK) return SQLITE_NOMEM;
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

void value_list_free(ValueList *list) {
  for (size_t i = 0; i < list->count; i++) sqlite3_value_free(list->values[i]);
  memory_free(list->values);
  *list = (ValueList){0};
}
