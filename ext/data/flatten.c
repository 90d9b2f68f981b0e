/* The strings in a JSON value, and vectors written as JSON or as BLOBs: see documents.h. Parsed by cJSON. */
#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "../base/bytes.h"
#include "../base/memory.h"
#include "documents.h"

/* Behind white space, where JSON would begin. */
static const char *skip_space(const char *text, const char *end) {
  while (text < end && (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\r')) text++;
  return text;
}

/* The array or object that the whole text is; NULL where it is neither (or memory ran out within cJSON, whose allocator
 * is its own). */
static cJSON *parse(const char *text, size_t size, char open, char other) {
  const char *end = text + size, *first = skip_space(text, end), *behind = NULL;
  if (first == end || (*first != open && *first != other)) return NULL;
  cJSON *value = cJSON_ParseWithLengthOpts(first, (size_t)(end - first), &behind, 0);
  if (!value || skip_space(behind, end) == end) return value;
  cJSON_Delete(value);
  return NULL;
}

typedef struct Visitor {
  int (*visit)(void *context, const char *text, size_t size);
  void *context;
} Visitor;

/* cJSON refuses what is nested deeper than 1,000: the recursion ends. */
static int visit_strings(const cJSON *value, const Visitor *visitor) {
  int code = SQLITE_OK;
  for (; value && code == SQLITE_OK; value = value->next) {
    if (cJSON_IsString(value))
      code = visitor->visit(visitor->context, value->valuestring, strlen(value->valuestring));
    else
      code = visit_strings(value->child, visitor);
  }
  return code;
}

/* A string of cJSON's ends at a NUL: NULs, and what stands for them, become blanks, which end a word as they do, in a
 * copy where there are any. SQLITE_OK or SQLITE_NOMEM. */
static int blank_nuls(const char **text, size_t size, char **copy) {
  static const char escape[] = {'\\', 'u', '0', '0', '0', '0'};
  *copy = NULL;
  for (size_t i = 0; i < size; i++) {
    int escaped = (*text)[i] == '\\';
    size_t length = (*text)[i] == 0;
    if (escaped && size - i >= sizeof escape && memcmp(*text + i, escape, sizeof escape) == 0) length = sizeof escape;
    if (length && !*copy) {
      *copy = memory_alloc(size, 1);
      if (!*copy) return SQLITE_NOMEM;
      *text = memcpy(*copy, *text, size);
    }
    if (length) memset(*copy + i, ' ', length);
    i += length ? length - 1 : (size_t)escaped; /* what a backslash is before is no escape of its own */
  }
  return SQLITE_OK;
}

int flatten_json(const char *text, size_t size, int (*visit)(void *context, const char *text, size_t size),
                 void *context) {
  const Visitor visitor = {visit, context};
  const char *end = text + size, *first = skip_space(text, end), *json = text;
  char *copy = NULL;
  int may_be = first < end && (*first == '[' || *first == '{');
  int code = may_be ? blank_nuls(&json, size, &copy) : SQLITE_OK;
  cJSON *value = may_be && code == SQLITE_OK ? parse(json, size, '[', '{') : NULL;
  if (code == SQLITE_OK) code = value ? visit_strings(value->child, &visitor) : visit(context, text, size);
  cJSON_Delete(value);
  memory_free(copy);
  return code;
}

/* ---- vectors ----------------------------------------------------------------------------------------------------- */

enum { VECTOR_NONE = 0, VECTOR_FOUND = 1, VECTOR_WRONG = -1, VECTOR_NO_MEMORY = -2 };

static int all_finite(const float *vector, size_t n) {
  int finite = 1;
  for (size_t i = 0; i < n; i++) finite &= isfinite(vector[i]) != 0;
  return finite;
}

static int vector_from_blob(const void *blob, size_t size, float **vector, int *dimensions) {
  if (size == 0) return VECTOR_NONE;
  if (size % sizeof(float) || size / sizeof(float) > DOCUMENTS_MOST_DIMENSIONS) return VECTOR_WRONG;
  size_t n = size / sizeof(float);
  *vector = memory_alloc(n, sizeof **vector);
  if (!*vector || !blob) return VECTOR_NO_MEMORY;
  bytes_copy_words(*vector, blob, n);
  *dimensions = (int)n;
  return all_finite(*vector, n) ? VECTOR_FOUND : VECTOR_WRONG;
}

static int vector_from_json(const char *text, size_t size, float **vector, int *dimensions) {
  cJSON *array = parse(text, size, '[', '[');
  int n = array ? cJSON_GetArraySize(array) : 0, found = VECTOR_WRONG;
  if (n > 0 && n <= DOCUMENTS_MOST_DIMENSIONS) {
    *vector = memory_alloc((size_t)n, sizeof **vector);
    found = *vector ? VECTOR_FOUND : VECTOR_NO_MEMORY;
    int i = 0;
    for (const cJSON *number = array->child; number && found == VECTOR_FOUND; number = number->next) {
      if (!cJSON_IsNumber(number)) found = VECTOR_WRONG;
      (*vector)[i++] = (float)number->valuedouble;
    }
    if (found == VECTOR_FOUND && !all_finite(*vector, (size_t)n)) found = VECTOR_WRONG;
    *dimensions = n;
  }
  cJSON_Delete(array);
  return found;
}

int vector_from_value(sqlite3_value *value, float **vector, int *dimensions) {
  int found = VECTOR_WRONG, type = sqlite3_value_type(value);
  *vector = NULL;
  *dimensions = 0;
  if (type == SQLITE_NULL) {
    found = VECTOR_NONE;
  } else if (type == SQLITE_BLOB) {
    const void *blob = sqlite3_value_blob(value);
    found = vector_from_blob(blob, (size_t)sqlite3_value_bytes(value), vector, dimensions);
  } else if (type == SQLITE_TEXT) {
    const char *text = (const char *)sqlite3_value_text(value);
    size_t size = (size_t)sqlite3_value_bytes(value);
    found = !text ? VECTOR_NO_MEMORY : size ? vector_from_json(text, size, vector, dimensions) : VECTOR_NONE;
  }
  if (found != VECTOR_FOUND) {
    memory_free(*vector);
    *vector = NULL;
  }
  return found;
}
