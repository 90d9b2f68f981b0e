/* A history's bytes: n × uint32 items, ascending, plus 2^31 where the entry was held out from training; n × float32
 * ratings, left out where every rating is 1; of timed histories n × int64 times, NO_TIME where there is none, and n ×
 * uint32 places of the entries, oldest first. */
#include "history_bytes.h"

#include "../base/bytes.h"
#include "../base/memory.h"
#include "store.h"

static const uint32_t held_out_mark = (uint32_t)STORE_HELD_OUT << 24;

size_t history_bytes(size_t n, int with_ratings, int timed) {
  return n * (4 + (size_t)(with_ratings ? 4 : 0) + (size_t)(timed ? 12 : 0));
}

size_t history_encode(const History *history, char *blob) {
  size_t n = history->count;
  char *to = blob;
  for (size_t i = 0; i < n; i++, to += 4) {
    uint32_t item = history->item[i] | (history_is_held_out(history, i) ? held_out_mark : 0);
    bytes_copy_words(to, &item, 1);
  }
  if (history->rating) {
    bytes_copy_words(to, history->rating, n);
    to += 4 * n;
  }
  if (history->time) {
    for (size_t i = 0; i < n; i++, to += 8) bytes_store64(to, (uint64_t)history->time[i]);
    bytes_copy_words(to, history->order, n);
    to += 4 * n;
  }
  return (size_t)(to - blob);
}

/* Is it an order of n places, none of them twice, in which times don't fall? */
static int is_order(const History *history) {
  size_t n = history->count;
  uint8_t *there = memory_alloc_zero(n, 1);
  int right = there ? 1 : -1;
  for (size_t k = 0; k < n && right > 0; k++) {
    uint32_t place = history->order[k];
    right = place < n && !there[place] && (k == 0 || history->time[history->order[k - 1]] <= history->time[place]);
    if (right) there[place] = 1;
  }
  memory_free(there);
  return right;
}

static int decode_times(const char *blob, History *history) {
  size_t n = history->count;
  history->time = memory_alloc(n, sizeof *history->time);
  history->order = memory_alloc(n, sizeof *history->order);
  if (!history->time || !history->order) return SQLITE_NOMEM;
  for (size_t i = 0; i < n; i++) history->time[i] = (int64_t)bytes_load64(blob + 8 * i);
  bytes_copy_words(history->order, blob + 8 * n, n);
  int right = is_order(history);
  return right < 0 ? SQLITE_NOMEM : right ? SQLITE_OK : SQLITE_CORRUPT;
}

int history_decode(const char *blob, size_t n, int with_ratings, int timed, History *history) {
  int any = 0;
  *history = (History){.count = n, .item = memory_alloc(n, sizeof *history->item)};
  if (with_ratings) history->rating = memory_alloc(n, sizeof *history->rating);
  if (!history->item || (with_ratings && !history->rating)) return SQLITE_NOMEM;
  bytes_copy_words(history->item, blob, n);
  for (size_t i = 0; i < n; i++) any |= (history->item[i] & held_out_mark) != 0;
  if (any && !(history->held_out = memory_alloc(n, 1))) return SQLITE_NOMEM;
  for (size_t i = 0; i < n && any; i++) {
    history->held_out[i] = (history->item[i] & held_out_mark) != 0;
    history->item[i] &= ~held_out_mark;
  }
  if (with_ratings) bytes_copy_words(history->rating, blob + 4 * n, n);
  return timed ? decode_times(blob + history_bytes(n, with_ratings, 0), history) : SQLITE_OK;
}
