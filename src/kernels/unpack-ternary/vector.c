// The values of a ternary matrix; see reference.ts.
#include "../c/kernel.h"
#include "../c/vec.h"

enum { unpack_ternary_phases = 1 };

static work_plan unpack_ternary_plan(const unpack_ternary_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

static void unpack_ternary_run(const unpack_ternary_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->matrix_cols, tiles = (cols + 15) / 16;
  // Column 4p + j is at bits 8j + 2p of its row's word.
  i32x16 shifts;
  for (int32_t col = 0; col < LANES; col++) shifts[col] = col % 4 * 8 + col / 4 * 2;
  for (int32_t row = first; row < last; row++) {
    const uint32_t *words = (const uint32_t *)(c->matrix_data + (size_t)(row / 16) * tiles * 64) + row % 16;
    const float scale = c->matrix_scales[row];
    float *out = c->out + (size_t)row * cols;
    for (int32_t tile = 0; tile < tiles; tile++) {
      const u32x16 codes = ((u32x16){0} + words[tile * 16]) >> (u32x16)shifts & 3;
      const f32x16 values = __builtin_convertvector((i32x16)codes - 1, f32x16) * scale;
      store_first(out + tile * 16, values, cols - tile * 16);
    }
  }
}
