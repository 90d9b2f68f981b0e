/* item_similar(item, k [, model [, min_support]]), user_similar(user, k [, model]): the nearest by the cosine of the
 * score head's factors, itself left out; items' are shrunk by support, see nearest_items.h, and there for models of
 * links. Of those users are compared by the cosine of their histories, or are the neighbours that are stored.
 * recommend_users(item, k [, model]): who would like this and has not seen it.
 *
 * Items are cached and scanned in memory. Users are not: their factors are read chunk by chunk past a bounded heap, so
 * that memory does not grow with their number. */
#include <math.h>
#include <string.h>

#include "../answer/nearest_items.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/simd.h"
#include "../data/interrupt.h"
#include "../model/model_scorer.h"
#include "../model/store.h"
#include "register.h"
#include "table_function.h"

enum { COLUMN_RANK, COLUMN_ID, COLUMN_VALUE };
enum { BLOCK = 64 * STORE_CHUNK };

typedef struct Nearest {
  ModelItems *items;
  Scored *entries; /* best first */
  size_t count;
  sqlite3_value **ids; /* of users, one an entry; NULL where the entries are items */
} Nearest;

/* ---- vectors ----------------------------------------------------------------------------------------------------- */

static float dot(const float *a, const float *b, int stride) {
  Float16 sums = {0};
  for (int lane = 0; lane < stride; lane += 16) sums += FLOAT16_LOAD(a + lane) * FLOAT16_LOAD(b + lane);
  float sum = 0;
  for (int lane = 0; lane < 16; lane++) sum += sums[lane];
  return sum;
}

static int keep_at_most(Nearest *state, int64_t k, size_t candidates, TopK *top) {
  size_t kept = k < (int64_t)candidates ? (size_t)k : candidates;
  state->entries = memory_alloc(kept, sizeof *state->entries);
  if (!state->entries) return SQLITE_NOMEM;
  top_k_init(top, state->entries, kept);
  return SQLITE_OK;
}

/* ---- items ------------------------------------------------------------------------------------------------------- */

/* The index of the item that the argument names, or DICTIONARY_NONE. */
static int find_item(const TableCall *call, const ModelItems *items, uint32_t *item, Error *error) {
  Id id;
  int there = id_from_value_as(call->argument[0], items->item_affinity, &id);
  *item = there > 0 ? dictionary_find(&items->ids, &id) : DICTIONARY_NONE;
  return there < 0 ? error_no_memory(error) : SQLITE_OK;
}

static int nearest_items(TableCall *call, Model *model, Nearest *state, int64_t k, const Cancel *cancel, Error *error) {
  uint32_t item = DICTIONARY_NONE;
  int64_t min_support = 0;
  TopK top;
  NearestItems nearest = {0};
  int code = argument_count(call, 3, "min_support", 0, &min_support, error);
  if (code == SQLITE_OK)
    code = nearest_items_begin(&nearest, model, state->items, min_support, call->function->name, error);
  if (code == SQLITE_OK) code = find_item(call, state->items, &item, error);
  if (code == SQLITE_OK && item != DICTIONARY_NONE) {
    code = keep_at_most(state, k, state->items->ids.count, &top);
    if (code == SQLITE_OK)
      code = nearest_items_block(&nearest, item, 1, top.capacity, state->entries, &state->count, parallel_threads(0),
                                 cancel);
    code = error_from_code(error, code);
  }
  nearest_items_end(&nearest);
  return code;
}

