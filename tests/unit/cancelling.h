/* A Cancel that says SQLITE_INTERRUPT after so many polls:
 *
 *     long left = 5;
 *     Cancel cancel = {count_down, &left};
 *
 * Included by one file of a program. */
#ifndef RECOMMEND_TESTS_CANCELLING_H
#define RECOMMEND_TESTS_CANCELLING_H

#include "base/sqlite.h"

static inline int count_down(void *context) {
  long *left = context;
  return (*left)-- <= 0 ? SQLITE_INTERRUPT : SQLITE_OK;
}

#endif
