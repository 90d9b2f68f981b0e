/* Nearest users, and users who would like an item: see nearest_users.h.
 *
 * Their factors are read block by block past a bounded heap, so that memory does not grow with their number. */
#include "nearest_users.h"

#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/simd.h"
#include "../model/model_scorer.h"
#include "../model/store.h"
#include "nearest_items.h"

enum { BLOCK = 64 * STORE_CHUNK };

static float dot_factors(const float *a, const float *b, int stride) {
  Float16 sums = {0};
  for (int lane = 0; lane < stride; lane += 16) sums += FLOAT16_LOAD(a + lane) * FLOAT16_LOAD(b + lane);
  float sum = 0;
  for (int lane = 0; lane < 16; lane++) sum += sums[lane];
  return sum;
}

static int keep_at_most(NearestUsers *nearest, int64_t k, size_t candidates, TopK *top) {
  size_t kept = k < (int64_t)candidates ? (size_t)k : candidates;
  nearest->entries = memory_alloc(kept, sizeof *nearest->entries);
  if (!nearest->entries) return SQLITE_NOMEM;
  top_k_init(top, nearest->entries, kept);
  return SQLITE_OK;
}

/* ---- all users --------------------------------------------------------------------------------------------------- */

/* What users are compared with. */
typedef struct UserQuery {
  const float *vector;          /* of a dense model */
  const PostingsVector *spread; /* of a sparse one: another user, or */
  uint32_t item;                /* an item */
  const float *weights;         /* of one of links: what each item counts in a sum of items */
  float norm, bias;
  int biases_only; /* there are no factors */
  uint32_t self;
} UserQuery;

/* How good a user is, NaN where they are out of the question: for a dense vector, for the sums of a sparse model, and
 * for those of a model of links. */
typedef struct UserScore {
  float (*dense)(const UserQuery *query, const float *vector, float offset, uint32_t user, int stride);
  float (*sparse)(const UserQuery *query, const ModelItems *items, const PostingsVector *spread, uint32_t user);
  float (*linked)(const UserQuery *query, const ItemSum *sum, uint32_t user);
} UserScore;

/* Offers a block of users of a sparse model to the heap. */
static int scan_sums(const ModelItems *items, const ModelUsers *users, size_t first, const UserScore *score,
                     const UserQuery *query, TopK *top, const Cancel *cancel) {
  PostingsVector spread;
  int code = postings_vector_alloc(&items->postings, 1, &spread);
  for (size_t user = 0; code == SQLITE_OK && user < users->count; user++) {
    const PostingsQuery sum = item_sum_query(&users->sum[user]);
    uint32_t index = (uint32_t)(first + user);
    postings_vector_set(&items->postings, &sum, &spread);
    top_k_offer(top, score->sparse(query, items, &spread, index), index);
    code = cancel_poll(cancel);
  }
  postings_vector_free(&spread);
  return code;
}

/* Σ_j x_j w_j over a user's sum of items, in the order of links_score. */
static float weighted_sum(const float *weights, const ItemSum *sum) {
  float score = 0;
  for (size_t i = 0; i < sum->count; i++) score += sum->weight[i] * weights[sum->item[i]];
  return score;
}

static float sum_norm(const ItemSum *sum) {
  double squares = 0;
  for (size_t i = 0; i < sum->count; i++) squares += (double)sum->weight[i] * (double)sum->weight[i];
  return (float)sqrt(squares);
}

/* Offers every user of the model to the heap. */
static int scan_users(Model *model, const ModelItems *items, const UserScore *score, const UserQuery *query, TopK *top,
                      const Cancel *cancel, Error *error) {
  int head = items->shape.score_head, stride = shape_stride(&items->shape, head);
  int code = SQLITE_OK;
  for (size_t first = 0; code == SQLITE_OK && (int64_t)first < model_user_count(model); first += BLOCK) {
    ModelUsers users;
    code = model_users(model, items, first, BLOCK, 0, &users, error);
    if (code == SQLITE_OK && items->shape.sparse)
      code = error_from_code(error, scan_sums(items, &users, first, score, query, top, cancel));
    for (size_t user = 0; code == SQLITE_OK && user < users.count && !items->shape.sparse; user++) {
      uint32_t index = (uint32_t)(first + user);
      if (items->shape.links) {
        top_k_offer(top, score->linked(query, &users.sum[user], index), index);
        continue;
      }
      const float *vector = users.vector[head] + user * (size_t)stride;
      top_k_offer(top, score->dense(query, vector, users.offset[head][user], index, stride), index);
    }
    users_free(&users);
    if (code == SQLITE_OK) code = error_from_code(error, cancel_poll(cancel));
  }
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

static float similarity_to(const UserQuery *query, const float *vector, float offset, uint32_t user, int stride) {
  (void)offset;
  if (user == query->self) return NAN;
  return cosine(dot_factors(query->vector, vector, stride), query->norm, sqrtf(dot_factors(vector, vector, stride)));
}

static float similarity_of_sums(const UserQuery *query, const ModelItems *items, const PostingsVector *spread,
                                uint32_t user) {
  (void)items;
  double sum = 0;
  if (user == query->self) return NAN;
  if (!(spread->norm > 0) || !(query->spread->norm > 0)) return 0;
  for (size_t i = 0; i < spread->count; i++)
    sum += (double)spread->weight[spread->term[i]] * (double)query->spread->weight[spread->term[i]];
  return (float)(sum / (spread->norm * query->spread->norm));
}

static float similarity_of_histories(const UserQuery *query, const ItemSum *sum, uint32_t user) {
  return user == query->self ? NAN : cosine(weighted_sum(query->weights, sum), query->norm, sum_norm(sum));
}

static const UserScore similarity_score = {similarity_to, similarity_of_sums, similarity_of_histories};

/* What each item counts in a sum; NULL where there is no memory for that. */
static float *spread_sum(const ModelItems *items, const ItemSum *sum) {
  float *weights = memory_alloc_zero(items->ids.count, sizeof *weights);
  for (size_t i = 0; weights && i < sum->count; i++) weights[sum->item[i]] = sum->weight[i];
  return weights;
}

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
  int head = items->shape.score_head, stride = shape_stride(&items->shape, head);
  const float *vector = user->vector[head];
  float *weights = NULL;
  TopK top;
  UserQuery query = {.vector = vector, .spread = &user->spread, .self = user->index};
  int code = model_count_users(model, error);
  if (code != SQLITE_OK) return code;
  if (vector) query.norm = sqrtf(dot_factors(vector, vector, stride));
  if (items->shape.links) {
    query.weights = weights = spread_sum(items, &user->sum);
    query.norm = sum_norm(&user->sum);
    if (!weights) return error_no_memory(error);
  }
  code =
      keep_at_most(nearest, k, (size_t)model_user_count(model), &top) == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK) code = scan_users(model, items, &similarity_score, &query, &top, cancel, error);
  if (code == SQLITE_OK) nearest->count = top_k_sort(&top);
  memory_free(weights);
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
    if (items->shape.links == LINK_USER_NEIGHBORS)
      code = stored_users(model, nearest, user.index, k, error);
    else
      code = compare_users(model, items, nearest, &user, k, cancel, error);
    if (code == SQLITE_OK) code = read_ids(model, nearest, error);
  }
  user_free(&user);
  return code;
}

