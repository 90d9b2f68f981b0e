/* One user's items in order: what recommend() and the model table both hand out. */
#ifndef RECOMMEND_ANSWER_RANKING_H
#define RECOMMEND_ANSWER_RANKING_H

#include "../model/model.h"

typedef enum SeenFilter { SEEN_OR_NOT, UNSEEN_ONLY, SEEN_ONLY, SEEN_NEITHER } SeenFilter;

/* What is to be ranked, and how. Everything is borrowed, and only until ranking_start returns. */
typedef struct RankingRequest {
  const ModelItems *items;
  const ModelUser *user;        /* NULL: by popularity, the score being how many like the item … */
  const Popularity *popularity; /* … in this */
  const History *history;       /* what the user has seen; NULL: nothing */
  SeenFilter seen;
  int has_candidates;
  const uint32_t *candidates; /* the set to choose from, ascending and distinct */
  size_t candidate_count;
  int best_first; /* else in order of item */
  int64_t limit;  /* with best_first: no more than this will be read */
  int threads;
  const Cancel *cancel;
} RankingRequest;

typedef struct Ranking {
  Scored *entries; /* those handed out already stand behind `left`, if they come best first */
  size_t count, left, position;
  int heaped;    /* entries[0 … left-1] is a heap, of which the best comes next */
  double offset; /* of every score */
} Ranking;

/* Computes the scores. SQLITE_OK, SQLITE_NOMEM or what cancel says. The ranking must be freed in either case. */
int ranking_start(Ranking *ranking, const RankingRequest *request);

int ranking_at_end(const Ranking *ranking);
void ranking_next(Ranking *ranking);
void ranking_rewind(Ranking *ranking);

/* The current entry: not at the end. */
uint32_t ranking_item(const Ranking *ranking);
double ranking_score(const Ranking *ranking);

void ranking_free(Ranking *ranking); /* cleared is fine; leaves it cleared */

/* The indexes of candidate ids, ascending and distinct; unknown ids are left out. *candidates is from memory_alloc.
 * SQLITE_OK or SQLITE_NOMEM. */
int ranking_candidates(const ModelItems *items, sqlite3_value **ids, size_t count, uint32_t **candidates,
                       size_t *found);

#endif
