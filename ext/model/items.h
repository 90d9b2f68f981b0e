/* The item side of a model in memory. */
#ifndef RECOMMEND_MODEL_ITEMS_H
#define RECOMMEND_MODEL_ITEMS_H

#include "../score/item_panel.h"
#include "../score/postings.h"
#include "reader.h"

/* The item side of a model, shared by everything that reads it. Never changed after loading, but for what is worked out
 * when it is first asked for (gram). */
typedef struct ModelItems {
  int references;
  int64_t stamp;
  ModelShape shape;
  IdAffinity user_affinity, item_affinity;
  Dictionary ids;      /* index ↔ id of the items; those that were forgotten have none */
  uint32_t *forgotten; /* their places, ascending: zeros in all that follows, and in nobody's history */
  size_t forgotten_count;
  ScorePanel panel[HEADS]; /* factors (and item biases) of the fitted heads; others cleared */
  float *norm;             /* ‖item‖ in the score head; of a sparse model, before it was made 1 */
  Postings postings;       /* the items of a sparse model */
  Links links;             /* of item neighbours and item weights; of user neighbours neither sparse nor dense */
  NeighborLists neighbors; /* of items, and what links points to */
  float *weights;          /* of those that were trained on, linked × linked, likewise */
  double *gram[HEADS];     /* what folding in over all cells needs of them: see kind_factors.c; NULL until asked for */
} ModelItems;

static inline Excluded items_forgotten(const ModelItems *items) {
  return (Excluded){items->forgotten, items->forgotten_count};
}

static inline int items_is_forgotten(const ModelItems *items, size_t item) {
  return items->forgotten_count && dictionary_is_none(&items->ids, item);
}

/* What an item counts as a neighbour: see ModelKind.nearest_items. */
static inline float items_neighbor_weight(const ModelItems *items, const float *weight, size_t item) {
  return items_is_forgotten(items, item) ? -1 : weight ? weight[item] : 1;
}

/* How many items there are, without the places of those that were forgotten. */
static inline size_t items_known(const ModelItems *items) { return items->ids.count - items->forgotten_count; }

/* Reads m_config, m_item and m_itemfactor; `stamp` is theirs. */
int items_load(Reader *reader, int64_t stamp, ModelItems **items, Error *error);
/* For model/: room for `count` items by items->shape, and one item put in, as trained_row has it. items_alloc returns
 * SQLITE_OK or SQLITE_NOMEM. */
int items_alloc(size_t count, ModelItems *items);
void items_set(ModelItems *items, size_t item, const float *row);

void items_release(ModelItems *items); /* NULL is fine */

/* A view of the items in which one more is forgotten, to fold users in with: its factors are zeros; the rest is shared,
 * and ids are not to be asked for. SQLITE_OK or SQLITE_NOMEM; to be freed in either case, before the items. */
int items_without(const ModelItems *items, size_t item, ModelItems *without);
void items_without_free(ModelItems *without);

#endif
