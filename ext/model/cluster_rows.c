/* Reading clusters: see cluster_rows.h. */
#include "cluster_rows.h"

#include "../base/bytes.h"
#include "../base/memory.h"
#include "store.h"

/* The blob "<kind>/<number>" of m_weight, borrowed until the next. */
static int read_weight(Reader *reader, const char *kind, size_t number, size_t size, const void **blob, Error *error) {
  char name[48], missing[64];
  sqlite3_snprintf(sizeof name, name, "%s/%lld", kind, (sqlite3_int64)number);
  sqlite3_snprintf(sizeof missing, missing, "%s is missing", name);
  return reader_weight(reader, name, size, missing, name, blob, error);
}

static int read_members(Reader *reader, const ModelShape *shape, const char *blob, size_t n, uint32_t *cluster,
                        float *distance, Error *error) {
  int right = 1;
  bytes_copy_words(cluster, blob, n);
  int code = reader_floats(reader, blob + 4 * n, n, "a distance from a centroid", distance, error);
  for (size_t i = 0; i < n; i++) right = right && cluster[i] < (uint32_t)shape->clusters && distance[i] >= 0;
  if (code != SQLITE_OK || right) return code;
  return shadow_damaged(error, reader->name, "a member is in no cluster");
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
    code = read_weight(reader, "cluster", first / STORE_MEMBERS, 8 * n, &blob, error);
    if (code == SQLITE_OK && blob)
      code = read_members(reader, &items->shape, blob, n, clusters->cluster + first, clusters->distance + first, error);
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
    code = read_weight(reader, "centroid", c, 4 * columns, &blob, error);
    for (size_t i = 0; i < columns && code == SQLITE_OK; i++)
      code = reader_floats(reader, (const char *)blob + 4 * i, 1, "a centroid", &number, error);
  }
  return code;
}
