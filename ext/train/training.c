/* Training, whatever the trainer: see training.h.
 *
 * Compute first, write once: the source is read by one nested SELECT that is finalized, the model is trained with no
 * lock held, and one nested statement stores it, which SQLite rolls back as a whole where it fails. No transaction of
 * the user's is begun, ended or rolled back. */
#include "training.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "../base/json.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../data/interactions_subset.h"
#include "../data/name.h"
#include "../data/option_objects.h"
#include "../model/replacement.h"
#include "source_hints.h"

double seconds_since(const struct timespec *then) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - then->tv_sec) + 1e-9 * (double)(now.tv_nsec - then->tv_nsec);
}

/* ---- beginning --------------------------------------------------------------------------------------------------- */

/* What is no property of the model stays out of the options that it keeps: how many threads trained it, and whether its
 * epochs were watched, since its bytes are the same; and the size, which is kept by itself. */
static int keep_options(Training *training, const char *text, Error *error) {
  static const char *const passing[] = {"threads", "stream"};
  const Trainer *trainer = training->trainer;
  char *kept = sqlite3_mprintf("%s", text && *text ? text : "{}");
  double size = NAN;
  int code = kept ? trainer_take_size(trainer, trainer->function, &kept, &size, NULL, error) : error_no_memory(error);
  for (size_t i = 0; i < sizeof passing / sizeof *passing && code == SQLITE_OK; i++) {
    char *rest = options_without(kept, passing[i]);
    sqlite3_free(kept);
    kept = rest;
    if (!kept) code = error_no_memory(error);
  }
  training->trained.options = kept;
  return code;
}

static int parse_options(Training *training, const char *text, Error *error) {
  const Trainer *trainer = training->trainer;
  training->options = memory_alloc_zero(1, trainer->options_size);
  training->state = memory_alloc_zero(1, trainer->state_size);
  if (!training->options || !training->state) return error_no_memory(error);
  int code = trainer_parse(trainer, trainer->function, text, training->options, error);
  if (code != SQLITE_OK) return code;
  training->threads = parallel_threads(training->options->threads);
  if (trainer->values) training->values = trainer->values(training->options);
  return keep_options(training, text, error);
}

/* Given as an argument, among the options, or left out. */
static int choose_size(Training *training, double given, Error *error) {
  const Trainer *trainer = training->trainer;
  double option = training->options->size;
  if (!trainer->size) return SQLITE_OK;
  if (!isnan(given) && !isnan(option))
    return error_set(error, SQLITE_ERROR, "%s: the %s is given twice: leave it out of the options", trainer->function,
                     trainer->size);
  training->size = !isnan(given) ? given : !isnan(option) ? option : trainer->size_default;
  return trainer_check_size(trainer, training->size, error);
}

int training_check_uses(const Training *training, const OptionUse *uses, size_t count, Error *error) {
  return options_check_uses(training->trainer->function, training->trained.options, uses, count, error);
}

int training_check_readers(const Training *training, int algorithm, Error *error) {
  enum { MOST_ALGORITHMS = 32 }; /* as many as Option.readers has bits */
  const Trainer *trainer = training->trainer;
  const char *names[MOST_ALGORITHMS];
  TrainerOptions options;
  for (int i = 0; trainer->algorithms[i]; i++) {
    assert(i < MOST_ALGORITHMS);
    names[i] = trainer->algorithms[i]->name;
  }
  int code = trainer_options(trainer, 0, &options, error);
  if (code == SQLITE_OK)
    code = options_check_readers(trainer->function, training->trained.options, options.option, options.count, names,
                                 algorithm, error);
  trainer_options_free(&options);
  return code;
}

int training_set_defaults(const Training *training, int algorithm, Error *error) {
  const Algorithm *row = training->trainer->algorithms[algorithm];
  return options_set_defaults(training->trained.options, row->options, row->option_count, training->options, error);
}

