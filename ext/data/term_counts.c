/* Counting terms: see term_counts.h.
 *
 * Texts are gathered into batches of some megabytes, a batch is cut into blocks of whole rows, and the blocks are read
 * on all cores. Each worker numbers the terms in a dictionary of its own as they come; at the end the dictionaries are
 * merged and sorted, and all numbers translated. So nothing depends on which worker read what. */
#include "term_counts.h"

#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"

enum { BATCH_BYTES = 4 << 20, BLOCK_BYTES = 32 << 10, TERMS_A_POLL = 4096, ITEMS_A_BLOCK = 512 };
enum { WAITING_BYTES = 4096, LARGE_BYTES = 1 << 20 };

/* One text: bytes begin … begin + size - 1 of the batch. */
typedef struct Segment {
  size_t begin, size;
  size_t row;
} Segment;

/* What a block of rows holds, in the numbers of the worker who read it. */
typedef struct Block {
  size_t first_row, rows;
  size_t first_segment, segments;
  int large; /* it takes long: the calling thread reads it, which alone can see the wish to cancel */
  int worker;
  uint32_t *length;       /* distinct terms of each row */
  uint32_t *term, *count; /* row after row */
  size_t used;
  uint32_t *words;       /* all terms in order, with keep_words */
  uint32_t *word_length; /* of each row */
  size_t words_used;
} Block;

/* Where a term of the current row was put. */
typedef struct Mark {
  size_t row; /* + 1 */
  size_t place;
} Mark;

typedef struct Worker {
  TermCounter *counter;
  TermReader *reader;
  Dictionary terms;
  /* The last terms, still to be looked up: in batches, since one by one most of the time would go into waiting for
   * memory. They are copied, as the tokenizer's are gone with the next. */
  Id waiting[DICTIONARY_BATCH];
  size_t waiting_count, waiting_bytes;
  char bytes[WAITING_BYTES];
  Mark *marks; /* one a term */
  size_t marks_capacity;
  uint32_t *translation; /* to the final number */
  Block *block;          /* being read */
  size_t row;
  size_t since_poll;
  int number;
} Worker;

struct TermCounter {
  const DocumentOptions *options;
  const Cancel *cancel;
  int threads;
  Worker *workers; /* one a thread */
  /* the batch */
  char *bytes;
  size_t bytes_used, bytes_capacity;
  Segment *segments;
  size_t segment_count, segment_capacity;
  size_t row;       /* the current one */
  size_t first_row; /* of the batch */
  /* all blocks so far */
  Block *blocks;
  size_t block_count;
  size_t batch_block; /* the first of the batch */
};

int term_counter_create(TermCounter **created, sqlite3 *db, const DocumentOptions *options, const Cancel *cancel,
                        Error *error) {
  TermCounter *counter = memory_alloc_zero(1, sizeof *counter);
  *created = counter;
  if (!counter) return error_no_memory(error);
  counter->options = options;
  counter->cancel = cancel;
  counter->workers = memory_alloc_zero((size_t)options->threads, sizeof *counter->workers);
  int code = counter->workers ? SQLITE_OK : error_no_memory(error);
  for (int number = 0; code == SQLITE_OK && number < options->threads; number++) {
    Worker *worker = &counter->workers[number];
    worker->counter = counter;
    worker->number = number;
    code = term_reader_open(&worker->reader, db, options->rules, options->caller, error);
    if (code == SQLITE_OK) counter->threads++;
    if (code == SQLITE_OK && !term_reader_is_concurrent(worker->reader)) break;
  }
  return code;
}

void term_counter_destroy(TermCounter *counter) {
  if (!counter) return;
  for (int number = 0; counter->workers && number < counter->options->threads; number++) {
    Worker *worker = &counter->workers[number];
    term_reader_close(worker->reader);
    dictionary_free(&worker->terms);
    memory_free(worker->marks);
    memory_free(worker->translation);
  }
  for (size_t b = 0; b < counter->block_count; b++) {
    Block *block = &counter->blocks[b];
    memory_free(block->length);
    memory_free(block->term);
    memory_free(block->count);
    memory_free(block->words);
    memory_free(block->word_length);
  }
  memory_free(counter->workers);
  memory_free(counter->bytes);
  memory_free(counter->segments);
  memory_free(counter->blocks);
  memory_free(counter);
}

/* ---- one block --------------------------------------------------------------------------------------------------- */

static int append_word(Block *block, uint32_t term) {
  uint32_t *words = memory_grow(block->words, block->words_used, sizeof *words);
  if (!words) return SQLITE_NOMEM;
  block->words = words;
  block->words[block->words_used++] = term;
  return SQLITE_OK;
}

