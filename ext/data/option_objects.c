/* Objects of options: see option_objects.h. */
#include "option_objects.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "../base/memory.h"

enum { MOST_COMBINATIONS = 100000 };

/* `what` is "the options" or "the grid". */
static int parse_object(const char *caller, const char *json, const char *what, cJSON **object, Error *error) {
  const char *end = NULL;
  *object = json && *json ? cJSON_ParseWithOpts(json, &end, 1) : cJSON_CreateObject();
  if (!*object && end)
    return error_set(error, SQLITE_ERROR, "%s: %s must be a JSON object, but is not valid JSON near '%.20s'", caller,
                     what, end);
  if (!*object) return error_no_memory(error);
  if (cJSON_IsObject(*object)) return SQLITE_OK;
  cJSON_Delete(*object);
  *object = NULL;
  return error_set(error, SQLITE_ERROR, "%s: %s must be a JSON object", caller, what);
}

/* Is the word one of "a|b|c"? */
static int is_among(const char *word, const char *words) {
  size_t length = strlen(word);
  for (;; words++) {
    size_t n = strcspn(words, "|");
    if (n == length && memcmp(words, word, n) == 0) return 1;
    words += n;
    if (!*words) return 0;
  }
}

static int is_named(const char *key, const Option *options, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(key, options[i].name) == 0) return 1;
  return 0;
}

/* The member's name occurs before it, too. */
static int is_repeated(const cJSON *object, const cJSON *member) {
  return cJSON_GetObjectItemCaseSensitive(object, member->string) != member;
}

int options_part(const char *caller, const char *json, const Option *options, size_t count, const char *both,
                 char **named, char **others, Error *error) {
  cJSON *object = NULL, *ours = cJSON_CreateObject(), *rest = cJSON_CreateObject();
  *named = *others = NULL;
  int code = ours && rest ? parse_object(caller, json, "the options", &object, error) : error_no_memory(error);
  for (const cJSON *value = object ? object->child : NULL; value && code == SQLITE_OK; value = value->next) {
    if (is_repeated(object, value))
      code = error_set(error, SQLITE_ERROR, "%s: option \"%s\" is given twice", caller, value->string);
    int is_both = is_among(value->string, both), is_ours = is_named(value->string, options, count);
    for (int side = 0; side < 2 && code == SQLITE_OK; side++) {
      if (!(side ? is_both || !is_ours : is_ours)) continue;
      cJSON *copy = cJSON_Duplicate(value, 1);
      if (!copy || !cJSON_AddItemToObject(side ? rest : ours, value->string, copy)) code = error_no_memory(error);
    }
  }
  if (code == SQLITE_OK) {
    *named = options_text(ours);
    *others = options_text(rest);
    if (!*named || !*others) code = error_no_memory(error);
  }
  cJSON_Delete(object);
  cJSON_Delete(ours);
  cJSON_Delete(rest);
  return code;
}

int options_have(const char *json, const char *key) {
  if (!json || !*json) return 0;
  cJSON *object = cJSON_Parse(json);
  int found = object ? cJSON_GetObjectItemCaseSensitive(object, key) != NULL : -1;
  cJSON_Delete(object);
  return found;
}

char *options_object(const char *key, const char *text) {
  cJSON *object = cJSON_CreateObject();
  char *made = object && cJSON_AddStringToObject(object, key, text) ? options_text(object) : NULL;
  cJSON_Delete(object);
  return made;
}

char *options_merge(const char *base, const char *more) {
  cJSON *object = base && *base ? cJSON_Parse(base) : cJSON_CreateObject(), *other = cJSON_Parse(more);
  int complete = object && other;
  for (const cJSON *value = complete ? other->child : NULL; value; value = value->next) {
    cJSON *copy = cJSON_Duplicate(value, 1);
    cJSON_DeleteItemFromObjectCaseSensitive(object, value->string);
    complete = complete && copy && cJSON_AddItemToObject(object, value->string, copy);
  }
  char *text = complete ? options_text(object) : NULL;
  cJSON_Delete(object);
  cJSON_Delete(other);
  return text;
}

int options_take_number(const char *caller, char **json, const char *key, double *value, int *found, Error *error) {
  cJSON *object = cJSON_Parse(*json);
  cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);
  int code = object ? SQLITE_OK : error_no_memory(error);
  *found = member != NULL;
  if (member && !cJSON_IsNumber(member))
    code = error_set(error, SQLITE_ERROR, "%s: option \"%s\" must be a number", caller, key);
  if (member && code == SQLITE_OK) {
    *value = member->valuedouble;
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    char *rest = options_text(object);
    if (!rest) code = error_no_memory(error);
    sqlite3_free(*json);
    *json = rest;
  }
  cJSON_Delete(object);
  return code;
}

/* ---- grids ------------------------------------------------------------------------------------------------------- */

static size_t choices_of(const cJSON *member) { return cJSON_IsArray(member) ? (size_t)cJSON_GetArraySize(member) : 1; }

static char *combine(const cJSON *object, size_t which) {
  cJSON *combination = cJSON_CreateObject();
  int complete = combination != NULL;
  size_t left = 1;
  for (const cJSON *member = object->child; member; member = member->next) left *= choices_of(member);
  for (const cJSON *member = object->child; member && complete; member = member->next) {
    left /= choices_of(member);
    const cJSON *value =
        cJSON_IsArray(member) ? cJSON_GetArrayItem(member, (int)(which / left % choices_of(member))) : member;
    cJSON *copy = cJSON_Duplicate(value, 1);
    complete = copy && cJSON_AddItemToObject(combination, member->string, copy);
  }
  char *text = complete ? options_text(combination) : NULL;
  cJSON_Delete(combination);
  return text;
}

int option_grid_parse(const char *caller, const char *json, OptionGrid *grid, Error *error) {
  cJSON *object = NULL;
  size_t count = 1;
  *grid = (OptionGrid){0};
  int code = parse_object(caller, json, "the grid", &object, error);
  for (const cJSON *member = object ? object->child : NULL; member && code == SQLITE_OK; member = member->next) {
    size_t choices = choices_of(member);
    if (is_repeated(object, member))
      code = error_set(error, SQLITE_ERROR, "%s: \"%s\" is in the grid twice", caller, member->string);
    else if (choices == 0)
      code = error_set(error, SQLITE_ERROR, "%s: the list of \"%s\" is empty: give it a value at least", caller,
                       member->string);
    else if (count > MOST_COMBINATIONS / choices)
      code = error_set(error, SQLITE_ERROR, "%s: the grid has more than %d combinations", caller, MOST_COMBINATIONS);
    else
      count *= choices;
  }
  if (code == SQLITE_OK && !(grid->combination = memory_alloc_zero(count, sizeof *grid->combination)))
    code = error_no_memory(error);
  for (; object && code == SQLITE_OK && grid->count < count; grid->count++)
    if (!(grid->combination[grid->count] = combine(object, grid->count))) code = error_no_memory(error);
  cJSON_Delete(object);
  return code;
}

void option_grid_free(OptionGrid *grid) {
  for (size_t i = 0; i < grid->count; i++) sqlite3_free(grid->combination[i]);
  memory_free(grid->combination);
  *grid = (OptionGrid){0};
}
