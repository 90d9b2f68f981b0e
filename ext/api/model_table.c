/* The module `recommender`: CREATE VIRTUAL TABLE taste USING recommender(train=mf, source=ratings, size=32, options='{}').
 *
 * The table has a row for every user and item; SELECT computes those that are asked for:
 *
 *     user, item      ids, of the source's affinity
 *     score           what ranks the items of a user
 *     prediction      the rating expected, on the scale of the ratings; NULL where there is none
 *     rating, seen    what the user did: the rating or NULL, 1 or 0
 *     <model>, payload  hidden; INSERT INTO taste(taste) VALUES('retrain') is a command
 *
 * rowid = user index << 32 | item index. */
#include "model_table.h"

#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../data/interrupt.h"
#include "../model/store.h"
#include "ranking.h"
#include "train.h"

enum {
  COLUMN_USER,
  COLUMN_ITEM,
  COLUMN_SCORE,
  COLUMN_PREDICTION,
  COLUMN_RATING,
  COLUMN_SEEN,
  COLUMN_COMMAND,
  COLUMN_PAYLOAD
};

static const char payload_type[] = "recommend_trained_model";

typedef struct ModelTable {
  sqlite3_vtab base;
  Connection *connection;
  char *schema, *name;
} ModelTable;

int model_table_has_column(const char *name) {
  static const char *const columns[] = {"user", "item", "score", "prediction", "rating", "seen", "payload", "rowid"};
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
    if (sqlite3_stricmp(name, columns[i]) == 0) return 1;
  return 0;
}

static ModelName table_name(const ModelTable *table) { return (ModelName){table->schema, table->name}; }

/* ---- connecting --------------------------------------------------------------------------------------------------------- */

/* The affinities of the id columns, for the declaration. A damaged model must still connect, or it could not be dropped. */
static void read_affinities(sqlite3 *db, ModelName name, IdAffinity *user, IdAffinity *item) {
  *user = *item = ID_AFFINITY_BLOB;
  char *sql = sqlite3_mprintf("SELECT key, value FROM \"%w\".\"%w_config\" WHERE key IN ('user_affinity', 'item_affinity')",
                              name.schema, name.name);
  sqlite3_stmt *statement = NULL;
  if (sql && sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK)
    while (sqlite3_step(statement) == SQLITE_ROW) {
      const char *key = (const char *)sqlite3_column_text(statement, 0);
      IdAffinity affinity = id_affinity_of((const char *)sqlite3_column_text(statement, 1));
      if (key) *(*key == 'u' ? user : item) = affinity;
    }
  sqlite3_finalize(statement);
  sqlite3_free(sql);
}

static int declare(sqlite3 *db, ModelName name, IdAffinity user, IdAffinity item, Error *error) {
  char *sql = sqlite3_mprintf("CREATE TABLE x(user %s, item %s, score REAL, prediction REAL, rating REAL, seen INTEGER, "
                              "\"%w\" HIDDEN, payload HIDDEN)",
                              id_affinity_name(user), id_affinity_name(item), name.name);
  if (!sql) return error_no_memory(error);
  int code = sqlite3_declare_vtab(db, sql);
  sqlite3_free(sql);
  if (code == SQLITE_OK) code = sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
  return code == SQLITE_OK ? SQLITE_OK : error_from_database(error, db, code, NULL);
}

static void table_free(ModelTable *table) {
  if (!table) return;
  sqlite3_free(table->schema);
  sqlite3_free(table->name);
  memory_free(table);
}

static int table_new(Connection *connection, const char *const *arguments, ModelTable **created, Error *error) {
  ModelTable *table = memory_alloc_zero(1, sizeof *table);
  *created = table;
  if (!table) return error_no_memory(error);
  table->connection = connection;
  table->schema = sqlite3_mprintf("%s", arguments[1]);
  table->name = sqlite3_mprintf("%s", arguments[2]);
  return table->schema && table->name ? SQLITE_OK : error_no_memory(error);
}

static int finish_connect(ModelTable *table, int code, Error *error, sqlite3_vtab **vtab, char **message) {
  if (code == SQLITE_OK) {
    *vtab = &table->base;
  } else {
    *message = error->message;
    error->message = NULL;
    table_free(table);
  }
  error_clear(error);
  return code;
}

