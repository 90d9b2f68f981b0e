/* Scores of packed vectors and the choice of the best: see item_panel.h. The arithmetic is in item_panel_kernels.c;
 * here the work is cut up. How it is cut changes nothing in the result, since that is exact: the k best are the k best.
 */
#include "item_panel.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/simd.h"
#include "item_codes.h"
#include "item_panel_kernels.h"

/* ---- the panel --------------------------------------------------------------------------------------------------- */

static size_t panel_blocks(const ScorePanel *panel) { return (panel->count + SCORE_BLOCK - 1) / SCORE_BLOCK; }

/* Lane 0 of one vector; its next lanes follow at a distance of SCORE_BLOCK. */
static float *panel_vector(const ScorePanel *panel, size_t index) {
  return panel->packed + index / SCORE_BLOCK * SCORE_BLOCK * (size_t)panel->stride + index % SCORE_BLOCK;
}

int score_panel_alloc(ScorePanel *panel, size_t count, int stride, int biases) {
  *panel = (ScorePanel){.count = count, .stride = stride, .kernels = SIMD_PICK(score_kernels)};
  size_t padded = panel_blocks(panel) * SCORE_BLOCK;
  panel->packed = memory_alloc_aligned(padded, (size_t)stride * sizeof(float));
  if (biases) panel->bias = memory_alloc_aligned(padded, sizeof(float));
  if (panel->packed && (panel->bias || !biases)) return CODE_OK;
  score_panel_free(panel);
  return CODE_NOMEM;
}

int score_panel_copy(const ScorePanel *from, ScorePanel *to) {
  int code = score_panel_alloc(to, from->count, from->stride, from->bias != NULL);
  size_t padded = panel_blocks(from) * SCORE_BLOCK;
  if (code != CODE_OK) return code;
  memcpy(to->packed, from->packed, padded * (size_t)from->stride * sizeof *to->packed);
  if (from->bias) memcpy(to->bias, from->bias, padded * sizeof *to->bias);
  return CODE_OK;
}

void score_panel_free(ScorePanel *panel) {
  memory_free_aligned(panel->packed);
  memory_free_aligned(panel->bias);
  *panel = (ScorePanel){0};
}

void score_panel_set(ScorePanel *panel, size_t index, const float *vector, int length) {
  float *to = panel_vector(panel, index);
  for (int lane = 0; lane < panel->stride; lane++) to[(size_t)lane * SCORE_BLOCK] = lane < length ? vector[lane] : 0;
}

