/* What a model is once it has been trained: everything that the store writes. */
#ifndef RECOMMEND_MODEL_TRAINED_H
#define RECOMMEND_MODEL_TRAINED_H

#include "../base/factors.h"
#include "../base/sparse.h"
#include "../data/dictionary.h"
#include "../data/entry_times.h"
#include "../score/item_links.h"

/* The heads of a model: how would the user rate it, and what would they pick next. */
typedef enum Head { HEAD_RATING, HEAD_RANKING, HEADS } Head;

extern const char *const head_names[HEADS]; /* "rating", "ranking" */
extern const char *const fold_names[];      /* FOLD_METHODS; "none", … */

/* How a head takes in a history: the user's row that minimises the head's loss, the items being given. */
typedef enum FoldMethod {
  FOLD_NONE,    /* it can't */
  FOLD_RATING,  /* least squares over the ratings there are: als.h's rating loss; of a head of biases alone, the bias */
  FOLD_RANKING, /* over all cells: its ranking loss */
  FOLD_PROJECTION, /* the centred row times the items' vectors, which are orthonormal: see svd_centered.h */
  FOLD_METHODS
} FoldMethod;

/* What that loss needs to know besides rank, biases and mean, with AlsOptions' names. How many rows the other side has
 * is not kept: it is counted as it stands. */
typedef struct FoldIn {
  int method; /* FoldMethod; of a head that was not fitted, and of models of content, FOLD_NONE */
  double regularization, bias_regularization, nu;
  double confidence, confidence_slope, target, target_slope, missing_weight;
  int weigh_all_cells; /* of a projection: a cell that is not there is 0, and not its mean */
  int nonnegative;
  int user_mean; /* of a projection: the biases are the users' means, and not the items' */
} FoldIn;

/* What scores items for users who are their histories. */
typedef enum LinkKind {
  LINK_NONE,           /* users are vectors, or texts */
  LINK_ITEM_NEIGHBORS, /* each item's nearest items */
  LINK_USER_NEIGHBORS, /* each user's nearest users, and what they did */
  LINK_ITEM_WEIGHTS,   /* items × items */
  LINK_KINDS
} LinkKind;

/* As many as learn/ has enumerators of each. */
enum { NEIGHBOR_SIMILARITIES = 5, NEIGHBOR_WEIGHTINGS = 3, NEIGHBOR_CENTERINGS = 4 };

/* How neighbours were found and how they predict: what is needed to find them again. */
typedef struct NeighborShape {
  int size;        /* neighbours a row at most */
  int centering;   /* a NeighborCentering */
  int raters;      /* predictions ask the nearest who rated the item, not those that are stored */
  int similarity;  /* a Similarity */
  int weighting;   /* a NeighborWeighting */
  int min_support; /* common entries at least */
  int sample;      /* of longer rows only so many entries were compared; 0: all */
  double shrinkage, threshold, bm25_k1, bm25_b;
  int64_t seed; /* the bits of the seed that drew the sample */
} NeighborShape;

/* How predictions become ratings: as they are, clipped to the ratings' range, or mapped onto it from the lowest and the
 * highest prediction that there is. */
typedef enum PredictionRange { RANGE_NONE, RANGE_CLIP, RANGE_MINMAX } PredictionRange;

/* What is kept of what users did. */
typedef enum HistoryKept {
  HISTORY_NONE,
  HISTORY_KEPT, /* the items, and the ratings if there are any */
  HISTORY_TIMED /* when each entry came, too, and in which order */
} HistoryKept;

/* What a model is made of, and which head answers what. */
typedef struct ModelShape {
  const struct ModelKind *kind; /* see kind.h */
  unsigned abilities;           /* what it can do: ABLE(…); set when it is stored or read */
  int rank[HEADS];              /* 0: the head was not fitted */
  int biases[HEADS];            /* it has user and item biases */
  double mean[HEADS];           /* the constant of its prediction */
  int score_head;               /* the Head behind `score` */
  int prediction_head;          /* the Head behind `prediction`, or -1: the data have no rating scale */
  PredictionRange range;
  double minimum, maximum; /* of the ratings */
  double low, high;   /* of the predictions over all users × items, as they come from the head; RANGE_MINMAX only */
  double average;     /* the mean rating, the estimate for an unknown user and item */
  int estimate;       /* a prediction where the user or the item is unknown is made of what is known, and not NULL */
  int rated;          /* entries of histories are ratings, and no feedback: see shape_likes */
  int likes;          /* … nor counts: to like an item once is enough, so that several rows of a pair do not add up */
  FoldIn fold[HEADS]; /* how a history is folded in */
  int history;        /* a HistoryKept */
  /* Of models of content: */
  int cosine;    /* score and prediction are cosines, and no ratings */
  int sparse;    /* items are sparse vectors over terms, users what their histories add up to; no head has a rank */
  int profile;   /* the Profile of users */
  int64_t terms; /* how many the model knows; 0: it was not made of words */
  /* Of models whose users are their histories. No head has a rank; the rating head, if there is one, has the biases
   * that predictions start from. */
  int links;      /* a LinkKind */
  int64_t linked; /* lists of neighbours, or rows of weights: items that came after the training have none */
  NeighborShape neighbors;
  /* Of models of clusters: how many, of what, and in how many dimensions their centroids are. */
  int clusters;
  int cluster_side; /* a ClusterSide */
  int64_t cluster_columns;
} ModelShape;

/* What is in clusters. The members of CLUSTER_ROWS are kept as users, and there are no items. */
typedef enum ClusterSide { CLUSTER_USERS, CLUSTER_ITEMS, CLUSTER_ROWS, CLUSTER_SIDES } ClusterSide;

