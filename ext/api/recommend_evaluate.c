/* recommend_evaluate(model, source [, options]): how well a model does on ratings it was not trained on.
 *
 * Predicted ratings are compared with the source's; and for each of the source's users the model's items, less those
 * the user has already, are ranked and compared with what the user went on to like. The formulas are at the top of
 * learn/metrics.c; each row of the answer says in words what it is. */
#include <assert.h>
#include <math.h>

#include "../answer/evaluation.h"
#include "../base/parallel.h"
#include "../data/interactions_subset.h"
#include "arguments.h"
#include "register.h"

typedef struct EvaluateOptions {
  OptionColumn user, item, rating, timestamp;
  JudgeOptions judge;
} EvaluateOptions;

static const Option evaluate_options[] = {
    {.name = "user", .type = OPTION_COLUMN, .offset = offsetof(EvaluateOptions, user)},
    {.name = "item", .type = OPTION_COLUMN, .offset = offsetof(EvaluateOptions, item)},
    {.name = "rating", .type = OPTION_COLUMN, .offset = offsetof(EvaluateOptions, rating)},
    {.name = "timestamp", .type = OPTION_COLUMN, .offset = offsetof(EvaluateOptions, timestamp)},
    {.name = "k", .type = OPTION_INTEGERS, .offset = offsetof(EvaluateOptions, judge.k), .minimum = 1, .maximum = 1e6},
    {.name = "threshold",
     .type = OPTION_NUMBER,
     .offset = offsetof(EvaluateOptions, judge.threshold),
     .minimum = -1e300,
     .maximum = 1e300},
    {.name = "exclude_seen", .type = OPTION_BOOLEAN, .offset = offsetof(EvaluateOptions, judge.exclude_seen)},
    {.name = "cold_start",
     .type = OPTION_CHOICE,
     .offset = offsetof(EvaluateOptions, judge.cold_start),
     .choices = "drop|estimate"},
    {.name = "recall",
     .type = OPTION_CHOICE,
     .offset = offsetof(EvaluateOptions, judge.recall),
     .choices = "relevant|min"},
    {.name = "lists", .type = OPTION_BOOLEAN, .offset = offsetof(EvaluateOptions, judge.lists)},
    {.name = "threads", .type = OPTION_INTEGER, .offset = offsetof(EvaluateOptions, judge.threads), .maximum = 256},
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

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static void add_metric(Evaluation *evaluation, const char *metric, int k, double value, int64_t n,
                       const char *definition) {
  assert(evaluation->count < MOST_ROWS);
  evaluation->rows[evaluation->count++] = (EvaluateRow){metric, k, n ? value : NAN, n, definition};
}

static void describe_ratings(Evaluation *evaluation, const Judge *judge) {
  const RatingErrors *errors = &judge->errors;
  double n = (double)errors->count;
  if (judge_predicts(judge)) {
    add_metric(evaluation, "rmse", 0, rating_rmse(errors), errors->count, "square root of the mean squared error");
    add_metric(evaluation, "mae", 0, errors->absolutes / n, errors->count, "mean absolute error");
    add_metric(evaluation, "accuracy", 0, (double)errors->within / n, errors->count,
               "share of predictions within 0.5 of the rating");
  }
  int64_t cells = (int64_t)judge->data->by_user.start[judge->data->by_user.rows];
  add_metric(
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
  size_t items = judge->items->ids.count, known = items_known(judge->items);
  for (int slot = 0; slot < protocol->ks; slot++) {
    for (size_t i = 0; i < sizeof described / sizeof *described; i++) {
      const char *definition = described[i].definition;
      if (described[i].metric == METRIC_RECALL && protocol->recall_by_shorter)
        definition = "relevant items among the first k / min(k, relevant items), mean over users";
      add_metric(evaluation, described[i].name, protocol->k[slot],
                 scores->sum[described[i].metric][slot] / (double)scores->users, scores->users, definition);
    }
    size_t covered = 0;
    for (size_t item = 0; item < items; item++) covered += judge->recommended[item] >> slot & 1;
    add_metric(evaluation, "coverage", protocol->k[slot], (double)covered / (double)known, (int64_t)known,
               "share of the model's items that are among the first k of some user");
  }
  add_metric(evaluation, "auc", 0, scores->auc / (double)scores->auc_users, scores->auc_users,
             "share of (relevant, other) pairs of candidates in the right order, ties half, mean over users");
}

/* ---- the function ------------------------------------------------------------------------------------------------ */

/* How the source is to be read: by the affinities of the model's ids, '42' being user 42, and as the model's own was.
 */
static void choose_reading(TableCall *call, InteractionOptions *reading, int *feedback, Error *error) {
  ModelItems *items = NULL;
  Model *model = argument_model(call, 0, ABILITY_RECOMMEND, &items, error);
  if (!model) return;
  reading->user_as = items->user_affinity;
  reading->item_as = items->item_affinity;
  reading->counts = shape_is_counts(&items->shape);
  *feedback = shape_is_feedback(&items->shape);
  model_end(model);
  items_release(items);
}

static void read_ratings(TableCall *call, const EvaluateOptions *options, const Cancel *cancel, Interactions *data,
                         Error *error) {
  Source source = {0};
  InteractionOptions reading = {
      .caller = call->function->name,
      .user = options->user.name,
      .item = options->item.name,
      .rating = options->rating.name,
      .timestamp = options->timestamp.name,
      .no_timestamp = options->timestamp.is_null,
      .implicit = options->rating.is_null,
      .threads = parallel_threads(options->judge.threads),
  };
  int feedback = 0;
  choose_reading(call, &reading, &feedback, error);
  argument_source(call, 1, &source, error);
  if (!error->code) interactions_read(call->connection->db, &source, &reading, data, cancel, error);
  if (!error->code && feedback) error_from_code(error, interactions_drop_zeros(data, cancel));
  source_free(&source);
}

static void parse_options(const TableCall *call, EvaluateOptions *options, Error *error) {
  const char *name = call->function->name, *json = argument_text(call, 2, error);
  if (error->code || options_parse(name, json, evaluate_options, sizeof evaluate_options / sizeof *evaluate_options,
                                   options, error) != SQLITE_OK)
    return;
  const OptionUse use = {"k|threshold|exclude_seen|recall", options->judge.lists,
                         "of lists, not with \"lists\": false"};
  options_check_uses(name, json, &use, 1, error);
}

/* Judges the model as it is now: the source may have been a query that took its time. */
static void judge_model(TableCall *call, EvaluateOptions *options, Judge *judge, Error *error) {
  Model *model = argument_model(call, 0, ABILITY_RECOMMEND, &judge->items, error);
  if (!model) return;
  if (options->judge.cold_start < 0) options->judge.cold_start = judge->items->shape.estimate;
  judge_run(judge, model, error);
  model_end(model);
}

static void evaluate_options_free(EvaluateOptions *options) {
  sqlite3_free(options->user.name);
  sqlite3_free(options->item.name);
  sqlite3_free(options->rating.name);
  sqlite3_free(options->timestamp.name);
}

static int evaluate_start(TableCall *call, Error *error) {
  Evaluation *evaluation = call->state;
  EvaluateOptions options = {
      .judge = {.k = {1, {10}}, .threshold = NAN, .exclude_seen = 1, .lists = 1, .cold_start = -1}};
  Interrupt interrupt;
  Interactions data = {0};
  Judge judge = {.options = &options.judge, .data = &data, .cancel = &interrupt.cancel};
  connection_interrupt(call->connection, &interrupt);
  progress_say(&interrupt.progress, "%s", call->function->name);
  parse_options(call, &options, error);
  read_ratings(call, &options, &interrupt.cancel, &data, error);
  judge_model(call, &options, &judge, error);
  if (!error->code) {
    describe_ratings(evaluation, &judge);
    if (options.judge.lists) describe_lists(evaluation, &judge);
    call->rows = evaluation->count;
  }
  judge_free(&judge);
  interactions_free(&data);
  evaluate_options_free(&options);
  interrupt_end(&interrupt);
  return error->code;
}

static void evaluate_column(const TableCall *call, sqlite3_context *context, int which) {
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

static void evaluate_end(TableCall *call) { *(Evaluation *)call->state = (Evaluation){0}; }

static const TableFunction evaluate_function = {
    .name = "recommend_evaluate",
    .schema =
        "CREATE TABLE x(metric TEXT, k INTEGER, value REAL, n INTEGER, definition TEXT, "
        "_model HIDDEN, _source HIDDEN, _options HIDDEN)",
    .usage = "recommend_evaluate(model, source [, options])",
    .outputs = 5,
    .arguments = 3,
    .required = 2,
    .rows = 15,
    .cost = 1e8,
    .flags = TABLE_FUNCTION_DIRECT_ONLY,
    .state_size = sizeof(Evaluation),
    .start = evaluate_start,
    .column = evaluate_column,
    .end = evaluate_end,
};

int recommend_evaluate_register(Connection *connection) {
  return table_function_register(connection, &evaluate_function);
}
