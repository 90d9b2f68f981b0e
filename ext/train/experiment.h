/* Trying a trainer out: the source is read once (twice, where one of its columns says which fold a row is in), then
 * parts of it are trained on and the rest is judged, with nothing stored. What recommend_cross_validate and
 * recommend_grid_search share. */
#ifndef RECOMMEND_TRAIN_EXPERIMENT_H
#define RECOMMEND_TRAIN_EXPERIMENT_H

#include "../answer/evaluation.h"
#include "../data/deal.h"
#include "training.h"

/* Options of both functions; the first member of their own. */
typedef struct ExperimentOptions {
  OptionColumn user, item, rating, timestamp;
  int duplicates; /* DuplicatesRule - 1, or -1: not given */
  uint64_t seed;
  int threads;
  int k;
  int lists;        /* lists are judged, not only predicted ratings */
  double relevance; /* relevant from this rating on; NaN: every row is. (Trainers have a "threshold" of their own.) */
  int cold_start, recall;
  int split;       /* EXPERIMENT_BY_ROWS or EXPERIMENT_BY_USERS */
  double held_out; /* by users: the part of a tested user's entries that is held out; NaN: 0.2 */
} ExperimentOptions;

enum { EXPERIMENT_BY_ROWS, EXPERIMENT_BY_USERS };

#define EXPERIMENT_OPTIONS(Options)                                                                                   \
  {.name = "user", .type = OPTION_COLUMN, .offset = offsetof(Options, experiment.user)},                              \
      {.name = "item", .type = OPTION_COLUMN, .offset = offsetof(Options, experiment.item)},                          \
      {.name = "rating", .type = OPTION_COLUMN, .offset = offsetof(Options, experiment.rating)},                      \
      {.name = "timestamp", .type = OPTION_COLUMN, .offset = offsetof(Options, experiment.timestamp)},                \
      {.name = "duplicates",                                                                                          \
       .type = OPTION_CHOICE,                                                                                         \
       .offset = offsetof(Options, experiment.duplicates),                                                            \
       .choices = "last|sum|mean|error"},                                                                             \
      {.name = "seed", .type = OPTION_SEED, .offset = offsetof(Options, experiment.seed)},                            \
      {.name = "threads", .type = OPTION_INTEGER, .offset = offsetof(Options, experiment.threads), .maximum = 256},   \
      {.name = "k", .type = OPTION_INTEGER, .offset = offsetof(Options, experiment.k), .minimum = 1, .maximum = 1e6}, \
      {.name = "lists", .type = OPTION_BOOLEAN, .offset = offsetof(Options, experiment.lists)},                       \
      {.name = "relevance",                                                                                           \
       .type = OPTION_NUMBER,                                                                                         \
       .offset = offsetof(Options, experiment.relevance),                                                             \
       .minimum = -1e300,                                                                                             \
       .maximum = 1e300},                                                                                             \
      {.name = "cold_start",                                                                                          \
       .type = OPTION_CHOICE,                                                                                         \
       .offset = offsetof(Options, experiment.cold_start),                                                            \
       .choices = "drop|estimate"},                                                                                   \
      {.name = "recall",                                                                                              \
       .type = OPTION_CHOICE,                                                                                         \
       .offset = offsetof(Options, experiment.recall),                                                                \
       .choices = "relevant|min"},                                                                                    \
      {.name = "split",                                                                                               \
       .type = OPTION_CHOICE,                                                                                         \
       .offset = offsetof(Options, experiment.split),                                                                 \
       .choices = "rows|users"},                                                                                      \
  {                                                                                                                   \
    .name = "held_out", .type = OPTION_NUMBER, .offset = offsetof(Options, experiment.held_out), .minimum = 0.01,     \
    .maximum = 1                                                                                                      \
  }

void experiment_set_defaults(ExperimentOptions *options);

/* An error where an option of `json`, the function's own, is not read. */
void experiment_check_uses(const char *caller, const char *json, const ExperimentOptions *options, Error *error);
void experiment_options_free(ExperimentOptions *options);

/* Options that the trainer has too, for options_part: a model that is stored keeps them, since 'retrain' needs them. */
#define EXPERIMENT_SHARED "user|item|rating|timestamp|duplicates|seed|threads"