/* All that can be checked before the source is looked at. */
static int take_options(Training *training, const TrainRequest *request, Error *error) {
  const Trainer *trainer = training->trainer;
  int code = parse_options(training, request->options, error);
  if (code == SQLITE_OK) code = choose_size(training, request->size, error);
  if (code == SQLITE_OK && trainer->check) code = trainer->check(training, error);
  return code;
}

/* The option's name: "taste", "aux.taste", or in quotes as sources may be. */
static int take_name(Training *training, const char *option, Error *error) {
  size_t room = strlen(option) + 1;
  char *schema = memory_alloc(2, room), *name = schema ? schema + room : NULL;
  if (!schema) return error_no_memory(error);
  int there = name_split(option, schema, name), code = SQLITE_OK;
  const char *beside = training->source.is_query ? "main" : training->source.schema;
  if (!there)
    code =
        error_set(error, SQLITE_ERROR,
                  "%s: option \"model\": '%s' is not a name: write name or schema.name, and names with dots in quotes",
                  training->trainer->function, option);
  if (there) training->schema = sqlite3_mprintf("%s", *schema ? schema : beside);
  if (there) training->name = sqlite3_mprintf("%s", name);
  if (there && (!training->schema || !training->name)) code = error_no_memory(error);
  memory_free(schema);
  return code;
}

/* The model's name: as the caller or the option has it, or <source>_<family> in the source's schema. */
static int choose_name(Training *training, const ModelName *given, Error *error) {
  const char *option = training->options->model;
  if (given) {
    training->schema = sqlite3_mprintf("%s", given->schema);
    training->name = sqlite3_mprintf("%s", given->name);
  } else if (option) {
    return take_name(training, option, error);
  } else if (training->source.is_query) {
    return error_set(error, SQLITE_ERROR,
                     "%s: a model of a SELECT needs a name: give the option \"model\", as in '{\"model\": \"taste\"}'",
                     training->trainer->function);
  } else {
    training->schema = sqlite3_mprintf("%s", training->source.schema);
    training->name = sqlite3_mprintf("%s_%s", training->source.name, training->trainer->name);
  }
  return training->schema && training->name ? SQLITE_OK : error_no_memory(error);
}

/* `may_move`: the caller may name another. */
static int check_writable(Training *training, int may_move, Error *error) {
  ModelName name = {training->schema, training->name};
  const char *function = training->trainer->function;
  int readonly = sqlite3_db_readonly(training->connection->db, name.schema);
  if (readonly > 0)
    return error_set(error, SQLITE_READONLY, "%s: database \"%s\" is read-only: a model can't be stored in it%s",
                     function, name.schema,
                     may_move ? "; the option \"model\" puts it elsewhere, as in '{\"model\": \"temp.taste\"}'" : "");
  if (readonly < 0 && sqlite3_stricmp(name.schema, "temp") != 0) /* which is not open before its first table */
    return error_set(error, SQLITE_ERROR, "%s: there is no database \"%s\" for the model to be in", function,
                     name.schema);
  return SQLITE_OK;
}

static int check_name(Training *training, Error *error) {
  ModelName name = {training->schema, training->name};
  const char *function = training->trainer->function;
  int is_there = 0;
  int code = model_check_name(training->connection->db, name.name, error);
  if (code != SQLITE_OK) error_prefix(error, function);
  if (code == SQLITE_OK)
    code = connection_name_exists(training->connection, name, &training->replaces, &is_there, error);
  if (code == SQLITE_OK && is_there && !training->replaces)
    code = error_set(error, SQLITE_ERROR,
                     "%s: \"%s\" exists and is not a model: choose another name with the option \"model\"", function,
                     name.name);
  return code;
}

/* Where the model is to be, and whom it knows, if there is one. */
static int find_model(Training *training, const TrainRequest *request, Error *error) {
  Connection *connection = training->connection;
  int code = source_resolve(connection->db, request->source, training->trainer->function, &training->source, error);
  if (code == SQLITE_OK) code = choose_name(training, request->model, error);
  if (code == SQLITE_OK && *training->name) code = check_writable(training, !request->model, error);
  if (code == SQLITE_OK && !request->model) code = check_name(training, error);
  if (code == SQLITE_OK && (training->replaces || request->from_file))
    code = known_read(connection->db, (ModelName){training->schema, training->name}, &training->known,
                      &training->interrupt.cancel, error);
  return code;
}

