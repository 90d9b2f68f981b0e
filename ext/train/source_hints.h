/* The summary's "hints": what looks wrong in a source without being an error. */
#ifndef RECOMMEND_TRAIN_SOURCE_HINTS_H
#define RECOMMEND_TRAIN_SOURCE_HINTS_H

#include "training.h"

/* Looks at the source of training->data: at what its columns are declared to be. */
int hint_source(Training *training, const Source *source, Error *error);

/* Looks at training->data, the algorithm being known. */
int hint_data(Training *training, Error *error);

#endif
