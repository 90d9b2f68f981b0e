/* m_config: see config.h.
 *
 * A new key is a row here and a member of ModelConfig. Its format is the next one, which STORE_FORMAT becomes, and its
 * preset what models that were stored before it are taken to have.
 *
 *   format                          of all shadow tables
 *   item_stamp, user_stamp          hashes of what is stored: see store.c
 *   family, algorithm, version (of the extension), trained_at (UTC), source, source_schema ("": the model's own),
 *   source_is_query, size           what the model was trained by, and from
 *   kind, answers                   the name of its ModelKind; what it can do, in ability_words
 *   options, resolved, metrics      the options as given and as resolved, and losses by epoch: JSON
 *   users, items, ratings           counts
 *   user_affinity, item_affinity    of the ids: type names, "INTEGER", "TEXT", "", …
 *   score_head, prediction_head     the head behind `score` and `prediction`: "rating", "ranking", or "" for none
 *   minimum, maximum, average       of the ratings
 *   range, low, high                how predictions become ratings
 *   rating_rank, …_biases, …_mean   of each head
 *   rating_fold, …                  how a head takes in a history: "none", "rating" (least squares over the ratings),
 *                                   "ranking" (over all cells) or "projection"; and what that needs, 0 where it needs
 *                                   nothing
 *
 * What they mean is said in trained.h, where ModelShape has a member for each. */
#include "config.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "../base/bytes.h"
#include "../base/version.h"
#include "store.h"

#define MOST_RANK 4096
#define MOST_FOLDED 1e36 /* ratings are below 1e30, and floats below 3e38 */

/* ---- words for numbers ------------------------------------------------------------------------------------------- */

static const char *affinity_word(int affinity) { return id_affinity_name((IdAffinity)affinity); }
static const char *head_word(int head) { return head < 0 ? "" : head_names[head]; }
static const char *fold_word(int method) { return fold_names[method]; }

/* ---- the table --------------------------------------------------------------------------------------------------- */

#define MEMBER(member) .offset = offsetof(ModelConfig, member)
#define INT(member) .type = CONFIG_INT, MEMBER(member)
#define INT64(member) .type = CONFIG_INT64, MEMBER(member)
#define REAL(member) .type = CONFIG_REAL, MEMBER(member)
#define WORD(member, words) .type = CONFIG_WORD, .word = words, MEMBER(member)
#define TEXT(member) .type = CONFIG_TEXT, MEMBER(member)
#define FROM(smallest, largest) .lowest = smallest, .highest = largest
#define FLAG FROM(0, 1)
#define WITHIN(smallest, largest) .least = smallest, .most = largest
#define ANY WITHIN(-HUGE_VAL, HUGE_VAL)
#define FOLDED WITHIN(-MOST_FOLDED, MOST_FOLDED)

/* What a head is, and how it takes in a history: see FoldIn. */
/* clang-format off */
#define HEAD_KEYS(name, head) \
  {name "_rank", INT(shape.rank[head]), .since = 2, FROM(0, MOST_RANK)}, \
  {name "_biases", INT(shape.biases[head]), .since = 2, FLAG}, \
  {name "_mean", REAL(shape.mean[head]), .since = 2, ANY}, \
  {name "_fold", WORD(shape.fold[head].method, fold_word), .since = 2, FROM(FOLD_NONE, FOLD_METHODS - 1)}, \
  {name "_regularization", REAL(shape.fold[head].regularization), .since = 2, WITHIN(0, MOST_FOLDED)}, \
  {name "_bias_regularization", REAL(shape.fold[head].bias_regularization), .since = 2, WITHIN(0, MOST_FOLDED)}, \
  {name "_nu", REAL(shape.fold[head].nu), .since = 2, WITHIN(0, 1)}, \
  {name "_confidence", REAL(shape.fold[head].confidence), .since = 2, FOLDED}, \
  {name "_confidence_slope", REAL(shape.fold[head].confidence_slope), .since = 2, FOLDED}, \
  {name "_target", REAL(shape.fold[head].target), .since = 2, FOLDED}, \
  {name "_target_slope", REAL(shape.fold[head].target_slope), .since = 2, FOLDED}, \
  {name "_missing_weight", REAL(shape.fold[head].missing_weight), .since = 2, WITHIN(0, MOST_FOLDED)}, \
  {name "_weigh_all_cells", INT(shape.fold[head].weigh_all_cells), .since = 2, FLAG}, \
  {name "_nonnegative", INT(shape.fold[head].nonnegative), .since = 2, FLAG}, \
  {name "_user_mean", INT(shape.fold[head].user_mean), .since = 2, FLAG}
