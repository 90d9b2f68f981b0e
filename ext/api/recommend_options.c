/* recommend_options(trainer): the options that a trainer reads, with their defaults, as its own row says it. First its
 * size, then what is its own, then what algorithms read, then what every trainer reads. An option whose default differs
 * between algorithms has a row for each. */
#include <math.h>

#include "../train/trainer.h"
#include "arguments.h"
#include "register.h"
#include "table_function.h"

typedef struct OptionList {
  const Trainer *trainer;
  TrainerOptions options;
} OptionList;

static int options_start(TableCall *call, Error *error) {
  OptionList *list = call->state;
  const char *name = argument_text(call, 0, error);
  if (!name) return error->code; /* NULL has no options */
  list->trainer = trainer_find(name);
  if (!list->trainer) {
    char *names = trainer_names(0);
    int code = names ? error_set(error, SQLITE_ERROR, "%s: there is no trainer '%s': there are %s",
                                 call->function->name, name, names)
                     : error_no_memory(error);
    sqlite3_free(names);
    return code;
  }
  int code = trainer_options(list->trainer, 1, &list->options, error);
  call->rows = (int64_t)list->options.count + (list->trainer->size != NULL);
  return code;
}

static void result_built(sqlite3_context *context, sqlite3_str *text) {
  int length = sqlite3_str_length(text), code = sqlite3_str_errcode(text);
  char *built = sqlite3_str_finish(text);
  if (code != SQLITE_OK)
    sqlite3_result_error_code(context, code);
  else if (built)
    sqlite3_result_text(context, built, length, sqlite3_free);
}

/* The size is no option, but may stand among them. */
static void size_column(const Trainer *trainer, sqlite3_context *context, int column) {
  sqlite3_str *text;
  switch (column) {
    case 0: sqlite3_result_text(context, trainer->size_names[0], -1, SQLITE_STATIC); break;
    case 1: sqlite3_result_text(context, trainer->size_is_real ? "number" : "integer", -1, SQLITE_STATIC); break;
    case 2:
      if (isnan(trainer->size_default)) break; /* it must be given */
      text = sqlite3_str_new(NULL);
      sqlite3_str_appendf(text, "%.15g", trainer->size_default);
      result_built(context, text);
      break;
    case 3:
      text = sqlite3_str_new(NULL);
      sqlite3_str_appendf(text, "%.15g … %.15g", trainer->size_minimum, trainer->size_maximum);
      result_built(context, text);
      break;
    case 5: sqlite3_result_text(context, trainer->size_meaning, -1, SQLITE_STATIC); break;
  }
}

/* "als, ials"; NULL: whatever the algorithm. */
static void result_readers(sqlite3_context *context, const Trainer *trainer, unsigned readers) {
  sqlite3_str *text = sqlite3_str_new(NULL);
  for (int i = 0; trainer->algorithms[i]; i++)
    if (readers >> i & 1)
      sqlite3_str_appendf(text, "%s%s", sqlite3_str_length(text) ? ", " : "", trainer->algorithms[i]->name);
  result_built(context, text);
}

static void options_column(const TableCall *call, sqlite3_context *context, int column) {
  const OptionList *list = call->state;
  int sized = list->trainer->size != NULL;
  if (sized && call->row == 0) {
    size_column(list->trainer, context, column);
    return;
  }
  const Option *option = &list->options.option[call->row - sized];
  switch (column) {
    case 0: sqlite3_result_text(context, option->name, -1, SQLITE_STATIC); break;
    case 1: sqlite3_result_text(context, option_type_name(option), -1, SQLITE_STATIC); break;
    case 2:
      sqlite3_result_text(context, option->otherwise ? option->otherwise : option->rule, -1, SQLITE_STATIC);
      break;
    case 3: {
      sqlite3_str *text = sqlite3_str_new(NULL);
      option_append_range(option, text);
      result_built(context, text);
      break;
    }
    case 4: result_readers(context, list->trainer, option->readers); break;
    case 5: sqlite3_result_text(context, option->meaning, -1, SQLITE_STATIC); break;
  }
}

static void options_end(TableCall *call) {
  OptionList *list = call->state;
  trainer_options_free(&list->options);
  *list = (OptionList){0};
}

static const TableFunction options_function = {
    .name = "recommend_options",
    .schema =
        "CREATE TABLE x(option TEXT, type TEXT, \"default\" TEXT, range TEXT, algorithms TEXT, description TEXT, "
        "_trainer HIDDEN)",
    .usage = "recommend_options(trainer)",
    .outputs = 6,
    .arguments = 1,
    .required = 1,
    .rows = 25,
    .cost = 25,
    .state_size = sizeof(OptionList),
    .start = options_start,
    .column = options_column,
    .end = options_end,
};

int recommend_options_register(Connection *connection) {
  return table_function_register(connection, &options_function);
}
