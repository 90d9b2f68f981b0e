/* One source, several instruction sets.
 *
 * The Makefile compiles the files in its list KERNELS once for each instruction set, with SIMD_LEVEL defined as
 * generic, avx2 or avx512. Such a file defines one constant table of functions, named by SIMD_NAME(table), and the
 * table is picked at run time by simd_level(). Everything else in it is static. The environment variable
 * RECOMMEND_SIMD (generic, avx2, avx512) lowers the choice, for tests; it never raises it. */
#ifndef RECOMMEND_BASE_SIMD_H
#define RECOMMEND_BASE_SIMD_H

#include <stdint.h>

typedef enum SimdLevel { SIMD_GENERIC, SIMD_AVX2, SIMD_AVX512 } SimdLevel;

SimdLevel simd_level(void);        /* what this processor can run */
const char *simd_level_name(void); /* "generic", "avx2" or "avx512" */

#define SIMD_PASTE_(a, b) a##_##b
#define SIMD_PASTE(a, b) SIMD_PASTE_(a, b)
#define SIMD_NAME(name) SIMD_PASTE(name, SIMD_LEVEL)

#if defined(__x86_64__)
#define SIMD_PICK(table) \
  (simd_level() == SIMD_AVX512 ? &table##_avx512 : simd_level() == SIMD_AVX2 ? &table##_avx2 : &table##_generic)
#else
#define SIMD_PICK(table) (&table##_generic)
#endif

/* For kernels: functions that become part of their caller, and loops over a register tile that are taken apart
 * entirely, since only then do its sums become registers. */
#define SIMD_INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)
/* The bits of a mask of 16 lanes as a number. GCC 12 may spill such a mask with 16 bits and load it with 32, of which
 * the upper ones are what was in memory before; having to hold it in a register as 16 bits keeps it from that. */
SIMD_INLINE unsigned simd_mask_bits(uint16_t mask) {
  __asm__("" : "+r"(mask));
  return mask;
}
#endif
#if defined(__clang__)
#define SIMD_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SIMD_UNROLL _Pragma("GCC unroll 24")
#endif

/* Sixteen floats at a time, in the compilers' own vector types (gcc and clang): one register with AVX-512, two with
 * AVX2, four with SSE2 or NEON. */
typedef float Float16 __attribute__((vector_size(64)));
typedef float Float16Unaligned __attribute__((vector_size(64), aligned(4)));

#define FLOAT16_LOAD(pointer) (*(const Float16 *)(const void *)(pointer))
#define FLOAT16_STORE(pointer, v) (*(Float16 *)(void *)(pointer) = (v))

/* As many as a register holds, which 16 is a multiple of. A vector that is multiplied by a number had better be such a
 * one: GCC spreads the number over more lanes through memory, one by one. */
#if defined(__AVX512F__)
typedef Float16 FloatRegister;
#elif defined(__AVX__)
typedef float FloatRegister __attribute__((vector_size(32)));
#else
typedef float FloatRegister __attribute__((vector_size(16)));
#endif
#define REGISTER_LANES (sizeof(FloatRegister) / sizeof(float))
#define REGISTER_LOAD(pointer) (*(const FloatRegister *)(const void *)(pointer))
#define REGISTER_STORE(pointer, v) (*(FloatRegister *)(void *)(pointer) = (v))

#endif