/* clang-format on */

const ConfigKey config_keys[] = {
    {"format", INT(format), .since = 2, FROM(0, INT32_MAX)},
    {"kind", .type = CONFIG_KIND, .since = 2, MEMBER(shape.kind)},
    {"answers", .type = CONFIG_ABLE, .since = 2, MEMBER(shape.abilities)},
    {"family", TEXT(family), .since = 2},
    {"algorithm", TEXT(algorithm), .since = 2},
    {"version", TEXT(version), .since = 2},
    {"source", TEXT(source), .since = 2},
    {"source_schema", TEXT(source_schema), .since = 2},
    {"source_is_query", INT(source_is_query), .since = 2, FLAG},
    {"size", REAL(size), .since = 2, ANY},
    {"options", TEXT(options), .since = 2},
    {"resolved", TEXT(resolved), .since = 2},
    {"metrics", TEXT(metrics), .since = 2},
    {"users", INT64(users), .since = 2, FROM(0, STORE_MOST_USERS)},
    {"items", INT64(items), .since = 2, FROM(0, STORE_MOST_ITEMS)},
    {"ratings", INT64(ratings), .since = 2, FROM(0, INT64_MAX)},
    {"user_affinity", WORD(user_affinity, affinity_word), .since = 2, FROM(ID_AFFINITY_BLOB, ID_AFFINITY_REAL)},
    {"item_affinity", WORD(item_affinity, affinity_word), .since = 2, FROM(ID_AFFINITY_BLOB, ID_AFFINITY_REAL)},
    {"score_head", WORD(shape.score_head, head_word), .since = 2, FROM(HEAD_RATING, HEADS - 1)},
    {"prediction_head", WORD(shape.prediction_head, head_word), .since = 2, FROM(-1, HEADS - 1)},
    HEAD_KEYS("rating", HEAD_RATING),
    HEAD_KEYS("ranking", HEAD_RANKING),
    {"range", INT(shape.range), .since = 2, FROM(RANGE_NONE, RANGE_MINMAX)},
    {"minimum", REAL(shape.minimum), .since = 2, ANY},
    {"maximum", REAL(shape.maximum), .since = 2, ANY},
    {"low", REAL(shape.low), .since = 2, ANY},
    {"high", REAL(shape.high), .since = 2, ANY},
    {"average", REAL(shape.average), .since = 2, ANY},
    {"rated", INT(shape.rated), .since = 2, FLAG},
    {"likes", INT(shape.likes), .since = 2, FLAG},
    {"cold_start", INT(shape.estimate), .since = 2, FLAG},
    {"history", INT(shape.history), .since = 2, FROM(HISTORY_NONE, HISTORY_TIMED)},
    /* Of models of content: */
    {"cosine", INT(shape.cosine), .since = 2, FLAG},
    {"sparse", INT(shape.sparse), .since = 2, FLAG},
    {"profile", INT(shape.profile), .since = 2, FROM(PROFILE_MEAN, PROFILE_RATING)},
    {"terms", INT64(shape.terms), .since = 2, FROM(0, INT32_MAX)},
    /* Of models of neighbours, and of weights between items: */
    {"links", INT(shape.links), .since = 2, FROM(LINK_NONE, LINK_KINDS - 1)},
    {"linked", INT64(shape.linked), .since = 2, FROM(0, STORE_MOST_ITEMS)},
    {"neighbor_size", INT(shape.neighbors.size), .since = 2, FROM(0, INT32_MAX)},
    {"neighbor_centering", INT(shape.neighbors.centering), .since = 2, FROM(0, NEIGHBOR_CENTERINGS - 1)},
    {"neighbor_raters", INT(shape.neighbors.raters), .since = 2, FLAG},
    {"neighbor_similarity", INT(shape.neighbors.similarity), .since = 2, FROM(0, NEIGHBOR_SIMILARITIES - 1)},
    {"neighbor_weighting", INT(shape.neighbors.weighting), .since = 2, FROM(0, NEIGHBOR_WEIGHTINGS - 1)},
    {"neighbor_min_support", INT(shape.neighbors.min_support), .since = 2, FROM(0, INT32_MAX)},
    {"neighbor_sample", INT(shape.neighbors.sample), .since = 2, FROM(0, INT32_MAX)},
    {"neighbor_seed", INT64(shape.neighbors.seed), .since = 2, FROM(INT64_MIN, INT64_MAX)},
    {"neighbor_shrinkage", REAL(shape.neighbors.shrinkage), .since = 2, WITHIN(0, HUGE_VAL)},
    {"neighbor_threshold", REAL(shape.neighbors.threshold), .since = 2, WITHIN(-1, 1)},
    {"neighbor_bm25_k1", REAL(shape.neighbors.bm25_k1), .since = 2, WITHIN(0, HUGE_VAL)},
    {"neighbor_bm25_b", REAL(shape.neighbors.bm25_b), .since = 2, WITHIN(0, 1)},
    /* Of models of clusters: */
    {"clusters", INT(shape.clusters), .since = 2, FROM(0, MOST_RANK)},
    {"cluster_side", INT(shape.cluster_side), .since = 2, FROM(CLUSTER_USERS, CLUSTER_SIDES - 1)},
    {"cluster_columns", INT64(shape.cluster_columns), .since = 2, FROM(0, STORE_MOST_ITEMS)},
    /* Last, since they are of all that is before. */
    {"trained_at", .type = CONFIG_TIME, .since = 2, MEMBER(trained_at)},
    {"item_stamp", .type = CONFIG_STAMP, .since = 2, MEMBER(item_stamp)},
    {"user_stamp", .type = CONFIG_STAMP, .since = 2, MEMBER(user_stamp)},
};

