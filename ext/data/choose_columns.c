/* Which of a source's columns is the user, the item, the rating and the timestamp: see choose_columns.h. */
#include "choose_columns.h"

#include <string.h>

#include "../base/json.h"

typedef struct Choice {
  const SourceColumns *columns;
  const char *caller, *advice;
  int fixed[COLUMN_ROLES];  /* an option says what it is, or that there is none */
  int column[COLUMN_ROLES]; /* so far; -1: none */
  int key;                  /* the column that is the table's primary key; -1: there is none, or more than one */
  Error *error;
} Choice;

/* ---- names ------------------------------------------------------------------------------------------------------- */

static int is_fixed_to(const Choice *choice, int column) {
  for (int role = 0; role < COLUMN_ROLES; role++)
    if (choice->fixed[role] && choice->column[role] == column) return 1;
  return 0;
}

static ColumnRole role_of(const Choice *choice, int column) { return column_role(choice->columns->names[column]); }

/* The first column from `start` on that has a role's name and that no option names; -1: there is none. */
static int find_named(const Choice *choice, ColumnRole role, int start) {
  for (int c = start; c < choice->columns->count; c++)
    if (role_of(choice, c) == role && !is_fixed_to(choice, c)) return c;
  return -1;
}

/* Whether the source has a name for a role, taken by an option or not. */
static int has_name(const SourceColumns *columns, ColumnRole role) {
  for (int c = 0; c < columns->count; c++)
    if (column_role(columns->names[c]) == role) return 1;
  return 0;
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static int is_taken(const int *taken, int column) {
  for (int role = 0; role < COLUMN_ROLES; role++)
    if (taken[role] == column) return 1;
  return 0;
}

/* What the columns probably are: as options and names have it, and the rest from left to right. Beside a name for the
 * user or the item a rating would have one too. */
static void guess(const Choice *choice, int *guessed) {
  for (int role = 0; role < COLUMN_ROLES; role++)
    guessed[role] = choice->fixed[role] ? choice->column[role] : find_named(choice, (ColumnRole)role, 0);
  int named = has_name(choice->columns, COLUMN_USER) || has_name(choice->columns, COLUMN_ITEM);
  for (int role = COLUMN_USER; role <= (named ? COLUMN_ITEM : COLUMN_RATING); role++)
    for (int c = 0; c < choice->columns->count && guessed[role] < 0 && !choice->fixed[role]; c++)
      if (c != choice->key && role_of(choice, c) == COLUMN_NONE && !is_taken(guessed, c)) guessed[role] = c;
}

/* A name in quotes, or null. */
static void append_name(sqlite3_str *json, const char *name) {
  if (name)
    json_append_text(json, name, strlen(name));
  else
    sqlite3_str_appendall(json, "null");
}

/* The options that would say so, a JSON object in quotes as SQL has them. NULL where memory ran out. */
static char *suggestion(const Choice *choice) {
  int guessed[COLUMN_ROLES];
  guess(choice, guessed);
  sqlite3_str *json = sqlite3_str_new(NULL);
  for (int role = 0; role < COLUMN_ROLES; role++) {
    const char *name = guessed[role] >= 0 ? choice->columns->names[guessed[role]] : role == COLUMN_RATING ? NULL : "…";
    if (role == COLUMN_TIME && guessed[role] < 0) continue;
    sqlite3_str_appendf(json, "%s\"%s\": ", role ? ", " : "{", column_roles[role]);
    append_name(json, name);
  }
  sqlite3_str_appendall(json, "}");
  char *text = sqlite3_str_finish(json);
  char *quoted = text ? sqlite3_mprintf("%Q", text) : NULL;
  sqlite3_free(text);
  return quoted;
}

/* The error that ends in what to write. `problem` is from sqlite3_mprintf, freed here; NULL: memory ran out. */
static int ask(const Choice *choice, char *problem) {
  char *options = problem ? suggestion(choice) : NULL;
  int code = options ? error_set(choice->error, SQLITE_ERROR,
                                 "%s: %s: name the columns with options, as in %s (\"rating\": null is implicit "
                                 "feedback)%s%s",
                                 choice->caller, problem, options, choice->advice ? "; " : "",
                                 choice->advice ? choice->advice : "")
                     : error_no_memory(choice->error);
  sqlite3_free(problem);
  sqlite3_free(options);
  return code;
}

/* The same where two columns could both be one thing; the others may be known. */
static int ask_which(const Choice *choice, ColumnRole role, int one, int other) {
  char **names = choice->columns->names;
  char *problem = sqlite3_mprintf("by their names the columns \"%s\" and \"%s\" could both be the %s", names[one],
                                  names[other], column_roles[role]);
  if (!has_name(choice->columns, COLUMN_USER) || !has_name(choice->columns, COLUMN_ITEM)) return ask(choice, problem);
  sqlite3_str *json = sqlite3_str_new(NULL);
  append_name(json, names[one]);
  char *value = sqlite3_str_finish(json);
  int code = problem && value
                 ? error_set(choice->error, SQLITE_ERROR, "%s: %s: choose one with an option, as in '{\"%s\": %q}'",
                             choice->caller, problem, column_roles[role], value)
                 : error_no_memory(choice->error);
  sqlite3_free(problem);
  sqlite3_free(value);
  return code;
}

/* SQLITE_OK where at most one column that is still free has the role's name. */
static int check_one(const Choice *choice, ColumnRole role) {
  int one = find_named(choice, role, 0), other = one < 0 ? -1 : find_named(choice, role, one + 1);
  return choice->fixed[role] || other < 0 ? SQLITE_OK : ask_which(choice, role, one, other);
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

static int take_options(Choice *choice, const InteractionOptions *options) {
  const char *const given[COLUMN_ROLES] = {options->user, options->item, options->implicit ? NULL : options->rating,
                                           options->no_timestamp ? NULL : options->timestamp};
  choice->fixed[COLUMN_RATING] = options->implicit;
  choice->fixed[COLUMN_TIME] = options->no_timestamp;
  for (int role = 0; role < COLUMN_ROLES; role++) {
    choice->column[role] = -1;
    if (!given[role]) continue;
    choice->fixed[role] = 1;
    choice->column[role] =
        source_column(choice->columns, given[role], column_roles[role], options->caller, choice->error);
  }
  return choice->error->code;
}

/* The column that alone is a table's primary key, or -1. */
static int find_key(sqlite3 *db, const Source *source, const SourceColumns *columns, int *key) {
  *key = -1;
  int keys = 0, code = SQLITE_OK;
  for (int c = 0; c < columns->count && !source->is_query && code == SQLITE_OK; c++) {
    int primary = 0;
    code = sqlite3_table_column_metadata(db, source->schema, source->name, columns->names[c], NULL, NULL, NULL,
                                         &primary, NULL);
    if (primary) *key = keys++ ? -1 : c;
  }
  return code == SQLITE_NOMEM ? code : SQLITE_OK; /* a view has none: SQLITE_ERROR */
}

/* Whether names decide: both the user and the item have one that leaves no doubt. */
static int names_decide(const Choice *choice) {
  return has_name(choice->columns, COLUMN_USER) && has_name(choice->columns, COLUMN_ITEM) &&
         (choice->fixed[COLUMN_USER] || find_named(choice, COLUMN_USER, 0) >= 0) &&
         (choice->fixed[COLUMN_ITEM] || find_named(choice, COLUMN_ITEM, 0) >= 0);
}

static void take_names(Choice *choice) {
  const SourceColumns *columns = choice->columns;
  for (int role = 0; role < COLUMN_ROLES; role++) {
    if (choice->fixed[role]) continue;
    choice->column[role] = find_named(choice, (ColumnRole)role, 0);
    if (choice->column[role] < 0 && role >= COLUMN_RATING && role < columns->count && !is_fixed_to(choice, role) &&
        role_of(choice, role) == COLUMN_NONE &&
        column_is_expression(columns->names[role], columns->affinities[role] != ID_AFFINITY_BLOB))
      choice->column[role] = role;
  }
}

static void take_positions(Choice *choice) {
  for (int role = 0; role < COLUMN_ROLES; role++)
    if (!choice->fixed[role]) choice->column[role] = role < choice->columns->count ? role : -1;
  if (choice->fixed[COLUMN_TIME]) return;
  /* A timestamp by name, behind the others, is one wherever it is. Without a name the fourth column is, if its own does
   * not speak against it. */
  int others = choice->fixed[COLUMN_USER] && choice->fixed[COLUMN_ITEM] && choice->fixed[COLUMN_RATING];
  int named = find_named(choice, COLUMN_TIME, others ? 0 : COLUMN_TIME), fourth = choice->column[COLUMN_TIME];
  if (named >= 0)
    choice->column[COLUMN_TIME] = named;
  else if (fourth >= 0 && (is_fixed_to(choice, fourth) || role_of(choice, fourth) != COLUMN_NONE))
    choice->column[COLUMN_TIME] = -1;
}

/* What a name says against a position. */
static int object(const Choice *choice, int column, ColumnRole says, ColumnRole stands) {
  static const char *const places[] = {"first", "second", "third", "fourth"};
  const char *name = choice->columns->names[column];
  const char *what = says == COLUMN_CHANGED ? "timestamp" : column_roles[says];
  if (stands == COLUMN_NONE)
    return ask(choice, sqlite3_mprintf("the column \"%s\" is named like the %s, which by position is the %s column",
                                       name, what, places[says]));
  return ask(choice, sqlite3_mprintf("by position the column \"%s\" would be the %s, but it is named like the %s", name,
                                     column_roles[stands], what));
}

static ColumnRole stands_for(const Choice *choice, int column) {
  for (int role = 0; role < COLUMN_ROLES; role++)
    if (!choice->fixed[role] && choice->column[role] == column) return (ColumnRole)role;
  return COLUMN_NONE;
}

static int check_positions(const Choice *choice) {
  for (int role = COLUMN_USER; role <= COLUMN_ITEM; role++)
    if (!choice->fixed[role] && choice->column[role] >= 0 && choice->column[role] == choice->key)
      return ask(choice,
                 sqlite3_mprintf("the column \"%s\", by position the %s, is the table's primary key, so that every %s "
                                 "would have one row",
                                 choice->columns->names[choice->key], column_roles[role], column_roles[role]));
  for (int c = 0; c < choice->columns->count; c++) {
    ColumnRole says = role_of(choice, c), stands = stands_for(choice, c);
    if (says == COLUMN_NONE || says == stands || is_fixed_to(choice, c)) continue;
    /* A name without a place matters where its role is still to be filled. */
    if (stands == COLUMN_NONE && (says == COLUMN_CHANGED || says == COLUMN_TIME || choice->fixed[says])) continue;
    return object(choice, c, says, stands);
  }
  return SQLITE_OK;
}

/* An error where two roles fall on one column, as when only one of several is named. */
static int check_distinct(const Choice *choice) {
  for (int role = COLUMN_ITEM; role <= COLUMN_RATING; role++)
    for (int other = 0; other < role; other++)
      if (choice->column[role] >= 0 && choice->column[role] == choice->column[other])
        return ask(choice, sqlite3_mprintf("the column \"%s\" would be two of user, item and rating",
                                           choice->columns->names[choice->column[role]]));
  return SQLITE_OK;
}

static int reads_time(const Choice *choice, const InteractionOptions *options, DuplicatesRule *rule) {
  int rated = choice->column[COLUMN_RATING] >= 0;
  *rule = options->duplicates;
  if (*rule == DUPLICATES_DEFAULT) *rule = rated && !options->counts ? DUPLICATES_LAST : DUPLICATES_SUM;
  return options->timed || (rated && *rule == DUPLICATES_LAST);
}

int choose_columns(sqlite3 *db, const Source *source, const SourceColumns *columns, const InteractionOptions *options,
                   ChosenColumns *chosen, Error *error) {
  Choice choice = {.columns = columns, .caller = options->caller, .advice = options->advice, .error = error};
  if (columns->count < 2)
    return error_set(error, SQLITE_ERROR, "%s: the source has one column, \"%s\": it needs a user and an item at least",
                     options->caller, columns->names[0]);
  if (find_key(db, source, columns, &choice.key) != SQLITE_OK) return error_no_memory(error);
  int code = take_options(&choice, options);
  for (int role = COLUMN_USER; role <= COLUMN_RATING && code == SQLITE_OK; role++)
    code = check_one(&choice, (ColumnRole)role);
  if (code != SQLITE_OK) return code;
  int by_name = names_decide(&choice);
  if (by_name)
    take_names(&choice);
  else
    take_positions(&choice);
  chosen->reads_time = reads_time(&choice, options, &chosen->rule);
  code = check_distinct(&choice);
  if (code == SQLITE_OK && chosen->reads_time) code = check_one(&choice, COLUMN_TIME);
  if (code == SQLITE_OK && !by_name) code = check_positions(&choice);
  chosen->ratings_missed = by_name && choice.column[COLUMN_RATING] < 0 && !choice.fixed[COLUMN_RATING];
  memcpy(chosen->column, choice.column, sizeof chosen->column);
  return code;
}

char *chosen_columns_json(const SourceColumns *columns, const ChosenColumns *chosen) {
  sqlite3_str *json = sqlite3_str_new(NULL);
  for (int role = 0; role < COLUMN_ROLES; role++) {
    const char *name = chosen->column[role] >= 0 ? columns->names[chosen->column[role]] : NULL;
    sqlite3_str_appendf(json, "%s\"%s\":", role ? "," : "{", column_roles[role]);
    append_name(json, name);
  }
  sqlite3_str_appendall(json, "}");
  return sqlite3_str_finish(json);
}

int columns_unread(const SourceColumns *columns, char **list) {
  sqlite3_str *names = sqlite3_str_new(NULL);
  int count = 0;
  for (int c = 0; c < columns->count; c++)
    if (column_role(columns->names[c]) == COLUMN_NONE && sqlite3_stricmp(columns->names[c], "id") != 0 && count++ < 4)
      sqlite3_str_appendf(names, "%s\"%s\"", count > 1 ? ", " : "", columns->names[c]);
  if (count > 4) sqlite3_str_appendall(names, " …");
  int code = sqlite3_str_errcode(names);
  *list = sqlite3_str_finish(names);
  return code;
}

/* ---- profiles ---------------------------------------------------------------------------------------------------- */

int choose_profile_columns(const SourceColumns *columns, const char *caller, int *item, int *rating, Error *error) {
  const Choice choice = {.columns = columns, .caller = caller, .key = -1, .error = error};
  static const char advice[] = "give a SELECT of the item and, where there is one, the rating";
  int named[2] = {find_named(&choice, COLUMN_ITEM, 0), find_named(&choice, COLUMN_RATING, 0)};
  for (int i = 0; i < 2; i++) {
    ColumnRole role = i ? COLUMN_RATING : COLUMN_ITEM;
    int other = named[i] < 0 ? -1 : find_named(&choice, role, named[i] + 1);
    if (other >= 0)
      return error_set(error, SQLITE_ERROR,
                       "%s: by their names the columns \"%s\" and \"%s\" of the profile could both be the %s: %s",
                       caller, columns->names[named[i]], columns->names[other], column_roles[role], advice);
  }
  *item = named[0] < 0 ? 0 : named[0];
  /* A second column is the rating, but where the item was found elsewhere: then only its name makes it one. */
  *rating = named[1] >= 0 ? named[1] : *item == 0 && columns->count > 1 ? 1 : -1;
  for (int i = 0; i < 2; i++) {
    int column = i ? *rating : *item;
    ColumnRole says = column < 0 ? COLUMN_NONE : role_of(&choice, column);
    if (says == COLUMN_NONE || says == (i ? COLUMN_RATING : COLUMN_ITEM)) continue;
    return error_set(
        error, SQLITE_ERROR,
        "%s: by position the column \"%s\" of the profile would be the %s, but it is named like the %s: %s", caller,
        columns->names[column], i ? "rating" : "item", says == COLUMN_CHANGED ? "timestamp" : column_roles[says],
        advice);
  }
  return SQLITE_OK;
}
