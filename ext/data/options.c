/* JSON options: see options.h. Parsed by cJSON, whose numbers are doubles: no id ever passes through here. */
#include "options.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../base/edit_distance.h"
#include "../base/memory.h"

#define LARGEST_EXACT 9007199254740992.0 /* 2^53 */

/* ---- the nearest name -------------------------------------------------------------------------------------------- */

const char *options_nearest(const char *word, const Option *options, size_t count) {
  const char *nearest = NULL;
  int least = nearest_limit(word) + 1;
  for (size_t i = 0; i < count; i++) {
    int letters = nearest_distance(word, options[i].name);
    if (letters < least) {
      least = letters;
      nearest = options[i].name;
    }
  }
  return nearest;
}

/* ---- choices ----------------------------------------------------------------------------------------------------- */

/* Where choice number `index` of "a|b|c" begins; *length is its own. */
static const char *choice_at(const char *choices, int index, int *length) {
  for (; index > 0; index--) choices = strchr(choices, '|') + 1;
  *length = (int)strcspn(choices, "|");
  return choices;
}

char *options_choice(const char *choices, int index) {
  int length;
  const char *choice = choice_at(choices, index, &length);
  return sqlite3_mprintf("%.*s", length, choice);
}

static int find_choice(const char *choices, const char *text) {
  size_t length = strlen(text);
  for (int index = 0;; index++) {
    size_t n = strcspn(choices, "|");
    if (n == length && memcmp(choices, text, n) == 0) return index;
    if (!choices[n]) return -1;
    choices += n + 1;
  }
}

/* JSON has its own words for these. */
static int is_literal(const char *choice, size_t length) {
  static const char *const literals[] = {"null", "false", "true"};
  for (size_t i = 0; i < sizeof literals / sizeof *literals; i++)
    if (strlen(literals[i]) == length && memcmp(literals[i], choice, length) == 0) return 1;
  return 0;
}

/* "null|a|b" as a sentence has it: null, "a", "b". */
static void append_choices(const char *choices, sqlite3_str *text) {
  for (;; choices++) {
    size_t n = strcspn(choices, "|");
    sqlite3_str_appendf(text, is_literal(choices, n) ? "%.*s" : "\"%.*s\"", (int)n, choices);
    choices += n;
    if (!*choices) return;
    sqlite3_str_appendall(text, ", ");
  }
}

/* The same as a text; NULL where memory ran out. */
static char *quote_choices(const char *choices) {
  sqlite3_str *text = sqlite3_str_new(NULL);
  append_choices(choices, text);
  return sqlite3_str_finish(text);
}

/* ---- one value --------------------------------------------------------------------------------------------------- */

/* caller: option "key" must be <expected>, not <what came>. Frees nothing; `expected` NULL means that memory ran out.
 */
static int refuse(const char *caller, const Option *option, const char *expected, const cJSON *value, Error *error) {
  char *came = cJSON_PrintUnformatted(value);
  int code = came && expected ? error_set(error, SQLITE_ERROR, "%s: option \"%s\" must be %s, not %.60s%s", caller,
                                          option->name, expected, came, strlen(came) > 60 ? "…" : "")
                              : error_no_memory(error);
  cJSON_free(came);
  return code;
}

static int refuse_number(const char *caller, const Option *option, const char *kind, const cJSON *value, Error *error) {
  char *expected = option->maximum < INFINITY
                       ? sqlite3_mprintf("%s from %g to %.15g", kind, option->minimum, option->maximum)
                       : sqlite3_mprintf("%s of at least %g", kind, option->minimum);
  int code = refuse(caller, option, expected, value, error);
  sqlite3_free(expected);
  return code;
}

static int in_range(const Option *option, const cJSON *value) {
  return cJSON_IsNumber(value) && value->valuedouble >= option->minimum && value->valuedouble <= option->maximum;
}

static int is_whole(const cJSON *value) { return value->valuedouble == floor(value->valuedouble); }

static int take_text(const cJSON *value, char **text, Error *error) {
  sqlite3_free(*text);
  *text = sqlite3_mprintf("%s", value->valuestring);
  return *text ? SQLITE_OK : error_no_memory(error);
}

static const char *const by_head_names[] = {"rating", "ranking"};

