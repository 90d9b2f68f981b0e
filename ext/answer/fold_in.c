/* Folding in: see fold_in.h. */
#include "fold_in.h"

#include <string.h>

#include "../base/memory.h"
#include "../model/store.h"

int fold_user_row(ModelItems *items, const float *new_item, const History *history, float *row, const Cancel *cancel,
                  Error *error) {
  const ModelShape *shape = &items->shape;
  return error_from_code(error, shape->kind->fold_user(items, (Profile)shape->profile, new_item, history, row, cancel));
}

int fold_user(Model *model, ModelItems *items, Profile profile, History *history, ModelUser *user, const Cancel *cancel,
              Error *error) {
  const ModelShape *shape = &items->shape;
  *user = (ModelUser){.index = (uint32_t)model_user_count(model)};
  int code = SQLITE_OK;
  if (shape_has_panel(shape, shape->score_head)) {
    float *row = memory_alloc_zero(store_row_floats(shape), sizeof *row);
    code = row ? shape->kind->fold_user(items, profile, NULL, history, row, cancel) : SQLITE_NOMEM;
    if (code == SQLITE_OK) code = user_from_row(shape, row, user);
    error_from_code(error, code);
    memory_free(row);
  }
  return code == SQLITE_OK ? user_make_query(model, items, profile, history, user, cancel, error) : code;
}

int fold_item_row(Model *model, const ModelItems *items, const ModelUser *user, float rating, float *row,
                  const Cancel *cancel, Error *error) {
  const ModelKind *kind = items->shape.kind;
  return kind->fold_item ? kind->fold_item(model, items, user, rating, row, cancel, error) : SQLITE_OK;
}

int fold_contributions(ModelItems *items, const ModelUser *user, const History *history, uint32_t item,
                       double *contribution, const Cancel *cancel, Error *error) {
  const ModelKind *kind = items->shape.kind;
  memset(contribution, 0, history->count * sizeof *contribution);
  if (!kind->contributions) return SQLITE_OK;
  return error_from_code(error, kind->contributions(items, user, history, item, contribution, cancel));
}
