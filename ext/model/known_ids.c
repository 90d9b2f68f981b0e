/* Which users and items a model knew: see known_ids.h. */
#include "known_ids.h"

#include "store.h"

enum { POLL_IDS = 4096 }; /* between two looks at the wish to cancel */

/* Damage of the old model does not matter here: the training that replaces the model puts it right. */
static int unless_damaged(int code, Error *error) {
  if ((code & 0xff) != SQLITE_CORRUPT) return code;
  error_clear(error);
  return SQLITE_OK;
}

static int read_stamps(sqlite3 *db, ModelName name, int64_t stamps[2], Error *error) {
  sqlite3_stmt *statement = NULL;
  int code = shadow_prepare(db, name, &statement, error,
                            "SELECT max(value) FILTER (WHERE key = 'item_stamp'), max(value) FILTER (WHERE key = "
                            "'user_stamp') FROM \"%w\".\"%w_config\"",
                            name.schema, name.name);
  if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
    for (int i = 0; i < 2; i++) stamps[i] = sqlite3_column_int64(statement, i);
  int finalized = sqlite3_finalize(statement);
  return code == SQLITE_OK && finalized != SQLITE_OK ? error_from_database(error, db, finalized, NULL) : code;
}

/* Hands every id of one side to `visit`; an item that was forgotten has none. */
static int each_id(sqlite3 *db, ModelName name, const char *side, int (*visit)(void *context, const Id *id),
                   void *context, const Cancel *cancel, Error *error) {
  sqlite3_stmt *statement = NULL;
  int code =
      shadow_prepare(db, name, &statement, error, "SELECT id FROM \"%w\".\"%w_%s\"", name.schema, name.name, side);
  if (code != SQLITE_OK) return code;
  for (size_t row = 1; code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW; row++) {
    Id id;
    int there = id_from_value(sqlite3_column_value(statement, 0), &id);
    if (there < 0 || (there > 0 && visit(context, &id) != SQLITE_OK)) code = error_no_memory(error);
    if (code == SQLITE_OK && row % POLL_IDS == 0) code = error_from_code(error, cancel_poll(cancel));
  }
  int finalized = sqlite3_finalize(statement);
  return code == SQLITE_OK && finalized != SQLITE_OK ? error_from_database(error, db, finalized, NULL) : code;
}

static int add_id(void *context, const Id *id) {
  uint32_t index;
  return dictionary_add(context, id, &index);
}

static int read_ids(sqlite3 *db, ModelName name, const char *side, Dictionary *ids, const Cancel *cancel,
                    Error *error) {
  return unless_damaged(each_id(db, name, side, add_id, ids, cancel, error), error);
}

int known_read(sqlite3 *db, ModelName name, Known *known, const Cancel *cancel, Error *error) {
  int code = unless_damaged(read_stamps(db, name, known->stamps, error), error);
  if (code == SQLITE_OK) code = read_ids(db, name, "user", &known->users, cancel, error);
  if (code == SQLITE_OK) code = read_ids(db, name, "item", &known->items, cancel, error);
  known->is_read = code == SQLITE_OK;
  return code;
}

int known_changed(sqlite3 *db, ModelName name, const Known *known, int *changed, Error *error) {
  int64_t now[2] = {known->stamps[0], known->stamps[1]};
  int code = known->is_read ? unless_damaged(read_stamps(db, name, now, error), error) : SQLITE_OK;
  *changed = now[0] != known->stamps[0] || now[1] != known->stamps[1];
  return code;
}

typedef struct Count {
  const Dictionary *known;
  size_t count;
} Count;

static int count_id(void *context, const Id *id) {
  Count *count = context;
  count->count += dictionary_find(count->known, id) != DICTIONARY_NONE;
  return SQLITE_OK;
}

/* Are all of those that were known there now? An id is there once. */
static int all_there(sqlite3 *db, ModelName name, const char *side, const Dictionary *known, int *all, Error *error) {
  Count count = {known, 0};
  int code = each_id(db, name, side, count_id, &count, NULL, error);
  *all = count.count == known->count;
  return code;
}

int known_check(sqlite3 *db, ModelName name, const Known *known, const char *caller, Error *error) {
  int changed = 0, code = known_changed(db, name, known, &changed, error);
  if (code != SQLITE_OK || !changed) return code;
  int users = 0, items = 0;
  code = all_there(db, name, "user", &known->users, &users, error);
  if (code == SQLITE_OK) code = all_there(db, name, "item", &known->items, &items, error);
  if (code != SQLITE_OK || (users && items)) return unless_damaged(code, error);
  return error_set(error, SQLITE_ABORT,
                   "%s: a user or an item of model \"%s\" was forgotten while it was trained from what had been read "
                   "before: nothing is stored, train it again",
                   caller, name.name);
}

void known_free(Known *known) {
  dictionary_free(&known->users);
  dictionary_free(&known->items);
  *known = (Known){0};
}
