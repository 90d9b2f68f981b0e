/* Users who are vectors, as queries for the panel of the score head: what factors, dense content, clusters and, with
 * biases alone, baselines share. */
#ifndef RECOMMEND_MODEL_KINDS_VECTOR_QUERIES_H
#define RECOMMEND_MODEL_KINDS_VECTOR_QUERIES_H

#include "../prediction.h"

Scorer vectors_scorer(const ModelItems *items); /* ModelKind.scorer */
int vector_queries(Model *model, const ModelItems *items, ModelUsers *users, const Cancel *cancel,
                   Error *error); /* ModelKind.queries */

int predict_vectors(Predictor *predictor, uint32_t item, double *rating, Error *error); /* ModelKind.predict */

/* ModelKind.nearest_items: by the cosine. */
int nearest_vectors(const ModelItems *items, const float *weight, uint32_t first, size_t count, size_t k, Scored *best,
                    size_t *found, int threads, const Cancel *cancel);

#endif
