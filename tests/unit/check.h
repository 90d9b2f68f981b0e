/* What the C tests add to cmocka, which runs and reports them, and whose asserts end the test that they are in.
 *
 * A CHECK goes on instead: it is for loops over many cells, sweeps of faults, threads and forked children, where an
 * assert would hide the other failures or jump out of what it may not leave. The first failures are printed with their
 * statement and place, all are counted, and the test fails at its end.
 *
 *     static void test_roots(void) {
 *       assert_int_equal(roots_make(&roots, 100), SQLITE_OK);
 *       for (int i = 0; i < 100; i++) CHECK_NEAR(roots.root[i] * roots.root[i], i, 1e-12);
 *     }
 *
 *     int main(void) {
 *       const struct CMUnitTest tests[] = {TEST(test_roots), TEST(test_squares)};
 *       return cmocka_run_group_tests(tests, NULL, NULL);
 *     }
 *
 * Included by one file of a program. */
#ifndef RECOMMEND_TESTS_CHECK_H
#define RECOMMEND_TESTS_CHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 1 under a sanitizer, where a program runs some fourteen times slower, and loops take fewer turns. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* How many failures a test prints: a loop may fail a million times. */
enum { CHECK_PRINTED = 20 };

static _Atomic long check_failures;

/* Returns whether it held, so that a caller can say more of one that did not. */
static inline int check_that(int holds, const char *file, int line, const char *what) {
  if (!holds && atomic_fetch_add(&check_failures, 1) < CHECK_PRINTED) {
    printf("%s:%d: failed: %s\n", file, line, what);
    fflush(stdout);
  }
  return holds;
}

/* Within `tolerance` of each other; NaN is near nothing. */
static inline int check_near(double a, double b, double tolerance, const char *file, int line, const char *what) {
  int holds = a == b || fabs(a - b) <= tolerance;
  if (!check_that(holds, file, line, what) && check_failures <= CHECK_PRINTED)
    printf("%s:%d:   %.17g and %.17g are %g apart, %g allowed\n", file, line, a, b, fabs(a - b), tolerance);
  return holds;
}

/* The same text; NULL equals only NULL. */
static inline int check_text(const char *a, const char *b, const char *file, int line, const char *what) {
  int holds = a == b || (a && b && strcmp(a, b) == 0);
  if (!check_that(holds, file, line, what) && check_failures <= CHECK_PRINTED)
    printf("%s:%d:   \"%s\" is not \"%s\"\n", file, line, a ? a : "(null)", b ? b : "(null)");
  return holds;
}

#define CHECK(condition) check_that((condition) ? 1 : 0, __FILE__, __LINE__, #condition)
#define CHECK_NEAR(a, b, tolerance) \
  check_near((double)(a), (double)(b), (double)(tolerance), __FILE__, __LINE__, #a " near " #b)
#define CHECK_TEXT(a, b) check_text((a), (b), __FILE__, __LINE__, #a " is " #b)

typedef struct Test {
  void (*function)(void);
  void (*function_of)(const void *object); /* where `function` is NULL */
  const void *object;
} Test;

/* What cmocka calls for each row of a table: its test is the state, which fails where a CHECK in it has. */
static inline void check_run(void **state) {
  const Test *test = *state;
  check_failures = 0;
  if (test->function)
    test->function();
  else
    test->function_of(test->object);
  if (check_failures) fail_msg("%ld checks failed, see what was printed", (long)check_failures);
}

/* TEST_FILTER='*memory*' in the environment runs only the tests with such a name. */
__attribute__((constructor)) static void check_filter(void) { cmocka_set_test_filter(getenv("TEST_FILTER")); }

/* Rows of a table of tests: a function, or one that is called with the address of an object. */
/* clang-format off */
#define TEST(function) \
  {.name = #function, .test_func = check_run, .initial_state = (Test[]){{function, NULL, NULL}}}
#define TEST_OF(function, object) \
  {.name = #function " of " #object, .test_func = check_run, .initial_state = (Test[]){{NULL, function, &(object)}}}
/* clang-format on */

#endif