static int table_connect(sqlite3 *db, void *context, int count, const char *const *arguments, sqlite3_vtab **vtab,
                         char **message) {
  (void)count;
  ModelTable *table = NULL;
  Error error = {0};
  IdAffinity user, item;
  int code = table_new(context, arguments, &table, &error);
  if (code == SQLITE_OK) {
    read_affinities(db, table_name(table), &user, &item);
    code = declare(db, table_name(table), user, item, &error);
  }
  return finish_connect(table, code, &error, vtab, message);
}

/* ---- CREATE VIRTUAL TABLE --------------------------------------------------------------------------------------------------- */

/* The value of "key=value", without quotes or parentheses, if the key is this one. NULL in *value where it is not;
 * SQLITE_NOMEM. */
static int module_argument(const char *argument, const char *key, char **value) {
  size_t length = strlen(key);
  while (*argument == ' ' || (*argument >= '\t' && *argument <= '\r')) argument++;
  if (sqlite3_strnicmp(argument, key, (int)length) != 0) return SQLITE_OK;
  argument += length;
  while (*argument == ' ' || (*argument >= '\t' && *argument <= '\r')) argument++;
  if (*argument != '=') return SQLITE_OK;
  argument++;
  while (*argument == ' ' || (*argument >= '\t' && *argument <= '\r')) argument++;
  size_t end = strlen(argument);
  while (end && (argument[end - 1] == ' ' || (argument[end - 1] >= '\t' && argument[end - 1] <= '\r'))) end--;
  char open = *argument, close = open == '[' ? ']' : open == '(' ? ')' : open == '\'' || open == '"' || open == '`' ? open : 0;
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

typedef struct ModuleArguments {
  char *train, *source, *size, *options;
} ModuleArguments;

static void module_arguments_free(ModuleArguments *given) {
  sqlite3_free(given->train);
  sqlite3_free(given->source);
  sqlite3_free(given->size);
  sqlite3_free(given->options);
}

static int read_module_arguments(int count, const char *const *arguments, ModuleArguments *given, Error *error) {
  static const char usage[] = "recommender(train=mf, source=ratings, size=32, options='{\"epochs\": 20}')";
  const struct {
    const char *key;
    char **value;
  } known[] = {
      {"train", &given->train}, {"source", &given->source}, {"size", &given->size}, {"options", &given->options}};
  for (int i = 3; i < count; i++) {
    int taken = 0;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
      char *value = NULL;
      if (module_argument(arguments[i], known[k].key, &value) != SQLITE_OK) return error_no_memory(error);
      if (!value) continue;
      sqlite3_free(*known[k].value);
      *known[k].value = value;
      taken = 1;
    }
    if (!taken)
      return error_set(error, SQLITE_ERROR, "recommender: argument \"%s\" is unknown: write %s", arguments[i], usage);
  }
  if (!given->train || !given->source || !given->size)
    return error_set(error, SQLITE_ERROR, "recommender: \"train\", \"source\" and \"size\" are needed: write %s", usage);
  return SQLITE_OK;
}

static int parse_size(const char *text, int64_t *size) {
  *size = 0;
  if (!*text || strlen(text) > 9) return 0;
  for (; *text; text++) {
    if (*text < '0' || *text > '9') return 0;
    *size = *size * 10 + (*text - '0');
  }
  return 1;
}

static int create_shadows(ModelTable *table, const TrainedModel *trained, Error *error) {
  sqlite3 *db = table->connection->db;
  int code = shadow_create(db, table_name(table), error);
  if (code == SQLITE_OK) code = store_write(db, table_name(table), trained, error);
  if (code == SQLITE_OK) code = declare(db, table_name(table), trained->user_affinity, trained->item_affinity, error);
  return code;
}