static inline size_t cluster_members(const ModelShape *shape, size_t users, size_t items) {
  return shape->cluster_side == CLUSTER_ITEMS ? items : users;
}

/* A user's vector is the mean of the vectors of their items, each weighed by: */
typedef enum Profile {
  PROFILE_MEAN,     /* 1 */
  PROFILE_WEIGHTED, /* its rating less the mean of theirs */
  PROFILE_RATING    /* its rating. Of models that predict no ratings it says that histories hold some */
} Profile;

/* Whose vectors add up to a user's, and by what weight: of the n entries of a history (rating NULL: all 1; held_out
 * NULL: none was) those that count, with the items' lengths (NULL: all 1) multiplied in. Returns how many; item and
 * weight have room for n. */
size_t profile_sum(Profile profile, const float *length, size_t n, const uint32_t *history_item, const float *rating,
                   const uint8_t *held_out, uint32_t *item, float *weight);

/* Has the head vectors, or biases alone? */
static inline int shape_has_panel(const ModelShape *shape, int head) {
  return shape->rank[head] > 0 || shape->biases[head];
}

/* Does the head answer anything? */
static inline int shape_has(const ModelShape *shape, int head) {
  return shape_has_panel(shape, head) || ((shape->sparse || shape->links) && head == HEAD_RANKING);
}

/* Are users sums over the items of their histories? */
static inline int shape_sums(const ModelShape *shape) { return shape->sparse || shape->links; }

/* Floats of one vector in memory; 0 where the head has none, and not even biases. */
static inline int shape_stride(const ModelShape *shape, int head) {
  return shape->rank[head] || !shape->biases[head] ? factors_stride(shape->rank[head]) : factors_stride(1);
}

/* Do entries of histories have ratings that were given, and not counts of what was done? */
static inline int shape_is_explicit(const ModelShape *shape) { return !shape->cosine && shape->prediction_head >= 0; }

/* Are entries of histories feedback, likes above 0 and dislikes below, and not ratings? A 0 is then no entry. (Ratings
 * that are not predicted have PROFILE_RATING.) */
static inline int shape_is_feedback(const ModelShape *shape) {
  return !shape->cosine && shape->prediction_head < 0 && shape->profile != PROFILE_RATING;
}

/* … and how often something was done, so that several rows of a pair add up? */
static inline int shape_is_counts(const ModelShape *shape) { return shape_is_feedback(shape) && !shape->likes; }

/* Does an entry of a history say that the user likes the item? A rating does from the mean on, and feedback above 0.
 * Items are popular by how many like them: the most rated may be the worst. */
static inline int shape_likes(const ModelShape *shape, float rating) {
  return shape->rated ? rating >= (float)shape->average : rating > 0;
}

/* Has each user a stored row, of factors or biases? */
static inline int shape_has_user_rows(const ModelShape *shape) {
  return shape_has_panel(shape, HEAD_RATING) || shape_has_panel(shape, HEAD_RANKING);
}

/* A prediction as users see it, from what the head says. */
double shape_prediction(const ModelShape *shape, double raw);

typedef struct TrainedModel {
  const char *family;    /* static */
  const char *algorithm; /* static */
  ModelShape shape;
  Dictionary users, items;
  IdAffinity user_affinity, item_affinity;
  SparseMatrix history;              /* users × items, all entries, held-out ones too; start NULL: not kept */
  uint8_t *held_out;                 /* one an entry of the history: it was not trained on; NULL: none was */
  int64_t *time;                     /* one an entry: when it came, or NO_TIME; NULL: histories are not timed */
  uint32_t *order;                   /* of each user's entries their places in the row, oldest first; NULL likewise */
  uint32_t *user_count, *item_count; /* entries of each user; and of each item those that are no dislikes */
  uint32_t *item_liked;              /* of each item those that like it: shape_likes */
  int64_t ratings;                   /* entries trained on */
  Factors heads[HEADS];              /* of unfitted heads cleared */
  /* Of neighbours and item weights, else cleared: */
  NeighborLists neighbors; /* of the items or the users */
  float *weights;          /* items × items, W[from][to]; memory_alloc */
  /* Of models of clusters, else NULL; memory_alloc: */
  uint32_t *cluster; /* of each member */
  float *distance;   /* of each member from its centroid */
  float *centroid;   /* shape.clusters × shape.cluster_columns */
  /* Of models of content, else cleared: */
  SparseMatrix vectors; /* items × terms, of length 1 or empty; with shape.sparse */
  float *length;        /* of each item's vector, before it was made 1; with shape.sparse */
  Dictionary terms;     /* sorted */
  uint32_t *df;         /* items that each term is in */
  double *idf;
  float *term_vectors; /* terms × stride of the ranking head, aligned; NULL: none */
  /* For people to read; owned. */
  char *source;        /* the name of the table or view, or the text of the SELECT */
  char *source_schema; /* where it is, if not where the model is; else "" */
  int source_is_query; /* it is a SELECT, which is kept for information and never run */
  double size;         /* the second argument of the training function … */
  int sized;           /* … if it has one */
  char *options;       /* as given, a JSON object, less "threads" */
  char *resolved;      /* as resolved, a JSON object */
  char *metrics;       /* losses by epoch, a JSON object */
} TrainedModel;

/* One vector as it is stored, store_row_floats: the heads' factors side by side, then each head's bias where it has
 * biases. Returns the place behind it. */
float *trained_row(const TrainedModel *model, int of_users, size_t row, float *to);

/* Asserts what the store, and whoever answers from a model in memory, relies on: that all is there which a model of
 * this shape has, and that histories are in order. */
void trained_assert(const TrainedModel *model);

void trained_free(TrainedModel *model); /* cleared is fine; leaves it cleared */

#endif
