/* The inverted lists and what is scored without them: see postings.h. */
#include "postings.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "../base/code.h"
#include "../base/memory.h"
#include "../base/parallel.h"

/* ---- making the lists ----------------------------------------------------------------------------------------------
 *
 * The transpose has the lists already; its items become entries in place. */

#define USUAL_BLOCK 32768    /* items: their sums, 128 KB, stay in a core's second-level cache */
#define BLOCK_ITEMS 64       /* blocks are padded to multiples of this */
#define LEVEL_OCTAVES 6.0    /* between the commonest level, of terms in all items, and the rest */
#define LEVEL_ENTRIES 4      /* a row's entries that are worth the memory of a level */
#define COLUMN_SHARE 24      /* a term in a 24th of the items: there a column is added up as fast as a list */
#define COLUMN_ENTRIES 2     /* columns a row's entry at most: their bytes */
#define TERMS_A_BLOCK 256    /* whose lists are made at once */
#define COLUMN_READING 4     /* items of a column are read in the time of one entry of a list */
#define SCORES_A_BLOCK 16384 /* items that are scored at once */

typedef struct Making {
  Postings *postings;
  const SparseMatrix *vectors;
  const float *value; /* of the transpose */
} Making;

/* Never below the weight; rows of length 1 leave weights at most a rounding above it. */
static uint32_t quantized(double weight) {
  double up = ceil(weight * POSTINGS_ITEM_SCALE);
  return up < UINT16_MAX ? (uint32_t)up : UINT16_MAX;
}

/* One term's entries in columns. */
static void make_column(const Making *work, size_t term, size_t c) {
  Postings *postings = work->postings;
  size_t e = postings->start[term], end = postings->start[term + 1];
  while (e < end) {
    size_t block = postings->posting[e] / postings->block, at = block * postings->columns + c, next = e;
    uint8_t *column = postings->column + at * postings->block;
    uint32_t most = 1; /* no weight is less */
    for (; next < end && postings->posting[next] < (block + 1) * postings->block; next++) {
      uint32_t weight = quantized((double)work->value[next]);
      if (weight > most) most = weight;
    }
    for (; e < next; e++) {
      uint32_t part = quantized((double)work->value[e]) * POSTINGS_COLUMN_SCALE;
      column[postings->posting[e] - block * postings->block] = (uint8_t)((part + most - 1) / most);
    }
    postings->column_most[at] = (uint16_t)most;
    if (most > postings->most[term]) postings->most[term] = (uint16_t)most;
  }
}

/* One term's entries, from items to what postings.h says. */
static void make_list(const Making *work, size_t term) {
  Postings *postings = work->postings;
  size_t count = postings->start[term + 1] - postings->start[term], block = 0;
  uint32_t *posting = postings->posting + postings->start[term], row = postings->row[term], most = 0;
  const float *value = work->value + postings->start[term];
  uint32_t *bound = row == POSTINGS_RARE ? NULL : postings->bound + row * (postings->blocks + 1);
  for (size_t e = 0; e < count; e++) {
    uint32_t weight = quantized((double)value[e]);
    if (weight > most) most = weight;
    if (!bound) continue;
    while (block * postings->block <= posting[e]) bound[block++] = (uint32_t)e;
    posting[e] = (uint32_t)(posting[e] - (block - 1) * postings->block) | weight << 16;
  }
  while (bound && block <= postings->blocks) bound[block++] = (uint32_t)count;
  postings->most[term] = (uint16_t)most;
}

static int lists_body(void *context, size_t block, int worker) {
  (void)worker;
  const Making *work = context;
  size_t end = (block + 1) * TERMS_A_BLOCK, terms = work->vectors->columns;
  for (size_t term = block * TERMS_A_BLOCK; term < end && term < terms; term++) {
    uint32_t row = work->postings->row[term];
    if (row != POSTINGS_RARE && row >= POSTINGS_COLUMN)
      make_column(work, term, row - POSTINGS_COLUMN);
    else
      make_list(work, term);
  }
  return CODE_OK;
}