/* Nothing is left to train on: why. */
static int refuse_empty(const Training *training, const char *source, Error *error) {
  const Interactions *data = &training->data;
  const char *function = training->trainer->function;
  if (data->zeros)
    return error_set(error, SQLITE_ERROR,
                     "%s: \"%s\" has no ratings to train on: %lld are 0, which says nothing where values are feedback",
                     function, source, data->zeros);
  return error_set(error, SQLITE_ERROR,
                   "%s: \"%s\" has no ratings to train on (%lld rows, of which %lld lack a user, an item or a rating)",
                   function, source, data->rows, data->left_out);
}

static int64_t count_dislikes(const SparseMatrix *cells) {
  int64_t count = 0;
  for (size_t e = 0; cells->value && e < cells->start[cells->rows]; e++) count += cells->value[e] < 0;
  return count;
}

/* Feedback of 0 says nothing: it is no entry. */
static int drop_zeros(Training *training, const Source *source, Error *error) {
  const SparseMatrix *cells = &training->data.by_user;
  int code = SQLITE_OK;
  if (training->values != VALUES_RATINGS) {
    code = error_from_code(error, interactions_drop_zeros(&training->data, &training->interrupt.cancel));
    training->dislikes = count_dislikes(cells) + count_dislikes(&training->data.held_out);
  }
  if (code == SQLITE_OK && training->data.stars_added_up && training->options->duplicates < 0)
    code = training_hint(
        training, error,
        "Ratings of the same user and item were added up, as counts are, but they look like stars: \"algorithm\": "
        "\"als\" reads them as ratings, and \"duplicates\": \"last\" keeps the last of each.");
  return code == SQLITE_OK && cells->start[cells->rows] == 0 ? refuse_empty(training, source->text, error) : code;
}

int training_likes(Training *training, const SparseMatrix **likes, Error *error) {
  const SparseMatrix *cells = &training->data.by_user;
  int code = SQLITE_OK;
  *likes = training->data.minimum >= 0 ? cells : &training->likes;
  if (training->data.minimum < 0 && !training->likes.start)
    code = error_from_code(error, interactions_likes(cells, &training->likes, &training->interrupt.cancel));
  return code;
}

int training_option_is_stored(const Training *training, const char *key) {
  if (!training->from_file || !training->more) return training->from_file;
  int given = options_have(training->more, key);
  return given < 0 ? given : !given;
}

int training_model(const Training *training, const char *key, const char *name, Ability need, Model **model,
                   Error *error) {
  const char *caller = training->trainer->function;
  int stored = training_option_is_stored(training, key), code = SQLITE_ERROR;
  if (stored < 0) return error_no_memory(error);
  if (stored) {
    Error none = {0};
    char *beside = sqlite3_mprintf("%s.%s", training->schema, name);
    code = beside ? connection_find(training->connection, caller, need, beside, model, &none) : error_no_memory(&none);
    sqlite3_free(beside);
    if (code != SQLITE_OK && code != SQLITE_ERROR) {
      *error = none;
      return code;
    }
    error_clear(&none);
  }
  return code == SQLITE_OK ? code : connection_find(training->connection, caller, need, name, model, error);
}

/* What was given may be timed for others, as for another combination of a grid. */
static void drop_unwanted_times(Training *training) {
  if (training->options->history == HISTORY_TIMED) return;
  entry_times_free(&training->data.trained_times);
  entry_times_free(&training->data.held_out_times);
}

