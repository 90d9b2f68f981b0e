/* Numbers in blobs are little-endian on every machine. */
#ifndef RECOMMEND_BASE_BYTES_H
#define RECOMMEND_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Turns n 32-bit words (floats, unsigned) from the machine's order into a blob's, or back. */
static inline void bytes_to_little_endian(void *words, size_t n) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  for (size_t i = 0; i < n; i++) {
    uint32_t word;
    memcpy(&word, (char *)words + 4 * i, 4);
    word = __builtin_bswap32(word);
    memcpy((char *)words + 4 * i, &word, 4);
  }
#else
  (void)words;
  (void)n;
#endif
}

/* Copies n 32-bit words between memory and a blob: the same in both directions. */
static inline void bytes_copy_words(void *to, const void *from, size_t n) {
  if (n == 0) return; /* an empty blob has no address */
  memcpy(to, from, n * 4);
  bytes_to_little_endian(to, n);
}

/* Eight bytes of a blob as a number. */
static inline uint64_t bytes_load64(const void *bytes) {
  uint64_t word;
  memcpy(&word, bytes, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

static inline void bytes_store64(void *bytes, uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  memcpy(bytes, &word, 8);
}

static inline uint64_t bytes_mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
  return hash ^ (hash >> 32);
}

/* A running 64-bit hash of what is written: a checksum of blobs, and the stamp of a model. Not cryptographic. Four
 * strands of eight bytes each, since one would wait for its multiplication. */
static inline uint64_t bytes_hash(uint64_t hash, const void *data, size_t n) {
  const char *bytes = data;
  uint64_t strand[4] = {hash, hash + 1, hash + 2, hash + 3};
  uint64_t rest = (uint64_t)n << 56;
  for (; n >= 32; n -= 32, bytes += 32)
    for (int s = 0; s < 4; s++) strand[s] = bytes_mix(strand[s], bytes_load64(bytes + 8 * s));
  for (; n >= 8; n -= 8, bytes += 8) strand[0] = bytes_mix(strand[0], bytes_load64(bytes));
  for (size_t i = 0; i < n; i++) rest ^= (uint64_t)(unsigned char)bytes[i] << (8 * i);
  for (int s = 1; s < 4; s++) strand[0] = bytes_mix(strand[0], strand[s]);
  return bytes_mix(strand[0], rest);
}

#endif
