/* A trained model in memory: see trained.h. */
#include "trained.h"

#include "../base/memory.h"

const char *const head_names[HEADS] = {"rating", "ranking"};

void trained_free(TrainedModel *model) {
  dictionary_free(&model->users);
  dictionary_free(&model->items);
  sparse_free(&model->history);
  memory_free(model->user_count);
  memory_free(model->item_count);
  for (int head = 0; head < HEADS; head++) factors_free(&model->heads[head]);
  sqlite3_free(model->source);
  sqlite3_free(model->source_schema);
  sqlite3_free(model->options);
  sqlite3_free(model->resolved);
  sqlite3_free(model->metrics);
  *model = (TrainedModel){0};
}

double shape_clip(const ModelShape *shape, double prediction) {
  if (!shape->clip) return prediction;
  return prediction < shape->minimum ? shape->minimum : prediction > shape->maximum ? shape->maximum : prediction;
}
