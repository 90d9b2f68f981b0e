/* Nearest items: see nearest_items.h. */
#include "nearest_items.h"

#include "../base/memory.h"

/* The mean of how many users an item has. */
static double mean_support(const Popularity *popularity, const ModelItems *items) {
  double sum = 0;
  for (size_t item = 0; item < items->ids.count; item++) sum += (double)popularity->count[item];
  return items_known(items) > 0 ? sum / (double)items_known(items) : 0;
}

/* What each item counts as a neighbour. */
static int make_weights(NearestItems *nearest, const Popularity *popularity) {
  const ModelItems *items = nearest->items;
  double support = items->shape.kind->shrinks_by_support ? mean_support(popularity, items) : 0;
  nearest->weight = memory_alloc(items->ids.count, sizeof *nearest->weight);
  if (!nearest->weight) return SQLITE_NOMEM;
  for (size_t item = 0; item < items->ids.count; item++) {
    double n = (double)popularity->count[item];
    nearest->weight[item] = n < (double)nearest->min_support ? -1 : support > 0 ? (float)(n / (n + support)) : 1;
  }
  return SQLITE_OK;
}

int nearest_items_begin(NearestItems *nearest, Model *model, const ModelItems *items, int64_t min_support,
                        const char *caller, Error *error) {
  Popularity *popularity = NULL;
  *nearest = (NearestItems){.items = items, .min_support = min_support};
  int code = model_require(model, items, ABILITY_SIMILAR_ITEMS, caller, error);
  if (code != SQLITE_OK || (!items->shape.kind->shrinks_by_support && min_support <= 0)) return code;
  code = model_popularity(model, items, &popularity, error);
  if (code == SQLITE_OK) code = error_from_code(error, make_weights(nearest, popularity));
  popularity_release(popularity);
  return code;
}

void nearest_items_end(NearestItems *nearest) {
  memory_free(nearest->weight);
  *nearest = (NearestItems){0};
}

int nearest_items_block(const NearestItems *nearest, uint32_t first, size_t count, size_t k, Scored *best,
                        size_t *found, int threads, const Cancel *cancel) {
  const ModelItems *items = nearest->items;
  int code = items->shape.kind->nearest_items(items, nearest->weight, first, count, k, best, found, threads, cancel);
  for (size_t i = 0; i < count && items->forgotten_count; i++)
    if (items_is_forgotten(items, first + i)) found[i] = 0;
  return code;
}
