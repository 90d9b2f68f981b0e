/* The k best items for a query by inverted lists, exactly: see postings.h.
 *
 * Lists are added up from the rarest words to the most frequent, into one sum for each item of a block. When the terms
 * that are left can't lift an item over the k-th best score known, the item is out; once so few others remain that
 * scoring them exactly costs less than the next lists, that is what is done. The frequent words, whose lists are nearly
 * all of the work, are then never added up: they are in everything and weigh little. What is left is bounded by
 *
 *     Σ_left q_t v_t ≤ min(‖q_left‖ ‖v_left‖, Σ_left q_t max_i v_it)
 *
 * where only weights above 0 count, and ‖v_left‖ is known for each item and a dozen places to stop (levels). These are
 * the ideas of Turtle & Flood, "Query evaluation: strategies and optimizations", Information Processing & Management
 * 1995 (maxscore), Bayardo, Ma & Srikant, "Scaling up all pairs similarity search", WWW 2007, and Anastasiu & Karypis,
 * "L2AP: fast cosine similarity search with prefix L-2 norm bounds", ICDE 2014.
 *
 * Terms in so many items that a list is no shorter than the row of all items have columns instead, which are added up
 * many items an instruction.
 *
 * Sums are whole numbers, so that they need no room for rounding: a weight of an item is rounded up to a multiple of
 * 1 / 65000, one of the query, divided by ‖q‖, to a multiple of 1 / 8192, and a weight below 0 counts for no more than
 * it must. A sum is thus never less than SCALE times its part of the score. How large can it be? With n terms in
 * common Σ (65000 v + 1)(8192 q + 1) ≤ SCALE + √n (65000 + 8192) + n by Cauchy and Schwarz, and m columns, each rounded
 * up by a 255th of at most 1, add √m SCALE / 255 + 255 m: less than SUM_MOST for n up to 2^18 and m up to 1024.
 * (Queries of more terms are not done this way.) Lists of rare terms have no weights and count the term's largest:
 * there the sum stops at SUM_MOST, which no part of a score is above. So a sum is at most 2 SUM_MOST, with a bound of
 * the rest 3 SUM_MOST, and at least -SCALE.
 *
 * Items that are excluded or have been scored are marked by a sum that nothing lifts to a limit: SUM_MARKED - SCALE is
 * still a number of 32 bits, and SUM_MARKED + SUM_MOST is below MARKED_BELOW, which is below -SCALE. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/simd.h"
#include "postings_kernels.h"

#define QUERY_SCALE 8192
#define SCALE ((double)POSTINGS_ITEM_SCALE * QUERY_SCALE) /* 5.3e8: a score of 1 */
#define SUM_MOST 650000000
#define SUM_MARKED (-1600000000)
#define MARKED_BELOW (-700000000) /* a mark with all that can be added to it, and less than any other sum */
#define MOST_TERMS (1 << 18)

/* Costs are counted in list entries added up, some 1 ns each. */
#define SCAN_COST 0.2     /* of looking at one sum */
#define COLUMN_COST 0.04  /* of adding one item of a column */
#define CANDIDATE_COST 40 /* of scoring an item, and as much again as it has terms */
#define CHUNK 4096        /* sums whose candidates are noted at once, where the sums are complete */
#define GROUP_COST 3e6    /* of the queries that a worker takes at once */
#define THREAD_COST 1.5e6 /* that is worth starting a thread for */

#define NO_COLUMN SIZE_MAX

typedef struct List {
  const uint32_t *posting;
  const uint32_t *bound; /* NULL: a rare term, or a column */
  size_t column;         /* its number, or NO_COLUMN */
  uint32_t count, next;  /* of a rare term: the first entry not yet passed */
  int32_t weight;        /* of the query, scaled */
  int32_t most;          /* weight times the largest weight of an item */
} List;

