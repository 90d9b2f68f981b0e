/* recommend_forget('user', 42), recommend_forget('item', 7): takes a user or an item out of every model of the
 * connection's databases, and says as JSON which have forgotten, which did not know the id, and which can't, and what
 * to do about those:
 *
 *     {"user":42,"forgotten":["main.ratings_mf"],"unknown":["main.plays_ease"],
 *      "refused":[{"model":"main.groups","reason":"model \"groups\" consists of clusters, …"}]}
 *
 * Each model is a statement of its own: inside BEGIN … COMMIT it is all or nothing. */
#include <string.h>

#include "../answer/forgetting.h"
#include "../base/json.h"
#include "../base/memory.h"
#include "register.h"
#include "vtab.h"

/* The models there are: asked first, since nothing may stay open while one is written. */
typedef struct Names {
  ModelName *name; /* owned, with its texts */
  size_t count;
} Names;

static int add_name(void *context, ModelName name, Error *error) {
  Names *names = context;
  ModelName *grown = memory_grow(names->name, names->count, sizeof *grown);
  if (!grown) return error_no_memory(error);
  names->name = grown;
  ModelName *added = &names->name[names->count++];
  *added = (ModelName){sqlite3_mprintf("%s", name.schema), sqlite3_mprintf("%s", name.name)};
  return added->schema && added->name ? SQLITE_OK : error_no_memory(error);
}

static void names_free(Names *names) {
  for (size_t i = 0; i < names->count; i++) {
    sqlite3_free((char *)(uintptr_t)names->name[i].schema);
    sqlite3_free((char *)(uintptr_t)names->name[i].name);
  }
  memory_free(names->name);
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

typedef struct Answer {
  sqlite3_str *forgotten, *unknown, *refused; /* what is between the brackets */
} Answer;

static void append_text(sqlite3_str *json, const char *text) { json_append_text(json, text, strlen(text)); }

static void append_name(sqlite3_str *json, ModelName name, Error *error) {
  char *full = sqlite3_mprintf("%s.%s", name.schema, name.name);
  if (full)
    append_text(json, full);
  else
    error_no_memory(error);
  sqlite3_free(full);
}

static void begin_entry(sqlite3_str *list) {
  if (sqlite3_str_length(list)) sqlite3_str_appendchar(list, 1, ',');
}

static void add_refusal(Answer *answer, ModelName name, const char *reason, Error *error) {
  begin_entry(answer->refused);
  sqlite3_str_appendf(answer->refused, "{\"model\":");
  append_name(answer->refused, name, error);
  sqlite3_str_appendf(answer->refused, ",\"reason\":");
  append_text(answer->refused, reason);
  sqlite3_str_appendchar(answer->refused, 1, '}');
}

/* The id as JSON: a number, or a text; a blob as SQL writes it. */
static void append_id(sqlite3_str *json, sqlite3_value *value) {
  const Id none = {.kind = ID_NONE};
  char text[ID_FORMAT_SIZE];
  Id id = none;
  if (id_from_value(value, &id) <= 0) id = none;
  if (id.kind == ID_TEXT)
    json_append_text(json, id.as.bytes, id.size);
  else if (id.kind == ID_BLOB)
    append_text(json, id_format(&id, text));
  else
    sqlite3_str_appendf(json, "%s", id_format(&id, text));
}

/* Ends a list: NULL where it is empty, or memory ran out, which is recorded. */
static char *list_text(sqlite3_str *list, Error *error) {
  error_from_code(error, sqlite3_str_errcode(list));
  return sqlite3_str_finish(list);
}

/* Ends the lists, and puts them together; NULL where an error is recorded. */
static char *answer_json(Answer *answer, ForgetSide side, sqlite3_value *id, Error *error) {
  char *forgotten = list_text(answer->forgotten, error), *unknown = list_text(answer->unknown, error),
       *refused = list_text(answer->refused, error), *result = NULL;
  if (!error->code) {
    sqlite3_str *json = sqlite3_str_new(NULL);
    sqlite3_str_appendf(json, "{\"%s\":", forget_sides[side]);
    append_id(json, id);
    sqlite3_str_appendf(json, ",\"forgotten\":[%s],\"unknown\":[%s],\"refused\":[%s]}", forgotten ? forgotten : "",
                        unknown ? unknown : "", refused ? refused : "");
    result = list_text(json, error);
  }
  sqlite3_free(forgotten);
  sqlite3_free(unknown);
  sqlite3_free(refused);
  return result;
}

/* ---- the function ------------------------------------------------------------------------------------------------ */

/* Does the error speak of this model alone, so that the others can still be asked? */
static int concerns_the_model(int code) {
  int primary = code & 0xff;
  return primary == SQLITE_ERROR || primary == SQLITE_CORRUPT || primary == SQLITE_READONLY ||
         primary == SQLITE_CONSTRAINT;
}

/* Asks one model; a step, as the next: see base/error.h. */
static void forget_in(Connection *connection, ModelName name, ForgetSide side, sqlite3_value *id, Answer *answer,
                      Error *error) {
  Error own = {0};
  int known = 0;
  if (error->code) return;
  int code = forget(connection, name, side, id, &known, &own);
  if (code == SQLITE_OK) {
    sqlite3_str *list = known ? answer->forgotten : answer->unknown;
    begin_entry(list);
    append_name(list, name, error);
  } else if (concerns_the_model(code)) {
    add_refusal(answer, name, own.message ? own.message : sqlite3_errstr(code), error);
  } else if (own.message) {
    error_set(error, code, "recommend_forget: model \"%s\": %s", name.name, own.message);
  } else {
    error_from_code(error, code);
  }
  error_clear(&own);
}

static ForgetSide read_side(sqlite3_value *value, Error *error) {
  const char *text = (const char *)sqlite3_value_text(value);
  for (int s = FORGET_USER; text && s <= FORGET_ITEM; s++)
    if (sqlite3_stricmp(text, forget_sides[s]) == 0) return (ForgetSide)s;
  if (!text && sqlite3_value_type(value) != SQLITE_NULL)
    error_no_memory(error);
  else
    error_set(error, SQLITE_ERROR,
              "recommend_forget: say what is to be forgotten, as in recommend_forget('user', 42) or "
              "recommend_forget('item', 7), not '%s'",
              text ? text : "NULL");
  return FORGET_USER;
}

static void recommend_forget(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  Connection *connection = sqlite3_user_data(context);
  Answer answer = {sqlite3_str_new(NULL), sqlite3_str_new(NULL), sqlite3_str_new(NULL)};
  Error error = {0};
  Names names = {0};
  ForgetSide side = read_side(values[0], &error);
  if (sqlite3_value_type(values[1]) == SQLITE_NULL)
    error_set(&error, SQLITE_ERROR, "recommend_forget: the %s to be forgotten can't be NULL", forget_sides[side]);
  if (!error.code) connection_models(connection, add_name, &names, &error);
  for (size_t i = 0; i < names.count; i++) forget_in(connection, names.name[i], side, values[1], &answer, &error);
  char *text = answer_json(&answer, side, values[1], &error);
  if (error.code == SQLITE_OK) {
    sqlite3_result_text(context, text, -1, sqlite3_free);
  } else {
    sqlite3_free(text);
    scalar_report(context, &error);
  }
  names_free(&names);
}

int recommend_forget_register(Connection *connection) {
  connection_retain(connection);
  return sqlite3_create_function_v2(connection->db, "recommend_forget", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, connection,
                                    recommend_forget, NULL, NULL, connection_release);
}