/* A user's own CREATE VIRTUAL TABLE: train now. */
static int create_by_training(ModelTable *table, int count, const char *const *arguments, Error *error) {
  ModuleArguments given = {0};
  ModelName name = table_name(table);
  Training *training = NULL;
  TrainRequest request = {.model = &name};
  int code = read_module_arguments(count, arguments, &given, error);
  if (code == SQLITE_OK && !(request.family = family_named(given.train)))
    code = error_set(error, SQLITE_ERROR, "recommender: there is no training of the kind \"%s\"; there is \"mf\"",
                     given.train);
  if (code == SQLITE_OK && !parse_size(given.size, &request.size))
    code = error_set(error, SQLITE_ERROR, "recommender: size must be a whole number, not \"%s\"", given.size);
  if (code == SQLITE_OK) {
    request.source = given.source;
    request.options = given.options;
    code = training_begin(table->connection, &request, &training, error);
  }
  if (code == SQLITE_OK) code = training_run(training, error);
  if (code == SQLITE_OK) code = create_shadows(table, &training->trained, error);
  training_end(training);
  module_arguments_free(&given);
  return code;
}

static int table_create(sqlite3 *db, void *context, int count, const char *const *arguments, sqlite3_vtab **vtab,
                        char **message) {
  (void)db;
  Connection *connection = context;
  const TrainedModel *storing = connection->storing;
  connection->storing = NULL; /* meant for this one table */
  ModelTable *table = NULL;
  Error error = {0};
  int code = table_new(connection, arguments, &table, &error);
  if (code == SQLITE_OK && model_table_has_column(table->name))
    code = error_set(&error, SQLITE_ERROR,
                     "recommender: a model can't be called \"%s\", which is a column of every model", table->name);
  if (code == SQLITE_OK)
    code = storing ? create_shadows(table, storing, &error) : create_by_training(table, count, arguments, &error);
  if (code == SQLITE_OK) connection_forget(connection, table_name(table));
  return finish_connect(table, code, &error, vtab, message);
}

static int table_disconnect(sqlite3_vtab *vtab) {
  table_free((ModelTable *)vtab);
  return SQLITE_OK;
}

/* Hands the error to SQLite: first the message, then the code. */
static int report(sqlite3_vtab *vtab, Error *error) {
  int code = error->code;
  if (error->message) {
    sqlite3_free(vtab->zErrMsg);
    vtab->zErrMsg = error->message;
    error->message = NULL;
  }
  error_clear(error);
  return code;
}

static int table_destroy(sqlite3_vtab *vtab) {
  ModelTable *table = (ModelTable *)vtab;
  Error error = {0};
  connection_forget(table->connection, table_name(table));
  int code = shadow_drop(table->connection->db, table_name(table), &error);
  if (code != SQLITE_OK) return report(vtab, &error);
  table_free(table);
  return SQLITE_OK;
}

static int table_rename(sqlite3_vtab *vtab, const char *new_name) {
  ModelTable *table = (ModelTable *)vtab;
  Error error = {0};
  connection_forget(table->connection, table_name(table));
  int code = SQLITE_OK;
  if (model_table_has_column(new_name))
    code = error_set(&error, SQLITE_ERROR, "a model can't be called \"%s\", which is a column of every model", new_name);
  if (code == SQLITE_OK) code = shadow_rename(table->connection->db, table_name(table), new_name, &error);
  return code == SQLITE_OK ? SQLITE_OK : report(vtab, &error);
}

static int table_shadow_name(const char *suffix) { return shadow_is_suffix(suffix); }

/* ---- storing -------------------------------------------------------------------------------------------------------------------- */

static int run_with_payload(sqlite3 *db, const char *sql, const TrainedModel *trained, Error *error) {
  sqlite3_stmt *statement = NULL;
  int code = sql ? sqlite3_prepare_v2(db, sql, -1, &statement, NULL) : SQLITE_NOMEM;
  if (code == SQLITE_OK && sqlite3_bind_parameter_count(statement))
    code = sqlite3_bind_pointer(statement, 1, (void *)(uintptr_t)trained, payload_type, NULL);
  if (code == SQLITE_OK) sqlite3_step(statement);
  int finalized = sqlite3_finalize(statement);
  if (code == SQLITE_OK) code = finalized;
  return code == SQLITE_OK ? SQLITE_OK : error_from_database(error, db, code, NULL);
}

