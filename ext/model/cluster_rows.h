/* Which cluster each member of a model of clusters is in: read when it is asked for. See blobs.c for the bytes. */
#ifndef RECOMMEND_MODEL_CLUSTER_ROWS_H
#define RECOMMEND_MODEL_CLUSTER_ROWS_H

#include "model.h"

typedef struct ModelClusters {
  size_t members;    /* users or items, as shape.cluster_side says, in order of their indexes */
  uint32_t *cluster; /* owned; below shape.clusters */
  float *distance;   /* owned; from the centroid, not squared */
} ModelClusters;

/* Of a model that has begun and has clusters. SQLITE_CORRUPT_VTAB for damage; to be freed in either case. */
int model_clusters(Model *model, const ModelItems *items, ModelClusters *clusters, Error *error);
void clusters_free(ModelClusters *clusters); /* cleared is fine; leaves it cleared */

/* Reads the centroids, and looks whether they are sound. */
int model_check_centroids(Model *model, const ModelItems *items, Error *error);

#endif
