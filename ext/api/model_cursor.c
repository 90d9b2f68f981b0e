/* Planning and reading the model table: which cells a query asks for, and in what order. See model_table.c. */
#include <assert.h>

#include "../answer/predictor.h"
#include "../answer/ranking.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../data/interrupt.h"
#include "../model/resumable_read.h"
#include "model_module.h"
#include "vtab.h"

/* ---- planning ---------------------------------------------------------------------------------------------------- */

/* A plan is a text. Small letters take a value of xFilter's, in order: u user, c one item, i a list of items, s seen,
 * r rowid, l LIMIT, n a NULL for rating IS NULL. Capitals take none: B best first. */
typedef struct Plan {
  char letters[12];
  int length, values;
  int user, item, seen, rating, rowid, limit; /* constraints, or -1 */
  int other;                                  /* constraints that are left to SQLite */
} Plan;

/* Ids are looked up byte by byte: a comparison that ignores case is left to SQLite. */
static int compares_bytes(sqlite3_index_info *info, int constraint) {
  return sqlite3_stricmp(sqlite3_vtab_collation(info, constraint), "BINARY") == 0;
}

static void find_constraints(sqlite3_index_info *info, Plan *plan) {
  *plan = (Plan){.user = -1, .item = -1, .seen = -1, .rating = -1, .rowid = -1, .limit = -1};
  for (int i = 0; i < info->nConstraint; i++) {
    const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];
    int *slot = NULL;
    if (constraint->op == SQLITE_INDEX_CONSTRAINT_EQ && compares_bytes(info, i))
      slot = constraint->iColumn == COLUMN_USER   ? &plan->user
             : constraint->iColumn == COLUMN_ITEM ? &plan->item
             : constraint->iColumn == COLUMN_SEEN ? &plan->seen
             : constraint->iColumn < 0            ? &plan->rowid
                                                  : NULL;
    if (constraint->op == SQLITE_INDEX_CONSTRAINT_ISNULL && constraint->iColumn == COLUMN_RATING) slot = &plan->rating;
    if (constraint->op == SQLITE_INDEX_CONSTRAINT_LIMIT) slot = &plan->limit;
    if (slot && *slot < 0 && constraint->usable)
      *slot = i;
    else
      plan->other++;
  }
}

static void use(sqlite3_index_info *info, Plan *plan, int constraint, char letter, int omit) {
  if (constraint < 0) return;
  assert(plan->length < (int)sizeof plan->letters - 1); /* which stay a text */
  info->aConstraintUsage[constraint].argvIndex = ++plan->values;
  info->aConstraintUsage[constraint].omit = (unsigned char)omit;
  plan->letters[plan->length++] = letter;
}

/* ORDER BY score DESC, or score DESC, item: ties are in order of item anyway. */
static int wants_best_first(const sqlite3_index_info *info) {
  if (info->nOrderBy < 1 || info->nOrderBy > 2) return 0;
  if (info->aOrderBy[0].iColumn != COLUMN_SCORE || !info->aOrderBy[0].desc) return 0;
  return info->nOrderBy == 1 || (info->aOrderBy[1].iColumn == COLUMN_ITEM && !info->aOrderBy[1].desc);
}

int model_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  (void)vtab;
  enum { USERS = 5000, ITEMS = 5000, LIST = 50 }; /* of some typical model: only the proportions matter */
  Plan plan;
  find_constraints(info, &plan);
  double rows;
  if (plan.rowid >= 0) {
    use(info, &plan, plan.rowid, 'r', 1);
    rows = 1;
    info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
  } else {
    int best_first = plan.user >= 0 && wants_best_first(info);
    rows = plan.user >= 0 ? ITEMS : (double)USERS * ITEMS;
    use(info, &plan, plan.user, 'u', 1);
    if (plan.item >= 0) {
      int is_list = sqlite3_vtab_in(info, plan.item, 1);
      use(info, &plan, plan.item, is_list ? 'i' : 'c', 1);
      rows *= (double)(is_list ? LIST : 1) / ITEMS;
    }
    use(info, &plan, plan.seen, 's', 1);
    use(info, &plan, plan.rating, 'n', 1);
    /* Only where nothing is filtered or sorted behind us does LIMIT say how many rows will be read. */
    if (!plan.other && best_first) use(info, &plan, plan.limit, 'l', 0);
    if (best_first) {
      plan.letters[plan.length++] = 'B';
      info->orderByConsumed = 1;
    }
  }
  info->estimatedRows = rows < 1 ? 1 : (sqlite3_int64)rows;
  info->estimatedCost = 20 + rows * 2;
  info->idxStr = sqlite3_mprintf("%s", plan.letters);
  info->needToFreeIdxStr = 1;
  return info->idxStr ? SQLITE_OK : SQLITE_NOMEM;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

