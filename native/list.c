// See list.h.
#include "list.h"

// Spins take about 20 us: longer than any piece that a thread on another core may still be busy with,
// usually. Then a thread gives way, for it may be waiting for one that has no core.
#ifdef __wasm__
#define SPINS_BEFORE_YIELD 20000
#ifdef __wasm_atomics__
#define give_way(word, value) __builtin_wasm_memory_atomic_wait32((int *)(word), value, 50000)
#else
#define give_way(word, value) ((void)0)
#endif
#else
#include "threads.h"
#define SPINS_BEFORE_YIELD 4000
#define give_way(word, value) thread_yield()
#endif

int32_t list_phases(const kernel_table *table, const command *commands, int32_t count) {
  int32_t phases = 0;
  for (int32_t i = 0; i < count; i++) phases += table->ops[commands[i].op].phases;
  return phases;
}

void list_start(list_run *run) {
  const int32_t phases = list_phases(run->table, run->commands, run->count);
  for (int32_t i = 0; i < phases; i++) {
    atomic_init(&run->meetings[i].claimed, 0);
    atomic_init(&run->meetings[i].arrived, 0);
  }
  atomic_store(&run->finished_phases, 0);
}

// Waits until all threads have come to the meeting `at`; the last one opens the door.
static void meet(list_run *run, meeting *m, int32_t at) {
  if (atomic_fetch_add_explicit(&m->arrived, 1, memory_order_acq_rel) == run->threads - 1) {
    atomic_store_explicit(&run->finished_phases, at + 1, memory_order_release);
    return;
  }
  for (int32_t spins = 0;; spins++) {
    const int32_t finished = atomic_load_explicit(&run->finished_phases, memory_order_acquire);
    if (finished > at) return;
    if (spins < SPINS_BEFORE_YIELD) {
      relax();
    } else {
      give_way(&run->finished_phases, finished);
    }
  }
}

void list_join(list_run *run) {
  int32_t at = 0;
  for (int32_t i = 0; i < run->count; i++) {
    const command *c = &run->commands[i];
    const kernel *k = &run->table->ops[c->op];
    for (int32_t phase = 0; phase < k->phases; phase++, at++) {
      const work_plan plan = k->plan(c, phase, run->threads);
      if (plan.tasks == 0) continue;
      meeting *m = &run->meetings[at];
      for (;;) {
        const int32_t first = atomic_fetch_add_explicit(&m->claimed, plan.grain, memory_order_relaxed);
        if (first >= plan.tasks) break;
        const int32_t last = first + plan.grain < plan.tasks ? first + plan.grain : plan.tasks;
        k->run(c, phase, first, last);
      }
      if (run->threads > 1) meet(run, m, at);
    }
  }
}
