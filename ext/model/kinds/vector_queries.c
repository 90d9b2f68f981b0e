/* Vectors of users as queries: see vector_queries.h. */
#include "vector_queries.h"

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