void score_panel_get(const ScorePanel *panel, size_t index, float *vector) {
  const float *from = panel_vector(panel, index);
  for (int lane = 0; lane < panel->stride; lane++) vector[lane] = from[(size_t)lane * SCORE_BLOCK];
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */

/* A vector's lanes lie in as many cache lines as it has, each shared with its block: the block's sixteen scores cost
 * what one does. */
float score_panel_score(const ScorePanel *panel, size_t index, const float *query) {
  float scores[SCORE_BLOCK] __attribute__((aligned(64)));
  size_t block = index / SCORE_BLOCK;
  panel->kernels->scores(panel, query, block, block + 1, scores);
  return scores[index % SCORE_BLOCK];
}

void score_panel_scores(const ScorePanel *panel, const float *query, float *scores) {
  if (panel->count > 0) panel->kernels->scores(panel, query, 0, panel_blocks(panel), scores);
}

/* ---- the k best: one job, four ways to do it --------------------------------------------------------------------- */

#define QUERY_GROUP 96        /* queries at most that go over the items together: 24 KB at 64 lanes */
#define CHUNK_BYTES (1 << 18) /* of items, that stay in a core's second-level cache while a group goes over them */
#define GROUP_WORK 2.5e9 /* multiply-adds a group at most, some 50 ms: the longest time between two polls of cancel */
#define THREAD_WORK 3e6  /* multiply-adds that are worth starting a thread for, 0.06 to 0.2 ms */
#define SORT_SHARE 24    /* above count / 24 sorting all scores is quicker than a heap of k */
#define SORT_BLOCKS 256  /* blocks that are scored at once before sorting */
#define CODES_QUERIES 48 /* that are worth making codes of the items, which costs as much as some ten of them */
#define CODES_SHARE 400  /* above count / 400 the sieve keeps too many items as candidates */

typedef struct Job {
  const ScorePanel *panel;
  const float *query;
  size_t queries;
  const Excluded *excluded;
  size_t k;
  Scored *best;
  size_t *found;
  const Cancel *cancel;
  atomic_int code; /* tells the other threads that the caller's was cancelled */
  size_t group;    /* queries a block of work */
  size_t range;    /* blocks of items a block of work, where the items are shared out */
  Scored *scratch;
  size_t *range_found;
  ScoreCodes codes;
  float *lower;       /* k of QUERY_GROUP queries a worker, padded */
  int8_t *query_code; /* those of QUERY_GROUP queries a worker */
  size_t candidates;  /* room for them in the scratch space, a query */
} Job;

/* Looks at cancel where that is allowed: on the thread that started the work. */
static int job_poll(Job *job, int worker) {
  if (worker == 0) {
    int code = cancel_poll(job->cancel);
    if (code != CODE_OK) atomic_store(&job->code, code);
  }
  return atomic_load_explicit(&job->code, memory_order_relaxed);
}

/* Blocks of items of so many bytes a number that a group goes over before the next. */
static size_t job_chunk(const Job *job, size_t number) {
  size_t bytes = SCORE_BLOCK * number * (size_t)job->panel->stride;
  return bytes * 8 < CHUNK_BYTES ? CHUNK_BYTES / bytes / 8 * 8 : 8;
}

static size_t padded(size_t n) { return (n + SCORE_BLOCK - 1) / SCORE_BLOCK * SCORE_BLOCK; }

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* What query q may not get; never a NULL list, which has no end to point to. */
static Excluded job_excluded(const Job *job, size_t q) {
  static const uint32_t none;
  return job->excluded && job->excluded[q].count > 0 ? job->excluded[q] : (Excluded){&none, 0};
}

/* The first place in the ascending list that is not below `index`. */
static const uint32_t *excluded_from(Excluded excluded, size_t index) {
  size_t low = 0, high = excluded.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (excluded.index[middle] < index)
      low = middle + 1;
    else
      high = middle;
  }
  return excluded.index + low;
}

/* The k best among the blocks of items first … end-1 for `queries` (at most QUERY_GROUP) queries from q on, into
 * heaps of k entries each, one after the other. */
static int select_group(Job *job, size_t q, size_t queries, size_t first, size_t end, Scored *heaps, size_t *found,
                        int worker) {
  const ScorePanel *panel = job->panel;
  Selection selections[QUERY_GROUP];
  for (size_t i = 0; i < queries; i++) {
    Selection *selection = &selections[i];
    Excluded excluded = job_excluded(job, q + i);
    top_k_init(&selection->top, heaps + i * job->k, job->k);
    selection->bound = NAN;
    selection->excluded = excluded_from(excluded, first * SCORE_BLOCK);
    selection->excluded_end = excluded.index + excluded.count;
  }
  size_t chunk = job_chunk(job, sizeof(float));
  int code = CODE_OK;
  for (size_t block = first; block < end && code == CODE_OK; block += chunk) {
    panel->kernels->select(panel, job->query + q * (size_t)panel->stride, queries, block, smaller(block + chunk, end),
                           selections);
    code = job_poll(job, worker);
  }
  for (size_t i = 0; i < queries; i++) found[i] = top_k_sort(&selections[i].top);
  return code;
}

/* Many queries: a group of them is a block of work, which goes over all items. */
static int group_body(void *context, size_t block, int worker) {
  Job *job = context;
  size_t q = block * job->group;
  return select_group(job, q, smaller(job->group, job->queries - q), 0, panel_blocks(job->panel),
                      job->best + q * job->k, job->found + q, worker);
}

/* Few queries: a range of items is a block of work, for all of them, and leaves its own k best in the scratch space. */
static int range_body(void *context, size_t range, int worker) {
  Job *job = context;
  size_t first = range * job->range, end = smaller(first + job->range, panel_blocks(job->panel));
  return select_group(job, 0, job->queries, first, end, job->scratch + range * job->queries * job->k,
                      job->range_found + range * job->queries, worker);
}