/* ---- users ------------------------------------------------------------------------------------------------------- */

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
static float weigh(const float *weights, const ItemSum *sum) {
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

static int read_ids(Model *model, Nearest *state, Error *error) {
  state->ids = memory_alloc_zero(state->count, sizeof *state->ids);
  int code = state->ids ? SQLITE_OK : error_no_memory(error);
  for (size_t i = 0; i < state->count && code == SQLITE_OK; i++)
    code = model_user_row(model, state->entries[i].index, &state->ids[i], NULL, error);
  return code;
}

static float similarity_to(const UserQuery *query, const float *vector, float offset, uint32_t user, int stride) {
  (void)offset;
  if (user == query->self) return NAN;
  return cosine(dot(query->vector, vector, stride), query->norm, sqrtf(dot(vector, vector, stride)));
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
  return user == query->self ? NAN : cosine(weigh(query->weights, sum), query->norm, sum_norm(sum));
}

static const UserScore similarity_score = {similarity_to, similarity_of_sums, similarity_of_histories};

/* What each item counts in a sum; NULL where there is no memory for that. */
static float *spread_sum(const ModelItems *items, const ItemSum *sum) {
  float *weights = memory_alloc_zero(items->ids.count, sizeof *weights);
  for (size_t i = 0; weights && i < sum->count; i++) weights[sum->item[i]] = sum->weight[i];
  return weights;
}

/* The neighbours that are stored. */
static int stored_users(Model *model, Nearest *state, uint32_t user, int64_t k, Error *error) {
  NeighborLists lists = {0};
  TopK top;
  int code = model_user_neighbors(model, user, &lists, error);
  if (code == SQLITE_OK && keep_at_most(state, k, lists.start[1], &top) != SQLITE_OK) code = error_no_memory(error);
  for (size_t e = 0; code == SQLITE_OK && e < lists.start[1]; e++)
    top_k_offer(&top, lists.similarity[e], lists.neighbor[e]);
  if (code == SQLITE_OK) state->count = top_k_sort(&top);
  neighbor_lists_free(&lists);
  return code;
}

static int compare_users(Model *model, Nearest *state, const ModelUser *user, int64_t k, const Cancel *cancel,
                         Error *error) {
  const ModelItems *items = state->items;
  int head = items->shape.score_head, stride = shape_stride(&items->shape, head);
  const float *vector = user->vector[head];
  float *weights = NULL;
  TopK top;
  UserQuery query = {.vector = vector, .spread = &user->spread, .self = user->index};
  int code = model_count_users(model, error);
  if (code != SQLITE_OK) return code;
  if (vector) query.norm = sqrtf(dot(vector, vector, stride));
  if (items->shape.links) {
    query.weights = weights = spread_sum(items, &user->sum);
    query.norm = sum_norm(&user->sum);
    if (!weights) return error_no_memory(error);
  }
  code =
      keep_at_most(state, k, (size_t)model_user_count(model), &top) == SQLITE_OK ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK) code = scan_users(model, items, &similarity_score, &query, &top, cancel, error);
  if (code == SQLITE_OK) state->count = top_k_sort(&top);
  memory_free(weights);
  return code;
}

static int nearest_users(TableCall *call, Model *model, Nearest *state, int64_t k, const Cancel *cancel, Error *error) {
  const ModelItems *items = state->items;
  int found = 0;
  ModelUser user = {0};
  Id id;
  int there = id_from_value_as(call->argument[0], items->user_affinity, &id);
  int code = there < 0 ? error_no_memory(error)
                       : model_require(model, items, ABILITY_SIMILAR_USERS, call->function->name, error);
  if (code == SQLITE_OK && there > 0) code = model_user(model, items, &id, &user, NULL, &found, error);
  if (code == SQLITE_OK && found) {
    if (items->shape.links == LINK_USER_NEIGHBORS)
      code = stored_users(model, state, user.index, k, error);
    else
      code = compare_users(model, state, &user, k, cancel, error);
    if (code == SQLITE_OK) code = read_ids(model, state, error);
  }
  user_free(&user);
  return code;
}

static float liking_of(const UserQuery *query, const float *vector, float offset, uint32_t user, int stride) {
  (void)user;
  float length = dot(vector, vector, stride);
  if (length == 0 && !query->biases_only) return NAN; /* nothing was learned of this user */
  return dot(query->vector, vector, stride) + query->bias + offset;
}

static float liking_of_sum(const UserQuery *query, const ModelItems *items, const PostingsVector *spread,
                           uint32_t user) {
  (void)user;
  return spread->count ? postings_score(&items->postings, query->item, spread) : NAN;
}