/* The lengths of one block's items over the terms of each level and above. */
static int rests_body(void *context, size_t block, int worker) {
  (void)worker;
  const Making *work = context;
  Postings *postings = work->postings;
  const SparseMatrix *vectors = work->vectors;
  size_t padded = postings->blocks * postings->block, end = (block + 1) * postings->block;
  for (size_t item = block * postings->block; item < end && item < vectors->rows; item++) {
    double square[POSTINGS_LEVELS + 1] = {0};
    for (size_t e = vectors->start[item]; e < vectors->start[item + 1]; e++)
      square[postings->level[vectors->index[e]]] += (double)vectors->value[e] * (double)vectors->value[e];
    for (int g = postings->levels; g > 0; g--) {
      /* The sum and its root lose less than this adds. */
      postings->rest[(size_t)(g - 1) * padded + item] = (uint16_t)quantized(sqrt(square[g]) * (1 + 1e-6));
      square[g - 1] += square[g];
    }
  }
  return CODE_OK;
}

static size_t list_length(const Postings *postings, size_t term) {
  return postings->start[term + 1] - postings->start[term];
}

/* Gives the terms their levels, and those that are not rare their rows; returns how many rows. */
static size_t sort_terms(Postings *postings, size_t items, size_t terms) {
  size_t rows = 0;
  double cut[POSTINGS_LEVELS + 1] = {0};
  for (int g = 1; g <= postings->levels; g++)
    cut[g] = (double)items * exp2(-LEVEL_OCTAVES * (postings->levels - g + 1) / postings->levels);
  for (size_t term = 0; term < terms; term++) {
    size_t count = list_length(postings, term);
    int g = postings->levels;
    while (g > 0 && (double)count <= cut[g]) g--;
    postings->level[term] = (uint8_t)g;
    if (postings->row[term] != POSTINGS_RARE) continue; /* a column */
    if (count >= POSTINGS_SPARE * postings->blocks) postings->row[term] = (uint32_t)rows++;
  }
  return rows;
}

/* Finds the terms that are to have columns: the most frequent, as many as there is memory for. */
static int choose_columns(Postings *postings, size_t items, size_t terms) {
  size_t frequent = 0, least = items / COLUMN_SHARE + 1, most = postings->start[terms] / (items + 1) * COLUMN_ENTRIES;
  if (most > POSTINGS_COLUMNS) most = POSTINGS_COLUMNS;
  for (size_t term = 0; term < terms; term++) {
    postings->row[term] = POSTINGS_RARE;
    frequent += list_length(postings, term) >= least;
  }
  Scored *order = memory_alloc(frequent, sizeof *order);
  if (!order) return CODE_NOMEM;
  frequent = 0;
  for (size_t term = 0; term < terms; term++)
    if (list_length(postings, term) >= least)
      order[frequent++] = (Scored){(float)list_length(postings, term), (uint32_t)term};
  scored_sort(order, frequent);
  postings->columns = frequent < most ? frequent : most;
  for (size_t c = 0; c < postings->columns; c++) postings->row[order[c].index] = POSTINGS_COLUMN + (uint32_t)c;
  memory_free(order);
  postings->column = memory_alloc_zero(postings->columns, postings->blocks * postings->block);
  postings->column_most = memory_alloc_zero(postings->columns, postings->blocks * sizeof *postings->column_most);
  return postings->column && postings->column_most ? CODE_OK : CODE_NOMEM;
}

/* Takes the lists out that have become columns. */
static int close_gaps(Postings *postings, size_t terms, const Cancel *cancel) {
  size_t to = 0, from = 0;
  int code = CODE_OK;
  for (size_t term = 0; term < terms && code == CODE_OK; term++) {
    if (term % TERMS_A_BLOCK == 0) code = cancel_poll(cancel);
    size_t count = postings->start[term + 1] - from;
    uint32_t row = postings->row[term];
    if (row != POSTINGS_RARE && row >= POSTINGS_COLUMN) count = 0;
    if (count > 0) memmove(postings->posting + to, postings->posting + from, count * sizeof *postings->posting);
    from = postings->start[term + 1];
    postings->start[term] = to;
    to += count;
  }
  postings->start[terms] = to;
  uint32_t *shorter = memory_resize(postings->posting, to, sizeof *postings->posting);
  if (shorter) postings->posting = shorter; /* else it stays as long as it was */
  return code;
}

