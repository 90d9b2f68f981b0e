/* Evaluating a model on ratings that it was not trained on: see evaluation.h. The formulas are at the top of
 * learn/metrics.c. */
#include "evaluation.h"

#include <math.h>
#include <string.h>

#include "../base/indexes.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../model/store.h"
#include "predictor.h"

enum { MOST_USERS = 32 * STORE_CHUNK }; /* that are judged at a time */

/* ---- gathering --------------------------------------------------------------------------------------------------- */

/* A block of users whose lists are ranked by one panel. */
typedef struct Block {
  size_t count;
  char *queries; /* count, for the scorer */
  Excluded *excluded, *relevant;
  uint32_t *unknown;
  uint32_t *items; /* behind `relevant` */
  size_t item_count;
} Block;

static void block_free(Block *block) {
  memory_free_aligned(block->queries);
  memory_free(block->excluded);
  memory_free(block->relevant);
  memory_free(block->unknown);
  memory_free(block->items);
  *block = (Block){0};
}

/* Room for so many users, whose queries have that size, with up to `items` relevant items in all. */
static int block_alloc(Block *block, size_t users, size_t query_size, size_t items) {
  *block = (Block){0};
  block->queries = memory_alloc_aligned(users, query_size);
  block->excluded = memory_alloc(users, sizeof *block->excluded);
  block->relevant = memory_alloc(users, sizeof *block->relevant);
  block->unknown = memory_alloc(users, sizeof *block->unknown);
  block->items = memory_alloc(items, sizeof *block->items);
  return block->queries && block->excluded && block->relevant && block->unknown && block->items ? SQLITE_OK
                                                                                                : SQLITE_NOMEM;
}

static void block_clear(Block *block) { block->count = block->item_count = 0; }

/* Puts a user of the source into a block, with their query, if there is one. `history` is NULL for users that the model
 * does not know. */
static void block_add(Block *block, const Judge *judge, size_t source_user, const History *history, const void *query,
                      size_t query_size) {
  const SparseMatrix *cells = &judge->data->by_user;
  const JudgeOptions *options = judge->options;
  size_t at = block->count++, first = block->item_count;
  int feedback = shape_is_feedback(&judge->items->shape);
  block->unknown[at] = 0;
  for (size_t e = cells->start[source_user]; e < cells->start[source_user + 1]; e++) {
    double rating = (double)sparse_value(cells, e);
    if (rating < options->threshold || (feedback && rating <= 0)) continue; /* never, if the threshold is NaN */
    uint32_t item = judge->item_index[cells->index[e]];
    if (item != DICTIONARY_NONE)
      block->items[block->item_count++] = item;
    else if (options->cold_start == COLD_ESTIMATE)
      block->unknown[at]++;
  }
  /* Ascending, unless items came to the model one by one: both dictionaries are in order of id else. */
  for (size_t i = first + 1; i < block->item_count; i++)
    if (block->items[i] < block->items[i - 1]) {
      indexes_sort(block->items + first, block->item_count - first);
      break;
    }
  block->relevant[at] = (Excluded){block->items + first, block->item_count - first};
  block->excluded[at] = (Excluded){NULL, 0};
  if (history && options->exclude_seen) block->excluded[at] = (Excluded){history->item, history->count};
  if (query) memcpy(block->queries + at * query_size, query, query_size);
}

static int judge_block(Judge *judge, const Block *block, Scorer scorer) {
  const RankingUsers users = {.count = block->count,
                              .queries = {block->count, block->queries},
                              .excluded = block->excluded,
                              .relevant = block->relevant,
                              .unknown = block->unknown};
  return block->count && judge->options->lists
             ? ranking_scores_add(&judge->scores, &scorer, &users, &judge->protocol, judge->recommended, judge->cancel)
             : SQLITE_OK;
}

static Scorer popularity_scorer(const Judge *judge) {
  Scorer scorer = score_panel_scorer(&judge->popularity);
  scorer.gone = items_forgotten(judge->items);
  return scorer;
}

/* ---- predicted ratings ------------------------------------------------------------------------------------------- */

int judge_predicts(const Judge *judge) {
  const ModelShape *shape = &judge->items->shape;
  return shape->prediction_head >= 0 && !shape->kind->of_content && judge->data->explicit_ratings;
}

