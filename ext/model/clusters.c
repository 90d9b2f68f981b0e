/* Reading clusters: see clusters.h. */
#include "clusters.h"

#include "../base/bytes.h"
#include "../base/memory.h"
#include "store.h"

/* The blob of a row of m_weight, borrowed until the statement is stepped again. */
static int read_weight(Reader *reader, sqlite3_stmt *statement, const char *kind, size_t number, size_t size,
                       const void **blob, Error *error) {
  char name[48];
  sqlite3_snprintf(sizeof name, name, "%s/%lld", kind, (sqlite3_int64)number);
  sqlite3_reset(statement);
  int code = sqlite3_bind_text(statement, 1, name, -1, SQLITE_TRANSIENT);
  if (code != SQLITE_OK) return error_from_database(error, reader->db, code, NULL);
  code = reader_step(reader, statement, error);
  if (code == SQLITE_DONE) code = shadow_damaged(error, reader->name, "%s is missing", name);
  return code == SQLITE_ROW ? reader_blob(reader, statement, 0, size, name, blob, error) : code;
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
  sqlite3_stmt *statement = NULL;
  size_t members = cluster_members(&items->shape, (size_t)model->users, items->ids.count);
  *clusters = (ModelClusters){.members = members,
                              .cluster = memory_alloc(members, sizeof *clusters->cluster),
                              .distance = memory_alloc(members, sizeof *clusters->distance)};
  int code = clusters->cluster && clusters->distance ? SQLITE_OK : error_no_memory(error);
  if (code == SQLITE_OK) code = reader_statement(reader, STATEMENT_WEIGHT, &statement, error);
  for (size_t first = 0; first < members && code == SQLITE_OK; first += STORE_MEMBERS) {
    size_t n = members - first < STORE_MEMBERS ? members - first : STORE_MEMBERS;
    const void *blob = NULL;
    code = read_weight(reader, statement, "cluster", first / STORE_MEMBERS, 8 * n, &blob, error);
    if (code == SQLITE_OK && blob)
      code = read_members(reader, &items->shape, blob, n, clusters->cluster + first, clusters->distance + first, error);
  }
  if (statement) sqlite3_reset(statement);
  return code;
}

void clusters_free(ModelClusters *clusters) {
  memory_free(clusters->cluster);
  memory_free(clusters->distance);
  *clusters = (ModelClusters){0};
}

int model_check_centroids(Model *model, const ModelItems *items, Error *error) {
  Reader *reader = &model->reader;
  sqlite3_stmt *statement = NULL;
  size_t columns = (size_t)items->shape.cluster_columns;
  float number;
  int code = reader_statement(reader, STATEMENT_WEIGHT, &statement, error);
  for (size_t c = 0; c < (size_t)items->shape.clusters && code == SQLITE_OK; c++) {
    const void *blob = NULL;
    code = read_weight(reader, statement, "centroid", c, 4 * columns, &blob, error);
    for (size_t i = 0; i < columns && code == SQLITE_OK; i++)
      code = reader_floats(reader, (const char *)blob + 4 * i, 1, "a centroid", &number, error);
  }
  if (statement) sqlite3_reset(statement);
  return code;
}
