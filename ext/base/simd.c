/* Which instruction set to use: see simd.h. */
#include "simd.h"

#include <stdlib.h>
#include <string.h>

static const char *const level_names[] = {"generic", "avx2", "avx512"};

static SimdLevel processor_level(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return SIMD_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return SIMD_AVX2;
#endif
  return SIMD_GENERIC;
}

SimdLevel simd_level(void) {
  SimdLevel level = processor_level();
  const char *wish = getenv("RECOMMEND_SIMD");
  for (int lower = SIMD_GENERIC; wish && lower < (int)level; lower++)
    if (strcmp(wish, level_names[lower]) == 0) return (SimdLevel)lower;
  return level;
}

const char *simd_level_name(void) { return level_names[simd_level()]; }
