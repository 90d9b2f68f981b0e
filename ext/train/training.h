/* Training, whatever the family: read the source, fit epoch by epoch, store at once.
 *
 * A family of models (mf, …) is a row in families[] and a file that fills in the functions below. training.c does the
 * rest for all of them: the scalar and the table-valued function, CREATE VIRTUAL TABLE … USING recommender(…), and the
 * command 'retrain'. */
#ifndef RECOMMEND_TRAIN_TRAINING_H
#define RECOMMEND_TRAIN_TRAINING_H

#include <stdint.h>

#include "../data/interactions.h"
#include "../data/interrupt.h"
#include "../data/options.h"
#include "../model/connection.h"
#include "../model/known_ids.h"

/* The options that every family has; the first member of a family's own options. */
typedef struct TrainOptions {
  char *model;
  OptionColumn user, item, rating, timestamp;
  int duplicates; /* DuplicatesRule - 1, or -1: not given */
  double test;
  uint64_t seed;
  int threads;
  int history;
  int cold_start; /* 1: what is unknown is estimated */
  int stream;     /* the table form hands each epoch out as it is computed */
  double size;    /* what may stand here in place of the second argument; NaN: it does not */
} TrainOptions;

void train_options_free(TrainOptions *options); /* what the common ones own */

/* For a family's table of options; `Options` is a struct with a member `common`. */
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
      {.name = "history", .type = OPTION_BOOLEAN, .offset = offsetof(Options, common.history)}, {               \
    .name = "stream", .type = OPTION_BOOLEAN, .offset = offsetof(Options, common.stream)                        \
  }

/* For those that predict ratings. */
#define COLD_START_OPTION(Options)                                                               \
  {                                                                                              \
    .name = "cold_start", .type = OPTION_CHOICE, .offset = offsetof(Options, common.cold_start), \
    .choices = "null|estimate"                                                                   \
  }

/* The names of the size among the options, for a family that has one; training.c checks it. */
#define SIZE_OPTION(Options, called)                                                                    \
  {                                                                                                     \
    .name = called, .type = OPTION_NUMBER, .offset = offsetof(Options, common.size), .minimum = -1e300, \
    .maximum = 1e300                                                                                    \
  }

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

struct Family;
typedef struct Training {
  Connection *connection;
  const struct Family *family;
  Source source;
  double size;           /* the second argument: a rank, a number of neighbours … */
  TrainOptions *options; /* the family's struct */
  char *schema, *name;   /* of the model to be */
  int replaces;          /* a model of that name exists … */
  Known known;           /* … and knew these when the training began */
  int from_file;         /* the options come from the database file: nothing in them may be run … */
  const char *more;      /* … but these, while the training begins: see TrainRequest */
  Interactions data;
  int given; /* data were there from the start */
  ValuesRead values;
  int64_t dislikes;     /* of what was read, where values are feedback */
  SparseMatrix by_item; /* the transpose of data.by_user */
  SparseMatrix likes;   /* training_likes() once it has been asked for, where there are others */
  Interrupt interrupt;
  int threads;
  void *state;          /* the family's */
  TrainedModel trained; /* what is known so far */
  char *counts;         /* the family's own part of the summary, a JSON object, or NULL */
  char *hints;          /* the summary's hints, JSON texts with commas between them, or NULL */
  FitRow *rows;         /* one an epoch */
  size_t row_count;
  double read_seconds, fit_seconds, store_seconds;
} Training;

typedef struct Family {
  const char *name;                                /* "mf" */
  const char *function;                            /* "mf_train" */
  const char *usage;                               /* "mf_train(source, rank [, options])" */
  const char *size;                                /* what the second argument is called: "rank"; NULL: there is none */
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
  int (*check)(const Training *training, Error *error);
  /* Reads the source: training_read_ratings(), if NULL. */
  int (*read)(Training *training, Error *error);
  /* Gets ready, the data being read: fills in algorithm, shape and the resolved options of training->trained. */
  int (*start)(Training *training, Error *error);
  /* Fits one epoch; *done with the last one, when training->trained is complete but for what training.c knows. */
  int (*step)(Training *training, FitRow *row, int *done, Error *error);
  void (*end)(Training *training);             /* frees what the state holds; a cleared state is fine; NULL: nothing */
  void (*free_options)(TrainOptions *options); /* those beyond the common ones; NULL: none owns anything */
} Family;

