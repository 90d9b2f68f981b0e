/* recommend_trainers: what can be trained, a row for each algorithm of each trainer, as their own rows say it. */
#include "../train/trainer.h"
#include "register.h"
#include "table_function.h"

typedef struct TrainerList {
  const Trainer *trainer;
  const Algorithm *algorithm;
} TrainerList;

/* Row number call->row, if there is one. */
static void find_row(TableCall *call) {
  TrainerList *list = call->state;
  int64_t row = 0;
  for (int i = 0; trainers[i]; i++)
    for (int j = 0; trainers[i]->algorithms[j]; j++)
      if (row++ == call->row) *list = (TrainerList){trainers[i], trainers[i]->algorithms[j]};
  call->rows = row;
}

static int trainers_find(TableCall *call, Error *error) {
  (void)error;
  find_row(call);
  return SQLITE_OK;
}

static void trainers_column(const TableCall *call, sqlite3_context *context, int column) {
  const TrainerList *list = call->state;
  const Trainer *trainer = list->trainer;
  const Algorithm *algorithm = list->algorithm;
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

static void trainers_end(TableCall *call) { *(TrainerList *)call->state = (TrainerList){0}; }

static const TableFunction trainers_function = {
    .name = "recommend_trainers",
    .schema =
        "CREATE TABLE x(trainer TEXT, algorithm TEXT, usage TEXT, size TEXT, learns_from TEXT, kind TEXT, "
        "answers TEXT, description TEXT)",
    .usage = "recommend_trainers",
    .outputs = 8,
    .rows = 25,
    .cost = 25,
    .state_size = sizeof(TrainerList),
    .start = trainers_find,
    .rewind = trainers_find,
    .next = trainers_find,
    .column = trainers_column,
    .end = trainers_end,
};

int recommend_trainers_register(Connection *connection) {
  return table_function_register(connection, &trainers_function);
}