static int take_by_head(const char *caller, const Option *option, const cJSON *value, double heads[2], Error *error) {
  if (in_range(option, value)) {
    heads[0] = heads[1] = value->valuedouble;
    return SQLITE_OK;
  }
  int taken = 0;
  for (int head = 0; head < 2; head++) {
    const cJSON *one = cJSON_GetObjectItemCaseSensitive(value, by_head_names[head]);
    if (!one) continue;
    if (!in_range(option, one)) return refuse_number(caller, option, "a number", one, error);
    heads[head] = one->valuedouble;
    taken++;
  }
  if (taken && taken == cJSON_GetArraySize(value)) return SQLITE_OK;
  return refuse_number(caller, option, "a number, or {\"rating\": number, \"ranking\": number},", value, error);
}

static int take_integers(const char *caller, const Option *option, const cJSON *value, OptionIntegers *integers,
                         Error *error) {
  const cJSON *one = cJSON_IsArray(value) ? value->child : value;
  int count = 0;
  int right = one != NULL;
  for (; one && right; one = cJSON_IsArray(value) ? one->next : NULL) {
    right = count < OPTION_MOST_INTEGERS && in_range(option, one) && is_whole(one);
    if (right) integers->value[count++] = (int)one->valuedouble;
  }
  integers->count = count;
  return right ? SQLITE_OK : refuse_number(caller, option, "an integer (or an array of at most 16)", value, error);
}

void option_texts_free(OptionTexts *texts) {
  for (int i = 0; i < texts->count; i++) sqlite3_free(texts->text[i]);
  memory_free(texts->text);
  *texts = (OptionTexts){0};
}

static int take_texts(const char *caller, const Option *option, const cJSON *value, OptionTexts *texts, Error *error) {
  int is_array = cJSON_IsArray(value);
  option_texts_free(texts);
  texts->text = memory_alloc_zero(is_array ? (size_t)cJSON_GetArraySize(value) : 1, sizeof *texts->text);
  if (!texts->text) return error_no_memory(error);
  for (const cJSON *one = is_array ? value->child : value; one; one = is_array ? one->next : NULL) {
    if (!cJSON_IsString(one)) return refuse(caller, option, "a text, or an array of texts", value, error);
    char *copy = texts->text[texts->count++] = sqlite3_mprintf("%s", one->valuestring);
    if (!copy) return error_no_memory(error);
  }
  return SQLITE_OK;
}

static int take_words(const char *caller, const Option *option, const cJSON *value, OptionWords *words, Error *error) {
  words->choice = cJSON_IsString(value) ? find_choice(option->choices, value->valuestring) : -1;
  if (words->choice >= 0 || cJSON_IsNull(value)) return SQLITE_OK;
  if (cJSON_IsArray(value)) return take_texts(caller, option, value, &words->words, error);
  char *quoted = quote_choices(option->choices);
  char *expected = quoted ? sqlite3_mprintf("%s, an array of words, or null", quoted) : NULL;
  int code = refuse(caller, option, expected, value, error);
  sqlite3_free(expected);
  sqlite3_free(quoted);
  return code;
}

/* JSON's null, false and true are the choices of that name, where there are any. */
static int take_choice(const char *caller, const Option *option, const cJSON *value, int *choice, Error *error) {
  const char *text = cJSON_IsNull(value)     ? "null"
                     : cJSON_IsFalse(value)  ? "false"
                     : cJSON_IsTrue(value)   ? "true"
                     : cJSON_IsString(value) ? value->valuestring
                                             : NULL;
  int index = text ? find_choice(option->choices, text) : -1;
  if (index >= 0) {
    *choice = index;
    return SQLITE_OK;
  }
  char *quoted = quote_choices(option->choices);
  char *expected = quoted ? sqlite3_mprintf("one of %s", quoted) : NULL;
  int code = refuse(caller, option, expected, value, error);
  sqlite3_free(expected);
  sqlite3_free(quoted);
  return code;
}