static void merge_ranges(Job *job, size_t ranges) {
  for (size_t q = 0; q < job->queries; q++) {
    TopK top;
    top_k_init(&top, job->best + q * job->k, job->k);
    for (size_t r = q; r < ranges * job->queries; r += job->queries) {
      const Scored *entries = job->scratch + r * job->k;
      for (size_t i = 0; i < job->range_found[r]; i++) top_k_offer(&top, entries[i].score, entries[i].index);
    }
    job->found[q] = top_k_sort(&top);
  }
}

/* The exact scores of the candidates, the most promising first, until the k best are above all other upper bounds. */
static size_t rank_candidates(const Job *job, const CodedQuery *coded, float threshold, const float *query,
                              Scored *heap) {
  Scored *candidate = coded->candidate;
  size_t left = 0;
  TopK top;
  for (size_t i = 0; i < coded->candidates; i++) {
    candidate[left] = candidate[i];
    left += !(candidate[i].score < threshold);
  }
  scored_sort(candidate, left);
  top_k_init(&top, heap, job->k);
  for (size_t i = 0; i < left; i++) {
    if (top.count == job->k && candidate[i].score < heap[0].score) continue;
    top_k_offer(&top, score_panel_score(job->panel, candidate[i].index, query), candidate[i].index);
  }
  return top_k_sort(&top);
}

/* Very many queries: like group_body, with a sieve before the scores. The last tile is filled up with nothing. What the
 * sieve gives up is done without it: a few one by one, many together, so that all takes no longer than that. */
static int codes_body(void *context, size_t block, int worker) {
  Job *job = context;
  const ScoreCodes *codes = &job->codes;
  size_t stride = (size_t)job->panel->stride, q = block * job->group, queries = smaller(job->group, job->queries - q);
  size_t tiles = (queries + CODES_TILE - 1) / CODES_TILE, given_up = 0, k = job->k;
  size_t blocks = panel_blocks(job->panel), chunk = job_chunk(job, sizeof(int8_t));
  int8_t *query_code = job->query_code + (size_t)worker * QUERY_GROUP * stride;
  CodedTile tile[QUERY_GROUP / CODES_TILE] = {0};
  for (size_t i = 0; i < tiles * CODES_TILE; i++) {
    CodedQuery *coded = &tile[i / CODES_TILE].query[i % CODES_TILE];
    size_t place = (size_t)worker * QUERY_GROUP + i;
    score_codes_query(&tile[i / CODES_TILE], (int)(i % CODES_TILE), i < queries ? job->query + (q + i) * stride : NULL,
                      (int)stride, query_code + i * stride);
    if (i >= queries) continue;
    Excluded excluded = job_excluded(job, q + i);
    coded->excluded = excluded.index;
    coded->excluded_end = excluded.index + excluded.count;
    coded->candidate = job->scratch + place * job->candidates;
    coded->capacity = job->candidates;
    coded->k = k;
    coded->lower = job->lower + place * padded(k);
    for (size_t j = 0; j < padded(k); j++) coded->lower[j] = j < k ? -INFINITY : INFINITY;
  }
  int code = CODE_OK;
  for (size_t first = 0; first < codes->blocks && code == CODE_OK; first += chunk) {
    score_codes_select(codes, query_code, tiles, first, smaller(first + chunk, codes->blocks), tile);
    code = job_poll(job, worker);
  }
  for (size_t i = 0; i < queries && code == CODE_OK; i++) {
    const CodedQuery *coded = &tile[i / CODES_TILE].query[i % CODES_TILE];
    given_up += (size_t)coded->given_up;
    if (!coded->given_up)
      job->found[q + i] = rank_candidates(job, coded, tile[i / CODES_TILE].threshold[i % CODES_TILE],
                                          job->query + (q + i) * stride, job->best + (q + i) * k);
  }
  if (given_up >= job->panel->kernels->tile && code == CODE_OK)
    return select_group(job, q, queries, 0, blocks, job->best + q * k, job->found + q, worker);
  for (size_t i = 0; i < queries && given_up > 0 && code == CODE_OK; i++)
    if (tile[i / CODES_TILE].query[i % CODES_TILE].given_up)
      code = select_group(job, q + i, 1, 0, blocks, job->best + (q + i) * k, job->found + q + i, worker);
  return code;
}

