/* recommend_evaluate(model, source [, options]): how well a model does on ratings it was not trained on.
 *
 * Predicted ratings are compared with the source's; and for each of the source's users the model's items, less those
 * the user has already, are ranked and compared with what the user went on to like. The formulas are at the top of
 * learn/metrics.c; each row of the answer says in words what it is. */
#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../data/interactions.h"
#include "../data/interrupt.h"
#include "../data/options.h"
#include "../learn/metrics.h"
#include "../model/scoring.h"
#include "../model/store.h"
#include "register.h"
#include "table_function.h"

enum { MOST_USERS = 32 * STORE_CHUNK }; /* that are judged at a time */
#define NOT_RELEVANT UINT32_MAX

typedef struct EvaluateOptions {
  OptionColumn user, item, rating, timestamp;
  OptionIntegers k;
  double threshold; /* NaN: every row is relevant */
  int exclude_seen;
  int cold_start; /* COLD_DROP or COLD_ESTIMATE */
  int recall;     /* 1: by min(k, relevant) */
  int threads;
} EvaluateOptions;

enum { COLD_DROP, COLD_ESTIMATE };

static const Option evaluate_options[] = {
    {.name = "user", .type = OPTION_COLUMN, .offset = offsetof(EvaluateOptions, user)},
    {.name = "item", .type = OPTION_COLUMN, .offset = offsetof(EvaluateOptions, item)},
    {.name = "rating", .type = OPTION_COLUMN, .offset = offsetof(EvaluateOptions, rating)},
    {.name = "timestamp", .type = OPTION_COLUMN, .offset = offsetof(EvaluateOptions, timestamp)},
    {.name = "k", .type = OPTION_INTEGERS, .offset = offsetof(EvaluateOptions, k), .minimum = 1, .maximum = 1e6},
    {.name = "threshold",
     .type = OPTION_NUMBER,
     .offset = offsetof(EvaluateOptions, threshold),
     .minimum = -1e300,
     .maximum = 1e300},
    {.name = "exclude_seen", .type = OPTION_BOOLEAN, .offset = offsetof(EvaluateOptions, exclude_seen)},
    {.name = "cold_start",
     .type = OPTION_CHOICE,
     .offset = offsetof(EvaluateOptions, cold_start),
     .choices = "drop|estimate"},
    {.name = "recall", .type = OPTION_CHOICE, .offset = offsetof(EvaluateOptions, recall), .choices = "relevant|min"},
    {.name = "threads", .type = OPTION_INTEGER, .offset = offsetof(EvaluateOptions, threads), .maximum = 256},
};

/* One row of the answer. */
typedef struct EvaluateRow {
  const char *metric;
  int k; /* 0: none */
  double value;
  int64_t n;
  const char *definition;
} EvaluateRow;

enum { MOST_ROWS = 5 + (RANKING_METRICS + 1) * METRICS_MOST_K };

typedef struct Evaluation {
  EvaluateRow rows[MOST_ROWS];
  int count;
} Evaluation;

/* ---- gathering --------------------------------------------------------------------------------------------------- */

/* Everything that lives while the source is judged. */
typedef struct Judge {
  const EvaluateOptions *options;
  Interactions data; /* the source, in its own indexes */
  ModelItems *items;
  uint32_t *item_index;  /* the model's index of each item of the source, or DICTIONARY_NONE */
  uint32_t *tested;      /* for each user of the model: the source's index + 1, or 0 */
  ScorePanel popularity; /* scores nothing but the items' counts: for users of whom nothing was learned */
  double *surprise;
  uint16_t *recommended;
  RatingErrors errors;
  RankingScores scores;
  RankingProtocol protocol;
  size_t block; /* users judged at a time, a multiple of STORE_CHUNK */
  int64_t unknown_rows;
  const Cancel *cancel;
} Judge;