int model_table_store(Connection *connection, ModelName name, const TrainedModel *trained, int replaces,
                      Error *error) {
  char *sql = replaces ? sqlite3_mprintf("INSERT INTO \"%w\".\"%w\"(\"%w\", payload) SELECT 'store', ?1", name.schema,
                                         name.name, name.name)
                       : sqlite3_mprintf("CREATE VIRTUAL TABLE \"%w\".\"%w\" USING recommender(train=%s, source=%Q, "
                                         "size=%lld, options=%Q)",
                                         name.schema, name.name, trained->family, trained->source, trained->size,
                                         trained->options);
  if (!replaces) connection->storing = trained;
  int code = run_with_payload(connection->db, sql, trained, error);
  connection->storing = NULL;
  sqlite3_free(sql);
  return code;
}

/* ---- commands ------------------------------------------------------------------------------------------------------------------- */

/* What a model was trained from, as m_config has it. */
typedef struct Origin {
  char *family, *source, *source_schema, *options;
  int64_t size;
  int is_query;
} Origin;

static void origin_free(Origin *origin) {
  sqlite3_free(origin->family);
  sqlite3_free(origin->source);
  sqlite3_free(origin->source_schema);
  sqlite3_free(origin->options);
}

static int read_origin(ModelTable *table, Origin *origin, Error *error) {
  sqlite3 *db = table->connection->db;
  sqlite3_stmt *statement = NULL;
  int code = shadow_prepare(db, table_name(table), &statement, error,
                            "SELECT max(value) FILTER (WHERE key = 'family'), max(value) FILTER (WHERE key = 'source'), "
                            "max(value) FILTER (WHERE key = 'source_schema'), "
                            "max(value) FILTER (WHERE key = 'options'), max(value) FILTER (WHERE key = 'size'), "
                            "max(value) FILTER (WHERE key = 'source_is_query') FROM \"%w\".\"%w_config\"",
                            table->schema, table->name);
  if (code != SQLITE_OK) return code;
  code = sqlite3_step(statement);
  if (code == SQLITE_ROW) {
    char **texts[] = {&origin->family, &origin->source, &origin->source_schema, &origin->options};
    code = SQLITE_OK;
    for (int i = 0; i < 4 && code == SQLITE_OK; i++) {
      const char *text = (const char *)sqlite3_column_text(statement, i);
      if (!text) {
        code = shadow_damaged(error, table_name(table), "it does not say what it was trained from");
      } else if (!(*texts[i] = sqlite3_mprintf("%s", text))) {
        code = error_no_memory(error);
      }
    }
    origin->size = sqlite3_column_int64(statement, 4);
    origin->is_query = sqlite3_column_int(statement, 5) != 0;
  } else {
    error_from_database(error, db, code, NULL);
  }
  sqlite3_finalize(statement);
  return code;
}

/* Nothing that is stored in the file is ever run as SQL: only the name of a table or view is used. */
static int command_retrain(ModelTable *table, Error *error) {
  Origin origin = {0};
  ModelName name = table_name(table);
  Training *training = NULL;
  char *source = NULL;
  TrainRequest request = {.model = &name};
  int code = read_origin(table, &origin, error);
  if (code == SQLITE_OK && origin.is_query)
    code = error_set(error, SQLITE_ERROR,
                     "retrain: model \"%s\" was trained from a SELECT, which is not run again: make it a view, and "
                     "train from the view",
                     table->name);
  if (code == SQLITE_OK && !(request.family = family_named(origin.family)))
    code = shadow_damaged(error, name, "it is of the unknown family \"%s\"", origin.family);
  if (code == SQLITE_OK &&
      !(source = sqlite3_mprintf("\"%w\".\"%w\"", *origin.source_schema ? origin.source_schema : table->schema,
                                 origin.source)))
    code = error_no_memory(error);
  if (code == SQLITE_OK) {
    request.source = source;
    request.size = origin.size;
    request.options = origin.options;
    code = training_begin(table->connection, &request, &training, error);
  }
  if (code == SQLITE_OK) code = training_run(training, error);
  if (code == SQLITE_OK) {
    training->replaces = 1;
    code = training_store(training, error);
  }
  training_end(training);
  sqlite3_free(source);
  origin_free(&origin);
  return code;
}

static int command_check(ModelTable *table, Error *error) {
  Model *model = NULL;
  Interrupt interrupt;
  interrupt_begin(&interrupt, table->connection->db);
  int code = connection_open(table->connection, table_name(table), &model, error);
  if (code == SQLITE_OK) code = model_check(model, &interrupt.cancel, error);
  interrupt_end(&interrupt);
  return code;
}

