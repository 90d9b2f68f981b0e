/* recommend_clusters(model): id, cluster, distance of everything that a model of kmeans_train has put into clusters, in
 * order of id. Clusters are numbered from 0. */
#include "../model/cluster_rows.h"

#include "arguments.h"
#include "register.h"

typedef struct ClusterList {
  Reading reading;
  ModelClusters clusters;
  int of_items;
  sqlite3_value *id; /* of the current row, if its member is a user */
} ClusterList;

static int read_member(TableCall *call, Error *error) {
  ClusterList *list = call->state;
  Model *model = NULL;
  sqlite3_value_free(list->id);
  list->id = NULL;
  if (list->of_items || call->row >= call->rows) return SQLITE_OK;
  int code = reading_resume(&list->reading, &model, error);
  if (code != SQLITE_OK) return code;
  code = model_user_row(model, (uint32_t)call->row, &list->id, NULL, error);
  model_end(model);
  return code;
}

static int clusters_start(TableCall *call, Error *error) {
  ClusterList *list = call->state;
  Model *model = argument_reading(call, 0, ABILITY_CLUSTERS, &list->reading, error);
  if (!model) return error->code;
  const ModelShape *shape = &list->reading.items->shape;
  int code = model_require(model, list->reading.items, ABILITY_CLUSTERS, call->function->name, error);
  if (code == SQLITE_OK) code = model_clusters(model, list->reading.items, &list->clusters, error);
  model_end(model);
  if (code != SQLITE_OK) return code;
  list->of_items = shape->cluster_side == CLUSTER_ITEMS;
  call->rows = (int64_t)list->clusters.members;
  return read_member(call, error);
}

static void clusters_column(const TableCall *call, sqlite3_context *context, int which) {
  const ClusterList *list = call->state;
  switch (which) {
    case 0:
      if (list->of_items)
        result_id(context, &list->reading.items->ids, (size_t)call->row);
      else
        sqlite3_result_value(context, list->id);
      break;
    case 1: sqlite3_result_int64(context, list->clusters.cluster[call->row]); break;
    case 2: sqlite3_result_double(context, (double)list->clusters.distance[call->row]); break;
  }
}

static void clusters_end(TableCall *call) {
  ClusterList *list = call->state;
  sqlite3_value_free(list->id);
  clusters_free(&list->clusters);
  reading_end(&list->reading);
  *list = (ClusterList){0};
}

static const TableFunction clusters_function = {
    .name = "recommend_clusters",
    .schema = "CREATE TABLE x(id, cluster INTEGER, distance REAL, _model HIDDEN)",
    .usage = "recommend_clusters([model])",
    .outputs = 3,
    .arguments = 1,
    .rows = 5000,
    .cost = 5000,
    .state_size = sizeof(ClusterList),
    .start = clusters_start,
    .rewind = read_member,
    .next = read_member,
    .column = clusters_column,
    .end = clusters_end,
};

int recommend_clusters_register(Connection *connection) {
  return table_function_register(connection, &clusters_function);
}