/* A block of users whose lists are ranked by one panel. */
typedef struct Block {
  size_t count;
  float *vector;         /* count × stride; or */
  PostingsQuery *sparse; /* count; borrowed */
  Excluded *excluded, *relevant;
  uint32_t *unknown;
  uint32_t *items; /* behind `relevant` */
  size_t item_count;
} Block;

static void block_free(Block *block) {
  memory_free_aligned(block->vector);
  memory_free(block->sparse);
  memory_free(block->excluded);
  memory_free(block->relevant);
  memory_free(block->unknown);
  memory_free(block->items);
  *block = (Block){0};
}

/* Room for so many users, with up to `items` relevant items in all. */
static int block_alloc(Block *block, size_t users, int stride, size_t items) {
  *block = (Block){0};
  block->vector = memory_alloc_aligned(users, (size_t)stride * sizeof(float));
  block->sparse = memory_alloc(users, sizeof *block->sparse);
  block->excluded = memory_alloc(users, sizeof *block->excluded);
  block->relevant = memory_alloc(users, sizeof *block->relevant);
  block->unknown = memory_alloc(users, sizeof *block->unknown);
  block->items = memory_alloc(items, sizeof *block->items);
  return block->vector && block->sparse && block->excluded && block->relevant && block->unknown && block->items
             ? SQLITE_OK
             : SQLITE_NOMEM;
}

static void block_clear(Block *block) { block->count = block->item_count = 0; }

/* Puts a user of the source into a block, with her vector or the sum of her items, if she has one. `history` is NULL
 * for users that the model does not know. */
static void block_add(Block *block, const Judge *judge, size_t source_user, const History *history, const float *vector,
                      int stride, const ItemSum *sum) {
  const SparseMatrix *cells = &judge->data.by_user;
  const EvaluateOptions *options = judge->options;
  size_t at = block->count++, first = block->item_count;
  block->unknown[at] = 0;
  for (size_t e = cells->start[source_user]; e < cells->start[source_user + 1]; e++) {
    double rating = cells->value ? (double)cells->value[e] : 1;
    if (rating < options->threshold) continue; /* never, if it is NaN */
    uint32_t item = judge->item_index[cells->index[e]];
    if (item != DICTIONARY_NONE)
      block->items[block->item_count++] = item; /* ascending: both dictionaries are in order of id */
    else if (options->cold_start == COLD_ESTIMATE)
      block->unknown[at]++;
  }
  block->relevant[at] = (Excluded){block->items + first, block->item_count - first};
  block->excluded[at] = (Excluded){NULL, 0};
  if (history && options->exclude_seen) block->excluded[at] = (Excluded){history->item, history->count};
  if (sum) block->sparse[at] = item_sum_query(sum);
  if (vector) memcpy(block->vector + at * (size_t)stride, vector, (size_t)stride * sizeof *vector);
}

static int judge_block(Judge *judge, const Block *block, Scorer scorer) {
  const RankingUsers users = {.count = block->count,
                              .queries = {block->count, block->vector, block->sparse},
                              .excluded = block->excluded,
                              .relevant = block->relevant,
                              .unknown = block->unknown};
  return block->count
             ? ranking_scores_add(&judge->scores, &scorer, &users, &judge->protocol, judge->recommended, judge->cancel)
             : SQLITE_OK;
}

static Scorer popularity_scorer(const Judge *judge) { return (Scorer){.panel = &judge->popularity}; }

/* ---- predicted ratings ------------------------------------------------------------------------------------------- */

/* The estimate where the user or the item is unknown: the constant and the biases that are known. */
static double estimate(const ModelItems *items, double user_offset, int user_known, uint32_t item) {
  const ModelShape *shape = &items->shape;
  int head = shape->prediction_head;
  if (!shape->biases[head]) return shape->average; /* a rating */
  double sum = user_known ? user_offset : shape->mean[head];
  if (item != DICTIONARY_NONE) sum += (double)items->panel[head].bias[item];
  return shape_prediction(shape, sum);
}

