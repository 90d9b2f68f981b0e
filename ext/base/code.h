/* Result codes. They are SQLite's, so that they travel through unchanged (error.c asserts that both agree), but code
 * that computes and never talks to a database needs no SQLite to name them. */
#ifndef RECOMMEND_BASE_CODE_H
#define RECOMMEND_BASE_CODE_H

enum {
  CODE_OK = 0,
  CODE_ERROR = 1,     /* the caller asked for what can't be done: the message says what to write */
  CODE_NOMEM = 7,     /* no memory */
  CODE_INTERRUPT = 9, /* the user wants it stopped */
  CODE_TOOBIG = 18    /* larger than what memory or a blob can hold */
};

#endif