static float liking_by_links(const UserQuery *query, const ItemSum *sum, uint32_t user) {
  (void)user;
  return sum->count ? weigh(query->weights, sum) : NAN;
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
static int drop_seen(Model *model, Nearest *state, uint32_t item, int64_t k, Error *error) {
  size_t kept = 0;
  int code = SQLITE_OK;
  for (size_t i = 0; i < state->count && (int64_t)kept < k && code == SQLITE_OK; i++) {
    History history;
    code = model_history(model, state->items, state->entries[i].index, &history, error);
    if (code == SQLITE_OK && !history_find(&history, item, NULL)) state->entries[kept++] = state->entries[i];
    history_free(&history);
  }
  state->count = kept;
  return code;
}

/* The k best of all users but those who have seen the item, looked for among the `enough` best. */
static int find_fans(Model *model, Nearest *state, const UserQuery *query, uint32_t item, int64_t k, int64_t enough,
                     const Cancel *cancel, Error *error) {
  TopK top;
  memory_free(state->entries);
  int code = keep_at_most(state, enough, (size_t)model_user_count(model), &top) == SQLITE_OK ? SQLITE_OK
                                                                                             : error_no_memory(error);
  if (code == SQLITE_OK) code = scan_users(model, state->items, &liking_score, query, &top, cancel, error);
  if (code != SQLITE_OK) return code;
  state->count = top_k_sort(&top);
  return drop_seen(model, state, item, k, error);
}

static int fans_of(TableCall *call, Model *model, Nearest *state, int64_t k, const Cancel *cancel, Error *error) {
  const ModelItems *items = state->items;
  uint32_t item;
  int found = find_item(call, items, &item, error);
  if (found != SQLITE_OK || item == DICTIONARY_NONE) return found;
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
  if (code == SQLITE_OK) code = find_fans(model, state, &query, item, k, enough, cancel, error);
  /* Those who dislike it are not counted: where they were in the way, all users are looked at. */
  if (code == SQLITE_OK && (int64_t)state->count < k && enough < model_user_count(model) &&
      shape_is_feedback(&items->shape))
    code = find_fans(model, state, &query, item, k, INT64_MAX, cancel, error);
  if (code == SQLITE_OK) code = read_ids(model, state, error);
  memory_free(weights);
  memory_free_aligned(vector);
  return code;
}

/* ---- the functions ----------------------------------------------------------------------------------------------- */

static const TableFunction functions[3]; /* item_similar, user_similar, recommend_users */

static int similar_start(TableCall *call, Error *error) {
  Nearest *state = call->state;
  Model *model = NULL;
  int64_t k = 0;
  Interrupt interrupt;
  static const Ability needs[] = {ABILITY_SIMILAR_ITEMS, ABILITY_SIMILAR_USERS, ABILITY_RECOMMEND};
  int of_users = call->function != &functions[0];
  int code = argument_k(call, 1, &k, error);
  if (code == SQLITE_OK)
    code = connection_model(call->connection, call->function->name, needs[call->function - functions],
                            call->argument[2], &model, error);
  if (code == SQLITE_OK) code = model_begin(model, &state->items, error);
  if (code != SQLITE_OK) return code;
  if (of_users) code = model_require(model, state->items, ABILITY_RECOMMEND, call->function->name, error);
  connection_interrupt(call->connection, &interrupt);
  if (code != SQLITE_OK)
    ; /* and nothing can be said */
  else if (!of_users)
    code = nearest_items(call, model, state, k, &interrupt.cancel, error);
  else if (call->function == &functions[1])
    code = nearest_users(call, model, state, k, &interrupt.cancel, error);
  else
    code = fans_of(call, model, state, k, &interrupt.cancel, error);
  interrupt_end(&interrupt);
  model_end(model);
  call->rows = (int64_t)state->count;
  return code;
}

static void similar_column(const TableCall *call, sqlite3_context *context, int which) {
  const Nearest *state = call->state;
  switch (which) {
    case COLUMN_RANK: sqlite3_result_int64(context, call->row + 1); break;
    case COLUMN_ID:
      if (state->ids) {
        sqlite3_result_value(context, state->ids[call->row]);
      } else {
        Id id = dictionary_id(&state->items->ids, state->entries[call->row].index);
        id_result(context, &id);
      }
      break;
    case COLUMN_VALUE: sqlite3_result_double(context, (double)state->entries[call->row].score); break;
  }
}

static void similar_end(TableCall *call) {
  Nearest *state = call->state;
  for (size_t i = 0; state->ids && i < state->count; i++) sqlite3_value_free(state->ids[i]);
  memory_free(state->ids);
  memory_free(state->entries);
  items_release(state->items);
  *state = (Nearest){0};
}

#define NEAREST(function_name, argument, id, value, more, more_usage, count)                                      \
  {                                                                                                               \
    .name = function_name,                                                                                        \
    .schema = "CREATE TABLE x(rank INTEGER, " id ", " value " REAL, _" argument                                   \
              " BLOB HIDDEN, _k HIDDEN, _model HIDDEN" more ")",                                                  \
    .usage = function_name "(" argument ", k [, model" more_usage "])", .outputs = 3, .arguments = count,         \
    .required = 1, .ordered = 1, .rows = 10, .cost = 1000, .state_size = sizeof(Nearest), .start = similar_start, \
    .column = similar_column, .end = similar_end,                                                                 \
  }

static const TableFunction functions[3] = {
    NEAREST("item_similar", "item", "item", "similarity", ", _min_support HIDDEN", " [, min_support]", 4),
    NEAREST("user_similar", "user", "user", "similarity", "", "", 3),
    NEAREST("recommend_users", "item", "user", "score", "", "", 3),
};

int item_similar_register(Connection *connection) {
  int code = SQLITE_OK;
  for (int i = 0; i < 3 && code == SQLITE_OK; i++) code = table_function_register(connection, &functions[i]);
  return code;
}