static int predicts_ratings(const Judge *judge) {
  const ModelShape *shape = &judge->items->shape;
  return shape->prediction_head >= 0 && !shape->cosine && judge->data.explicit_ratings;
}

/* `vector` is not read where the model does not know the user, or predicts no ratings. */
static void judge_ratings(Judge *judge, size_t source_user, int is_known, const float *vector, double offset) {
  const ModelItems *items = judge->items;
  const SparseMatrix *cells = &judge->data.by_user;
  int head = predicts_ratings(judge) ? items->shape.prediction_head : -1;
  for (size_t e = cells->start[source_user]; e < cells->start[source_user + 1]; e++) {
    uint32_t item = judge->item_index[cells->index[e]];
    int known = is_known && item != DICTIONARY_NONE;
    double prediction;
    judge->unknown_rows += !known;
    if (head < 0) continue;
    if (known)
      prediction =
          shape_prediction(&items->shape, (double)score_panel_score(&items->panel[head], item, vector) + offset);
    else if (judge->options->cold_start == COLD_ESTIMATE)
      prediction = estimate(items, offset, is_known, item);
    else
      continue;
    rating_errors_add(&judge->errors, prediction, cells->value ? (double)cells->value[e] : 1);
  }
}

/* ---- all users --------------------------------------------------------------------------------------------------- */

/* The users of the model that are in the source, in order of the model, block by block. */
static int judge_known_users(Judge *judge, Model *model, Block *learned, Block *blank, Error *error) {
  const ModelItems *items = judge->items;
  int score = items->shape.score_head, prediction = items->shape.prediction_head;
  int stride = shape_stride(&items->shape, score);
  int code = SQLITE_OK;
  for (size_t first = 0; code == SQLITE_OK && (int64_t)first < items->users; first += judge->block) {
    ModelUsers users;
    code = model_users(model, items, first, judge->block, USERS_WITH_HISTORIES, &users, error);
    block_clear(learned);
    block_clear(blank);
    for (size_t user = 0; user < users.count; user++) {
      if (!judge->tested[first + user]) continue;
      size_t source_user = judge->tested[first + user] - 1;
      const float *vector = users.blank[user] || !stride ? NULL : users.vector[score] + user * (size_t)stride;
      block_add(users.blank[user] ? blank : learned, judge, source_user, &users.history[user], vector, stride,
                users.blank[user] || !users.sum ? NULL : &users.sum[user]);
      if (predicts_ratings(judge))
        judge_ratings(judge, source_user, 1,
                      users.vector[prediction] + user * (size_t)shape_stride(&items->shape, prediction),
                      (double)users.offset[prediction][user]);
      else
        judge_ratings(judge, source_user, 1, NULL, 0);
    }
    if (code == SQLITE_OK) code = interrupt_error(error, judge_block(judge, learned, items_scorer(items)));
    if (code == SQLITE_OK) code = interrupt_error(error, judge_block(judge, blank, popularity_scorer(judge)));
    users_free(&users);
  }
  return code;
}

/* Those that the model does not know are recommended what is popular; or they are dropped. */
static int judge_unknown_users(Judge *judge, const uint8_t *known, Block *blank, Error *error) {
  int code = SQLITE_OK;
  block_clear(blank);
  for (size_t user = 0; code == SQLITE_OK && user < judge->data.users.count; user++) {
    if (known[user]) continue;
    judge_ratings(judge, user, 0, NULL, 0);
    if (judge->options->cold_start != COLD_ESTIMATE) continue;
    block_add(blank, judge, user, NULL, NULL, 0, NULL);
    if (blank->count < judge->block) continue;
    code = interrupt_error(error, judge_block(judge, blank, popularity_scorer(judge)));
    block_clear(blank);
  }
  if (code == SQLITE_OK) code = interrupt_error(error, judge_block(judge, blank, popularity_scorer(judge)));
  return code;
}

