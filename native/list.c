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

// How many pointers, integers and floats an operation's commands have, in this order, and whether the last
// pointer is a sparse source.
typedef struct {
  int32_t pointers, integers, floats, has_sparse;
} command_shape;

#define OPERATION(name, ...) {__VA_ARGS__},
static const command_shape shapes[OPERATIONS] = {EACH_OPERATION(OPERATION)};
#undef OPERATION

static int32_t slot_count(command_shape s) { return 1 + s.pointers + s.integers + s.floats; }

#define BYTES(pointers, numbers) \
  ((sizeof(command) + (pointers) * sizeof(void *) + (numbers) * sizeof(int32_t) + 7) & ~(size_t)7)
static int32_t shape_bytes(command_shape s) {
  return (int32_t)BYTES(s.pointers, s.integers + s.floats);
}

// What is decoded below are the header's structs.
#define OPERATION(name, pointers, integers, floats, has_sparse) \
  _Static_assert(sizeof(name##_command) == BYTES(pointers, (integers) + (floats)), "padding");
EACH_OPERATION(OPERATION)
#undef OPERATION

size_t list_bytes(const double *slots, size_t length, int32_t *count) {
  size_t bytes = 0;
  *count = 0;
  for (size_t at = 0; at < length; (*count)++) {
    if (!(slots[at] >= 0 && slots[at] < OPERATIONS)) return 0;
    const command_shape shape = shapes[(int32_t)slots[at]];
    at += slot_count(shape);
    if (at > length) return 0;
    bytes += shape_bytes(shape);
  }
  return bytes;
}

void list_decode(command *commands, const double *slots, int32_t count) {
  command *c = commands;
  for (int32_t n = 0; n < count; n++) {
    c->op = (int32_t)*slots++;
    const command_shape shape = shapes[c->op];
    c->bytes = shape_bytes(shape);
    void **pointers = (void **)(c + 1);
    for (int32_t i = 0; i < shape.pointers; i++) pointers[i] = (void *)(uintptr_t)*slots++;
    int32_t *integers = (int32_t *)(pointers + shape.pointers);
    for (int32_t i = 0; i < shape.integers; i++) integers[i] = (int32_t)*slots++;
    float *floats = (float *)(integers + shape.integers);
    for (int32_t i = 0; i < shape.floats; i++) floats[i] = (float)*slots++;
    c = (command *)next_command(c);
  }
}

int32_t pointer_count(const command *c) { return shapes[c->op].pointers; }

sparse_source *sparse_source_of(const command *c) {
  const command_shape shape = shapes[c->op];
  return shape.has_sparse ? ((sparse_source *const *)(c + 1))[shape.pointers - 1] : NULL;
}

int32_t list_phases(const kernel_table *table, const command *commands, int32_t count) {
  int32_t phases = 0;
  for (const command *c = commands; count > 0; count--, c = next_command(c)) {
    phases += table->ops[c->op].phases;
  }
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
  const command *c = run->commands;
  for (int32_t i = 0; i < run->count; i++, c = next_command(c)) {
    for (int32_t phase = 0; phase < run->table->ops[c->op].phases; phase++, at++) {
      if (atomic_load_explicit(&run->finished_phases, memory_order_acquire) > at) continue;
      const work_plan plan = run->table->ops[c->op].plan(c, phase, run->threads);
      if (plan.tasks == 0) continue;
      work_on(run, c, phase, plan, at);
      wait_for(run, at);
    }
  }
}