int postings_make_blocks(Postings *postings, SparseMatrix *vectors, size_t block, int threads, const Cancel *cancel) {
  SparseMatrix lists = {0};
  Making work = {.postings = postings, .vectors = vectors};
  size_t items = vectors->rows, terms = vectors->columns, entries = vectors->start[items];
  size_t blocks = items > 0 ? (items + block - 1) / block : 1;
  size_t share = items > 0 ? (items + blocks - 1) / blocks : 1;
  *postings = (Postings){.block = (share + BLOCK_ITEMS - 1) / BLOCK_ITEMS * BLOCK_ITEMS};
  postings->blocks = items > 0 ? (items + postings->block - 1) / postings->block : 1;
  size_t levels = items > 0 ? entries / items / LEVEL_ENTRIES : 0;
  postings->levels = levels < 1 ? 1 : levels > POSTINGS_LEVELS ? POSTINGS_LEVELS : (int)levels;
  int code = sparse_transpose(vectors, &lists, threads, cancel);
  if (code == CODE_OK) {
    postings->start = lists.start, lists.start = NULL;
    postings->posting = lists.index, lists.index = NULL;
    work.value = lists.value;
    postings->row = memory_alloc(terms, sizeof *postings->row);
    postings->level = memory_alloc(terms, sizeof *postings->level);
    postings->most = memory_alloc_zero(terms, sizeof *postings->most);
    postings->rest = memory_alloc_zero(postings->blocks * postings->block, (size_t)postings->levels * sizeof(uint16_t));
    if (!postings->row || !postings->level || !postings->most || !postings->rest) code = CODE_NOMEM;
  }
  if (code == CODE_OK) code = choose_columns(postings, items, terms);
  if (code == CODE_OK) {
    size_t rows = sort_terms(postings, items, terms);
    postings->bound = memory_alloc(rows, (postings->blocks + 1) * sizeof *postings->bound);
    if (!postings->bound) code = CODE_NOMEM;
  }
  if (code == CODE_OK)
    code = parallel_for(threads, (terms + TERMS_A_BLOCK - 1) / TERMS_A_BLOCK, lists_body, &work, cancel);
  if (code == CODE_OK) code = parallel_for(threads, postings->blocks, rests_body, &work, cancel);
  sparse_free(&lists);
  if (code == CODE_OK) code = close_gaps(postings, terms, cancel);
  if (code == CODE_OK) {
    postings->vectors = *vectors;
    *vectors = (SparseMatrix){0};
  } else {
    postings_free(postings);
  }
  return code;
}

int postings_make(Postings *postings, SparseMatrix *vectors, int threads, const Cancel *cancel) {
  return postings_make_blocks(postings, vectors, USUAL_BLOCK, threads, cancel);
}

void postings_free(Postings *postings) {
  sparse_free(&postings->vectors);
  memory_free(postings->start);
  memory_free(postings->posting);
  memory_free(postings->bound);
  memory_free(postings->row);
  memory_free(postings->column);
  memory_free(postings->column_most);
  memory_free(postings->level);
  memory_free(postings->most);
  memory_free(postings->rest);
  *postings = (Postings){0};
}

/* ---- queries spread out ------------------------------------------------------------------------------------------ */

int postings_vector_alloc(const Postings *postings, int of_items, PostingsVector *vector) {
  size_t terms = postings->vectors.columns;
  *vector = (PostingsVector){0};
  vector->weight = memory_alloc_zero(terms, sizeof *vector->weight);
  vector->term = memory_alloc(terms, sizeof *vector->term);
  if (of_items) {
    vector->sum = memory_alloc_zero(terms, sizeof *vector->sum);
    vector->met = memory_alloc_zero(terms / 64 + 1, sizeof *vector->met);
  }
  if (vector->weight && vector->term && (!of_items || (vector->sum && vector->met))) return CODE_OK;
  postings_vector_free(vector);
  return CODE_NOMEM;
}

void postings_vector_free(PostingsVector *vector) {
  memory_free(vector->weight);
  memory_free(vector->term);
  memory_free(vector->sum);
  memory_free(vector->met);
  *vector = (PostingsVector){0};
}

static void vector_clear(PostingsVector *vector) {
  for (size_t i = 0; i < vector->count; i++) vector->weight[vector->term[i]] = 0;
  vector->count = 0;
  vector->norm = 0;
}