/* What a worker has for itself. */
typedef struct Scratch {
  PostingsVector vector;
  List *list;   /* one level after the other */
  int32_t *sum; /* of a block's items */
  const uint8_t **column;
  int32_t *column_weight;
  uint32_t *candidate;
  Scored *seed;
} Scratch;

/* One query on its way over the blocks. */
typedef struct Search {
  const Postings *postings;
  const PostingsKernels *kernels;
  Scratch *scratch;
  TopK top;
  const uint32_t *excluded, *excluded_end; /* those not yet passed */
  size_t level_end[POSTINGS_LEVELS + 1];   /* the lists of level g end here */
  double cost[POSTINGS_LEVELS + 2];        /* of a level's lists in a block; of none above the last */
  int32_t scale[POSTINGS_LEVELS + 2];      /* the length of the query from a level on */
  int32_t cap[POSTINGS_LEVELS + 2];        /* Σ most from a level on */
  double candidate_cost;
  int plain;    /* too many terms: every item is scored */
  int negative; /* some weight is */
} Search;

typedef struct Job {
  const Postings *postings;
  const PostingsQuery *queries;
  size_t count;
  const Excluded *excluded;
  size_t k;
  Scored *best;
  size_t *found;
  const Cancel *cancel;
  atomic_int code; /* tells the other threads that the caller's was cancelled */
  size_t group;    /* queries a unit of work, over all blocks … */
  size_t range;    /* … or blocks a unit of work, for one query */
  size_t ranges;
  Scored *range_best;
  size_t *range_found;
  Scratch *scratch; /* one a worker */
} Job;

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* ---- a query's lists --------------------------------------------------------------------------------------------- */

/* A whole number that is not below the weight, whatever its division by the length lost: n terms lose less than
 * n 2^-53 of it. */
static int32_t scaled_up(double weight) { return (int32_t)ceil(weight * (QUERY_SCALE * (1 + 1e-8))); }

static void search_plan(Search *search) {
  const Postings *postings = search->postings;
  const PostingsVector *vector = &search->scratch->vector;
  size_t next[POSTINGS_LEVELS + 1] = {0};
  double square[POSTINGS_LEVELS + 2] = {0}, most[POSTINGS_LEVELS + 2] = {0};
  int levels = postings->levels;
  search->plain = vector->count > MOST_TERMS;
  if (search->plain) return;
  for (size_t i = 0; i < vector->count; i++) search->level_end[postings->level[vector->term[i]]]++;
  for (int g = 1; g <= levels; g++) {
    next[g] = search->level_end[g - 1];
    search->level_end[g] += search->level_end[g - 1];
  }
  for (size_t i = 0; i < vector->count; i++) {
    uint32_t term = vector->term[i], row = postings->row[term];
    int g = postings->level[term];
    double weight = (double)vector->weight[term] / vector->norm;
    List *list = &search->scratch->list[next[g]++];
    *list = (List){.posting = postings->posting + postings->start[term],
                   .column = NO_COLUMN,
                   .count = (uint32_t)(postings->start[term + 1] - postings->start[term])};
    if (row < POSTINGS_COLUMN) list->bound = postings->bound + row * (postings->blocks + 1);
    if (row >= POSTINGS_COLUMN && row != POSTINGS_RARE) list->column = row - POSTINGS_COLUMN;
    search->cost[g] += list->column == NO_COLUMN ? (double)list->count / (double)postings->blocks
                                                 : COLUMN_COST * (double)postings->block;
    list->weight = weight > 0 ? scaled_up(weight) : -(int32_t)(-weight * (QUERY_SCALE * (1 - 1e-8)));
    if (weight > 0) {
      list->most = list->weight * postings->most[term];
      square[g] += weight * weight;
      most[g] += list->most;
    } else {
      search->negative = 1;
    }
  }
  for (int g = levels; g >= 0; g--) {
    square[g] += square[g + 1];
    most[g] += most[g + 1];
    search->scale[g] = scaled_up(sqrt(square[g]));
    search->cap[g] = most[g] < SUM_MOST ? (int32_t)most[g] : SUM_MOST;
  }
}