int training_read_ratings(Training *training, const Source *source, IdAffinity item_as, Error *error) {
  const TrainOptions *options = training->options;
  if (training->given) {
    drop_unwanted_times(training);
    return drop_zeros(training, source, error);
  }
  const InteractionOptions reading = {
      .caller = training->trainer->function,
      .advice = training->trainer->advice,
      .user = options->user.name,
      .item = options->item.name,
      .rating = options->rating.name,
      .timestamp = options->timestamp.name,
      .implicit = options->rating.is_null,
      .no_timestamp = options->timestamp.is_null,
      .timed = options->history == HISTORY_TIMED,
      .duplicates = (DuplicatesRule)(options->duplicates + 1),
      .counts = training->values == VALUES_COUNTS,
      .test = options->test,
      .seed = options->seed,
      .item_as = item_as,
      .threads = training->threads,
  };
  int code = interactions_read(training->connection->db, source, &reading, &training->data, &training->interrupt.cancel,
                               error);
  if (code == SQLITE_OK) code = drop_zeros(training, source, error);
  return code == SQLITE_OK ? hint_source(training, source, error) : code;
}

static int read_training_source(Training *training, Error *error) {
  if (training->trainer->read) return training->trainer->read(training, error);
  int code = training_read_ratings(training, &training->source, ID_AFFINITY_BLOB, error);
  if (code != SQLITE_OK) return code;
  return error_from_code(error, sparse_transpose(&training->data.by_user, &training->by_item, training->threads,
                                                 &training->interrupt.cancel));
}

int training_check(const TrainRequest *request, SourceNeeds *needs, Error *error) {
  const Trainer *trainer = request->trainer;
  Training *training = memory_alloc_zero(1, sizeof *training);
  if (!training) return error_no_memory(error);
  training->trainer = trainer;
  training->given = 1;
  int code = take_options(training, request, error);
  *needs = (SourceNeeds){training->values, code == SQLITE_OK && training->options->history == HISTORY_TIMED};
  training_end(training);
  return code;
}

int training_known(Connection *connection, const TrainRequest *request, Known *known, Error *error) {
  Training *training = memory_alloc_zero(1, sizeof *training);
  *known = (Known){0};
  if (!training) return error_no_memory(error);
  training->connection = connection;
  training->trainer = request->trainer;
  training->given = 1;
  connection_interrupt(connection, &training->interrupt);
  int code = take_options(training, request, error);
  if (code == SQLITE_OK) code = find_model(training, request, error);
  *known = training->known;
  training->known = (Known){0};
  training_end(training);
  return code;
}

/* As they were resolved, where the trainer has not said more of them. */
static int describe_options(Training *training, Error *error) {
  char **resolved = &training->trained.resolved;
  if (!*resolved) *resolved = trainer_describe(training->trainer, training->size, training->options);
  return *resolved ? SQLITE_OK : error_no_memory(error);
}

/* The shape is known. */
static int take_cold_start(Training *training, Error *error) {
  ModelShape *shape = &training->trained.shape;
  shape->estimate = training->options->cold_start;
  if (!shape->estimate || shape_is_explicit(shape)) return SQLITE_OK;
  return error_set(error, SQLITE_ERROR,
                   "%s: there are no ratings to be estimated: leave \"cold_start\" out, or name their column with the "
                   "option \"rating\"",
                   training->trainer->function);
}

int training_begin(Connection *connection, const TrainRequest *request, Training **begun, Error *error) {
  const Trainer *trainer = request->trainer;
  Training *training = memory_alloc_zero(1, sizeof *training);
  *begun = training;
  if (!training) return error_no_memory(error);
  struct timespec began;
  clock_gettime(CLOCK_MONOTONIC, &began);
  training->connection = connection;
  training->trainer = trainer;
  connection_interrupt(connection, &training->interrupt);
  progress_say(&training->interrupt.progress, "%s", trainer->function);
  training->from_file = request->from_file;
  training->more = request->more;
  if (request->given) {
    training->data = *request->given;
    *request->given = (Interactions){0};
    training->given = 1;
  }
  int code = take_options(training, request, error);
  if (code == SQLITE_OK) code = find_model(training, request, error);
  if (code == SQLITE_OK) code = read_training_source(training, error);
  training->read_seconds = seconds_since(&began);
  clock_gettime(CLOCK_MONOTONIC, &began);
  if (code == SQLITE_OK) code = trainer->start(training, error);
  if (code == SQLITE_OK) code = describe_options(training, error);
  if (code == SQLITE_OK) code = take_cold_start(training, error);
  if (code == SQLITE_OK) code = hint_data(training, error);
  training->fit_seconds = seconds_since(&began);
  training->more = NULL;
  return code;
}

