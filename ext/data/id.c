/* Ids: see id.h.
 *
 * The hash of an id, which must never change, since it says which rows are held out for testing. With 64-bit unsigned
 * arithmetic, G = 0x9e3779b97f4a7c15 and mix = SplitMix64's finaliser (base/random.h):
 *
 *   integer i       mix(i * G + G)                               i in two's complement
 *   other number x  mix(bits(x) ^ mix(2 * G))                    bits(x) the IEEE 754 double
 *   text, blob      h = mix(3 * G) + size (blob: 4 * G); for each 8 bytes, read little-endian, the last ones padded
 *                   with zeros: h = (h ^ word) * 0x9fb21c651e98df25, h ^= h >> 32; at the end mix(h)
 *
 * A number that an integer can stand for is hashed as that integer. Every step is one-to-one in the word it takes in,
 * so that ids of equal length that differ in one word never collide.
 *
 *   split_uniform   h = mix(seed + G); for each id of the key h = mix((h ^ hash(id)) + G); then (h >> 11) / 2^53
 */
#include "id.h"

#include <string.h>

#include "../base/random.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* ---- affinity ---------------------------------------------------------------------------------------------------- */

/* Whether `part`, in capitals, occurs in `text` in any case. */
static int contains(const char *text, const char *part) {
  int length = (int)strlen(part);
  for (; *text; text++)
    if (sqlite3_strnicmp(text, part, length) == 0) return 1;
  return 0;
}

IdAffinity id_affinity_of(const char *declared_type) {
  const char *type = declared_type;
  if (!type || !*type) return ID_AFFINITY_BLOB;
  if (contains(type, "INT")) return ID_AFFINITY_INTEGER;
  if (contains(type, "CHAR") || contains(type, "CLOB") || contains(type, "TEXT")) return ID_AFFINITY_TEXT;
  if (contains(type, "BLOB")) return ID_AFFINITY_BLOB;
  if (contains(type, "REAL") || contains(type, "FLOA") || contains(type, "DOUB")) return ID_AFFINITY_REAL;
  /* In a STRICT table, where the type is at home, ANY keeps the text '42' apart from 42. */
  if (sqlite3_stricmp(type, "ANY") == 0) return ID_AFFINITY_BLOB;
  return ID_AFFINITY_NUMERIC;
}

const char *id_affinity_name(IdAffinity affinity) {
  switch (affinity) {
    case ID_AFFINITY_TEXT: return "TEXT";
    case ID_AFFINITY_NUMERIC: return "NUMERIC";
    case ID_AFFINITY_INTEGER: return "INTEGER";
    case ID_AFFINITY_REAL: return "REAL";
    case ID_AFFINITY_BLOB: break;
  }
  return "";
}

#define TWO_TO_63 9223372036854775808.0

/* ---- from and to SQLite ------------------------------------------------------------------------------------------ */

int real_is_whole(double real, int64_t *whole) {
  if (!(real >= -TWO_TO_63 && real < TWO_TO_63)) return 0; /* the cast is undefined outside */
  *whole = (int64_t)real;
  return (double)*whole == real;
}

int value_is_whole(sqlite3_value *value, int64_t *whole) {
  int type = sqlite3_value_numeric_type(value);
  if (type == SQLITE_FLOAT) return real_is_whole(sqlite3_value_double(value), whole);
  if (type != SQLITE_INTEGER) return 0;
  *whole = sqlite3_value_int64(value);
  return 1;
}

static int from_real(double real, Id *id) {
  int64_t integer;
  int integral = real_is_whole(real, &integer);
  *id = (Id){.kind = integral ? ID_INTEGER : ID_REAL};
  if (integral)
    id->as.integer = integer;
  else
    id->as.real = real;
  return 1;
}

/* A NULL pointer is an empty blob, or memory that ran out. */
static int from_bytes(IdKind kind, const void *bytes, int size, Id *id) {
  if (!bytes && (kind == ID_TEXT || size)) return -1;
  *id = (Id){.kind = kind, .size = (uint32_t)size, .as.bytes = bytes ? bytes : ""};
  return 1;
}

