/* What a trainer is: a row that says all about itself, in a file of its own (mf_train.c, …), and a name in TRAINERS.
 *
 * From the row come X_train as a scalar and as a table function, CREATE VIRTUAL TABLE … USING recommender(train=X), the
 * messages, the options with their defaults, and what recommend_trainers and recommend_options say of it. training.h
 * runs it. */
#ifndef RECOMMEND_TRAIN_TRAINER_H
#define RECOMMEND_TRAIN_TRAINER_H

#include <stdint.h>

#include "../data/options.h"
#include "../model/kind.h"

/* The options that every trainer has; the first member of a trainer's own options. */
typedef struct TrainOptions {
  char *model;
  OptionColumn user, item, rating, timestamp;
  int duplicates; /* DuplicatesRule - 1, or OPTION_NOT_GIVEN */
  double test;
  uint64_t seed;
  int threads;
  int history;    /* a HistoryKept */
  int cold_start; /* 1: what is unknown is estimated */
  int stream;     /* the table form hands each epoch out as it is computed */
  double size;    /* what may stand here in place of the second argument; NaN: it does not */
} TrainOptions;

/* Among the options of those that predict ratings. */
#define COLD_START_OPTION                                                                                          \
  {                                                                                                                \
    .name = "cold_start", .type = OPTION_CHOICE, .offset = offsetof(TrainOptions, cold_start),                     \
    .choices = "null|estimate", .otherwise = "null",                                                               \
    .meaning = "what predict() gives where the user or the item is unknown: NULL, or an estimate by what is known" \
  }

/* One epoch, as mf_train's rows show it. NaN: there is none. */
typedef struct FitRow {
  int epoch;
  Head head;
  double loss;
  double train;   /* RMSE over the cells trained on */
  double test;    /* over those held out: RMSE of the rating head, NDCG@10 of the ranking head */
  double seconds; /* since the head's training began; NaN: since the training began, as training.c measures it */
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

/* What a trainer is called by: `called` is "mf"; `size_usage` how its size stands in the call, " [, rank]" or ", k",
 * and `size_column` as a column of the table function, "_rank HIDDEN, ". Both are "" where there is no size. */
#define TRAINER_CALL(called, size_usage, size_column)                                                      \
  .name = called, .function = called "_train", .usage = called "_train(source" size_usage " [, options])", \
  .schema = "CREATE TABLE x(" FIT_COLUMNS ", _source HIDDEN, " size_column "_options HIDDEN)"

/* What a trainer fits by, as recommend_models names it in `algorithm`; most trainers have one. */
typedef struct Algorithm {
  const char *name;        /* "als" */
  const char *learns_from; /* "ratings", "likes", "ratings or likes", "texts" */
  const ModelKind *kind;   /* what it makes */
  unsigned lacks;          /* abilities of the kind that its models never have */
  const char *meaning;     /* for people, in a line */
  const Option *options;   /* what this one reads, and others perhaps too, each with its own default; set when the */
  size_t option_count;     /* algorithm is known, by training_set_defaults */
} Algorithm;

struct Training;
typedef struct Trainer {
  const char *name;     /* "mf"; this and the next three by TRAINER_CALL */
  const char *function; /* "mf_train" */
  const char *usage;    /* "mf_train(source [, rank] [, options])" */
  const char *schema;   /* of the table function: "CREATE TABLE x(epoch INTEGER, …)" */
  const char *size;     /* what the second argument is called in messages: "rank"; NULL: there is none */
  double size_minimum, size_maximum, size_default; /* the default NaN: it must be given */
  int size_is_real;                                /* it need not be a whole number */
  const char *size_names[3]; /* what else than "size" it is called among the options: "rank"; NULL: nothing more */
  const char *size_meaning;
  int reads_ratings;  /* the source has ratings, and nothing else that it is trained on */
  const char *advice; /* how a source is read that has something else than ratings; NULL: there is no such way */
  ValuesRead (*values)(const TrainOptions *options); /* how they are read; NULL: as ratings */
  const Algorithm *const *algorithms;                /* NULL at the end */
  const Option *options;                             /* its own, whatever the algorithm */
  size_t option_count;
  size_t options_size; /* of its struct, which begins with TrainOptions */
  size_t state_size;
  /* Checks what can be checked before the source is read. */
  int (*check)(const struct Training *training, Error *error);
  /* Reads the source: training_read_ratings(), if NULL. */
  int (*read)(struct Training *training, Error *error);
  /* Gets ready, the data being read: fills in algorithm and shape of training->trained, and what was left open of the
   * options; trained.resolved, if it is to say more than they do. */
  int (*start)(struct Training *training, Error *error);
  /* Fits one epoch; *done with the last one, when training->trained is complete but for what training.c knows. */
  int (*step)(struct Training *training, FitRow *row, int *done, Error *error);
  void (*end)(struct Training *training);      /* frees what the state holds; a cleared state is fine; NULL: nothing */
  void (*free_options)(TrainOptions *options); /* those beyond the common ones; NULL: none owns anything */
} Trainer;

/* Every trainer, in the order in which a person meets them: mf_trainer is in mf_train.c, and so on. */
#define TRAINERS(EACH) EACH(mf) EACH(knn) EACH(ease) EACH(slim) EACH(baseline) EACH(kmeans) EACH(tfidf)

#define TRAINER_DECLARED(called) extern const Trainer called##_trainer;
TRAINERS(TRAINER_DECLARED)
#undef TRAINER_DECLARED

extern const Trainer *const trainers[]; /* NULL at the end */

const Trainer *trainer_named(const char *name); /* "mf"; NULL where there is none */
const Trainer *trainer_find(const char *name);  /* "mf" or "mf_train"; likewise */

/* The row of the algorithm of that name, or NULL. */
const Algorithm *trainer_algorithm(const Trainer *trainer, const char *name);

/* "'mf_train', 'knn_train', …", from sqlite3_malloc; of those that learn from ratings alone, or of all. NULL where
 * memory ran out. */
char *trainer_names(int of_ratings);

/* SQLITE_ERROR where the trainer can't have this size. */
int trainer_check_size(const Trainer *trainer, double size, Error *error);

/* All options that a trainer reads: those of every trainer, the names of its size, its own and its algorithms'. */
typedef struct TrainerOptions {
  size_t count;
  Option *option; /* with `readers` set, a bit for each of the trainer's algorithms */
} TrainerOptions;

/* For parsing every name once; or, `for_people`, once for each default: without the names of the size, and where
 * algorithms have an option in common that they take alike, once. To be freed by trainer_options_free in either case.
 * SQLITE_OK or SQLITE_NOMEM. */
int trainer_options(const Trainer *trainer, int for_people, TrainerOptions *options, Error *error);
void trainer_options_free(TrainerOptions *options);

/* Parses options into `target`, the trainer's struct, cleared, after their defaults. */
int trainer_parse(const Trainer *trainer, const char *caller, const char *json, TrainOptions *target, Error *error);

/* What the common ones and the trainer's own own. */
void trainer_free_options(const Trainer *trainer, TrainOptions *target);

/* The resolved options as a JSON object, from sqlite3_malloc: the size, and those of the trainer's own that are
 * numbers, choices or booleans. NULL where memory ran out. */
char *trainer_describe(const Trainer *trainer, double size, const TrainOptions *options);

/* Takes the size out of an object of options, where it stands under one of its names ("rank", "size"); *found (may be
 * NULL) tells whether it was there. *options is replaced. */
int trainer_take_size(const Trainer *trainer, const char *caller, char **options, double *size, int *found,
                      Error *error);

#endif