/* What to train: the arguments of a training function. Texts are copied. */
typedef struct TrainRequest {
  const Family *family;
  const char *source;
  double size;            /* NaN: not given */
  const char *options;    /* may be NULL */
  const ModelName *model; /* the name is given already (CREATE VIRTUAL TABLE, retrain; "": never stored), or NULL */
  int from_file;          /* the options come from the database file (retrain) … */
  const char *more;       /* … but those of this object, which are among them: the caller's own; may be NULL */
  Interactions *given;    /* the ratings, read already: taken over; NULL: to be read from the source */
} TrainRequest;

const Family *family_named(const char *name); /* NULL where there is none */

/* SQLITE_ERROR where the family can't have this size. */
int family_check_size(const Family *family, double size, Error *error);

/* Takes the size out of an object of options, where it stands under one of its names ("rank", "size"); *found (may be
 * NULL) tells whether it was there. *options is replaced. */
int family_take_size(const Family *family, const char *caller, char **options, double *size, int *found, Error *error);
extern const Family *const families[]; /* NULL at the end */

/* Parses, resolves, reads: everything up to the first epoch. *training must be ended in either case. */
int training_begin(Connection *connection, const TrainRequest *request, Training **training, Error *error);

/* Checks what can be known before the source is read, whose text may be missing here: the size and the options. *values
 * receives how the source will be read. */
int training_check(const TrainRequest *request, ValuesRead *values, Error *error);

/* Whom the model that a training is to replace knows now: before a source is read that will be given to the training
 * much later. To be freed by known_free in either case. */
int training_known(Connection *connection, const TrainRequest *request, Known *known, Error *error);

/* What is trained on less the dislikes: data.by_user itself where there are none. Lives as long as the training. */
int training_likes(Training *training, const SparseMatrix **likes, Error *error);

/* While the training begins: does an option that is given come from the database file? -1 where memory ran out. */
int training_option_is_stored(const Training *training, const char *key);

/* While the training begins: finds the model that an option names. Of a name that comes from the database file, the one
 * that lies beside the model is meant: one of that name elsewhere, in main or temp, is another. */
int training_model(const Training *training, const char *key, const char *name, ModelNeed need, Model **model,
                   Error *error);

/* options_check_uses() of the options as they were given. */
int training_check_uses(const Training *training, const OptionUse *uses, size_t count, Error *error);

/* Reads (user, item, rating) from `source` into training->data, ids of items as in a column of affinity `item_as`.
 * Where there are none at all, that is an error. */
int training_read_ratings(Training *training, const Source *source, IdAffinity item_as, Error *error);

/* Adds a sentence to the summary's "hints": what looks wrong without being an error, and what to write if it is.
 * `format` is sqlite3_mprintf's. Always SQLITE_OK, or SQLITE_NOMEM. */
int training_hint(Training *training, Error *error, const char *format, ...);

/* Seconds since a moment of CLOCK_MONOTONIC. */
struct timespec;
double seconds_since(const struct timespec *then);

/* One epoch; *done with the last. */
int training_step(Training *training, int *done, Error *error);

/* All epochs. */
int training_run(Training *training, Error *error);

/* Stores the finished model by one nested statement: INSERT … SELECT 'store', or CREATE VIRTUAL TABLE. */
int training_store(Training *training, Error *error);

/* The summary that the scalar function returns: a JSON object, from sqlite3_malloc. It is made before the model is
 * stored, since nothing may fail afterwards; the seconds that storing took are then put in. */
int training_summary(const Training *training, char **json, Error *error);
void training_summary_end(const Training *training, char *json);

/* Makes the summary, and stores the finished model. */
int training_store_summary(Training *training, char **json, Error *error);

void training_end(Training *training); /* NULL is fine */

#endif
