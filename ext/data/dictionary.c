/* A dictionary of ids: see dictionary.h.
 *
 * Open addressing with linear probing, at most half full. A slot keeps the upper 32 bits of the id's hash, and its
 * place is their upper `slot_bits` bits: an id elsewhere in the table is told apart without reading its entry, and
 * the table grows in one pass over the slots, in order, without hashing anything again. */
#include "dictionary.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/parallel.h"

#define MOST_IDS ((size_t)INT32_MAX)
#define FIRST_SLOT_BITS 8

typedef struct DictionaryEntry {
  union {
    int64_t integer;
    double real;
    uint64_t offset; /* into `bytes` */
  } as;
  uint32_t size;
  uint32_t kind;
} Entry;

typedef struct DictionarySlot {
  uint32_t hash;   /* upper half of id_hash */
  uint32_t number; /* index + 1, or 0: free */
} Slot;

void dictionary_init(Dictionary *dictionary) { *dictionary = (Dictionary){0}; }

void dictionary_free(Dictionary *dictionary) {
  memory_free(dictionary->entries);
  memory_free(dictionary->slots);
  memory_free(dictionary->bytes);
  dictionary_init(dictionary);
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */

/* Both are canonical: equal numbers have equal kinds, and equal bits (there is no integral real, so no -0.0). */
static inline int entry_is(const Dictionary *dictionary, const Entry *entry, const Id *id) {
  if (entry->kind != (uint32_t)id->kind) return 0;
  if (id->kind == ID_INTEGER) return entry->as.integer == id->as.integer;
  if (id->kind == ID_REAL) return entry->as.real == id->as.real;
  return entry->size == id->size && memcmp(dictionary->bytes + entry->as.offset, id->as.bytes, id->size) == 0;
}

/* Where a search for a hash begins. */
static inline size_t slot_of(uint32_t hash, int slot_bits) { return (size_t)hash >> (32 - slot_bits); }

/* The slot that holds the id, or the free one where it belongs. There must be slots. */
static inline Slot *find_slot(const Dictionary *dictionary, const Id *id, uint32_t hash) {
  size_t mask = ((size_t)1 << dictionary->slot_bits) - 1;
  for (size_t s = slot_of(hash, dictionary->slot_bits);; s = (s + 1) & mask) {
    Slot *slot = &dictionary->slots[s];
    if (slot->number == 0) return slot;
    if (slot->hash == hash && entry_is(dictionary, &dictionary->entries[slot->number - 1], id)) return slot;
  }
}

uint32_t dictionary_find(const Dictionary *dictionary, const Id *id) {
  if (dictionary->count == 0 || id->kind == ID_NONE) return DICTIONARY_NONE;
  const Slot *slot = find_slot(dictionary, id, (uint32_t)(id_hash(id) >> 32));
  return slot->number ? slot->number - 1 : DICTIONARY_NONE;
}

Id dictionary_id(const Dictionary *dictionary, size_t index) {
  assert(index < dictionary->count);
  const Entry *entry = &dictionary->entries[index];
  Id id = {.kind = (IdKind)entry->kind, .size = entry->size};
  if (id.kind == ID_INTEGER)
    id.as.integer = entry->as.integer;
  else if (id.kind == ID_REAL)
    id.as.real = entry->as.real;
  else if (id.kind != ID_NONE)
    id.as.bytes = dictionary->bytes + entry->as.offset;
  return id;
}

/* ---- adding ------------------------------------------------------------------------------------------------------ */

/* Doubles the slots. Taken in order they fill the new ones from front to back. */
static int grow_slots(Dictionary *dictionary) {
  int bits = dictionary->slots ? dictionary->slot_bits + 1 : FIRST_SLOT_BITS;
  size_t mask = ((size_t)1 << bits) - 1;
  Slot *slots = memory_alloc_zero(mask + 1, sizeof *slots);
  if (!slots) return SQLITE_NOMEM;
  size_t old = dictionary->slots ? (size_t)1 << dictionary->slot_bits : 0;
  for (size_t o = 0; o < old; o++) {
    Slot slot = dictionary->slots[o];
    if (slot.number == 0) continue;
    size_t s = slot_of(slot.hash, bits);
    while (slots[s].number) s = (s + 1) & mask;
    slots[s] = slot;
  }
  memory_free(dictionary->slots);
  dictionary->slots = slots;
  dictionary->slot_bits = bits;
  return SQLITE_OK;
}

/* Room for one more entry, with `size` bytes. */
static int make_entry_room(Dictionary *dictionary, size_t size) {
  if (dictionary->count >= MOST_IDS) return SQLITE_TOOBIG;
  if (dictionary->slot_bits == 0 || dictionary->count >= (size_t)1 << (dictionary->slot_bits - 1))
    if (grow_slots(dictionary) != SQLITE_OK) return SQLITE_NOMEM;
  if (dictionary->count == dictionary->capacity) {
    size_t capacity = dictionary->capacity ? dictionary->capacity + dictionary->capacity / 2 : 128;
    Entry *entries = memory_resize(dictionary->entries, capacity, sizeof *entries);
    if (!entries) return SQLITE_NOMEM;
    dictionary->entries = entries;
    dictionary->capacity = capacity;
  }
  if (size > dictionary->bytes_capacity - dictionary->bytes_used) {
    size_t capacity = dictionary->bytes_used + size;
    capacity += capacity / 2;
    char *bytes = memory_resize(dictionary->bytes, capacity, 1);
    if (!bytes) return SQLITE_NOMEM;
    dictionary->bytes = bytes;
    dictionary->bytes_capacity = capacity;
  }
  return SQLITE_OK;
}

static int append_entry(Dictionary *dictionary, const Id *id, uint32_t hash) {
  assert(id->kind != ID_NONE); /* that has no place among the slots: dictionary_add_none */
  size_t size = id->kind >= ID_TEXT ? id->size : 0;
  int code = make_entry_room(dictionary, id->kind >= ID_TEXT ? size + 1 : 0);
  if (code != SQLITE_OK) return code;
  Entry *entry = &dictionary->entries[dictionary->count];
  *entry = (Entry){.size = (uint32_t)size, .kind = (uint32_t)id->kind};
  if (id->kind == ID_INTEGER) {
    entry->as.integer = id->as.integer;
  } else if (id->kind == ID_REAL) {
    entry->as.real = id->as.real;
  } else {
    entry->as.offset = dictionary->bytes_used;
    memcpy(dictionary->bytes + dictionary->bytes_used, id->as.bytes, size);
    dictionary->bytes[dictionary->bytes_used + size] = 0; /* so that empty text has an address too */
    dictionary->bytes_used += size + 1;
  }
  Slot *slot = find_slot(dictionary, id, hash); /* the table may have grown */
  slot->hash = hash;
  slot->number = (uint32_t)++dictionary->count;
  return SQLITE_OK;
}

int dictionary_add_none(Dictionary *dictionary) {
  int code = make_entry_room(dictionary, 0);
  if (code == SQLITE_OK) dictionary->entries[dictionary->count++] = (Entry){.kind = (uint32_t)ID_NONE};
  return code;
}

int dictionary_is_none(const Dictionary *dictionary, size_t index) {
  return dictionary->entries[index].kind == (uint32_t)ID_NONE;
}

static int add_hashed(Dictionary *dictionary, const Id *id, uint32_t hash, uint32_t *index) {
  const Slot *slot = dictionary->count ? find_slot(dictionary, id, hash) : NULL;
  if (slot && slot->number) {
    *index = dictionary->last = slot->number - 1;
    return SQLITE_OK;
  }
  int code = append_entry(dictionary, id, hash);
  if (code == SQLITE_OK) *index = dictionary->last = (uint32_t)(dictionary->count - 1);
  return code;
}

int dictionary_add(Dictionary *dictionary, const Id *id, uint32_t *index) {
  if (dictionary->count && entry_is(dictionary, &dictionary->entries[dictionary->last], id)) {
    *index = dictionary->last;
    return SQLITE_OK;
  }
  return add_hashed(dictionary, id, (uint32_t)(id_hash(id) >> 32), index);
}

/* A lookup waits for memory three times: for the slot, the entry, and the bytes of a text. Each wait is begun for all
 * ids before the first is needed. What is fetched is only a guess, and the table may grow meanwhile. */
int dictionary_add_batch(Dictionary *dictionary, const Id *ids, size_t n, uint32_t *indexes) {
  uint32_t hashes[DICTIONARY_BATCH], numbers[DICTIONARY_BATCH];
  int bits = dictionary->slot_bits;
  assert(n <= DICTIONARY_BATCH);
  for (size_t i = 0; i < n; i++) {
    hashes[i] = (uint32_t)(id_hash(&ids[i]) >> 32);
    if (bits) __builtin_prefetch(&dictionary->slots[slot_of(hashes[i], bits)]);
  }
  for (size_t i = 0; i < n; i++) {
    numbers[i] = bits ? dictionary->slots[slot_of(hashes[i], bits)].number : 0;
    if (numbers[i]) __builtin_prefetch(&dictionary->entries[numbers[i] - 1]);
  }
  for (size_t i = 0; i < n; i++)
    if (numbers[i] && ids[i].kind >= ID_TEXT)
      __builtin_prefetch(dictionary->bytes + dictionary->entries[numbers[i] - 1].as.offset);
  int code = SQLITE_OK;
  for (size_t i = 0; i < n && code == SQLITE_OK; i++) code = add_hashed(dictionary, &ids[i], hashes[i], &indexes[i]);
  return code;
}

/* ---- sorting ----------------------------------------------------------------------------------------------------- */

/* A number that never contradicts the order of ids, and decides most comparisons. */
typedef struct SortKey {
  uint64_t prefix;
  uint32_t index;
  uint32_t order; /* numbers 0, text 1, blobs 2 */
} SortKey;

static SortKey sort_key(const Dictionary *dictionary, size_t index) {
  Id id = dictionary_id(dictionary, index);
  SortKey key = {.index = (uint32_t)index, .order = id.kind <= ID_REAL ? 0 : (uint32_t)id.kind};
  if (id.kind <= ID_REAL) {
    int64_t whole;
    if (id.kind == ID_INTEGER)
      whole = id.as.integer;
    else if (id.as.real < -0x1p63)
      whole = INT64_MIN;
    else
      whole = id.as.real >= 0x1p63 ? INT64_MAX : (int64_t)floor(id.as.real);
    key.prefix = (uint64_t)whole ^ (UINT64_C(1) << 63);
  } else { /* the first bytes, most significant first */
    const unsigned char *bytes = id.as.bytes;
    for (uint32_t b = 0; b < 8; b++) key.prefix = key.prefix << 8 | (b < id.size ? bytes[b] : 0);
  }
  return key;
}

static inline int key_before(const Dictionary *dictionary, const SortKey *a, const SortKey *b) {
  if (a->order != b->order) return a->order < b->order;
  if (a->prefix != b->prefix) return a->prefix < b->prefix;
  Id first = dictionary_id(dictionary, a->index), second = dictionary_id(dictionary, b->index);
  return id_compare(&first, &second) < 0;
}

/* A merge sort from the bottom up, in blocks on several threads: first stretches of CHUNK keys, all passes of a stretch
 * in one block; then pass after pass over the whole, a block for each pair of stretches. */
enum { CHUNK = 1 << 14, KEYS_A_POLL = 1 << 16 };

typedef struct Sorting {
  const Dictionary *dictionary;
  SortKey *from, *to; /* n keys each; swapped after each pass */
  size_t n, width;    /* stretches of so many keys are in order */
  const Cancel *cancel;
} Sorting;

/* Merges from[0 … middle-1] and from[middle … n-1] into `to`. The calling thread's worker asks now and then whether to
 * go on. */
static int merge(const Sorting *sorting, const SortKey *from, size_t middle, size_t n, SortKey *to, int worker) {
  size_t a = 0, b = middle;
  int code = SQLITE_OK;
  for (size_t i = 0; i < n && code == SQLITE_OK; i++) {
    int second = a == middle || (b < n && key_before(sorting->dictionary, &from[b], &from[a]));
    to[i] = second ? from[b++] : from[a++];
    if (worker == 0 && i % KEYS_A_POLL == KEYS_A_POLL - 1) code = cancel_poll(sorting->cancel);
  }
  return code;
}

static int merge_pair(const Sorting *sorting, const SortKey *from, SortKey *to, size_t start, size_t width, size_t n,
                      int worker) {
  size_t length = n - start < 2 * width ? n - start : 2 * width;
  return merge(sorting, from + start, length < width ? length : width, length, to + start, worker);
}

/* All passes of one chunk. Their number is even, so that the result is where the keys were. */
static int sort_chunk(void *context, size_t block, int worker) {
  const Sorting *sorting = context;
  size_t first = block * CHUNK, n = sorting->n - first < CHUNK ? sorting->n - first : CHUNK;
  SortKey *from = sorting->from + first, *to = sorting->to + first;
  int code = SQLITE_OK;
  for (size_t width = 1; width < CHUNK; width *= 2) {
    for (size_t start = 0; start < n && code == SQLITE_OK; start += 2 * width)
      code = merge_pair(sorting, from, to, start, width, n, worker);
    SortKey *sorted = to;
    to = from;
    from = sorted;
  }
  return code;
}

static int merge_block(void *context, size_t block, int worker) {
  const Sorting *sorting = context;
  return merge_pair(sorting, sorting->from, sorting->to, block * 2 * sorting->width, sorting->width, sorting->n,
                    worker);
}

/* Leaves the result in sorting->from. */
static int sort_id_keys(Sorting *sorting, int threads) {
  size_t n = sorting->n;
  int code = parallel_for(threads, (n + CHUNK - 1) / CHUNK, sort_chunk, sorting, sorting->cancel);
  for (sorting->width = CHUNK; sorting->width < n && code == SQLITE_OK; sorting->width *= 2) {
    code = parallel_for(threads, (n + 2 * sorting->width - 1) / (2 * sorting->width), merge_block, sorting,
                        sorting->cancel);
    SortKey *sorted = sorting->to;
    sorting->to = sorting->from;
    sorting->from = sorted;
  }
  return code;
}

/* Puts the entries into the order of the keys. The slots stay where they are: a hash does not change. */
static void rearrange(Dictionary *dictionary, const SortKey *keys, Entry *entries, uint32_t *new_index) {
  for (size_t i = 0; i < dictionary->count; i++) {
    entries[i] = dictionary->entries[keys[i].index];
    new_index[keys[i].index] = (uint32_t)i;
  }
  for (size_t s = 0; s < (size_t)1 << dictionary->slot_bits; s++) {
    Slot *slot = &dictionary->slots[s];
    if (slot->number) slot->number = new_index[slot->number - 1] + 1;
  }
}

int dictionary_sort(Dictionary *dictionary, uint32_t *new_index, int threads, const Cancel *cancel) {
  size_t count = dictionary->count;
  if (count == 0) return SQLITE_OK;
  SortKey *keys = memory_alloc(count, sizeof *keys);
  SortKey *scratch = memory_alloc(count, sizeof *scratch);
  Entry *entries = memory_alloc(count, sizeof *entries);
  Sorting sorting = {.dictionary = dictionary, .from = keys, .to = scratch, .n = count, .cancel = cancel};
  int code = keys && scratch && entries ? SQLITE_OK : SQLITE_NOMEM;
  int sorted = 1;
  for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
    keys[i] = sort_key(dictionary, i);
    if (i) sorted = sorted && key_before(dictionary, &keys[i - 1], &keys[i]);
    if (i % KEYS_A_POLL == KEYS_A_POLL - 1) code = cancel_poll(cancel);
  }
  if (code == SQLITE_OK && !sorted) code = sort_id_keys(&sorting, threads);
  if (code == SQLITE_OK) {
    rearrange(dictionary, sorting.from, entries, new_index);
    memory_free(dictionary->entries);
    dictionary->entries = entries;
    dictionary->capacity = count;
    dictionary->last = 0;
    entries = NULL;
  }
  memory_free(keys);
  memory_free(scratch);
  memory_free(entries);
  return code;
}