static int append_term(Block *block, uint32_t term) {
  uint32_t *terms = memory_grow(block->term, block->used, sizeof *terms);
  if (terms) block->term = terms;
  uint32_t *counts = memory_grow(block->count, block->used, sizeof *counts);
  if (counts) block->count = counts;
  if (!terms || !counts) return SQLITE_NOMEM;
  block->term[block->used] = term;
  block->count[block->used++] = 1;
  return SQLITE_OK;
}

static Mark *mark_of(Worker *worker, uint32_t term) {
  if (term >= worker->marks_capacity) {
    size_t capacity = worker->marks_capacity ? 2 * worker->marks_capacity : 4096;
    Mark *grown = memory_resize(worker->marks, capacity, sizeof *grown);
    if (!grown) return NULL;
    memset(grown + worker->marks_capacity, 0, (capacity - worker->marks_capacity) * sizeof *grown);
    worker->marks = grown;
    worker->marks_capacity = capacity;
  }
  return &worker->marks[term];
}

static int count_one(Worker *worker, uint32_t term) {
  Block *block = worker->block;
  int code = SQLITE_OK;
  Mark *mark = mark_of(worker, term);
  if (!mark) return SQLITE_NOMEM;
  if (mark->row == worker->row + 1) {
    block->count[mark->place]++;
  } else {
    *mark = (Mark){worker->row + 1, block->used};
    code = append_term(block, term);
  }
  if (code == SQLITE_OK && worker->counter->options->keep_words) code = append_word(block, term);
  return code;
}

/* Counts the terms that wait. */
static int count_waiting(Worker *worker) {
  uint32_t term[DICTIONARY_BATCH];
  size_t n = worker->waiting_count;
  int code = dictionary_add_batch(&worker->terms, worker->waiting, n, term);
  for (size_t i = 0; i < n && code == SQLITE_OK; i++) code = count_one(worker, term[i]);
  worker->waiting_count = worker->waiting_bytes = 0;
  worker->since_poll += n;
  if (code == SQLITE_OK && worker->number == 0 && worker->since_poll >= TERMS_A_POLL) {
    worker->since_poll = 0;
    code = cancel_poll(worker->counter->cancel);
  }
  return code;
}

static int take_term(void *context, const char *text, size_t size) {
  Worker *worker = context;
  int code = SQLITE_OK;
  if (worker->waiting_count == DICTIONARY_BATCH || size > WAITING_BYTES - worker->waiting_bytes)
    code = count_waiting(worker);
  if (code != SQLITE_OK) return code;
  int large = size > WAITING_BYTES; /* then it does not wait */
  if (!large) text = memcpy(worker->bytes + worker->waiting_bytes, text, size);
  worker->waiting_bytes += large ? 0 : size;
  worker->waiting[worker->waiting_count++] = (Id){.kind = ID_TEXT, .size = (uint32_t)size, .as.bytes = text};
  return large ? count_waiting(worker) : SQLITE_OK;
}

static int read_block(void *context, size_t number, int worker_number) {
  TermCounter *counter = context;
  Worker *worker = &counter->workers[worker_number];
  Block *block = &counter->blocks[counter->batch_block + number];
  const Segment *segment = counter->segments + block->first_segment, *end = segment + block->segments;
  int keep_words = counter->options->keep_words;
  block->worker = worker_number;
  block->length = memory_alloc(block->rows, sizeof *block->length);
  if (keep_words) block->word_length = memory_alloc(block->rows, sizeof *block->word_length);
  int code = block->length && (block->word_length || !keep_words) ? SQLITE_OK : SQLITE_NOMEM;
  worker->block = block;
  for (size_t row = 0; row < block->rows && code == SQLITE_OK; row++) {
    size_t used = block->used, words_used = block->words_used;
    worker->row = block->first_row + row;
    for (; segment < end && segment->row == worker->row && code == SQLITE_OK; segment++)
      code = term_reader_read(worker->reader, counter->bytes + segment->begin, segment->size, take_term, worker);
    if (code == SQLITE_OK) code = count_waiting(worker);
    block->length[row] = (uint32_t)(block->used - used);
    if (keep_words) block->word_length[row] = (uint32_t)(block->words_used - words_used);
  }
  return code;
}

