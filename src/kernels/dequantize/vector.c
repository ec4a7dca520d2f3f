// The values of int8 activations; see reference.ts.
#include "../c/kernel.h"
#include "../c/vec.h"

enum { dequantize_phases = 1 };

static work_plan dequantize_plan(const dequantize_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

static void dequantize_run(const dequantize_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->cols, padded = (cols + 15) & ~15;
  for (int32_t row = first; row < last; row++) {
    const int8_t *q = c->x_q + (size_t)row * padded;
    float *out = c->out + (size_t)row * cols;
    for (int32_t col = 0; col < cols; col += LANES) {
      const i32x16 whole = __builtin_convertvector(*(const i8x16_any *)(q + col), i32x16);
      store_first(out + col, __builtin_convertvector(whole, f32x16) * c->x_scales[row], cols - col);
    }
  }
}