static int run_command(ModelTable *table, const char *command, sqlite3_value *payload, Error *error) {
  if (sqlite3_stricmp(command, "store") == 0) {
    const TrainedModel *trained = sqlite3_value_pointer(payload, payload_type);
    if (trained) return store_write(table->connection->db, table_name(table), trained, error);
  }
  if (sqlite3_stricmp(command, "retrain") == 0) return command_retrain(table, error);
  if (sqlite3_stricmp(command, "integrity-check") == 0) return command_check(table, error);
  return error_set(error, SQLITE_ERROR, "model \"%s\": there is no command '%s'; there are 'retrain' and 'integrity-check'",
                   table->name, command);
}

static int table_update(sqlite3_vtab *vtab, int count, sqlite3_value **values, sqlite3_int64 *rowid) {
  ModelTable *table = (ModelTable *)vtab;
  Error error = {0};
  int code;
  *rowid = 0;
  int inserts = count > 1 && sqlite3_value_type(values[0]) == SQLITE_NULL;
  sqlite3_value *command = inserts ? values[2 + COLUMN_COMMAND] : NULL;
  if (command && sqlite3_value_type(command) == SQLITE_TEXT) {
    const char *text = (const char *)sqlite3_value_text(command);
    code = text ? run_command(table, text, values[2 + COLUMN_PAYLOAD], &error) : error_no_memory(&error);
  } else {
    code = error_set(&error, SQLITE_ERROR,
                     "model \"%s\" is computed from its ratings: change those in the table it was trained from, then "
                     "INSERT INTO \"%w\"(\"%w\") VALUES('retrain')",
                     table->name, table->name, table->name);
  }
  return code == SQLITE_OK ? SQLITE_OK : report(vtab, &error);
}

#if SQLITE_VERSION_NUMBER >= 3044000
/* PRAGMA integrity_check. Damage is a finding, in *message; anything else is an error. */
static int table_integrity(sqlite3_vtab *vtab, const char *schema, const char *name, int flags, char **message) {
  (void)schema, (void)name, (void)flags;
  Error error = {0};
  int code = command_check((ModelTable *)vtab, &error);
  if ((code & 0xff) == SQLITE_CORRUPT) {
    *message = error.message;
    error.message = NULL;
    code = SQLITE_OK;
  }
  error_clear(&error);
  return code;
}
#endif

/* ---- planning ---------------------------------------------------------------------------------------------------------------------- */

/* A plan is a text. Small letters take a value of xFilter's, in order: u user, c one item, i a list of items, s seen,
 * r rowid, l LIMIT, n a NULL for rating IS NULL. Capitals take none: B best first. */
typedef struct Plan {
  char letters[12];
  int length, values;
  int user, item, seen, rating, rowid, limit; /* constraints, or -1 */
  int other; /* constraints that are left to SQLite */
} Plan;

