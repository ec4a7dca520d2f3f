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
    atomic_init(&run->progress[i].claimed, 0);
    atomic_init(&run->progress[i].done, 0);
  }
  atomic_store(&run->finished_phases, 0);
}

// Takes the next piece of a phase: `grain` tasks, and fewer and fewer towards the end, so that threads
// finish together. What is one piece stays one. Returns its first task, or plan.tasks if none is left.
static int32_t claim(progress *p, work_plan plan, int32_t threads, int32_t *last) {
  int32_t first = atomic_load_explicit(&p->claimed, memory_order_relaxed);
  while (first < plan.tasks) {
    const int32_t left = plan.tasks - first, share = left / (2 * threads) + 1;
    const int32_t piece = plan.grain < plan.tasks && share < plan.grain ? share : plan.grain;
    *last = piece < left ? first + piece : plan.tasks;
    if (atomic_compare_exchange_weak(&p->claimed, &first, *last)) return first;
  }
  return plan.tasks;
}

// Claims and does tasks of a phase until none is left; the thread that does the last one says so.
static void work_on(list_run *run, const command *c, int32_t phase, work_plan plan, int32_t at) {
  const kernel *k = &run->table->ops[c->op];
  progress *p = &run->progress[at];
  for (;;) {
    int32_t last;
    const int32_t first = claim(p, plan, run->threads, &last);
    if (first >= plan.tasks) return;
    k->run(c, phase, first, last);
    const int32_t piece = last - first;
    if (atomic_fetch_add_explicit(&p->done, piece, memory_order_acq_rel) + piece == plan.tasks) {
      atomic_store_explicit(&run->finished_phases, at + 1, memory_order_release);
      return;
    }
  }
}

static void wait_for(list_run *run, int32_t at) {
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
    for (int32_t phase = 0; phase < run->table->ops[c->op].phases; phase++, at++) {
      if (atomic_load_explicit(&run->finished_phases, memory_order_acquire) > at) continue;
      const work_plan plan = run->table->ops[c->op].plan(c, phase, run->threads);
      if (plan.tasks == 0) continue;
      work_on(run, c, phase, plan, at);
      wait_for(run, at);
    }
  }
}