static int read_small_block(void *context, size_t number, int worker_number) {
  const TermCounter *counter = context;
  return counter->blocks[counter->batch_block + number].large ? SQLITE_OK : read_block(context, number, worker_number);
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

/* Takes rows from *row and segments from *segment on into a block, until it is large enough. */
static int add_block(TermCounter *counter, size_t *row, size_t *segment) {
  Block *grown = memory_grow(counter->blocks, counter->block_count, sizeof *grown);
  if (!grown) return SQLITE_NOMEM;
  counter->blocks = grown;
  Block *block = &counter->blocks[counter->block_count++];
  *block = (Block){.first_row = *row, .first_segment = *segment};
  size_t bytes = 0;
  for (; *row < counter->row && bytes < BLOCK_BYTES && *row - block->first_row < BLOCK_BYTES; ++*row)
    for (; *segment < counter->segment_count && counter->segments[*segment].row == *row; ++*segment)
      bytes += counter->segments[*segment].size;
  block->rows = *row - block->first_row;
  block->segments = *segment - block->first_segment;
  block->large = bytes > LARGE_BYTES;
  return SQLITE_OK;
}

static int counting_error(const TermCounter *counter, int code, Error *error) {
  const char *caller = counter->options->caller;
  if (code == SQLITE_OK || code == SQLITE_NOMEM || code == SQLITE_INTERRUPT) return error_from_code(error, code);
  if (code == SQLITE_TOOBIG) return error_set(error, code, "%s: there are more than 2147483647 terms", caller);
  return error_set(error, code, "%s: the tokenizer failed: %s", caller, sqlite3_errstr(code));
}

static int flush(TermCounter *counter, Error *error) {
  size_t row = counter->first_row, segment = 0;
  int code = SQLITE_OK;
  counter->batch_block = counter->block_count;
  while (row < counter->row && code == SQLITE_OK) code = add_block(counter, &row, &segment);
  if (code == SQLITE_OK)
    code = parallel_for(counter->threads, counter->block_count - counter->batch_block, read_small_block, counter,
                        counter->cancel);
  for (size_t b = counter->batch_block; b < counter->block_count && code == SQLITE_OK; b++)
    if (counter->blocks[b].large) code = read_block(counter, b - counter->batch_block, 0);
  counter->bytes_used = counter->segment_count = 0;
  counter->first_row = counter->row;
  return counting_error(counter, code, error);
}

int term_counter_add(TermCounter *counter, const char *text, size_t size, Error *error) {
  if (size > counter->bytes_capacity - counter->bytes_used) {
    size_t capacity = counter->bytes_used + size;
    capacity = capacity < BATCH_BYTES ? BATCH_BYTES + (BATCH_BYTES >> 3) : capacity + (capacity >> 3);
    char *grown = memory_resize(counter->bytes, capacity, 1);
    if (!grown) return error_no_memory(error);
    counter->bytes = grown;
    counter->bytes_capacity = capacity;
  }
  if (counter->segment_count == counter->segment_capacity) {
    size_t capacity = counter->segment_capacity ? 2 * counter->segment_capacity : 1024;
    Segment *grown = memory_resize(counter->segments, capacity, sizeof *grown);
    if (!grown) return error_no_memory(error);
    counter->segments = grown;
    counter->segment_capacity = capacity;
  }
  counter->segments[counter->segment_count++] = (Segment){counter->bytes_used, size, counter->row};
  if (size) memcpy(counter->bytes + counter->bytes_used, text, size);
  counter->bytes_used += size;
  return SQLITE_OK;
}

int term_counter_end_row(TermCounter *counter, Error *error) {
  counter->row++;
  int full = counter->bytes_used >= BATCH_BYTES || counter->row - counter->first_row >= BATCH_BYTES / 32;
  return full ? flush(counter, error) : SQLITE_OK;
}

/* ---- putting it together ----------------------------------------------------------------------------------------- */

/* The terms of all workers, sorted, and each worker's translation. */
static int merge_terms(TermCounter *counter, Dictionary *terms) {
  int code = SQLITE_OK;
  for (int number = 0; number < counter->threads && code == SQLITE_OK; number++) {
    Worker *worker = &counter->workers[number];
    worker->translation = memory_alloc(worker->terms.count, sizeof *worker->translation);
    if (!worker->translation) code = SQLITE_NOMEM;
    if (number == 0 && code == SQLITE_OK) { /* the first one's terms are taken over as they are */
      *terms = worker->terms;
      dictionary_init(&worker->terms);
      for (size_t i = 0; i < terms->count; i++) worker->translation[i] = (uint32_t)i;
      worker->row = terms->count;
    } else {
      for (size_t i = 0; i < worker->terms.count && code == SQLITE_OK; i++) {
        const Id id = dictionary_id(&worker->terms, i);
        code = dictionary_add(terms, &id, &worker->translation[i]);
        if (i % TERMS_A_POLL == 0 && code == SQLITE_OK) code = cancel_poll(counter->cancel);
      }
      worker->row = worker->terms.count;
      dictionary_free(&worker->terms);
    }
  }
  uint32_t *new_index = code == SQLITE_OK ? memory_alloc(terms->count, sizeof *new_index) : NULL;
  if (!new_index && code == SQLITE_OK) code = SQLITE_NOMEM;
  if (code == SQLITE_OK) code = dictionary_sort(terms, new_index, counter->threads, counter->cancel);
  for (int number = 0; number < counter->threads && code == SQLITE_OK; number++) {
    Worker *worker = &counter->workers[number];
    for (size_t i = 0; i < worker->row; i++) worker->translation[i] = new_index[worker->translation[i]];
  }
  memory_free(new_index);
  return code;
}

/* Where a row's terms are. */
typedef struct Span {
  const Block *block;
  size_t begin;
  uint32_t length;
} Span;

typedef struct Gathering {
  TermCounter *counter;
  const Span *spans;
  const size_t *item_start; /* items + 1 */
  const uint32_t *item_row; /* the rows of each item, in order */
  SparseMatrix *counts;     /* its rows have room for all terms of an item's rows */
  size_t *length;           /* how many were distinct */
} Gathering;

/* Sorts n keys, with scratch for as many. */
static void sort_term_keys(uint64_t *keys, size_t n, uint64_t *scratch) {
  enum { SHORT = 24 };
  if (n > SHORT) {
    size_t half = n / 2, a = 0, b = half;
    sort_term_keys(keys, half, scratch);
    sort_term_keys(keys + half, n - half, scratch);
    memcpy(scratch, keys, n * sizeof *keys);
    for (size_t i = 0; i < n; i++)
      keys[i] = b == n || (a < half && scratch[a] <= scratch[b]) ? scratch[a++] : scratch[b++];
    return;
  }
  for (size_t i = 1; i < n; i++) {
    uint64_t key = keys[i];
    size_t place = i;
    for (; place > 0 && keys[place - 1] > key; place--) keys[place] = keys[place - 1];
    keys[place] = key;
  }
}

static int gather_item(const Gathering *work, size_t item, uint64_t *keys, uint64_t *scratch) {
  size_t n = 0, to = work->counts->start[item];
  for (size_t r = work->item_start[item]; r < work->item_start[item + 1]; r++) {
    const Span *span = &work->spans[work->item_row[r]];
    const uint32_t *translation = work->counter->workers[span->block->worker].translation;
    for (size_t e = span->begin; e < span->begin + span->length; e++)
      keys[n++] = (uint64_t)translation[span->block->term[e]] << 32 | span->block->count[e];
  }
  sort_term_keys(keys, n, scratch);
  for (size_t i = 0; i < n; i++) {
    uint32_t term = (uint32_t)(keys[i] >> 32);
    float count = (float)(uint32_t)keys[i];
    if (i && term == (uint32_t)(keys[i - 1] >> 32)) {
      work->counts->value[to - 1] += count;
    } else {
      work->counts->index[to] = term;
      work->counts->value[to++] = count;
    }
  }
  work->length[item] = to - work->counts->start[item];
  return SQLITE_OK;
}

static int gather_items(void *context, size_t block, int worker) {
  (void)worker;
  const Gathering *work = context;
  size_t items = work->counts->rows, first = block * ITEMS_A_BLOCK, longest = 0;
  size_t end = first + ITEMS_A_BLOCK < items ? first + ITEMS_A_BLOCK : items;
  for (size_t item = first; item < end; item++) {
    size_t n = sparse_row_length(work->counts, item);
    if (n > longest) longest = n;
  }
  uint64_t *keys = memory_alloc(longest, 2 * sizeof *keys);
  int code = keys ? SQLITE_OK : SQLITE_NOMEM;
  for (size_t item = first; item < end && code == SQLITE_OK; item++)
    code = gather_item(work, item, keys, keys + longest);
  memory_free(keys);
  return code;
}

/* Closes the gaps that terms of several rows of an item leave. */
static void close_gaps(SparseMatrix *counts, const size_t *length) {
  size_t to = 0, from = 0;
  for (size_t item = 0; item < counts->rows; item++) {
    size_t next = counts->start[item + 1];
    if (to != from) {
      memmove(counts->index + to, counts->index + from, length[item] * sizeof *counts->index);
      memmove(counts->value + to, counts->value + from, length[item] * sizeof *counts->value);
    }
    to += length[item];
    from = next;
    counts->start[item + 1] = to;
  }
}

static void find_spans(const TermCounter *counter, Span *spans) {
  for (size_t b = 0; b < counter->block_count; b++) {
    const Block *block = &counter->blocks[b];
    size_t begin = 0;
    for (size_t row = 0; row < block->rows; row++) {
      spans[block->first_row + row] = (Span){block, begin, block->length[row]};
      begin += block->length[row];
    }
  }
}

/* The rows of each item, a counting sort. */
static void order_rows(const uint32_t *row_item, size_t rows, size_t items, size_t *item_start, uint32_t *item_row) {
  for (size_t row = 0; row < rows; row++)
    if (row_item[row] != DICTIONARY_NONE) item_start[row_item[row] + 1]++;
  for (size_t item = 0; item < items; item++) item_start[item + 1] += item_start[item];
  for (size_t row = 0; row < rows; row++)
    if (row_item[row] != DICTIONARY_NONE) item_row[item_start[row_item[row]]++] = (uint32_t)row;
  for (size_t item = items; item > 0; item--) item_start[item] = item_start[item - 1];
  item_start[0] = 0;
}

static int gather_counts(TermCounter *counter, const uint32_t *row_item, size_t rows, size_t items, size_t terms,
                         SparseMatrix *counts) {
  Span *spans = memory_alloc(rows, sizeof *spans);
  size_t *item_start = memory_alloc_zero(items + 1, sizeof *item_start);
  size_t *length = memory_alloc(items, sizeof *length);
  uint32_t *item_row = memory_alloc(rows, sizeof *item_row);
  int code = spans && item_start && length && item_row ? SQLITE_OK : SQLITE_NOMEM;
  size_t entries = 0;
  if (code == SQLITE_OK) {
    find_spans(counter, spans);
    order_rows(row_item, rows, items, item_start, item_row);
    for (size_t row = 0; row < rows; row++) entries += row_item[row] != DICTIONARY_NONE ? spans[row].length : 0;
    code = sparse_alloc(counts, items, terms, entries, 1);
  }
  if (code == SQLITE_OK) {
    for (size_t item = 0; item < items; item++) {
      counts->start[item + 1] = counts->start[item];
      for (size_t r = item_start[item]; r < item_start[item + 1]; r++)
        counts->start[item + 1] += spans[item_row[r]].length;
    }
    Gathering work = {counter, spans, item_start, item_row, counts, length};
    code = parallel_for(counter->threads, (items + ITEMS_A_BLOCK - 1) / ITEMS_A_BLOCK, gather_items, &work,
                        counter->cancel);
  }
  if (code == SQLITE_OK)
    close_gaps(counts, length);
  else
    sparse_free(counts);
  memory_free(spans);
  memory_free(item_start);
  memory_free(length);
  memory_free(item_row);
  return code;
}

/* The words in order, of the rows that count. */
static int gather_words(TermCounter *counter, const uint32_t *row_item, size_t rows, Documents *documents) {
  size_t total = 0, to = 0;
  for (size_t b = 0; b < counter->block_count; b++) total += counter->blocks[b].words_used;
  documents->words = memory_alloc(total, sizeof *documents->words);
  documents->word_start = memory_alloc_zero(rows + 1, sizeof *documents->word_start);
  if (!documents->words || !documents->word_start) return SQLITE_NOMEM;
  for (size_t b = 0; b < counter->block_count; b++) {
    Block *block = &counter->blocks[b];
    const uint32_t *translation = counter->workers[block->worker].translation, *from = block->words;
    for (size_t row = 0; row < block->rows; row++) {
      int counts = row_item[block->first_row + row] != DICTIONARY_NONE;
      for (uint32_t i = 0; i < block->word_length[row]; i++, from++)
        if (counts) documents->words[to++] = translation[*from];
      if (counts) documents->word_start[++documents->documents] = to;
    }
    memory_free(block->words);
    block->words = NULL;
  }
  return SQLITE_OK;
}

int term_counter_finish(TermCounter *counter, const uint32_t *row_item, size_t rows, Documents *documents,
                        Error *error) {
  int code = flush(counter, error);
  if (code != SQLITE_OK) return code;
  code = merge_terms(counter, &documents->terms);
  if (code == SQLITE_OK)
    code = gather_counts(counter, row_item, rows, documents->items.count, documents->terms.count, &documents->counts);
  if (code == SQLITE_OK && counter->options->keep_words) code = gather_words(counter, row_item, rows, documents);
  return counting_error(counter, code, error);
}
