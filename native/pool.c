// See pool.h.
#include "pool.h"

#include <stdlib.h>

#include "list.h"
#include "threads.h"

// Some tens of us: longer than a worker takes to wake up where a processor is free.
#define SPINS_BEFORE_MOVE 1500
// About 100 us: longer than the gap between two tokens of a fast model, shorter than anybody notices.
#define SPINS_BEFORE_SLEEP 20000

struct pool {
  int32_t threads;
  thread_handle *workers;
  lock_handle lock;
  int32_t stopping;
  // The list in hand, written by pool_run before `generation` moves.
  list_run run;
  int32_t progress_capacity;
  _Alignas(CACHE_LINE) atomic_uint generation;
  // Workers that have come to the list.
  _Alignas(CACHE_LINE) atomic_int come;
  // Workers that have left the list.
  _Alignas(CACHE_LINE) atomic_int left;
};

static void worker_main(void *argument) {
  pool *p = argument;
  unsigned seen = 0;
  for (;;) {
    int32_t spins = 0;
    while (atomic_load_explicit(&p->generation, memory_order_acquire) == seen) {
      if (++spins < SPINS_BEFORE_SLEEP) {
        relax();
      } else {
        lock_acquire(&p->lock);
        while (atomic_load_explicit(&p->generation, memory_order_acquire) == seen) lock_wait(&p->lock);
        lock_release(&p->lock);
      }
    }
    seen++;
    if (p->stopping) return;
    atomic_fetch_add_explicit(&p->come, 1, memory_order_acq_rel);
    list_join(&p->run);
    atomic_fetch_add_explicit(&p->left, 1, memory_order_acq_rel);
  }
}

static void next_generation(pool *p) {
  lock_acquire(&p->lock);
  atomic_fetch_add_explicit(&p->generation, 1, memory_order_release);
  lock_wake_all(&p->lock);
  lock_release(&p->lock);
}

// A worker that wakes up may be put behind this thread, which does not give way, while another processor has
// nothing to do: the system notices after milliseconds only. So who has not come soon is moved.
static void await_workers(pool *p) {
  for (int32_t spins = 0; spins < SPINS_BEFORE_MOVE; spins++) {
    if (atomic_load_explicit(&p->come, memory_order_acquire) == p->threads - 1) return;
    relax();
  }
  for (int32_t i = 0; i < p->threads - 1; i++) thread_move_away(&p->workers[i]);
}

pool *pool_create(int32_t threads) {
  pool *p = aligned_memory(CACHE_LINE, sizeof(pool));
  if (!p) return NULL;
  *p = (pool){.threads = 1};
  p->workers = calloc((size_t)threads, sizeof(thread_handle));
  if (!p->workers || !lock_create(&p->lock)) {
    free(p->workers);
    aligned_free(p);
    return NULL;
  }
  for (int32_t i = 0; i < threads - 1; i++) {
    if (!thread_start(&p->workers[i], worker_main, p)) break;
    p->threads++;  // only this thread reads it until the first list
  }
  return p;
}

int32_t pool_threads(const pool *p) { return p->threads; }

void pool_run(pool *p, const kernel_table *table, const command *commands, int32_t count) {
  const int32_t phases = list_phases(table, commands, count);
  if (phases > p->progress_capacity) {
    progress *larger = aligned_memory(CACHE_LINE, (size_t)phases * sizeof(progress));
    if (!larger) abort();  // 128 bytes a phase: the process has no memory left at all
    aligned_free(p->run.progress);
    p->run.progress = larger;
    p->progress_capacity = phases;
  }
  p->run.table = table;
  p->run.commands = commands;
  p->run.count = count;
  p->run.threads = p->threads;
  list_start(&p->run);
  atomic_store(&p->left, 0);
  atomic_store(&p->come, 0);
  if (p->threads > 1) {
    next_generation(p);
    if (CAN_MOVE_THREADS) await_workers(p);
  }
  list_join(&p->run);
  while (atomic_load_explicit(&p->left, memory_order_acquire) < p->threads - 1) relax();
}

const char *pool_ran_isa(const pool *p) { return p->run.table ? p->run.table->isa : NULL; }

void pool_destroy(pool *p) {
  p->stopping = 1;
  next_generation(p);
  for (int32_t i = 0; i < p->threads - 1; i++) thread_join(&p->workers[i]);
  lock_destroy(&p->lock);
  aligned_free(p->run.progress);
  free(p->workers);
  aligned_free(p);
}
