/* Skip-gram with negative sampling: see word2vec.h.
 *
 * The model, the noise (counts to the power ¾), the subsampling and the falling learning rate are those of Mikolov,
 * Sutskever, Chen, Corrado & Dean, "Distributed representations of words and phrases and their compositionality", NIPS
 * 2013, and of their program. That one lets threads overwrite each other's vectors; here any number of threads gives
 * the same bytes. Words are taken in batches: all gradients of a batch are computed against the vectors as they stand
 * at its start, by blocks of words, and then added, by sections of the vectors, each in the order of the words. As in
 * Ji, Satish, Li & Dubey, "Parallelizing word2vec in shared and distributed memory" (2016), a word and all that is near
 * it share their noise, so that a gradient is a small matrix product.
 *
 * A vector that a batch uses n times takes n steps without seeing what the others did. One after the other they would
 * have become smaller; together they may overshoot. So the sum G of its gradients becomes the step
 *
 *     min(rate, 1 / B) G,    B = Σ (σ(|y|) − ½) / |y| ‖other vector‖² + ¼ Σ |error|
 *
 * with y the dot products. The first sum is the curvature of a parabola above the loss, so that 1 / B does not
 * overshoot (Jaakkola & Jordan, "Bayesian parameter estimation via variational methods", 2000); the second allows for
 * the other vectors' moving too. Batches grow with the corpus, so that small ones are learnt word by word, and are
 * small where one word would fill them. (Measured on MovieLens 1M's histories and on made-up topics: batches of 2048
 * words end at the loss of single words, within 1 %. The implicit step rate G / (1 + rate B), which is smaller, lags
 * behind by 2 %. With 27 words, in batches that use every vector several times, topics blur although the loss falls:
 * the cosines within them from .96 to .63. One word for every sixteen of the vocabulary loses nothing.) */
#include "word2vec.h"

#include <math.h>
#include <string.h>

#include "../base/factors.h"
#include "../base/memory.h"
#include "../base/parallel.h"
#include "../base/random.h"
#include "word2vec_kernels.h"

#define BATCHES 500                    /* of an epoch, at least … */
#define MOST_BATCH 2048                /* … but no more words than this in one */
#define BATCH_FLOATS ((size_t)1 << 22) /* … nor gradients */
#define MOST_OFTEN 128                 /* times that the most frequent word comes in a batch, on average */
#define VOCABULARY_SHARE 16            /* words of the vocabulary for one of a batch */
#define BLOCK 64                       /* words whose gradients one worker computes at once */
#define THREADED 128                   /* words in a batch, if it is to be worth starting threads */
#define SECTIONS 32                    /* of the vectors: those with the same number modulo this */
#define SECTION_ENDS (2 * SECTIONS + 1)
#define NOISE_POWER 0.75
#define LEAST_RATE 1e-4 /* of the first learning rate */
#define POLL_WORDS ((size_t)1 << 20)

/* What to do for one word of a batch. Its vectors come in this order: the inputs, in 2 · window places, the outputs. */
typedef struct Task {
  uint32_t inputs, outputs; /* 0: left out, or nothing near it */
} Task;

struct Word2vec {
  Word2vecOptions options;
  const uint32_t *words;
  const size_t *start;
  size_t documents, terms, tokens;
  size_t stride;
  float *input, *output; /* v and u */
  float *bend[2];        /* B of each vector, inputs and outputs; zero between batches */
  uint64_t *count;       /* of each term */
  uint32_t *keep;        /* a term's chance to be kept, times 2^32 - 1 */
  uint32_t *chance;      /* the noise: a uniform place keeps itself with this chance, … */
  uint32_t *other;       /* … else gives this term (Walker's alias method, 1977) */
  size_t batch, slots;   /* words of a batch, vectors of a word */
  Task *task;            /* batch */
  uint32_t *row;         /* batch × slots: which vectors */
  float *step;           /* batch × slots × stride */
  float *step_bend;      /* batch × slots */
  uint32_t *order;       /* each block's slots in use, by section; batch × slots */
  uint32_t *section;     /* a block: its inputs' and outputs' sections, SECTION_ENDS offsets into its part of order */
  const float **pointer; /* slots a worker */
  float *scratch;        /* scratch_size a worker */
  size_t scratch_size;
  double *loss; /* of each block of a batch */
  uint64_t *pairs;
  const Word2vecKernels *kernels;
  int epochs; /* completed */
};

