/* OpenBLAS, linked statically, told which kernels to run before it looks for itself.
 *
 * It chooses its kernels in a constructor, by a list of processors that ends where its version was released: a newer
 * one gets kernels from 2004, five times too slow. The environment variable OPENBLAS_CORETYPE overrides the choice. So
 * a constructor that runs earlier sets it by what the processor can do, has OpenBLAS start up, and takes it back, so
 * that no child process or other copy of the library sees it. A variable that the user has set stays.
 *
 * One thread at a time: a build without threads (0.3.21 as Debian has it, by its disassembly) marks the buffer that a
 * product packs its operands in as taken by a load and a store, outside its lock, so two threads may get the same one
 * and both results are wrong. */
#include "blas.h"

#include <cblas.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "code.h"

#if defined(__x86_64__) && defined(__linux__)

void gotoblas_init(void); /* OpenBLAS's own constructor, in no header; running twice does no harm */

__attribute__((constructor(101))) static void choose_kernels(void) {
  if (getenv("OPENBLAS_CORETYPE")) return;
  const char *core = NULL;
  __builtin_cpu_init();
  if (__builtin_cpu_is("amd") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    core = "Zen";
  else if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512cd"))
    core = "SkylakeX";
  else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    core = "Haswell";
  if (!core || setenv("OPENBLAS_CORETYPE", core, 0) != 0) return;
  gotoblas_init();
  unsetenv("OPENBLAS_CORETYPE");
}

#endif

const char *blas_description(void) { return openblas_get_config(); }
const char *blas_core(void) { return openblas_get_corename(); }

/* Process-wide, since OpenBLAS's buffers are: the one thing here that all connections share. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

int blas_begin(const Cancel *cancel) {
  const struct timespec while_waiting = {.tv_nsec = 500000};
  int code = cancel_poll(cancel);
  while (code == CODE_OK && pthread_mutex_trylock(&turn) != 0) {
    nanosleep(&while_waiting, NULL);
    code = cancel_poll(cancel);
  }
  /* A build that starts threads of its own would round differently with each number of them. */
  if (code == CODE_OK) openblas_set_num_threads(1);
  return code;
}

void blas_end(void) { pthread_mutex_unlock(&turn); }
