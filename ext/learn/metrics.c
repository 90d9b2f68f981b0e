/* Errors and ranking metrics.
 *
 * With r_1 < r_2 < … the ranks, from 1, of a user's n relevant items among the candidates (ties by item index; relevant
 * items that the model has never seen have no rank), and hits(k) the number of r_j ≤ k (Manning, Raghavan & Schütze,
 * "Introduction to Information Retrieval", ch. 8; Järvelin & Kekäläinen 2002 for NDCG):
 *
 *   precision@k = hits(k) / k                           recall@k   = hits(k) / n, or / min(k, n)
 *   map@k       = Σ_{r_j ≤ k} (j / r_j) / min(k, n)      mrr@k      = 1 / r_1 if r_1 ≤ k, else 0
 *   ndcg@k      = Σ_{r_j ≤ k} 1 / log2(1 + r_j) / Σ_{j ≤ min(k, n)} 1 / log2(1 + j)
 *   hit_rate@k  = 1 if hits(k) > 0, else 0              novelty@k  = mean of −log2 popularity of the first k
 *   auc         = share of (relevant, not relevant) pairs of candidates in the right order; a tie counts half
 *
 * and each is averaged over the users who have a relevant item. */
#include "metrics.h"

#include <math.h>
#include <string.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"

/* ---- predicted ratings ------------------------------------------------------------------------------------------- */

void rating_errors_add(RatingErrors *errors, double predicted, double actual) {
  double difference = predicted - actual;
  errors->squares += difference * difference;
  errors->absolutes += fabs(difference);
  errors->within += fabs(difference) <= 0.5;
  errors->count++;
}

RatingErrors rating_errors_of(const Factors *factors, const SparseMatrix *cells, double minimum, double maximum) {
  RatingErrors errors = {0};
  for (size_t user = 0; user < cells->rows; user++)
    for (size_t e = cells->start[user]; e < cells->start[user + 1]; e++) {
      double predicted = (double)factors_predict(factors, user, cells->index[e]);
      predicted = predicted < minimum ? minimum : predicted > maximum ? maximum : predicted;
      rating_errors_add(&errors, predicted, (double)sparse_value(cells, e));
    }
  return errors;
}

double rating_rmse(const RatingErrors *errors) {
  return errors->count ? sqrt(errors->squares / (double)errors->count) : NAN;
}

/* ---- one user's list --------------------------------------------------------------------------------------------- */

/* What one user adds. */
typedef struct UserScores {
  double value[RANKING_METRICS][METRICS_MOST_K];
  double auc;
  int judged, auc_judged;
} UserScores;

static int is_excluded(const Excluded *excluded, uint32_t item) {
  size_t low = 0, high = excluded ? excluded->count : 0;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (excluded->index[middle] < item)
      low = middle + 1;
    else
      high = middle;
  }
  return excluded && low < excluded->count && excluded->index[low] == item;
}

/* How many of the sorted relevant entries (best first) come before (score, item). */
static size_t relevant_before(const Scored *relevant, size_t count, float score, uint32_t item) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (relevant[middle].score > score || (relevant[middle].score == score && relevant[middle].index < item))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Turns the sorted relevant entries into ranks. before[j] counts the other candidates that fall just before relevant
 * entry j (and after entry j-1). Returns the AUC's numerator, and the number of other candidates. */
static double rank_relevant(const float *scores, const Scorer *scorer, const Excluded *excluded, const Scored *relevant,
                            size_t count, size_t *before, size_t *others) {
  size_t items = scorer->count, next_excluded = 0, next_gone = 0;
  double ties = 0;
  memset(before, 0, (count + 1) * sizeof *before);
  *others = 0;
  for (uint32_t item = 0; item < items; item++) {
    int is_gone = next_gone < scorer->gone.count && scorer->gone.index[next_gone] == item;
    int is_seen = excluded && next_excluded < excluded->count && excluded->index[next_excluded] == item;
    next_gone += (size_t)is_gone;
    next_excluded += (size_t)is_seen;
    if (is_gone || is_seen) continue;
    size_t place = relevant_before(relevant, count, scores[item], item);
    if (place < count && relevant[place].index == item) continue;
    before[place]++;
    ++*others;
    /* Equal scores lie on both sides of the place. */
    for (size_t j = place; j > 0 && relevant[j - 1].score == scores[item]; j--) ties += 0.5;
    for (size_t j = place; j < count && relevant[j].score == scores[item]; j++) ties -= 0.5;
  }
  double right = 0;
  size_t above = 0;
  for (size_t j = 0; j < count; j++) {
    above += before[j];
    right += (double)(*others - above);
  }
  return right - ties;
}

static void judge_at(const size_t *rank, size_t ranked, size_t relevant, int k, int recall_by_shorter, int slot,
                     UserScores *user) {
  size_t shorter = relevant < (size_t)k ? relevant : (size_t)k;
  double gain = 0, ideal = 0, precisions = 0;
  size_t hits = 0;
  for (; hits < ranked && rank[hits] <= (size_t)k; hits++) {
    gain += 1 / log2(1 + (double)rank[hits]);
    precisions += (double)(hits + 1) / (double)rank[hits];
  }
  for (size_t j = 1; j <= shorter; j++) ideal += 1 / log2(1 + (double)j);
  user->value[METRIC_PRECISION][slot] = (double)hits / k;
  user->value[METRIC_RECALL][slot] = (double)hits / (double)(recall_by_shorter ? shorter : relevant);
  user->value[METRIC_MAP][slot] = precisions / (double)shorter;
  user->value[METRIC_NDCG][slot] = gain / ideal;
  user->value[METRIC_MRR][slot] = hits ? 1 / (double)rank[0] : 0;
  user->value[METRIC_HIT_RATE][slot] = hits > 0;
}