/* ---- fitting ----------------------------------------------------------------------------------------------------- */

static int keep_row(Training *training, const FitRow *row, Error *error) {
  FitRow *grown = memory_grow(training->rows, training->row_count, sizeof *grown);
  if (!grown) return error_no_memory(error);
  training->rows = grown;
  training->rows[training->row_count++] = *row;
  return SQLITE_OK;
}

/* All cells, trained on and held out: both count as seen. `times` receives theirs, where they are timed. */
static int merge_cells(Training *training, EntryTimes *times) {
  const SparseMatrix *trained = &training->data.by_user, *held_out = &training->data.held_out;
  SparseMatrix *history = &training->trained.history;
  size_t entries = trained->start[trained->rows] + held_out->start[held_out->rows], to = 0;
  int with_values = trained->value || held_out->value;
  training->trained.held_out = memory_alloc(entries, 1);
  int code = sparse_alloc(history, trained->rows, trained->columns, entries, with_values);
  if (code == SQLITE_OK && training->data.trained_times.time) code = entry_times_alloc(times, entries);
  if (code != SQLITE_OK || !training->trained.held_out) return SQLITE_NOMEM;
  for (size_t user = 0; user < history->rows; user++) {
    size_t a = trained->start[user], b = held_out->start[user];
    while (a < trained->start[user + 1] || b < held_out->start[user + 1]) {
      int from_trained =
          b == held_out->start[user + 1] || (a < trained->start[user + 1] && trained->index[a] < held_out->index[b]);
      const SparseMatrix *from = from_trained ? trained : held_out;
      size_t e = from_trained ? a++ : b++;
      history->index[to] = from->index[e];
      training->trained.held_out[to] = (uint8_t)!from_trained;
      if (with_values) history->value[to] = sparse_value(from, e);
      entry_times_copy(from_trained ? &training->data.trained_times : &training->data.held_out_times, e, times, to);
      to++;
    }
    history->start[user + 1] = to;
  }
  return SQLITE_OK;
}

/* Each user's entries in order of time. Takes the times over. */
static int order_history(Training *training, EntryTimes *times) {
  TrainedModel *trained = &training->trained;
  const SparseMatrix *history = &trained->history;
  trained->time = times->time;
  times->time = NULL;
  trained->order = memory_alloc(history->start[history->rows], sizeof *trained->order);
  int code = trained->order ? SQLITE_OK : SQLITE_NOMEM;
  for (size_t user = 0; user < history->rows && code == SQLITE_OK; user++) {
    size_t first = history->start[user];
    entry_times_sort(trained->time + first, times->row + first, sparse_row_length(history, user),
                     trained->order + first);
    code = cancel_poll(&training->interrupt.cancel);
  }
  return code;
}

/* The training cells are given up. */
static int gather_history(Training *training, Error *error) {
  Interactions *data = &training->data;
  EntryTimes times = {0};
  int code = SQLITE_OK;
  if (data->held_out.start) {
    code = merge_cells(training, &times);
  } else {
    training->trained.history = data->by_user;
    times = data->trained_times;
    data->by_user = (SparseMatrix){0};
    data->trained_times = (EntryTimes){0};
  }
  if (code == SQLITE_OK && times.time) code = order_history(training, &times);
  entry_times_free(&times);
  return error_from_code(error, code);
}

