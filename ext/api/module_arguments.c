/* The arguments of the module: see module_arguments.h. */
#include "module_arguments.h"

#include <math.h>
#include <string.h>

#include "../data/name.h"

/* The value of "key=value", without quotes or parentheses, if the key is this one. NULL in *value where it is not;
 * SQLITE_NOMEM. */
static int module_argument(const char *argument, const char *key, char **value) {
  size_t length = strlen(key);
  while (name_is_blank(*argument)) argument++;
  if (sqlite3_strnicmp(argument, key, (int)length) != 0) return SQLITE_OK;
  argument += length;
  while (name_is_blank(*argument)) argument++;
  if (*argument != '=') return SQLITE_OK;
  argument++;
  while (name_is_blank(*argument)) argument++;
  size_t end = strlen(argument);
  while (end && name_is_blank(argument[end - 1])) end--;
  char open = *argument, close = open == '['                                  ? ']'
                                 : open == '('                                ? ')'
                                 : open == '\'' || open == '"' || open == '`' ? open
                                                                              : 0;
  sqlite3_free(*value);
  char *text = *value = sqlite3_mprintf("%.*s", (int)end, argument);
  if (!text) return SQLITE_NOMEM;
  if (!close || end < 2 || text[end - 1] != close) return SQLITE_OK;
  size_t to = 0;
  for (size_t from = 1; from < end - 1; from++) {
    text[to++] = text[from];
    if (open == close && text[from] == open) from++; /* a doubled quote is one */
  }
  text[to] = 0;
  return SQLITE_OK;
}

void module_arguments_free(ModuleArguments *given) {
  sqlite3_free(given->train);
  sqlite3_free(given->source);
  sqlite3_free(given->size);
  sqlite3_free(given->options);
}

static const char module_usage[] = "recommender(train=mf, source=ratings, size=32, options='{\"epochs\": 20}')";

/* What is between the parentheses; a step, as all that follow: see base/error.h. */
static void split_arguments(int count, const char *const *arguments, ModuleArguments *given, Error *error) {
  const struct {
    const char *key;
    char **value;
  } known[] = {
      {"train", &given->train}, {"source", &given->source}, {"size", &given->size}, {"options", &given->options}};
  for (int i = 3; i < count && !error->code; i++) {
    int taken = 0;
    for (size_t k = 0; k < sizeof known / sizeof *known && !error->code; k++) {
      char *value = NULL;
      error_from_code(error, module_argument(arguments[i], known[k].key, &value));
      if (!value) continue;
      sqlite3_free(*known[k].value);
      *known[k].value = value;
      taken = 1;
    }
    if (!taken)
      error_set(error, SQLITE_ERROR, "recommender: argument \"%s\" is unknown: write %s", arguments[i], module_usage);
  }
  if (!given->train || !given->source)
    error_set(error, SQLITE_ERROR, "recommender: \"train\" and \"source\" are needed: write %s", module_usage);
}

static const Trainer *find_trainer(const ModuleArguments *given, Error *error) {
  const Trainer *trainer = error->code ? NULL : trainer_named(given->train);
  if (trainer || error->code) return trainer;
  char *names = trainer_names(0);
  if (names)
    error_set(error, SQLITE_ERROR,
              "recommender: there is no trainer \"%s\" for train=…: there are %s, without \"_train\"", given->train,
              names);
  else
    error_no_memory(error);
  sqlite3_free(names);
  return NULL;
}

/* As SQLite reads numbers, whatever the locale's decimal point is. */
static double parse_size(sqlite3 *db, const char *text, Error *error) {
  sqlite3_stmt *statement = NULL;
  sqlite3_value *value = NULL;
  int code = sqlite3_prepare_v2(db, "SELECT ?1", -1, &statement, NULL);
  if (code == SQLITE_OK) code = sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
  if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
    value = sqlite3_value_dup(sqlite3_column_value(statement, 0));
    code = value ? SQLITE_OK : SQLITE_NOMEM;
  }
  int type = value ? sqlite3_value_numeric_type(value) : SQLITE_NULL;
  double size = value ? sqlite3_value_double(value) : 0;
  if (code != SQLITE_OK)
    error_from_database(error, db, code, "recommender");
  else if (type != SQLITE_INTEGER && type != SQLITE_FLOAT)
    error_set(error, SQLITE_ERROR, "recommender: size must be a number, not \"%s\"", text);
  sqlite3_value_free(value);
  sqlite3_finalize(statement);
  return size;
}

/* The size that the trainer's training function takes as its second argument, if it takes one; NaN: left out. */
static double given_size(sqlite3 *db, const Trainer *trainer, const ModuleArguments *given, Error *error) {
  if (error->code || !given->size) return NAN;
  if (trainer->size) return parse_size(db, given->size, error);
  error_set(error, SQLITE_ERROR, "recommender: leave the size out: \"%s\" has none", trainer->name);
  return NAN;
}

void module_arguments_read(sqlite3 *db, int count, const char *const *arguments, ModuleArguments *given,
                           TrainRequest *request, Error *error) {
  *given = (ModuleArguments){0};
  split_arguments(count, arguments, given, error);
  request->trainer = find_trainer(given, error);
  request->source = given->source;
  request->size = given_size(db, request->trainer, given, error);
  request->options = given->options;
}