/* ---- adding lists up --------------------------------------------------------------------------------------------- */

static void add_list(const List *list, size_t block, int32_t *sum) {
  const uint32_t *posting = list->posting + list->bound[block], *end = list->posting + list->bound[block + 1];
  int32_t weight = list->weight;
  if (weight > 0)
    for (; posting < end; posting++) sum[*posting & UINT16_MAX] += weight * (int32_t)(*posting >> 16);
  else /* the item's weight is at least one step less than what it was rounded up to */
    for (; posting < end; posting++) sum[*posting & UINT16_MAX] += weight * ((int32_t)(*posting >> 16) - 1);
}

/* A rare term whose weight is below 0 can be left out. */
static void add_rare(List *list, size_t first, size_t end, int32_t *sum) {
  while (list->next < list->count && list->posting[list->next] < first) list->next++;
  for (; list->next < list->count && list->posting[list->next] < end; list->next++) {
    int32_t *to = &sum[list->posting[list->next] - first];
    if (*to < MARKED_BELOW) continue;
    *to = *to < SUM_MOST - list->most ? *to + list->most : SUM_MOST;
  }
}

/* Without the columns whose weight is below 0. A product of column_most and the query's weight is what 255 stands for;
 * its 255th is rounded up. */
static void add_columns(Search *search, int level, size_t block) {
  const Postings *postings = search->postings;
  Scratch *scratch = search->scratch;
  size_t n = 0, i = level == 0 ? 0 : search->level_end[level - 1];
  for (; i < search->level_end[level]; i++) {
    const List *list = &scratch->list[i];
    if (list->column == NO_COLUMN || list->weight <= 0) continue;
    size_t at = block * postings->columns + list->column;
    scratch->column[n] = postings->column + at * postings->block;
    scratch->column_weight[n++] =
        (list->weight * postings->column_most[at] + POSTINGS_COLUMN_SCALE - 1) / POSTINGS_COLUMN_SCALE;
  }
  if (n > 0) search->kernels->add_columns(scratch->column, scratch->column_weight, n, postings->block, scratch->sum);
}

static void add_level(Search *search, int level, size_t block) {
  size_t first = block * search->postings->block, end = first + search->postings->block;
  size_t i = level == 0 ? 0 : search->level_end[level - 1];
  for (; i < search->level_end[level]; i++) {
    List *list = &search->scratch->list[i];
    if (list->bound)
      add_list(list, block, search->scratch->sum);
    else if (list->column == NO_COLUMN)
      add_rare(list, first, end, search->scratch->sum);
  }
  add_columns(search, level, block);
}

/* Clears the sums and marks what may not be returned, and what is no item. */
static void start_block(Search *search, size_t first, size_t items) {
  int32_t *sum = search->scratch->sum;
  memset(sum, 0, search->postings->block * sizeof *sum);
  for (size_t i = items; i < search->postings->block; i++) sum[i] = SUM_MARKED;
  for (; search->excluded < search->excluded_end && *search->excluded < first + items; search->excluded++)
    if (*search->excluded >= first) sum[*search->excluded - first] = SUM_MARKED;
}

/* ---- scoring candidates ------------------------------------------------------------------------------------------ */

/* What a sum must reach for its item to be among the k best, or 0 where all may be. What is taken off is more than a
 * score loses, by a factor in its float and by less than one step in its sum. A sum of 0 without negative weights is a
 * score of 0. */
static int32_t search_limit(const Search *search) {
  const TopK *top = &search->top;
  if (top->count < top->capacity || !(top->heap[0].score > 0)) return 0;
  int32_t limit = (int32_t)((double)top->heap[0].score * (SCALE * (1 - 1e-6))) - 1;
  return limit > 0 ? limit : !search->negative;
}

