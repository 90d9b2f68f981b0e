/* The trainer kmeans: clusters of users, of items, or of the rows of any table of numbers. kmeans_train.c trains,
 * kmeans_points.c says what is put into clusters. */
#ifndef RECOMMEND_TRAIN_KMEANS_TRAIN_H
#define RECOMMEND_TRAIN_KMEANS_TRAIN_H

#include "../learn/kmeans.h"
#include "training.h"

typedef struct KmeansTraining {
  TrainOptions common;
  int by; /* 0: users, 1: items */
  char *factors;
  OptionColumn id;
  OptionTexts columns;
  int center; /* ratings less the mean of their user (or item) */
  int scale;
  int starts, iterations, batch_size, min_support;
  double tolerance;
} KmeansTraining;

typedef struct KmeansState {
  KmeansRows rows;
  float *dense;        /* what rows.dense points to */
  SparseMatrix sparse; /* what rows.sparse points to; its start and index are borrowed */
  double *middle;      /* of the dense columns: what was taken from them … */
  double *unit;        /* … and what they were divided by */
  double *table;       /* the numbers of a table, rows × columns */
  size_t table_columns;
  Kmeans *kmeans;
} KmeansState;

/* Rows of a table: any whose columns are named. */
int kmeans_is_table(const KmeansTraining *options);

/* Reads a table into training->data.users, its ids, and state->table. */
int kmeans_read_table(Training *training, Error *error);

/* Sets state->rows: the table, a model's factors, or the rows of ratings. */
int kmeans_points(Training *training, Error *error);

#endif
