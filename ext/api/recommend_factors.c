/* recommend_factors(model, side [, head]): a model's vectors, as little-endian float32 blobs, the format that vector
 * extensions read. */
#include <string.h>

#include "../base/bytes.h"
#include "../base/memory.h"
#include "arguments.h"
#include "register.h"

enum { FACTOR_ID, FACTOR_BIAS, FACTOR_COUNT, FACTOR_VECTOR };

typedef struct FactorList {
  Reading reading;
  int of_users, head;
  size_t item; /* the current one, of items */
  /* the current row of users; items are in the cache */
  ModelUser user;
  sqlite3_value *id;
  int64_t n;
  Popularity *popularity; /* of items */
  float *vector;          /* scratch */
} FactorList;

/* To the item of the current row, which is the next: places of items that were forgotten have none. */
static void find_factors_item(TableCall *call) {
  FactorList *list = call->state;
  list->item = call->row ? list->item + 1 : 0;
  while (call->row < call->rows && items_is_forgotten(list->reading.items, list->item)) list->item++;
}

/* What is needed of the current row. */
static int read_factors_row(TableCall *call, Error *error) {
  FactorList *list = call->state;
  Model *model = NULL;
  if (!list->of_users) find_factors_item(call);
  user_free(&list->user);
  sqlite3_value_free(list->id);
  list->id = NULL;
  if (!list->of_users || call->row >= call->rows) return SQLITE_OK;
  int code = reading_resume(&list->reading, &model, error);
  if (code != SQLITE_OK) return code;
  uint32_t user = (uint32_t)call->row;
  code = model_user_at(model, list->reading.items, user, &list->user, NULL, error);
  if (code == SQLITE_OK) code = model_user_row(model, user, &list->id, &list->n, error);
  model_end(model);
  return code;
}

static int choose_factors_side(const char *side, const char *head, FactorList *list, Error *error) {
  if (side && sqlite3_stricmp(side, "user") == 0)
    list->of_users = 1;
  else if (!side || sqlite3_stricmp(side, "item") != 0)
    return error_set(error, SQLITE_ERROR, "recommend_factors: the side must be 'user' or 'item', not '%s'",
                     side ? side : "NULL");
  const ModelShape *shape = &list->reading.items->shape;
  if (shape->sparse)
    return error_set(error, SQLITE_ERROR,
                     "recommend_factors: model \"%s\" consists of words and has no factors: tfidf_vector() gives the "
                     "weights of a text, and tfidf_train's option \"lsa\" makes factors",
                     list->reading.name);
  list->head = shape->score_head;
  if (shape->links && (!head || !shape_has_user_rows(shape)))
    return error_set(error, SQLITE_ERROR, "recommend_factors: model \"%s\" has no factors: %s%s", list->reading.name,
                     shape->links == LINK_ITEM_WEIGHTS ? "item_similar_all() gives the weights between its items"
                                                       : "recommend_neighbors() gives its neighbours",
                     shape_has_user_rows(shape) ? ", and the head 'rating' the biases of its predictions" : "");
  if (!head) return SQLITE_OK;
  for (list->head = 0; list->head < HEADS && sqlite3_stricmp(head, head_names[list->head]) != 0;) list->head++;
  if (list->head < HEADS && shape_has_panel(shape, list->head)) return SQLITE_OK;
  return error_set(error, SQLITE_ERROR, "recommend_factors: the model has no head '%s'; it has '%s'%s", head,
                   head_names[shape->score_head],
                   shape_has_panel(shape, HEAD_RATING) && shape_has_panel(shape, HEAD_RANKING) ? " and 'rating'" : "");
}

static int factors_start(TableCall *call, Error *error) {
  FactorList *list = call->state;
  const char *side = argument_text(call, 1, error), *head = argument_text(call, 2, error);
  Model *model = argument_reading(call, 0, ABILITY_ANY, &list->reading, error);
  if (!model) return error->code;
  int code = choose_factors_side(side, head, list, error);
  if (code == SQLITE_OK && !list->of_users)
    code = model_popularity(model, list->reading.items, &list->popularity, error);
  model_end(model);
  if (code != SQLITE_OK) return code;
  const ModelItems *items = list->reading.items;
  list->vector = memory_alloc_aligned((size_t)shape_stride(&items->shape, list->head), sizeof(float));
  if (!list->vector) return error_no_memory(error);
  call->rows = list->of_users ? list->reading.users : (int64_t)items_known(items);
  return read_factors_row(call, error);
}

static void result_factors(const TableCall *call, sqlite3_context *context) {
  const FactorList *list = call->state;
  int rank = list->reading.items->shape.rank[list->head];
  if (!rank) return; /* biases alone: NULL */
  if (list->of_users)
    memcpy(list->vector, list->user.vector[list->head], (size_t)rank * sizeof(float));
  else
    score_panel_get(&list->reading.items->panel[list->head], list->item, list->vector);
  bytes_to_little_endian(list->vector, (size_t)rank);
  sqlite3_result_blob(context, list->vector, rank * (int)sizeof(float), SQLITE_TRANSIENT);
}

static void factors_column(const TableCall *call, sqlite3_context *context, int column) {
  const FactorList *list = call->state;
  const ModelShape *shape = &list->reading.items->shape;
  switch (column) {
    case FACTOR_ID:
      if (list->of_users)
        sqlite3_result_value(context, list->id);
      else
        result_id(context, &list->reading.items->ids, list->item);
      break;
    case FACTOR_BIAS:
      if (!shape->biases[list->head]) break;
      sqlite3_result_double(context, list->of_users ? list->user.offset[list->head] - shape->mean[list->head]
                                                    : (double)list->reading.items->panel[list->head].bias[list->item]);
      break;
    case FACTOR_COUNT:
      sqlite3_result_int64(context, list->of_users ? list->n : (int64_t)list->popularity->count[list->item]);
      break;
    case FACTOR_VECTOR: result_factors(call, context); break;
  }
}

static void factors_end(TableCall *call) {
  FactorList *list = call->state;
  user_free(&list->user);
  sqlite3_value_free(list->id);
  popularity_release(list->popularity);
  reading_end(&list->reading);
  memory_free_aligned(list->vector);
  *list = (FactorList){0};
}

static const TableFunction factors_function = {
    .name = "recommend_factors",
    .schema = "CREATE TABLE x(id, bias REAL, count INTEGER, vector BLOB, _model HIDDEN, _side HIDDEN, _head HIDDEN)",
    .usage = "recommend_factors(model, side [, head])",
    .outputs = 4,
    .arguments = 3,
    .required = 2,
    .rows = 5000,
    .cost = 5000,
    .state_size = sizeof(FactorList),
    .start = factors_start,
    .rewind = read_factors_row,
    .next = read_factors_row,
    .column = factors_column,
    .end = factors_end,
};

int recommend_factors_register(Connection *connection) {
  return table_function_register(connection, &factors_function);
}
