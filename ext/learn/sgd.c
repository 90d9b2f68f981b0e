/* Stochastic gradient descent: see sgd.h. Funk (2006); Koren, Bell & Volinsky, "Matrix factorization techniques for
 * recommender systems", Computer 2009. */
#include "sgd.h"

#include <math.h>

#include "../base/memory.h"
#include "../base/random.h"

typedef struct Sgd {
  SgdOptions options;
  const SparseMatrix *by_user;
  Factors factors;
  int epochs;
} Sgd;

static int sgd_epoch(void *state, FactorizerReport *report, int *done, const Cancel *cancel, Error *error) {
  Sgd *sgd = state;
  const SgdOptions *o = &sgd->options;
  Factors *f = &sgd->factors;
  float rate = (float)(o->learning_rate * pow(o->decay, sgd->epochs)), reg = (float)o->regularization;
  double squared = 0;
  *done = 0;
  for (size_t user = 0; user < f->users; user++) {
    int code = cancel_poll(cancel);
    if (code != SQLITE_OK) return error_set(error, code, "interrupted");
    for (size_t e = sgd->by_user->start[user]; e < sgd->by_user->start[user + 1]; e++) {
      size_t item = sgd->by_user->index[e];
      float wrong = (sgd->by_user->value ? sgd->by_user->value[e] : 1) - factors_predict(f, user, item);
      squared += (double)wrong * (double)wrong;
      for (int lane = 0; lane < o->rank; lane++) {
        float *p = &f->user[user * (size_t)f->stride + (size_t)lane],
              *q = &f->item[item * (size_t)f->stride + (size_t)lane];
        float old = *p;
        *p += rate * (wrong * *q - reg * *p);
        *q += rate * (wrong * old - reg * *q);
      }
      if (!f->user_bias) continue;
      f->user_bias[user] += rate * (wrong - (float)o->bias_regularization * f->user_bias[user]);
      f->item_bias[item] += rate * (wrong - (float)o->bias_regularization * f->item_bias[item]);
    }
  }
  sgd->epochs++;
  report->loss = squared;
  report->train_rmse = sqrt(squared / fmax(1, (double)sgd->by_user->start[f->users]));
  return SQLITE_OK;
}

static const Factors *sgd_factors(void *state) { return &((Sgd *)state)->factors; }

static void sgd_take(void *state, Factors *factors) {
  Sgd *sgd = state;
  *factors = sgd->factors;
  sgd->factors = (Factors){0};
}

static void sgd_destroy(void *state) {
  Sgd *sgd = state;
  factors_free(&sgd->factors);
  memory_free(sgd);
}

int sgd_create(Factorizer *factorizer, const SparseMatrix *by_user, const SgdOptions *options, Error *error) {
  static const FactorizerMethod method = {sgd_epoch, NULL, sgd_factors, sgd_take, sgd_destroy};
  *factorizer = (Factorizer){0};
  Sgd *sgd = memory_alloc_zero(1, sizeof *sgd);
  if (!sgd) return error_no_memory(error);
  sgd->options = *options;
  sgd->by_user = by_user;
  if (factors_alloc(&sgd->factors, by_user->rows, by_user->columns, options->rank, options->biases) != SQLITE_OK) {
    sgd_destroy(sgd);
    return error_no_memory(error);
  }
  Factors *f = &sgd->factors;
  f->mean = options->mean;
  for (size_t row = 0; row < f->users + f->items; row++)
    for (size_t lane = 0; lane < (size_t)options->rank; lane++) {
      double drawn = options->init_scale / sqrt((double)options->rank) *
                     random_normal(options->seed, row * (size_t)options->rank + lane);
      float *at = row < f->users ? f->user + row * (size_t)f->stride : f->item + (row - f->users) * (size_t)f->stride;
      at[lane] = (float)drawn;
    }
  *factorizer = (Factorizer){&method, sgd};
  return SQLITE_OK;
}
