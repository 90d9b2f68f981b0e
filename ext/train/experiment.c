/* Trying a trainer out: see experiment.h. */
#include "experiment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../data/deal.h"
#include "../data/interactions_subset.h"
#include "../data/option_objects.h"
#include "../model/in_memory.h"

const char *const experiment_metrics[EXPERIMENT_METRICS] = {"rmse", "mae",  "accuracy", "precision", "recall",
                                                            "map",  "ndcg", "mrr",      "hit_rate",  "auc"};

void experiment_set_defaults(ExperimentOptions *options) {
  *options = (ExperimentOptions){.duplicates = -1, .seed = 42, .k = 10, .lists = 1, .relevance = NAN, .held_out = NAN};
}

void experiment_options_free(ExperimentOptions *options) {
  sqlite3_free(options->user.name);
  sqlite3_free(options->item.name);
  sqlite3_free(options->rating.name);
  sqlite3_free(options->timestamp.name);
}

void experiment_check_uses(const char *caller, const char *json, const ExperimentOptions *options, Error *error) {
  const OptionUse use = {"k|recall|relevance", options->lists, "of lists, not with \"lists\": false"};
  if (!error->code) options_check_uses(caller, json, &use, 1, error);
}

/* ---- beginning --------------------------------------------------------------------------------------------------- */

static int choose_trainer(Experiment *experiment, sqlite3_value *value, Error *error) {
  const char *name = (const char *)sqlite3_value_text(value);
  if (!name && sqlite3_value_type(value) != SQLITE_NULL) return error_no_memory(error);
  experiment->trainer = name ? trainer_find(name) : NULL;
  if (experiment->trainer && experiment->trainer->reads_ratings) return SQLITE_OK;
  char *list = trainer_names(1);
  int code = list ? error_set(error, SQLITE_ERROR, "%s: the trainer must be one of %s, not %s%s%s", experiment->caller,
                              list, name ? "'" : "", name ? name : "NULL", name ? "'" : "")
                  : error_no_memory(error);
  sqlite3_free(list);
  return code;
}

/* `rating` names the column that is read in place of the ratings; NULL: the ratings. */
static int read_experiment_source(const Experiment *experiment, const char *rating, Interactions *data, Error *error) {
  const ExperimentOptions *options = experiment->options;
  Source source = {0};
  const InteractionOptions reading = {
      .caller = experiment->caller,
      .user = options->user.name,
      .item = options->item.name,
      .rating = rating ? rating : options->rating.name,
      .timestamp = options->timestamp.name,
      .implicit = !rating && options->rating.is_null,
      .no_timestamp = options->timestamp.is_null,
      .timed = experiment->timed && !rating,
      .duplicates = rating ? DUPLICATES_LAST : (DuplicatesRule)(options->duplicates + 1),
      .counts = experiment->values == VALUES_COUNTS,
      .threads = parallel_threads(options->threads),
  };
  int code = source_resolve(experiment->connection->db, experiment->source, experiment->caller, &source, error);
  if (code == SQLITE_OK)
    code = interactions_read(experiment->connection->db, &source, &reading, data, &experiment->interrupt.cancel, error);
  source_free(&source);
  return code;
}

void experiment_begin(Experiment *experiment, Connection *connection, const char *caller, sqlite3_value *trainer,
                      sqlite3_value *source, const ExperimentOptions *options, Error *error) {
  *experiment = (Experiment){.connection = connection, .caller = caller, .options = options, .values = -1};
  connection_interrupt(connection, &experiment->interrupt);
  if (error->code || choose_trainer(experiment, trainer, error) != SQLITE_OK) return;
  const char *text = (const char *)sqlite3_value_text(source);
  if (sqlite3_value_type(source) != SQLITE_TEXT)
    error_set(error, SQLITE_ERROR, "%s: the source must be the name of a table or view, or a SELECT, in quotes",
              caller);
  if (!error->code && (!text || !(experiment->source = sqlite3_mprintf("%s", text)))) error_no_memory(error);
  if (!isnan(options->held_out) && options->split != EXPERIMENT_BY_USERS)
    error_set(error, SQLITE_ERROR, "%s: the option \"held_out\" goes with \"split\": \"users\"", caller);
}

