/* What the algorithms als and ials have in common: see mf_alternating.c. */
#ifndef RECOMMEND_TRAIN_MF_ALTERNATING_H
#define RECOMMEND_TRAIN_MF_ALTERNATING_H

#include "mf_learners.h"

/* As the members of MfLearner; `implicit`: from feedback. */
void mf_plan_alternating(const Training *training, const MfOptions *options, int implicit, MfPlan *plan);
int mf_create_alternating(Factorizer *factorizer, Training *training, const MfPlan *plan, Error *error);
void mf_describe_alternating(const MfPlan *plan, sqlite3_str *json);
void mf_describe_all_alternating(const MfOptions *options, sqlite3_str *json);

/* Rows of both tables of options. */
#define MF_NU(json)                                                                        \
  {                                                                                        \
    .name = "nu", .type = OPTION_BY_HEAD, MF_AT(nu), .maximum = 1, .otherwise = json,      \
    .meaning = "ν: λ counts n^ν times for a user or item with n ratings; by head as λ" \
  }
#define MF_UNOBSERVED_WEIGHT(words)                                                                              \
  {                                                                                                              \
    .name = "unobserved_weight", .type = OPTION_NUMBER, MF_AT(unobserved_weight), .maximum = 1e6, .rule = words, \
    .meaning = "w₀, the weight of a missing cell in the ranking head"                                          \
  }
#define MF_ALTERNATING_OPTIONS                                                                      \
  {.name = "unobserved",                                                                            \
   .type = OPTION_CHOICE,                                                                           \
   MF_AT(unobserved),                                                                               \
   .choices = "missing|all",                                                                        \
   .otherwise = "\"missing\"",                                                                      \
   .meaning = "where w₀ counts: on the missing cells, or on all"},                                  \
      {.name = "solver",                                                                            \
       .type = OPTION_CHOICE,                                                                       \
       MF_AT(solver),                                                                               \
       .choices = "cg|cholesky",                                                                    \
       .otherwise = "\"cg\"",                                                                       \
       .meaning = "conjugate gradients, begun where the last epoch ended, or exact"},               \
      {.name = "nonnegative",                                                                       \
       .type = OPTION_BOOLEAN,                                                                      \
       MF_AT(nonnegative),                                                                          \
       .otherwise = "false",                                                                        \
       .meaning = "factors ≥ 0"},                                                                   \
      {.name = "user_init",                                                                         \
       .type = OPTION_TEXT,                                                                         \
       MF_AT(user_init),                                                                            \
       .meaning = "a model of content that knows the users, whose vectors their factors begin at"}, \
  {                                                                                                 \
    .name = "item_init", .type = OPTION_TEXT, MF_AT(item_init),                                     \
    .meaning = "a model of content that knows the items, whose vectors their factors begin at"      \
  }

#endif