enum { KEYS = sizeof config_keys / sizeof *config_keys };
const size_t config_key_count = KEYS;

/* Enums are stored and read as ints. */
_Static_assert(sizeof(PredictionRange) == sizeof(int) && sizeof(IdAffinity) == sizeof(int), "an enum is an int");

/* ---- members ----------------------------------------------------------------------------------------------------- */

static int get_int(const ConfigKey *key, const void *config) {
  int value;
  memcpy(&value, (const char *)config + key->offset, sizeof value);
  return value;
}

static int64_t get_int64(const ConfigKey *key, const void *config) {
  int64_t value;
  memcpy(&value, (const char *)config + key->offset, sizeof value);
  return value;
}

static double get_real(const ConfigKey *key, const void *config) {
  double value;
  memcpy(&value, (const char *)config + key->offset, sizeof value);
  return value;
}

static const void *get_pointer(const ConfigKey *key, const void *config) {
  const void *value;
  memcpy(&value, (const char *)config + key->offset, sizeof value);
  return value;
}

/* What is stored where a member is, or stands for, a text. */
static const char *get_word(const ConfigKey *key, const void *config) {
  if (key->type == CONFIG_WORD) return key->word(get_int(key, config));
  const void *value = get_pointer(key, config);
  return key->type == CONFIG_KIND ? ((const ModelKind *)value)->name : value;
}

