/* recommend_trainers: what can be trained, a row for each algorithm of each trainer, as their own rows say it. */
#include "../train/trainer.h"
#include "register.h"
#include "table_function.h"

/* The algorithm in row number `row`, and its trainer; NULL behind the last. */
static const Algorithm *find_algorithm(int64_t row, const Trainer **trainer) {
  for (int i = 0; trainers[i]; i++)
    for (int j = 0; trainers[i]->algorithms[j]; j++) {
      *trainer = trainers[i];
      if (row-- == 0) return trainers[i]->algorithms[j];
    }
  return NULL;
}

static int trainers_start(TableCall *call, Error *error) {
  (void)error;
  const Trainer *trainer = NULL;
  while (find_algorithm(call->rows, &trainer)) call->rows++;
  return SQLITE_OK;
}

static void trainers_column(const TableCall *call, sqlite3_context *context, int column) {
  const Trainer *trainer = NULL;
  const Algorithm *algorithm = find_algorithm(call->row, &trainer);
  if (!algorithm) return; /* behind the last row, which SQLite doesn't ask for */
  switch (column) {
    case 0: sqlite3_result_text(context, trainer->function, -1, SQLITE_STATIC); break;
    case 1: sqlite3_result_text(context, algorithm->name, -1, SQLITE_STATIC); break;
    case 2: sqlite3_result_text(context, trainer->usage, -1, SQLITE_STATIC); break;
    case 3:
      if (trainer->size) sqlite3_result_text(context, trainer->size_names[0], -1, SQLITE_STATIC);
      break;
    case 4: sqlite3_result_text(context, algorithm->learns_from, -1, SQLITE_STATIC); break;
    case 5: sqlite3_result_text(context, algorithm->kind->name, -1, SQLITE_STATIC); break;
    case 6: {
      char *answers = abilities_text(algorithm->kind->abilities & ~algorithm->lacks);
      if (answers)
        sqlite3_result_text(context, answers, -1, sqlite3_free);
      else
        sqlite3_result_error_nomem(context);
      break;
    }
    case 7: sqlite3_result_text(context, algorithm->meaning, -1, SQLITE_STATIC); break;
  }
}

static const TableFunction trainers_function = {
    .name = "recommend_trainers",
    .schema =
        "CREATE TABLE x(trainer TEXT, algorithm TEXT, usage TEXT, size TEXT, learns_from TEXT, kind TEXT, "
        "answers TEXT, description TEXT)",
    .usage = "recommend_trainers",
    .outputs = 8,
    .rows = 30,
    .cost = 30,
    .start = trainers_start,
    .column = trainers_column,
};

int recommend_trainers_register(Connection *connection) {
  return table_function_register(connection, &trainers_function);
}