/* Which users and items of the source the model knows. */
static int match_ids(Judge *judge, Model *model, uint8_t *known, Error *error) {
  const Interactions *data = &judge->data;
  int code = SQLITE_OK;
  for (size_t item = 0; item < data->items.count; item++) {
    Id id = dictionary_id(&data->items, item);
    judge->item_index[item] = dictionary_find(&judge->items->ids, &id);
  }
  for (size_t user = 0; user < data->users.count && code == SQLITE_OK; user++) {
    Id id = dictionary_id(&data->users, user);
    uint32_t index = 0;
    int found = 0;
    code = model_user_index(model, judge->items, &id, &index, &found, error);
    if (code != SQLITE_OK || !found) continue;
    known[user] = 1;
    judge->tested[index] = (uint32_t)user + 1;
  }
  return code;
}

static int prepare_popularity(Judge *judge) {
  const ModelItems *items = judge->items;
  int code = score_panel_alloc(&judge->popularity, items->ids.count, SCORE_BLOCK, 1);
  for (size_t item = 0; code == SQLITE_OK && item < items->ids.count; item++) {
    judge->popularity.bias[item] = (float)items->count[item];
    judge->surprise[item] = -log2((items->count[item] ? (double)items->count[item] : 1) / (double)items->users);
  }
  return code;
}

static size_t block_size(const RankingProtocol *protocol, size_t items) {
  size_t longest = 1;
  for (int slot = 0; slot < protocol->ks; slot++)
    if ((size_t)protocol->k[slot] > longest) longest = (size_t)protocol->k[slot];
  if (longest > items) longest = items ? items : 1;
  return store_block(longest, MOST_USERS);
}

static int judge_all(Judge *judge, Model *model, Error *error) {
  const ModelItems *items = judge->items;
  size_t cells = judge->data.by_user.start[judge->data.by_user.rows];
  Block learned = {0}, blank = {0};
  uint8_t *known = memory_alloc_zero(judge->data.users.count, 1);
  judge->item_index = memory_alloc(judge->data.items.count, sizeof *judge->item_index);
  judge->tested = memory_alloc_zero((size_t)items->users, sizeof *judge->tested);
  judge->surprise = memory_alloc(items->ids.count, sizeof *judge->surprise);
  judge->recommended = memory_alloc_zero(items->ids.count, sizeof *judge->recommended);
  judge->protocol.surprise = judge->surprise;
  judge->block = block_size(&judge->protocol, items->ids.count);
  int code = known && judge->item_index && judge->tested && judge->surprise && judge->recommended &&
                     block_alloc(&learned, judge->block, shape_stride(&items->shape, items->shape.score_head), cells) ==
                         SQLITE_OK &&
                     block_alloc(&blank, judge->block, SCORE_BLOCK, cells) == SQLITE_OK &&
                     prepare_popularity(judge) == SQLITE_OK
                 ? SQLITE_OK
                 : error_no_memory(error);
  if (code == SQLITE_OK) code = match_ids(judge, model, known, error);
  if (code == SQLITE_OK) code = judge_known_users(judge, model, &learned, &blank, error);
  if (code == SQLITE_OK) code = judge_unknown_users(judge, known, &blank, error);
  block_free(&learned);
  block_free(&blank);
  memory_free(known);
  return code;
}