/* What the size is called among the options here, where "k" is how long lists are. */
static const char *size_name(const Trainer *trainer) {
  const char *name = trainer->size_names[0];
  return strcmp(name, "k") != 0 ? name : trainer->size_names[1] ? trainer->size_names[1] : "size";
}

/* What TrainRequest wants, out of the trainer's options, in which the size stands under its own name or as "size". */
static int make_request(const Experiment *experiment, const char *options, TrainRequest *request, char **rest,
                        Error *error) {
  const Trainer *trainer = experiment->trainer;
  int found = 0;
  *request = (TrainRequest){.trainer = trainer, .source = experiment->source, .size = NAN};
  if (!(*rest = sqlite3_mprintf("%s", options))) return error_no_memory(error);
  int code = trainer_take_size(trainer, experiment->caller, rest, &request->size, &found, error);
  if (code == SQLITE_OK && trainer->size && !found && isnan(trainer->size_default))
    code = error_set(error, SQLITE_ERROR, "%s: %s needs the %s, as in '{\"%s\": 32}'", experiment->caller,
                     trainer->function, trainer->size, size_name(trainer));
  request->options = *rest;
  return code;
}

void experiment_check_options(Experiment *experiment, const char *options, Error *error) {
  TrainRequest request;
  char *rest = NULL;
  SourceNeeds needs = {VALUES_RATINGS, 0};
  if (error->code) return;
  if (make_request(experiment, options, &request, &rest, error) == SQLITE_OK) training_check(&request, &needs, error);
  sqlite3_free(rest);
  /* What one combination reads as ratings is read as they are: zeros are dropped for those that want none. */
  if (experiment->values >= 0 && (experiment->values == VALUES_COUNTS) != (needs.values == VALUES_COUNTS))
    experiment->mixed = 1;
  if (experiment->values < 0 || needs.values == VALUES_RATINGS) experiment->values = (int)needs.values;
  experiment->timed |= needs.timed;
}

/* Options of trainers that make no sense here. */
static const struct {
  const char *name, *advice;
} senseless[] = {
    {"test", "what is held out is the test: leave it out"},
    {"stream", "each is trained to its end before it is judged: leave it out"},
    {"model", "nothing is stored: leave it out, or use recommend_grid_search"},
};

static int is_senseless(const char *name) {
  for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++)
    if (strcmp(name, senseless[i].name) == 0) return 1;
  return 0;
}

static int find_name(const char *json, const char *name, int *found, Error *error) {
  *found = options_have(json, name);
  return *found < 0 ? error_no_memory(error) : SQLITE_OK;
}

/* All names that may stand where the options of the function and of its trainer do. */
static size_t gather_names(const TrainerOptions *options, const Option *own, size_t count, Option *names) {
  size_t n = 0;
  for (size_t i = 0; i < count; i++) names[n++] = own[i];
  for (size_t i = 0; i < options->count; i++) {
    const char *name = options->option[i].name;
    int is_there = is_senseless(name);
    for (size_t j = 0; j < n && !is_there; j++) is_there = strcmp(names[j].name, name) == 0;
    if (!is_there) names[n++] = options->option[i];
  }
  return n;
}

void experiment_check_names(const Experiment *experiment, const char *options, const Option *own, size_t count,
                            int varied, Error *error) {
  const Trainer *trainer = experiment->trainer;
  int found = 0;
  for (size_t i = 0; i < count && varied && !error->code; i++) {
    if (strcmp(own[i].name, "seed") == 0 || strcmp(own[i].name, "threads") == 0) continue;
    find_name(options, own[i].name, &found, error);
    if (found > 0)
      error_set(error, SQLITE_ERROR,
                "%s: \"%s\" can't vary in the grid, which is of options of %s: give it once, "
                "among the options of %s",
                experiment->caller, own[i].name, trainer->function, experiment->caller);
  }
  for (size_t i = 0; i < sizeof senseless / sizeof *senseless && !error->code; i++) {
    find_name(options, senseless[i].name, &found, error);
    if (found > 0)
      error_set(error, SQLITE_ERROR, "%s: the option \"%s\" can't be used here: %s", experiment->caller,
                senseless[i].name, senseless[i].advice);
  }
  TrainerOptions theirs;
  if (error->code || trainer_options(trainer, 0, &theirs, error) != SQLITE_OK) return;
  Option *names = memory_alloc(count + theirs.count, sizeof *names);
  if (names)
    options_check_names(experiment->caller, options, names, gather_names(&theirs, own, count, names), error);
  else
    error_no_memory(error);
  memory_free(names);
  trainer_options_free(&theirs);
}