/* Integers and reals; of a word its number. */
static void set_number(const ConfigKey *key, int64_t integer, double real, void *config) {
  char *member = (char *)config + key->offset;
  int small = (int)integer;
  switch (key->type) {
    case CONFIG_INT:
    case CONFIG_WORD: memcpy(member, &small, sizeof small); break;
    case CONFIG_INT64:
    case CONFIG_STAMP: memcpy(member, &integer, sizeof integer); break;
    case CONFIG_REAL: memcpy(member, &real, sizeof real); break;
    case CONFIG_KIND:
    case CONFIG_ABLE:
    case CONFIG_TEXT:
    case CONFIG_TIME: break;
  }
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

ModelConfig config_of(const TrainedModel *model) {
  ModelConfig config = {
      .format = STORE_FORMAT,
      .users = (int64_t)model->users.count,
      .items = (int64_t)model->items.count,
      .ratings = model->ratings,
      .shape = model->shape,
      .user_affinity = model->user_affinity,
      .item_affinity = model->item_affinity,
      .size = model->size,
      .source_is_query = model->source_is_query,
      .family = model->family,
      .algorithm = model->algorithm,
      .version = RECOMMEND_VERSION,
      .source = model->source,
      .source_schema = model->source_schema,
      .options = model->options,
      .resolved = model->resolved,
      .metrics = model->metrics,
  };
  config.shape.abilities = kind_abilities(&config.shape, config.users);
  config.shape.linked = (int64_t)(model->weights ? model->items.count : model->neighbors.rows);
  return config;
}

uint64_t config_hash(const ModelConfig *config, uint64_t hash) {
  for (const ConfigKey *key = config_keys; key < config_keys + KEYS; key++) {
    int64_t integer = 0;
    double real;
    const char *text;
    switch (key->type) {
      case CONFIG_INT:
      case CONFIG_INT64:
      case CONFIG_ABLE:
        integer = key->type == CONFIG_INT64 ? get_int64(key, config) : get_int(key, config);
        hash = bytes_hash(hash, &integer, sizeof integer);
        break;
      case CONFIG_REAL:
        real = get_real(key, config);
        hash = bytes_hash(hash, &real, sizeof real);
        break;
      case CONFIG_WORD:
      case CONFIG_KIND:
      case CONFIG_TEXT:
        text = get_word(key, config);
        hash = bytes_hash(hash, text, strlen(text));
        break;
      case CONFIG_STAMP:
      case CONFIG_TIME: break;
    }
  }
  return hash;
}

static int bind_abilities(sqlite3_stmt *insert, unsigned abilities) {
  char *text = abilities_text(abilities);
  return text ? sqlite3_bind_text(insert, 2, text, -1, sqlite3_free) : SQLITE_NOMEM;
}

static int bind_value(sqlite3_stmt *insert, const ConfigKey *key, const ModelConfig *config) {
  switch (key->type) {
    case CONFIG_INT: return sqlite3_bind_int64(insert, 2, get_int(key, config));
    case CONFIG_INT64:
    case CONFIG_STAMP: return sqlite3_bind_int64(insert, 2, get_int64(key, config));
    case CONFIG_REAL: return sqlite3_bind_double(insert, 2, get_real(key, config));
    case CONFIG_ABLE: return bind_abilities(insert, config->shape.abilities);
    case CONFIG_WORD:
    case CONFIG_KIND:
    case CONFIG_TEXT:
    case CONFIG_TIME: break;
  }
  return sqlite3_bind_text(insert, 2, get_word(key, config), -1, SQLITE_STATIC);
}

int config_write(sqlite3 *db, ModelName name, const ModelConfig *config, Error *error) {
  sqlite3_stmt *insert = NULL;
  int code = shadow_prepare(db, name, &insert, error, "INSERT INTO \"%w\".\"%w_config\"(key, value) SELECT ?1, ?2",
                            name.schema, name.name);
  for (size_t i = 0; i < KEYS && code == SQLITE_OK; i++) {
    code = bind_value(insert, &config_keys[i], config);
    if (code == SQLITE_OK) code = sqlite3_bind_text(insert, 1, config_keys[i].key, -1, SQLITE_STATIC);
    if (code == SQLITE_OK) {
      sqlite3_step(insert);
      code = sqlite3_reset(insert);
    }
    if (code != SQLITE_OK) error_from_database(error, db, code, NULL);
  }
  sqlite3_finalize(insert);
  return code;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int read_real(Reader *reader, sqlite3_stmt *row, const ConfigKey *key, ModelConfig *config, Error *error) {
  double value = sqlite3_column_double(row, 1);
  int type = sqlite3_column_type(row, 1);
  int is_number = (type == SQLITE_FLOAT || type == SQLITE_INTEGER) && isfinite(value);
  if (is_number && value >= key->least && value <= key->most) {
    set_number(key, 0, value, config);
    return SQLITE_OK;
  }
  if (isfinite(key->least) && isfinite(key->most))
    return reader_expected(reader, row, 1, error, "a number from %g to %g", key->least, key->most);
  return reader_expected(reader, row, 1, error, "a %snumber", key->least == 0 ? "positive " : "finite ");
}

/* The member that a text stands for. Returns whether there is one. */
static int take_word(const ConfigKey *key, const char *text, ModelConfig *config) {
  if (key->type == CONFIG_KIND) return (config->shape.kind = kind_find(text)) != NULL;
  if (key->type == CONFIG_ABLE) {
    int64_t abilities = abilities_of_text(text);
    config->shape.abilities = abilities < 0 ? 0 : (unsigned)abilities;
    return abilities >= 0;
  }
  if (key->type != CONFIG_WORD) return 1;
  for (int64_t number = key->lowest; number <= key->highest; number++)
    if (strcmp(text, key->word((int)number)) == 0) {
      set_number(key, number, 0, config);
      return 1;
    }
  return 0;
}

static int read_text(Reader *reader, sqlite3_stmt *row, const ConfigKey *key, ModelConfig *config, Error *error) {
  if (sqlite3_column_type(row, 1) != SQLITE_TEXT) return reader_expected(reader, row, 1, error, "a text");
  const char *text = (const char *)sqlite3_column_text(row, 1);
  if (!text) return error_no_memory(error);
  return take_word(key, text, config) ? SQLITE_OK : reader_expected(reader, row, 1, error, "a word that it may be");
}

static int read_value(Reader *reader, sqlite3_stmt *row, const ConfigKey *key, ModelConfig *config, Error *error) {
  int64_t value = 0;
  int code = SQLITE_OK;
  switch (key->type) {
    case CONFIG_INT:
    case CONFIG_INT64: code = reader_integer(reader, row, 1, key->lowest, key->highest, &value, error); break;
    case CONFIG_STAMP: code = reader_integer(reader, row, 1, INT64_MIN, INT64_MAX, &value, error); break;
    case CONFIG_REAL: return read_real(reader, row, key, config, error);
    case CONFIG_WORD:
    case CONFIG_KIND:
    case CONFIG_ABLE:
    case CONFIG_TEXT:
    case CONFIG_TIME: return read_text(reader, row, key, config, error);
  }
  if (code == SQLITE_OK) set_number(key, value, 0, config);
  return code;
}

/* The format comes first: in another one other values may be right. */
static int read_format(Reader *reader, ModelConfig *config, Error *error) {
  sqlite3_stmt *row = NULL;
  int64_t format = 0;
  int code = reader_statement(reader, STATEMENT_FORMAT, &row, error);
  if (code == SQLITE_OK) code = reader_step(reader, row, error);
  if (code == SQLITE_DONE)
    code = shadow_damaged(error, reader->name, "%s_config has no row 'format'", reader->name.name);
  if (code == SQLITE_ROW) code = reader_integer(reader, row, 1, 0, INT32_MAX, &format, error);
  if (row) sqlite3_reset(row);
  config->format = (int)format;
  if (code != SQLITE_OK || (format >= STORE_OLDEST && format <= STORE_FORMAT)) return code;
  return error_set(error, SQLITE_CORRUPT_VTAB,
                   "model \"%s\" is stored in format %d, and recommend " RECOMMEND_VERSION
                   " reads formats %d to %d: %s, or train the model again",
                   reader->name.name, config->format, STORE_OLDEST, STORE_FORMAT,
                   format > STORE_FORMAT ? "load a newer version of recommend" : "load the version that stored it");
}

const ConfigKey *config_complete(const ConfigKey *keys, size_t count, const unsigned char *seen, int format,
                                 void *config) {
  for (size_t i = 0; i < count; i++) {
    if (seen[i]) continue;
    if (format >= keys[i].since) return &keys[i];
    set_number(&keys[i], (int64_t)keys[i].preset, keys[i].preset, config);
  }
  return NULL;
}

/* Keys that the table does not have are left alone. */
static int read_row(Reader *reader, sqlite3_stmt *row, ModelConfig *config, unsigned char *seen, Error *error) {
  if (sqlite3_column_type(row, 0) != SQLITE_TEXT) return SQLITE_OK;
  const char *name = (const char *)sqlite3_column_text(row, 0);
  if (!name) return error_no_memory(error);
  for (size_t i = 0; i < KEYS; i++) {
    if (strcmp(name, config_keys[i].key) != 0) continue;
    seen[i] = 1;
    return read_value(reader, row, &config_keys[i], config, error);
  }
  return SQLITE_OK;
}

/* ---- what keys say of each other --------------------------------------------------------------------------------- */

/* Could a head have folded histories in with these numbers? */
static int can_fold(const ModelShape *shape, int head) {
  const FoldIn *fold = &shape->fold[head];
  if (fold->method == FOLD_NONE) return 1;
  if (shape->cosine || (fold->method == FOLD_RANKING && shape->biases[head])) return 0;
  if (shape->rank[head] == 0) return shape->biases[head] && fold->method == FOLD_RATING;
  return fold->regularization > 0 || fold->method == FOLD_PROJECTION;
}

/* A list of neighbours, or a row of weights, for each user, or for each item but those that came after the training. */
static int has_its_links(const ModelConfig *config) {
  const ModelShape *shape = &config->shape;
  if (shape->links == LINK_NONE) return shape->linked == 0;
  return shape->links == LINK_USER_NEIGHBORS ? shape->linked == config->users : shape->linked <= config->items;
}

/* What is wrong with the configuration as a whole, or NULL. */
static const char *contradiction(const ModelConfig *config) {
  const ModelShape *shape = &config->shape;
  const int *rank = shape->rank, *biases = shape->biases;
  int heads_of_ratings = rank[HEAD_RATING] || biases[HEAD_RATING] || biases[HEAD_RANKING] ||
                         shape->score_head != HEAD_RANKING || shape->prediction_head != HEAD_RANKING;
  if (!shape->kind->fits(shape)) return "describes a model that is not of its kind";
  if (shape->abilities & ~kind_abilities(shape, config->users)) return "lists more answers than such a model can give";
  if (!shape_has(shape, shape->score_head) ||
      (shape->prediction_head >= 0 && !shape_has(shape, shape->prediction_head)))
    return "names a head that was not fitted";
  if ((shape->sparse && (biases[HEAD_RATING] || biases[HEAD_RANKING] || shape->links)) ||
      (shape_sums(shape) && (rank[HEAD_RATING] || rank[HEAD_RANKING])))
    return "has both factors and other vectors";
  if (shape->clusters && shape->clusters != rank[shape->score_head])
    return "has more or fewer clusters than factors for them";
  if (shape->cosine && shape->profile == PROFILE_RATING) return "has a profile that models of content do not have";
  if (shape->cosine ? heads_of_ratings : shape->sparse) return "is half one of content and half one of ratings";
  if (shape->links && (shape->score_head != HEAD_RANKING || shape->prediction_head == HEAD_RANKING ||
                       biases[HEAD_RANKING] || (shape->links == LINK_ITEM_WEIGHTS && shape->prediction_head >= 0)))
    return "has both links and heads";
  if (shape->estimate && (shape->cosine || shape->prediction_head < 0))
    return "estimates ratings, which the model does not predict";
  if (!has_its_links(config)) return "counts more or fewer lists of neighbours than there are";
  if (!can_fold(shape, HEAD_RATING) || !can_fold(shape, HEAD_RANKING))
    return "has numbers that can't be folded in with";
  return NULL;
}

int config_read(Reader *reader, ModelConfig *config, Error *error) {
  unsigned char seen[KEYS] = {0};
  sqlite3_stmt *row = NULL;
  *config = (ModelConfig){0};
  int code = read_format(reader, config, error);
  if (code == SQLITE_OK) code = reader_statement(reader, STATEMENT_CONFIG, &row, error);
  while (code == SQLITE_OK && (code = reader_step(reader, row, error)) == SQLITE_ROW)
    code = read_row(reader, row, config, seen, error);
  if (row) sqlite3_reset(row);
  if (code != SQLITE_DONE) return code;
  const ConfigKey *missing = config_complete(config_keys, KEYS, seen, config->format, config);
  if (missing) return shadow_damaged(error, reader->name, "%s_config has no row '%s'", reader->name.name, missing->key);
  const char *wrong = contradiction(config);
  return wrong ? shadow_damaged(error, reader->name, "%s_config %s", reader->name.name, wrong) : SQLITE_OK;
}
