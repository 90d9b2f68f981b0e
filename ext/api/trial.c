/* Trying a trainer out: see trial.h. */
#include "trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/memory.h"
#include "../base/parallel.h"
#include "../data/interactions_take.h"
#include "../data/option_objects.h"
#include "../model/in_memory.h"

const char *const trial_metrics[TRIAL_METRICS] = {"rmse", "mae",  "accuracy", "precision", "recall",
                                                  "map",  "ndcg", "mrr",      "hit_rate",  "auc"};

void trial_set_defaults(TrialOptions *options) {
  *options = (TrialOptions){.duplicates = -1, .seed = 42, .k = 10, .relevance = NAN, .held_out = 0.2};
}

void trial_options_free(TrialOptions *options) {
  sqlite3_free(options->user.name);
  sqlite3_free(options->item.name);
  sqlite3_free(options->rating.name);
  sqlite3_free(options->timestamp.name);
}

/* ---- beginning --------------------------------------------------------------------------------------------------- */

/* "mf" or "mf_train". */
static const Family *find_trainer(const char *name) {
  for (int i = 0; families[i]; i++)
    if (sqlite3_stricmp(name, families[i]->name) == 0 || sqlite3_stricmp(name, families[i]->function) == 0)
      return families[i];
  return NULL;
}

static int choose_trainer(Trial *trial, const char *name, Error *error) {
  trial->family = name ? find_trainer(name) : NULL;
  if (trial->family && trial->family->reads_ratings) return SQLITE_OK;
  sqlite3_str *names = sqlite3_str_new(NULL);
  for (int i = 0, n = 0; families[i]; i++)
    if (families[i]->reads_ratings) sqlite3_str_appendf(names, "%s'%s'", n++ ? ", " : "", families[i]->function);
  char *list = sqlite3_str_finish(names);
  int code = list ? error_set(error, SQLITE_ERROR, "%s: the trainer must be one of %s, not '%s'", trial->caller, list,
                              name ? name : "NULL")
                  : error_no_memory(error);
  sqlite3_free(list);
  return code;
}

/* `rating` names the column that is read in place of the ratings; NULL: the ratings. */
static int read_source(Trial *trial, const char *rating, Interactions *data, Error *error) {
  const TrialOptions *options = trial->options;
  Source source = {0};
  const InteractionOptions reading = {
      .caller = trial->caller,
      .user = options->user.name,
      .item = options->item.name,
      .rating = rating ? rating : options->rating.name,
      .timestamp = options->timestamp.name,
      .implicit = !rating && options->rating.is_null,
      .duplicates = rating ? DUPLICATES_LAST : (DuplicatesRule)(options->duplicates + 1),
      .threads = parallel_threads(options->threads),
  };
  int code = source_resolve(trial->connection->db, trial->source, trial->caller, &source, error);
  if (code == SQLITE_OK)
    code = interactions_read(trial->connection->db, &source, &reading, data, &trial->interrupt.cancel, error);
  source_free(&source);
  return code;
}

int trial_begin(Trial *trial, Connection *connection, const char *caller, sqlite3_value *trainer, sqlite3_value *source,
                const TrialOptions *options, Error *error) {
  *trial = (Trial){.connection = connection, .caller = caller, .options = options};
  interrupt_begin(&trial->interrupt, connection->db);
  const char *text = sqlite3_value_type(source) == SQLITE_TEXT ? (const char *)sqlite3_value_text(source) : NULL;
  int code = choose_trainer(trial, (const char *)sqlite3_value_text(trainer), error);
  if (code == SQLITE_OK && !text)
    code = error_set(error, SQLITE_ERROR, "%s: the source must be the name of a table or view, or a SELECT, in quotes",
                     caller);
  if (code == SQLITE_OK && !(trial->source = sqlite3_mprintf("%s", text))) code = error_no_memory(error);
  if (code == SQLITE_OK) code = read_source(trial, NULL, &trial->data, error);
  size_t entries = code == SQLITE_OK ? trial->data.by_user.start[trial->data.by_user.rows] : 0;
  if (code == SQLITE_OK && entries == 0)
    code = error_set(error, SQLITE_ERROR, "%s: \"%s\" has no ratings", caller, text);
  if (code == SQLITE_OK && !(trial->fold = memory_alloc(entries, 1))) code = error_no_memory(error);
  if (trial->fold) memset(trial->fold, TRIAL_NEVER, entries);
  return code;
}

