/* Evaluating a model on ratings that it was not trained on: how far its predicted ratings are off, and how good the
 * lists are that it would have recommended. */
#ifndef RECOMMEND_ANSWER_EVALUATION_H
#define RECOMMEND_ANSWER_EVALUATION_H

#include "../data/interactions.h"
#include "../data/options.h"
#include "../learn/metrics.h"
#include "../model/model.h"
#include "predictor.h"

enum { COLD_DROP, COLD_ESTIMATE }; /* users and items that the model does not know */

typedef struct JudgeOptions {
  OptionIntegers k;
  double threshold; /* relevant from this rating on; NaN: every row is */
  int exclude_seen; /* what the user has is no candidate */
  int cold_start;   /* COLD_DROP or COLD_ESTIMATE */
  int recall;       /* 1: by min(k, relevant) */
  int lists;        /* lists are judged too, which takes users × items scores */
  int threads;      /* 0: all cores */
} JudgeOptions;

/* Everything that lives while the source is judged. */
typedef struct Judge {
  const JudgeOptions *options;
  const Interactions *data; /* what is known to be right, in indexes of its own; borrowed */
  ModelItems *items;
  uint32_t *item_index;  /* the model's index of each item of the source, or DICTIONARY_NONE */
  uint32_t *tested;      /* for each user of the model: the source's index + 1, or 0 */
  ScorePanel popularity; /* scores nothing but how many like an item: for users of whom nothing was learned */
  double *surprise;
  uint16_t *recommended;
  RatingErrors errors;
  RankingScores scores;
  RankingProtocol protocol;
  size_t block; /* users judged at a time, a multiple of STORE_CHUNK */
  int64_t unknown_rows;
  Predictor predictor;
  const Cancel *cancel;
} Judge;

/* Judges a model that has begun. The judge has options, data, items (those of model_begin, taken over) and cancel, the
 * rest cleared. To be freed in either case. */
int judge_run(Judge *judge, Model *model, Error *error);

/* Are there ratings that the model can predict? */
int judge_predicts(const Judge *judge);

void judge_free(Judge *judge);

#endif
