/* Nearest users, and users who would like an item: see nearest_users.h.
 *
 * Their factors are read block by block past a bounded heap, so that memory does not grow with their number. */
#include "nearest_users.h"

#include <math.h>

#include "../base/memory.h"
#include "../model/store.h"

enum { BLOCK = 64 * STORE_CHUNK };

static int keep_at_most(NearestUsers *nearest, int64_t k, size_t candidates, TopK *top) {
  size_t kept = k < (int64_t)candidates ? (size_t)k : candidates;
  nearest->entries = memory_alloc(kept, sizeof *nearest->entries);
  if (!nearest->entries) return SQLITE_NOMEM;
  top_k_init(top, nearest->entries, kept);
  return SQLITE_OK;
}

/* ---- all users --------------------------------------------------------------------------------------------------- */

/* How good users are: by how alike they are to a user, or by the score that an item has for them. */
typedef struct UserQuery {
  const ModelUser *user; /* NULL: */
  uint32_t item;
} UserQuery;

/* NaN where a user is out of the question. */
static int rate_users(const ModelItems *items, const ModelUsers *users, const UserQuery *query, float *scores,
                      const Cancel *cancel) {
  const Scorer scorer = items_scorer(items);
  const float *offset = users->offset[items->shape.score_head];
  if (query->user) {
    int code = scorer_compare(&scorer, query->user->query.each, &users->queries, scores, cancel);
    size_t self = query->user->index - users->first;
    if (self < users->count) scores[self] = NAN;
    return code;
  }
  int code = scorer_scores_for(&scorer, query->item, &users->queries, scores, cancel);
  for (size_t user = 0; user < users->count; user++)
    scores[user] = users->blank[user] ? NAN : scores[user] + (offset ? offset[user] : 0);
  return code;
}

/* Offers every user of the model to the heap. */
static int scan_users(Model *model, const ModelItems *items, const UserQuery *query, TopK *top, const Cancel *cancel,
                      Error *error) {
  float *scores = memory_alloc(BLOCK, sizeof *scores);
  int code = scores ? SQLITE_OK : error_no_memory(error);
  for (size_t first = 0; code == SQLITE_OK && (int64_t)first < model_user_count(model); first += BLOCK) {
    ModelUsers users;
    code = model_users(model, items, first, BLOCK, 0, &users, error);
    if (code == SQLITE_OK) code = error_from_code(error, rate_users(items, &users, query, scores, cancel));
    for (size_t user = 0; user < users.count && code == SQLITE_OK; user++)
      top_k_offer(top, scores[user], (uint32_t)(first + user));
    users_free(&users);
  }
  memory_free(scores);
  return code;
}

static int read_ids(Model *model, NearestUsers *nearest, Error *error) {
  nearest->ids = memory_alloc_zero(nearest->count, sizeof *nearest->ids);
  int code = nearest->ids ? SQLITE_OK : error_no_memory(error);
  for (size_t i = 0; i < nearest->count && code == SQLITE_OK; i++)
    code = model_user_row(model, nearest->entries[i].index, &nearest->ids[i], NULL, error);
  return code;
}

/* ---- those nearest to a user ------------------------------------------------------------------------------------- */

/* The neighbours that are stored. */
static int stored_users(Model *model, NearestUsers *nearest, uint32_t user, int64_t k, Error *error) {
  NeighborLists lists = {0};
  TopK top;
  int code = model_user_neighbors(model, user, &lists, error);
  if (code == SQLITE_OK && keep_at_most(nearest, k, lists.start[1], &top) != SQLITE_OK) code = error_no_memory(error);
  for (size_t e = 0; code == SQLITE_OK && e < lists.start[1]; e++)
    top_k_offer(&top, lists.similarity[e], lists.neighbor[e]);
  if (code == SQLITE_OK) nearest->count = top_k_sort(&top);
  neighbor_lists_free(&lists);
  return code;
}