/* `user` is NULL where the model does not know them. */
static int judge_ratings(Judge *judge, Model *model, size_t source_user, const PredictorUser *user, Error *error) {
  const ModelItems *items = judge->items;
  const SparseMatrix *cells = &judge->data->by_user;
  size_t first = cells->start[source_user], end = cells->start[source_user + 1];
  int predicts = judge_predicts(judge);
  int code = predicts && user && first < end ? predictor_user(&judge->predictor, model, user, error) : SQLITE_OK;
  for (size_t e = first; e < end && code == SQLITE_OK; e++) {
    uint32_t item = judge->item_index[cells->index[e]];
    int known = user && item != DICTIONARY_NONE;
    double prediction = 0;
    judge->unknown_rows += !known;
    if (!predicts || (!known && judge->options->cold_start != COLD_ESTIMATE)) continue;
    if (known)
      code = predictor_rate(&judge->predictor, item, &prediction, error);
    else
      prediction = predictor_estimate(items, user ? user->offset : NAN, item);
    rating_errors_add(&judge->errors, prediction, (double)sparse_value(cells, e));
    /* The nearest raters of a cell are searched for among all users or items. */
    if ((judge->predictor.searches || e % 256 == 0) && code == SQLITE_OK)
      code = error_from_code(error, cancel_poll(judge->cancel));
  }
  return code;
}

/* ---- all users --------------------------------------------------------------------------------------------------- */

/* The users of the model that are in the source, in order of the model, block by block. */
static int judge_known_users(Judge *judge, Model *model, Block *learned, Block *blank, Error *error) {
  const ModelItems *items = judge->items;
  const Scorer scorer = items_scorer(items);
  int prediction = items->shape.prediction_head;
  int with_queries = judge->options->lists || items->shape.kind->predicts_by_query;
  int what = USERS_WITH_HISTORIES | (with_queries ? 0 : USERS_PLAIN);
  int code = SQLITE_OK;
  for (size_t first = 0; code == SQLITE_OK && (int64_t)first < model_user_count(model); first += judge->block) {
    ModelUsers users;
    code = model_users(model, items, first, judge->block, what, &users, error);
    block_clear(learned);
    block_clear(blank);
    for (size_t user = 0; user < users.count && code == SQLITE_OK; user++) {
      if (!judge->tested[first + user]) continue;
      size_t source_user = judge->tested[first + user] - 1;
      const void *query = users.queries.each ? scorer_query(&scorer, &users.queries, user) : NULL;
      if (users.blank[user])
        block_add(blank, judge, source_user, &users.history[user], NULL, 0);
      else
        block_add(learned, judge, source_user, &users.history[user], query, scorer.query_size);
      PredictorUser who = {.index = (uint32_t)(first + user), .query = query, .history = &users.history[user]};
      if (judge_predicts(judge) && users.vector[prediction]) {
        who.vector = users.vector[prediction] + user * (size_t)shape_stride(&items->shape, prediction);
        who.offset = (double)users.offset[prediction][user];
      }
      code = judge_ratings(judge, model, source_user, &who, error);
    }
    if (code == SQLITE_OK) code = error_from_code(error, judge_block(judge, learned, scorer));
    if (code == SQLITE_OK) code = error_from_code(error, judge_block(judge, blank, popularity_scorer(judge)));
    users_free(&users);
  }
  return code;
}

/* Those that the model does not know are recommended what is popular; or they are dropped. */
static int judge_unknown_users(Judge *judge, const uint8_t *known, Block *blank, Error *error) {
  int code = SQLITE_OK;
  block_clear(blank);
  for (size_t user = 0; code == SQLITE_OK && user < judge->data->users.count; user++) {
    if (known[user]) continue;
    code = judge_ratings(judge, NULL, user, NULL, error);
    if (code != SQLITE_OK || judge->options->cold_start != COLD_ESTIMATE) continue;
    block_add(blank, judge, user, NULL, NULL, 0);
    if (blank->count < judge->block) continue;
    code = error_from_code(error, judge_block(judge, blank, popularity_scorer(judge)));
    block_clear(blank);
  }
  if (code == SQLITE_OK) code = error_from_code(error, judge_block(judge, blank, popularity_scorer(judge)));
  return code;
}

