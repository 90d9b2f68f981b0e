/* Blocks of work on threads that live only as long as the call: see parallel.h. */
#include "parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "code.h"

#if defined(__linux__)
#include <sched.h>
#endif

#define MOST_THREADS 256

typedef struct Region {
  ParallelBody body;
  void *context;
  size_t blocks;
  atomic_size_t next;
  atomic_int code; /* the first that is not CODE_OK ends the loop for everyone */
} Region;

typedef struct Worker {
  Region *region;
  int number;
  pthread_t thread;
} Worker;

static void stop(Region *region, int code) {
  int none = CODE_OK;
  if (code != CODE_OK) atomic_compare_exchange_strong(&region->code, &none, code);
}

/* Takes the next block and does it; 0 when there is none left or the loop has ended. */
static int do_one(Region *region, int number) {
  if (atomic_load_explicit(&region->code, memory_order_relaxed) != CODE_OK) return 0;
  size_t block = atomic_fetch_add_explicit(&region->next, 1, memory_order_relaxed);
  if (block >= region->blocks) return 0;
  stop(region, region->body(region->context, block, number));
  return 1;
}

static void *work(void *argument) {
  Worker *worker = argument;
  while (do_one(worker->region, worker->number)) {
  }
  return NULL;
}

int parallel_for(int threads, size_t blocks, ParallelBody body, void *context, const Cancel *cancel) {
  Region region = {.body = body, .context = context, .blocks = blocks};
  Worker workers[MOST_THREADS];
  if (threads > MOST_THREADS) threads = MOST_THREADS;
  if ((size_t)threads > blocks) threads = (int)blocks;
  int started = 0;
  for (int number = 1; number < threads; number++) {
    Worker *worker = &workers[started];
    worker->region = &region;
    worker->number = number;
    if (pthread_create(&worker->thread, NULL, work, worker) == 0) started++;
  }
  do {
    stop(&region, cancel_poll(cancel));
  } while (do_one(&region, 0));
  for (int i = 0; i < started; i++) pthread_join(workers[i].thread, NULL);
  return atomic_load(&region.code);
}

int parallel_threads(int requested) {
  long cores = requested;
  if (requested <= 0) {
#if defined(__linux__)
    cpu_set_t set;
    cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
#else
    cores = sysconf(_SC_NPROCESSORS_ONLN);
#endif
  }
  return cores < 1 ? 1 : cores > MOST_THREADS ? MOST_THREADS : (int)cores;
}