static int text_from_value(sqlite3_value *value, Id *id) {
  const void *text = sqlite3_value_text(value);
  return from_bytes(ID_TEXT, text, sqlite3_value_bytes(value), id);
}

int id_from_value(sqlite3_value *value, Id *id) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER: *id = (Id){.kind = ID_INTEGER, .as.integer = sqlite3_value_int64(value)}; return 1;
    case SQLITE_FLOAT: return from_real(sqlite3_value_double(value), id);
    case SQLITE_TEXT: return text_from_value(value, id);
    case SQLITE_BLOB: {
      const void *blob = sqlite3_value_blob(value);
      return from_bytes(ID_BLOB, blob, sqlite3_value_bytes(value), id);
    }
    default: return 0;
  }
}

int id_from_column(sqlite3_stmt *statement, int column, Id *id) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      *id = (Id){.kind = ID_INTEGER, .as.integer = sqlite3_column_int64(statement, column)};
      return 1;
    case SQLITE_FLOAT: return from_real(sqlite3_column_double(statement, column), id);
    case SQLITE_TEXT: {
      const void *text = sqlite3_column_text(statement, column);
      return from_bytes(ID_TEXT, text, sqlite3_column_bytes(statement, column), id);
    }
    case SQLITE_BLOB: {
      const void *blob = sqlite3_column_blob(statement, column);
      return from_bytes(ID_BLOB, blob, sqlite3_column_bytes(statement, column), id);
    }
    default: return 0;
  }
}

int id_from_value_as(sqlite3_value *value, IdAffinity affinity, Id *id) {
  int type = sqlite3_value_type(value);
  if (affinity == ID_AFFINITY_TEXT && (type == SQLITE_INTEGER || type == SQLITE_FLOAT))
    return text_from_value(value, id);
  /* Turns text that reads wholly as a number into it, by SQLite's own rules. */
  if (affinity >= ID_AFFINITY_NUMERIC && type == SQLITE_TEXT) sqlite3_value_numeric_type(value);
  return id_from_value(value, id);
}

int id_bind(sqlite3_stmt *statement, int parameter, const Id *id) {
  switch (id->kind) {
    case ID_INTEGER: return sqlite3_bind_int64(statement, parameter, id->as.integer);
    case ID_REAL: return sqlite3_bind_double(statement, parameter, id->as.real);
    case ID_TEXT: return sqlite3_bind_text64(statement, parameter, id->as.bytes, id->size, SQLITE_STATIC, SQLITE_UTF8);
    case ID_BLOB: break;
    case ID_NONE: return sqlite3_bind_null(statement, parameter);
  }
  return sqlite3_bind_blob64(statement, parameter, id->as.bytes, id->size, SQLITE_STATIC);
}

void id_result(sqlite3_context *context, const Id *id) {
  switch (id->kind) {
    case ID_INTEGER: sqlite3_result_int64(context, id->as.integer); break;
    case ID_REAL: sqlite3_result_double(context, id->as.real); break;
    case ID_TEXT: sqlite3_result_text64(context, id->as.bytes, id->size, SQLITE_TRANSIENT, SQLITE_UTF8); break;
    case ID_BLOB: sqlite3_result_blob64(context, id->as.bytes, id->size, SQLITE_TRANSIENT); break;
    case ID_NONE: sqlite3_result_null(context); break;
  }
}

