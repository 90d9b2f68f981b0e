/* What a kind of model is: one file under model/kinds/, and one row in MODEL_KINDS.
 *
 * A model is of one kind, which is chosen when it is trained and named in m_config. Whatever differs from kind to kind
 * is a member of ModelKind; nobody else asks of which kind a model is. */
#ifndef RECOMMEND_MODEL_KIND_H
#define RECOMMEND_MODEL_KIND_H

#include "../base/error.h"
#include "../score/scorer.h"
#include "trained.h"

/* What a model may be able to do. Each has a word: m_config's "answers" lists those of a model. */
typedef enum Ability {
  ABILITY_ANY,           /* what every model can */
  ABILITY_RECOMMEND,     /* rank items for its users */
  ABILITY_PREDICT,       /* ratings */
  ABILITY_FOLD_IN,       /* take in a history that it was not trained on */
  ABILITY_SIMILAR_ITEMS, /* compare items by what it learned */
  ABILITY_SIMILAR_USERS, /* compare users */
  ABILITY_EXPLAIN,       /* a score is a sum over the user's history */
  ABILITY_LIVE,          /* ratings may come and go after the training */
  ABILITY_FORGET,        /* a user or an item */
  ABILITY_NEIGHBORS,     /* it keeps them */
  ABILITY_CLUSTERS,      /* it has put something into clusters */
  ABILITY_TEXT,          /* compare a text, or a vector, with items */
  ABILITIES
} Ability;

#define ABLE(ability) (1u << (ability))

/* "recommend", "fold in", …; of ABILITY_ANY NULL. */
extern const char *const ability_words[ABILITIES];

/* The abilities as a text, "recommend, predict, …", for sqlite3_free; NULL where there is no memory. The other way
 * round, -1 where a word is none of these. */
char *abilities_text(unsigned abilities);
int64_t abilities_of_text(const char *text);

struct Reader;
struct Model;
struct ModelItems;
struct ModelUser;
struct ModelUsers;
struct History;
struct Predictor;
struct LiveBatch;