/* Terms must come in ascending order; what is too large for a float makes the length infinite. */
static void vector_add(PostingsVector *vector, uint32_t term, double weight) {
  float rounded = fabs(weight) <= (double)FLT_MAX ? (float)weight : INFINITY;
  if (rounded == 0) return;
  vector->weight[term] = rounded;
  vector->term[vector->count++] = term;
  vector->norm += (double)rounded * (double)rounded;
}

static void add_items(const SparseMatrix *vectors, const PostingsQuery *query, PostingsVector *vector) {
  for (size_t i = 0; i < query->count; i++) {
    double weight = query->weight ? (double)query->weight[i] : 1;
    size_t item = query->index[i];
    for (size_t e = vectors->start[item]; e < vectors->start[item + 1]; e++) {
      uint32_t term = vectors->index[e];
      vector->sum[term] += weight * (double)vectors->value[e];
      vector->met[term / 64] |= UINT64_C(1) << term % 64;
    }
  }
  for (size_t word = 0; word <= vectors->columns / 64; word++) {
    for (uint64_t bits = vector->met[word]; bits; bits &= bits - 1) {
      uint32_t term = (uint32_t)(word * 64 + (size_t)__builtin_ctzll(bits));
      vector_add(vector, term, vector->sum[term]);
      vector->sum[term] = 0;
    }
    vector->met[word] = 0;
  }
}

void postings_vector_set(const Postings *postings, const PostingsQuery *query, PostingsVector *vector) {
  vector_clear(vector);
  if (query->of_items)
    add_items(&postings->vectors, query, vector);
  else
    for (size_t i = 0; i < query->count; i++)
      vector_add(vector, query->index[i], query->weight ? (double)query->weight[i] : 1);
  vector->norm = sqrt(vector->norm);
  if (!isfinite(vector->norm)) vector_clear(vector);
}

