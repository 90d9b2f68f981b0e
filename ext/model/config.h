/* m_config: what a model is, one row for each key. One table describes it, by which it is written, read and checked;
 * the tests damage what it names. */
#ifndef RECOMMEND_MODEL_CONFIG_H
#define RECOMMEND_MODEL_CONFIG_H

#include "kind.h"
#include "reader.h"
#include "trained.h"

#define STORE_FORMAT 2 /* the version of the bytes of all shadow tables, which m_config keeps as "format" */
#define STORE_OLDEST 2 /* the oldest version that is still read */

/* A member for each key. */
typedef struct ModelConfig {
  int format;
  int64_t item_stamp, user_stamp;
  int64_t users, items, ratings; /* counts; places of items that were forgotten included */
  ModelShape shape;
  IdAffinity user_affinity, item_affinity;
  double size;
  int source_is_query;
  /* Texts for people, borrowed; of a model that is read they are only looked at, and NULL here. */
  const char *family, *algorithm, *version, *trained_at, *source, *source_schema, *options, *resolved, *metrics;
} ModelConfig;

typedef enum ConfigType {
  CONFIG_INT,   /* int, or an enum */
  CONFIG_INT64, /* int64_t */
  CONFIG_STAMP, /* int64_t, any; not part of the stamps */
  CONFIG_REAL,  /* double, finite */
  CONFIG_WORD,  /* int, or an enum; stored as a word */
  CONFIG_KIND,  /* const ModelKind *; stored as its name */
  CONFIG_ABLE,  /* unsigned, ABLE(…); stored as a list of ability_words */
  CONFIG_TEXT,  /* const char * */
  CONFIG_TIME   /* const char *; not part of the stamps */
} ConfigType;

/* Where a key is not described to have bounds, those of its type. */
typedef struct ConfigKey {
  const char *key;
  ConfigType type;
  int since;                       /* the first format that has it: from then on it is damage where there is none … */
  double preset;                   /* … and in a model of an older format this is its value; of texts NULL is */
  size_t offset;                   /* of the member of ModelConfig */
  int64_t lowest, highest;         /* of integers, and of the numbers of words */
  double least, most;              /* of reals */
  const char *(*word)(int number); /* the word for a number */
} ConfigKey;

extern const ConfigKey config_keys[];
extern const size_t config_key_count;

/* What m_config says of a model that has been trained; borrows its texts. The stamps and the time are left to
 * store_write. */
ModelConfig config_of(const TrainedModel *model);

/* A hash of all that is part of the stamps, beginning with `hash`. */
uint64_t config_hash(const ModelConfig *config, uint64_t hash);

/* Writes the rows: see store_write. */
int config_write(sqlite3 *db, ModelName name, const ModelConfig *config, Error *error);

/* Reads and checks them. SQLITE_CORRUPT_VTAB for damage, and where the format is one that is not read; the message
 * says what to do then. */
int config_read(Reader *reader, ModelConfig *config, Error *error);

/* Sets what a model of an older format does not have. `seen` tells of each of the `count` keys whether it was there.
 * Returns the first that is missing, or NULL. */
const ConfigKey *config_complete(const ConfigKey *keys, size_t count, const unsigned char *seen, int format,
                                 void *config);

#endif
