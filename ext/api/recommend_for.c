/* recommend_for(profile, k [, model]): recommendations for someone who is not in the data. The profile is a JSON array
 * of items, a JSON object of items and ratings, or the text of a SELECT of items [and ratings]; nothing is stored.
 *
 * Ids are read by SQLite (json_each), never by cJSON, whose numbers are doubles. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../answer/fold_in.h"
#include "../base/memory.h"
#include "../data/choose_columns.h"
#include "../data/source.h"
#include "arguments.h"
#include "recommendation_list.h"
#include "register.h"

/* ---- the profile ------------------------------------------------------------------------------------------------- */

typedef struct Liked {
  uint32_t item;
  float rating;
  size_t place; /* in order of arrival: the last rating of an item counts */
} Liked;

typedef struct LikedList {
  Liked *liked;
  size_t count;
  int with_ratings;
  int rows; /* they come from a SELECT: several of an item may add up, as in a source */
  int keys; /* items are keys of a JSON object, and so always text: "7" may be 7 */
} LikedList;

static int add_liked(LikedList *list, uint32_t item, double rating) {
  Liked *grown = memory_grow(list->liked, list->count, sizeof *grown);
  if (!grown) return SQLITE_NOMEM;
  list->liked = grown;
  list->liked[list->count] = (Liked){item, (float)rating, list->count};
  list->count++;
  return SQLITE_OK;
}

/* An element of a JSON array is an item, and not a list or an object of its own. */
static void check_element(const TableCall *call, sqlite3_stmt *statement, Error *error) {
  const char *type = (const char *)sqlite3_column_text(statement, 1);
  if (!type)
    error_no_memory(error);
  else if (strcmp(type, "array") == 0 || strcmp(type, "object") == 0)
    error_set(error, SQLITE_MISMATCH,
              "%s: an array is of items alone, as in '[101, 102]', and here has an %s in it: with ratings write an "
              "object, as in '{\"101\": 5, \"102\": 3}'",
              call->function->name, type);
}

/* One row: an item, and a rating where there is a second column. Unknown items, and those without a rating, say
 * nothing. */
static int take_liked(const TableCall *call, const ModelItems *items, sqlite3_stmt *statement, LikedList *list,
                      Error *error) {
  Id id;
  double rating = 1;
  if (!list->rows && !list->keys) check_element(call, statement, error);
  if (error->code) return error->code;
  int there = id_from_value_as(sqlite3_column_value(statement, 0), items->item_affinity, &id);
  if (there < 0) return error_no_memory(error);
  uint32_t item = there ? dictionary_find(&items->ids, &id) : DICTIONARY_NONE;
  if (there && item == DICTIONARY_NONE && list->keys) {
    there = id_from_value_as(sqlite3_column_value(statement, 0), ID_AFFINITY_NUMERIC, &id);
    if (there < 0) return error_no_memory(error);
    item = dictionary_find(&items->ids, &id);
  }
  if (list->with_ratings) {
    int type = sqlite3_value_numeric_type(sqlite3_column_value(statement, 1));
    if (type == SQLITE_NULL) return SQLITE_OK;
    rating = sqlite3_column_double(statement, 1);
    if ((type != SQLITE_INTEGER && type != SQLITE_FLOAT) || !(fabs(rating) < 1e30))
      return error_set(error, SQLITE_MISMATCH, "%s: the rating of an item must be a number, not '%s'",
                       call->function->name, sqlite3_column_text(statement, 1));
  }
  if (item == DICTIONARY_NONE) return SQLITE_OK;
  return add_liked(list, item, rating) == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
}

/* The SELECT of a profile that is a query; a step, as the next two: see base/error.h. */
static char *query_profile(TableCall *call, const char *text, Error *error) {
  const char *name = call->function->name;
  Source source = {0};
  SourceColumns columns = {0};
  char *sql = NULL;
  int item = 0, rating = -1;
  int code = source_resolve(call->connection->db, text, name, &source, error);
  if (code == SQLITE_OK) code = source_columns(call->connection->db, &source, name, &columns, error);
  if (code == SQLITE_OK) code = choose_profile_columns(&columns, name, &item, &rating, error);
  if (code == SQLITE_OK) {
    sql = rating < 0
              ? sqlite3_mprintf("%s SELECT c%d FROM \"recommend(rows)\"", columns.with, item + 1)
              : sqlite3_mprintf("%s SELECT c%d, c%d FROM \"recommend(rows)\"", columns.with, item + 1, rating + 1);
    if (!sql) error_no_memory(error);
  }
  source_columns_free(&columns);
  source_free(&source);
  return sql;
}

/* The statement that gives the profile's rows. */
static sqlite3_stmt *prepare_profile(TableCall *call, const char *text, LikedList *list, Error *error) {
  sqlite3 *db = call->connection->db;
  sqlite3_stmt *statement = NULL;
  const char *first = text + strspn(text, " \t\r\n");
  list->keys = *first == '{';
  list->rows = *first != '{' && *first != '[';
  char *sql = list->rows   ? query_profile(call, text, error)
              : list->keys ? sqlite3_mprintf("SELECT key, value FROM json_each(?1)")
                           : sqlite3_mprintf("SELECT value, type FROM json_each(?1)");
  if (!sql) {
    error_no_memory(error); /* unless there is a reason already */
    return NULL;
  }
  int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
  if (code == SQLITE_OK && !list->rows) code = sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
  if (code != SQLITE_OK) error_from_database(error, db, code, call->function->name);
  sqlite3_free(sql);
  if (code == SQLITE_OK) return statement;
  sqlite3_finalize(statement);
  return NULL;
}

