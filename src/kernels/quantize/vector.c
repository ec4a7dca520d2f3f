// Absmax int8 of each token, after an RMSNorm where a weight is given; see reference.ts.
// p: x, weight or null, q, scales, sums · i: rows, cols · f: eps

#include "../c/kernel.h"
#include "../rms-norm/rms-norm.h"

static work_plan quantize_plan(const command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return c->i[0] < 4 ? one_piece(c->i[0]) : split_evenly(c->i[0], threads);
}

static void quantize_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->i[1], padded = (cols + 15) & ~15;
  const float *weight = c->p[1];
  for (int32_t row = first; row < last; row++) {
    const float *x = (const float *)c->p[0] + (size_t)row * cols;
    int8_t *q = (int8_t *)c->p[2] + (size_t)row * padded;
    const float inverse = weight ? rms_inverse(x, cols, c->f[0]) : 1.0f;

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
    ((float *)c->p[3])[row] = max / 127.0f;
    ((int32_t *)c->p[4])[row] = sum;
  }
}