static void offer(Search *search, size_t first, uint32_t place) {
  uint32_t item = (uint32_t)first + place;
  top_k_offer(&search->top, postings_score(search->postings, item, &search->scratch->vector), item);
  search->scratch->sum[place] = SUM_MARKED;
}

/* Fetches a row that will be scored soon: rows lie anywhere, and are short. */
static void fetch_row(const SparseMatrix *vectors, size_t item) {
  for (size_t e = vectors->start[item], end = vectors->start[item + 1]; e < end; e += 16) {
    __builtin_prefetch(vectors->index + e);
    __builtin_prefetch(vectors->value + e);
  }
}

/* Scores `n` candidates exactly, but those that have fallen behind since. */
static void offer_candidates(Search *search, size_t first, size_t n, int level) {
  enum { AHEAD = 3 };
  const Postings *postings = search->postings;
  const uint32_t *candidate = search->scratch->candidate;
  const uint16_t *rest = postings->rest + (size_t)(level - 1) * postings->blocks * postings->block + first;
  for (size_t i = 0; i < n; i++) {
    if (i + AHEAD < n) fetch_row(&postings->vectors, first + candidate[i + AHEAD]);
    int32_t more = 0;
    if (level <= postings->levels) {
      more = rest[candidate[i]] * search->scale[level];
      more = more < search->cap[level] ? more : search->cap[level];
    }
    if (search->scratch->sum[candidate[i]] + more >= search_limit(search)) offer(search, first, candidate[i]);
  }
}

/* Scores the items with the largest sums so far, as many as there are places: they are good ones as a rule, and the
 * worst of them is a first limit. */
static void offer_seeds(Search *search, size_t first) {
  TopK seeds;
  top_k_init(&seeds, search->scratch->seed, smaller(search->top.capacity, search->postings->block));
  search->kernels->largest(search->scratch->sum, search->postings->block, &seeds);
  for (size_t i = 0; i < seeds.count; i++) offer(search, first, seeds.heap[i].index);
}

/* All lists are added up. */
static void finish_block(Search *search, size_t first) {
  const Postings *postings = search->postings;
  Scratch *scratch = search->scratch;
  size_t n = postings->block;
  int32_t limit = search_limit(search);
  int all = search->plain || (search->negative && limit == 0);
  for (size_t i = 0; i < n && all; i++)
    if (scratch->sum[i] >= MARKED_BELOW) offer(search, first, (uint32_t)i);
  for (size_t i = 0; i < n && !all; i += CHUNK) {
    size_t part = smaller(CHUNK, n - i);
    limit = search_limit(search);
    size_t found = search->kernels->candidates(scratch->sum + i, postings->rest, 0, 0, limit > 0 ? limit : 1, part,
                                               scratch->candidate, part);
    for (size_t j = 0; j < found; j++) scratch->candidate[j] += (uint32_t)i;
    offer_candidates(search, first, found, postings->levels + 1);
  }
  /* Sums of 0 are scores of 0 here. */
  const TopK *top = &search->top;
  for (size_t i = 0; i < n && !all; i++) {
    uint32_t item = (uint32_t)(first + i);
    if (top->count == top->capacity &&
        (top->heap[0].score > 0 || (top->heap[0].score == 0 && top->heap[0].index < item)))
      break;
    if (scratch->sum[i] == 0) top_k_offer(&search->top, 0, item);
  }
}

static void search_block(Search *search, size_t block, size_t first_block) {
  const Postings *postings = search->postings;
  Scratch *scratch = search->scratch;
  size_t first = block * postings->block, n = postings->block, padded = postings->blocks * n;
  start_block(search, first, smaller(n, postings->vectors.rows - first));
  for (int g = 0; g <= postings->levels && !search->plain; g++) {
    add_level(search, g, block);
    if (g == postings->levels || search->cost[g + 1] < SCAN_COST * (double)n) continue;
    if (search->top.count < search->top.capacity || block == first_block) offer_seeds(search, first);
    int32_t limit = search_limit(search);
    if (limit == 0) continue;
    size_t most = smaller(n, (size_t)(search->cost[g + 1] / search->candidate_cost));
    size_t found =
        search->kernels->candidates(scratch->sum, postings->rest + (size_t)g * padded + first, search->scale[g + 1],
                                    search->cap[g + 1], limit, n, scratch->candidate, most);
    if (found > most) continue;
    offer_candidates(search, first, found, g + 1);
    return;
  }
  finish_block(search, first);
}

