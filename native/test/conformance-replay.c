// Runs recorded conformance cases with every variant that this processor has, and compares bytes.
// test/replay-file.ts writes the file, little-endian: the number of cases, then each case:
//
//   u32 length of the name, the name
//   u32 buffers, then each buffer: u32 kind (0 stays as it is, 1 has an expected result, 2 scratch,
//   3 has a result that may differ), u32 bytes, its bytes (not for scratch), the expected bytes (only for kind 1)
//   u32 f64 slots of one command, and the slots as kernels/commands.ts writes them; a pointer is a buffer's
//   number from 1
//
// Prints the variants and the cases that differ. Exit status: 0 all agree, 1 not, 2 a broken file.
//
//   conformance-replay FILE                  every variant
//   conformance-replay --threads N FILE      the same, by a pool of N threads
//   conformance-replay --emulate ISA FILE    one variant, with instructions that this processor lacks
//                                            executed in software; see emulate-instructions.h
//   conformance-replay --check-emulation [FAULT]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cpu.h"
#include "../list.h"
#include "../pool.h"
#include "../threads.h"
#include "emulate-instructions.h"

// Unless told otherwise: two, so that tasks are claimed in pieces and phases wait for each other.
#define THREADS 2
#define MAX_THREADS 64
#define MAX_VARIANTS 8
#define MAX_BUFFERS 16
#define MAX_SLOTS 64
#define MAX_BYTES (1u << 30)
// Kernels may read a whole vector from a row's last element, as they may in the addon's buffers, and must not
// write to it.
#define TAIL_BYTES 64
#define GUARD 0xa5

enum { UNCHANGED, CHANGED, SCRATCH, NEARLY };

typedef struct {
  uint32_t kind;
  uint32_t bytes;
  uint8_t *before;
  uint8_t *expected;
  uint8_t *memory;
} buffer;

typedef struct {
  char name[256];
  uint32_t count;
  buffer buffers[MAX_BUFFERS];
  command *command;
} replay_case;

static FILE *input;

static void broken(const char *what) {
  fprintf(stderr, "broken file: %s\n", what);
  exit(2);
}

static void read_into(void *to, size_t bytes) {
  if (bytes > 0 && fread(to, bytes, 1, input) != 1) broken("it ends too early");
}

static uint32_t read_u32(uint32_t limit) {
  uint32_t value;
  read_into(&value, sizeof value);
  if (value > limit) broken("a number beyond its limit");
  return value;
}

static void *memory(size_t bytes) {
  void *p = aligned_memory(64, bytes + TAIL_BYTES);
  if (!p) broken("no memory for its buffers");
  return p;
}

static uint8_t *read_bytes(uint32_t bytes) {
  uint8_t *p = memory(bytes);
  read_into(p, bytes);
  return p;
}

static void read_command(replay_case *r) {
  double slots[MAX_SLOTS];
  const uint32_t length = read_u32(MAX_SLOTS);
  read_into(slots, length * sizeof *slots);
  int32_t count;
  const size_t bytes = list_bytes(slots, length, &count);
  if (count != 1 || bytes == 0) broken("not one command");
  r->command = aligned_memory(64, bytes);
  if (!r->command) broken("no memory for a command");
  list_decode(r->command, slots, count);
  void **pointers = (void **)(r->command + 1);
  for (int32_t i = 0; i < pointer_count(r->command); i++) {
    const uintptr_t number = (uintptr_t)pointers[i];
    if (number > r->count) broken("a pointer to no buffer");
    pointers[i] = number == 0 ? NULL : r->buffers[number - 1].memory;
  }
}

static void read_case(replay_case *r) {
  const uint32_t length = read_u32(sizeof r->name - 1);
  read_into(r->name, length);
  r->name[length] = 0;
  r->count = read_u32(MAX_BUFFERS);
  for (uint32_t i = 0; i < r->count; i++) {
    buffer *b = &r->buffers[i];
    b->kind = read_u32(NEARLY);
    b->bytes = read_u32(MAX_BYTES);
    b->before = b->kind == SCRATCH ? NULL : read_bytes(b->bytes);
    b->expected = b->kind == CHANGED ? read_bytes(b->bytes) : b->kind == UNCHANGED ? b->before : NULL;
    b->memory = memory(b->bytes);
  }
  read_command(r);
}

