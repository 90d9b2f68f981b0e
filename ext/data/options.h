/* The last argument of training and evaluating functions: a JSON object of options, described by a table.
 *
 *     static const Option options[] = {
 *         {"epochs", OPTION_INTEGER, offsetof(MfOptions, epochs), .minimum = 1, .maximum = 100000, .otherwise = "15"},
 *         {"solver", OPTION_CHOICE, offsetof(MfOptions, solver), .choices = "cg|cholesky", .otherwise = "\"cg\""},
 *     };
 *     options_set_defaults(NULL, options, count, &target, error)
 *     options_parse("mf_train", json, options, count, &target, error)
 *
 * What the object does not name stays as the target had it: fill in the defaults first. */
#ifndef RECOMMEND_DATA_OPTIONS_H
#define RECOMMEND_DATA_OPTIONS_H

#include <stddef.h>

#include "database_error.h"

typedef enum OptionType {
  OPTION_INTEGER,  /* int */
  OPTION_SEED,     /* uint64_t; an integer from 0 to 2^53 */
  OPTION_NUMBER,   /* double */
  OPTION_BOOLEAN,  /* int, 0 or 1 */
  OPTION_CHOICE,   /* int: which of `choices`; "null", "false" and "true" among them are JSON's */
  OPTION_TEXT,     /* char *, owned by the target, from sqlite3_mprintf */
  OPTION_COLUMN,   /* OptionColumn: a name, or null for "there is none" */
  OPTION_BY_HEAD,  /* double[2]: a number for both heads, or {"rating": number, "ranking": number} */
  OPTION_INTEGERS, /* OptionIntegers: an integer, or an array of them */
  OPTION_TEXTS,    /* OptionTexts: a text, or an array of them */
  OPTION_WORDS,    /* OptionWords: one of `choices`, or an array of texts, or null for none */
} OptionType;

typedef struct OptionColumn {
  char *name;  /* owned by the target */
  int is_null; /* given as null */
} OptionColumn;

enum { OPTION_MOST_INTEGERS = 16 };
typedef struct OptionIntegers {
  int count;
  int value[OPTION_MOST_INTEGERS];
} OptionIntegers;

typedef struct OptionTexts {
  int count;
  char **text; /* owned by the target, like the texts: option_texts_free */
} OptionTexts;

typedef struct OptionWords {
  int choice; /* which of `choices`, or -1 */
  OptionTexts words;
} OptionWords;

void option_texts_free(OptionTexts *texts); /* leaves it cleared */

typedef struct Option {
  const char *name;
  OptionType type;
  size_t offset;           /* of the value in the target */
  double minimum, maximum; /* of numbers; both bounds allowed */
  const char *choices;     /* "als|ials" */
  const char *otherwise;   /* the value where none is given, as JSON; NULL: see `rule` */
  const char *rule;        /* what a default that is no constant follows from, in words; NULL: there is no default */
  const char *meaning;     /* for people, in a line */
  unsigned readers;        /* which methods read it, a bit each; 0: all of them (options_check_readers) */
} Option;

/* What a number of type int and a choice are whose default follows from a rule, as long as none is given. A number of
 * type double is NaN, texts are NULL. */
enum { OPTION_NOT_GIVEN = -1 };

/* Gives the target the defaults of those options that `json` (NULL: none), which must be valid, does not name. Texts
 * that the target held are not freed. Always SQLITE_OK, or SQLITE_NOMEM. */
int options_set_defaults(const char *json, const Option *options, size_t count, void *target, Error *error);

/* Appends the members `"name":value`, with commas between them and one before the first, for all numbers, choices and
 * booleans that have a value; texts and lists are left out. */
struct sqlite3_str;
void options_describe(const Option *options, size_t count, const void *target, struct sqlite3_str *json);

/* For people: "integer", "text" …; and what is allowed, as "0 … 1" or `"a", "b"`, appended to a text: nothing where all
 * is. */
const char *option_type_name(const Option *option);
void option_append_range(const Option *option, struct sqlite3_str *text);

/* Parses `json` (NULL or '' are no options) into `target`. An unknown key, a key given twice, a wrong type, a value out
 * of range or text behind the object is SQLITE_ERROR, with a message that starts with `caller` and names the key, what
 * was expected and what came; texts parsed before the error are in the target and to be freed with it. */
int options_parse(const char *caller, const char *json, const Option *options, size_t count, void *target,
                  Error *error);

/* The error of options_parse where the object, which must be valid, has a member that is not an option's name. */
int options_check_names(const char *caller, const char *json, const Option *options, size_t count, Error *error);

/* An error that names the option and who reads it, where the object, which must have been parsed without one, has an
 * option that method number `method` of `methods` ("als", "ials" …) does not read. */
int options_check_readers(const char *caller, const char *json, const Option *options, size_t count,
                          const char *const *methods, int method, Error *error);

/* Options that are read only with others, or with some data. */
typedef struct OptionUse {
  const char *names; /* "bm25_k1|bm25_b" */
  int read;          /* they are */
  const char *when;  /* "with \"weighting\": \"bm25\"" */
} OptionUse;

/* An error that names the option and when it is read, where the object, which must have been parsed without one, has an
 * option that is not. */
int options_check_uses(const char *caller, const char *json, const OptionUse *uses, size_t count, Error *error);

/* The same where a number by head, {"rating": number, "ranking": number}, has one for a head that is not read. */
int options_check_heads(const char *caller, const char *json, const char *name, const int read[2], Error *error);

/* A parsed object as text, its whole numbers (seeds) exactly; NULL where memory ran out, or the object is. From
 * sqlite3_malloc. */
struct cJSON;
char *options_text(struct cJSON *object);

/* The object again, less one key, compact; NULL where memory ran out. From sqlite3_malloc. */
char *options_without(const char *json, const char *key);

/* The text of choice number `index` of "a|b|c", as sqlite3_mprintf gives it. */
char *options_choice(const char *choices, int index);

/* The name nearest to `word` (fewest letters changed, two letters swapped counting as one change), or NULL where none
 * is near enough to be meant. */
const char *options_nearest(const char *word, const Option *options, size_t count);

#endif