static int compare_users(Model *model, const ModelItems *items, NearestUsers *nearest, const ModelUser *user, int64_t k,
                         const Cancel *cancel, Error *error) {
  const UserQuery query = {.user = user};
  TopK top;
  int code = model_count_users(model, error);
  if (code != SQLITE_OK) return code;
  code =
      keep_at_most(nearest, k, (size_t)model_user_count(model), &top) == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK) code = scan_users(model, items, &query, &top, cancel, error);
  if (code == SQLITE_OK) nearest->count = top_k_sort(&top);
  return code;
}

int nearest_users_to(NearestUsers *nearest, Model *model, const ModelItems *items, const Id *id, int64_t k,
                     const char *caller, const Cancel *cancel, Error *error) {
  int found = 0;
  ModelUser user = {0};
  *nearest = (NearestUsers){0};
  int code = model_require(model, items, ABILITY_SIMILAR_USERS, caller, error);
  if (code == SQLITE_OK && id) code = model_user(model, items, id, &user, NULL, &found, error);
  if (code == SQLITE_OK && found) {
    if (items->shape.kind->neighbors_of_users)
      code = stored_users(model, nearest, user.index, k, error);
    else
      code = compare_users(model, items, nearest, &user, k, cancel, error);
    if (code == SQLITE_OK) code = read_ids(model, nearest, error);
  }
  user_free(&user);
  return code;
}

/* ---- those who would like an item -------------------------------------------------------------------------------- */

/* Drops those who have seen the item, keeping at most k. */
static int drop_seen(Model *model, const ModelItems *items, NearestUsers *nearest, uint32_t item, int64_t k,
                     Error *error) {
  size_t kept = 0;
  int code = SQLITE_OK;
  for (size_t i = 0; i < nearest->count && (int64_t)kept < k && code == SQLITE_OK; i++) {
    History history;
    code = model_history(model, items, nearest->entries[i].index, &history, error);
    if (code == SQLITE_OK && !history_find(&history, item, NULL)) nearest->entries[kept++] = nearest->entries[i];
    history_free(&history);
  }
  nearest->count = kept;
  return code;
}

/* The k best of all users but those who have seen the item, looked for among the `enough` best. */
static int find_fans(Model *model, const ModelItems *items, NearestUsers *nearest, uint32_t item, int64_t k,
                     int64_t enough, const Cancel *cancel, Error *error) {
  const UserQuery query = {.item = item};
  TopK top;
  memory_free(nearest->entries);
  int code = keep_at_most(nearest, enough, (size_t)model_user_count(model), &top) == SQLITE_OK ? SQLITE_OK
                                                                                               : error_no_memory(error);
  if (code == SQLITE_OK) code = scan_users(model, items, &query, &top, cancel, error);
  if (code != SQLITE_OK) return code;
  nearest->count = top_k_sort(&top);
  return drop_seen(model, items, nearest, item, k, error);
}

int nearest_users_liking(NearestUsers *nearest, Model *model, const ModelItems *items, uint32_t item, int64_t k,
                         const Cancel *cancel, Error *error) {
  *nearest = (NearestUsers){0};
  Popularity *popularity = NULL;
  int code = model_count_users(model, error);
  if (code == SQLITE_OK) code = model_popularity(model, items, &popularity, error);
  if (code != SQLITE_OK) return code;
  /* As many as have seen the item may be dropped afterwards. */
  int64_t enough = k < INT64_MAX - UINT32_MAX ? k + popularity->count[item] : INT64_MAX;
  popularity_release(popularity);
  code = find_fans(model, items, nearest, item, k, enough, cancel, error);
  /* Those who dislike it are not counted: where they were in the way, all users are looked at. */
  if (code == SQLITE_OK && (int64_t)nearest->count < k && enough < model_user_count(model) &&
      shape_is_feedback(&items->shape))
    code = find_fans(model, items, nearest, item, k, INT64_MAX, cancel, error);
  if (code == SQLITE_OK) code = read_ids(model, nearest, error);
  return code;
}

void nearest_users_free(NearestUsers *nearest) {
  for (size_t i = 0; nearest->ids && i < nearest->count; i++) sqlite3_value_free(nearest->ids[i]);
  memory_free(nearest->ids);
  memory_free(nearest->entries);
  *nearest = (NearestUsers){0};
}
