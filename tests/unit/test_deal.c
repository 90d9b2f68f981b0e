/* Dealing out by numbers, against the definition: sizes within one of each other, in order of number, ties by place. */
#include "data/deal.h"

#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "failing_memory.h"

/* How many things with a number come before one: by counting all of them. */
static size_t place_of(const Deal *deal, size_t thing) {
  size_t before = 0;
  for (size_t i = 0; i < deal->count; i++)
    before += deal->number[i] < deal->number[thing] || (deal->number[i] == deal->number[thing] && i < thing);
  return before;
}

/* Numbers of a kind: 0 uniform, 1 with ties, 2 all equal, 3 the greatest there is. Every 7th thing stays out where
 * `gaps` says so. */
static void make_numbers(Deal *deal, size_t count, int kind, int gaps) {
  CHECK(deal_alloc(deal, count) == SQLITE_OK);
  for (size_t i = 0; i < count; i++) {
    double uniform = (double)(i * 2654435761U % 4294967296U) / 4294967296.0;
    deal->number[i] = kind == 0 ? uniform : kind == 1 ? floor(uniform * 5) / 5 : kind == 2 ? 0.5 : 1 - 0x1p-53;
    if (gaps && i % 7 == 3) deal->number[i] = NAN;
  }
}

static void folds(void) {
  for (int kind = 0; kind < 4; kind++)
    for (size_t count = 1; count < 400; count = count * 3 / 2 + 1)
      for (int n = 2; n <= DEAL_MOST_FOLDS && (size_t)n <= count; n += n < 8 ? 1 : 41) {
        Deal deal;
        make_numbers(&deal, count, kind, n % 2);
        size_t dealt = deal_count(&deal), size[DEAL_MOST_FOLDS] = {0};
        CHECK(dealt == (n % 2 ? count - (count + 3) / 7 : count));
        CHECK(deal_folds(&deal, n, NULL) == SQLITE_OK);
        for (size_t i = 0; i < count; i++) {
          if (isnan(deal.number[i]) && CHECK(deal.fold[i] == DEAL_NONE)) continue;
          CHECK(deal.fold[i] == place_of(&deal, i) * (size_t)n / dealt);
          size[deal.fold[i]]++;
        }
        for (int fold = 0; fold < n; fold++)
          CHECK(size[fold] == dealt / (size_t)n || size[fold] == (dealt + (size_t)n - 1) / (size_t)n);
        deal_free(&deal);
      }
}

static void parts(void) {
  for (int kind = 0; kind < 4; kind++)
    for (size_t count = 1; count < 200; count = count * 2 + 1)
      for (int tenths = 0; tenths <= 10; tenths++)
        for (size_t most = 1; most <= count; most += count / 3 + 1) {
          Deal deal;
          make_numbers(&deal, count, kind, tenths % 2);
          size_t below = 0;
          for (size_t i = 0; i < count; i++) below += deal.number[i] < tenths / 10.0;
          size_t expected = below < 1 ? 1 : below < most ? below : most;
          CHECK(deal_part(&deal, tenths / 10.0, most, NULL) == SQLITE_OK);
          for (size_t i = 0; i < count; i++)
            CHECK(deal.fold[i] == (!isnan(deal.number[i]) && place_of(&deal, i) < expected ? 0 : DEAL_NONE));
          deal_free(&deal);
        }
}

static int cancel_later(void *context) { return --*(int *)context < 0 ? SQLITE_INTERRUPT : SQLITE_OK; }

static void faults(void) {
  Deal deal;
  long baseline = outstanding;
  int code = SQLITE_NOMEM;
  for (long n = 0; code != SQLITE_OK; n++) {
    fail_after = n;
    code = deal_alloc(&deal, 9);
    for (size_t i = 0; i < 9 && code == SQLITE_OK; i++) deal.number[i] = (double)i / 9;
    if (code == SQLITE_OK) code = n % 2 ? deal_folds(&deal, 3, NULL) : deal_part(&deal, 0.4, 8, NULL);
    fail_after = -1;
    CHECK(code == SQLITE_NOMEM || (code == SQLITE_OK && n == 4));
    deal_free(&deal);
    CHECK(outstanding == baseline);
  }
  code = SQLITE_INTERRUPT;
  for (int n = 0; code != SQLITE_OK; n++) {
    int left = n;
    const Cancel cancel = {cancel_later, &left};
    make_numbers(&deal, 9000, 0, 0);
    code = deal_folds(&deal, 3, &cancel);
    CHECK(code == SQLITE_OK ? n == 8 : code == SQLITE_INTERRUPT);
    deal_free(&deal);
    CHECK(outstanding == baseline);
  }
}

int main(void) {
  install_memory();
  const struct CMUnitTest tests[] = {
      TEST(folds),
      TEST(parts),
      TEST(faults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