/* A large k: every score of one query that may be returned goes into the worker's part of the scratch space, and the
 * front of that is sorted. */
static int sort_body(void *context, size_t q, int worker) {
  Job *job = context;
  const ScorePanel *panel = job->panel;
  Excluded excluded = job_excluded(job, q);
  const uint32_t *skip = excluded.index, *skip_end = excluded.index + excluded.count;
  Scored *entries = job->scratch + (size_t)worker * panel->count;
  float scores[SORT_BLOCKS * SCORE_BLOCK] __attribute__((aligned(64)));
  size_t n = 0, blocks = panel_blocks(panel);
  for (size_t first = 0; first < blocks; first += SORT_BLOCKS) {
    size_t end = smaller(first + SORT_BLOCKS, blocks);
    panel->kernels->scores(panel, job->query + q * (size_t)panel->stride, first, end, scores);
    size_t start = first * SCORE_BLOCK, items = smaller(end * SCORE_BLOCK, panel->count) - start;
    for (size_t i = 0; i < items; i++) {
      uint32_t index = (uint32_t)(start + i);
      while (skip < skip_end && *skip < index) skip++;
      entries[n] = (Scored){scores[i], index};
      n += !((skip < skip_end && *skip == index) || scores[i] != scores[i]);
    }
    int code = job_poll(job, worker);
    if (code != CODE_OK) return code;
  }
  size_t found = smaller(n, job->k);
  scored_sort_front(entries, n, found);
  if (found > 0) memcpy(job->best + q * job->k, entries, found * sizeof *entries);
  job->found[q] = found;
  return CODE_OK;
}

static int top_k_by_sorting(Job *job, int threads) {
  if ((size_t)threads > job->queries) threads = (int)job->queries;
  job->scratch = memory_alloc((size_t)threads, job->panel->count * sizeof(Scored));
  int code = job->scratch ? parallel_for(threads, job->queries, sort_body, job, job->cancel) : CODE_NOMEM;
  memory_free(job->scratch);
  return code;
}

static int top_k_by_ranges(Job *job, int threads) {
  size_t blocks = panel_blocks(job->panel), ranges = smaller(blocks, (size_t)threads);
  job->range = (blocks + ranges - 1) / ranges;
  ranges = (blocks + job->range - 1) / job->range;
  job->scratch = memory_alloc(ranges * job->queries, job->k * sizeof(Scored));
  job->range_found = memory_alloc(ranges * job->queries, sizeof(size_t));
  int code = CODE_NOMEM;
  if (job->scratch && job->range_found) code = parallel_for(threads, ranges, range_body, job, job->cancel);
  if (code == CODE_OK) merge_ranges(job, ranges);
  memory_free(job->scratch);
  memory_free(job->range_found);
  return code;
}

/* Groups of whole tiles: large ones read the items less often, small ones share the work out evenly. */
static int top_k_by_groups(Job *job, int threads, size_t tile, ParallelBody body) {
  double query_work = (double)job->panel->count * job->panel->stride;
  size_t most = QUERY_GROUP;
  if (threads > 1) most = smaller(most, job->queries / ((size_t)threads * 4));
  if ((double)most * query_work > GROUP_WORK) most = (size_t)(GROUP_WORK / query_work);
  job->group = most > tile ? most / tile * tile : tile;
  return parallel_for(threads, (job->queries + job->group - 1) / job->group, body, job, job->cancel);
}

/* Room for twice as many candidates as there usually are. */
static int top_k_by_codes(Job *job, int threads) {
  size_t queries = (size_t)threads * QUERY_GROUP;
  job->candidates = job->k * 8 + 256;
  job->scratch = memory_alloc(queries, job->candidates * sizeof(Scored));
  job->lower = memory_alloc(queries, padded(job->k) * sizeof(float));
  job->query_code = memory_alloc(queries, (size_t)job->panel->stride);
  int code = CODE_NOMEM;
  if (job->scratch && job->lower && job->query_code)
    code = score_codes_make(&job->codes, job->panel, threads, job->cancel);
  if (code == CODE_OK) code = top_k_by_groups(job, threads, CODES_TILE, codes_body);
  score_codes_free(&job->codes);
  memory_free(job->scratch);
  memory_free(job->lower);
  memory_free(job->query_code);
  return code;
}

