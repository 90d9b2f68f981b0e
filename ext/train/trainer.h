/* What a trainer is: a row that says all about itself, in a file of its own (mf_train.c, …), and a name in TRAINERS.
 *
 * From the row come X_train as a scalar and as a table function, CREATE VIRTUAL TABLE … USING recommender(train=X), and
 * the messages; training.h runs it. */
#ifndef RECOMMEND_TRAIN_TRAINER_H
#define RECOMMEND_TRAIN_TRAINER_H

#include <stdint.h>

#include "../data/options.h"
#include "../model/trained.h"

/* The options that every trainer has; the first member of a trainer's own options. */
typedef struct TrainOptions {
  char *model;
  OptionColumn user, item, rating, timestamp;
  int duplicates; /* DuplicatesRule - 1, or -1: not given */
  double test;
  uint64_t seed;
  int threads;
  int history;    /* a HistoryKept */
  int cold_start; /* 1: what is unknown is estimated */
  int stream;     /* the table form hands each epoch out as it is computed */
  double size;    /* what may stand here in place of the second argument; NaN: it does not */
} TrainOptions;

void train_options_free(TrainOptions *options); /* what the common ones own */

/* For a trainer's table of options; `Options` is a struct with a member `common`. */
#define TRAIN_OPTIONS(Options)                                                                                  \
  {.name = "model", .type = OPTION_TEXT, .offset = offsetof(Options, common.model)},                            \
      {.name = "user", .type = OPTION_COLUMN, .offset = offsetof(Options, common.user)},                        \
      {.name = "item", .type = OPTION_COLUMN, .offset = offsetof(Options, common.item)},                        \
      {.name = "rating", .type = OPTION_COLUMN, .offset = offsetof(Options, common.rating)},                    \
      {.name = "timestamp", .type = OPTION_COLUMN, .offset = offsetof(Options, common.timestamp)},              \
      {.name = "duplicates",                                                                                    \
       .type = OPTION_CHOICE,                                                                                   \
       .offset = offsetof(Options, common.duplicates),                                                          \
       .choices = "last|sum|mean|error"},                                                                       \
      {.name = "test", .type = OPTION_NUMBER, .offset = offsetof(Options, common.test), .maximum = 0.99},       \
      {.name = "seed", .type = OPTION_SEED, .offset = offsetof(Options, common.seed)},                          \
      {.name = "threads", .type = OPTION_INTEGER, .offset = offsetof(Options, common.threads), .maximum = 256}, \
      {.name = "history",                                                                                       \
       .type = OPTION_CHOICE,                                                                                   \
       .offset = offsetof(Options, common.history),                                                             \
       .choices = "false|true|timed"},                                                                          \
  {                                                                                                             \
    .name = "stream", .type = OPTION_BOOLEAN, .offset = offsetof(Options, common.stream)                        \
  }

/* For those that predict ratings. */
#define COLD_START_OPTION(Options)                                                               \
  {                                                                                              \
    .name = "cold_start", .type = OPTION_CHOICE, .offset = offsetof(Options, common.cold_start), \
    .choices = "null|estimate"                                                                   \
  }

/* The names of the size among the options, for a trainer that has one; training.c checks it. */
#define SIZE_OPTION(Options, called)                                                                    \
  {                                                                                                     \
    .name = called, .type = OPTION_NUMBER, .offset = offsetof(Options, common.size), .minimum = -1e300, \
    .maximum = 1e300                                                                                    \
  }

/* Is it one of the names that the size has among the options? */
static inline int option_is_size(const Option *option) { return option->offset == offsetof(TrainOptions, size); }

/* One epoch, as mf_train's rows show it. NaN: there is none. */
typedef struct FitRow {
  int epoch;
  Head head;
  double loss;
  double train;   /* RMSE over the cells trained on */
  double test;    /* over those held out: RMSE of the rating head, NDCG@10 of the ranking head */
  double seconds; /* since the head's training began */
} FitRow;