static int count_entries(Training *training, Error *error) {
  TrainedModel *trained = &training->trained;
  const SparseMatrix *history = &trained->history;
  trained->user_count = memory_alloc_zero(history->rows, sizeof *trained->user_count);
  trained->item_count = memory_alloc_zero(history->columns, sizeof *trained->item_count);
  trained->item_liked = memory_alloc_zero(history->columns, sizeof *trained->item_liked);
  if (!trained->user_count || !trained->item_count || !trained->item_liked) return error_no_memory(error);
  for (size_t user = 0; user < history->rows; user++)
    trained->user_count[user] = (uint32_t)sparse_row_length(history, user);
  int feedback = shape_is_feedback(&trained->shape);
  for (size_t e = 0; e < history->start[history->rows]; e++) {
    float rating = sparse_value(history, e);
    trained->item_count[history->index[e]] += !feedback || rating > 0;
    trained->item_liked[history->index[e]] += (uint32_t)shape_likes(&trained->shape, rating);
  }
  return SQLITE_OK;
}

static void append_number(sqlite3_str *text, const char *before, double value) {
  if (isfinite(value))
    sqlite3_str_appendf(text, "%s%!.15g", before, value);
  else
    sqlite3_str_appendf(text, "%snull", before);
}

static double figure(const FitRow *row, int what) { return what == 0 ? row->loss : what == 1 ? row->train : row->test; }

/* ,"loss":[…] of a head's epochs; nothing where there is none in any. */
static void describe_figures(const Training *training, Head head, int what, sqlite3_str *text) {
  static const char *const names[] = {"loss", "train", "test"};
  const char *before = "";
  int there = 0;
  for (size_t i = 0; i < training->row_count && !there; i++)
    there = training->rows[i].head == head && isfinite(figure(&training->rows[i], what));
  if (!there) return;
  sqlite3_str_appendf(text, ",\"%s\":[", names[what]);
  for (size_t i = 0; i < training->row_count; i++) {
    if (training->rows[i].head != head) continue;
    append_number(text, before, figure(&training->rows[i], what));
    before = ",";
  }
  sqlite3_str_appendall(text, "]");
}

/* {"rating": {"epochs": 15, "loss": […], "train": […], "test": […]}, …} */
static int describe_rows(Training *training, Error *error) {
  sqlite3_str *text = sqlite3_str_new(NULL);
  sqlite3_str_appendall(text, "{");
  int heads = 0;
  for (Head head = 0; head < HEADS; head++) {
    int epochs = 0;
    if (!shape_has(&training->trained.shape, head)) continue;
    for (size_t i = 0; i < training->row_count; i++) epochs += training->rows[i].head == head;
    sqlite3_str_appendf(text, "%s\"%s\":{\"epochs\":%d", heads++ ? "," : "", head_names[head], epochs);
    for (int what = 0; what < 3; what++) describe_figures(training, head, what, text);
    sqlite3_str_appendall(text, "}");
  }
  sqlite3_str_appendall(text, "}");
  training->trained.metrics = sqlite3_str_finish(text);
  return training->trained.metrics ? SQLITE_OK : error_no_memory(error);
}

/* They have been counted, and are not to be kept. */
static void drop_history(TrainedModel *trained) {
  sparse_free(&trained->history);
  memory_free(trained->held_out);
  trained->held_out = NULL;
}

