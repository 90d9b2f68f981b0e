/* The family mf: matrix factorization. */
#ifndef RECOMMEND_API_MF_H
#define RECOMMEND_API_MF_H

#include "train.h"

extern const Family mf_family;

#endif
