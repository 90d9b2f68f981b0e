/* A rating from those of neighbours: see neighbor_predict.h.
 *
 * ŷ is the weighted mean of what the k most similar neighbours deviate from their own base. Sources: Resnick et al.,
 * "GroupLens: an open architecture for collaborative filtering of netnews", CSCW 1994 (mean); Herlocker, Konstan,
 * Borchers & Riedl, "An algorithmic framework for performing collaborative filtering", SIGIR 1999 (z-scores); Koren,
 * "Factor in the neighbors", TKDD 4(1), 2010 (biases). */
#include "neighbor_predict.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define DIGITS 256

/* Bits that order as floats do: those of positive ones do, those of negative ones the other way. */
static uint32_t bits_of(float similarity) {
  const uint32_t sign = UINT32_C(1) << 31;
  uint32_t bits;
  memcpy(&bits, &similarity, sizeof bits);
  return bits & sign ? ~bits : bits | sign;
}

/* The bits of the size-th largest similarity, 0 < size ≤ n, found digit by digit from the highest; *ties receives how
 * many of those that are equal to it are among the largest. */
static uint32_t nth_largest(const NeighborVote *votes, size_t n, size_t size, size_t *ties) {
  uint32_t prefix = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    uint32_t count[DIGITS] = {0}, digit = DIGITS - 1;
    for (size_t i = 0; i < n; i++) {
      uint32_t bits = bits_of(votes[i].similarity);
      if ((uint64_t)(bits ^ prefix) >> (shift + 8) == 0) count[bits >> shift & (DIGITS - 1)]++;
    }
    for (; count[digit] < size; digit--) size -= count[digit];
    prefix |= digit << shift;
  }
  *ties = size;
  return prefix;
}

double neighbor_vote(const NeighborVote *votes, size_t n, size_t size) {
  uint32_t least = 0;
  size_t ties = n;
  double sum = 0, weight = 0;
  if (size == 0) return 0;
  if (size < n) least = nth_largest(votes, n, size, &ties);
  for (size_t i = 0; i < n; i++) {
    uint32_t bits = bits_of(votes[i].similarity);
    if (bits < least || (bits == least && ties == 0)) continue;
    ties -= bits == least;
    sum += (double)votes[i].similarity * (double)votes[i].deviation;
    weight += fabs((double)votes[i].similarity);
  }
  return weight > 0 ? sum / weight : 0;
}

double neighbor_deviation(const float *ratings, size_t n) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) sum += (double)ratings[i];
  double mean = n > 0 ? sum / (double)n : 0;
  for (size_t i = 0; i < n; i++) squares += ((double)ratings[i] - mean) * ((double)ratings[i] - mean);
  return squares > 0 ? sqrt(squares / (double)n) : 1;
}
