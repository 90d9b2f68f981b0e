/* Vectors in SQL, as recommend_factors and other extensions hand them out: BLOBs of little-endian float32 numbers, or
 * JSON arrays of numbers.
 *
 *     recommend_vector(v)      the JSON of a BLOB, the BLOB of a JSON
 *     recommend_dot(a, b)      Σ a b
 *     recommend_cosine(a, b)   Σ a b / (|a| |b|), and 0 where one is all zeros, as of texts without words
 *     recommend_normalize(v)   v / |v|, in the form of v; zeros stay
 *
 * Sums are of doubles, in order; a product of two float32 numbers is exact in one. NULL gives NULL. A number is written
 * by as few digits as give it back: 9 always do (Matula, "In-and-out conversions", CACM 11 (1968)).
 *
 * They stand in one file, since what is long is common to them: reading a vector in either form, and writing one. */
#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "../base/bytes.h"
#include "../base/memory.h"
#include "register.h"
#include "vtab.h"

typedef struct Vector {
  const char *bytes; /* count numbers, as in a blob, at any address */
  size_t count;
  char *owned; /* they, where they were JSON */
} Vector;

static double number_at(const Vector *vector, size_t i) {
  float number;
  bytes_copy_words(&number, vector->bytes + 4 * i, 1);
  return (double)number;
}

