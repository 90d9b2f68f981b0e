/* The interface of all algorithms that factorize a matrix: each is created from the matrix and its own options, fits
 * epoch by epoch, and hands over Factors. Each X.h declares X_create(), which fills in a Factorizer. */
#ifndef RECOMMEND_LEARN_FACTORIZER_H
#define RECOMMEND_LEARN_FACTORIZER_H

#include "../base/cancel.h"
#include "../base/error.h"
#include "../base/factors.h"

typedef struct FactorizerReport {
  double loss; /* what the method minimises, at the end of the epoch, or summed up during it; exact after finish */
  double train_rmse; /* over the observed cells; NaN where predictions are no ratings */
} FactorizerReport;

typedef struct FactorizerMethod {
  /* One epoch; *done where there is nothing left to do, whatever the number of epochs asked for. CODE_ERROR where
   * factors are no longer finite, CODE_NOMEM, or what cancel says; then it can only be destroyed. */
  int (*epoch)(void *state, FactorizerReport *report, int *done, const Cancel *cancel, Error *error);
  /* What is to be done once, after the last epoch, and changes the report; NULL: nothing. */
  int (*finish)(void *state, FactorizerReport *report, const Cancel *cancel, Error *error);
  /* As they stand; owned by the method. NULL: there are none before finish(). */
  const Factors *(*factors)(void *state);
  void (*take)(void *state, Factors *factors); /* hands them over; then it can only be destroyed */
  void (*destroy)(void *state);
} FactorizerMethod;

typedef struct Factorizer {
  const FactorizerMethod *method; /* NULL: there is none */
  void *state;
  double start_loss; /* about what the loss is before anything is learnt, rather too high; 0: not known */
} Factorizer;

#endif