typedef struct ModelCursor {
  sqlite3_vtab_cursor base;
  Interrupt interrupt;
  Reading reading;
  /* what is asked for */
  SeenFilter seen;
  int rating_is_null;
  int has_candidates;
  uint32_t *candidates;
  size_t candidate_count;
  int best_first;
  int64_t limit;
  int64_t next_user, last_user; /* those still to come; next_user > last_user: none */
  /* where it is */
  ModelUser user;
  sqlite3_value *user_id;
  History history;
  Predictor predictor; /* of a model that predicts ratings */
  Ranking ranking;
  int at_end;
} ModelCursor;

static void leave_user(ModelCursor *cursor) {
  user_free(&cursor->user);
  sqlite3_value_free(cursor->user_id);
  cursor->user_id = NULL;
  history_free(&cursor->history);
  ranking_free(&cursor->ranking);
}

static void end_scan(ModelCursor *cursor) {
  leave_user(cursor);
  predictor_end(&cursor->predictor);
  reading_end(&cursor->reading);
  memory_free(cursor->candidates);
  cursor->candidates = NULL;
  interrupt_end(&cursor->interrupt);
  cursor->at_end = 1;
}

static int rank_user(ModelCursor *cursor, Error *error) {
  RankingRequest request = {
      .items = cursor->reading.items,
      .user = &cursor->user,
      .history = &cursor->history,
      .seen = cursor->seen,
      .has_candidates = cursor->has_candidates,
      .candidates = cursor->candidates,
      .candidate_count = cursor->candidate_count,
      .best_first = cursor->best_first,
      .limit = cursor->limit,
      .threads = parallel_threads(0),
      .cancel = &cursor->interrupt.cancel,
  };
  return error_from_code(error, ranking_start(&cursor->ranking, &request));
}

/* Reads one user; the model has begun. */
static int enter_user(ModelCursor *cursor, Model *model, uint32_t user, Error *error) {
  leave_user(cursor);
  int code = model_user_at(model, cursor->reading.items, user, &cursor->user, &cursor->history, error);
  if (code == SQLITE_OK) code = model_user_row(model, user, &cursor->user_id, NULL, error);
  if (code == SQLITE_OK && cursor->reading.items->shape.prediction_head >= 0) {
    const PredictorUser who = predictor_user_of(cursor->reading.items, &cursor->user, &cursor->history);
    if (!cursor->predictor.items)
      code = predictor_begin(&cursor->predictor, model, cursor->reading.items, &cursor->interrupt.cancel, error);
    if (code == SQLITE_OK) code = predictor_user(&cursor->predictor, model, &who, error);
  }
  return code == SQLITE_OK ? rank_user(cursor, error) : code;
}

/* Goes on to the next user who has a row. Each is read under a snapshot of its own; the stamps say whether it is still
 * the same model. */
static int model_cursor_seek_row(ModelCursor *cursor, Error *error) {
  int code = SQLITE_OK;
  while (code == SQLITE_OK && ranking_at_end(&cursor->ranking)) {
    if (cursor->next_user > cursor->last_user) {
      cursor->at_end = 1;
      return SQLITE_OK;
    }
    Model *model = NULL;
    code = reading_resume(&cursor->reading, &model, error);
    if (code != SQLITE_OK) return code;
    code = enter_user(cursor, model, (uint32_t)cursor->next_user++, error);
    model_end(model);
  }
  return code;
}