/* ---- cutting up the work ----------------------------------------------------------------------------------------- */

/* Looks at cancel where that is allowed: on the thread that started the work. */
static int job_poll(Job *job, int worker) {
  if (worker == 0) {
    int code = cancel_poll(job->cancel);
    if (code != CODE_OK) atomic_store(&job->code, code);
  }
  return atomic_load_explicit(&job->code, memory_order_relaxed);
}

/* The k best of query q among the items of the blocks first … end-1. */
static int search_blocks(Job *job, size_t q, size_t first, size_t end, Scored *best, size_t *found, int worker) {
  static const uint32_t none;
  Search search = {.postings = job->postings, .kernels = SIMD_PICK(postings_kernels), .scratch = &job->scratch[worker]};
  const SparseMatrix *vectors = &job->postings->vectors;
  search.candidate_cost = CANDIDATE_COST + (double)vectors->start[vectors->rows] / (double)vectors->rows;
  search.excluded = search.excluded_end = &none;
  if (job->excluded && job->excluded[q].count > 0) {
    search.excluded = job->excluded[q].index;
    search.excluded_end = search.excluded + job->excluded[q].count;
  }
  top_k_init(&search.top, best, job->k);
  postings_vector_set(job->postings, &job->queries[q], &search.scratch->vector);
  search_plan(&search);
  int code = CODE_OK;
  for (size_t block = first; block < end && code == CODE_OK; block++) {
    search_block(&search, block, first);
    code = job_poll(job, worker);
  }
  *found = top_k_sort(&search.top);
  return code;
}

/* Many queries: a group of them is a unit of work. */
static int group_body(void *context, size_t unit, int worker) {
  Job *job = context;
  size_t q = unit * job->group, end = smaller(q + job->group, job->count);
  int code = CODE_OK;
  for (; q < end && code == CODE_OK; q++)
    code = search_blocks(job, q, 0, job->postings->blocks, job->best + q * job->k, job->found + q, worker);
  return code;
}

/* Few queries: a range of the blocks for one of them is a unit of work, and leaves its own k best. */
static int range_body(void *context, size_t unit, int worker) {
  Job *job = context;
  size_t first = unit % job->ranges * job->range, end = smaller(first + job->range, job->postings->blocks);
  return search_blocks(job, unit / job->ranges, first, end, job->range_best + unit * job->k, job->range_found + unit,
                       worker);
}

static int top_k_by_ranges(Job *job, int threads) {
  size_t ranges = smaller(job->postings->blocks, (size_t)threads);
  job->range = (job->postings->blocks + ranges - 1) / ranges;
  job->ranges = (job->postings->blocks + job->range - 1) / job->range;
  size_t units = job->count * job->ranges;
  job->range_best = memory_alloc(units * job->k, sizeof(Scored));
  job->range_found = memory_alloc(units, sizeof(size_t));
  int code = CODE_NOMEM;
  if (job->range_best && job->range_found) code = parallel_for(threads, units, range_body, job, job->cancel);
  for (size_t q = 0; q < job->count && code == CODE_OK; q++) {
    TopK top;
    top_k_init(&top, job->best + q * job->k, job->k);
    for (size_t unit = q * job->ranges; unit < (q + 1) * job->ranges; unit++) {
      const Scored *entries = job->range_best + unit * job->k;
      for (size_t i = 0; i < job->range_found[unit]; i++) top_k_offer(&top, entries[i].score, entries[i].index);
    }
    job->found[q] = top_k_sort(&top);
  }
  memory_free(job->range_best);
  memory_free(job->range_found);
  return code;
}

