/* Factors begin at a content model's vectors: see start_values.h.
 *
 * With X ≈ U Σ Vᵀ over the model's items, an item begins at its row of U Σ = X V; a user, who is a sum of items, at the
 * same sum of those, in the same space. */
#include "start_values.h"

#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../learn/svd.h"
#include "../model/model.h"
#include "../model/store.h"

enum { MOST_ITERATIONS = 30, USERS_A_BLOCK = 64 * STORE_CHUNK };
#define TOLERANCE 1e-4

typedef struct Init {
  Training *training;
  Model *model;
  ModelItems *items;
  int rank, stride;
  SvdResult svd;
  float *vectors; /* what is wanted */
  size_t found;
} Init;

/* ---- the decomposition ------------------------------------------------------------------------------------------- */

static int decompose(Init *init, const SvdMatrix *matrix, Error *error) {
  const Cancel *cancel = &init->training->interrupt.cancel;
  const SvdOptions options = {
      .rank = init->rank,
      .tolerance = TOLERANCE,
      .iterations = MOST_ITERATIONS,
      .seed = init->training->options->seed,
      .threads = init->training->threads,
  };
  Svd *svd = NULL;
  SvdReport report = {0};
  int code = svd_create(&svd, matrix, &options, error);
  while (code == SQLITE_OK && !report.done) code = svd_iterate(svd, &report, cancel, error);
  if (code == SQLITE_OK) code = svd_finish(svd, &init->svd, cancel, error);
  svd_destroy(svd);
  return error_from_code(error, code);
}

static int decompose_sparse(Init *init, Error *error) {
  const SparseMatrix *vectors = &init->items->postings.vectors;
  const Cancel *cancel = &init->training->interrupt.cancel;
  SparseMatrix transpose = {0};
  SvdSparse sparse = {vectors, &transpose};
  SvdMatrix matrix;
  int code = sparse_transpose(vectors, &transpose, init->training->threads, cancel);
  if (code == SQLITE_OK) code = svd_sparse(&matrix, &sparse, init->training->threads, cancel);
  code = code == SQLITE_OK ? decompose(init, &matrix, error) : error_from_code(error, code);
  sparse_free(&transpose);
  return code;
}

