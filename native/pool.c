// See pool.h.
#include "pool.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "threads.h"

#define CACHE_LINE 64
// About 100 us: longer than the gap between two tokens of a fast model, shorter than anybody notices.
#define SPINS_BEFORE_SLEEP 20000
// About 20 us: longer than any piece that a thread on another core may still be busy with, usually.
#define SPINS_BEFORE_YIELD 4000

#if defined(__x86_64__) || defined(__i386__)
#define relax() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define relax() __asm__ volatile("yield")
#else
#define relax() ((void)0)
#endif

// One phase of one command: who has claimed how much, and who is done.
typedef struct {
  _Alignas(CACHE_LINE) atomic_int claimed;
  _Alignas(CACHE_LINE) atomic_int arrived;
} meeting;

struct pool {
  int32_t threads;
  thread_handle *workers;
  lock_handle lock;
  // The list in hand, written by pool_run before `generation` moves.
  const kernel_table *table;
  const command *commands;
  int32_t count;
  meeting *meetings;
  int32_t meetings_capacity;
  int32_t stopping;
  _Alignas(CACHE_LINE) atomic_uint generation;
  // Phases that all threads have finished in this list.
  _Alignas(CACHE_LINE) atomic_int finished_phases;
  // Workers that have left the list.
  _Alignas(CACHE_LINE) atomic_int left;
};

static void run_list(pool *p) {
  int32_t at = 0;
  for (int32_t i = 0; i < p->count; i++) {
    const command *c = &p->commands[i];
    const kernel *k = &p->table->ops[c->op];
    for (int32_t phase = 0; phase < k->phases; phase++, at++) {
      const work_plan plan = k->plan(c, phase, p->threads);
      meeting *m = &p->meetings[at];
      for (;;) {
        const int32_t first =
            plan.tasks > 0 ? atomic_fetch_add_explicit(&m->claimed, plan.grain, memory_order_relaxed) : 0;
        if (first >= plan.tasks) break;
        const int32_t last = first + plan.grain < plan.tasks ? first + plan.grain : plan.tasks;
        k->run(c, phase, first, last);
      }
      if (p->threads == 1 || plan.tasks == 0) continue;
      if (atomic_fetch_add_explicit(&m->arrived, 1, memory_order_acq_rel) == p->threads - 1) {
        atomic_store_explicit(&p->finished_phases, at + 1, memory_order_release);
        continue;
      }
      for (int32_t spins = 0;
           atomic_load_explicit(&p->finished_phases, memory_order_acquire) <= at; spins++) {
        if (spins < SPINS_BEFORE_YIELD) {
          relax();
        } else {
          thread_yield();
        }
      }
    }
  }
}

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
    run_list(p);
    atomic_fetch_add_explicit(&p->left, 1, memory_order_acq_rel);
  }
}

static void next_generation(pool *p) {
  lock_acquire(&p->lock);
  atomic_fetch_add_explicit(&p->generation, 1, memory_order_release);
  lock_wake_all(&p->lock);
  lock_release(&p->lock);
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
  int32_t phases = 0;
  for (int32_t i = 0; i < count; i++) phases += table->ops[commands[i].op].phases;
  if (phases > p->meetings_capacity) {
    meeting *larger = aligned_memory(CACHE_LINE, (size_t)phases * sizeof(meeting));
    if (!larger) abort();  // 128 bytes a phase: the process has no memory left at all
    aligned_free(p->meetings);
    p->meetings = larger;
    p->meetings_capacity = phases;
  }
  for (int32_t i = 0; i < phases; i++) {
    atomic_init(&p->meetings[i].claimed, 0);
    atomic_init(&p->meetings[i].arrived, 0);
  }
  p->table = table;
  p->commands = commands;
  p->count = count;
  atomic_store(&p->finished_phases, 0);
  atomic_store(&p->left, 0);
  if (p->threads > 1) next_generation(p);
  run_list(p);
  while (atomic_load_explicit(&p->left, memory_order_acquire) < p->threads - 1) relax();
}

void pool_destroy(pool *p) {
  p->stopping = 1;
  next_generation(p);
  for (int32_t i = 0; i < p->threads - 1; i++) thread_join(&p->workers[i]);
  lock_destroy(&p->lock);
  aligned_free(p->meetings);
  free(p->workers);
  aligned_free(p);
}