void experiment_read(Experiment *experiment, Error *error) {
  Interactions *data = &experiment->data;
  if (error->code || read_experiment_source(experiment, NULL, data, error) != SQLITE_OK) return;
  if (experiment->mixed && data->explicit_ratings && data->duplicates && experiment->options->duplicates < 0)
    error_set(error, SQLITE_ERROR,
              "%s: some users and items occur together more than once, which adds up for some algorithms of the "
              "grid and not for others: say which with the option \"duplicates\" (last, sum, mean)",
              experiment->caller);
  if (!error->code && experiment->values != VALUES_RATINGS)
    error_from_code(error, interactions_drop_zeros(data, &experiment->interrupt.cancel));
  size_t entries = error->code ? 0 : data->by_user.start[data->by_user.rows];
  if (entries == 0 && data->zeros)
    error_set(error, SQLITE_ERROR,
              "%s: \"%s\" has no ratings: %lld are 0, which says nothing where values are feedback", experiment->caller,
              experiment->source, data->zeros);
  if (entries == 0)
    error_set(error, SQLITE_ERROR,
              "%s: \"%s\" has no ratings (%lld rows, of which %lld lack a user, an item or a rating)",
              experiment->caller, experiment->source, data->rows, data->left_out);
  if (error->code) return;
  experiment->fold = memory_alloc(entries, 1);
  if (experiment->fold)
    memset(experiment->fold, EXPERIMENT_NEVER, entries);
  else
    error_no_memory(error);
}

void experiment_end(Experiment *experiment) {
  sqlite3_free(experiment->source);
  interactions_free(&experiment->data);
  known_free(&experiment->known);
  memory_free(experiment->fold);
  interrupt_end(&experiment->interrupt);
  *experiment = (Experiment){0};
}

/* ---- dealing ----------------------------------------------------------------------------------------------------- */

typedef struct Drawn {
  double number; /* uniform, by hash */
  size_t entry;
} Drawn;

static double number_of_cell(const Experiment *experiment, size_t user, uint32_t item) {
  const Id key[2] = {dictionary_id(&experiment->data.users, user), dictionary_id(&experiment->data.items, item)};
  return split_uniform(experiment->options->seed, key, 2);
}

static int compare_drawn(const void *a, const void *b) {
  const Drawn *x = a, *y = b;
  if (x->number != y->number) return x->number < y->number ? -1 : 1;
  return x->entry < y->entry ? -1 : x->entry > y->entry;
}

/* Puts so many of a user's entries, drawn at random, into a fold. */
static void hold_out(Experiment *experiment, size_t user, size_t count, uint8_t fold, Drawn *drawn) {
  const SparseMatrix *cells = &experiment->data.by_user;
  size_t first = cells->start[user], n = sparse_row_length(cells, user);
  for (size_t i = 0; i < n; i++)
    drawn[i] = (Drawn){number_of_cell(experiment, user, cells->index[first + i]), first + i};
  qsort(drawn, n, sizeof *drawn, compare_drawn);
  for (size_t i = 0; i < count; i++) experiment->fold[drawn[i].entry] = fold;
}

/* How many entries of a user of n are held out: they keep one to be known by, and have one to be tested by, if they
 * have two and not all are to be held out. */
static size_t held_out_of(const Experiment *experiment, size_t n) {
  double part = isnan(experiment->options->held_out) ? 0.2 : experiment->options->held_out;
  size_t count = (size_t)(part * (double)n + 0.5);
  if (part >= 1 || n == 0) return n;
  if (count < 1) count = 1;
  return count < n ? count : n - 1;
}

/* Room for the longest row. */
static Drawn *alloc_drawn(const Experiment *experiment) {
  const SparseMatrix *cells = &experiment->data.by_user;
  size_t longest = 0;
  for (size_t user = 0; user < cells->rows; user++)
    if (sparse_row_length(cells, user) > longest) longest = sparse_row_length(cells, user);
  return memory_alloc(longest, sizeof(Drawn));
}

