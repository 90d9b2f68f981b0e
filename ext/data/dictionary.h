/* Ids to indexes and back: index 0 … count-1 in order of arrival, or, once sorted, in order of id. */
#ifndef RECOMMEND_DATA_DICTIONARY_H
#define RECOMMEND_DATA_DICTIONARY_H

#include "../base/cancel.h"
#include "id.h"

typedef struct Dictionary {
  size_t count;
  struct DictionaryEntry *entries; /* private to dictionary.c, like the rest */
  size_t capacity;
  struct DictionarySlot *slots; /* open addressing; 2^slot_bits of them */
  int slot_bits;
  char *bytes; /* text and blobs end to end */
  size_t bytes_used, bytes_capacity;
  uint32_t last; /* the index found last: rows often come in runs */
} Dictionary;

#define DICTIONARY_NONE UINT32_MAX

void dictionary_init(Dictionary *dictionary); /* cleared memory will do as well */
void dictionary_free(Dictionary *dictionary); /* leaves it cleared */

/* Finds or appends. SQLITE_OK, SQLITE_NOMEM, or SQLITE_TOOBIG at 2^31 - 1 ids. */
int dictionary_add(Dictionary *dictionary, const Id *id, uint32_t *index);

/* The same for n ids at once, in order: faster, since the waits for memory overlap. After an error some may be in. */
#define DICTIONARY_BATCH 64 /* a good n, and the most */
int dictionary_add_batch(Dictionary *dictionary, const Id *ids, size_t n, uint32_t *indexes);

/* Appends a place without an id (ID_NONE), which nothing finds. SQLITE_OK, SQLITE_NOMEM or SQLITE_TOOBIG. Not before
 * dictionary_sort. */
int dictionary_add_none(Dictionary *dictionary);
int dictionary_is_none(const Dictionary *dictionary, size_t index);

/* DICTIONARY_NONE where it is not there. Does not change the dictionary: threads may share it. */
uint32_t dictionary_find(const Dictionary *dictionary, const Id *id);

/* The id at an index: a view that lives until the next dictionary_add, dictionary_sort or dictionary_free. */
Id dictionary_id(const Dictionary *dictionary, size_t index);

/* Sorts by id. new_index (room for count) maps old indexes to new ones. SQLITE_OK, SQLITE_NOMEM or what cancel says
 * (unchanged). */
int dictionary_sort(Dictionary *dictionary, uint32_t *new_index, int threads, const Cancel *cancel);

#endif
