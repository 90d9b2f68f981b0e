/* What a model is once it has been trained: everything that the store writes. */
#ifndef RECOMMEND_MODEL_TRAINED_H
#define RECOMMEND_MODEL_TRAINED_H

#include "../base/factors.h"
#include "../base/sparse.h"
#include "../data/dictionary.h"

/* The heads of a model: how would she rate it, and what would she pick next. */
typedef enum Head { HEAD_RATING, HEAD_RANKING, HEADS } Head;

extern const char *const head_names[HEADS]; /* "rating", "ranking" */

/* Which head answers what. */
typedef struct ModelShape {
  int rank[HEADS];         /* 0: the head was not fitted */
  int biases[HEADS];       /* it has user and item biases */
  double mean[HEADS];      /* the constant of its prediction */
  int score_head;          /* the Head behind `score` */
  int prediction_head;     /* the Head behind `prediction`, or -1: the data have no rating scale */
  int clip;                /* predictions are clipped to the range of ratings */
  double minimum, maximum; /* that range */
  double average;          /* the mean rating, the estimate for an unknown user and item */
} ModelShape;

static inline int shape_stride(const ModelShape *shape, int head) { return factors_stride(shape->rank[head]); }

/* A prediction as users see it: clipped where the model clips. */
double shape_clip(const ModelShape *shape, double prediction);

typedef struct TrainedModel {
  const char *family;    /* static */
  const char *algorithm; /* static */
  ModelShape shape;
  Dictionary users, items;
  IdAffinity user_affinity, item_affinity;
  SparseMatrix history;              /* users × items, all entries, held-out ones too; start NULL: not kept */
  uint32_t *user_count, *item_count; /* entries of each user and item */
  int64_t ratings;                   /* entries trained on */
  Factors heads[HEADS];              /* of unfitted heads cleared */
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
