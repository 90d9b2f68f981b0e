/* The family mf: matrix factorization. */
#ifndef RECOMMEND_TRAIN_MF_TRAIN_H
#define RECOMMEND_TRAIN_MF_TRAIN_H

#include "training.h"

extern const Family mf_family;

#endif