/* ---- setting up -------------------------------------------------------------------------------------------------- */

static int alloc_terms(Word2vec *w) {
  w->input = memory_alloc_aligned(w->terms, w->stride * sizeof(float));
  w->output = memory_alloc_aligned(w->terms, w->stride * sizeof(float));
  for (int side = 0; side < 2; side++) w->bend[side] = memory_alloc_zero(w->terms, sizeof(float));
  w->count = memory_alloc_zero(w->terms, sizeof *w->count);
  w->keep = memory_alloc(w->terms, sizeof *w->keep);
  w->chance = memory_alloc(w->terms, sizeof *w->chance);
  w->other = memory_alloc(w->terms, sizeof *w->other);
  return w->input && w->output && w->bend[0] && w->bend[1] && w->count && w->keep && w->chance && w->other ? CODE_OK
                                                                                                           : CODE_NOMEM;
}

static int alloc_batch(Word2vec *w) {
  const Word2vecOptions *options = &w->options;
  size_t inputs = 2 * (size_t)options->window, outputs = 1 + (size_t)options->negatives;
  size_t threads = (size_t)options->threads;
  w->slots = inputs + outputs;
  w->batch = w->tokens / BATCHES;
  if (w->batch > MOST_BATCH) w->batch = MOST_BATCH;
  if (w->batch > BATCH_FLOATS / (w->slots * w->stride)) w->batch = BATCH_FLOATS / (w->slots * w->stride);
  if (w->batch < 1) w->batch = 1;
  size_t blocks = (w->batch + BLOCK - 1) / BLOCK;
  w->scratch_size = (word2vec_scratch(inputs, outputs) + 15) / 16 * 16;
  w->task = memory_alloc(w->batch, sizeof *w->task);
  w->row = memory_alloc(w->batch, w->slots * sizeof *w->row);
  w->step = memory_alloc_aligned(w->batch * w->slots, w->stride * sizeof *w->step);
  w->step_bend = memory_alloc(w->batch, w->slots * sizeof *w->step_bend);
  w->order = memory_alloc(w->batch, w->slots * sizeof *w->order);
  w->section = memory_alloc(blocks, SECTION_ENDS * sizeof *w->section);
  w->pointer = memory_alloc(threads, w->slots * sizeof *w->pointer);
  w->scratch = memory_alloc_aligned(threads, w->scratch_size * sizeof *w->scratch);
  w->loss = memory_alloc(blocks, sizeof *w->loss);
  w->pairs = memory_alloc(blocks, sizeof *w->pairs);
  return w->task && w->row && w->step && w->step_bend && w->order && w->section && w->pointer && w->scratch &&
                 w->loss && w->pairs
             ? CODE_OK
             : CODE_NOMEM;
}

int word2vec_create(Word2vec **out, const uint32_t *words, const size_t *start, size_t documents, size_t terms,
                    const Word2vecOptions *options, Error *error) {
  *out = NULL;
  Word2vec *w = memory_alloc_zero(1, sizeof *w);
  if (!w) return error_no_memory(error);
  w->options = *options;
  w->words = words;
  w->start = start;
  w->documents = documents;
  w->terms = terms;
  w->tokens = start[documents];
  w->stride = (size_t)factors_stride(options->rank);
  w->kernels = word2vec_kernels();
  if (alloc_terms(w) != CODE_OK || alloc_batch(w) != CODE_OK) {
    word2vec_destroy(w);
    return error_no_memory(error);
  }
  *out = w;
  return CODE_OK;
}

