// The WebAssembly module's surface: what src/backends/wasm/ calls. Memory is managed there.
#include "list.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

extern const kernel_table kernels_wasm;

// Where the threads of one backend meet; JavaScript allocates it, zeroed.
typedef struct {
  list_run run;
  _Alignas(CACHE_LINE) atomic_int generation;
  _Alignas(CACHE_LINE) atomic_int left;
  int32_t stopping;
} control_block;

int32_t EXPORT(control_bytes)(void) { return (int32_t)sizeof(control_block); }
int32_t EXPORT(progress_bytes)(void) { return (int32_t)sizeof(progress); }
int32_t EXPORT(command_bytes)(const command *c) { return c->bytes; }

int32_t EXPORT(count_phases)(const command *commands, int32_t count) {
  return list_phases(&kernels_wasm, commands, count);
}

// Bytes of a list's commands from its `length` float64 slots; see list.h.
int32_t EXPORT(list_byte_length)(const double *slots, int32_t length) {
  int32_t count;
  return (int32_t)list_bytes(slots, (size_t)length, &count);
}

void EXPORT(decode_list)(command *commands, const double *slots, int32_t count) {
  list_decode(commands, slots, count);
}

// Sets the list that the next generation runs.
void EXPORT(set_list)(control_block *b, const command *commands, int32_t count, int32_t threads,
                      progress *states) {
  b->run.table = &kernels_wasm;
  b->run.commands = commands;
  b->run.count = count;
  b->run.threads = threads;
  b->run.progress = states;
  list_start(&b->run);
  atomic_store(&b->left, 0);
}

// Runs the list on the calling thread alone.
void EXPORT(run_alone)(control_block *b) { list_join(&b->run); }

#ifdef __wasm_atomics__
// Some hundred microseconds, longer than sampling a token takes: workers that slept between the lists of
// two tokens came late to the next one, in Chromium most of all.
#define SPINS_BEFORE_SLEEP 200000

__attribute__((import_module("env"), import_name("list_done"))) void list_done(void);

// Called by the thread that posts work, after set_list: wakes the workers.
void EXPORT(next_generation)(control_block *b, int32_t stopping) {
  b->stopping = stopping;
  atomic_fetch_add(&b->generation, 1);
  __builtin_wasm_memory_atomic_notify((int *)&b->generation, 1024);
}

// A worker's life. Thread 0 tells JavaScript when all have left a list.
void EXPORT(work)(control_block *b, int32_t thread) {
  int32_t seen = 0;
  for (;;) {
    for (int32_t spins = 0; atomic_load(&b->generation) == seen; spins++) {
      if (spins >= SPINS_BEFORE_SLEEP) {
        __builtin_wasm_memory_atomic_wait32((int *)&b->generation, seen, -1);
      }
    }
    seen++;
    if (b->stopping) return;
    list_join(&b->run);
    atomic_fetch_add(&b->left, 1);
    if (thread == 0) {
      // The others only have to step out; one that the system holds up is waited for asleep.
      int32_t left = atomic_load(&b->left);
      for (int32_t spins = 0; left < b->run.threads; spins++, left = atomic_load(&b->left)) {
        if (spins >= SPINS_BEFORE_SLEEP) {
          __builtin_wasm_memory_atomic_wait32((int *)&b->left, left, 50000);
        }
      }
      list_done();
    }
  }
}
#endif
