/* Made-up ratings, a matrix and its transpose. Included by one file of a program. */
#ifndef RECOMMEND_TESTS_RATINGS_H
#define RECOMMEND_TESTS_RATINGS_H

#include <math.h>

#include "base/random.h"
#include "base/sparse.h"
#include "base/sqlite.h"
#include "check.h"

typedef struct Data {
  SparseMatrix by_user, by_item;
} Data;

/* Ratings 1 … 5 of a share of all cells; every seventh user and fifth item has none, item 1 has one of all others. */
static inline Data make_data(size_t users, size_t items, double share, int with_values) {
  Data data = {0};
  size_t entries = 0;
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1) CHECK(sparse_alloc(&data.by_user, users, items, entries, with_values) == SQLITE_OK);
    entries = 0;
    for (size_t user = 0; user < users; user++) {
      for (size_t item = 0; item < items; item++) {
        if (users > 1 && (user % 7 == 3 || item % 5 == 2)) continue;
        if (item != 1 && random_uniform(5, user * items + item) >= share) continue;
        if (pass == 1) {
          data.by_user.index[entries] = (uint32_t)item;
          double taste = 3 + cos((double)user) * sin((double)item) * 2 + random_normal(6, user * items + item) * .5;
          if (with_values) data.by_user.value[entries] = (float)fmin(5, fmax(1, round(taste)));
        }
        entries++;
      }
      if (pass == 1) data.by_user.start[user + 1] = entries;
    }
  }
  CHECK(sparse_transpose(&data.by_user, &data.by_item, 2, NULL) == SQLITE_OK);
  return data;
}

static inline void free_data(Data *data) {
  sparse_free(&data->by_user);
  sparse_free(&data->by_item);
}

#endif