int postings_expand(const Postings *postings, const PostingsQuery *query, PostingsVector *vector) {
  int code = postings_vector_alloc(postings, query->of_items, vector);
  if (code != CODE_OK) return code;
  postings_vector_set(postings, query, vector);
  memory_free(vector->sum), vector->sum = NULL;
  memory_free(vector->met), vector->met = NULL;
  return CODE_OK;
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */

/* Terms that the query lacks add 0, which changes nothing: no branch is needed. */
float postings_score(const Postings *postings, size_t item, const PostingsVector *vector) {
  const SparseMatrix *vectors = &postings->vectors;
  const uint32_t *index = vectors->index;
  const float *value = vectors->value, *weight = vector->weight;
  double sum = 0;
  for (size_t e = vectors->start[item], end = vectors->start[item + 1]; e < end; e++)
    sum += (double)weight[index[e]] * (double)value[e];
  return vector->norm > 0 ? (float)(sum / vector->norm) : 0;
}

typedef struct Scoring {
  const Postings *postings;
  const PostingsVector *vector;
  float *scores;
  int marked; /* only those that are not 0 yet share a term with the query */
} Scoring;

static int scores_body(void *context, size_t block, int worker) {
  (void)worker;
  const Scoring *work = context;
  size_t end = (block + 1) * SCORES_A_BLOCK, items = work->postings->vectors.rows;
  for (size_t item = block * SCORES_A_BLOCK; item < end && item < items; item++)
    if (!work->marked || work->scores[item] != 0)
      work->scores[item] = postings_score(work->postings, item, work->vector);
  return CODE_OK;
}

/* Gives every item that has the term a score that is not 0. */
static void mark_term(const Postings *postings, uint32_t term, float *scores) {
  const uint32_t *posting = postings->posting + postings->start[term];
  size_t count = list_length(postings, term), items = postings->vectors.rows;
  uint32_t row = postings->row[term];
  for (size_t e = 0; e < count && row == POSTINGS_RARE; e++) scores[posting[e]] = 1;
  if (row == POSTINGS_RARE) return;
  for (size_t block = 0; block < postings->blocks; block++) {
    float *score = scores + block * postings->block;
    if (row >= POSTINGS_COLUMN) {
      const uint8_t *column = postings->column + (block * postings->columns + row - POSTINGS_COLUMN) * postings->block;
      for (size_t i = 0; i < postings->block && block * postings->block + i < items; i++)
        if (column[i]) score[i] = 1;
    } else {
      const uint32_t *bound = postings->bound + row * (postings->blocks + 1) + block;
      for (size_t e = bound[0]; e < bound[1]; e++) score[posting[e] & UINT16_MAX] = 1;
    }
  }
}

/* Where the lists are short they tell which items need no look at all. */
int postings_scores(const Postings *postings, const PostingsVector *vector, float *scores, int threads,
                    const Cancel *cancel) {
  Scoring work = {.postings = postings, .vector = vector, .scores = scores};
  size_t items = postings->vectors.rows, entries = 0;
  for (size_t i = 0; i < vector->count; i++) {
    uint32_t term = vector->term[i], row = postings->row[term];
    entries += row != POSTINGS_RARE && row >= POSTINGS_COLUMN ? items / COLUMN_READING : list_length(postings, term);
  }
  work.marked = entries < items;
  if (work.marked) memset(scores, 0, items * sizeof *scores);
  for (size_t i = 0; i < vector->count && work.marked; i++) mark_term(postings, vector->term[i], scores);
  return parallel_for(threads, (items + SCORES_A_BLOCK - 1) / SCORES_A_BLOCK, scores_body, &work, cancel);
}

/* ---- as a scorer ------------------------------------------------------------------------------------------------- */

static int scores_of_all(const Scorer *scorer, const void *query, float *scores) {
  PostingsVector spread;
  int code = postings_expand(scorer->items, query, &spread);
  if (code == CODE_OK) code = postings_scores(scorer->items, &spread, scores, 1, NULL);
  postings_vector_free(&spread);
  return code;
}

static int scores_of_some(const Scorer *scorer, const void *query, const uint32_t *item, size_t count, float *scores) {
  PostingsVector spread;
  int code = postings_expand(scorer->items, query, &spread);
  for (size_t i = 0; i < count && code == CODE_OK; i++) scores[i] = postings_score(scorer->items, item[i], &spread);
  postings_vector_free(&spread);
  return code;
}

static int best_of_all(const Scorer *scorer, const Queries *queries, const Excluded *excluded, size_t k, Scored *best,
                       size_t *found, int threads, const Cancel *cancel) {
  return postings_top_k(scorer->items, queries->each, queries->count, excluded, k, best, found, threads, cancel);
}

/* Queries are spread out one after the other. */
static int scores_for_queries(const Scorer *scorer, uint32_t item, const Queries *queries, float *scores,
                              const Cancel *cancel) {
  const PostingsQuery *query = queries->each;
  PostingsVector spread;
  int code = postings_vector_alloc(scorer->items, 1, &spread);
  for (size_t q = 0; q < queries->count && code == CODE_OK; q++) {
    postings_vector_set(scorer->items, &query[q], &spread);
    scores[q] = spread.count ? postings_score(scorer->items, item, &spread) : NAN;
    code = cancel_poll(cancel);
  }
  postings_vector_free(&spread);
  return code;
}

static float spread_cosine(const PostingsVector *a, const PostingsVector *b) {
  double sum = 0;
  if (!(a->norm > 0) || !(b->norm > 0)) return 0;
  for (size_t i = 0; i < a->count; i++) sum += (double)a->weight[a->term[i]] * (double)b->weight[a->term[i]];
  return (float)(sum / (a->norm * b->norm));
}

static int compare_queries(const Scorer *scorer, const void *one, const Queries *queries, float *similarities,
                           const Cancel *cancel) {
  const PostingsQuery *query = queries->each;
  PostingsVector self, spread = {0};
  int code = postings_expand(scorer->items, one, &self);
  if (code == CODE_OK) code = postings_vector_alloc(scorer->items, 1, &spread);
  for (size_t q = 0; q < queries->count && code == CODE_OK; q++) {
    postings_vector_set(scorer->items, &query[q], &spread);
    similarities[q] = spread_cosine(&spread, &self);
    code = cancel_poll(cancel);
  }
  postings_vector_free(&self);
  postings_vector_free(&spread);
  return code;
}

static const ScorerMethods postings_methods = {scores_of_all, scores_of_some, best_of_all, scores_for_queries,
                                               compare_queries};

Scorer postings_scorer(const Postings *postings) {
  return (Scorer){.methods = &postings_methods,
                  .items = postings,
                  .count = postings->vectors.rows,
                  .query_size = sizeof(PostingsQuery)};
}
