/* Training, whatever the trainer: read the source, fit epoch by epoch, store at once.
 *
 * A trainer (mf, …) is a Trainer of trainer.h in a file of its own, whose start and step get a Training. Who begins
 * one: the functions X_train (api/train_functions.c), CREATE VIRTUAL TABLE … USING recommender(…) (api/model_table.c),
 * the command 'retrain' (retraining.c) and experiments (experiment.c). */
#ifndef RECOMMEND_TRAIN_TRAINING_H
#define RECOMMEND_TRAIN_TRAINING_H

#include <stdint.h>

#include "../data/interactions.h"
#include "../data/interrupt.h"
#include "../model/connection.h"
#include "../model/known_ids.h"
#include "trainer.h"

typedef struct Training {
  Connection *connection;
  const Trainer *trainer;
  Source source;
  double size;           /* the second argument: a rank, a number of neighbours … */
  TrainOptions *options; /* the trainer's struct */
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
  void *state;          /* the trainer's */
  TrainedModel trained; /* what is known so far */
  char *counts;         /* the trainer's own part of the summary, a JSON object, or NULL */
  char *hints;          /* the summary's hints, JSON texts with commas between them, or NULL */
  FitRow *rows;         /* one an epoch */
  size_t row_count;
  double read_seconds, fit_seconds, store_seconds;
} Training;

/* What to train: the arguments of a training function. Texts are copied. */
typedef struct TrainRequest {
  const Trainer *trainer;
  const char *source;
  double size;            /* NaN: not given */
  const char *options;    /* may be NULL */
  const ModelName *model; /* the name is given already (CREATE VIRTUAL TABLE, retrain; "": never stored), or NULL */
  int from_file;          /* the options come from the database file (retrain) … */
  const char *more;       /* … but those of this object, which are among them: the caller's own; may be NULL */
  Interactions *given;    /* the ratings, read already: taken over; NULL: to be read from the source */
} TrainRequest;

/* Parses, resolves, reads: everything up to the first epoch. *training must be ended in either case. */
int training_begin(Connection *connection, const TrainRequest *request, Training **training, Error *error);

/* How a training reads its source. */
typedef struct SourceNeeds {
  ValuesRead values;
  int timed; /* when each entry came is wanted too */
} SourceNeeds;

/* Checks what can be known before the source is read, whose text may be missing here: the size and the options. */
int training_check(const TrainRequest *request, SourceNeeds *needs, Error *error);

/* Whom the model that a training is to replace knows now: before a source is read that will be given to the training
 * much later. To be freed by known_free in either case. */
int training_known(Connection *connection, const TrainRequest *request, Known *known, Error *error);

/* What is trained on, without the dislikes: data.by_user itself where nobody dislikes anything. Lives as long as the
 * training. */
int training_likes(Training *training, const SparseMatrix **likes, Error *error);

/* While the training begins: does an option that is given come from the database file? -1 where memory ran out. */
int training_option_is_stored(const Training *training, const char *key);

/* While the training begins: finds the model that an option names. Of a name that comes from the database file, the one
 * that lies beside the model is meant: one of that name elsewhere, in main or temp, is another. */
int training_model(const Training *training, const char *key, const char *name, Ability need, Model **model,
                   Error *error);

/* Once the algorithm is known, number `algorithm` of the trainer's: an error that names the option and who reads it,
 * where one was given that this algorithm does not read; and the defaults of those that it does. */
int training_check_readers(const Training *training, int algorithm, Error *error);
int training_set_defaults(const Training *training, int algorithm, Error *error);

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