static void find_constraints(const sqlite3_index_info *info, Plan *plan) {
  *plan = (Plan){.user = -1, .item = -1, .seen = -1, .rating = -1, .rowid = -1, .limit = -1};
  for (int i = 0; i < info->nConstraint; i++) {
    const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];
    int *slot = NULL;
    if (constraint->op == SQLITE_INDEX_CONSTRAINT_EQ)
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

static int table_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
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

/* ---- reading ------------------------------------------------------------------------------------------------------------------------ */

typedef struct ModelCursor {
  sqlite3_vtab_cursor base;
  Interrupt interrupt;
  ModelItems *items;
  int64_t user_stamp;
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
  items_release(cursor->items);
  cursor->items = NULL;
  memory_free(cursor->candidates);
  cursor->candidates = NULL;
  interrupt_end(&cursor->interrupt);
  cursor->at_end = 1;
}

static int rank_user(ModelCursor *cursor, Error *error) {
  RankingRequest request = {
      .items = cursor->items,
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
  return interrupt_error(error, ranking_start(&cursor->ranking, &request));
}

/* Reads one user; the model has begun. */
static int enter_user(ModelCursor *cursor, Model *model, uint32_t user, Error *error) {
  leave_user(cursor);
  int code = model_user_at(model, cursor->items, user, &cursor->user, error);
  if (code == SQLITE_OK) code = model_user_row(model, user, &cursor->user_id, NULL, error);
  if (code == SQLITE_OK) code = model_history(model, cursor->items, user, &cursor->history, error);
  return code == SQLITE_OK ? rank_user(cursor, error) : code;
}

/* Goes on to the next user who has a row. Each is read under a snapshot of its own; the stamps say whether it is still
 * the same model. */
static int seek_row(ModelCursor *cursor, Error *error) {
  ModelTable *table = (ModelTable *)cursor->base.pVtab;
  int code = SQLITE_OK;
  while (code == SQLITE_OK && ranking_at_end(&cursor->ranking)) {
    if (cursor->next_user > cursor->last_user) {
      cursor->at_end = 1;
      return SQLITE_OK;
    }
    Model *model = NULL;
    ModelItems *items = NULL;
    code = connection_open(table->connection, table_name(table), &model, error);
    if (code == SQLITE_OK) code = model_begin(model, &items, error);
    if (code != SQLITE_OK) return code;
    if (items != cursor->items || model_user_stamp(model) != cursor->user_stamp)
      code = error_set(error, SQLITE_ABORT, "model \"%s\" was changed while it was being read: run the query again",
                       table->name);
    else
      code = enter_user(cursor, model, (uint32_t)cursor->next_user++, error);
    model_end(model);
    items_release(items);
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
  int there = id_from_value_as(value, cursor->items->user_affinity, &id);
  int code = there < 0 ? error_no_memory(error) : SQLITE_OK;
  if (there > 0) code = model_user_index(model, cursor->items, &id, &index, &found, error);
  cursor->next_user = found ? index : 1;
  cursor->last_user = found ? index : 0;
  return code;
}

static int take_items(ModelCursor *cursor, sqlite3_value **values, size_t count, Error *error) {
  cursor->has_candidates = 1;
  int code = ranking_candidates(cursor->items, values, count, &cursor->candidates, &cursor->candidate_count);
  return code == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
}

static int take_item_list(ModelCursor *cursor, sqlite3_value *list, Error *error) {
  sqlite3_value *value = NULL, **copies = NULL;
  size_t count = 0;
  int code = sqlite3_vtab_in_first(list, &value);
  for (; code == SQLITE_OK && value; code = sqlite3_vtab_in_next(list, &value)) {
    if ((count & (count - 1)) == 0) {
      sqlite3_value **grown = memory_resize(copies, count ? 2 * count : 1, sizeof *grown);
      if (!grown) break;
      copies = grown;
    }
    if (!(copies[count] = sqlite3_value_dup(value))) break;
    count++;
  }
  if (code == SQLITE_OK && value) code = SQLITE_NOMEM;
  if (code == SQLITE_OK || code == SQLITE_DONE)
    code = take_items(cursor, copies, count, error);
  else
    error_from_database(error, ((ModelTable *)cursor->base.pVtab)->connection->db, code, NULL);
  for (size_t i = 0; i < count; i++) sqlite3_value_free(copies[i]);
  memory_free(copies);
  return code;
}

static int take_rowid(ModelCursor *cursor, sqlite3_value *value, Error *error) {
  int64_t rowid = sqlite3_value_int64(value), user = rowid >> 32, item = rowid & UINT32_MAX;
  int whole = sqlite3_value_numeric_type(value) == SQLITE_INTEGER ||
              (sqlite3_value_type(value) == SQLITE_FLOAT && sqlite3_value_double(value) == (double)rowid);
  int there = whole && rowid >= 0 && user < cursor->items->users && item < (int64_t)cursor->items->ids.count;
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
  cursor->last_user = cursor->items->users - 1;
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
  if (cursor->rating_is_null) cursor->seen = cursor->seen == SEEN_ONLY || cursor->seen == SEEN_NEITHER ? SEEN_NEITHER : UNSEEN_ONLY;
  return code;
}

static int cursor_filter(sqlite3_vtab_cursor *base, int plan, const char *letters, int count, sqlite3_value **values) {
  (void)plan;
  (void)count;
  ModelCursor *cursor = (ModelCursor *)base;
  ModelTable *table = (ModelTable *)base->pVtab;
  Error error = {0};
  Model *model = NULL;
  end_scan(cursor);
  cursor->at_end = 0;
  interrupt_begin(&cursor->interrupt, table->connection->db);
  int code = connection_open(table->connection, table_name(table), &model, &error);
  if (code == SQLITE_OK) code = model_begin(model, &cursor->items, &error);
  if (code == SQLITE_OK) {
    cursor->user_stamp = model_user_stamp(model);
    code = take_plan(cursor, model, letters, values, &error);
    if (code == SQLITE_OK && cursor->next_user <= cursor->last_user)
      code = enter_user(cursor, model, (uint32_t)cursor->next_user++, &error);
    model_end(model);
  }
  if (code == SQLITE_OK) code = seek_row(cursor, &error);
  if (code == SQLITE_OK) return SQLITE_OK;
  end_scan(cursor);
  return report(base->pVtab, &error);
}

static int cursor_next(sqlite3_vtab_cursor *base) {
  ModelCursor *cursor = (ModelCursor *)base;
  Error error = {0};
  ranking_next(&cursor->ranking);
  int code = seek_row(cursor, &error);
  if (code == SQLITE_OK) return SQLITE_OK;
  end_scan(cursor);
  return report(base->pVtab, &error);
}

static int cursor_eof(sqlite3_vtab_cursor *base) { return ((ModelCursor *)base)->at_end; }

static void result_prediction(const ModelCursor *cursor, uint32_t item, sqlite3_context *context) {
  const ModelShape *shape = &cursor->items->shape;
  int head = shape->prediction_head;
  if (head < 0) return;
  double score = (double)score_panel_score(&cursor->items->panel[head], item, cursor->user.vector[head]);
  sqlite3_result_double(context, shape_clip(shape, score + cursor->user.offset[head]));
}

static int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  const ModelCursor *cursor = (const ModelCursor *)base;
  uint32_t item = ranking_item(&cursor->ranking);
  double rating = 0;
  int seen = column == COLUMN_RATING || column == COLUMN_SEEN ? history_find(&cursor->history, item, &rating) : 0;
  switch (column) {
    case COLUMN_USER: sqlite3_result_value(context, cursor->user_id); break;
    case COLUMN_ITEM: {
      Id id = dictionary_id(&cursor->items->ids, item);
      id_result(context, &id);
      break;
    }
    case COLUMN_SCORE: sqlite3_result_double(context, ranking_score(&cursor->ranking)); break;
    case COLUMN_PREDICTION: result_prediction(cursor, item, context); break;
    case COLUMN_RATING:
      if (seen) sqlite3_result_double(context, rating);
      break;
    case COLUMN_SEEN: sqlite3_result_int(context, seen); break;
  }
  return SQLITE_OK;
}

static int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  const ModelCursor *cursor = (const ModelCursor *)base;
  *rowid = (sqlite3_int64)cursor->user.index << 32 | ranking_item(&cursor->ranking);
  return SQLITE_OK;
}

static int cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **base) {
  (void)vtab;
  ModelCursor *cursor = memory_alloc_zero(1, sizeof *cursor);
  if (!cursor) return SQLITE_NOMEM;
  cursor->at_end = 1;
  *base = &cursor->base;
  return SQLITE_OK;
}

static int cursor_close(sqlite3_vtab_cursor *base) {
  end_scan((ModelCursor *)base);
  memory_free(base);
  return SQLITE_OK;
}

static const sqlite3_module model_module = {
#if SQLITE_VERSION_NUMBER >= 3044000
    .iVersion = 4,
    .xIntegrity = table_integrity,
#else
    .iVersion = 3,
#endif
    .xCreate = table_create,
    .xConnect = table_connect,
    .xBestIndex = table_best_index,
    .xDisconnect = table_disconnect,
    .xDestroy = table_destroy,
    .xOpen = cursor_open,
    .xClose = cursor_close,
    .xFilter = cursor_filter,
    .xNext = cursor_next,
    .xEof = cursor_eof,
    .xColumn = cursor_column,
    .xRowid = cursor_rowid,
    .xUpdate = table_update,
    .xRename = table_rename,
    .xShadowName = table_shadow_name,
};

int model_table_register(Connection *connection) {
  connection_retain(connection);
  return sqlite3_create_module_v2(connection->db, "recommender", &model_module, connection, connection_release);
}