static int take_option(const char *caller, const Option *option, const cJSON *value, void *to, Error *error) {
  switch (option->type) {
    case OPTION_INTEGER:
      if (!in_range(option, value) || !is_whole(value))
        return refuse_number(caller, option, "an integer", value, error);
      *(int *)to = (int)value->valuedouble;
      return SQLITE_OK;
    case OPTION_SEED:
      if (!cJSON_IsNumber(value) || !is_whole(value) || value->valuedouble < 0 || value->valuedouble > LARGEST_EXACT)
        return refuse(caller, option, "an integer from 0 to 9007199254740992", value, error);
      *(uint64_t *)to = (uint64_t)value->valuedouble;
      return SQLITE_OK;
    case OPTION_NUMBER:
      if (!in_range(option, value)) return refuse_number(caller, option, "a number", value, error);
      *(double *)to = value->valuedouble;
      return SQLITE_OK;
    case OPTION_BOOLEAN:
      if (!cJSON_IsBool(value)) return refuse(caller, option, "true or false", value, error);
      *(int *)to = cJSON_IsTrue(value);
      return SQLITE_OK;
    case OPTION_CHOICE: return take_choice(caller, option, value, to, error);
    case OPTION_TEXT:
      if (!cJSON_IsString(value)) return refuse(caller, option, "a text", value, error);
      return take_text(value, to, error);
    case OPTION_COLUMN: {
      OptionColumn *column = to;
      column->is_null = cJSON_IsNull(value);
      if (column->is_null) return SQLITE_OK;
      if (!cJSON_IsString(value)) return refuse(caller, option, "the name of a column", value, error);
      return take_text(value, &column->name, error);
    }
    case OPTION_BY_HEAD: return take_by_head(caller, option, value, to, error);
    case OPTION_INTEGERS: return take_integers(caller, option, value, to, error);
    case OPTION_TEXTS: return take_texts(caller, option, value, to, error);
    case OPTION_WORDS: return take_words(caller, option, value, to, error);
  }
  return SQLITE_OK;
}

/* ---- defaults ---------------------------------------------------------------------------------------------------- */

/* None is given, and a rule will say. */
static void leave_open(const Option *option, void *to) {
  switch (option->type) {
    case OPTION_NUMBER: *(double *)to = NAN; break;
    case OPTION_BY_HEAD: ((double *)to)[0] = ((double *)to)[1] = NAN; break;
    case OPTION_INTEGER:
    case OPTION_BOOLEAN:
    case OPTION_CHOICE: *(int *)to = OPTION_NOT_GIVEN; break;
    default: break; /* NULL */
  }
}

static int set_default(const Option *option, void *to, Error *error) {
  if (option->rule) leave_open(option, to);
  if (!option->otherwise) return SQLITE_OK;
  cJSON *value = cJSON_Parse(option->otherwise);
  int code = value ? take_option("a default", option, value, to, error) : error_no_memory(error);
  assert(code != SQLITE_ERROR); /* the table is wrong */
  cJSON_Delete(value);
  return code;
}

/* One head was given a number, and the other was not. */
static int fill_heads(const Option *option, double heads[2], Error *error) {
  double otherwise[2] = {NAN, NAN};
  int code = set_default(option, otherwise, error);
  for (int head = 0; head < 2; head++)
    if (isnan(heads[head])) heads[head] = otherwise[head];
  return code;
}

int options_set_defaults(const char *json, const Option *options, size_t count, void *target, Error *error) {
  cJSON *given = json && *json ? cJSON_Parse(json) : NULL;
  int code = !given && json && *json ? error_no_memory(error) : SQLITE_OK;
  for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
    void *to = (char *)target + options[i].offset;
    if (!cJSON_GetObjectItemCaseSensitive(given, options[i].name))
      code = set_default(&options[i], to, error);
    else if (options[i].type == OPTION_BY_HEAD)
      code = fill_heads(&options[i], to, error);
  }
  cJSON_Delete(given);
  return code;
}

/* ---- for people -------------------------------------------------------------------------------------------------- */

void options_describe(const Option *options, size_t count, const void *target, sqlite3_str *json) {
  for (size_t i = 0; i < count; i++) {
    const Option *option = &options[i];
    const void *at = (const char *)target + option->offset;
    int length;
    if (option->type == OPTION_NUMBER && !isnan(*(const double *)at))
      sqlite3_str_appendf(json, ",\"%s\":%!.15g", option->name, *(const double *)at);
    if (option->type == OPTION_SEED) sqlite3_str_appendf(json, ",\"%s\":%llu", option->name, *(const uint64_t *)at);
    if (option->type != OPTION_INTEGER && option->type != OPTION_BOOLEAN && option->type != OPTION_CHOICE) continue;
    int value = *(const int *)at;
    if (option->type == OPTION_INTEGER && !(value == OPTION_NOT_GIVEN && option->rule))
      sqlite3_str_appendf(json, ",\"%s\":%d", option->name, value);
    if (option->type == OPTION_BOOLEAN && value >= 0)
      sqlite3_str_appendf(json, ",\"%s\":%s", option->name, value ? "true" : "false");
    if (option->type != OPTION_CHOICE || value < 0) continue;
    const char *choice = choice_at(option->choices, value, &length);
    sqlite3_str_appendf(json, ",\"%s\":\"%.*s\"", option->name, length, choice);
  }
}

