/* What the C tests share: a condition that fails is printed with its place and counted, and the test goes on.
 *
 *     int main(void) {
 *       CHECK(2 + 2 == 4);
 *       CHECK_NEAR(sqrt(2.0), 1.41421356, 1e-8);
 *       return check_report();
 *     }
 *
 * The last line printed, "N passed, N failed", is what tests/run.sh adds up. Included by one file of a program. */
#ifndef RECOMMEND_TESTS_CHECK_H
#define RECOMMEND_TESTS_CHECK_H

#include <math.h>
#include <stdio.h>
#include <string.h>

static long check_passed, check_failed;

/* Counts one check; returns whether it held. A loop that fails a million times prints only its first failures. */
static inline int check_that(int holds, const char *file, int line, const char *what) {
  if (holds) {
    check_passed++;
  } else if (check_failed++ < 50) {
    printf("%s:%d: failed: %s\n", file, line, what);
    fflush(stdout);
  }
  return holds;
}

/* Within `tolerance` of each other; NaN is near nothing. */
static inline int check_near(double a, double b, double tolerance, const char *file, int line, const char *what) {
  int holds = a == b || fabs(a - b) <= tolerance;
  if (!check_that(holds, file, line, what) && check_failed <= 50)
    printf("%s:%d:   %.17g and %.17g are %g apart, %g allowed\n", file, line, a, b, fabs(a - b), tolerance);
  return holds;
}

/* The same text; NULL equals only NULL. */
static inline int check_text(const char *a, const char *b, const char *file, int line, const char *what) {
  int holds = a == b || (a && b && strcmp(a, b) == 0);
  if (!check_that(holds, file, line, what) && check_failed <= 50)
    printf("%s:%d:   \"%s\" is not \"%s\"\n", file, line, a ? a : "(null)", b ? b : "(null)");
  return holds;
}

#define CHECK(condition) check_that((condition) ? 1 : 0, __FILE__, __LINE__, #condition)
#define CHECK_NEAR(a, b, tolerance) \
  check_near((double)(a), (double)(b), (double)(tolerance), __FILE__, __LINE__, #a " near " #b)
#define CHECK_TEXT(a, b) check_text((a), (b), __FILE__, __LINE__, #a " is " #b)

/* Prints the totals; the value for main to return. */
static inline int check_report(void) {
  printf("%ld passed, %ld failed\n", check_passed, check_failed);
  return check_failed != 0;
}

#endif