/* Which users and items of the source the model knows. */
static int match_ids(Judge *judge, Model *model, uint8_t *known, Error *error) {
  const Interactions *data = judge->data;
  int code = SQLITE_OK;
  for (size_t item = 0; item < data->items.count; item++) {
    Id id = dictionary_id(&data->items, item);
    judge->item_index[item] = dictionary_find(&judge->items->ids, &id);
  }
  for (size_t user = 0; user < data->users.count && code == SQLITE_OK; user++) {
    Id id = dictionary_id(&data->users, user);
    uint32_t index = 0;
    int found = 0;
    code = model_user_index(model, &id, &index, &found, error);
    if (code != SQLITE_OK || !found) continue;
    known[user] = 1;
    judge->tested[index] = (uint32_t)user + 1;
  }
  return code;
}

static int prepare_popularity(Judge *judge, Model *model, Error *error) {
  const ModelItems *items = judge->items;
  double users = (double)model_user_count(model);
  Popularity *popularity = NULL;
  int code = score_panel_alloc(&judge->popularity, items->ids.count, SCORE_BLOCK, 1) == SQLITE_OK
                 ? model_popularity(model, items, &popularity, error)
                 : error_no_memory(error);
  for (size_t item = 0; code == SQLITE_OK && item < items->ids.count; item++) {
    uint32_t count = popularity->count[item];
    judge->popularity.bias[item] = (float)popularity->liked[item];
    judge->surprise[item] = -log2((count ? (double)count : 1) / users);
  }
  popularity_release(popularity);
  return code;
}

static size_t block_size(const RankingProtocol *protocol, size_t items) {
  size_t longest = 1;
  for (int slot = 0; slot < protocol->ks; slot++)
    if ((size_t)protocol->k[slot] > longest) longest = (size_t)protocol->k[slot];
  if (longest > items) longest = items ? items : 1;
  return store_block(longest, MOST_USERS);
}

int judge_run(Judge *judge, Model *model, Error *error) {
  const ModelItems *items = judge->items;
  const JudgeOptions *options = judge->options;
  size_t cells = judge->data->by_user.start[judge->data->by_user.rows];
  Block learned = {0}, blank = {0};
  int code = model_count_users(model, error);
  if (code != SQLITE_OK) return code;
  uint8_t *known = memory_alloc_zero(judge->data->users.count, 1);
  judge->item_index = memory_alloc(judge->data->items.count, sizeof *judge->item_index);
  judge->tested = memory_alloc_zero((size_t)model_user_count(model), sizeof *judge->tested);
  judge->surprise = memory_alloc(items->ids.count, sizeof *judge->surprise);
  judge->recommended = memory_alloc_zero(items->ids.count, sizeof *judge->recommended);
  judge->protocol = (RankingProtocol){.ks = options->k.count,
                                      .recall_by_shorter = options->recall,
                                      .threads = parallel_threads(options->threads),
                                      .surprise = judge->surprise};
  memcpy(judge->protocol.k, options->k.value, sizeof judge->protocol.k);
  judge->block = block_size(&judge->protocol, items->ids.count);
  code = known && judge->item_index && judge->tested && judge->surprise && judge->recommended &&
                 block_alloc(&learned, judge->block, items_scorer(items).query_size, cells) == SQLITE_OK &&
                 block_alloc(&blank, judge->block, SCORE_BLOCK * sizeof(float), cells) == SQLITE_OK
             ? SQLITE_OK
             : error_no_memory(error);
  if (code == SQLITE_OK) code = prepare_popularity(judge, model, error);
  if (code == SQLITE_OK && judge_predicts(judge))
    code = predictor_begin(&judge->predictor, model, items, judge->cancel, error);
  if (code == SQLITE_OK) code = match_ids(judge, model, known, error);
  if (code == SQLITE_OK) code = judge_known_users(judge, model, &learned, &blank, error);
  if (code == SQLITE_OK) code = judge_unknown_users(judge, known, &blank, error);
  block_free(&learned);
  block_free(&blank);
  memory_free(known);
  return code;
}

void judge_free(Judge *judge) {
  predictor_end(&judge->predictor);
  items_release(judge->items);
  memory_free(judge->item_index);
  memory_free(judge->tested);
  memory_free(judge->surprise);
  memory_free(judge->recommended);
  score_panel_free(&judge->popularity);
}
