// Reads every byte of a buffer once: the memory bandwidth that decoding is measured against.
#include "../c/kernel.h"
#include "../c/vec.h"

// Parts of a piece that are tasks of their own, as on a GPU: a large machine has more threads than a matrix pieces.
#define READ_PARTS 16

enum { read_bytes_phases = 1 };

static work_plan read_bytes_plan(const read_bytes_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows * READ_PARTS, threads);
}

static void read_bytes_run(const read_bytes_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const size_t bytes = READ_PIECE / READ_PARTS;
  for (int32_t part = first; part < last; part++) {
    const i32x16_any *from = (const i32x16_any *)((const char *)c->from + (size_t)part * bytes);
    i32x16 a = {0}, b = {0}, d = {0}, e = {0};
    for (size_t at = 0; at < bytes / 64; at += 4) {
      a ^= from[at];
      b ^= from[at + 1];
      d ^= from[at + 2];
      e ^= from[at + 3];
    }
    const i32x16 all = a ^ b ^ d ^ e;
    int32_t word = 0;
    for (int32_t i = 0; i < LANES; i++) word ^= all[i];
    ((int32_t *)c->sinks)[part] = word;
  }
}