static int by_item(const void *a, const void *b) {
  const Liked *x = a, *y = b;
  if (x->item != y->item) return x->item < y->item ? -1 : 1;
  return x->place < y->place ? -1 : x->place > y->place;
}

/* One entry for each item, as training would have it: the last rating counts, or the sum of rows that are counts; where
 * values are feedback, one of 0 is no entry. */
static int as_history(const ModelShape *shape, LikedList *list, History *history) {
  int adds_up = list->rows && shape_is_counts(shape), feedback = shape_is_feedback(shape),
      with_ratings = list->with_ratings;
  if (list->count) qsort(list->liked, list->count, sizeof *list->liked, by_item);
  for (size_t i = 1; adds_up && i < list->count; i++) with_ratings |= list->liked[i].item == list->liked[i - 1].item;
  history->item = memory_alloc(list->count, sizeof *history->item);
  if (with_ratings) history->rating = memory_alloc(list->count, sizeof *history->rating);
  if (!history->item || (with_ratings && !history->rating)) return SQLITE_NOMEM;
  double sum = 0;
  for (size_t i = 0; i < list->count; i++) {
    const Liked *liked = &list->liked[i];
    sum = (adds_up ? sum : 0) + (double)liked->rating;
    if (i + 1 < list->count && liked[1].item == liked->item) continue;
    history->item[history->count] = liked->item;
    if (history->rating) history->rating[history->count] = (float)sum;
    history->count += !feedback || (float)sum != 0;
    sum = 0;
  }
  return SQLITE_OK;
}

static void read_profile(TableCall *call, const ModelItems *items, History *history, Error *error) {
  LikedList list = {0};
  int stepped = SQLITE_DONE;
  const char *text = argument_text(call, 0, error);
  sqlite3_stmt *statement = text ? prepare_profile(call, text, &list, error) : NULL;
  if (!statement) return;
  list.with_ratings = list.keys || (list.rows && sqlite3_column_count(statement) > 1);
  while (!error->code && (stepped = sqlite3_step(statement)) == SQLITE_ROW)
    take_liked(call, items, statement, &list, error);
  if (stepped != SQLITE_ROW && stepped != SQLITE_DONE)
    error_from_database(error, call->connection->db, stepped, call->function->name);
  sqlite3_finalize(statement);
  if (!error->code) error_from_code(error, as_history(&items->shape, &list, history));
  memory_free(list.liked);
}

/* ---- the person -------------------------------------------------------------------------------------------------- */

/* Items alone are liked: as much as can be on the scale of the model's ratings. */
static int rate_liked(const ModelItems *items, History *history) {
  if (history->rating || !shape_is_explicit(&items->shape)) return SQLITE_OK;
  history->rating = memory_alloc(history->count, sizeof *history->rating);
  if (!history->rating) return SQLITE_NOMEM;
  for (size_t i = 0; i < history->count; i++) history->rating[i] = (float)items->shape.maximum;
  return SQLITE_OK;
}

/* The person, or what is popular where nothing is known. The profile may have been a query that took its time, and
 * changed the model. */
static int fold_profile(const Reading *reading, Recommendation *state, History *history, ModelUser *user,
                        const Cancel *cancel, Error *error) {
  Model *model = NULL;
  /* In a model of content or links items without ratings all count alike. */
  Profile profile = history->rating ? (Profile)state->items->shape.profile : PROFILE_MEAN;
  int code = reading_resume(reading, &model, error);
  if (code != SQLITE_OK) return code;
  code = fold_user(model, state->items, profile, history, user, cancel, error);
  state->popular = user->blank;
  if (code == SQLITE_OK && user->blank) code = model_popularity(model, state->items, &state->popularity, error);
  model_end(model);
  return code;
}

static void rank_for_profile(TableCall *call, const Reading *reading, Recommendation *state, const Cancel *cancel,
                             Error *error) {
  ModelUser user = {0};
  History history = {0};
  read_profile(call, state->items, &history, error);
  if (!error->code) error_from_code(error, rate_liked(state->items, &history));
  if (!error->code) fold_profile(reading, state, &history, &user, cancel, error);
  int nothing = user.blank && reading->users == 0; /* is known, and nothing is popular */
  if (!error->code && !nothing) recommendation_rank(call, user.blank ? NULL : &user, &history, cancel, error);
  history_free(&history);
  user_free(&user);
}

/* ---- the function ------------------------------------------------------------------------------------------------ */

static int recommend_for_start(TableCall *call, Error *error) {
  Recommendation *state = call->state;
  Interrupt interrupt;
  Reading reading = {0};
  state->k = argument_k(call, 1, error);
  Model *model = argument_reading(call, 2, ABILITY_FOLD_IN, &reading, error);
  if (model) {
    state->items = reading.items;
    state->items->references++;
    model_require(model, state->items, ABILITY_FOLD_IN, call->function->name, error);
    /* The items are all that is needed; and the profile may be a query that asks this very model. */
    model_end(model);
  }
  if (!error->code && argument_is_given(call, 0)) {
    connection_interrupt(call->connection, &interrupt);
    rank_for_profile(call, &reading, state, &interrupt.cancel, error);
    interrupt_end(&interrupt);
  }
  reading_end(&reading);
  return error->code;
}

static const TableFunction recommend_for_function = {
    .name = "recommend_for",
    .schema = "CREATE TABLE x(" RECOMMENDATION_COLUMNS ", _profile BLOB HIDDEN, _k HIDDEN, _model HIDDEN)",
    .usage = "recommend_for(profile, k [, model])",
    .flags = TABLE_FUNCTION_DIRECT_ONLY,
    .start = recommend_for_start,
    RECOMMENDATION_FUNCTION,
};

int recommend_for_register(Connection *connection) {
  return table_function_register(connection, &recommend_for_function);
}