/* An error where a fold leaves nothing to do. */
static int check_folds(const Experiment *experiment, const char *advice, Error *error) {
  size_t tested[EXPERIMENT_MOST_FOLDS + 2] = {0},
                                        entries = experiment->data.by_user.start[experiment->data.by_user.rows];
  for (size_t e = 0; e < entries; e++) tested[experiment->fold[e]]++;
  for (int fold = 0; fold < experiment->folds; fold++)
    if (tested[fold] == 0 || tested[fold] == entries)
      return error_set(error, SQLITE_ERROR, "%s: fold %g leaves nothing to %s: %s", experiment->caller,
                       experiment->label[fold], tested[fold] ? "train on" : "test", advice);
  return SQLITE_OK;
}

/* Folds 1, 2 … */
static void number_folds(Experiment *experiment, int folds) {
  experiment->folds = folds;
  for (int fold = 0; fold < folds; fold++) experiment->label[fold] = fold + 1;
}

/* Deals rows or users out, `part` of them if there is one fold. `whole`: what is held out of them is all of them, and
 * so one at least is kept to train on. */
static int deal_out(const Experiment *experiment, Deal *deal, double part, int whole, const char *things,
                    Error *error) {
  const Cancel *cancel = &experiment->interrupt.cancel;
  size_t count = deal_count(deal);
  if (count == 0)
    return error_set(error, SQLITE_ERROR, "%s: no user has two ratings, one to be held out", experiment->caller);
  if ((size_t)experiment->folds > count)
    return error_set(error, SQLITE_ERROR, "%s: there are more folds (%d) than %s (%lld): make fewer folds",
                     experiment->caller, experiment->folds, things, (int64_t)count);
  if (count == 1 && whole)
    return error_set(error, SQLITE_ERROR, "%s: \"%s\" has too few %s (1): some must be left to train on",
                     experiment->caller, experiment->source, things);
  return error_from_code(error, experiment->folds > 1 ? deal_folds(deal, experiment->folds, cancel)
                                                      : deal_part(deal, part, whole ? count - 1 : count, cancel));
}

static int deal_rows(Experiment *experiment, double part, Error *error) {
  const SparseMatrix *cells = &experiment->data.by_user;
  Deal deal;
  int code = error_from_code(error, deal_alloc(&deal, cells->start[cells->rows]));
  for (size_t user = 0; user < cells->rows && code == SQLITE_OK; user++) {
    for (size_t e = cells->start[user]; e < cells->start[user + 1]; e++)
      deal.number[e] = number_of_cell(experiment, user, cells->index[e]);
    code = error_from_code(error, cancel_poll(&experiment->interrupt.cancel));
  }
  if (code == SQLITE_OK) code = deal_out(experiment, &deal, part, 1, "ratings", error);
  if (code == SQLITE_OK) memcpy(experiment->fold, deal.fold, deal.count);
  deal_free(&deal);
  return code;
}

/* Users of whom nothing can be held out are in no fold. */
static int deal_users(Experiment *experiment, double part, Error *error) {
  const SparseMatrix *cells = &experiment->data.by_user;
  Drawn *drawn = alloc_drawn(experiment);
  Deal deal;
  int code = error_from_code(error, deal_alloc(&deal, cells->rows));
  if (code == SQLITE_OK && !drawn) code = error_no_memory(error);
  for (size_t user = 0; user < cells->rows && code == SQLITE_OK; user++) {
    const Id id = dictionary_id(&experiment->data.users, user);
    int is_tested = held_out_of(experiment, sparse_row_length(cells, user)) > 0;
    deal.number[user] = is_tested ? split_uniform(experiment->options->seed, &id, 1) : NAN;
    code = error_from_code(error, cancel_poll(&experiment->interrupt.cancel));
  }
  int whole = experiment->options->held_out >= 1;
  if (code == SQLITE_OK)
    code = deal_out(experiment, &deal, part, whole, whole ? "users" : "users of two ratings or more", error);
  for (size_t user = 0; user < cells->rows && code == SQLITE_OK; user++) {
    if (deal.fold[user] != DEAL_NONE)
      hold_out(experiment, user, held_out_of(experiment, sparse_row_length(cells, user)), deal.fold[user], drawn);
    code = error_from_code(error, cancel_poll(&experiment->interrupt.cancel));
  }
  deal_free(&deal);
  memory_free(drawn);
  return code;
}

