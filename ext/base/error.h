/* The one error idiom: a function returns an SQLite result code, and where it fails it puts a sentence into an Error.
 *
 * The first message wins: a caller higher up that knows less does not overwrite it. Codes that SQLite gave us
 * (BUSY, READONLY, FULL, INTERRUPT, NOMEM) travel unchanged.
 *
 * A function that takes an Error and returns no code, but what it has made or nothing at all, is a step: where an error
 * is recorded already it does nothing, and returns 0 or NULL. So steps are written one after another, and who has
 * called them looks at error->code once, before anything that must not happen after a failure:
 *
 *     int64_t k = argument_k(call, 1, error);
 *     Model *model = argument_model(call, 2, ABILITY_RECOMMEND, &items, error);
 *     if (!model) return error->code;
 *
 * A code that a step was given by a function without an Error is recorded by error_from_code, so that none is lost. */
#ifndef RECOMMEND_BASE_ERROR_H
#define RECOMMEND_BASE_ERROR_H

#include "code.h"

typedef struct Error {
  int code;      /* an SQLite result code; CODE_OK while nothing has failed */
  char *message; /* owned, from sqlite3_mprintf; NULL when memory ran out or there is none */
} Error;

/* Records code and message unless an error is recorded already; returns the recorded code. That of CODE_INTERRUPT is
 * "interrupted", whatever is given.
 * `format` is sqlite3_mprintf's (%q, %Q and %w included). */
int error_set(Error *error, int code, const char *format, ...);

/* The same for CODE_NOMEM, which needs no words. */
static inline int error_no_memory(Error *error) {
  if (error->code == CODE_OK) error->code = CODE_NOMEM;
  return error->code;
}

/* Records a code that came without words, as parallel_for, cancel_poll and most of learn/ return them, with those that
 * SQLite has for it; CODE_OK passes. Returns the recorded code. */
int error_from_code(Error *error, int code);

/* Puts "who: " in front of the message that there is. */
void error_prefix(Error *error, const char *who);

void error_clear(Error *error);

#endif