static SeenFilter seen_filter(sqlite3_value *value) {
  int type = sqlite3_value_numeric_type(value);
  if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) return SEEN_NEITHER;
  double seen = sqlite3_value_double(value);
  return seen == 0 ? UNSEEN_ONLY : seen == 1 ? SEEN_ONLY : SEEN_NEITHER;
}

/* A NULL or an unknown user or item leaves nothing. */
static int take_user(ModelCursor *cursor, Model *model, sqlite3_value *value, Error *error) {
  Id id;
  uint32_t index = 0;
  int found = 0;
  int there = id_from_value_as(value, cursor->reading.items->user_affinity, &id);
  int code = there < 0 ? error_no_memory(error) : SQLITE_OK;
  if (there > 0) code = model_user_index(model, &id, &index, &found, error);
  cursor->next_user = found ? index : 1;
  cursor->last_user = found ? index : 0;
  return code;
}

static int take_items(ModelCursor *cursor, sqlite3_value **values, size_t count, Error *error) {
  cursor->has_candidates = 1;
  int code = ranking_candidates(cursor->reading.items, values, count, &cursor->candidates, &cursor->candidate_count);
  return code == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
}

static int take_item_list(ModelCursor *cursor, sqlite3_value *in_list, Error *error) {
  ValueList list = {0};
  int code = value_list_add_all(&list, in_list);
  if (code == SQLITE_OK)
    code = take_items(cursor, list.values, list.count, error);
  else
    error_from_database(error, ((ModelTable *)cursor->base.pVtab)->connection->db, code, NULL);
  value_list_free(&list);
  return code;
}

static int take_rowid(ModelCursor *cursor, sqlite3_value *value, Error *error) {
  int64_t rowid = -1;
  int whole = value_is_whole(value, &rowid);
  int64_t user = rowid >> 32, item = rowid & UINT32_MAX;
  int there = whole && rowid >= 0 && user < cursor->reading.users && item < (int64_t)cursor->reading.items->ids.count;
  cursor->next_user = there ? user : 1;
  cursor->last_user = there ? user : 0;
  cursor->has_candidates = 1;
  cursor->candidates = memory_alloc(1, sizeof *cursor->candidates);
  if (!cursor->candidates) return error_no_memory(error);
  cursor->candidates[0] = (uint32_t)item;
  cursor->candidate_count = 1;
  return SQLITE_OK;
}

static int take_plan(ModelCursor *cursor, Model *model, const char *letters, sqlite3_value **values, Error *error) {
  int code = SQLITE_OK, value = 0;
  cursor->seen = SEEN_OR_NOT;
  cursor->rating_is_null = cursor->has_candidates = cursor->best_first = 0;
  cursor->candidate_count = 0;
  cursor->limit = INT64_MAX;
  cursor->next_user = 0;
  cursor->last_user = cursor->reading.users - 1;
  for (; *letters && code == SQLITE_OK; letters++) switch (*letters) {
      case 'u': code = take_user(cursor, model, values[value++], error); break;
      case 'c': code = take_items(cursor, &values[value++], 1, error); break;
      case 'i': code = take_item_list(cursor, values[value++], error); break;
      case 'r': code = take_rowid(cursor, values[value++], error); break;
      case 's': cursor->seen = seen_filter(values[value++]); break;
      case 'n':
        value++;
        cursor->rating_is_null = 1;
        break;
      case 'l':
        cursor->limit = sqlite3_value_int64(values[value++]);
        if (cursor->limit < 0) cursor->limit = INT64_MAX;
        break;
      case 'B': cursor->best_first = 1; break;
    }
  /* No rating is the same as not seen. */
  if (cursor->rating_is_null)
    cursor->seen = cursor->seen == SEEN_ONLY || cursor->seen == SEEN_NEITHER ? SEEN_NEITHER : UNSEEN_ONLY;
  return code;
}