/* As rounding has it: a cast is defined up to the largest float only, which 3.40282347e38 is a little above. */
static float nearest_float(double number) {
  double halfway = 0x1.ffffffp127; /* to the next one, if there were one */
  if (fabs(number) <= (double)FLT_MAX) return (float)number;
  float bound = fabs(number) < halfway ? FLT_MAX : INFINITY;
  return number > 0 ? bound : -bound;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The argument in a message. */
typedef struct Place {
  const char *function, *which; /* "recommend_dot", "first " or "" */
} Place;

static const char wanted[] = "a vector is a BLOB of float32 numbers or a JSON array of numbers";

static int read_blob(const Place *place, sqlite3_value *value, Vector *vector, Error *error) {
  size_t size = (size_t)sqlite3_value_bytes(value);
  if (size % 4)
    return error_set(error, SQLITE_ERROR, "%s: the %svector is a BLOB of %lld bytes, but float32 numbers have 4 each",
                     place->function, place->which, (sqlite3_int64)size);
  vector->bytes = sqlite3_value_blob(value);
  vector->count = size / 4;
  if (size && !vector->bytes) return error_no_memory(error);
  for (size_t i = 0; i < vector->count; i++)
    if (!isfinite(number_at(vector, i)))
      return error_set(error, SQLITE_ERROR, "%s: number %lld of the %svector is not finite", place->function,
                       (sqlite3_int64)i + 1, place->which);
  return SQLITE_OK;
}

static int read_numbers(const Place *place, const cJSON *array, Vector *vector, Error *error) {
  size_t i = 0;
  vector->count = (size_t)cJSON_GetArraySize(array);
  vector->bytes = vector->owned = memory_alloc(vector->count, 4);
  if (!vector->owned) return error_no_memory(error);
  for (const cJSON *one = array->child; one; one = one->next, i++) {
    if (!cJSON_IsNumber(one))
      return error_set(error, SQLITE_ERROR, "%s: element %lld of the %svector is not a number: %s", place->function,
                       (sqlite3_int64)i + 1, place->which, wanted);
    float number = nearest_float(one->valuedouble);
    if (!isfinite(number))
      return error_set(error, SQLITE_ERROR, "%s: number %lld of the %svector, %g, is beyond float32", place->function,
                       (sqlite3_int64)i + 1, place->which, one->valuedouble);
    bytes_copy_words(vector->owned + 4 * i, &number, 1);
  }
  return SQLITE_OK;
}

static int read_json(const Place *place, sqlite3_value *value, Vector *vector, Error *error) {
  const char *text = (const char *)sqlite3_value_text(value);
  size_t size = (size_t)sqlite3_value_bytes(value);
  if (!text) return error_no_memory(error);
  /* A NUL within would end it early; with the one at its end it must be parsed to there. */
  cJSON *array = strlen(text) == size ? cJSON_ParseWithOpts(text, NULL, 1) : NULL;
  int code = array && cJSON_IsArray(array)
                 ? read_numbers(place, array, vector, error)
                 : error_set(error, SQLITE_ERROR, "%s: the %svector is '%!.40s%s': %s", place->function, place->which,
                             text, size > 40 ? "…" : "", wanted);
  cJSON_Delete(array);
  return code;
}

/* NULL is not asked for. To be freed in either case. */
static int vector_read(const Place *place, sqlite3_value *value, Vector *vector, Error *error) {
  *vector = (Vector){0};
  switch (sqlite3_value_type(value)) {
    case SQLITE_BLOB: return read_blob(place, value, vector, error);
    case SQLITE_TEXT: return read_json(place, value, vector, error);
    default:
      return error_set(error, SQLITE_ERROR, "%s: the %svector is %s: %s", place->function, place->which,
                       sqlite3_value_text(value), wanted);
  }
}

static void vector_free(Vector *vector) { memory_free(vector->owned); }

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* What a decimal "d.ddde±xx" reads as. To a few units of a double's last place, which tells floats apart. */
static double read_decimal(const char *text) {
  double digits = 0, sign = *text == '-' ? -1 : 1;
  int exponent = 0, places = 0, behind = 0;
  for (text += *text == '-'; *text && *text != 'e'; text++) {
    if (*text == '.') {
      behind = 1;
    } else {
      digits = 10 * digits + (*text - '0');
      places += behind;
    }
  }
  int negative = *text && text[1] == '-';
  for (text += *text ? 2 : 0; *text; text++) exponent = 10 * exponent + (*text - '0');
  exponent = (negative ? -exponent : exponent) - places;
  return sign * (exponent < 0 ? digits / pow(10, -exponent) : digits * pow(10, exponent));
}

static void append_float(sqlite3_str *json, double number) {
  char text[32];
  int digits = 6;
  for (; digits < 9; digits++) {
    sqlite3_snprintf((int)sizeof text, text, "%.*e", digits - 1, number);
    double read = read_decimal(text);
    if (nearest_float(read) == (float)number) break;
  }
  if (number == 0)
    sqlite3_str_appendall(json, signbit(number) ? "-0.0" : "0");
  else
    sqlite3_str_appendf(json, "%.*g", digits, number);
}

/* As JSON, every number times `factor` and then a float32. */
static int result_json(sqlite3_context *context, const Vector *vector, double factor, Error *error) {
  sqlite3_str *json = sqlite3_str_new(sqlite3_context_db_handle(context));
  for (size_t i = 0; i < vector->count; i++) {
    sqlite3_str_appendall(json, i ? "," : "[");
    append_float(json, (double)(float)(number_at(vector, i) * factor));
  }
  sqlite3_str_appendall(json, vector->count ? "]" : "[]");
  int code = sqlite3_str_errcode(json), size = sqlite3_str_length(json);
  char *text = sqlite3_str_finish(json);
  if (code == SQLITE_TOOBIG)
    return error_set(error, code, "the JSON of a vector of %lld numbers is too long", (sqlite3_int64)vector->count);
  if (!text) return error_no_memory(error);
  sqlite3_result_text(context, text, size, sqlite3_free);
  sqlite3_result_subtype(context, 'J');
  return SQLITE_OK;
}

static int result_blob(sqlite3_context *context, const Vector *vector, double factor, Error *error) {
  char *bytes = sqlite3_malloc64(vector->count ? 4 * (sqlite3_uint64)vector->count : 1);
  if (!bytes) return error_no_memory(error);
  for (size_t i = 0; i < vector->count; i++) {
    float number = (float)(number_at(vector, i) * factor);
    bytes_copy_words(bytes + 4 * i, &number, 1);
  }
  sqlite3_result_blob64(context, bytes, 4 * (sqlite3_uint64)vector->count, sqlite3_free);
  return SQLITE_OK;
}

/* ---- the functions ----------------------------------------------------------------------------------------------- */

static double vector_dot(const Vector *a, const Vector *b) {
  double sum = 0;
  for (size_t i = 0; i < a->count; i++) sum += number_at(a, i) * number_at(b, i);
  return sum;
}

static void of_one(sqlite3_context *context, sqlite3_value *value, const char *function, int normalizes) {
  Error error = {0};
  Vector vector;
  const Place place = {function, ""};
  if (sqlite3_value_type(value) == SQLITE_NULL) return;
  int code = vector_read(&place, value, &vector, &error);
  double length = code == SQLITE_OK && normalizes ? sqrt(vector_dot(&vector, &vector)) : 1;
  int as_text = (sqlite3_value_type(value) == SQLITE_TEXT) == normalizes; /* or in the other form */
  if (code == SQLITE_OK)
    code = (as_text ? result_json : result_blob)(context, &vector, length > 0 ? 1 / length : 1, &error);
  if (code != SQLITE_OK) scalar_report(context, &error);
  vector_free(&vector);
}

static void recommend_vector(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  of_one(context, values[0], "recommend_vector", 0);
}

static void recommend_normalize(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  of_one(context, values[0], "recommend_normalize", 1);
}

static void of_two(sqlite3_context *context, sqlite3_value **values, const char *function, int is_cosine) {
  Error error = {0};
  Vector a = {0}, b = {0};
  const Place first = {function, "first "}, second = {function, "second "};
  if (sqlite3_value_type(values[0]) == SQLITE_NULL || sqlite3_value_type(values[1]) == SQLITE_NULL) return;
  int code = vector_read(&first, values[0], &a, &error);
  if (code == SQLITE_OK) code = vector_read(&second, values[1], &b, &error);
  if (code == SQLITE_OK && a.count != b.count)
    code = error_set(&error, SQLITE_ERROR, "%s: the vectors have %lld and %lld numbers, but must be equally long",
                     function, (sqlite3_int64)a.count, (sqlite3_int64)b.count);
  if (code == SQLITE_OK) {
    double product = vector_dot(&a, &b), lengths = is_cosine ? sqrt(vector_dot(&a, &a)) * sqrt(vector_dot(&b, &b)) : 1;
    double cosine = lengths > 0 ? product / lengths : 0;
    sqlite3_result_double(context, is_cosine ? fmax(-1, fmin(1, cosine)) : product);
  } else {
    scalar_report(context, &error);
  }
  vector_free(&a);
  vector_free(&b);
}

static void recommend_dot(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  of_two(context, values, "recommend_dot", 0);
}

static void recommend_cosine(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  of_two(context, values, "recommend_cosine", 1);
}

int recommend_vector_register(sqlite3 *db) {
  enum { PURE = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS };
  static const struct {
    const char *name;
    int arguments, flags;
    void (*function)(sqlite3_context *context, int count, sqlite3_value **values);
  } functions[] = {
      {"recommend_vector", 1, PURE | FUNCTION_RESULT_SUBTYPE, recommend_vector},
      {"recommend_dot", 2, PURE, recommend_dot},
      {"recommend_cosine", 2, PURE, recommend_cosine},
      {"recommend_normalize", 1, PURE | FUNCTION_RESULT_SUBTYPE, recommend_normalize},
  };
  int code = SQLITE_OK;
  for (size_t i = 0; i < sizeof functions / sizeof *functions && code == SQLITE_OK; i++)
    code = sqlite3_create_function_v2(db, functions[i].name, functions[i].arguments, functions[i].flags, NULL,
                                      functions[i].function, NULL, NULL, NULL);
  return code;
}
