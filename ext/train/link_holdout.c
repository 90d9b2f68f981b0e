/* Testing links on what was held out: see link_holdout.h. */
#include "link_holdout.h"

#include <math.h>

#include "../base/memory.h"
#include "ranking_holdout.h"

int links_test(Training *training, const Links *links, int weighted, double *test, Error *error) {
  const SparseMatrix *by_user = &training->data.by_user;
  if (training->values != VALUES_RATINGS && training_likes(training, &by_user, error) != SQLITE_OK) return error->code;
  Holdout holdout;
  *test = NAN;
  if (!training->data.held_out.start) return SQLITE_OK;
  int code = holdout_choose(training, &holdout);
  PostingsQuery *query = memory_alloc(holdout.count, sizeof *query);
  if (!query) code = SQLITE_NOMEM;
  for (size_t i = 0; code == SQLITE_OK && i < holdout.count; i++) {
    size_t first = by_user->start[holdout.user[i]];
    query[i] = (PostingsQuery){.index = by_user->index + first,
                               .weight = weighted && by_user->value ? by_user->value + first : NULL,
                               .count = sparse_row_length(by_user, holdout.user[i]),
                               .of_items = 1};
  }
  const Scorer scorer = links_scorer(links);
  const Queries queries = {.count = holdout.count, .each = query};
  code = code == SQLITE_OK ? holdout_judge(training, &holdout, &scorer, &queries, test, error) : error_no_memory(error);
  memory_free(query);
  holdout_free(&holdout);
  return code;
}

ModelShape item_links_shape(const Interactions *data, const ModelKind *kind, LinkKind links, int of_ratings) {
  return (ModelShape){
      .kind = kind,
      .score_head = HEAD_RANKING,
      .prediction_head = -1,
      .minimum = data->minimum,
      .maximum = data->maximum,
      .average = data->mean,
      .rated = of_ratings && data->explicit_ratings,
      .links = links,
      .profile = of_ratings ? PROFILE_RATING : PROFILE_MEAN,
  };
}