int score_panel_top_k(const ScorePanel *panel, const float *query, size_t queries, const Excluded *excluded, size_t k,
                      Scored *best, size_t *found, int threads, const Cancel *cancel) {
  Job job = {.panel = panel,
             .query = query,
             .queries = queries,
             .excluded = excluded,
             .k = k,
             .best = best,
             .found = found,
             .cancel = cancel};
  if (k == 0 || panel->count == 0) {
    for (size_t q = 0; q < queries; q++) found[q] = 0;
    return CODE_OK;
  }
  size_t tile = panel->kernels->tile;
  double work = (double)panel->count * panel->stride * (double)queries;
  if (threads > work / THREAD_WORK) threads = (int)(work / THREAD_WORK);
  if (threads < 1) threads = 1;
  if (k > panel->count / SORT_SHARE) return top_k_by_sorting(&job, threads);
  if (queries >= CODES_QUERIES && k <= panel->count / CODES_SHARE && k <= CODES_MOST && score_codes_available()) {
    int code = top_k_by_codes(&job, threads);
    if (code != CODE_NOMEM) return code; /* where memory is short the answer is the same without the codes */
  }
  if (threads > 1 && queries < tile * (size_t)threads && queries <= QUERY_GROUP) return top_k_by_ranges(&job, threads);
  return top_k_by_groups(&job, threads, tile, group_body);
}

/* ---- as a scorer ------------------------------------------------------------------------------------------------- */

static int panel_scores(const Scorer *scorer, const void *query, float *scores) {
  score_panel_scores(scorer->items, query, scores);
  return CODE_OK;
}

static int panel_scores_of(const Scorer *scorer, const void *query, const uint32_t *item, size_t count, float *scores) {
  for (size_t i = 0; i < count; i++) scores[i] = score_panel_score(scorer->items, item[i], query);
  return CODE_OK;
}

static int panel_top_k(const Scorer *scorer, const Queries *queries, const Excluded *excluded, size_t k, Scored *best,
                       size_t *found, int threads, const Cancel *cancel) {
  return score_panel_top_k(scorer->items, queries->each, queries->count, excluded, k, best, found, threads, cancel);
}

static float dot(const float *a, const float *b, int stride) {
  Float16 sums = {0};
  for (int lane = 0; lane < stride; lane += 16) sums += FLOAT16_LOAD(a + lane) * FLOAT16_LOAD(b + lane);
  float sum = 0;
  for (int lane = 0; lane < 16; lane++) sum += sums[lane];
  return sum;
}

static int panel_scores_for(const Scorer *scorer, uint32_t item, const Queries *queries, float *scores,
                            const Cancel *cancel) {
  const ScorePanel *panel = scorer->items;
  const float *query = queries->each, bias = panel->bias ? panel->bias[item] : 0;
  float *vector = memory_alloc_aligned((size_t)panel->stride, sizeof *vector);
  if (!vector) return CODE_NOMEM;
  score_panel_get(panel, item, vector);
  for (size_t q = 0; q < queries->count; q++)
    scores[q] = dot(vector, query + q * (size_t)panel->stride, panel->stride) + bias;
  memory_free_aligned(vector);
  return cancel_poll(cancel);
}

static int panel_compare(const Scorer *scorer, const void *query, const Queries *queries, float *similarities,
                         const Cancel *cancel) {
  const int stride = ((const ScorePanel *)scorer->items)->stride;
  const float *other = queries->each, norm = sqrtf(dot(query, query, stride));
  for (size_t q = 0; q < queries->count; q++, other += stride)
    similarities[q] = cosine_of(dot(query, other, stride), norm, sqrtf(dot(other, other, stride)));
  return cancel_poll(cancel);
}

static const ScorerMethods panel_methods = {panel_scores, panel_scores_of, panel_top_k, panel_scores_for,
                                            panel_compare};

Scorer score_panel_scorer(const ScorePanel *panel) {
  return (Scorer){.methods = &panel_methods,
                  .items = panel,
                  .count = panel->count,
                  .query_size = (size_t)panel->stride * sizeof(float)};
}