void word2vec_destroy(Word2vec *w) {
  if (!w) return;
  memory_free_aligned(w->input);
  memory_free_aligned(w->output);
  for (int side = 0; side < 2; side++) memory_free(w->bend[side]);
  memory_free(w->count);
  memory_free(w->keep);
  memory_free(w->chance);
  memory_free(w->other);
  memory_free(w->task);
  memory_free(w->row);
  memory_free_aligned(w->step);
  memory_free(w->step_bend);
  memory_free(w->order);
  memory_free(w->section);
  memory_free(w->pointer);
  memory_free_aligned(w->scratch);
  memory_free(w->loss);
  memory_free(w->pairs);
  memory_free(w);
}

const float *word2vec_vectors(const Word2vec *w) { return w->input; }

/* ---- the start --------------------------------------------------------------------------------------------------- */

static int count_terms(Word2vec *w, const Cancel *cancel) {
  int code = CODE_OK;
  for (size_t first = 0; first < w->tokens && code == CODE_OK; first += POLL_WORDS) {
    size_t end = w->tokens - first < POLL_WORDS ? w->tokens : first + POLL_WORDS;
    for (size_t i = first; i < end; i++) w->count[w->words[i]]++;
    code = cancel_poll(cancel);
  }
  return code;
}

/* A share of 2^32 - 1. */
static uint32_t fixed(double share) { return share >= 1 ? UINT32_MAX : (uint32_t)(share * 4294967295.0); }

static void set_keep(Word2vec *w) {
  for (size_t term = 0; term < w->terms; term++) {
    double frequency = (double)w->count[term] / (double)w->tokens, rare = w->options.subsample / frequency;
    w->keep[term] = w->options.subsample > 0 && frequency > 0 ? fixed(sqrt(rare) + rare) : UINT32_MAX;
  }
}

static double kept_count(const Word2vec *w, size_t term) {
  return (double)w->count[term] * ((double)w->keep[term] / UINT32_MAX);
}

/* No word may fill a batch, and a batch must not use all vectors at once: the vocabulary counts as many words as e to
 * the entropy of their frequencies. */
static void limit_batch(Word2vec *w) {
  double most = 0, all = 0, entropy = 0;
  for (size_t term = 0; term < w->terms; term++) {
    most = fmax(most, kept_count(w, term));
    all += kept_count(w, term);
  }
  for (size_t term = 0; term < w->terms && all > 0; term++) {
    double share = kept_count(w, term) / all;
    if (share > 0) entropy -= share * log(share);
  }
  if (!(all > 0)) return;
  double limit = fmin(MOST_OFTEN * all / most, exp(entropy) / VOCABULARY_SHARE);
  if ((double)w->batch > limit) w->batch = limit < 1 ? 1 : (size_t)limit;
}

/* Walker's table: places that hold less than their share are filled up by terms that have more. */
static int set_noise(Word2vec *w) {
  double *share = memory_alloc(w->terms, sizeof *share), sum = 0;
  uint32_t *list = memory_alloc(w->terms, sizeof *list); /* those with less from the front, those with more behind */
  int code = share && list ? CODE_OK : CODE_NOMEM;
  if (code == CODE_OK) {
    size_t less = 0, more = w->terms;
    for (size_t term = 0; term < w->terms; term++) sum += share[term] = pow((double)w->count[term], NOISE_POWER);
    for (size_t term = w->terms; term-- > 0;) {
      share[term] *= (double)w->terms / sum;
      list[share[term] < 1 ? less++ : --more] = (uint32_t)term;
    }
    while (less > 0 && more < w->terms) {
      uint32_t small = list[--less], large = list[more];
      w->chance[small] = fixed(share[small]);
      w->other[small] = large;
      share[large] -= 1 - share[small];
      if (share[large] < 1) list[less++] = large, more++;
    }
    /* What is left differs from 1 by rounding only; a term without count is never left but by rounding either. */
    for (size_t i = 0; i < less; i++) w->chance[list[i]] = UINT32_MAX, w->other[list[i]] = list[i];
    for (size_t i = more; i < w->terms; i++) w->chance[list[i]] = UINT32_MAX, w->other[list[i]] = list[i];
  }
  memory_free(share);
  memory_free(list);
  return code;
}

static size_t rows_a_block(const Word2vec *w) { return (1 << 16) / w->stride + 1; }

