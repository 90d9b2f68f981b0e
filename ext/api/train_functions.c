/* X_train(source, size [, options]) for every trainer, twice under one name: a scalar that trains, stores and returns a
 * summary, and a table that returns an epoch a row as it is computed. See training.h for the training itself. */
#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../train/training.h"
#include "register.h"
#include "table_function.h"
#include "training_answer.h"

/* The source, the size where there is one, and the options. */
static int trainer_arguments(const Trainer *trainer) { return trainer->size ? 3 : 2; }

/* ---- X_train as a scalar function -------------------------------------------------------------------------------- */

typedef struct ScalarContext {
  Connection *connection;
  const Trainer *trainer;
} ScalarContext;

static void scalar_context_free(void *context) {
  connection_release(((ScalarContext *)context)->connection);
  memory_free(context);
}

static int is_absent(sqlite3_value *value) { return !value || sqlite3_value_type(value) == SQLITE_NULL; }

/* A text that begins with "{": where a size could stand, it is the options. */
static int is_object(sqlite3_value *value) {
  const char *text =
      !is_absent(value) && sqlite3_value_type(value) == SQLITE_TEXT ? (const char *)sqlite3_value_text(value) : NULL;
  return text && text[strspn(text, " \t\n\r")] == '{';
}

/* Arguments as both forms have them: source, size (if the trainer has one), options. The texts are borrowed; arguments
 * that are not given are NULL. */
static int request_from_values(const Trainer *trainer, sqlite3_value **values, TrainRequest *request, Error *error) {
  sqlite3_value *source = values[0], *size = trainer->size ? values[1] : NULL, *options = values[trainer->size ? 2 : 1];
  *request = (TrainRequest){.trainer = trainer, .size = NAN};
  if (is_object(size)) {
    if (!is_absent(options))
      return error_set(error, SQLITE_ERROR, "%s: the options are given twice: call it as %s", trainer->function,
                       trainer->usage);
    options = size;
    size = NULL;
  }
  if (!source || sqlite3_value_type(source) != SQLITE_TEXT)
    return error_set(error, SQLITE_ERROR,
                     "%s: the source must be the name of a table or view, or a SELECT, in quotes: call it as %s",
                     trainer->function, trainer->usage);
  if (!is_absent(size)) {
    int type = sqlite3_value_numeric_type(size);
    request->size = type == SQLITE_INTEGER || type == SQLITE_FLOAT ? sqlite3_value_double(size) : NAN;
    int code = trainer_check_size(trainer, request->size, error);
    if (code != SQLITE_OK) return code;
  }
  request->source = (const char *)sqlite3_value_text(source);
  if (!request->source) return error_no_memory(error);
  if (!is_absent(options)) {
    request->options = (const char *)sqlite3_value_text(options);
    if (!request->options) return error_no_memory(error);
    if (strlen(request->options) != (size_t)sqlite3_value_bytes(options))
      return error_set(error, SQLITE_ERROR, "%s: the options hold a NUL character", trainer->function);
  }
  return SQLITE_OK;
}

static void train_scalar(sqlite3_context *context, int count, sqlite3_value **values) {
  const ScalarContext *scalar = sqlite3_user_data(context);
  Error error = {0};
  TrainRequest request;
  Training *training = NULL;
  char *summary = NULL;
  sqlite3_value *given[3] = {NULL};
  for (int i = 0; i < count; i++) given[i] = values[i];
  int code = request_from_values(scalar->trainer, given, &request, &error);
  if (code == SQLITE_OK) code = training_begin(scalar->connection, &request, &training, &error);
  if (code == SQLITE_OK) code = training_run(training, &error);
  if (code == SQLITE_OK) training_store_summary(training, &summary, &error);
  training_answer(context, training, summary, &error);
}

/* ---- X_train as a table ------------------------------------------------------------------------------------------ */

typedef struct TrainTable {
  Training *training;
  int done;
} TrainTable;

static int train_table_advance(TableCall *call, Error *error) {
  TrainTable *table = call->state;
  int code = training_step(table->training, &table->done, error);
  if (code == SQLITE_OK && table->done) code = training_store(table->training, error);
  call->rows = (int64_t)table->training->row_count;
  return code;
}

static int train_table_start(TableCall *call, Error *error) {
  TrainTable *table = call->state;
  TrainRequest request;
  int code = request_from_values(call->function->context, call->argument, &request, error);
  if (code == SQLITE_OK) code = training_begin(call->connection, &request, &table->training, error);
  do {
    if (code == SQLITE_OK) code = train_table_advance(call, error);
  } while (code == SQLITE_OK && !table->done && !table->training->options->stream);
  return code;
}

/* After a rewind the rows are there already. */
static int train_table_next(TableCall *call, Error *error) {
  const TrainTable *table = call->state;
  return table->done || call->row < call->rows ? SQLITE_OK : train_table_advance(call, error);
}

static void result_finite(sqlite3_context *context, double value) {
  if (isfinite(value)) sqlite3_result_double(context, value);
}

static void train_table_column(const TableCall *call, sqlite3_context *context, int column) {
  const TrainTable *table = call->state;
  const FitRow *row = &table->training->rows[call->row];
  switch (column) {
    case 0: sqlite3_result_int(context, row->epoch); break;
    case 1: sqlite3_result_text(context, head_names[row->head], -1, SQLITE_STATIC); break;
    case 2: result_finite(context, row->loss); break;
    case 3: result_finite(context, row->train); break;
    case 4: result_finite(context, row->test); break;
    case 5: sqlite3_result_double(context, row->seconds); break;
  }
}

static void train_table_end(TableCall *call) {
  TrainTable *table = call->state;
  training_end(table->training);
  *table = (TrainTable){0};
}

static int register_table(Connection *connection, const Trainer *trainer) {
  const TableFunction table = {
      .name = trainer->function,
      .schema = trainer->schema,
      .usage = trainer->usage,
      .outputs = FIT_COLUMNS_COUNT,
      .arguments = trainer_arguments(trainer),
      .required = 1,
      .rows = 20,
      .cost = 1e9,
      .flags = TABLE_FUNCTION_DIRECT_ONLY | TABLE_FUNCTION_SCALAR_TOO,
      .state_size = sizeof(TrainTable),
      .context = trainer,
      .start = train_table_start,
      .next = train_table_next,
      .column = train_table_column,
      .end = train_table_end,
  };
  return table_function_register_copy(connection, &table);
}

/* ---- registering ------------------------------------------------------------------------------------------------- */

static int register_scalar(Connection *connection, const Trainer *trainer, int arguments) {
  ScalarContext *context = memory_alloc(1, sizeof *context);
  if (!context) return SQLITE_NOMEM;
  *context = (ScalarContext){connection, trainer};
  connection_retain(connection);
  return sqlite3_create_function_v2(connection->db, trainer->function, arguments,
                                    SQLITE_UTF8 | SQLITE_DIRECTONLY | FUNCTION_RESULT_SUBTYPE, context, train_scalar,
                                    NULL, NULL, scalar_context_free);
}

int train_functions_register(Connection *connection) {
  int code = SQLITE_OK;
  for (int i = 0; trainers[i] && code == SQLITE_OK; i++) {
    for (int arguments = 1; arguments <= trainer_arguments(trainers[i]) && code == SQLITE_OK; arguments++)
      code = register_scalar(connection, trainers[i], arguments);
    if (code == SQLITE_OK) code = register_table(connection, trainers[i]);
  }
  return code;
}