void experiment_deal(Experiment *experiment, int folds, double part, Error *error) {
  if (error->code) return;
  number_folds(experiment, folds);
  if (experiment->options->split == EXPERIMENT_BY_USERS)
    deal_users(experiment, part, error);
  else
    deal_rows(experiment, part, error);
}

void experiment_leave_one_out(Experiment *experiment, Error *error) {
  const SparseMatrix *cells = &experiment->data.by_user;
  if (error->code) return;
  Drawn *drawn = alloc_drawn(experiment);
  if (!drawn) error_no_memory(error);
  number_folds(experiment, 1);
  for (size_t user = 0; user < cells->rows && !error->code; user++) {
    if (sparse_row_length(cells, user) > 1) hold_out(experiment, user, 1, 0, drawn);
    error_from_code(error, cancel_poll(&experiment->interrupt.cancel));
  }
  memory_free(drawn);
  if (!error->code) check_folds(experiment, "no user has two ratings, one to be left out", error);
}

static int compare_floats(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

/* The distinct values of a matrix, ascending: at most EXPERIMENT_MOST_FOLDS + 1 of them. */
static int distinct_values(const SparseMatrix *matrix, float *values, size_t *count, const Cancel *cancel) {
  enum { POLL_EVERY = 4096 };
  int code = SQLITE_OK;
  *count = 0;
  for (size_t e = 0; e < matrix->start[matrix->rows] && *count <= EXPERIMENT_MOST_FOLDS && code == SQLITE_OK; e++) {
    float value = sparse_value(matrix, e);
    size_t i = 0;
    while (i < *count && values[i] != value) i++;
    if (i == *count) values[(*count)++] = value;
    if (e % POLL_EVERY == 0) code = cancel_poll(cancel);
  }
  qsort(values, *count, sizeof *values, compare_floats);
  return code;
}

/* The folds of a user's entries; both rows are in order of item. */
static void take_folds(Experiment *experiment, size_t user, const Interactions *given, uint32_t row,
                       const uint32_t *item_index, const float *values) {
  const SparseMatrix *cells = &experiment->data.by_user, *folds = &given->by_user;
  size_t f = folds->start[row];
  for (size_t e = cells->start[user]; e < cells->start[user + 1]; e++) {
    /* What has a fold and no rating is in `given` alone. */
    while (f < folds->start[row + 1] &&
           (item_index[folds->index[f]] == DICTIONARY_NONE || item_index[folds->index[f]] < cells->index[e]))
      f++;
    if (f == folds->start[row + 1] || item_index[folds->index[f]] != cells->index[e]) continue;
    float value = sparse_value(folds, f);
    for (int fold = 0; fold < experiment->folds; fold++)
      if (values[fold] == value) experiment->fold[e] = (uint8_t)fold;
  }
}

/* The source once more, with the column in place of the ratings. */
static int read_folds(const Experiment *experiment, const char *column, Interactions *given, Error *error) {
  Error found = {0};
  int code = read_experiment_source(experiment, column, given, &found);
  size_t prefix = strlen(experiment->caller) + 2; /* "recommend_cross_validate: " */
  if (found.message && (code == SQLITE_MISMATCH || code == SQLITE_ERROR))
    error_set(error, code, "%s: column \"%s\" must say which fold each row is in, as a number: %s", experiment->caller,
              column,
              strncmp(found.message, experiment->caller, prefix - 2) == 0 ? found.message + prefix : found.message);
  else if (found.message)
    error_set(error, code, "%s", found.message);
  else if (code != SQLITE_OK)
    error_no_memory(error);
  error_clear(&found);
  return code;
}

void experiment_deal_by_column(Experiment *experiment, const char *column, Error *error) {
  float values[EXPERIMENT_MOST_FOLDS + 1] = {0};
  Interactions given = {0};
  size_t count = 0;
  if (error->code || read_folds(experiment, column, &given, error) != SQLITE_OK) return;
  error_from_code(error, distinct_values(&given.by_user, values, &count, &experiment->interrupt.cancel));
  if (count < 2 || count > EXPERIMENT_MOST_FOLDS)
    error_set(error, SQLITE_ERROR, "%s: column \"%s\" must have from 2 to %d different values, one a fold: it has %s",
              experiment->caller, column, EXPERIMENT_MOST_FOLDS, count < 2 ? "fewer" : "more");
  experiment->folds = error->code ? 0 : (int)count;
  for (int fold = 0; fold < experiment->folds; fold++) experiment->label[fold] = (double)values[fold];
  uint32_t *item_index = memory_alloc(given.items.count, sizeof *item_index);
  if (!item_index) error_no_memory(error);
  for (size_t item = 0; !error->code && item < given.items.count; item++) {
    Id id = dictionary_id(&given.items, item);
    item_index[item] = dictionary_find(&experiment->data.items, &id);
  }
  for (size_t user = 0; !error->code && user < experiment->data.users.count; user++) {
    Id id = dictionary_id(&experiment->data.users, user);
    uint32_t row = dictionary_find(&given.users, &id);
    if (row != DICTIONARY_NONE) take_folds(experiment, user, &given, row, item_index, values);
    error_from_code(error, cancel_poll(&experiment->interrupt.cancel));
  }
  if (!error->code) check_folds(experiment, "give its rows another fold, or none (NULL)", error);
  memory_free(item_index);
  interactions_free(&given);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void take_metrics(const Judge *judge, ExperimentResult *result) {
  const RatingErrors *errors = &judge->errors;
  const RankingScores *scores = &judge->scores;
  double n = (double)errors->count, users = (double)scores->users;
  static const RankingMetric ranking[] = {METRIC_PRECISION, METRIC_RECALL, METRIC_MAP,
                                          METRIC_NDCG,      METRIC_MRR,    METRIC_HIT_RATE};
  for (int i = 0; i < EXPERIMENT_METRICS; i++) result->metric[i] = NAN;
  if (judge_predicts(judge) && n > 0) {
    result->metric[EXPERIMENT_RMSE] = rating_rmse(errors);
    result->metric[EXPERIMENT_MAE] = errors->absolutes / n;
    result->metric[EXPERIMENT_ACCURACY] = (double)errors->within / n;
  }
  for (size_t i = 0; users > 0 && i < sizeof ranking / sizeof *ranking; i++)
    result->metric[EXPERIMENT_PRECISION + i] = scores->sum[ranking[i]][0] / users;
  if (scores->auc_users) result->metric[EXPERIMENT_AUC] = scores->auc / (double)scores->auc_users;
  result->cold = judge->unknown_rows;
}

static int judge_trained(Experiment *experiment, const TrainedModel *trained, const Interactions *tested,
                         ExperimentResult *result, Error *error) {
  const ExperimentOptions *options = experiment->options;
  const JudgeOptions judging = {.k = {1, {options->k}},
                                .threshold = options->relevance,
                                .exclude_seen = 1,
                                .cold_start = options->cold_start,
                                .recall = options->recall,
                                .lists = options->lists,
                                .threads = options->threads};
  Judge judge = {.options = &judging, .data = tested, .cancel = &experiment->interrupt.cancel};
  Model *model = NULL;
  int code = model_of_trained(&model, trained, error);
  if (code == SQLITE_OK) code = model_begin(model, &judge.items, error);
  if (code == SQLITE_OK) code = judge_run(&judge, model, error);
  if (code == SQLITE_OK) take_metrics(&judge, result);
  judge_free(&judge);
  model_destroy(model);
  return code;
}

static int take_interactions(const Experiment *experiment, const uint8_t *wanted, uint8_t mark, Interactions *taken,
                             Error *error) {
  return error_from_code(error,
                         interactions_take(&experiment->data, wanted, mark, taken, &experiment->interrupt.cancel));
}

int experiment_run(Experiment *experiment, int fold, const char *options, ExperimentResult *result, Error *error) {
  static const ModelName nowhere = {"main", ""};
  struct timespec began;
  size_t entries = experiment->data.by_user.start[experiment->data.by_user.rows];
  uint8_t *tested = memory_alloc(entries, 1);
  Interactions training_data = {0}, test_data = {0};
  Training *training = NULL;
  TrainRequest request;
  char *rest = NULL;
  clock_gettime(CLOCK_MONOTONIC, &began);
  *result = (ExperimentResult){0};
  progress_say(&experiment->interrupt.progress, "%s: %lld of %lld", experiment->caller, ++experiment->begun,
               experiment->wanted);
  int code = tested ? make_request(experiment, options, &request, &rest, error) : error_no_memory(error);
  for (size_t e = 0; code == SQLITE_OK && e < entries; e++) {
    tested[e] = experiment->fold[e] == fold;
    result->tested += tested[e];
  }
  result->trained = (int64_t)entries - result->tested;
  if (code == SQLITE_OK) code = take_interactions(experiment, tested, 0, &training_data, error);
  if (code == SQLITE_OK) code = take_interactions(experiment, tested, 1, &test_data, error);
  memory_free(tested);
  if (code == SQLITE_OK) {
    result->users = (int64_t)training_data.users.count;
    result->items = (int64_t)training_data.items.count;
    request.model = &nowhere;
    request.given = &training_data;
    code = training_begin(experiment->connection, &request, &training, error);
  }
  if (code == SQLITE_OK) {
    training->interrupt.progress.outer = &experiment->interrupt.progress;
    if (training->options->history == HISTORY_NONE) training->options->history = HISTORY_KEPT;
    code = training_run(training, error);
  }
  if (code == SQLITE_OK) code = judge_trained(experiment, &training->trained, &test_data, result, error);
  progress_hide(&experiment->interrupt.progress);
  result->seconds = seconds_since(&began);
  training_end(training);
  interactions_free(&training_data);
  interactions_free(&test_data);
  sqlite3_free(rest);
  return code;
}

/* make_request() with the name of the model that is to be stored. */
static int make_named_request(const Experiment *experiment, const char *model, const char *options,
                              TrainRequest *request, char **rest, Error *error) {
  char *name = options_object("model", model), *named = name ? options_merge(options, name) : NULL;
  int code = named ? make_request(experiment, named, request, rest, error) : error_no_memory(error);
  sqlite3_free(named);
  sqlite3_free(name);
  return code;
}

void experiment_know(Experiment *experiment, const char *model, const char *options, Error *error) {
  TrainRequest request;
  char *rest = NULL;
  if (error->code) return;
  if (make_named_request(experiment, model, options, &request, &rest, error) == SQLITE_OK)
    training_known(experiment->connection, &request, &experiment->known, error);
  sqlite3_free(rest);
}

/* The training of the model on everything, begun. */
static int begin_on_all(Experiment *experiment, const char *model, const char *options, Training **training,
                        Error *error) {
  TrainRequest request;
  Interactions all = {0};
  char *rest = NULL;
  size_t entries = experiment->data.by_user.start[experiment->data.by_user.rows];
  uint8_t *wanted = memory_alloc_zero(entries, 1);
  int code = wanted ? make_named_request(experiment, model, options, &request, &rest, error) : error_no_memory(error);
  if (code == SQLITE_OK) code = take_interactions(experiment, wanted, 0, &all, error);
  if (code == SQLITE_OK) {
    request.given = &all;
    code = training_begin(experiment->connection, &request, training, error);
  }
  interactions_free(&all);
  memory_free(wanted);
  sqlite3_free(rest);
  return code;
}

void experiment_check_model(Experiment *experiment, const char *model, const char *options, Error *error) {
  Training *training = NULL;
  if (!error->code) begin_on_all(experiment, model, options, &training, error);
  training_end(training);
}

int experiment_store(Experiment *experiment, const char *model, const char *options, Error *error) {
  Training *training = NULL;
  int code = begin_on_all(experiment, model, options, &training, error);
  if (code == SQLITE_OK && experiment->known.is_read) { /* what is trained on is as old as that */
    known_free(&training->known);
    training->known = experiment->known;
    experiment->known = (Known){0};
  }
  if (code == SQLITE_OK) training->interrupt.progress.outer = &experiment->interrupt.progress;
  progress_say(&experiment->interrupt.progress, "%s: the best, on everything", experiment->caller);
  if (code == SQLITE_OK) code = training_run(training, error);
  if (code == SQLITE_OK) code = training_store(training, error);
  training_end(training);
  return code;
}