void trial_end(Trial *trial) {
  sqlite3_free(trial->source);
  interactions_free(&trial->data);
  memory_free(trial->fold);
  interrupt_end(&trial->interrupt);
  *trial = (Trial){0};
}

/* ---- dealing ----------------------------------------------------------------------------------------------------- */

/* A uniform number of an entry. */
static double draw(const Trial *trial, uint64_t seed, size_t user, uint32_t item) {
  const Id key[2] = {dictionary_id(&trial->data.users, user), dictionary_id(&trial->data.items, item)};
  return split_uniform(seed, key, 2);
}

int trial_deal(Trial *trial, int folds, Error *error) {
  const SparseMatrix *cells = &trial->data.by_user;
  uint64_t seed = trial->options->seed;
  int code = SQLITE_OK;
  trial->folds = folds;
  for (size_t user = 0; user < cells->rows && code == SQLITE_OK; user++) {
    const Id id = dictionary_id(&trial->data.users, user);
    double of_user = split_uniform(seed, &id, 1);
    for (size_t e = cells->start[user]; e < cells->start[user + 1]; e++) {
      double of_cell = draw(trial, seed, user, cells->index[e]);
      if (trial->options->split == TRIAL_BY_ROWS)
        trial->fold[e] = (uint8_t)(of_cell * folds);
      else if (of_cell < trial->options->held_out)
        trial->fold[e] = (uint8_t)(of_user * folds);
    }
    if (user % 1024 == 0) code = interrupt_error(error, cancel_poll(&trial->interrupt.cancel));
  }
  return code;
}

int trial_hold_out(Trial *trial, double part, Error *error) {
  const SparseMatrix *cells = &trial->data.by_user;
  int code = SQLITE_OK;
  trial->folds = 1;
  for (size_t user = 0; user < cells->rows && code == SQLITE_OK; user++) {
    for (size_t e = cells->start[user]; e < cells->start[user + 1]; e++)
      if (draw(trial, trial->options->seed, user, cells->index[e]) < part) trial->fold[e] = 0;
    if (user % 1024 == 0) code = interrupt_error(error, cancel_poll(&trial->interrupt.cancel));
  }
  return code;
}

/* One entry, drawn at random, of each user who has others besides. */
int trial_leave_one_out(Trial *trial, Error *error) {
  const SparseMatrix *cells = &trial->data.by_user;
  int code = SQLITE_OK;
  trial->folds = 1;
  for (size_t user = 0; user < cells->rows && code == SQLITE_OK; user++) {
    size_t least = SIZE_MAX;
    double smallest = 2;
    if (sparse_row_length(cells, user) < 2) continue;
    for (size_t e = cells->start[user]; e < cells->start[user + 1]; e++) {
      double drawn = draw(trial, trial->options->seed, user, cells->index[e]);
      if (drawn < smallest) {
        smallest = drawn;
        least = e;
      }
    }
    trial->fold[least] = 0;
    if (user % 1024 == 0) code = interrupt_error(error, cancel_poll(&trial->interrupt.cancel));
  }
  return code;
}