/* Moves what was read into the model, the last epoch being done. */
static int complete(Training *training, Error *error) {
  TrainedModel *trained = &training->trained;
  assert(trainer_algorithm(training->trainer, trained->algorithm)->kind == trained->shape.kind); /* as its row says */
  Interactions *data = &training->data;
  trained->family = training->trainer->name;
  trained->size = training->size;
  trained->sized = training->trainer->size != NULL;
  trained->source_is_query = training->source.is_query;
  trained->source = sqlite3_mprintf("%s", training->source.is_query ? training->source.text : training->source.name);
  int elsewhere = !training->source.is_query && sqlite3_stricmp(training->source.schema, training->schema) != 0;
  trained->source_schema = sqlite3_mprintf("%s", elsewhere ? training->source.schema : "");
  trained->user_affinity = data->user_affinity;
  trained->item_affinity = data->item_affinity;
  trained->ratings = (int64_t)data->by_user.start[data->by_user.rows];
  sparse_free(&training->by_item);
  int code = trained->source && trained->source_schema ? describe_rows(training, error) : error_no_memory(error);
  if (code == SQLITE_OK) code = gather_history(training, error);
  if (code == SQLITE_OK) code = count_entries(training, error);
  if (code == SQLITE_OK && training->options->history == HISTORY_NONE) drop_history(trained);
  trained->shape.history = !trained->history.start ? HISTORY_NONE : trained->time ? HISTORY_TIMED : HISTORY_KEPT;
  trained->shape.likes = training->values == VALUES_LIKES;
  trained->users = data->users;
  trained->items = data->items;
  dictionary_init(&data->users);
  dictionary_init(&data->items);
  return code;
}

int training_step(Training *training, int *done, Error *error) {
  struct timespec began;
  clock_gettime(CLOCK_MONOTONIC, &began);
  FitRow row = {.epoch = (int)training->row_count + 1, .loss = NAN, .train = NAN, .test = NAN, .seconds = NAN};
  *done = 0;
  int code = training->trainer->step(training, &row, done, error);
  if (code != SQLITE_OK) error_prefix(error, training->trainer->function);
  if (isnan(row.seconds)) row.seconds = training->fit_seconds + seconds_since(&began);
  if (code == SQLITE_OK) code = keep_row(training, &row, error);
  if (code == SQLITE_OK && *done) code = complete(training, error);
  progress_say(&training->interrupt.progress, "%s: %s head, epoch %d", training->trainer->function,
               head_names[row.head], row.epoch);
  progress_hide(&training->interrupt.progress); /* the row may be printed now */
  training->fit_seconds += seconds_since(&began);
  return code;
}

int training_run(Training *training, Error *error) {
  int code = SQLITE_OK;
  for (int done = 0; code == SQLITE_OK && !done;) code = training_step(training, &done, error);
  return code;
}

/* ---- storing ----------------------------------------------------------------------------------------------------- */

int training_store(Training *training, Error *error) {
  struct timespec began;
  clock_gettime(CLOCK_MONOTONIC, &began);
  ModelName name = {training->schema, training->name};
  const Replacement replacement = {&training->trained, &training->known, training->trainer->function};
  int code = model_store(training->connection, name, &replacement, training->replaces, error);
  training->store_seconds = seconds_since(&began);
  return code;
}

void training_end(Training *training) {
  if (!training) return;
  if (training->state && training->trainer->end) training->trainer->end(training);
  interrupt_end(&training->interrupt);
  known_free(&training->known);
  source_free(&training->source);
  interactions_free(&training->data);
  sparse_free(&training->by_item);
  sparse_free(&training->likes);
  trained_free(&training->trained);
  if (training->options) trainer_free_options(training->trainer, training->options);
  memory_free(training->options);
  memory_free(training->state);
  memory_free(training->rows);
  sqlite3_free(training->counts);
  sqlite3_free(training->hints);
  sqlite3_free(training->schema);
  sqlite3_free(training->name);
  memory_free(training);
}

/* ---- the summary ------------------------------------------------------------------------------------------------- */

int training_hint(Training *training, Error *error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *hint = sqlite3_vmprintf(format, arguments);
  va_end(arguments);
  sqlite3_str *hints = sqlite3_str_new(NULL);
  if (training->hints) sqlite3_str_appendf(hints, "%s,", training->hints);
  if (hint) json_append_text(hints, hint, strlen(hint));
  char *all = sqlite3_str_finish(hints);
  int code = hint && all ? SQLITE_OK : error_no_memory(error);
  sqlite3_free(hint);
  sqlite3_free(training->hints);
  training->hints = all;
  return code;
}

