/* What the algorithms that descend along the rating head's loss have in common: see mf_descent.c. */
#ifndef RECOMMEND_TRAIN_MF_DESCENT_H
#define RECOMMEND_TRAIN_MF_DESCENT_H

#include "mf_learners.h"

/* Where the factors begin and their penalty, and what of the plan follows from these: `regularization` and `init_scale`
 * are the defaults of ratings whose unit is 1. */
void mf_plan_descent(const Training *training, const MfOptions *options, double regularization, double init_scale,
                     MfPlan *plan, DescentStart *start, DescentPenalty *penalty);

/* The members that all of them resolve. */
void mf_describe_descent(const DescentStart *start, const DescentPenalty *penalty, double learning_rate, double decay,
                         sqlite3_str *json);

/* What every learner's row says that predicts ratings alone. */
#define MF_PREDICTS .feedback = FEEDBACK_RATINGS, .fits = {[HEAD_RATING] = 1}, .predicts = 1

#endif
