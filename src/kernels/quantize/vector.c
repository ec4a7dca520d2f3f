// Absmax int8 of each token, after an RMSNorm where a weight is given; see reference.ts.

#include "../c/kernel.h"
#include "../rms-norm/rms-norm.h"

enum { quantize_phases = 1 };

static work_plan quantize_plan(const quantize_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return c->rows < 4 ? one_piece(c->rows) : split_evenly(c->rows, threads);
}

static void quantize_run(const quantize_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->cols, padded = (cols + 15) & ~15;
  const float *weight = c->weight;
  for (int32_t row = first; row < last; row++) {
    const float *x = c->x + (size_t)row * cols;
    int8_t *q = c->out_q + (size_t)row * padded;
    const float inverse = weight ? rms_inverse(x, cols, c->eps) : 1.0f;

    f32x16 peak = {0};
    for (int32_t col = 0; col < cols; col += LANES) {
      const int32_t n = cols - col < LANES ? cols - col : LANES;
      f32x16 y = load_first(x + col, n);
      if (weight) y = y * inverse * load_first(weight + col, n);
      peak = max16(peak, abs16(y));
    }
    const float floor = 1e-5f, found = max_lanes(peak);
    const float max = found > floor ? found : floor;
    const float factor = 127.0f / max;

    i32x16 sums = {0};
    for (int32_t col = 0; col < cols; col += LANES) {
      const int32_t n = cols - col < LANES ? cols - col : LANES;
      f32x16 y = load_first(x + col, n);
      if (weight) y = y * inverse * load_first(weight + col, n);
      f32x16 r = round16(y * factor);
      r = min16(max16(r, all16(-128.0f)), all16(127.0f));
      const i32x16 whole = __builtin_convertvector(r, i32x16);
      sums += whole;  // lanes past the end are zero, and so is the padding they leave
      *(i8x16_any *)(q + col) = __builtin_convertvector(whole, i8x16);
    }
    int32_t sum = 0;
    for (int32_t i = 0; i < LANES; i++) sum += sums[i];
    c->out_scales[row] = max / 127.0f;
    c->out_sums[row] = sum;
  }
}