const char *option_type_name(const Option *option) {
  static const char *const names[] = {
      [OPTION_INTEGER] = "integer",
      [OPTION_SEED] = "integer",
      [OPTION_NUMBER] = "number",
      [OPTION_BOOLEAN] = "boolean",
      [OPTION_CHOICE] = "text",
      [OPTION_TEXT] = "text",
      [OPTION_COLUMN] = "column",
      [OPTION_BY_HEAD] = "number",
      [OPTION_INTEGERS] = "integers",
      [OPTION_TEXTS] = "text, or array of texts",
      [OPTION_WORDS] = "text, or array of texts",
  };
  return names[option->type];
}

void option_append_range(const Option *option, sqlite3_str *text) {
  if (option->type == OPTION_SEED)
    sqlite3_str_appendall(text, "0 … 9007199254740992");
  else if (option->type == OPTION_BOOLEAN)
    sqlite3_str_appendall(text, "true, false");
  else if (option->choices)
    append_choices(option->choices, text);
  else if (option->type == OPTION_INTEGER || option->type == OPTION_NUMBER || option->type == OPTION_BY_HEAD ||
           option->type == OPTION_INTEGERS)
    sqlite3_str_appendf(text, "%.15g … %.15g", option->minimum, option->maximum);
}

/* ---- the object -------------------------------------------------------------------------------------------------- */

static int refuse_key(const char *caller, const char *key, const Option *options, size_t count, Error *error) {
  const char *nearest = options_nearest(key, options, count);
  if (nearest)
    return error_set(error, SQLITE_ERROR, "%s: option \"%s\" is unknown, did you mean \"%s\"?", caller, key, nearest);
  sqlite3_str *names = sqlite3_str_new(NULL);
  for (size_t i = 0; i < count; i++) sqlite3_str_appendf(names, "%s%s", i ? ", " : "", options[i].name);
  char *list = sqlite3_str_finish(names);
  int code = list ? error_set(error, SQLITE_ERROR, "%s: option \"%s\" is unknown; there are %s", caller, key, list)
                  : error_no_memory(error);
  sqlite3_free(list);
  return code;
}

static const Option *find_option(const char *key, const Option *options, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(key, options[i].name) == 0) return &options[i];
  return NULL;
}

static int take_all(const char *caller, const cJSON *object, const Option *options, size_t count, void *target,
                    Error *error) {
  int code = SQLITE_OK;
  for (const cJSON *value = object->child; value && code == SQLITE_OK; value = value->next) {
    const Option *option = find_option(value->string, options, count);
    if (!option) return refuse_key(caller, value->string, options, count, error);
    for (const cJSON *other = object->child; other != value; other = other->next)
      if (strcmp(other->string, value->string) == 0)
        return error_set(error, SQLITE_ERROR, "%s: option \"%s\" is given twice", caller, value->string);
    code = take_option(caller, option, value, (char *)target + option->offset, error);
  }
  return code;
}

int options_parse(const char *caller, const char *json, const Option *options, size_t count, void *target,
                  Error *error) {
  if (!json || !*json) return SQLITE_OK;
  const char *end = NULL;
  cJSON *object = cJSON_ParseWithOpts(json, &end, 1);
  int code;
  if (!object)
    code = error_set(error, SQLITE_ERROR, "%s: the options are not valid JSON near '%.20s': they should look like %s",
                     caller, end ? end : json, "'{\"epochs\": 20}'");
  else if (!cJSON_IsObject(object))
    code = error_set(error, SQLITE_ERROR, "%s: the options must be a JSON object like '{\"epochs\": 20}'", caller);
  else
    code = take_all(caller, object, options, count, target, error);
  cJSON_Delete(object);
  return code;
}

int options_check_names(const char *caller, const char *json, const Option *options, size_t count, Error *error) {
  if (!json || !*json) return SQLITE_OK;
  cJSON *object = cJSON_Parse(json);
  int code = object ? SQLITE_OK : error_no_memory(error);
  for (const cJSON *value = object ? object->child : NULL; value && code == SQLITE_OK; value = value->next)
    if (!find_option(value->string, options, count)) code = refuse_key(caller, value->string, options, count, error);
  cJSON_Delete(object);
  return code;
}