/* Which part of the data each entry is judged in; EXPERIMENT_NEVER: it is always trained on. */
enum { EXPERIMENT_NEVER = DEAL_NONE, EXPERIMENT_MOST_FOLDS = DEAL_MOST_FOLDS };

/* A trainer on its data. */
typedef struct Experiment {
  Connection *connection;
  const char *caller;
  const ExperimentOptions *options;
  const Trainer *trainer;
  char *source;
  Interactions data; /* all of it */
  int values;        /* ValuesRead: how the source is read; -1 before a combination of options has been checked */
  int mixed;         /* … by some of them as counts and by others not */
  int timed;         /* some combination keeps timed histories */
  Known known;       /* whom the model that is to be stored knew before the source was read: see experiment_know */
  uint8_t *fold;     /* one an entry */
  int folds;
  double label[EXPERIMENT_MOST_FOLDS + 1]; /* of each fold: what the column has, or 1, 2 … */
  int64_t begun, wanted; /* calls of experiment_run, for who watches: `wanted` is the caller's to set */
  Interrupt interrupt;
} Experiment;

/* What an experiment came to. */
enum {
  EXPERIMENT_RMSE,
  EXPERIMENT_MAE,
  EXPERIMENT_ACCURACY,
  EXPERIMENT_PRECISION,
  EXPERIMENT_RECALL,
  EXPERIMENT_MAP,
  EXPERIMENT_NDCG,
  EXPERIMENT_MRR,
  EXPERIMENT_HIT_RATE,
  EXPERIMENT_AUC,
  EXPERIMENT_METRICS
};
extern const char *const experiment_metrics[EXPERIMENT_METRICS];
#define EXPERIMENT_METRIC_COLUMNS                                                                                   \
  "rmse REAL, mae REAL, accuracy REAL, precision REAL, recall REAL, map REAL, ndcg REAL, mrr REAL, hit_rate REAL, " \
  "auc REAL"

typedef struct ExperimentResult {
  int64_t users, items, trained, tested, cold;
  double metric[EXPERIMENT_METRICS]; /* NaN: there is none */
  double seconds;
} ExperimentResult;

/* All but experiment_run and experiment_store are steps: see base/error.h.
 *
 * Finds the trainer. `trainer` and `source` are what `caller`, the function, was given. To be ended in either case. */
void experiment_begin(Experiment *experiment, Connection *connection, const char *caller, sqlite3_value *trainer,
                      sqlite3_value *source, const ExperimentOptions *options, Error *error);

/* Checks the names of the trainer's options, a JSON object: of those that there are in the trainer and in `own`, the
 * function's, whose names are meant, too. `varied`: they are a grid, which can't vary what is `own`. */
void experiment_check_names(const Experiment *experiment, const char *options, const Option *own, size_t count,
                            int varied, Error *error);

/* Checks a combination of the trainer's options, each before the source is read: it is read as they want it. */
void experiment_check_options(Experiment *experiment, const char *options, Error *error);

/* Before the source is read: looks whom the model that is to be stored knows, if it is there. Who is forgotten after
 * that must not come back with what has been read: experiment_store then is an error. */
void experiment_know(Experiment *experiment, const char *model, const char *options, Error *error);

/* Reads the source. */
void experiment_read(Experiment *experiment, Error *error);

/* Deals the entries out: evenly into `folds`, rows or users in order of their hash as the options have it; where
 * `folds` is 1, the part whose hash is below `part` into that; or one of each user's into one fold; or by a column of
 * the source. Where there are too few of them, or a column's fold leaves nothing to train on or to test, it is an
 * error. */
void experiment_deal(Experiment *experiment, int folds, double part, Error *error);
void experiment_leave_one_out(Experiment *experiment, Error *error);
void experiment_deal_by_column(Experiment *experiment, const char *column, Error *error);

/* Trains on all but a fold, with the trainer's options as a JSON object, and judges by it. */
int experiment_run(Experiment *experiment, int fold, const char *options, ExperimentResult *result, Error *error);

/* Whether the model could be trained on everything and stored under that name: what can be known before. */
void experiment_check_model(Experiment *experiment, const char *model, const char *options, Error *error);

/* Trains on everything and stores the model. */
int experiment_store(Experiment *experiment, const char *model, const char *options, Error *error);

void experiment_end(Experiment *experiment); /* cleared is fine */

#endif