int model_cursor_filter(sqlite3_vtab_cursor *base, int plan, const char *letters, int count, sqlite3_value **values) {
  (void)plan;
  (void)count;
  ModelCursor *cursor = (ModelCursor *)base;
  ModelTable *table = (ModelTable *)base->pVtab;
  Error error = {0};
  Model *model = NULL;
  end_scan(cursor);
  cursor->at_end = 0;
  connection_interrupt(table->connection, &cursor->interrupt);
  int code = connection_open(table->connection, table_name(table), &model, &error);
  if (code == SQLITE_OK) code = reading_start(&cursor->reading, table->connection, model, &error);
  if (code == SQLITE_OK) {
    code = take_plan(cursor, model, letters, values, &error);
    if (code == SQLITE_OK && cursor->next_user <= cursor->last_user)
      code = enter_user(cursor, model, (uint32_t)cursor->next_user++, &error);
    model_end(model);
  }
  if (code == SQLITE_OK) code = model_cursor_seek_row(cursor, &error);
  if (code == SQLITE_OK) return SQLITE_OK;
  end_scan(cursor);
  return vtab_report(base->pVtab, &error);
}

int model_cursor_next(sqlite3_vtab_cursor *base) {
  ModelCursor *cursor = (ModelCursor *)base;
  Error error = {0};
  ranking_next(&cursor->ranking);
  int code = model_cursor_seek_row(cursor, &error);
  if (code == SQLITE_OK) return SQLITE_OK;
  end_scan(cursor);
  return vtab_report(base->pVtab, &error);
}

int model_cursor_eof(sqlite3_vtab_cursor *base) { return ((ModelCursor *)base)->at_end; }

static int result_prediction(ModelCursor *cursor, uint32_t item, sqlite3_context *context) {
  Error error = {0};
  double prediction = 0;
  if (cursor->reading.items->shape.prediction_head < 0) return SQLITE_OK;
  int code = predictor_rate(&cursor->predictor, item, &prediction, &error);
  if (code != SQLITE_OK) return vtab_report(cursor->base.pVtab, &error);
  sqlite3_result_double(context, prediction);
  return SQLITE_OK;
}

static void result_time(const History *history, uint32_t item, sqlite3_context *context) {
  size_t place = history_place(history, item);
  if (place == history->count || !history->time || history->time[place] == NO_TIME) return;
  sqlite3_result_int64(context, history->time[place]);
}

int model_cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  ModelCursor *cursor = (ModelCursor *)base;
  assert(!cursor->at_end);
  if (sqlite3_vtab_nochange(context)) return SQLITE_OK; /* an UPDATE leaves it as it is: see model_command.c */
  uint32_t item = ranking_item(&cursor->ranking);
  double rating = 0;
  int seen = column == COLUMN_RATING || column == COLUMN_SEEN ? history_find(&cursor->history, item, &rating) : 0;
  switch (column) {
    case COLUMN_USER: sqlite3_result_value(context, cursor->user_id); break;
    case COLUMN_ITEM: result_id(context, &cursor->reading.items->ids, item); break;
    case COLUMN_SCORE: sqlite3_result_double(context, ranking_score(&cursor->ranking)); break;
    case COLUMN_PREDICTION: return result_prediction(cursor, item, context);
    case COLUMN_RATING:
      if (seen) sqlite3_result_double(context, rating);
      break;
    case COLUMN_SEEN: sqlite3_result_int(context, seen); break;
    case COLUMN_TIMESTAMP: result_time(&cursor->history, item, context); break;
  }
  return SQLITE_OK;
}

int model_cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  const ModelCursor *cursor = (const ModelCursor *)base;
  *rowid = (sqlite3_int64)cursor->user.index << 32 | ranking_item(&cursor->ranking);
  return SQLITE_OK;
}

int model_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **base) {
  (void)vtab;
  ModelCursor *cursor = memory_alloc_zero(1, sizeof *cursor);
  if (!cursor) return SQLITE_NOMEM;
  cursor->at_end = 1;
  *base = &cursor->base;
  return SQLITE_OK;
}

int model_cursor_close(sqlite3_vtab_cursor *base) {
  end_scan((ModelCursor *)base);
  memory_free(base);
  return SQLITE_OK;
}