static void free_case(replay_case *r) {
  for (uint32_t i = 0; i < r->count; i++) {
    buffer *b = &r->buffers[i];
    if (b->expected != b->before) aligned_free(b->expected);
    if (b->before) aligned_free(b->before);
    aligned_free(b->memory);
  }
  aligned_free(r->command);
}

static int run_case(const replay_case *r, pool *threads, const kernel_table *table) {
  for (uint32_t i = 0; i < r->count; i++) {
    const buffer *b = &r->buffers[i];
    if (b->before) memcpy(b->memory, b->before, b->bytes);
    memset(b->memory + b->bytes, GUARD, TAIL_BYTES);
  }
  pool_run(threads, table, r->command, 1);
  int differences = 0;
  for (uint32_t i = 0; i < r->count; i++) {
    const buffer *b = &r->buffers[i];
    for (uint32_t at = b->bytes; at < b->bytes + TAIL_BYTES; at++) {
      if (b->memory[at] == GUARD) continue;
      printf("%s: %s: buffer %u is written to behind its end\n", table->isa, r->name, i + 1);
      differences++;
      break;
    }
    for (uint32_t at = 0; b->expected && at < b->bytes; at++) {
      if (b->memory[at] == b->expected[at]) continue;
      printf("%s: %s: buffer %u differs from byte %u on: expected 0x%02x, got 0x%02x\n", table->isa,
             r->name, i + 1, at, b->expected[at], b->memory[at]);
      differences++;
      break;
    }
  }
  return differences;
}

// What becomes of a variant; `emulated` is the name of the one to run alone, or NULL.
enum { RUNS, EMULATED, MISSING, LEFT_OUT };

static int fate_of(const variant *v, const char *emulated) {
  if (emulated && strcmp(v->table->isa, emulated) != 0) return LEFT_OUT;
  if (!v->missing) return RUNS;
  return emulated && emulates(v->missing) ? EMULATED : MISSING;
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "--check-emulation") == 0) return check_emulation(argv[2]);
  const char *emulated = argc == 4 && strcmp(argv[1], "--emulate") == 0 ? argv[2] : NULL;
  const char *wanted = argc == 4 && strcmp(argv[1], "--threads") == 0 ? argv[2] : NULL;
  const int count = wanted ? atoi(wanted) : THREADS;
  if (count < 1 || count > MAX_THREADS) broken("expected 1 to 64 threads");
  input = argc == (emulated || wanted ? 4 : 2) ? fopen(argv[argc - 1], "rb") : NULL;
  if (!input) broken("expected the path of a readable file as the last argument");
  if (emulated) emulate_instructions();
  const kernel_table *tables[MAX_VARIANTS];
  int32_t variant_count, running = 0;
  const variant *variants = cpu_variants(&variant_count);
  for (int32_t v = 0; v < variant_count; v++) {
    static const char *const words[] = {"runs", "emulated", "missing"};
    const int fate = fate_of(&variants[v], emulated);
    if (fate != LEFT_OUT) printf("%s: %s\n", variants[v].table->isa, words[fate]);
    if (fate <= EMULATED) tables[running++] = variants[v].table;
  }
  pool *threads = pool_create(count);
  if (!threads) broken("no memory for threads");
  const uint32_t cases = read_u32(1u << 20);
  int failed = 0;
  for (uint32_t n = 0; n < cases; n++) {
    static replay_case r;
    read_case(&r);
    for (int32_t v = 0; v < running; v++) failed += run_case(&r, threads, tables[v]) > 0;
    free_case(&r);
  }
  printf("cases: %u\n", cases);
  if (emulated) print_emulated();
  pool_destroy(threads);
  return failed > 0;
}
