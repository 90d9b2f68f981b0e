/* Reading clusters: see cluster_rows.h. */
#include "cluster_rows.h"

#include "../base/memory.h"
#include "blobs.h"
#include "store.h"

static int read_members(Reader *reader, sqlite3_stmt *row, const ModelShape *shape, const void *blob, size_t n,
                        uint32_t *cluster, float *distance, Error *error) {
  int code = blob_get_members(reader, row, blob, n, cluster, distance, error);
  for (size_t i = 0; i < n && code == SQLITE_OK; i++)
    if (cluster[i] >= (uint32_t)shape->clusters || distance[i] < 0)
      code =
          reader_damaged(reader, row, 1, error, "expected members of %d clusters, found cluster %u at a distance of %g",
                         shape->clusters, cluster[i], (double)distance[i]);
  return code;
}

int model_clusters(Model *model, const ModelItems *items, ModelClusters *clusters, Error *error) {
  Reader *reader = &model->reader;
  *clusters = (ModelClusters){0};
  int code = model_count_users(model, error);
  if (code != SQLITE_OK) return code;
  size_t members = cluster_members(&items->shape, (size_t)model->users, items->ids.count);
  *clusters = (ModelClusters){.members = members,
                              .cluster = memory_alloc(members, sizeof *clusters->cluster),
                              .distance = memory_alloc(members, sizeof *clusters->distance)};
  code = clusters->cluster && clusters->distance ? SQLITE_OK : error_no_memory(error);
  for (size_t first = 0; first < members && code == SQLITE_OK; first += STORE_MEMBERS) {
    size_t n = members - first < STORE_MEMBERS ? members - first : STORE_MEMBERS;
    const void *blob = NULL;
    sqlite3_stmt *row = NULL;
    code = reader_weight(reader, "cluster", first / STORE_MEMBERS, blob_members_size(n), &row, &blob, error);
    if (code == SQLITE_OK && blob)
      code = read_members(reader, row, &items->shape, blob, n, clusters->cluster + first, clusters->distance + first,
                          error);
  }
  return code;
}

void clusters_free(ModelClusters *clusters) {
  memory_free(clusters->cluster);
  memory_free(clusters->distance);
  *clusters = (ModelClusters){0};
}

int model_check_centroids(Model *model, const ModelItems *items, Error *error) {
  Reader *reader = &model->reader;
  size_t columns = (size_t)items->shape.cluster_columns;
  float number;
  int code = SQLITE_OK;
  for (size_t c = 0; c < (size_t)items->shape.clusters && code == SQLITE_OK; c++) {
    const void *blob = NULL;
    sqlite3_stmt *row = NULL;
    code = reader_weight(reader, "centroid", c, blob_floats_size(columns), &row, &blob, error);
    for (size_t i = 0; i < columns && code == SQLITE_OK; i++)
      code = blob_get_floats(reader, row, 1, blob, i, 1, "numbers", &number, error);
  }
  return code;
}