static int decompose_dense(Init *init, Error *error) {
  const ScorePanel *panel = &init->items->panel[HEAD_RANKING];
  float *values = memory_alloc_aligned(panel->count, (size_t)panel->stride * sizeof *values);
  DenseMatrix dense = {values, panel->count, (size_t)panel->stride, (size_t)panel->stride};
  SvdMatrix matrix;
  int code = values ? SQLITE_OK : SQLITE_NOMEM;
  for (size_t item = 0; code == SQLITE_OK && item < panel->count; item++)
    score_panel_get(panel, item, values + item * (size_t)panel->stride);
  if (code == SQLITE_OK) code = svd_dense(&matrix, &dense, init->training->threads, &init->training->interrupt.cancel);
  code = code == SQLITE_OK ? decompose(init, &matrix, error) : error_from_code(error, code);
  memory_free_aligned(values);
  return code;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* A vector for the row of an id, if the training has the id. */
static float *row_of(Init *init, const Dictionary *ids, const Id *id) {
  uint32_t index = dictionary_find(ids, id);
  if (index == DICTIONARY_NONE) return NULL;
  init->found++;
  return init->vectors + index * (size_t)init->stride;
}

static void take_items(Init *init) {
  for (size_t item = 0; item < init->items->ids.count; item++) {
    Id id = dictionary_id(&init->items->ids, item);
    float *to = row_of(init, &init->training->data.items, &id);
    if (to) memcpy(to, init->svd.left + item * (size_t)init->stride, (size_t)init->stride * sizeof *to);
  }
}

/* A user of a sparse model: the sum of their items. Of a dense one: their vector times V. */
static void project_user(const Init *init, const ModelUsers *users, size_t user, float *to) {
  size_t stride = (size_t)init->stride, width = (size_t)shape_stride(&init->items->shape, HEAD_RANKING);
  const PostingsQuery *sum = init->items->shape.sparse ? (const PostingsQuery *)users->queries.each + user : NULL;
  size_t n = sum ? sum->count : width;
  for (size_t i = 0; i < n; i++) {
    float weight = sum ? sum->weight[i] : users->vector[HEAD_RANKING][user * width + i];
    const float *from = sum ? init->svd.left + sum->index[i] * stride : init->svd.right + i * stride;
    for (size_t lane = 0; lane < stride; lane++) to[lane] += weight * from[lane];
  }
}

static int take_users(Init *init, Error *error) {
  int code = model_require(init->model, init->items, ABILITY_RECOMMEND, "mf_train", error);
  for (size_t first = 0; code == SQLITE_OK && (int64_t)first < model_user_count(init->model); first += USERS_A_BLOCK) {
    ModelUsers users;
    code = model_users(init->model, init->items, first, USERS_A_BLOCK, USERS_WITH_IDS, &users, error);
    for (size_t user = 0; code == SQLITE_OK && user < users.count; user++) {
      Id id = dictionary_id(&users.ids, user);
      float *to = row_of(init, &init->training->data.users, &id);
      if (to) project_user(init, &users, user, to);
    }
    users_free(&users);
    if (code == SQLITE_OK) code = error_from_code(error, cancel_poll(&init->training->interrupt.cancel));
  }
  return code;
}

/* Makes the rows as long as `scale` on the average of those that are not zero. */
static void rescale(Init *init, size_t rows, double scale) {
  double squares = 0;
  size_t filled = 0, stride = (size_t)init->stride;
  for (size_t row = 0; row < rows; row++) {
    double square = 0;
    for (size_t lane = 0; lane < stride; lane++)
      square += (double)init->vectors[row * stride + lane] * (double)init->vectors[row * stride + lane];
    squares += square;
    filled += square > 0;
  }
  if (!(squares > 0)) return;
  float factor = (float)(scale / sqrt(squares / (double)filled));
  for (size_t i = 0; i < rows * stride; i++) init->vectors[i] *= factor;
}

int init_vectors(Training *training, const char *name, int of_users, int rank, double scale, float **vectors,
                 Error *error) {
  const char *option = of_users ? "user_init" : "item_init";
  size_t rows = of_users ? training->data.users.count : training->data.items.count;
  Init init = {.training = training, .rank = rank, .stride = factors_stride(rank)};
  *vectors = NULL;
  int code = training_model(training, option, name, ABILITY_TEXT, &init.model, error);
  if (code == SQLITE_OK) code = model_begin(init.model, &init.items, error);
  if (code != SQLITE_OK) return code;
  if (!shape_can(&init.items->shape, ABILITY_TEXT))
    code = error_set(
        error, SQLITE_ERROR,
        "mf_train: option \"%s\" must name a model of content, made by tfidf_train, but \"%s\" was trained on ratings",
        option, name);
  init.vectors = memory_alloc_aligned(rows, (size_t)init.stride * sizeof *init.vectors);
  if (code == SQLITE_OK && !init.vectors) code = error_no_memory(error);
  if (code == SQLITE_OK)
    code = init.items->shape.sparse ? decompose_sparse(&init, error) : decompose_dense(&init, error);
  if (code == SQLITE_OK && of_users) code = take_users(&init, error);
  if (code == SQLITE_OK && !of_users) take_items(&init);
  model_end(init.model);
  items_release(init.items);
  svd_result_free(&init.svd);
  if (code == SQLITE_OK && init.found == 0)
    code =
        error_set(error, SQLITE_ERROR,
                  "mf_train: option \"%s\": model \"%s\" has none of the %s of the ratings: are their ids of the same "
                  "type?",
                  option, name, of_users ? "users" : "items");
  if (code == SQLITE_OK) {
    rescale(&init, rows, scale);
    *vectors = init.vectors;
  } else {
    memory_free_aligned(init.vectors);
  }
  return code;
}
