// What a kernel variant is: one table of operations, compiled for one instruction set.
//
// A command holds the operands of one operation by their names. An operation runs in one or more phases, a
// phase in numbered tasks that any thread may claim in any order; between phases all threads meet.
#ifndef BITNET_KERNEL_H
#define BITNET_KERNEL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

// What every command begins with. What follows (pointers, integers, floats) operations.h has, which
// scripts/build-native.mjs makes from the descriptions in src/kernels/<op>/op.ts.
typedef struct {
  _Alignas(8) int32_t op;
  // From this command to the next one of its list.
  int32_t bytes;
} command;

// Where the sparse end of a buffer is: a part of which few bytes are wanted, other ones every time, so that
// all its pages would come to count as this process's. They are copied from a file instead. A command that
// may read such a buffer has it as `sparse`, or NULL.
typedef struct sparse_source {
  // NULL while the bytes are in memory.
  void (*copy)(struct sparse_source *source, void *out, const void *from, size_t bytes);
  intptr_t file;
  // A byte's place in the file, less its address.
  int64_t origin;
  // Set for good when the file gave too little; zeros were copied then.
  atomic_int failed;
} sparse_source;

static inline int32_t is_in_file(const sparse_source *source) { return source && source->copy; }

// The bytes themselves where they are in memory, else a copy in `room`.
static inline const uint8_t *sparse_bytes(sparse_source *source, const uint8_t *from, size_t bytes,
                                          uint8_t *room) {
  if (!is_in_file(source)) return from;
  source->copy(source, room, from, bytes);
  return room;
}

#include "operations.h"

_Static_assert(sizeof(sparse_source) <= SPARSE_SOURCE_BYTES, "JavaScript makes room for one");

// `tasks` tasks, claimed `grain` at a time. Zero tasks skip the phase.
typedef struct {
  int32_t tasks;
  int32_t grain;
} work_plan;

typedef struct {
  int32_t phases;
  work_plan (*plan)(const command *c, int32_t phase, int32_t threads);
  void (*run)(const command *c, int32_t phase, int32_t first, int32_t last);
} kernel;

typedef struct {
  const char *isa;
  kernel ops[OPERATIONS];
} kernel_table;

// Pieces a thread should claim per phase: enough that a slow neighbour does not hold up the rest. Many threads wait
// for each other's claims, and memory for the beginning of each piece.
#define PIECES_PER_THREAD 8
#define MANY_THREADS 8
#define PIECES_OF_MANY 2

static inline work_plan split_evenly(int32_t tasks, int32_t threads) {
  const int32_t grain = tasks / (threads * (threads < MANY_THREADS ? PIECES_PER_THREAD : PIECES_OF_MANY));
  return (work_plan){tasks, grain > 0 ? grain : 1};
}

// For work too small to be worth a second thread.
static inline work_plan one_piece(int32_t tasks) { return (work_plan){tasks, tasks > 0 ? tasks : 1}; }

#endif
