// Reads every byte of a buffer once: the memory bandwidth that decoding is measured against.
#include "../c/kernel.h"
#include "../c/vec.h"

enum { read_bytes_phases = 1 };

static work_plan read_bytes_plan(const read_bytes_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

static void read_bytes_run(const read_bytes_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  for (int32_t piece = first; piece < last; piece++) {
    const i32x16_any *from = (const i32x16_any *)((const char *)c->from + (size_t)piece * READ_PIECE);
    i32x16 a = {0}, b = {0}, d = {0}, e = {0};
    for (size_t at = 0; at < READ_PIECE / 64; at += 4) {
      a ^= from[at];
      b ^= from[at + 1];
      d ^= from[at + 2];
      e ^= from[at + 3];
    }
    ((i32x16_any *)c->sinks)[piece] = a ^ b ^ d ^ e;
  }
}