static size_t row_blocks(const Word2vec *w) { return (w->terms + rows_a_block(w) - 1) / rows_a_block(w); }

static int word2vec_draw_block(void *context, size_t block, int worker) {
  (void)worker;
  Word2vec *w = context;
  size_t rank = (size_t)w->options.rank, end = (block + 1) * rows_a_block(w);
  for (size_t term = block * rows_a_block(w); term < end && term < w->terms; term++)
    for (size_t lane = 0; lane < rank && w->count[term] > 0; lane++)
      w->input[term * w->stride + lane] =
          (float)((random_uniform(w->options.seed, term * rank + lane) - 0.5) / (double)rank);
  return CODE_OK;
}

static int start(Word2vec *w, const Cancel *cancel) {
  int code = count_terms(w, cancel);
  if (code == CODE_OK && w->tokens > 0) {
    set_keep(w);
    limit_batch(w);
    code = set_noise(w);
  }
  return code == CODE_OK ? parallel_for(w->options.threads, row_blocks(w), word2vec_draw_block, w, cancel) : code;
}

/* ---- drawing what is learnt from one word ------------------------------------------------------------------------ */

typedef struct Batch {
  Word2vec *w;
  size_t first, end;        /* words */
  uint64_t keep_seed, seed; /* of this epoch */
  float rate;
} Batch;

static int is_kept(const Batch *batch, size_t position) {
  uint32_t keep = batch->w->keep[batch->w->words[position]];
  return keep == UINT32_MAX || random_bits(batch->keep_seed, position) >> 32 < keep;
}

/* The document that a word is in: the last that starts at or before it. */
static size_t document_of(const Word2vec *w, size_t position) {
  size_t low = 0, high = w->documents;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (w->start[middle] <= position)
      low = middle;
    else
      high = middle;
  }
  return low;
}

/* Words left out are passed over: what is near comes from further away. */
static uint32_t draw_inputs(const Batch *batch, size_t position, size_t begin, size_t end, size_t reach,
                            uint32_t *row) {
  const uint32_t *words = batch->w->words;
  uint32_t count = 0;
  size_t left = 0, right = 0;
  for (size_t i = position; i > begin && left < reach; i--)
    if (is_kept(batch, i - 1)) row[count++] = words[i - 1], left++;
  for (size_t i = position + 1; i < end && right < reach; i++)
    if (is_kept(batch, i)) row[count++] = words[i], right++;
  return count;
}

/* The word itself, and noise that isn't it. */
static uint32_t draw_outputs(const Batch *batch, size_t position, uint64_t draw, uint32_t *row) {
  const Word2vec *w = batch->w;
  uint32_t word = w->words[position], count = 0;
  row[count++] = word;
  for (int k = 0; k < w->options.negatives; k++) {
    uint64_t bits = random_bits(batch->seed, draw + (uint64_t)k);
    uint32_t place = (uint32_t)(((bits >> 32) * w->terms) >> 32);
    uint32_t term = (uint32_t)bits < w->chance[place] ? place : w->other[place];
    if (term != word) row[count++] = term;
  }
  return count;
}

