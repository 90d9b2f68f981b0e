/* How far apart two words are: see edit_distance.h. */
#include "edit_distance.h"

#include <string.h>

enum { LONGEST = 63 };

static int lower(char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : (unsigned char)c; }

static int least_of(int a, int b) { return a < b ? a : b; }

int nearest_distance(const char *a, const char *b) {
  int rows[3][LONGEST + 1]; /* of the table of distances between beginnings of a and of b: the last three */
  size_t m = strlen(a), n = strlen(b);
  if (m > LONGEST || n > LONGEST) return LONGEST + 1;
  int *before = rows[0], *above = rows[1], *row = rows[2];
  for (int j = 0; j <= (int)n; j++) row[j] = j;
  for (int i = 1; i <= (int)m; i++) {
    int *oldest = before;
    before = above;
    above = row;
    row = oldest;
    row[0] = i;
    for (int j = 1; j <= (int)n; j++) {
      int same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = least_of(above[j - 1] + !same, least_of(above[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
        row[j] = least_of(row[j], before[j - 2] + 1);
    }
  }
  return row[n];
}

int nearest_limit(const char *word) {
  size_t length = strlen(word);
  return length < 4 ? 1 : length < 9 ? 2 : 3;
}