static int compare_floats(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

/* The distinct values of a matrix, ascending: at most TRIAL_MOST_FOLDS + 1 of them. */
static size_t distinct_values(const SparseMatrix *matrix, float *values) {
  size_t count = 0;
  for (size_t e = 0; e < matrix->start[matrix->rows] && count <= TRIAL_MOST_FOLDS; e++) {
    float value = matrix->value ? matrix->value[e] : 1;
    size_t i = 0;
    while (i < count && values[i] != value) i++;
    if (i == count) values[count++] = value;
  }
  qsort(values, count, sizeof *values, compare_floats);
  return count;
}

/* The folds of a user's entries; both rows are in order of item. */
static void take_folds(Trial *trial, size_t user, const Interactions *given, uint32_t row, const uint32_t *item_index,
                       const float *values) {
  const SparseMatrix *cells = &trial->data.by_user, *folds = &given->by_user;
  size_t f = folds->start[row];
  for (size_t e = cells->start[user]; e < cells->start[user + 1]; e++) {
    while (f < folds->start[row + 1] && item_index[folds->index[f]] < cells->index[e]) f++;
    if (f == folds->start[row + 1] || item_index[folds->index[f]] != cells->index[e]) continue;
    float value = folds->value ? folds->value[f] : 1;
    for (int fold = 0; fold < trial->folds; fold++)
      if (values[fold] == value) trial->fold[e] = (uint8_t)fold;
  }
}

int trial_deal_by_column(Trial *trial, const char *column, Error *error) {
  float values[TRIAL_MOST_FOLDS + 1];
  Interactions given = {0};
  uint32_t *item_index = NULL;
  int code = read_source(trial, column, &given, error);
  size_t count = code == SQLITE_OK ? distinct_values(&given.by_user, values) : 0;
  if (code == SQLITE_OK && (count < 2 || count > TRIAL_MOST_FOLDS))
    code = error_set(error, SQLITE_ERROR,
                     "%s: column \"%s\" must have from 2 to %d different values, one a fold: it has %s", trial->caller,
                     column, TRIAL_MOST_FOLDS, count < 2 ? "fewer" : "more");
  trial->folds = (int)count;
  if (code == SQLITE_OK && !(item_index = memory_alloc(given.items.count, sizeof *item_index)))
    code = error_no_memory(error);
  for (size_t item = 0; code == SQLITE_OK && item < given.items.count; item++) {
    Id id = dictionary_id(&given.items, item);
    item_index[item] = dictionary_find(&trial->data.items, &id);
  }
  for (size_t user = 0; code == SQLITE_OK && user < trial->data.users.count; user++) {
    Id id = dictionary_id(&trial->data.users, user);
    uint32_t row = dictionary_find(&given.users, &id);
    if (row != DICTIONARY_NONE) take_folds(trial, user, &given, row, item_index, values);
  }
  memory_free(item_index);
  interactions_free(&given);
  return code;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* What TrainRequest wants, out of the trainer's options, in which the size stands under its own name or as "size". */
static int make_request(const Trial *trial, const char *options, TrainRequest *request, char **rest, Error *error) {
  const Family *family = trial->family;
  int found = 0;
  *request = (TrainRequest){.family = family, .source = trial->source};
  if (!(*rest = sqlite3_mprintf("%s", options))) return error_no_memory(error);
  int code = SQLITE_OK;
  if (family->size) {
    const char *key = family->size_key ? family->size_key : "size";
    code = options_take_number(trial->caller, rest, key, &request->size, &found, error);
    if (code == SQLITE_OK && !found)
      code = options_take_number(trial->caller, rest, "size", &request->size, &found, error);
    if (code == SQLITE_OK && !found)
      code = error_set(error, SQLITE_ERROR, "%s: %s needs the %s, as in '{\"%s\": 32}'", trial->caller,
                       family->function, family->size, key);
  }
  request->options = *rest;
  return code;
}

static void take_metrics(const Judge *judge, TrialResult *result) {
  const RatingErrors *errors = &judge->errors;
  const RankingScores *scores = &judge->scores;
  double n = (double)errors->count, users = (double)scores->users;
  static const RankingMetric ranking[] = {METRIC_PRECISION, METRIC_RECALL, METRIC_MAP,
                                          METRIC_NDCG,      METRIC_MRR,    METRIC_HIT_RATE};
  for (int i = 0; i < TRIAL_METRICS; i++) result->metric[i] = NAN;
  if (judge_predicts(judge) && n > 0) {
    result->metric[TRIAL_RMSE] = rating_rmse(errors);
    result->metric[TRIAL_MAE] = errors->absolutes / n;
    result->metric[TRIAL_ACCURACY] = (double)errors->within / n;
  }
  for (size_t i = 0; users > 0 && i < sizeof ranking / sizeof *ranking; i++)
    result->metric[TRIAL_PRECISION + i] = scores->sum[ranking[i]][0] / users;
  if (scores->auc_users) result->metric[TRIAL_AUC] = scores->auc / (double)scores->auc_users;
  result->cold = judge->unknown_rows;
}

static int judge_trained(Trial *trial, const TrainedModel *trained, const Interactions *tested, TrialResult *result,
                         Error *error) {
  const TrialOptions *options = trial->options;
  const JudgeOptions judging = {.k = {1, {options->k}},
                                .threshold = options->relevance,
                                .exclude_seen = 1,
                                .cold_start = options->cold_start,
                                .recall = options->recall,
                                .threads = options->threads};
  Judge judge = {.options = &judging, .data = tested, .cancel = &trial->interrupt.cancel};
  Model *model = NULL;
  int code = model_of_trained(&model, trained, error);
  if (code == SQLITE_OK) code = model_begin(model, &judge.items, error);
  if (code == SQLITE_OK) code = judge_run(&judge, model, error);
  if (code == SQLITE_OK) take_metrics(&judge, result);
  judge_free(&judge);
  model_destroy(model);
  return code;
}

int trial_run(Trial *trial, int fold, const char *options, TrialResult *result, Error *error) {
  static const ModelName nowhere = {"main", ""};
  struct timespec began;
  size_t entries = trial->data.by_user.start[trial->data.by_user.rows];
  uint8_t *tested = memory_alloc(entries, 1);
  Interactions training_data = {0}, test_data = {0};
  Training *training = NULL;
  TrainRequest request;
  char *rest = NULL;
  clock_gettime(CLOCK_MONOTONIC, &began);
  *result = (TrialResult){0};
  int code = tested ? make_request(trial, options, &request, &rest, error) : error_no_memory(error);
  for (size_t e = 0; code == SQLITE_OK && e < entries; e++) {
    tested[e] = trial->fold[e] == fold;
    result->tested += tested[e];
  }
  result->trained = (int64_t)entries - result->tested;
  if (code == SQLITE_OK && (result->tested == 0 || result->trained == 0))
    code = error_set(error, SQLITE_ERROR, "%s: fold %d leaves nothing to %s: make fewer folds", trial->caller, fold + 1,
                     result->tested ? "train on" : "test");
  if (code == SQLITE_OK && (interactions_take(&trial->data, tested, 0, &training_data) != SQLITE_OK ||
                            interactions_take(&trial->data, tested, 1, &test_data) != SQLITE_OK))
    code = error_no_memory(error);
  memory_free(tested);
  if (code == SQLITE_OK) {
    result->users = (int64_t)training_data.users.count;
    result->items = (int64_t)training_data.items.count;
    request.model = &nowhere;
    request.given = &training_data;
    code = training_begin(trial->connection, &request, &training, error);
  }
  if (code == SQLITE_OK) {
    training->options->history = 1;
    code = training_run(training, error);
  }
  if (code == SQLITE_OK) code = judge_trained(trial, &training->trained, &test_data, result, error);
  result->seconds = seconds_since(&began);
  training_end(training);
  interactions_free(&training_data);
  interactions_free(&test_data);
  sqlite3_free(rest);
  return code;
}

int trial_store(Trial *trial, const char *model, const char *options, Error *error) {
  Training *training = NULL;
  TrainRequest request;
  Interactions all = {0};
  char *rest = NULL, *named = NULL, *name = options_object("model", model);
  size_t entries = trial->data.by_user.start[trial->data.by_user.rows];
  uint8_t *wanted = memory_alloc_zero(entries, 1);
  int code = wanted && name && (named = options_merge(options, name)) ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK) code = make_request(trial, named, &request, &rest, error);
  if (code == SQLITE_OK && interactions_take(&trial->data, wanted, 0, &all) != SQLITE_OK) code = error_no_memory(error);
  if (code == SQLITE_OK) {
    request.given = &all;
    code = training_begin(trial->connection, &request, &training, error);
  }
  if (code == SQLITE_OK) code = training_run(training, error);
  if (code == SQLITE_OK) code = training_store(training, error);
  training_end(training);
  interactions_free(&all);
  memory_free(wanted);
  sqlite3_free(rest);
  sqlite3_free(named);
  sqlite3_free(name);
  return code;
}
