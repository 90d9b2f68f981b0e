/* Vectors of users as queries: see vector_queries.h. */
#include "vector_queries.h"

#include "../../base/memory.h"
#include "../../base/parallel.h"

Scorer vectors_scorer(const ModelItems *items) { return score_panel_scorer(&items->panel[items->shape.score_head]); }

/* Are all factors zero? Where there are none there was nothing to be learned. */
static int is_blank(const float *vector, int rank) {
  for (int lane = 0; lane < rank; lane++)
    if (vector[lane] != 0) return 0;
  return rank > 0;
}

int vector_queries(Model *model, const ModelItems *items, ModelUsers *users, const Cancel *cancel, Error *error) {
  (void)model, (void)cancel, (void)error;
  const ModelShape *shape = &items->shape;
  const float *vector = users->vector[shape->score_head];
  size_t stride = (size_t)shape_stride(shape, shape->score_head);
  for (size_t user = 0; user < users->count; user++)
    users->blank[user] = (uint8_t)is_blank(vector + user * stride, shape->rank[shape->score_head]);
  users->queries = (Queries){users->count, vector};
  return SQLITE_OK;
}

int predict_vectors(Predictor *predictor, uint32_t item, double *rating, Error *error) {
  (void)error;
  const ScorePanel *panel = &predictor->items->panel[predictor->items->shape.prediction_head];
  *rating = (double)score_panel_score(panel, item, predictor->user.vector) + predictor->user.offset;
  return SQLITE_OK;
}

/* ---- nearest items ----------------------------------------------------------------------------------------------- */

typedef struct NearestVectors {
  const ModelItems *items;
  const float *weight;
  uint32_t first;
  size_t k;
  Scored *best;
  size_t *found;
} NearestVectors;

/* All products of one item, made cosines. */
static int nearest_to_vector(void *context, size_t block, int worker) {
  (void)worker;
  const NearestVectors *work = context;
  const ModelItems *items = work->items;
  uint32_t item = work->first + (uint32_t)block;
  /* Added and taken off again, a bias would swallow the digits of small products. */
  ScorePanel unbiased = items->panel[items->shape.score_head];
  unbiased.bias = NULL;
  const Scorer scorer = score_panel_scorer(&unbiased);
  float *vector = memory_alloc_aligned((size_t)unbiased.stride, sizeof *vector);
  float *scores = memory_alloc_aligned(scorer_room(&scorer), sizeof *scores);
  int code = vector && scores ? SQLITE_OK : SQLITE_NOMEM;
  if (code == SQLITE_OK) {
    TopK top;
    top_k_init(&top, work->best + block * work->k, work->k);
    score_panel_get(&unbiased, item, vector);
    score_panel_scores(&unbiased, vector, scores);
    for (uint32_t other = 0; other < unbiased.count; other++) {
      float weight = items_neighbor_weight(items, work->weight, other);
      if (other == item || weight < 0) continue;
      top_k_offer(&top, cosine_of(scores[other], items->norm[item], items->norm[other]) * weight, other);
    }
    work->found[block] = top_k_sort(&top);
  }
  memory_free_aligned(vector);
  memory_free_aligned(scores);
  return code;
}

int nearest_vectors(const ModelItems *items, const float *weight, uint32_t first, size_t count, size_t k, Scored *best,
                    size_t *found, int threads, const Cancel *cancel) {
  NearestVectors work = {items, weight, first, k, best, found};
  return parallel_for(threads, count, nearest_to_vector, &work, cancel);
}