/* Room behind a summary for the one number that is known last. */
enum { STORE_SECONDS_ROOM = 64 };

int training_summary(const Training *training, char **json, Error *error) {
  const TrainedModel *trained = &training->trained;
  const Interactions *data = &training->data;
  sqlite3_stmt *statement = NULL;
  *json = NULL;
  sqlite3 *db = training->connection->db;
  int code = sqlite3_prepare_v2(
      db,
      "SELECT json_patch(json_object('model', ?1, 'family', ?2, 'algorithm', ?3, 'users', ?4, 'items', ?5, "
      "'ratings', ?6, 'held_out', ?7, 'left_out', ?8, 'duplicates', ?9, "
      "'heads', (SELECT json_group_object(key, json_object('epochs', value -> '$.epochs', "
      "'loss', value -> '$.loss[#-1]', 'train', value -> '$.train[#-1]', 'test', value -> '$.test[#-1]')) "
      "FROM json_each(?10)), 'columns', json(?17), 'hints', json('[' || coalesce(?14, '') || ']')), "
      "json_patch(coalesce(?13, '{}'), "
      "json_object('zeros', ?15, 'dislikes', ?16, "
      "'seconds', json_object('read', round(?11, 3), 'fit', round(?12, 3)))))",
      -1, &statement, NULL);
  if (code == SQLITE_OK) {
    int64_t held_out = data->held_out.start ? (int64_t)data->held_out.start[data->held_out.rows] : 0;
    char *name = sqlite3_mprintf("%s.%s", training->schema, training->name);
    sqlite3_bind_text(statement, 1, name, -1, sqlite3_free);
    sqlite3_bind_text(statement, 2, trained->family, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, trained->algorithm, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)trained->users.count);
    sqlite3_bind_int64(statement, 5, (sqlite3_int64)trained->items.count);
    sqlite3_bind_int64(statement, 6, trained->ratings);
    sqlite3_bind_int64(statement, 7, held_out);
    sqlite3_bind_int64(statement, 8, data->left_out);
    sqlite3_bind_int64(statement, 9, data->duplicates);
    sqlite3_bind_text(statement, 10, trained->metrics, -1, SQLITE_STATIC);
    sqlite3_bind_double(statement, 11, training->read_seconds);
    sqlite3_bind_double(statement, 12, training->fit_seconds);
    if (data->columns) sqlite3_bind_text(statement, 17, data->columns, -1, SQLITE_STATIC);
    if (training->hints) sqlite3_bind_text(statement, 14, training->hints, -1, SQLITE_STATIC);
    if (training->values != VALUES_RATINGS) { /* NULL: json_patch leaves them out */
      sqlite3_bind_int64(statement, 15, data->zeros);
      sqlite3_bind_int64(statement, 16, training->dislikes);
    }
    if (training->counts) sqlite3_bind_text(statement, 13, training->counts, -1, SQLITE_STATIC);
    if (name && sqlite3_step(statement) == SQLITE_ROW) {
      const char *text = (const char *)sqlite3_column_text(statement, 0);
      if (text) *json = sqlite3_mprintf("%s%*s", text, STORE_SECONDS_ROOM, "");
    }
  }
  int finalized = sqlite3_finalize(statement);
  if (code == SQLITE_OK) code = finalized;
  if (code != SQLITE_OK) return error_from_database(error, db, code, training->trainer->function);
  return *json ? SQLITE_OK : error_no_memory(error);
}

void training_summary_end(const Training *training, char *json) {
  assert(json);
  char *end = strrchr(json, '}') - 1; /* of "seconds", the last member */
  sqlite3_snprintf(STORE_SECONDS_ROOM, end, ",\"store\":%.3f}}", training->store_seconds);
}

int training_store_summary(Training *training, char **json, Error *error) {
  int code = training_summary(training, json, error);
  if (code == SQLITE_OK) code = training_store(training, error); /* last: nothing may fail once a model is stored */
  if (code == SQLITE_OK) training_summary_end(training, *json);
  return code;
}