char *id_format(const Id *id, char text[ID_FORMAT_SIZE]) {
  enum { SHOWN_TEXT = 36, SHOWN_BLOB = 16 };
  const unsigned char *bytes = id->as.bytes;
  switch (id->kind) {
    case ID_INTEGER: sqlite3_snprintf(ID_FORMAT_SIZE, text, "%lld", (sqlite3_int64)id->as.integer); break;
    case ID_REAL: sqlite3_snprintf(ID_FORMAT_SIZE, text, "%!.15g", id->as.real); break;
    case ID_TEXT: {
      int shown = id->size < SHOWN_TEXT ? (int)id->size : SHOWN_TEXT;
      const char *more = (uint32_t)shown < id->size ? "…" : "";
      if (*more) /* not within a character */
        while (shown > 0 && (bytes[shown] & 0xc0) == 0x80) shown--;
      sqlite3_snprintf(ID_FORMAT_SIZE, text, "'%.*q%s'", shown, bytes, more);
      break;
    }
    case ID_BLOB: {
      uint32_t shown = id->size < SHOWN_BLOB ? id->size : SHOWN_BLOB;
      sqlite3_snprintf(ID_FORMAT_SIZE, text, "x'");
      for (uint32_t b = 0; b < shown; b++) sqlite3_snprintf(3, text + 2 + 2 * b, "%02x", bytes[b]);
      sqlite3_snprintf(8, text + 2 + 2 * shown, "%s'", shown < id->size ? "…" : "");
      break;
    }
    case ID_NONE: sqlite3_snprintf(ID_FORMAT_SIZE, text, "NULL"); break;
  }
  return text;
}

/* ---- order and hash ---------------------------------------------------------------------------------------------- */

/* The place of a kind in SQLite's order: numbers, text, blobs. */
static int kind_order(IdKind kind) { return kind <= ID_REAL ? 0 : (int)kind; }

/* Exactly, where a double can't hold the integer too. */
static int compare_integer_with_real(int64_t integer, double real) {
  if (real < -0x1p63) return 1;
  if (real >= 0x1p63) return -1;
  int64_t whole = (int64_t)real;
  if (integer != whole) return integer < whole ? -1 : 1;
  double same = (double)whole; /* exact: larger reals have no fraction */
  return same < real ? -1 : same > real;
}

static int compare_numbers(const Id *a, const Id *b) {
  if (a->kind == ID_INTEGER && b->kind == ID_INTEGER)
    return a->as.integer < b->as.integer ? -1 : a->as.integer > b->as.integer;
  if (a->kind == ID_REAL && b->kind == ID_REAL) return a->as.real < b->as.real ? -1 : a->as.real > b->as.real;
  if (a->kind == ID_INTEGER) return compare_integer_with_real(a->as.integer, b->as.real);
  return -compare_integer_with_real(b->as.integer, a->as.real);
}

int id_compare(const Id *a, const Id *b) {
  int order = kind_order(a->kind) - kind_order(b->kind);
  if (order != 0) return order;
  if (a->kind <= ID_REAL) return compare_numbers(a, b);
  uint32_t common = a->size < b->size ? a->size : b->size;
  order = common ? memcmp(a->as.bytes, b->as.bytes, common) : 0;
  if (order != 0) return order;
  return a->size < b->size ? -1 : a->size > b->size;
}

/* Up to 8 bytes as a little-endian number. */
static inline uint64_t read_word(const unsigned char *bytes, size_t n) {
  uint64_t word = 0;
  memcpy(&word, bytes, n);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

static inline uint64_t take_in(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
  return hash ^ (hash >> 32);
}

uint64_t id_hash(const Id *id) {
  if (id->kind == ID_INTEGER) return random_mix((uint64_t)id->as.integer * GOLDEN + GOLDEN);
  if (id->kind == ID_REAL) {
    uint64_t bits;
    memcpy(&bits, &id->as.real, sizeof bits);
    return random_mix(bits ^ random_mix(2 * GOLDEN));
  }
  uint64_t hash = random_mix((id->kind == ID_TEXT ? 3 : 4) * GOLDEN) + id->size;
  const unsigned char *bytes = id->as.bytes;
  size_t left = id->size;
  for (; left >= 8; left -= 8, bytes += 8) hash = take_in(hash, read_word(bytes, 8));
  if (left) hash = take_in(hash, read_word(bytes, left));
  return random_mix(hash);
}

double split_uniform(uint64_t seed, const Id *key, size_t length) {
  uint64_t hash = random_mix(seed + GOLDEN);
  for (size_t i = 0; i < length; i++) hash = random_mix((hash ^ id_hash(&key[i])) + GOLDEN);
  return (double)(hash >> 11) * 0x1.0p-53;
}