static void draw_task(const Batch *batch, size_t position, size_t document) {
  const Word2vec *w = batch->w;
  size_t index = position - batch->first, window = (size_t)w->options.window;
  uint64_t draw = (uint64_t)position * ((uint64_t)w->options.negatives + 1);
  uint32_t *row = w->row + index * w->slots;
  Task *task = &w->task[index];
  *task = (Task){0};
  if (!is_kept(batch, position)) return;
  size_t reach = 1 + (size_t)(((random_bits(batch->seed, draw) >> 32) * window) >> 32);
  task->inputs = draw_inputs(batch, position, w->start[document], w->start[document + 1], reach, row);
  if (task->inputs > 0) task->outputs = draw_outputs(batch, position, draw + 1, row + 2 * window);
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

static void prefetch(const float *vector, size_t stride) {
  for (size_t lane = 0; lane < stride; lane += 16) __builtin_prefetch(vector + lane);
}

static void prefetch_task(const Word2vec *w, size_t index) {
  const uint32_t *row = w->row + index * w->slots;
  for (uint32_t i = 0; i < w->task[index].inputs; i++) prefetch(w->input + row[i] * w->stride, w->stride);
  row += 2 * w->options.window;
  for (uint32_t i = 0; i < w->task[index].outputs; i++) prefetch(w->output + row[i] * w->stride, w->stride);
}

/* The gradients of one word; returns the loss. */
static double do_task(const Word2vec *w, size_t index, int worker) {
  const Task *task = &w->task[index];
  size_t first = index * w->slots, places = 2 * (size_t)w->options.window;
  const float **pointer = w->pointer + (size_t)worker * w->slots;
  for (uint32_t i = 0; i < task->inputs; i++) pointer[i] = w->input + w->row[first + i] * w->stride;
  for (uint32_t i = 0; i < task->outputs; i++) pointer[places + i] = w->output + w->row[first + places + i] * w->stride;
  Word2vecPairs pairs = {.input = pointer,
                         .output = pointer + places,
                         .inputs = task->inputs,
                         .outputs = task->outputs,
                         .stride = w->stride,
                         .input_step = w->step + first * w->stride,
                         .output_step = w->step + (first + places) * w->stride,
                         .input_bend = w->step_bend + first,
                         .output_bend = w->step_bend + first + places,
                         .scratch = w->scratch + (size_t)worker * w->scratch_size};
  return w->kernels->pairs(&pairs);
}

/* Visits every slot in use of a block, in order: counts them by section, or puts them in place. */
static void visit_slots(Word2vec *w, size_t begin, size_t end, uint32_t *section, uint32_t *order) {
  size_t places = 2 * (size_t)w->options.window;
  for (size_t index = begin; index < end; index++)
    for (int side = 0; side < 2; side++) {
      size_t slot = index * w->slots + (side ? places : 0);
      size_t last = slot + (side ? w->task[index].outputs : w->task[index].inputs);
      for (; slot < last; slot++) {
        uint32_t *place = section + side * SECTIONS + w->row[slot] % SECTIONS;
        if (order)
          order[(*place)++] = (uint32_t)slot;
        else
          ++*place;
      }
    }
}

/* A counting sort of a block's slots by section. */
static void sort_slots(Word2vec *w, size_t block, size_t begin, size_t end) {
  uint32_t *section = w->section + block * SECTION_ENDS, sum = 0;
  memset(section, 0, SECTION_ENDS * sizeof *section);
  visit_slots(w, begin, end, section + 1, NULL);
  for (int s = 0; s < SECTION_ENDS; s++) { /* moved by one, each start becomes the end, which is the next start */
    uint32_t count = section[s];
    section[s] = sum;
    sum += count;
  }
  visit_slots(w, begin, end, section + 1, w->order + block * BLOCK * w->slots);
}

static int gradient_block(void *context, size_t block, int worker) {
  const Batch *batch = context;
  Word2vec *w = batch->w;
  size_t begin = block * BLOCK, end = batch->end - batch->first;
  if (end > begin + BLOCK) end = begin + BLOCK;
  size_t document = document_of(w, batch->first + begin);
  for (size_t i = begin; i < end; i++) {
    while (w->start[document + 1] <= batch->first + i) document++;
    draw_task(batch, batch->first + i, document);
  }
  w->loss[block] = 0;
  w->pairs[block] = 0;
  for (size_t i = begin; i < end; i++) {
    if (i + 1 < end) prefetch_task(w, i + 1);
    if (w->task[i].inputs == 0) continue;
    w->loss[block] += do_task(w, i, worker);
    w->pairs[block] += w->task[i].inputs;
  }
  sort_slots(w, block, begin, end);
  return CODE_OK;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* Adds the steps to the vectors of one section, block after block: the order is that of the words. The first pass sums
 * B and fetches the vectors; the last leaves B zero. */
static int step_section(void *context, size_t section, int worker) {
  (void)worker;
  const Batch *batch = context;
  Word2vec *w = batch->w;
  float *vectors = section < SECTIONS ? w->input : w->output, *bend = w->bend[section >= SECTIONS];
  size_t blocks = (batch->end - batch->first + BLOCK - 1) / BLOCK;
  for (int pass = 0; pass < 3; pass++)
    for (size_t block = 0; block < blocks; block++) {
      const uint32_t *order = w->order + block * BLOCK * w->slots, *end = order, *ends = w->section;
      ends += block * SECTION_ENDS + section;
      for (order += ends[0], end += ends[1]; order < end; order++) {
        size_t slot = *order, row = w->row[slot];
        if (pass == 0) {
          bend[row] += w->step_bend[slot];
          prefetch(vectors + row * w->stride, w->stride);
        } else if (pass == 1) {
          w->kernels->add(w->stride, batch->rate / fmaxf(1, batch->rate * bend[row]), w->step + slot * w->stride,
                          vectors + row * w->stride);
        } else {
          bend[row] = 0;
        }
      }
    }
  return CODE_OK;
}

/* ---- epochs ------------------------------------------------------------------------------------------------------ */

static int do_batch(Batch *batch, double *loss, uint64_t *pairs, const Cancel *cancel) {
  Word2vec *w = batch->w;
  size_t count = batch->end - batch->first, blocks = (count + BLOCK - 1) / BLOCK;
  int threads = count >= THREADED ? w->options.threads : 1;
  int code = parallel_for(threads, blocks, gradient_block, batch, cancel);
  if (code != CODE_OK) return code;
  for (size_t block = 0; block < blocks; block++) {
    *loss += w->loss[block];
    *pairs += w->pairs[block];
  }
  if (threads > 1) return parallel_for(threads, 2 * SECTIONS, step_section, batch, cancel);
  for (size_t section = 0; section < 2 * SECTIONS; section++) step_section(batch, section, 0);
  return CODE_OK;
}

static int finite_block(void *context, size_t block, int worker) {
  (void)worker;
  const Word2vec *w = context;
  size_t first = block * rows_a_block(w), rows = rows_a_block(w);
  if (rows > w->terms - first) rows = w->terms - first;
  int bad = 0;
  for (size_t i = first * w->stride; i < (first + rows) * w->stride; i++)
    bad |= !isfinite(w->input[i]) | !isfinite(w->output[i]);
  return bad ? CODE_ERROR : CODE_OK;
}

static int do_epoch(Word2vec *w, double *loss, const Cancel *cancel) {
  const Word2vecOptions *options = &w->options;
  uint64_t epoch = (uint64_t)w->epochs, pairs = 0;
  int code = epoch == 0 ? start(w, cancel) : cancel_poll(cancel);
  Batch batch = {.w = w, .keep_seed = random_bits(options->seed, 2 * epoch + 1)};
  batch.seed = random_bits(options->seed, 2 * epoch + 2);
  for (; code == CODE_OK && batch.first < w->tokens; batch.first = batch.end) {
    double done = (double)w->epochs + (double)batch.first / (double)w->tokens;
    batch.rate = (float)(options->learning_rate * fmax(1 - done / options->epochs, LEAST_RATE));
    batch.end = w->tokens - batch.first < w->batch ? w->tokens : batch.first + w->batch;
    code = do_batch(&batch, loss, &pairs, cancel);
  }
  if (code == CODE_OK) code = parallel_for(options->threads, row_blocks(w), finite_block, w, cancel);
  if (pairs > 0) *loss /= (double)pairs;
  return code == CODE_OK && !isfinite(*loss) ? CODE_ERROR : code;
}

int word2vec_epoch(Word2vec *w, double *loss, const Cancel *cancel, Error *error) {
  *loss = 0;
  int code = do_epoch(w, loss, cancel);
  if (code == CODE_ERROR)
    return error_set(error, CODE_ERROR,
                     "the vectors are no longer finite after epoch %d: lower \"learning_rate\" (it is %g)",
                     w->epochs + 1, w->options.learning_rate);
  if (code != CODE_OK) return error_from_code(error, code);
  w->epochs++;
  return CODE_OK;
}