/* ---- a block of users -------------------------------------------------------------------------------------------- */

typedef struct Judging {
  const Scorer *scorer;
  const RankingUsers *users;
  const RankingProtocol *protocol;
  UserScores *result; /* one a user */
  const Scored *best; /* longest lists of each user, for novelty and coverage, or NULL */
  const size_t *found;
  size_t longest;
} Judging;

static int judge_user(void *context, size_t index, int worker) {
  (void)worker;
  const Judging *judging = context;
  const RankingUsers *users = judging->users;
  const RankingProtocol *protocol = judging->protocol;
  const Excluded *excluded = users->excluded ? &users->excluded[index] : NULL;
  const Excluded *relevant = &users->relevant[index];
  size_t unknown = users->unknown ? users->unknown[index] : 0;
  UserScores *result = &judging->result[index];
  if (relevant->count + unknown == 0) return CODE_OK;

  float *scores = memory_alloc_aligned(scorer_room(judging->scorer), sizeof *scores);
  Scored *ranked = memory_alloc(relevant->count, sizeof *ranked);
  size_t *rank = memory_alloc(relevant->count + 1, sizeof *rank);
  int code = scores && ranked && rank ? CODE_OK : CODE_NOMEM;
  if (code == CODE_OK)
    code = scorer_scores(judging->scorer, scorer_query(judging->scorer, &users->queries, index), scores);
  if (code == CODE_OK) {
    size_t count = 0, others = 0, above = 0;
    for (size_t i = 0; i < relevant->count; i++)
      if (!is_excluded(excluded, relevant->index[i]))
        ranked[count++] = (Scored){scores[relevant->index[i]], relevant->index[i]};
    scored_sort(ranked, count);
    double right = rank_relevant(scores, judging->scorer, excluded, ranked, count, rank, &others);
    for (size_t j = 0; j < count; j++) {
      above += rank[j];
      rank[j] = above + j + 1;
    }
    result->judged = count + unknown > 0;
    for (int slot = 0; slot < protocol->ks && result->judged; slot++)
      judge_at(rank, count, count + unknown, protocol->k[slot], protocol->recall_by_shorter, slot, result);
    if (count && others) {
      result->auc_judged = 1;
      result->auc = right / ((double)count * (double)others);
    }
  }
  memory_free_aligned(scores);
  memory_free(ranked);
  memory_free(rank);
  return code;
}

/* What depends on the lists themselves and not on where the relevant items are in them. */
static void judge_lists(const Judging *judging, uint16_t *recommended) {
  const RankingProtocol *protocol = judging->protocol;
  for (size_t user = 0; user < judging->users->count; user++) {
    const Scored *best = judging->best + user * judging->longest;
    if (!judging->result[user].judged) continue;
    for (int slot = 0; slot < protocol->ks; slot++) {
      size_t n = judging->found[user] < (size_t)protocol->k[slot] ? judging->found[user] : (size_t)protocol->k[slot];
      double surprise = 0;
      for (size_t i = 0; i < n; i++) {
        recommended[best[i].index] |= (uint16_t)(1u << slot);
        surprise += protocol->surprise[best[i].index];
      }
      judging->result[user].value[METRIC_NOVELTY][slot] = n ? surprise / (double)n : 0;
    }
  }
}

int ranking_scores_add(RankingScores *scores, const Scorer *scorer, const RankingUsers *users,
                       const RankingProtocol *protocol, uint16_t *recommended, const Cancel *cancel) {
  Judging judging = {.scorer = scorer, .users = users, .protocol = protocol};
  int lists = recommended && protocol->surprise;
  for (int slot = 0; slot < protocol->ks; slot++)
    if ((size_t)protocol->k[slot] > judging.longest) judging.longest = (size_t)protocol->k[slot];
  if (judging.longest > scorer->count) judging.longest = scorer->count;
  Scored *best = lists ? memory_alloc(users->count * judging.longest, sizeof *best) : NULL;
  size_t *found = lists ? memory_alloc(users->count, sizeof *found) : NULL;
  judging.result = memory_alloc_zero(users->count, sizeof *judging.result);
  int code = judging.result && (!lists || (best && found)) ? CODE_OK : CODE_NOMEM;
  if (code == CODE_OK) code = parallel_for(protocol->threads, users->count, judge_user, &judging, cancel);
  if (code == CODE_OK && lists) {
    code =
        scorer_top_k(scorer, &users->queries, users->excluded, judging.longest, best, found, protocol->threads, cancel);
    judging.best = best;
    judging.found = found;
    if (code == CODE_OK) judge_lists(&judging, recommended);
  }
  for (size_t user = 0; code == CODE_OK && user < users->count; user++) {
    const UserScores *one = &judging.result[user];
    scores->users += one->judged;
    scores->auc_users += one->auc_judged;
    scores->auc += one->auc;
    for (int metric = 0; metric < RANKING_METRICS; metric++)
      for (int slot = 0; slot < protocol->ks; slot++) scores->sum[metric][slot] += one->value[metric][slot];
  }
  memory_free(judging.result);
  memory_free(best);
  memory_free(found);
  return code;
}