/* Terms that a query can have at most. */
static size_t query_terms(const Postings *postings, const PostingsQuery *query) {
  size_t terms = query->of_items ? 0 : query->count;
  for (size_t i = 0; i < query->count && query->of_items; i++)
    terms += sparse_row_length(&postings->vectors, query->index[i]);
  return terms;
}

static void scratch_free(Scratch *scratch) {
  postings_vector_free(&scratch->vector);
  memory_free(scratch->list);
  memory_free_aligned(scratch->sum);
  memory_free((void *)scratch->column);
  memory_free(scratch->column_weight);
  memory_free(scratch->candidate);
  memory_free(scratch->seed);
}

/* Scratch space for every worker, enough for all queries. */
static int job_alloc(Job *job, int threads) {
  const Postings *postings = job->postings;
  size_t terms = 0, block = postings->block;
  int of_items = 0, code = CODE_OK;
  for (size_t q = 0; q < job->count; q++) {
    size_t n = query_terms(postings, &job->queries[q]);
    if (n > terms) terms = n;
    of_items = of_items || job->queries[q].of_items;
  }
  terms = smaller(smaller(terms, postings->vectors.columns), MOST_TERMS);
  job->scratch = memory_alloc_zero((size_t)threads, sizeof *job->scratch);
  if (!job->scratch) return CODE_NOMEM;
  for (int worker = 0; worker < threads && code == CODE_OK; worker++) {
    Scratch *scratch = &job->scratch[worker];
    code = postings_vector_alloc(postings, of_items, &scratch->vector);
    scratch->list = memory_alloc(terms, sizeof *scratch->list);
    scratch->sum = memory_alloc_aligned(block, sizeof *scratch->sum);
    scratch->column = memory_alloc(postings->columns, sizeof *scratch->column);
    scratch->column_weight = memory_alloc(postings->columns, sizeof *scratch->column_weight);
    scratch->candidate = memory_alloc(block + 16, sizeof *scratch->candidate);
    scratch->seed = memory_alloc(smaller(job->k, block), sizeof *scratch->seed);
    if (!scratch->list || !scratch->sum || !scratch->column || !scratch->column_weight || !scratch->candidate ||
        !scratch->seed)
      code = CODE_NOMEM;
  }
  return code;
}

int postings_top_k(const Postings *postings, const PostingsQuery *queries, size_t count, const Excluded *excluded,
                   size_t k, Scored *best, size_t *found, int threads, const Cancel *cancel) {
  Job job = {.postings = postings,
             .queries = queries,
             .count = count,
             .excluded = excluded,
             .k = k,
             .best = best,
             .found = found,
             .cancel = cancel};
  size_t items = postings->vectors.rows;
  if (k == 0 || items == 0 || count == 0) {
    for (size_t q = 0; q < count; q++) found[q] = 0;
    return CODE_OK;
  }
  double query_cost = 2 * (double)items;
  size_t units = count < 4 * (size_t)threads ? count * postings->blocks : count;
  if (threads > query_cost * (double)count / THREAD_COST) threads = (int)(query_cost * (double)count / THREAD_COST);
  if ((size_t)threads > units) threads = (int)units;
  if (threads < 1) threads = 1;
  int code = job_alloc(&job, threads);
  if (code == CODE_OK && threads > 1 && count < 4 * (size_t)threads) {
    code = top_k_by_ranges(&job, threads);
  } else if (code == CODE_OK) {
    job.group = smaller((size_t)(GROUP_COST / query_cost), threads > 1 ? count / ((size_t)threads * 4) : count);
    if (job.group < 1) job.group = 1;
    code = parallel_for(threads, (count + job.group - 1) / job.group, group_body, &job, cancel);
  }
  for (int worker = 0; worker < threads && job.scratch; worker++) scratch_free(&job.scratch[worker]);
  memory_free(job.scratch);
  return code;
}
