/* Random numbers as functions of (seed, index): no stream, no state, so that any cut of the work gives the same.
 *
 * The mixer is SplitMix64's finaliser (Steele, Lea & Flood, "Fast splittable pseudorandom number generators",
 * OOPSLA 2014), applied to seed + index * golden ratio, twice, so that near seeds share nothing. */
#ifndef RECOMMEND_BASE_RANDOM_H
#define RECOMMEND_BASE_RANDOM_H

#include <math.h>
#include <stdint.h>

static inline uint64_t random_mix(uint64_t x) {
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

/* 64 uniform bits. */
static inline uint64_t random_bits(uint64_t seed, uint64_t index) {
  return random_mix(random_mix(seed + UINT64_C(0x9e3779b97f4a7c15)) + (index + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

/* Uniform in [0, 1), 53 bits. */
static inline double random_uniform(uint64_t seed, uint64_t index) {
  return (double)(random_bits(seed, index) >> 11) * 0x1.0p-53;
}

/* Standard normal, by Box and Muller (1958); uses the indexes 2 * index and 2 * index + 1. */
static inline double random_normal(uint64_t seed, uint64_t index) {
  double radius = sqrt(-2.0 * log(1.0 - random_uniform(seed, 2 * index)));
  return radius * cos(6.283185307179586 * random_uniform(seed, 2 * index + 1));
}

#endif
