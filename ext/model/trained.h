/* What a model is once it has been trained: everything that the store writes. */
#ifndef RECOMMEND_MODEL_TRAINED_H
#define RECOMMEND_MODEL_TRAINED_H

#include "../base/factors.h"
#include "../base/sparse.h"
#include "../data/dictionary.h"

/* The heads of a model: how would she rate it, and what would she pick next. */
typedef enum Head { HEAD_RATING, HEAD_RANKING, HEADS } Head;

extern const char *const head_names[HEADS]; /* "rating", "ranking" */

/* How predictions become ratings: as they are, clipped to the ratings' range, or mapped onto it from the lowest and the
 * highest prediction that there is. */
typedef enum PredictionRange { RANGE_NONE, RANGE_CLIP, RANGE_MINMAX } PredictionRange;

/* Which head answers what. */
typedef struct ModelShape {
  int rank[HEADS];     /* 0: the head was not fitted */
  int biases[HEADS];   /* it has user and item biases */
  double mean[HEADS];  /* the constant of its prediction */
  int score_head;      /* the Head behind `score` */
  int prediction_head; /* the Head behind `prediction`, or -1: the data have no rating scale */
  PredictionRange range;
  double minimum, maximum; /* of the ratings */
  double low, high; /* of the predictions over all users × items, as they come from the head; RANGE_MINMAX only */
  double average;   /* the mean rating, the estimate for an unknown user and item */
  /* Of models of content: */
  int cosine;    /* score and prediction are cosines, and no ratings */
  int sparse;    /* items are sparse vectors over terms, users what their histories add up to; no head has a rank */
  int profile;   /* the Profile of users */
  int64_t terms; /* how many the model knows; 0: it was not made of words */
} ModelShape;

/* A user's vector is the mean of the vectors of her items, each weighed by: */
typedef enum Profile {
  PROFILE_MEAN,    /* 1 */
  PROFILE_WEIGHTED /* its rating less the mean of hers */
} Profile;

/* Whose vectors add up to a user's, and by what weight: of the n entries of a history (rating NULL: all 1; held_out
 * NULL: none was) those that count, with the items' lengths multiplied in. Returns how many; item and weight have room
 * for n. */
size_t profile_sum(Profile profile, const float *length, size_t n, const uint32_t *history_item, const float *rating,
                   const uint8_t *held_out, uint32_t *item, float *weight);

/* Does the head answer anything? */
static inline int shape_has(const ModelShape *shape, int head) {
  return shape->rank[head] > 0 || (shape->sparse && head == HEAD_RANKING);
}

static inline int shape_stride(const ModelShape *shape, int head) { return factors_stride(shape->rank[head]); }

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
  uint32_t *user_count, *item_count; /* entries of each user and item */
  int64_t ratings;                   /* entries trained on */
  Factors heads[HEADS];              /* of unfitted heads cleared */
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
  int64_t size;        /* the second argument of the training function */
  char *options;       /* as given, a JSON object, less "threads" */
  char *resolved;      /* as resolved, a JSON object */
  char *metrics;       /* losses by epoch, a JSON object */
} TrainedModel;

void trained_free(TrainedModel *model); /* cleared is fine; leaves it cleared */

#endif