/* What the values of the source are to a training. */
typedef enum ValuesRead {
  VALUES_RATINGS, /* ratings: 0 is one, and so are those below */
  VALUES_LIKES,   /* feedback: above 0 a like, 0 nothing at all, below 0 a dislike */
  VALUES_COUNTS   /* the same, and how often: they add up */
} ValuesRead;

/* The table function's columns; see FitRow. */
#define FIT_COLUMNS "epoch INTEGER, head TEXT, loss REAL, train REAL, test REAL, seconds REAL"
enum { FIT_COLUMNS_COUNT = 6 };

/* What a trainer is called by: `called` is "mf"; `size` how its size stands in the call, " [, rank]" or ", k", and
 * `size_column` as a column of the table function, "_rank HIDDEN, ". Both are "" where there is no size. */
#define TRAINER_CALL(called, size_usage, size_column)                                                      \
  .name = called, .function = called "_train", .usage = called "_train(source" size_usage " [, options])", \
  .schema = "CREATE TABLE x(" FIT_COLUMNS ", _source HIDDEN, " size_column "_options HIDDEN)"

struct Training;
typedef struct Trainer {
  const char *name;     /* "mf"; this and the next three by TRAINER_CALL */
  const char *function; /* "mf_train" */
  const char *usage;    /* "mf_train(source [, rank] [, options])" */
  const char *schema;   /* of the table function: "CREATE TABLE x(epoch INTEGER, …)" */
  const char *size;     /* what the second argument is called in messages: "rank"; NULL: there is none */
  double size_minimum, size_maximum, size_default; /* the default NaN: it must be given */
  int size_is_real;                                /* it need not be a whole number */
  const char *size_key; /* what else than "size" it is called among options of a trial: "rank"; or NULL */
  int reads_ratings;    /* the source has ratings, and nothing else that it is trained on */
  const char *advice;   /* how a source is read that has something else than ratings; NULL: there is no such way */
  ValuesRead (*values)(const TrainOptions *options); /* how they are read; NULL: as ratings */
  const Option *options;
  size_t option_count;
  size_t options_size;
  size_t state_size;
  void (*set_defaults)(TrainOptions *options);
  /* Checks what can be checked before the source is read. */
  int (*check)(const struct Training *training, Error *error);
  /* Reads the source: training_read_ratings(), if NULL. */
  int (*read)(struct Training *training, Error *error);
  /* Gets ready, the data being read: fills in algorithm, shape and the resolved options of training->trained. */
  int (*start)(struct Training *training, Error *error);
  /* Fits one epoch; *done with the last one, when training->trained is complete but for what training.c knows. */
  int (*step)(struct Training *training, FitRow *row, int *done, Error *error);
  void (*end)(struct Training *training);      /* frees what the state holds; a cleared state is fine; NULL: nothing */
  void (*free_options)(TrainOptions *options); /* those beyond the common ones; NULL: none owns anything */
} Trainer;

/* Every trainer, in the order in which a person meets them: mf_trainer is in mf_train.c, and so on. */
#define TRAINERS(EACH) EACH(mf) EACH(knn) EACH(ease) EACH(baseline) EACH(kmeans) EACH(tfidf)

#define TRAINER_DECLARED(called) extern const Trainer called##_trainer;
TRAINERS(TRAINER_DECLARED)
#undef TRAINER_DECLARED

extern const Trainer *const trainers[]; /* NULL at the end */

const Trainer *trainer_named(const char *name); /* NULL where there is none */

/* "'mf_train', 'knn_train', …", from sqlite3_malloc; of those that learn from ratings alone, or of all. NULL where
 * memory ran out. */
char *trainer_names(int of_ratings);

/* SQLITE_ERROR where the trainer can't have this size. */
int trainer_check_size(const Trainer *trainer, double size, Error *error);

/* Takes the size out of an object of options, where it stands under one of its names ("rank", "size"); *found (may be
 * NULL) tells whether it was there. *options is replaced. */
int trainer_take_size(const Trainer *trainer, const char *caller, char **options, double *size, int *found,
                      Error *error);

#endif