/* "a", "b" and "c": the methods whose bits are set. */
static char *quote_readers(const char *const *methods, unsigned readers) {
  sqlite3_str *text = sqlite3_str_new(NULL);
  for (int i = 0; readers >> i; i++) {
    const char *before = !(readers & ((1U << i) - 1)) ? "" : readers >> i == 1 ? " and " : ", ";
    if (readers >> i & 1) sqlite3_str_appendf(text, "%s\"%s\"", before, methods[i]);
  }
  return sqlite3_str_finish(text);
}

static int refuse_reader(const char *caller, const Option *option, const char *const *methods, int method,
                         Error *error) {
  char *readers = quote_readers(methods, option->readers);
  int single = (option->readers & (option->readers - 1)) == 0;
  int code = readers ? error_set(error, SQLITE_ERROR, "%s: option \"%s\" is not for \"%s\": only %s read%s it", caller,
                                 option->name, methods[method], readers, single ? "s" : "")
                     : error_no_memory(error);
  sqlite3_free(readers);
  return code;
}

int options_check_readers(const char *caller, const char *json, const Option *options, size_t count,
                          const char *const *methods, int method, Error *error) {
  if (!json || !*json) return SQLITE_OK;
  cJSON *object = cJSON_Parse(json);
  int code = object ? SQLITE_OK : error_no_memory(error);
  for (const cJSON *value = object ? object->child : NULL; value && code == SQLITE_OK; value = value->next) {
    const Option *option = find_option(value->string, options, count);
    if (option && option->readers && !(option->readers >> method & 1))
      code = refuse_reader(caller, option, methods, method, error);
  }
  cJSON_Delete(object);
  return code;
}

int options_check_uses(const char *caller, const char *json, const OptionUse *uses, size_t count, Error *error) {
  if (!json || !*json) return SQLITE_OK;
  cJSON *object = cJSON_Parse(json);
  int code = object ? SQLITE_OK : error_no_memory(error);
  for (const cJSON *value = object ? object->child : NULL; value && code == SQLITE_OK; value = value->next)
    for (size_t i = 0; i < count && code == SQLITE_OK; i++)
      if (!uses[i].read && find_choice(uses[i].names, value->string) >= 0)
        code = error_set(error, SQLITE_ERROR, "%s: option \"%s\" is read only %s: leave it out", caller, value->string,
                         uses[i].when);
  cJSON_Delete(object);
  return code;
}

int options_check_heads(const char *caller, const char *json, const char *name, const int read[2], Error *error) {
  if (!json || !*json) return SQLITE_OK;
  cJSON *object = cJSON_Parse(json);
  int code = object ? SQLITE_OK : error_no_memory(error);
  const cJSON *heads = cJSON_GetObjectItemCaseSensitive(object, name);
  for (int head = 0; head < 2 && code == SQLITE_OK && cJSON_IsObject(heads); head++)
    if (!read[head] && cJSON_GetObjectItemCaseSensitive(heads, by_head_names[head]))
      code =
          error_set(error, SQLITE_ERROR, "%s: option \"%s\" has a number for the head \"%s\", which is not fitted here",
                    caller, name, by_head_names[head]);
  cJSON_Delete(object);
  return code;
}

char *options_text(cJSON *object) {
  for (cJSON *value = object ? object->child : NULL, *next; value; value = next) {
    char digits[32];
    next = value->next;
    /* cJSON prints 15 digits and takes what is left for rounding. */
    if (!cJSON_IsNumber(value) || !is_whole(value) || fabs(value->valuedouble) < 1e15 ||
        fabs(value->valuedouble) > LARGEST_EXACT)
      continue;
    sqlite3_snprintf((int)sizeof digits, digits, "%lld", (sqlite3_int64)value->valuedouble);
    char *name = sqlite3_mprintf("%s", value->string);
    cJSON *exact = name ? cJSON_CreateRaw(digits) : NULL;
    int replaced = exact && cJSON_ReplaceItemInObjectCaseSensitive(object, name, exact);
    sqlite3_free(name);
    if (!replaced) return NULL;
  }
  char *printed = object ? cJSON_PrintUnformatted(object) : NULL;
  char *text = printed ? sqlite3_mprintf("%s", printed) : NULL;
  cJSON_free(printed);
  return text;
}

char *options_without(const char *json, const char *key) {
  if (!json || !*json) return sqlite3_mprintf("{}");
  cJSON *object = cJSON_Parse(json);
  if (object) cJSON_DeleteItemFromObjectCaseSensitive(object, key);
  char *text = options_text(object);
  cJSON_Delete(object);
  return text;
}
