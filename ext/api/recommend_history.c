/* recommend_history(user [, model]): what a model remembers of a user, entry by entry.
 *
 * Oldest first, where histories are timed ("history": "timed"): by timestamp, those of one time in the order they came,
 * and last those without a timestamp. Elsewhere in order of item, and the timestamp is NULL. */
#include "arguments.h"
#include "register.h"

enum { HISTORY_POSITION, HISTORY_ITEM, HISTORY_RATING, HISTORY_TIMESTAMP, HISTORY_HELD_OUT };

typedef struct Remembered {
  ModelItems *items;
  History history;
} Remembered;

/* What the model remembers; it has begun. */
static void remember(TableCall *call, Model *model, Error *error) {
  Remembered *state = call->state;
  Id id;
  uint32_t user = 0;
  int found = 0;
  if (!argument_user(call, 0, state->items, &id, error)) return; /* NULL: no rows */
  int code = model_user_index(model, &id, &user, &found, error);
  if (code == SQLITE_OK && found) model_history(model, state->items, user, &state->history, error);
  call->rows = (int64_t)state->history.count;
}

static int history_start(TableCall *call, Error *error) {
  Remembered *state = call->state;
  const char *caller = call->function->name;
  Model *model = argument_model(call, 1, ABILITY_RECOMMEND, &state->items, error);
  if (!model) return error->code;
  int code = model_require(model, state->items, ABILITY_RECOMMEND, caller, error);
  if (code == SQLITE_OK && state->items->shape.history == HISTORY_NONE)
    error_set(error, SQLITE_ERROR, "%s: model \"%s\" keeps no histories: train it without \"history\": false", caller,
              model_name(model).name);
  remember(call, model, error);
  model_end(model);
  return error->code;
}

static void history_column(const TableCall *call, sqlite3_context *context, int which) {
  const Remembered *state = call->state;
  const History *history = &state->history;
  size_t place = history->order ? history->order[call->row] : (size_t)call->row;
  switch (which) {
    case HISTORY_POSITION: sqlite3_result_int64(context, call->row + 1); break;
    case HISTORY_ITEM: result_id(context, &state->items->ids, history->item[place]); break;
    case HISTORY_RATING: sqlite3_result_double(context, (double)history_rating(history, place)); break;
    case HISTORY_TIMESTAMP:
      if (history->time && history->time[place] != NO_TIME) sqlite3_result_int64(context, history->time[place]);
      break;
    case HISTORY_HELD_OUT: sqlite3_result_int(context, history_is_held_out(history, place)); break;
  }
}

static void history_end(TableCall *call) {
  Remembered *state = call->state;
  history_free(&state->history);
  items_release(state->items);
  *state = (Remembered){0};
}

static const TableFunction history_function = {
    .name = "recommend_history",
    .schema =
        "CREATE TABLE x(position INTEGER, item, rating REAL, timestamp INTEGER, held_out INTEGER, "
        "_user BLOB HIDDEN, _model HIDDEN)",
    .usage = "recommend_history(user [, model])",
    .outputs = 5,
    .arguments = 2,
    .required = 1,
    .ordered = 1,
    .rows = 100,
    .cost = 100,
    .state_size = sizeof(Remembered),
    .start = history_start,
    .column = history_column,
    .end = history_end,
};

int recommend_history_register(Connection *connection) {
  return table_function_register(connection, &history_function);
}