typedef struct ModelKind {
  const char *name;
  unsigned abilities; /* all that a model of this kind may be able to do */

  /* Those that a model of this shape lacks; NULL: none. What needs ratings, histories or users is left out anyway. */
  unsigned (*lacks)(const ModelShape *shape);

  /* Why a model lacks an ability, and what to do instead, to go behind `model "taste"`; NULL, or NULL for an ability:
   * nothing special. That of ABILITY_FORGET does not say what to do: there the caller says it. */
  const char *(*reason)(const ModelShape *shape, Ability ability);

  /* The same where a model that could have users has none; NULL: then nothing is lacking. */
  const char *without_users;

  /* Is the shape one of this kind? Looked at before a stored model is used; asserted of one that was trained. */
  int (*fits)(const ModelShape *shape);

  /* Reads what the items have besides factors and biases, and takes it from a model in memory; NULL: there is nothing.
   * The first returns SQLITE_OK or an error, the second SQLITE_OK or SQLITE_NOMEM. */
  int (*load_items)(struct Reader *reader, struct ModelItems *items, Error *error);
  int (*copy_items)(const TrainedModel *trained, struct ModelItems *items);

  /* Of the integrity check: reads what is not read when a model is opened or a user is; NULL: there is nothing. */
  int (*check)(struct Model *model, const struct ModelItems *items, Error *error);

  /* What scores the items. (What is gone is for items_scorer to add.) */
  Scorer (*scorer)(const struct ModelItems *items);

  /* Makes queries for that scorer of users whose vectors, and with `by_history` histories, have been read: fills in
   * queries, own and blank. A user behind all others, model_user_count, is somebody new. */
  int (*queries)(struct Model *model, const struct ModelItems *items, struct ModelUsers *users, const Cancel *cancel,
                 Error *error);
  int by_history; /* queries are made of histories */

  /* For each of the items first … first + count - 1 the k nearest others, best first, into best[i * k …], and their
   * number into found[i]. weight[j] is what j counts as a neighbour: its similarity is multiplied by that; below 0:
   * never. NULL: all count 1. What was forgotten is nobody's neighbour. SQLITE_OK, SQLITE_NOMEM or what cancel says. */
  int (*nearest_items)(const struct ModelItems *items, const float *weight, uint32_t first, size_t count, size_t k,
                       Scored *best, size_t *found, int threads, const Cancel *cancel);
  int shrinks_by_support; /* a neighbour that few users have counts less: see answer/nearest_items.h */

  int neighbors_of_users; /* each user's neighbours are stored, and found again when the history changes */
  int of_content;         /* items are known by their content: a score is a cosine, and a new item can't come live */
  double largest_rating;  /* that may come live; 0: any that a float can hold well */

  /* Predicted ratings, as the prediction head says them: getting ready, a user who has been put into the predictor, an
   * item, and the end. NULL, but for `predict` where the kind is able to: there is nothing to do. */
  int (*predict_begin)(struct Predictor *predictor, struct Model *model, const Cancel *cancel, Error *error);
  int (*predict_user)(struct Predictor *predictor, struct Model *model, Error *error);
  int (*predict)(struct Predictor *predictor, uint32_t item, double *rating, Error *error);
  void (*predict_end)(struct Predictor *predictor);
  int predicts_by_query; /* and not by vectors or histories alone */

  /* A user as a stored row, store_row_floats and all 0, from a history; NULL: users have no rows. Where `new_item` is
   * not NULL it is the stored row of one item more, whose index is items->ids.count. SQLITE_OK, SQLITE_NOMEM or what
   * cancel says. */
  int (*fold_user)(struct ModelItems *items, Profile profile, const float *new_item, const struct History *history,
                   float *row, const Cancel *cancel);

  /* The stored row of a new item that one user has rated; `user` NULL: nobody whom the model knows. NULL: an item has
   * nothing until it is trained. */
  int (*fold_item)(struct Model *model, const struct ModelItems *items, const struct ModelUser *user, float rating,
                   float *row, const Cancel *cancel, Error *error);

  /* Adds the rows that change where an item is forgotten, besides its factors and biases; NULL: there are none. */
  int (*forget_item)(struct Model *model, const struct ModelItems *items, uint32_t item, struct LiveBatch *batch,
                     Error *error);

  /* What each entry of a history adds to the score of an item: history->count numbers, all 0 before. NULL: nothing is
   * due to an entry. SQLITE_OK, SQLITE_NOMEM or what cancel says. */
  int (*contributions)(struct ModelItems *items, const struct ModelUser *user, const struct History *history,
                       uint32_t item, double *contribution, const Cancel *cancel);
} ModelKind;

#define MODEL_KINDS(ROW)   \
  ROW(kind_baseline)       \
  ROW(kind_factors)        \
  ROW(kind_item_neighbors) \
  ROW(kind_user_neighbors) ROW(kind_item_weights) ROW(kind_words) ROW(kind_content) ROW(kind_clusters)

#define DECLARE(kind) extern const ModelKind kind;
MODEL_KINDS(DECLARE)
#undef DECLARE

/* The kind of that name, or NULL. */
const ModelKind *kind_find(const char *name);

/* What a model of this shape, with so many users, can do. */
unsigned kind_abilities(const ModelShape *shape, int64_t users);

static inline int shape_can(const ModelShape *shape, Ability ability) { return (shape->abilities >> ability) & 1; }

/* Is this asked about users? */
int ability_is_of_users(Ability ability);

/* Why a model of this shape lacks an ability, to go behind `model "taste"`. */
const char *kind_reason(const ModelShape *shape, Ability ability);

/* SQLITE_ERROR and why, where a model of this shape lacks an ability. */
int kind_check(const ModelShape *shape, const char *model, Ability ability, Error *error);

#endif