/* ---- those who would like an item -------------------------------------------------------------------------------- */

static float liking_of(const UserQuery *query, const float *vector, float offset, uint32_t user, int stride) {
  (void)user;
  float length = dot_factors(vector, vector, stride);
  if (length == 0 && !query->biases_only) return NAN; /* nothing was learned of this user */
  return dot_factors(query->vector, vector, stride) + query->bias + offset;
}

static float liking_of_sum(const UserQuery *query, const ModelItems *items, const PostingsVector *spread,
                           uint32_t user) {
  (void)user;
  return spread->count ? postings_score(&items->postings, query->item, spread) : NAN;
}

static float liking_by_links(const UserQuery *query, const ItemSum *sum, uint32_t user) {
  (void)user;
  return sum->count ? weighted_sum(query->weights, sum) : NAN;
}

static const UserScore liking_score = {liking_of, liking_of_sum, liking_by_links};

/* How an item is reached: from every item by its link, or by its own vector. */
static int aim_at(const ModelItems *items, uint32_t item, float *weights, float *vector, UserQuery *query) {
  const ScorePanel *panel = &items->panel[items->shape.score_head];
  *query = (UserQuery){.vector = vector, .item = item, .weights = weights};
  if (!weights && !vector) return SQLITE_NOMEM;
  for (uint32_t from = 0; weights && from < items->ids.count; from++)
    weights[from] = links_weight(&items->links, from, item);
  if (items->shape.links || items->shape.sparse) return SQLITE_OK;
  query->biases_only = !items->shape.rank[items->shape.score_head];
  query->bias = panel->bias ? panel->bias[item] : 0;
  score_panel_get(panel, item, vector);
  return SQLITE_OK;
}

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
static int find_fans(Model *model, const ModelItems *items, NearestUsers *nearest, const UserQuery *query,
                     uint32_t item, int64_t k, int64_t enough, const Cancel *cancel, Error *error) {
  TopK top;
  memory_free(nearest->entries);
  int code = keep_at_most(nearest, enough, (size_t)model_user_count(model), &top) == SQLITE_OK ? SQLITE_OK
                                                                                               : error_no_memory(error);
  if (code == SQLITE_OK) code = scan_users(model, items, &liking_score, query, &top, cancel, error);
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
  int links = items->shape.links != LINK_NONE;
  float *weights = links ? memory_alloc(items->ids.count, sizeof *weights) : NULL;
  float *vector =
      links ? NULL : memory_alloc_aligned((size_t)shape_stride(&items->shape, items->shape.score_head), sizeof *vector);
  UserQuery query;
  /* As many as have seen the item may be dropped afterwards. */
  int64_t enough = k < INT64_MAX - UINT32_MAX ? k + popularity->count[item] : INT64_MAX;
  popularity_release(popularity);
  code = aim_at(items, item, weights, vector, &query) == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK) code = find_fans(model, items, nearest, &query, item, k, enough, cancel, error);
  /* Those who dislike it are not counted: where they were in the way, all users are looked at. */
  if (code == SQLITE_OK && (int64_t)nearest->count < k && enough < model_user_count(model) &&
      shape_is_feedback(&items->shape))
    code = find_fans(model, items, nearest, &query, item, k, INT64_MAX, cancel, error);
  if (code == SQLITE_OK) code = read_ids(model, nearest, error);
  memory_free(weights);
  memory_free_aligned(vector);
  return code;
}

void nearest_users_free(NearestUsers *nearest) {
  for (size_t i = 0; nearest->ids && i < nearest->count; i++) sqlite3_value_free(nearest->ids[i]);
  memory_free(nearest->ids);
  memory_free(nearest->entries);
  *nearest = (NearestUsers){0};
}
