// One run of a list of commands by several threads; see pool.h and wasm.c for who owns the threads.
//
// Work is claimed in pieces from a counter per phase, so a thread that the system holds up costs one
// piece, not its whole share. A phase ends when all its tasks are done, not when all threads have come:
// a thread that holds no piece is not waited for, and skips what the others have finished.
#ifndef BITNET_LIST_H
#define BITNET_LIST_H

#include <stdatomic.h>

#include "../src/kernels/c/kernel.h"

#define CACHE_LINE 64

#if defined(__x86_64__) || defined(__i386__)
#define relax() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define relax() __asm__ volatile("yield")
#else
#define relax() ((void)0)
#endif

// One phase of one command: tasks that threads have claimed, and tasks that are done.
typedef struct {
  _Alignas(CACHE_LINE) atomic_int claimed;
  _Alignas(CACHE_LINE) atomic_int done;
} progress;

typedef struct {
  const kernel_table *table;
  const command *commands;
  int32_t count;
  int32_t threads;
  // Room for list_phases() of them.
  progress *progress;
  // All phases before this one are done.
  _Alignas(CACHE_LINE) atomic_int finished_phases;
} list_run;

// Bytes of the commands that these slots say, as src/kernels/commands.ts writes them; 0 if they are
// none. `count` becomes how many there are.
size_t list_bytes(const double *slots, size_t length, int32_t *count);
// Writes them to `commands`, one after another.
void list_decode(command *commands, const double *slots, int32_t count);
static inline const command *next_command(const command *c) {
  return (const command *)((const char *)c + c->bytes);
}
// The pointers follow a command's beginning.
int32_t pointer_count(const command *c);
// What the command reads a sparse end from, or NULL.
sparse_source *sparse_source_of(const command *c);

int32_t list_phases(const kernel_table *table, const command *commands, int32_t count);
// To be called by one thread before any calls list_join.
void list_start(list_run *run);
// Each of the run's threads calls it once; it returns when the list is done.
void list_join(list_run *run);

#endif