static void judge_free(Judge *judge) {
  interactions_free(&judge->data);
  items_release(judge->items);
  memory_free(judge->item_index);
  memory_free(judge->tested);
  memory_free(judge->surprise);
  memory_free(judge->recommended);
  score_panel_free(&judge->popularity);
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static void add_row(Evaluation *evaluation, const char *metric, int k, double value, int64_t n,
                    const char *definition) {
  evaluation->rows[evaluation->count++] = (EvaluateRow){metric, k, n ? value : NAN, n, definition};
}

static void describe_ratings(Evaluation *evaluation, const Judge *judge) {
  const RatingErrors *errors = &judge->errors;
  double n = (double)errors->count;
  if (predicts_ratings(judge)) {
    add_row(evaluation, "rmse", 0, rating_rmse(errors), errors->count, "square root of the mean squared error");
    add_row(evaluation, "mae", 0, errors->absolutes / n, errors->count, "mean absolute error");
    add_row(evaluation, "accuracy", 0, (double)errors->within / n, errors->count,
            "share of predictions within 0.5 of the rating");
  }
  int64_t cells = (int64_t)judge->data.by_user.start[judge->data.by_user.rows];
  add_row(
      evaluation, "unknown", 0, (double)judge->unknown_rows, cells,
      judge->options->cold_start == COLD_ESTIMATE
          ? "ratings whose user or item the model does not know: estimated from the biases, and never found in a list"
          : "ratings whose user or item the model does not know: dropped");
}

static void describe_lists(Evaluation *evaluation, const Judge *judge) {
  static const struct {
    RankingMetric metric;
    const char *name, *definition;
  } described[] = {
      {METRIC_PRECISION, "precision", "relevant items among the first k / k, mean over users"},
      {METRIC_RECALL, "recall", "relevant items among the first k / relevant items, mean over users"},
      {METRIC_MAP, "map",
       "mean over users of: sum of the precisions at each relevant item's rank <= k / min(k, relevant)"},
      {METRIC_NDCG, "ndcg", "binary gain 1/log2(1+rank) of the first k / that of the ideal list, mean over users"},
      {METRIC_MRR, "mrr", "1 / rank of the first relevant item, 0 beyond k, mean over users"},
      {METRIC_HIT_RATE, "hit_rate", "share of users with a relevant item among the first k"},
      {METRIC_NOVELTY, "novelty", "mean of -log2(share of users who have the item) over the first k, mean over users"},
  };
  const RankingScores *scores = &judge->scores;
  const RankingProtocol *protocol = &judge->protocol;
  size_t items = judge->items->ids.count;
  for (int slot = 0; slot < protocol->ks; slot++) {
    for (size_t i = 0; i < sizeof described / sizeof *described; i++) {
      const char *definition = described[i].definition;
      if (described[i].metric == METRIC_RECALL && protocol->recall_by_shorter)
        definition = "relevant items among the first k / min(k, relevant items), mean over users";
      add_row(evaluation, described[i].name, protocol->k[slot],
              scores->sum[described[i].metric][slot] / (double)scores->users, scores->users, definition);
    }
    size_t covered = 0;
    for (size_t item = 0; item < items; item++) covered += judge->recommended[item] >> slot & 1;
    add_row(evaluation, "coverage", protocol->k[slot], (double)covered / (double)items, (int64_t)items,
            "share of the model's items that are among the first k of some user");
  }
  add_row(evaluation, "auc", 0, scores->auc / (double)scores->auc_users, scores->auc_users,
          "share of (relevant, other) pairs of candidates in the right order, ties half, mean over users");
}

/* ---- the function ------------------------------------------------------------------------------------------------ */

/* The affinities of the model's ids, which the source's are compared with: '42' is user 42. */
static int read_affinities(TableCall *call, IdAffinity *user, IdAffinity *item, Error *error) {
  Model *model = NULL;
  ModelItems *items = NULL;
  int code = connection_model(call->connection, call->function->name, NEED_USERS, call->argument[0], &model, error);
  if (code == SQLITE_OK) code = model_begin(model, &items, error);
  if (code != SQLITE_OK) return code;
  *user = items->user_affinity;
  *item = items->item_affinity;
  model_end(model);
  items_release(items);
  return SQLITE_OK;
}

static int read_source(TableCall *call, const EvaluateOptions *options, const Cancel *cancel, Interactions *data,
                       Error *error) {
  const char *name = call->function->name, *text = NULL;
  Source source = {0};
  InteractionOptions reading = {
      .caller = name,
      .user = options->user.name,
      .item = options->item.name,
      .rating = options->rating.name,
      .timestamp = options->timestamp.name,
      .implicit = options->rating.is_null,
      .threads = parallel_threads(options->threads),
  };
  int code = read_affinities(call, &reading.user_as, &reading.item_as, error);
  if (code == SQLITE_OK) code = argument_text(call, 1, &text, error);
  if (code == SQLITE_OK && !text)
    code = error_set(error, SQLITE_ERROR, "%s: the source is missing: call it as %s", name, call->function->usage);
  if (code == SQLITE_OK) code = source_resolve(call->connection->db, text, name, &source, error);
  if (code == SQLITE_OK) code = interactions_read(call->connection->db, &source, &reading, data, cancel, error);
  source_free(&source);
  return code;
}

static void options_free(EvaluateOptions *options) {
  sqlite3_free(options->user.name);
  sqlite3_free(options->item.name);
  sqlite3_free(options->rating.name);
  sqlite3_free(options->timestamp.name);
}

static int start(TableCall *call, Error *error) {
  Evaluation *evaluation = call->state;
  EvaluateOptions options = {.k = {1, {10}}, .threshold = NAN, .exclude_seen = 1};
  Interrupt interrupt;
  Judge judge = {.options = &options, .cancel = &interrupt.cancel};
  Model *model = NULL;
  const char *json = NULL;
  interrupt_begin(&interrupt, call->connection->db);
  int code = argument_text(call, 2, &json, error);
  if (code == SQLITE_OK)
    code = options_parse(call->function->name, json, evaluate_options,
                         sizeof evaluate_options / sizeof *evaluate_options, &options, error);
  if (code == SQLITE_OK) code = read_source(call, &options, &interrupt.cancel, &judge.data, error);
  if (code == SQLITE_OK)
    code = connection_model(call->connection, call->function->name, NEED_USERS, call->argument[0], &model, error);
  if (code == SQLITE_OK) code = model_begin(model, &judge.items, error);
  if (code == SQLITE_OK) {
    judge.protocol = (RankingProtocol){
        .ks = options.k.count, .recall_by_shorter = options.recall, .threads = parallel_threads(options.threads)};
    memcpy(judge.protocol.k, options.k.value, sizeof judge.protocol.k);
    code = judge_all(&judge, model, error);
    model_end(model);
  }
  if (code == SQLITE_OK) {
    describe_ratings(evaluation, &judge);
    describe_lists(evaluation, &judge);
    call->rows = evaluation->count;
  }
  judge_free(&judge);
  options_free(&options);
  interrupt_end(&interrupt);
  return code;
}

static void column(const TableCall *call, sqlite3_context *context, int which) {
  const Evaluation *evaluation = call->state;
  const EvaluateRow *row = &evaluation->rows[call->row];
  switch (which) {
    case 0: sqlite3_result_text(context, row->metric, -1, SQLITE_STATIC); break;
    case 1:
      if (row->k) sqlite3_result_int(context, row->k);
      break;
    case 2:
      if (isfinite(row->value)) sqlite3_result_double(context, row->value);
      break;
    case 3: sqlite3_result_int64(context, row->n); break;
    case 4: sqlite3_result_text(context, row->definition, -1, SQLITE_STATIC); break;
  }
}

static void end(TableCall *call) { *(Evaluation *)call->state = (Evaluation){0}; }

static const TableFunction evaluate_function = {
    .name = "recommend_evaluate",
    .schema =
        "CREATE TABLE x(metric TEXT, k INTEGER, value REAL, n INTEGER, definition TEXT, "
        "model HIDDEN, source HIDDEN, options HIDDEN)",
    .usage = "recommend_evaluate(model, source [, options])",
    .outputs = 5,
    .arguments = 3,
    .required = 2,
    .rows = 15,
    .cost = 1e8,
    .flags = TABLE_FUNCTION_DIRECT_ONLY,
    .state_size = sizeof(Evaluation),
    .start = start,
    .column = column,
    .end = end,
};

int evaluate_register(Connection *connection) { return table_function_register(connection, &evaluate_function); }
